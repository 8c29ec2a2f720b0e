//! The function table, driven through a small package of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "code shared by tests fails a test the same way"
)]

mod buffers;
mod functions;
mod handles;
mod handshake;
mod impersonation;
mod messages;
mod packages;
mod parts;
mod rules;
mod toy;
