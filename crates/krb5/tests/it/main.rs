//! What the crate promises to its callers, in one binary.

mod ccache;
mod config;
mod keytab;
mod kirbi;
mod names;
mod profile;
mod replay;
mod samples;
mod store;
