//! The acceptor's side: AP-REQ in, AP-REP out (RFC 4120 sections 3.2.3 and 3.2.4).

use std::sync::Arc;

use trihound_asn1::{
    ApOptions, ApRep, ApReq, Authenticator, EncApRepPart, EncTicketPart, HostAddress, KrbError,
    Message, TicketFlags, UInt32,
};
use trihound_crypto::{Enctype, EnctypePolicy, Key, KeyUsage};
use trihound_sansio::Timestamp;

use super::authdata::{self, AuthorizationInfo, Place};
use super::initiator::{AP_REP_TAG, seal_ap_rep};
use super::keys::Opened;
use super::{
    Agreement, ApReplyVerified, AuthenticatorVerified, MutualAuthNotRequested, TransitedPolicy,
    keys, subkey_from, wire_key,
};
use crate::as_exchange::time;
use crate::pac::{PacPolicy, TicketPac};
use crate::refusal::{KRB_ERROR_TAG, microseconds, moment, peer_refused, whole};
use crate::{
    Environment, Error, InvalidMessage, Keytab, NotReplayed, PeerMisbehaved, PlainCredentials,
    Policy, Principal, ReplayCache, ReplayEntry, replay, trace,
};

/// First byte of an AP-REQ: `[APPLICATION 14]`, constructed.
const AP_REQ_TAG: u8 = 0x6e;

/// What an AP-REQ is held against.
pub struct AcceptRequest<'a> {
    /// The service's keys.
    pub keytab: &'a Keytab,
    /// As whom to accept: only this principal's keys count, whatever name the ticket bears (the
    /// KDC may know the service under aliases). `None` accepts as anyone in the keytab.
    pub principal: Option<&'a Principal>,
    /// What is permitted.
    pub policy: &'a AcceptPolicy,
    /// The one replay cache of all acceptors of these keys.
    pub replay_cache: &'a dyn ReplayCache,
    /// Where the client connects from, if tickets that are bound to addresses are to be held
    /// against it (RFC 4120 section 3.2.3). `None` ignores a ticket's addresses, as MIT krb5 does
    /// where the application gives none: behind NAT they say nothing.
    pub client_address: Option<&'a HostAddress>,
}

/// An acceptor's policy. The enctypes and the permitted clock skew are the configuration's.
#[derive(Clone, Debug)]
pub struct AcceptPolicy {
    /// Without a named principal: whether keys of other principals than the ticket names are tried
    /// (conformance row 7). On by default.
    pub try_other_keys: bool,
    /// When clients of other realms are believed.
    pub transited: TransitedPolicy,
    /// What is wanted of the ticket's PAC.
    pub pac: PacPolicy,
    /// Whether a delegated credential that is not encrypted counts (conformance row 95). It does not by
    /// default.
    pub plain_credentials: PlainCredentials,
}

impl Default for AcceptPolicy {
    fn default() -> Self {
        Self {
            try_other_keys: true,
            transited: TransitedPolicy::default(),
            pac: PacPolicy::default(),
            plain_credentials: PlainCredentials::default(),
        }
    }
}

/// An AP-REQ that holds.
#[derive(Debug)]
#[non_exhaustive]
pub struct AcceptedApReq {
    /// Who the client is.
    pub client: Principal,
    /// Whose key opened the ticket.
    pub server: Principal,
    /// The encrypted part of the ticket.
    pub ticket: EncTicketPart,
    /// The authenticator.
    pub authenticator: Authenticator,
    /// The ticket's session key.
    pub session_key: Arc<Key>,
    /// The authenticator's sub-key.
    pub initiator_subkey: Option<Arc<Key>>,
    /// The options of the AP-REQ.
    pub ap_options: ApOptions,
    /// The ticket's authorization data, as far as understood; the raw elements are in
    /// [`Self::ticket`].
    pub ticket_info: AuthorizationInfo,
    /// The authenticator's authorization data, likewise.
    pub authenticator_info: AuthorizationInfo,
    /// What the ticket's PAC says, with the proof of it.
    pub pac: TicketPac,
    /// Proof of the checks.
    pub verified: AuthenticatorVerified,
    /// Proof that the authenticator came for the first time.
    pub not_replayed: NotReplayed,
}

/// What an AP-REP is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApRepOptions {
    /// Whether to choose a fresh sub-key, of the first enctype that the client offers and policy
    /// permits (RFC 4537), else of the session key's.
    pub subkey: bool,
    /// Whether a third leg is to come (MS-KILE section 3.4.5.1).
    pub dce_style: bool,
}

