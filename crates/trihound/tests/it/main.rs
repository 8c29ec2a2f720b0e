//! The facade's tests, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod handshake;
mod keytab;
mod programs;
mod store;
mod support;
