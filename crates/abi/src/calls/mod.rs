//! The bodies of the exported functions.

pub(crate) mod attributes;
pub(crate) mod contexts;
pub(crate) mod credentials;
pub(crate) mod export;
pub(crate) mod identities;
pub(crate) mod messages;
pub(crate) mod packages;
pub(crate) mod password;
pub(crate) mod tokens;