/// An AP-REP, and what the acceptor has after sending it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ApRepSent {
    /// The AP-REP, DER, without GSS framing.
    pub message: Vec<u8>,
    /// Keys and sequence numbers.
    pub agreement: Agreement,
    /// In DCE style, the state that waits for the third leg; nothing is established before it.
    pub third_leg: Option<ExpectThirdLeg>,
}

/// Awaits the initiator's AP-REP, the third leg of a DCE-style exchange.
#[derive(Debug)]
pub struct ExpectThirdLeg {
    environment: Environment,
    session_key: Arc<Key>,
    sequence: u32,
    authenticator_time: Timestamp,
    client: String,
    own_cipher: Vec<u8>,
}

/// Checks an AP-REQ, given without GSS framing.
///
/// # Errors
///
/// By the rule that is broken; [`Error::krb_error_code`] tells what to answer. The replay cache is
/// asked last, so that only an authenticator that holds takes a place in it.
pub fn accept_ap_req(
    der: &[u8],
    request: &AcceptRequest<'_>,
    environment: &Environment,
) -> Result<AcceptedApReq, Error> {
    if der.first() != Some(&AP_REQ_TAG) {
        return Err(InvalidMessage::Unexpected {
            expected: "an AP-REQ",
            found: der.first().copied(),
        }
        .into());
    }
    let message = ApReq::from_der(der)?;
    // RFC 4120 5.5.1: use-session-key says that the ticket is under the session key of the
    // server's own ticket-granting ticket, which only user-to-user servers have.
    if message.ap_options.contains(ApOptions::USE_SESSION_KEY) {
        return Err(Policy::UserToUserNotOffered.into());
    }
    let policy = &environment.config.permitted_enctypes;
    let config = &environment.config;
    let Opened {
        part: ticket,
        server,
        key: ticket_key,
    } = keys::open_ticket(&message.ticket.decode()?, request, config)?;
    let client = Principal {
        realm: ticket.crealm.clone(),
        name: ticket.cname.clone(),
    };
    let now = environment.now(0);
    check_ticket_times(&ticket, &client, now, environment)?;
    check_address(&ticket, request.client_address)?;
    let transited = &request.policy.transited;
    transited.check(&ticket, &server, &environment.config)?;
    let session_key = session_key(&ticket, policy)?;
    let authenticator = open_authenticator(&message, &session_key)?;
    check_authenticator(&authenticator, &client, now, environment)?;
    let initiator_subkey = authenticator
        .subkey
        .as_ref()
        .map(|key| subkey_from(key, policy))
        .transpose()?;
    let ticket_info = authdata::read(
        ticket.authorization_data.as_ref(),
        Place::Ticket,
        &session_key,
    )?;
    let authenticator_info = authdata::read(
        authenticator.authorization_data.as_ref(),
        Place::Authenticator,
        &session_key,
    )?;
    let pac = request.policy.pac;
    let pac = pac.check(ticket_info.pac.as_deref(), &ticket, &ticket_key)?;
    let entry = ReplayEntry::new(
        &client,
        moment(authenticator.ctime, authenticator.cusec),
        &message.authenticator.cipher,
        now,
        environment.config.clock_skew,
    );
    let not_replayed = replay::check(request.replay_cache, &entry, now)?;
    trace::accepted(&client, &server, whole(ticket.endtime));
    Ok(AcceptedApReq {
        client,
        server,
        ticket,
        authenticator,
        session_key,
        initiator_subkey,
        ap_options: message.ap_options,
        ticket_info,
        authenticator_info,
        pac,
        verified: AuthenticatorVerified(()),
        not_replayed,
    })
}

fn check_ticket_times(
    ticket: &EncTicketPart,
    client: &Principal,
    now: Timestamp,
    environment: &Environment,
) -> Result<(), Error> {
    let skew = environment.config.clock_skew;
    let starttime = whole(ticket.starttime.unwrap_or(ticket.authtime));
    // RFC 4120 3.2.3: a start "later than the current time by more than the allowable clock skew"
    // is KRB_AP_ERR_TKT_NYV.
    if starttime > now.plus(skew) {
        return Err(PeerMisbehaved::TicketNotYetValid {
            client: client.to_string(),
            starttime,
            now,
        }
        .into());
    }
    // RFC 4120 3.2.3: so is the INVALID flag.
    if ticket.flags.contains(TicketFlags::INVALID) {
        return Err(PeerMisbehaved::TicketInvalid {
            client: client.to_string(),
        }
        .into());
    }
    let endtime = whole(ticket.endtime);
    // RFC 4120 3.2.3: "if the current time is later than end time by more than the allowable clock
    // skew", KRB_AP_ERR_TKT_EXPIRED.
    if now > endtime.plus(skew) {
        return Err(PeerMisbehaved::TicketExpired {
            client: client.to_string(),
            endtime,
            now,
        }
        .into());
    }
    Ok(())
}

