//! The bodies of the exported functions.
//!
//! # Safety
//!
//! Each of them is as unsafe as the exported function of the same arguments: the crate's documentation says
//! what a C caller promises.

// The argument lists are those of sspi.h, and one sentence says what is promised for all.
#![allow(clippy::too_many_arguments, clippy::missing_safety_doc)]

pub(crate) mod attributes;
pub(crate) mod contexts;
pub(crate) mod credentials;
pub(crate) mod export;
pub(crate) mod identities;
pub(crate) mod messages;
pub(crate) mod packages;
pub(crate) mod password;
pub(crate) mod tokens;
