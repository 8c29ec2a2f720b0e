//! Integration tests of the NTLM package.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking"
)]

mod additions;
mod attacks;
mod authenticate;
mod av_pairs;
mod buffers;
mod checks;
mod compute;
mod events;
mod export;
mod forge;
mod handshake;
mod limits;
mod messages;
mod password;
mod policy;
mod relays;
mod session;
mod session_attacks;
mod unproven;
mod verifier;
mod world;
