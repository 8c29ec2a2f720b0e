//! The Negotiate security package (RFC 4178, MS-SPNG) over any mechanisms.
//!
//! [`Negotiate`] is a package whose configuration holds a function table of *mechanisms*. It knows
//! them by what the contract says of every package ([`trihound_sspi::MechanismInfo`]) and by nothing
//! else, so that a third party's package is negotiated like Kerberos or NTLM.
//!
//! What it adds to a mechanism is the choice between several, and the proof that nobody on the way
//! bent that choice: the mechListMIC, made and checked by the mechanism that was chosen.

mod acceptor;
mod arrival;
mod context;
mod credential;
pub mod danger;
mod error;
mod export;
mod initiator;
mod mechanism;
pub mod negoex;
mod package;
mod policy;
mod proof;
mod query;
mod raw;
mod search;
mod status;
mod target;

pub use context::NegotiateContext;
pub use credential::{NegotiateCredential, PackageList};
pub use error::{
    ApiMisuse, Attempt, Error, NegotiationFailed, PeerMisbehaved, PolicyError, Rejected,
};
pub use package::{Negotiate, NegotiateConfig};
pub use policy::{Fallback, NegotiatePolicy, RawTokens};
pub use target::host_is_address;