fn check_address(ticket: &EncTicketPart, from: Option<&HostAddress>) -> Result<(), Error> {
    let listed = ticket.caddr.as_deref().unwrap_or_default();
    // RFC 4120 3.2.3: a ticket with addresses is good from these only.
    if let Some(from) = from
        && !listed.is_empty()
        && !listed.contains(from)
    {
        return Err(Policy::AddressNotListed.into());
    }
    Ok(())
}

fn session_key(ticket: &EncTicketPart, policy: &EnctypePolicy) -> Result<Arc<Key>, Error> {
    let enctype = Enctype(ticket.key.keytype);
    policy
        .check(enctype)
        .map_err(|_| Policy::EnctypeNotPermitted {
            what: "the ticket's session key",
            enctype,
        })?;
    let key = Key::new(enctype, ticket.key.keyvalue.expose(), policy)
        .map_err(Error::crypto("use of the session key"))?;
    Ok(Arc::new(key))
}

fn open_authenticator(message: &ApReq, session_key: &Key) -> Result<Authenticator, Error> {
    let plain = session_key
        .decrypt(KeyUsage::AP_REQ_AUTH, &message.authenticator.cipher)
        .map_err(|_| PeerMisbehaved::AuthenticatorDoesNotDecrypt)?;
    Ok(Authenticator::from_der(plain.expose())?)
}

fn check_authenticator(
    authenticator: &Authenticator,
    client: &Principal,
    now: Timestamp,
    environment: &Environment,
) -> Result<(), Error> {
    let named = Principal {
        realm: authenticator.crealm.clone(),
        name: authenticator.cname.clone(),
    };
    // RFC 4120 3.2.3: "the name and realm of the client from the ticket are compared against the
    // same fields in the authenticator", else KRB_AP_ERR_BADMATCH.
    if named != *client {
        return Err(PeerMisbehaved::ClientsDiffer {
            authenticator: named.to_string(),
            ticket: client.to_string(),
        }
        .into());
    }
    let client_time = moment(authenticator.ctime, authenticator.cusec);
    let skew = environment.config.clock_skew;
    // RFC 4120 3.2.3: client and server time "differ by more than the allowable clock skew",
    // KRB_AP_ERR_SKEW.
    if client_time.distance(now) > skew {
        return Err(PeerMisbehaved::ClockSkew {
            client: client.to_string(),
            client_time,
            server_time: now,
            skew: skew.as_secs(),
        }
        .into());
    }
    Ok(())
}

impl AcceptedApReq {
    /// Whether the client waits for an AP-REP.
    #[must_use]
    pub fn mutual_required(&self) -> bool {
        self.ap_options.contains(ApOptions::MUTUAL_REQUIRED)
    }

    /// When the ticket ends, and the context with it.
    #[must_use]
    pub fn endtime(&self) -> Timestamp {
        whole(self.ticket.endtime)
    }

    fn initiator_sequence(&self) -> u32 {
        self.authenticator.seq_number.map_or(0, UInt32::get)
    }

    /// Keys and sequence numbers of an exchange without AP-REP.
    #[must_use]
    pub fn agree_without_reply(&self) -> (Agreement, MutualAuthNotRequested) {
        let sequence = self.initiator_sequence();
        let agreement = Agreement {
            session_key: Arc::clone(&self.session_key),
            initiator_subkey: self.initiator_subkey.clone(),
            acceptor_subkey: None,
            initiator_sequence: sequence,
            acceptor_sequence: sequence,
        };
        (agreement, MutualAuthNotRequested(()))
    }

