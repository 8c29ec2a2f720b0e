//! Integration tests of the Kerberos package.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::field_reassign_with_default,
    reason = "helpers of tests fail by panicking"
)]

mod additions;
mod alone;
mod attacks;
mod attributes;
mod buffers;
mod credentials;
mod delegated;
mod delegation;
mod delegation_attacks;
mod export;
mod handshake;
mod hostnames;
mod keeping;
mod limits;
mod messages;
mod pac;
mod rc4;
mod replies;
mod searches;
mod settings;
mod support;
mod surface;
mod two_realms;
mod vectors;
mod windows;
mod world;
