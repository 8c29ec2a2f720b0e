//! Integration tests of the NTLM package.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking"
)]

mod buffers;
mod session;
