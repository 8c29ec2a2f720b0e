//! The AP exchange: a ticket is shown, and both sides prove that they know its key (RFC 4120
//! section 3.2).
//!
//! ```text
//! initiator                                   acceptor
//! build_ap_req ────────── AP-REQ ───────────► accept_ap_req
//! ExpectApReply::handle ◄─ AP-REP ─────────── AcceptedApReq::build_ap_rep     (mutual)
//!   third leg ──────────── AP-REP ──────────► ExpectThirdLeg::handle          (DCE style)
//! ```
//!
//! Either side ends with an [`Agreement`], the keys and sequence numbers for messages, and with the
//! proofs of what was checked.

mod acceptor;
mod authdata;
mod binding;
pub mod danger;
mod initiator;
mod keys;
mod transited;

use std::sync::Arc;

use trihound_asn1::EncryptionKey;
use trihound_crypto::{Enctype, EnctypePolicy, Key};

use crate::{Error, PeerMisbehaved, Policy};

pub use acceptor::{
    AcceptPolicy, AcceptRequest, AcceptedApReq, ApRepOptions, ApRepSent, ExpectThirdLeg,
    accept_ap_req,
};
pub use authdata::AuthorizationInfo;
pub use binding::{BindingDemand, check_gss_checksum};
pub use initiator::{AfterApReq, ApReplied, ApReqSent, ApRequest, ExpectApReply, build_ap_req};
pub use transited::{PathCheck, TransitedPolicy, decode_transited};

pub(crate) use transited::hierarchy_between;

pub(crate) use initiator::{AuthenticatorParts, seal_authenticator, session_key};

/// Proof that the acceptor knew the ticket's key: its AP-REP was decrypted and repeats the
/// authenticator's time (RFC 4120 section 3.2.5). On the acceptor's side of a DCE-style exchange,
/// that the third leg did.
#[derive(Debug)]
pub struct ApReplyVerified(());

/// Proof that no mutual authentication was asked for, so that the acceptor has proven nothing.
#[derive(Debug)]
pub struct MutualAuthNotRequested(());

/// Proof that an authenticator was decrypted under the key of a valid ticket and names its client.
#[derive(Debug)]
pub struct AuthenticatorVerified(());

/// Proof that the channel bindings in the authenticator's checksum were held against the demand.
#[derive(Debug)]
pub struct ChannelBindingChecked(());

/// What initiator and acceptor share after an AP exchange.
#[derive(Debug)]
#[non_exhaustive]
pub struct Agreement {
    /// The ticket's session key.
    pub session_key: Arc<Key>,
    /// The authenticator's sub-key.
    pub initiator_subkey: Option<Arc<Key>>,
    /// The AP-REP's sub-key.
    pub acceptor_subkey: Option<Arc<Key>>,
    /// Where the initiator's sequence begins.
    pub initiator_sequence: u32,
    /// Where the acceptor's sequence begins: at the AP-REP's number, or without mutual
    /// authentication at the initiator's (RFC 4121 section 4.1; conformance row 109).
    pub acceptor_sequence: u32,
}

impl Agreement {
    /// The key for messages: the acceptor's sub-key, else the initiator's, else the session key
    /// (RFC 4121 section 2; conformance row 107).
    #[must_use]
    pub fn message_key(&self) -> &Arc<Key> {
        self.acceptor_subkey
            .as_ref()
            .or(self.initiator_subkey.as_ref())
            .unwrap_or(&self.session_key)
    }
}

/// A sub-key from the other side, if policy permits its type.
fn subkey_from(key: &EncryptionKey, policy: &EnctypePolicy) -> Result<Arc<Key>, Error> {
    let enctype = Enctype(key.keytype);
    policy
        .check(enctype)
        .map_err(|_| Policy::EnctypeNotPermitted {
            what: "the sub-key",
            enctype,
        })?;
    // RFC 3961 3: a protocol key has the enctype's length.
    let key = Key::new(enctype, key.keyvalue.expose(), policy)
        .map_err(|_| PeerMisbehaved::SubkeyMalformed { enctype })?;
    Ok(Arc::new(key))
}

/// A key as a message carries it.
fn wire_key(key: &Key) -> EncryptionKey {
    EncryptionKey::new(key.enctype().0, key.expose())
}
