//! The function table, driven through a small package of its own.

// Helpers outside of #[test] functions fail a test the same way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod buffers;
mod functions;
mod handles;
mod handshake;
mod messages;
mod packages;
mod rules;
mod toy;
