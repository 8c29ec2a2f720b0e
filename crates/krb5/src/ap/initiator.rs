//! The initiator's side: AP-REQ out, AP-REP in (RFC 4120 sections 3.2.2 and 3.2.5).

use std::sync::Arc;

use trihound_asn1::{
    ApOptions, ApRep, ApReq, Authenticator, AuthorizationDataElement, Checksum, EncApRepPart,
    EncryptedData, EtypeList, KrbError, Message, Raw, UInt32, ad_type,
};
use trihound_crypto::{Enctype, Key, KeyUsage};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::{Agreement, ApReplyVerified, MutualAuthNotRequested, subkey_from, wire_key};
use crate::as_exchange::time;
use crate::refusal::{KRB_ERROR_TAG, microseconds, moment, peer_refused};
use crate::{
    CredentialFailure, Credentials, Environment, Error, InvalidMessage, PeerMisbehaved, Policy,
    Principal, trace,
};

/// First byte of an AP-REP: `[APPLICATION 15]`, constructed.
pub(super) const AP_REP_TAG: u8 = 0x6f;

/// KERB_AP_OPTIONS_CBT: the client binds to channels wherever it can (MS-KILE section 2.2.7).
pub(super) const AP_OPTIONS_CBT: u32 = 0x4000;

/// What to put into an AP-REQ.
#[derive(Debug)]
pub struct ApRequest<'a> {
    /// The service ticket.
    pub credentials: &'a Credentials,
    /// The KDC's clock less ours, in microseconds ([`crate::AsOutcome::time_offset`]); else 0.
    pub time_offset: i64,
    /// Whether the acceptor has to prove itself.
    pub mutual: bool,
    /// Whether to answer the AP-REP with a third leg (MS-KILE section 3.4.5.1); implies `mutual`.
    pub dce_style: bool,
    /// The authenticator's checksum; for GSS of type 0x8003 (RFC 4121 section 4.1.1).
    pub checksum: Option<Checksum>,
    /// Whether to offer the permitted enctypes for the acceptor's sub-key (RFC 4537). Sent with
    /// `mutual` only, since without an AP-REP there is no place for an answer.
    pub offer_enctypes: bool,
    /// Whether to say that this client binds to channels wherever it can, so that bindings cannot
    /// be stripped unnoticed (MS-KILE section 3.2.5.8).
    pub client_aware_channel_bindings: bool,
    /// More authorization data; each element goes into AD-IF-RELEVANT.
    pub authorization_data: Vec<AuthorizationDataElement>,
}

impl<'a> ApRequest<'a> {
    /// With mutual authentication, a sub-key and RFC 4537 negotiation, and nothing else.
    #[must_use]
    pub fn new(credentials: &'a Credentials) -> Self {
        Self {
            credentials,
            time_offset: 0,
            mutual: true,
            dce_style: false,
            checksum: None,
            offer_enctypes: true,
            client_aware_channel_bindings: false,
            authorization_data: Vec::new(),
        }
    }
}

/// An AP-REQ, and what comes after it.
#[derive(Debug)]
pub struct ApReqSent {
    /// The AP-REQ, DER, without GSS framing.
    pub message: Vec<u8>,
    /// The state after sending it.
    pub next: AfterApReq,
}

/// Where the initiator stands after its AP-REQ.
#[derive(Debug)]
pub enum AfterApReq {
    /// The acceptor has to answer. Nothing is established before it did.
    ExpectApReply(Box<ExpectApReply>),
    /// No answer was asked for.
    Established(Box<Agreement>, MutualAuthNotRequested),
}

/// Awaits the AP-REP to the authenticator that it remembers.
#[derive(Debug)]
pub struct ExpectApReply {
    environment: Environment,
    session_key: Arc<Key>,
    subkey: Arc<Key>,
    sequence: u32,
    time: Timestamp,
    offered: Vec<Enctype>,
    service: Principal,
    dce_style: bool,
}

/// What an AP-REP established.
#[derive(Debug)]
#[non_exhaustive]
pub struct ApReplied {
    /// Keys and sequence numbers.
    pub agreement: Agreement,
    /// Proof that the acceptor knew the session key.
    pub verified: ApReplyVerified,
    /// In DCE style, the AP-REP that still goes to the acceptor.
    pub third_leg: Option<Vec<u8>>,
}

