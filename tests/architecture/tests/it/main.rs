//! The rules on this workspace, and on made-up ones that break each rule.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod made_up;
mod this_workspace;
