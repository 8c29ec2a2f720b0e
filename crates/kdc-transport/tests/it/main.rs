//! The blocking transport against loopback servers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)] // in a test, a panic is the report

mod misbehaving;
mod servers;
