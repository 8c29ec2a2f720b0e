//! The Kerberos security package.
//!
//! A thin SSPI adapter over `trihound-krb5`, and the per-message tokens: the handshake of RFC 4121
//! section 4.1 and MS-KILE, Wrap and MIC of RFC 4121 section 4.2 and RFC 4757 section 7.
//!
//! ```text
//! initiator  ExpectKdcReply ─ ticket ─► AP-REQ ──► Established                  (one leg)
//!                                             └──► ExpectApReply ─► Established  (mutual; in DCE
//!                                                                    style with a third leg)
//! acceptor   AP-REQ ─► Established, with an AP-REP if it was asked for
//!                  └─► ExpectThirdLeg ─► Established                            (DCE style)
//! ```
//!
//! - [`Kerberos`] is the package; [`KerberosConfig`] is what it is made of.
//! - [`KerberosCredential`] is a credential that the caller built from a password, a keytab or
//!   tickets; [`trihound_sspi::RegisteredPackage::adopt`] makes a handle of it.
//! - [`MessageSession`] protects messages outside of SSPI; [`tokens`] makes single tokens.
//!
//! SSPI's loop of Initialize, Accept, Initialize works in each of the three forms: Initialize on an
//! established context with no token answers SEC_E_OK again, and makes none.

mod acceptor;
mod acquire;
mod added;
mod attributes;
mod authorization;
mod buffers;
mod context;
mod credential;
pub mod danger;
mod delegation;
mod error;
mod export;
mod forwarding;
mod hostname;
mod initiator;
mod keeping;
mod lifespan;
mod login;
mod messages;
mod package;
mod password;
mod query;
mod route;
mod session;
mod status;
mod tickets;
pub mod tokens;

pub use acquire::client_principal;
pub use context::KerberosContext;
pub use credential::KerberosCredential;
pub use delegation::DelegationPolicy;
pub use error::{ContextError, CredentialError, Error, MessageError, SequenceError, TokenError};
pub use keeping::{LoginSecret, Standing, TicketExchange};
pub use messages::{MessageSession, MessageSizes, SessionParameters, Unwrapped, Wrapped};
pub use package::{Kerberos, KerberosConfig};
