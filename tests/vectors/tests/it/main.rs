//! The known answers of this repository, and the runner itself on made-up files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod known_answers;
mod runner;
