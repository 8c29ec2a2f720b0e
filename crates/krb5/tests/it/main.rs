//! What the crate promises to its callers, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "helpers of tests fail by panicking, and count in small numbers"
)]

mod ap;
mod as_exchange;
mod canonicalization;
mod ccache;
mod ccache_file;
mod clock;
mod config;
mod config_names;
mod keytab;
mod keytab_edit;
mod keytab_order;
mod kirbi;
mod kpasswd;
mod local_names;
mod names;
mod pac;
mod profile;
mod replay;
mod samples;
mod small_kdc;
mod stock;
mod store;
mod tgs_exchange;
