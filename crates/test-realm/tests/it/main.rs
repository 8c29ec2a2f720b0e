//! The embedded KDC against hand-built requests, MIT's own client and Trihound's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)] // in a test, a panic is the report

mod adversary;
mod authentication;
mod client;
mod kpasswd;
#[cfg(target_os = "linux")]
mod mit;
mod ours;
mod pac;
mod sockets;
mod support;
mod ticket_granting;