/// Builds an AP-REQ with a fresh sub-key of the session key's type and a random initial sequence
/// number of 31 bits.
///
/// # Errors
///
/// [`CredentialFailure::TicketExpired`], an enctype that is not permitted, failing randomness.
pub fn build_ap_req(
    request: &ApRequest<'_>,
    environment: &Environment,
) -> Result<ApReqSent, Error> {
    let credentials = request.credentials;
    let now = environment.now(request.time_offset);
    if !credentials.is_valid_at(now) {
        return Err(CredentialFailure::TicketExpired {
            server: credentials.server.to_string(),
            endtime: credentials.endtime,
            now,
        }
        .into());
    }
    let policy = &environment.config.permitted_enctypes;
    let session_key = session_key(credentials, environment)?;
    let subkey = Key::generate(session_key.enctype(), policy, &*environment.random)
        .map_err(Error::crypto("making of a sub-key"))?;
    let mutual = request.mutual || request.dce_style;
    let offered = if mutual && request.offer_enctypes {
        policy.enctypes().to_vec()
    } else {
        Vec::new()
    };
    let sequence = environment.random_31_bits()?;
    let time = environment.unique_time(request.time_offset);
    let authenticator = seal_authenticator(
        AuthenticatorParts {
            client: &credentials.client,
            checksum: request.checksum.clone(),
            time,
            subkey: Some(&subkey),
            sequence: Some(sequence),
            authorization_data: authorization_data(request, &offered)?,
        },
        &session_key,
        KeyUsage::AP_REQ_AUTH,
        environment,
    )?;
    let options = if mutual {
        ApOptions::MUTUAL_REQUIRED
    } else {
        ApOptions::empty()
    };
    let message = ApReq::new(
        options,
        Raw::from_der(credentials.ticket.as_slice())?,
        authenticator,
    )
    .to_der()?;
    trace::ap_request(credentials, subkey.enctype(), sequence, mutual);
    let subkey = Arc::new(subkey);
    let next = if mutual {
        AfterApReq::ExpectApReply(Box::new(ExpectApReply {
            environment: environment.clone(),
            session_key,
            subkey,
            sequence,
            time,
            offered,
            service: credentials.server.clone(),
            dce_style: request.dce_style,
        }))
    } else {
        let agreement = Agreement {
            session_key,
            initiator_subkey: Some(subkey),
            acceptor_subkey: None,
            initiator_sequence: sequence,
            acceptor_sequence: sequence,
        };
        AfterApReq::Established(Box::new(agreement), MutualAuthNotRequested(()))
    };
    Ok(ApReqSent { message, next })
}

/// The ticket's session key, if policy permits its type.
pub(crate) fn session_key(
    credentials: &Credentials,
    environment: &Environment,
) -> Result<Arc<Key>, Error> {
    let policy = &environment.config.permitted_enctypes;
    let enctype = credentials.session_key.enctype();
    policy
        .check(enctype)
        .map_err(|_| Policy::EnctypeNotPermitted {
            what: "the ticket's session key",
            enctype,
        })?;
    credentials
        .session_key
        .key(policy)
        .map_err(Error::crypto("use of the session key"))
}

/// The fields of an authenticator.
pub(crate) struct AuthenticatorParts<'a> {
    pub(crate) client: &'a Principal,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) time: Timestamp,
    pub(crate) subkey: Option<&'a Key>,
    pub(crate) sequence: Option<u32>,
    pub(crate) authorization_data: Option<Vec<AuthorizationDataElement>>,
}

/// Encrypts an authenticator under the session key.
pub(crate) fn seal_authenticator(
    parts: AuthenticatorParts<'_>,
    session_key: &Key,
    usage: KeyUsage,
    environment: &Environment,
) -> Result<EncryptedData, Error> {
    let authenticator = Authenticator {
        authenticator_vno: 5,
        crealm: parts.client.realm.clone(),
        cname: parts.client.name.clone(),
        cksum: parts.checksum,
        cusec: microseconds(parts.time),
        ctime: time(parts.time),
        subkey: parts.subkey.map(wire_key),
        seq_number: parts.sequence.map(UInt32::new),
        authorization_data: parts.authorization_data,
    };
    let plain = SecretBytes::from(authenticator.to_der()?);
    let cipher = session_key
        .encrypt(usage, plain.expose(), &*environment.random)
        .map_err(Error::crypto("encryption of the authenticator"))?;
    Ok(EncryptedData::new(session_key.enctype().0, None, cipher))
}

/// The authenticator's authorization data, all in AD-IF-RELEVANT: an acceptor that does not know an
/// element may ignore it (RFC 4120 section 5.2.6.1).
fn authorization_data(
    request: &ApRequest<'_>,
    offered: &[Enctype],
) -> Result<Option<Vec<AuthorizationDataElement>>, Error> {
    let mut elements = Vec::new();
    if !offered.is_empty() {
        // RFC 4537 3: the list is in the order of the client's preference.
        let list: EtypeList = offered.iter().map(|enctype| enctype.0).collect();
        elements.push(AuthorizationDataElement::new(
            ad_type::AD_ETYPE_NEGOTIATION,
            list.to_der()?,
        ));
    }
    if request.client_aware_channel_bindings {
        elements.push(AuthorizationDataElement::new(
            ad_type::AD_AUTH_DATA_AP_OPTIONS,
            AP_OPTIONS_CBT.to_le_bytes().to_vec(),
        ));
    }
    elements.extend(request.authorization_data.iter().cloned());
    if elements.is_empty() {
        return Ok(None);
    }
    let wrapped = AuthorizationDataElement::new(ad_type::AD_IF_RELEVANT, elements.to_der()?);
    Ok(Some(vec![wrapped]))
}

