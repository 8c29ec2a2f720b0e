//! The DER types of Kerberos and the GSS framing.
//!
//! Every type here is data: what a message looks like on the wire, and nothing of what it means. The one
//! door in and out is [`Message`]: bounded, strict where strictness protects, and lenient exactly where
//! deployed peers need it. What a peer signed or checksummed is kept as received ([`Raw`]), never
//! encoded again.
//!
//! ```
//! use trihound_asn1::{Message, PrincipalName, name_type};
//!
//! let name = PrincipalName::new(name_type::NT_PRINCIPAL, ["jürgen"]);
//! let der = name.to_der()?;
//! assert_eq!(PrincipalName::from_der(&der)?, name);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod error_code;
pub mod gss;
pub mod oid;
pub mod pa_type;
pub mod registry;
pub mod spnego;

mod ap;
mod authdata;
mod basic;
mod der;
mod error;
mod fast;
mod flags;
mod kdc;
mod krb_error;
mod message;
mod otp;
mod preauth;
mod primitive;
mod raw;
mod s4u;
mod session;
mod ticket;
mod transport;

pub use ap::*;
pub use authdata::*;
pub use basic::*;
pub use der::{MAX_DEPTH, MAX_MESSAGE_LENGTH};
pub use error::{Cause, DecodeError, EncodeError};
pub use fast::*;
pub use flags::*;
pub use kdc::*;
pub use krb_error::*;
pub use message::Message;
pub use otp::*;
pub use preauth::*;
pub use primitive::*;
pub use rasn::types::OctetString;
pub use raw::Raw;
pub use s4u::*;
pub use session::*;
pub use ticket::*;
pub use transport::*;
