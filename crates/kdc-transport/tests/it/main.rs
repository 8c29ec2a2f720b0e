//! The transports, blocking and asynchronous, against loopback servers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)] // in a test, a panic is the report

mod dns;
mod events;
mod hostname;
mod https;
mod memory;
mod misbehaving;
// The same tests again, over tokio.
#[cfg(feature = "tokio")]
#[allow(clippy::duplicate_mod)] // that is the point
#[path = "misbehaving.rs"]
mod misbehaving_tokio;
mod primary;
mod servers;
