//! The facade's tests, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
#[cfg(feature = "tokio")]
mod asynchronous;
mod attacks;
mod attribute_table;
mod caches;
#[cfg(feature = "tokio")]
mod chain;
mod credential_settings;
mod delegation;
mod examples;
mod export;
mod handshake;
#[cfg(target_os = "linux")]
mod impersonation;
mod keytab;
#[cfg(target_os = "linux")]
mod local_accounts;
mod packages;
mod password;
mod plain_credentials;
mod programs;
mod refused;
mod remote_verifier;
mod services;
mod shapes;
mod store;
mod stream_faults;
mod support;
mod trace;
