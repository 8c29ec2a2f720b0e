//! Integration tests of Negotiate, over packages that know nothing of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "code shared by tests fails a test the same way"
)]

mod attacks;
mod buffers;
mod choice;
mod credentials;
mod exchanges;
mod fallback;
mod raw;
mod refusals;
mod surface;
mod toy;
mod world;
