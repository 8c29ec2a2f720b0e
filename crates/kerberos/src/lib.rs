//! The Kerberos security package.
//!
//! A thin SSPI adapter over `trihound-krb5`: the handshake of RFC 4121 section 4.1 and MS-KILE, and
//! the per-message tokens of RFC 4121 section 4.2 and RFC 4757 section 7.

mod error;
mod messages;
pub mod tokens;

pub use error::{MessageError, SequenceError};
pub use messages::{MessageSession, MessageSizes, SessionParameters, Unwrapped, Wrapped};
