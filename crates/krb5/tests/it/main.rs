//! What the crate promises to its callers, in one binary.

mod ccache;
mod config;
mod keytab;
mod names;
mod profile;
mod replay;
mod store;
