//! Trihound against MIT krb5.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod contexts;
mod cross_realm;
mod embedded;
mod logins;
mod matrix;
mod tools;
mod world;
