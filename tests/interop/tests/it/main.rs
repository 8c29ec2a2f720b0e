//! Trihound against MIT krb5 and Samba.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod authorization;
mod cache_lock;
mod caches;
mod chain;
mod conf;
mod contexts;
mod cross_realm;
mod dead_kdcs;
mod delegation;
mod desk;
mod dns;
mod embedded;
mod errors;
mod http;
#[cfg(target_os = "linux")]
mod kcm;
#[cfg(target_os = "linux")]
mod keyring;
mod keytabs;
mod kkdcp;
mod kpasswd;
mod logins;
mod matrix;
#[cfg(unix)]
mod moving;
mod negotiate;
mod ntlm;
#[cfg(target_os = "linux")]
mod samba;
mod services;
mod tools;
mod world;
