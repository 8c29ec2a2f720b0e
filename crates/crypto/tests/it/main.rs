//! Integration tests of the crypto core: known answers, and everything that must be refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking, and count in small numbers"
)]

mod cts;
mod nfold;
mod ntlm;
mod policy;
mod scattered;
mod string_to_key;
mod support;
mod tampering;
mod vectors;