    /// Builds the AP-REP, with a random initial sequence number of 31 bits.
    ///
    /// # Errors
    ///
    /// Failing randomness.
    pub fn build_ap_rep(
        &self,
        options: ApRepOptions,
        environment: &Environment,
    ) -> Result<ApRepSent, Error> {
        let authenticator_time = moment(self.authenticator.ctime, self.authenticator.cusec);
        let sequence = environment.random_31_bits()?;
        let acceptor_subkey = options
            .subkey
            .then(|| self.choose_subkey(environment))
            .transpose()?;
        let part = EncApRepPart {
            ctime: time(authenticator_time),
            cusec: microseconds(authenticator_time),
            subkey: acceptor_subkey.as_deref().map(wire_key),
            seq_number: Some(UInt32::new(sequence)),
        };
        let reply = seal_ap_rep(&part, &self.session_key, environment)?;
        let message = reply.to_der()?;
        let third_leg = options.dce_style.then(|| ExpectThirdLeg {
            environment: environment.clone(),
            session_key: Arc::clone(&self.session_key),
            sequence,
            authenticator_time,
            client: self.client.to_string(),
            own_cipher: reply.enc_part.cipher.to_vec(),
        });
        Ok(ApRepSent {
            message,
            agreement: Agreement {
                session_key: Arc::clone(&self.session_key),
                initiator_subkey: self.initiator_subkey.clone(),
                acceptor_subkey,
                initiator_sequence: self.initiator_sequence(),
                acceptor_sequence: sequence,
            },
            third_leg,
        })
    }

    /// RFC 4537 3: a key of a type from the client's list; the list is in the client's order.
    ///
    /// MS-KILE 3.1.1.2: with RC4 the acceptor's sub-key is the same as the initiator's, since RFC 1964 knows
    /// the latter only (MIT krb5 goes on using it).
    fn choose_subkey(&self, environment: &Environment) -> Result<Arc<Key>, Error> {
        let policy = &environment.config.permitted_enctypes;
        let enctype = self
            .authenticator_info
            .enctypes
            .iter()
            .copied()
            .find(|enctype| policy.permits(*enctype))
            .unwrap_or_else(|| self.session_key.enctype());
        let offered = self.initiator_subkey.as_ref().unwrap_or(&self.session_key);
        if enctype == Enctype::RC4_HMAC && offered.enctype() == enctype {
            return Ok(Arc::clone(offered));
        }
        Key::generate(enctype, policy, &*environment.random)
            .map(Arc::new)
            .map_err(Error::crypto("making of a sub-key"))
    }
}

impl ExpectThirdLeg {
    /// Takes the initiator's AP-REP.
    ///
    /// The sequence number must be ours. The time may be the authenticator's, as Windows and
    /// Heimdal send, or the present, as MIT krb5 sends.
    ///
    /// # Errors
    ///
    /// [`PeerMisbehaved`] by the broken rule, [`Error::PeerRefused`] for a KRB-ERROR.
    pub fn handle(self, der: &[u8]) -> Result<ApReplyVerified, Error> {
        let now = self.environment.now(0);
        match der.first() {
            Some(&AP_REP_TAG) => {}
            Some(&KRB_ERROR_TAG) => {
                return Err(peer_refused(&KrbError::from_der(der)?, self.client, now));
            }
            first => {
                return Err(InvalidMessage::Unexpected {
                    expected: "the third leg's AP-REP",
                    found: first.copied(),
                }
                .into());
            }
        }
        let reply = ApRep::from_der(der)?;
        // RFC 4120 10: this side's own AP-REP has the same time and sequence number, so it must not
        // be taken for the answer to itself.
        if reply.enc_part.cipher == self.own_cipher {
            return Err(PeerMisbehaved::ThirdLegReflected.into());
        }
        let plain = self
            .session_key
            .decrypt(KeyUsage::AP_REP_ENC_PART, &reply.enc_part.cipher)
            .map_err(|_| PeerMisbehaved::ApReplyDoesNotDecrypt {
                service: self.client.clone(),
            })?;
        let part = EncApRepPart::from_der(plain.expose())?;
        // MS-KILE 3.4.5.1: the third leg repeats the acceptor's sequence number.
        if part.seq_number.map(UInt32::get) != Some(self.sequence) {
            return Err(PeerMisbehaved::ThirdLegSequenceDiffers.into());
        }
        let found = moment(part.ctime, part.cusec);
        let skew = self.environment.config.clock_skew;
        // MS-KILE 3.4.5.1 with RFC 4120 3.2.5: and the time.
        if found != self.authenticator_time && found.distance(now) > skew {
            return Err(PeerMisbehaved::ThirdLegTimeDiffers {
                found,
                skew: skew.as_secs(),
            }
            .into());
        }
        Ok(ApReplyVerified(()))
    }
}