impl ExpectApReply {
    /// The sub-key in the authenticator.
    pub(crate) fn subkey(&self) -> &Key {
        &self.subkey
    }

    /// Where this side's sequence begins.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Whether the AP-REP has to be answered with a third leg.
    #[must_use]
    pub fn is_dce_style(&self) -> bool {
        self.dce_style
    }

    /// Takes the acceptor's answer, without GSS framing: an AP-REP, or the KRB-ERROR that refuses.
    ///
    /// # Errors
    ///
    /// [`PeerMisbehaved`] by the rule that the AP-REP breaks, [`Error::PeerRefused`] for a
    /// KRB-ERROR, [`InvalidMessage`] for anything else, no bytes among it.
    pub fn handle(self, der: &[u8]) -> Result<ApReplied, Error> {
        match der.first() {
            Some(&AP_REP_TAG) => {}
            Some(&KRB_ERROR_TAG) => {
                let error = KrbError::from_der(der)?;
                let now = self.environment.now(0);
                return Err(peer_refused(&error, self.service.to_string(), now));
            }
            first => {
                return Err(InvalidMessage::Unexpected {
                    expected: "an AP-REP or a KRB-ERROR",
                    found: first.copied(),
                }
                .into());
            }
        }
        let reply = ApRep::from_der(der)?;
        let plain = self
            .session_key
            .decrypt(KeyUsage::AP_REP_ENC_PART, &reply.enc_part.cipher)
            .map_err(|_| PeerMisbehaved::ApReplyDoesNotDecrypt {
                service: self.service.to_string(),
            })?;
        let part = EncApRepPart::from_der(plain.expose())?;
        // RFC 4120 3.2.5: ctime and cusec must match those of the authenticator.
        if moment(part.ctime, part.cusec) != self.time {
            return Err(PeerMisbehaved::ApReplyTimeDiffers {
                service: self.service.to_string(),
            }
            .into());
        }
        self.establish(&part)
    }

    fn establish(self, part: &EncApRepPart) -> Result<ApReplied, Error> {
        let acceptor_subkey = match &part.subkey {
            None => None,
            Some(key) => {
                let enctype = Enctype(key.keytype);
                let is_own = enctype == self.subkey.enctype();
                // RFC 4537 3: the acceptor's enctype is one of the client's list.
                if !is_own && !self.offered.contains(&enctype) {
                    return Err(PeerMisbehaved::SubkeyEnctypeNotOffered { enctype }.into());
                }
                Some(subkey_from(
                    key,
                    &self.environment.config.permitted_enctypes,
                )?)
            }
        };
        let acceptor_sequence = part.seq_number.map_or(0, UInt32::get);
        let subkey = acceptor_subkey.as_ref().map(|key| key.enctype());
        trace::ap_reply(&self.service, subkey, acceptor_sequence);
        let third_leg = if self.dce_style {
            Some(self.third_leg(acceptor_sequence)?)
        } else {
            None
        };
        Ok(ApReplied {
            agreement: Agreement {
                session_key: self.session_key,
                initiator_subkey: Some(self.subkey),
                acceptor_subkey,
                initiator_sequence: self.sequence,
                acceptor_sequence,
            },
            verified: ApReplyVerified(()),
            third_leg,
        })
    }

    /// MS-KILE 3.4.5.1: an AP-REP as the server would send it, with the acceptor's sequence number
    /// and the time of the exchange.
    fn third_leg(&self, acceptor_sequence: u32) -> Result<Vec<u8>, Error> {
        let part = EncApRepPart {
            ctime: time(self.time),
            cusec: microseconds(self.time),
            subkey: None,
            seq_number: Some(UInt32::new(acceptor_sequence)),
        };
        Ok(seal_ap_rep(&part, &self.session_key, &self.environment)?.to_der()?)
    }
}

/// Encrypts an AP-REP under the session key.
pub(super) fn seal_ap_rep(
    part: &EncApRepPart,
    session_key: &Key,
    environment: &Environment,
) -> Result<ApRep, Error> {
    let plain = SecretBytes::from(part.to_der()?);
    let cipher = session_key
        .encrypt(
            KeyUsage::AP_REP_ENC_PART,
            plain.expose(),
            &*environment.random,
        )
        .map_err(Error::crypto("encryption of the AP-REP"))?;
    Ok(ApRep::new(EncryptedData::new(
        session_key.enctype().0,
        None,
        cipher,
    )))
}
