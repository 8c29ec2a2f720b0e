//! What can go wrong in an exchange, by culprit.

use core::fmt;

use thiserror::Error;
use trihound_asn1::{DecodeError, EncodeError, error_code};
use trihound_crypto::Enctype;
use trihound_sansio::{RandomFailure, Timestamp, TransportFailure};

use crate::ReplayError;

/// Why an exchange with a KDC or with a peer failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not the message that was awaited.
    #[error(transparent)]
    InvalidMessage(#[from] InvalidMessage),
    /// A KDC's reply breaks a rule; it may come from somebody else, and nothing of it was used.
    #[error(transparent)]
    KdcMisbehaved(#[from] KdcMisbehaved),
    /// The KDC answered with a KRB-ERROR.
    #[error(transparent)]
    KdcRefused(Box<KdcRefused>),
    /// The other side of an AP exchange breaks a rule.
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The acceptor answered with a KRB-ERROR.
    #[error(transparent)]
    PeerRefused(Box<PeerRefused>),
    /// What the other side wants is well-formed and not permitted here.
    #[error(transparent)]
    Policy(#[from] Policy),
    /// No key, password or ticket fits.
    #[error(transparent)]
    Credential(#[from] CredentialFailure),
    /// The authenticator is in the replay cache, or the cache cannot take it.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// No KDC answered.
    #[error(transparent)]
    Unreachable(Box<TransportFailure>),
    /// A cryptographic operation failed in a place where no rule of its own covers it.
    #[error("the {operation} failed: {source}")]
    Crypto {
        /// What was being done.
        operation: &'static str,
        /// What the crypto core says.
        #[source]
        source: trihound_crypto::Error,
    },
    /// The source of randomness failed.
    #[error(transparent)]
    Random(#[from] RandomFailure),
    /// The caller asked for what cannot be; never caused by what a peer sends.
    #[error(transparent)]
    ApiMisuse(#[from] ApiMisuse),
}

/// The bytes are not the message that was awaited.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// They do not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Another message than the ones that may come here (RFC 4120 section 5.10).
    #[error(
        "expected {expected}, got {}; the sender answers something else or these are not Kerberos bytes",
        first_byte(*.found)
    )]
    Unexpected {
        /// What may come here.
        expected: &'static str,
        /// The first byte of what came; `None` for an empty message.
        found: Option<u8>,
    },
    /// The KDC-ERR-PREAUTH-REQUIRED carries no METHOD-DATA (RFC 4120 section 5.9.1).
    #[error(
        "the KDC asks for pre-authentication and does not say of which kind; its reply was cut or altered"
    )]
    MethodDataMissing,
    /// KDC_ERR_WRONG_REALM does not name the right realm (RFC 6806 section 7).
    #[error(
        "the KDC says that the account is in another realm and does not say which; name the realm"
    )]
    RealmMissing,
}

fn first_byte(found: Option<u8>) -> String {
    match found {
        None => "nothing".to_owned(),
        Some(0x6a) => "an AS-REQ".to_owned(),
        Some(0x6b) => "an AS-REP".to_owned(),
        Some(0x6c) => "a TGS-REQ".to_owned(),
        Some(0x6d) => "a TGS-REP".to_owned(),
        Some(0x6e) => "an AP-REQ".to_owned(),
        Some(0x6f) => "an AP-REP".to_owned(),
        Some(0x74) => "a KRB-SAFE".to_owned(),
        Some(0x75) => "a KRB-PRIV".to_owned(),
        Some(0x76) => "a KRB-CRED".to_owned(),
        Some(0x7e) => "a KRB-ERROR".to_owned(),
        Some(byte) => format!("bytes that begin with {byte:#04x}"),
    }
}

/// A KDC's reply breaks a rule: a fault of the KDC, or somebody altered or made up the reply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KdcMisbehaved {
    /// The encrypted part does not decrypt under the key agreed for it (RFC 4120 section 5.4.2).
    #[error("the {enctype} encrypted part of the {message} does not decrypt under {key}; {advice}")]
    ReplyDoesNotDecrypt {
        /// AS-REP or TGS-REP.
        message: &'static str,
        /// The encryption type of the reply.
        enctype: Enctype,
        /// Which key was tried.
        key: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The nonce is not the request's (RFC 4120 sections 3.1.5 and 3.3.4).
    #[error(
        "the reply's nonce is not the request's: it answers another request, or an old reply was sent again; try again and look at the network path if it stays"
    )]
    ReplyNonceDiffers,
    /// crealm or cname is not the client that was asked for (RFC 4120 section 3.1.5).
    #[error(
        "the reply is for client {found}, asked was {asked}; without canonicalization the KDC must not change the name"
    )]
    ClientDiffers {
        /// The client in the request.
        asked: String,
        /// The client in the reply.
        found: String,
    },
    /// srealm or sname is not the service that was asked for, and no referral
    /// (RFC 4120 section 3.3.4, RFC 6806 section 8).
    #[error(
        "the reply is a ticket for {found}, asked was {asked}; the reply was altered or the KDC is not to be trusted"
    )]
    ServerDiffers {
        /// The service in the request.
        asked: String,
        /// The service in the reply's encrypted part.
        found: String,
    },
    /// The clear part of the ticket names another service than the encrypted part of the reply
    /// (RFC 4120 section 3.1.5: the ticket's own clear names are not to be believed).
    #[error(
        "the reply says the ticket is for {encrypted}, the ticket itself says {clear}; the ticket was exchanged on the way"
    )]
    TicketServerDiffers {
        /// The service in the encrypted part.
        encrypted: String,
        /// The service in the clear part of the ticket.
        clear: String,
    },
    /// The reply is encrypted in a type that was not in the request (RFC 4120 section 3.1.3).
    #[error(
        "the reply is encrypted in {enctype}, which the request did not offer; the reply was altered or the KDC is faulty"
    )]
    ReplyEnctypeNotRequested {
        /// The encryption type of the reply.
        enctype: Enctype,
    },
    /// The session key's type was not in the request (RFC 4120 section 3.1.3).
    #[error(
        "the ticket's session key is of {enctype}, which the request did not offer; the KDC's session enctypes for the service need a look"
    )]
    SessionEnctypeNotRequested {
        /// The encryption type of the session key.
        enctype: Enctype,
    },
    /// The start time is neither now nor the time that was asked for (RFC 4120 section 3.1.5).
    #[error(
        "the ticket starts at {found}, expected was {expected} give or take {skew} s; synchronise the clocks of this host and the KDC"
    )]
    StartTimeDiffers {
        /// What was asked for, or the present.
        expected: Timestamp,
        /// The ticket's.
        found: Timestamp,
        /// The allowance in seconds.
        skew: u64,
    },
    /// The ticket lives longer than asked (RFC 4120 section 3.1.5).
    #[error(
        "the ticket ends at {found}, asked was {asked} at the latest; the KDC must not lengthen it"
    )]
    EndTimeBeyondRequest {
        /// The end time in the request.
        asked: Timestamp,
        /// The ticket's.
        found: Timestamp,
    },
    /// The ticket can be renewed longer than asked (RFC 4120 section 3.1.5), or past the limit of
    /// the ticket that it renews (section 3.3).
    #[error(
        "the ticket is renewable till {found}, asked was {asked} at the latest; the KDC must not lengthen it"
    )]
    RenewTillBeyondRequest {
        /// The limit in the request, or of the old ticket.
        asked: Timestamp,
        /// The ticket's.
        found: Timestamp,
    },
    /// A flag that only the client may ask for is set unasked (RFC 4120 section 3.1.5).
    #[error(
        "the ticket has the flags {flags}, which were not asked for; the KDC must not widen it"
    )]
    FlagsBeyondRequest {
        /// The names of the flags.
        flags: String,
    },
    /// A renewed or validated ticket lacks what the old one had (RFC 4120 section 3.3).
    #[error("the ticket after {operation} is not the old one with new times: {difference}")]
    NotTheSameTicket {
        /// Renewal or validation.
        operation: &'static str,
        /// What differs.
        difference: &'static str,
    },
    /// enc-pa-rep is set and there is no checksum of the request (RFC 6806 section 11).
    #[error(
        "the reply claims to confirm the request and carries no checksum of it (RFC 6806 section 11); the reply or the KDC is faulty"
    )]
    RequestChecksumMissing,
    /// The KDC saw another request than the one that was sent (RFC 6806 section 11).
    #[error(
        "the KDC's checksum of the request does not match what was sent: the request was altered on the way; somebody may be trying to weaken the login"
    )]
    RequestChecksumDiffers,
    /// The KDC wants ever more rounds of pre-authentication.
    #[error(
        "the KDC asked for pre-authentication {limit} times without coming to an end; its reply was altered or its configuration goes in circles"
    )]
    TooManyPreauthRounds {
        /// The limit.
        limit: usize,
    },
    /// ETYPE-INFO2 names no type that was requested (RFC 4120 section 5.2.7.5).
    #[error(
        "the KDC offers {offered} for pre-authentication, permitted are {permitted}; give the account a key of a permitted type (a new password does)"
    )]
    NoCommonEnctype {
        /// What ETYPE-INFO2 or ETYPE-INFO lists.
        offered: String,
        /// What the request listed.
        permitted: String,
    },
    /// The KDC says over a stream that its answer does not fit a datagram (RFC 4120 section 7.2.1).
    #[error(
        "the KDC says that its answer is too big for a datagram, though it was asked over a stream; it or a proxy is faulty"
    )]
    TooBigForStream,
    /// A referral leads to a realm that was visited before (RFC 6806 section 8).
    #[error("the KDCs refer in a circle: {path}; the trusts between these realms need a look")]
    ReferralLoop {
        /// The realms visited, in order.
        path: String,
    },
    /// Too many referrals (RFC 6806 section 8).
    #[error(
        "more than {limit} referrals: {path}; the service's realm cannot be found this way, name it as service/host@REALM"
    )]
    TooManyReferrals {
        /// The limit.
        limit: usize,
        /// The realms visited, in order.
        path: String,
    },
    /// A referral ticket comes from another realm than the one asked (RFC 6806 section 8).
    #[error("realm {asked} was asked and the referral is from {found}; the reply was altered")]
    ReferralFromOtherRealm {
        /// The realm that was asked.
        asked: String,
        /// The realm that the ticket is from.
        found: String,
    },
    /// The client's realm was changed by KDC-ERR-WRONG-REALM too often (RFC 6806 section 7).
    #[error("the account is referred from realm to realm: {path}; name its realm")]
    WrongRealmLoop {
        /// The realms visited, in order.
        path: String,
    },
}

/// The KDC answered with a KRB-ERROR. It is not authenticated: somebody on the path may have made
/// it up (RFC 4120 section 3.1.6), and it is believed for nothing but this text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KdcRefused {
    /// The error code (RFC 4120 section 7.5.9).
    pub code: i32,
    /// What was being asked for: "the ticket-granting ticket of alice@R", …
    pub request: String,
    /// The KDC's own words, cleaned of control characters and cut.
    pub e_text: Option<String>,
    /// The realm whose KDC answered.
    pub realm: String,
    /// The KDC's time, when it told it.
    pub server_time: Option<Timestamp>,
    /// This host's time when the reply was read.
    pub local_time: Timestamp,
    /// What to do.
    pub advice: String,
}

impl KdcRefused {
    /// The code's name in RFC 4120, such as `KDC_ERR_C_PRINCIPAL_UNKNOWN`.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        error_code::name(self.code)
    }
}

impl core::error::Error for KdcRefused {}

impl fmt::Display for KdcRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the KDC of realm {} refused {}: ",
            self.realm, self.request
        )?;
        write_code(f, self.code, self.e_text.as_deref())?;
        write!(f, "; {}", self.advice)
    }
}

/// The acceptor answered the AP-REQ with a KRB-ERROR, which is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerRefused {
    /// The error code (RFC 4120 section 7.5.9).
    pub code: i32,
    /// The acceptor's own words, cleaned of control characters and cut.
    pub e_text: Option<String>,
    /// The service that the ticket is for.
    pub service: String,
    /// The acceptor's time.
    pub server_time: Timestamp,
    /// This host's time when the reply was read.
    pub local_time: Timestamp,
    /// What to do.
    pub advice: String,
}

impl core::error::Error for PeerRefused {}

impl fmt::Display for PeerRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service {} refused the login: ", self.service)?;
        write_code(f, self.code, self.e_text.as_deref())?;
        write!(f, "; {}", self.advice)
    }
}

fn write_code(f: &mut fmt::Formatter<'_>, code: i32, text: Option<&str>) -> fmt::Result {
    match error_code::name(code) {
        Some(name) => write!(f, "{name} ({code})")?,
        None => write!(f, "error {code}")?,
    }
    match text {
        Some(text) => write!(f, " \"{text}\""),
        None => Ok(()),
    }
}

/// The other side of an AP exchange breaks a rule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A key of the right principal, version and type does not open the ticket
    /// (RFC 4120 section 3.2.3, KRB_AP_ERR_MODIFIED).
    #[error("the ticket for {server} ({enctype}, key version {kvno}) does not decrypt under any of the {tried} fitting keys; the service's password was changed without its version, or the ticket was altered: export the keytab anew", kvno = kvno_text(*.kvno))]
    TicketDoesNotDecrypt {
        /// The service in the ticket's clear part.
        server: String,
        /// The ticket's encryption type.
        enctype: Enctype,
        /// The key version in the ticket.
        kvno: Option<u32>,
        /// How many keys were tried.
        tried: usize,
    },
    /// The authenticator does not decrypt under the ticket's session key
    /// (RFC 4120 section 3.2.3, KRB_AP_ERR_BAD_INTEGRITY).
    #[error(
        "the authenticator does not decrypt under the ticket's session key: whoever sent the ticket does not own it, or the message was altered"
    )]
    AuthenticatorDoesNotDecrypt,
    /// The authenticator names another client than the ticket
    /// (RFC 4120 section 3.2.3, KRB_AP_ERR_BADMATCH).
    #[error(
        "the authenticator is of {authenticator}, the ticket of {ticket}; the sender poses as somebody else"
    )]
    ClientsDiffer {
        /// The client in the authenticator.
        authenticator: String,
        /// The client in the ticket.
        ticket: String,
    },
    /// The authenticator's time is too far from ours (RFC 4120 section 3.2.3, KRB_AP_ERR_SKEW).
    #[error(
        "the client {client} says {client_time}, this host {server_time}: more than {skew} s apart; synchronise the clocks"
    )]
    ClockSkew {
        /// The client.
        client: String,
        /// The authenticator's time.
        client_time: Timestamp,
        /// This host's time.
        server_time: Timestamp,
        /// The allowance in seconds.
        skew: u64,
    },
    /// The ticket is not valid yet (RFC 4120 section 3.2.3, KRB_AP_ERR_TKT_NYV).
    #[error(
        "the ticket of {client} is valid from {starttime} on, now is {now}; synchronise the clocks, or wait"
    )]
    TicketNotYetValid {
        /// The client.
        client: String,
        /// When the ticket starts.
        starttime: Timestamp,
        /// This host's time.
        now: Timestamp,
    },
    /// The ticket is postdated and was not validated (RFC 4120 section 2.2, KRB_AP_ERR_TKT_NYV).
    #[error(
        "the ticket of {client} has the flag invalid: it is postdated and no KDC validated it (kinit -v)"
    )]
    TicketInvalid {
        /// The client.
        client: String,
    },
    /// The ticket is over (RFC 4120 section 3.2.3, KRB_AP_ERR_TKT_EXPIRED).
    #[error("the ticket of {client} ended at {endtime}, now is {now}; the client needs a new one")]
    TicketExpired {
        /// The client.
        client: String,
        /// When the ticket ended.
        endtime: Timestamp,
        /// This host's time.
        now: Timestamp,
    },
    /// AD-KDC-ISSUED or another element that must verify does not (RFC 4120 section 5.2.6.2).
    #[error(
        "authorization data of type {ad_type} cannot be decoded; the ticket or authenticator is faulty"
    )]
    AuthorizationDataMalformed {
        /// The type of the element.
        ad_type: i32,
    },
    /// A GSS AP-REQ has no checksum (RFC 4121 section 4.1.1).
    #[error(
        "the authenticator has no checksum, which a GSS context must have (RFC 4121 section 4.1.1)"
    )]
    ChecksumMissing,
    /// The authenticator's checksum is not of type 0x8003 (RFC 4121 section 4.1.1).
    #[error(
        "the authenticator's checksum is of type {found}, a GSS context must have 0x8003 (RFC 4121 section 4.1.1)"
    )]
    ChecksumTypeDiffers {
        /// The type that came.
        found: i32,
    },
    /// The checksum 0x8003 is too short or inconsistent (RFC 4121 section 4.1.1).
    #[error(transparent)]
    ChecksumMalformed(DecodeError),
    /// Both sides name a channel and it is not the same (RFC 4121 section 4.1.1.2).
    #[error(
        "the client's channel bindings are not this channel's: the login was relayed from another connection, or one side names the wrong channel"
    )]
    ChannelBindingsDiffer,
    /// The client names no channel where this side insists on one.
    #[error(
        "the client sent no channel bindings and this service demands them; use a client that binds to the TLS channel"
    )]
    ChannelBindingsMissing,
    /// The client says that it binds channels, and its bindings are gone
    /// (MS-KILE section 3.2.5.8, KERB_AP_OPTIONS_CBT).
    #[error(
        "the client says that it sends channel bindings and none are there: they were stripped on the way"
    )]
    ChannelBindingsStripped,
    /// The AP-REP does not decrypt under the session key (RFC 4120 section 3.2.5).
    #[error(
        "the service's reply does not decrypt under the session key: it does not know the key of {service}, or the reply was altered"
    )]
    ApReplyDoesNotDecrypt {
        /// The service.
        service: String,
    },
    /// ctime or cusec is not the authenticator's (RFC 4120 section 3.2.5).
    #[error(
        "the reply does not repeat the authenticator's time: it belongs to another login, so {service} has not proven itself"
    )]
    ApReplyTimeDiffers {
        /// The service.
        service: String,
    },
    /// The acceptor's sub-key is of a type that was not offered (RFC 4537 section 3).
    #[error("the service chose {enctype} for its sub-key, which was not offered")]
    SubkeyEnctypeNotOffered {
        /// The type of the sub-key.
        enctype: Enctype,
    },
    /// A sub-key that is not a key of its type (RFC 3961 section 3).
    #[error("the sub-key is not a key of type {enctype}")]
    SubkeyMalformed {
        /// The type of the sub-key.
        enctype: Enctype,
    },
    /// The third leg does not repeat the acceptor's sequence number (MS-KILE section 3.4.5.1).
    #[error(
        "the third leg does not repeat this side's sequence number: it belongs to another login"
    )]
    ThirdLegSequenceDiffers,
    /// The third leg is this side's own AP-REP (RFC 4120 section 10).
    #[error(
        "the third leg is this side's own reply sent back; somebody without the key poses as the client"
    )]
    ThirdLegReflected,
    /// The third leg's time is neither the authenticator's nor the present (MS-KILE section 3.4.5.1).
    #[error(
        "the third leg says {found}, neither the authenticator's time nor the present give or take {skew} s; it belongs to another login, or the clocks differ"
    )]
    ThirdLegTimeDiffers {
        /// The time that came.
        found: Timestamp,
        /// The allowance in seconds.
        skew: u64,
    },
    /// A KRB-CRED does not decrypt under the session key (RFC 4120 section 5.8.1).
    #[error(
        "the delegated credential does not decrypt under the session key; it was altered or is meant for another login"
    )]
    CredentialDoesNotDecrypt,
    /// A KRB-CRED is not encrypted (RFC 4120 section 5.8.1).
    #[error(
        "the delegated credential is not encrypted (etype 0), which only very old clients do; its key would be open to all"
    )]
    CredentialNotEncrypted,
    /// A KRB-CRED has not one description for each ticket (RFC 4120 section 5.8.1).
    #[error("the delegated credential has {tickets} tickets and {descriptions} descriptions")]
    CredentialCountDiffers {
        /// Tickets.
        tickets: usize,
        /// KrbCredInfo entries.
        descriptions: usize,
    },
    /// A KRB-CRED leaves out a name or time that a ticket cannot do without.
    #[error("the delegated credential does not say its {field}")]
    CredentialIncomplete {
        /// The field.
        field: &'static str,
    },
}

pub(crate) fn kvno_text(kvno: Option<u32>) -> String {
    kvno.map_or_else(|| "not told".to_owned(), |kvno| kvno.to_string())
}

/// What the other side wants is well-formed and not permitted here.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// An encryption type that is not permitted.
    #[error(
        "{what} is of {enctype}, which is not permitted; give the service AES keys, or permit the type by name"
    )]
    EnctypeNotPermitted {
        /// What is of this type.
        what: &'static str,
        /// The type.
        enctype: Enctype,
    },
    /// The client wants user-to-user authentication (RFC 4120 section 5.5.1), for which this side
    /// holds no ticket.
    #[error(
        "the client used a session key for the ticket (user to user), which this service does not offer"
    )]
    UserToUserNotOffered,
    /// The realms between the client's and ours were checked by nobody (RFC 4120 section 2.7).
    #[error(
        "{client} comes from another realm and the path over {transited} was not checked by the KDC; permit the path in [capaths], or let the KDC check it"
    )]
    TransitedNotChecked {
        /// The client.
        client: String,
        /// The realms on the way.
        transited: String,
    },
    /// A realm on the way is not on the permitted path (RFC 4120 section 3.3.3.2).
    #[error(
        "{client} came over realm {realm}, which is not on the permitted path; permit it in [capaths] if it is to be trusted"
    )]
    TransitedNotPermitted {
        /// The client.
        client: String,
        /// The realm that is not on the path.
        realm: String,
    },
    /// The transited field cannot be read (RFC 4120 section 3.3.3.2).
    #[error(
        "the list of realms on the way of {client} cannot be read ({reason}), so it is not trusted"
    )]
    TransitedUnreadable {
        /// The client.
        client: String,
        /// Why not.
        reason: &'static str,
    },
    /// Authorization data that is not understood and must be (RFC 4120 section 5.2.6).
    #[error(
        "authorization data of type {ad_type} restricts the ticket in a way that is not understood here, so the login is refused"
    )]
    AuthorizationDataUnknown {
        /// The type of the element.
        ad_type: i32,
    },
    /// The ticket may be used from other addresses only (RFC 4120 section 3.2.3).
    #[error(
        "the ticket may not be used from the client's address; get one without addresses (noaddresses)"
    )]
    AddressNotListed,
    /// A name with marshalled target information behind it (CVE-2025-33073).
    #[error(
        "the service name {name} ends in marshalled target information, by which a login can be relayed to another host; name the host plainly"
    )]
    MarshalledTarget {
        /// The name.
        name: String,
    },
}

/// No key, password or ticket fits what is to be done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialFailure {
    /// The keytab has no key for the ticket (RFC 4120 section 3.2.3, KRB_AP_ERR_NOKEY).
    #[error("no key for the ticket: it is for {server}, {enctype}, key version {kvno}; the keytab has {available}; export the keytab anew, or let the client get a new ticket", kvno = kvno_text(*.kvno))]
    NoKeyForTicket {
        /// The service in the ticket's clear part.
        server: String,
        /// The ticket's encryption type.
        enctype: Enctype,
        /// The key version in the ticket.
        kvno: Option<u32>,
        /// What the keytab has, as text.
        available: String,
    },
    /// The KDC replied in a type for which the keytab has no key.
    #[error(
        "no key of {enctype} for {client}; available are {available}; export the keytab with that type"
    )]
    NoClientKey {
        /// The client.
        client: String,
        /// The type that is needed.
        enctype: Enctype,
        /// The types at hand.
        available: String,
    },
    /// None of the keytab's keys is of a permitted type.
    #[error(
        "no key of {client} is of a permitted type: there are {available}, permitted are {permitted}; export the keytab with a permitted type"
    )]
    NoPermittedClientKey {
        /// The client.
        client: String,
        /// The types that are permitted.
        permitted: String,
        /// The types at hand.
        available: String,
    },
    /// None of the pre-authentication types that the KDC takes is known here.
    #[error(
        "the KDC wants pre-authentication of type {offered}, none of which can be answered with this secret; permit encrypted timestamps for the account"
    )]
    NoPreauthentication {
        /// The types by number.
        offered: String,
    },
    /// The KDC named no encryption type for the password (RFC 4120 section 3.1.3).
    #[error(
        "the KDC wants an encrypted timestamp and names neither encryption type nor salt for it; without these a password becomes no key"
    )]
    NoEnctypeInfo,
    /// The ticket is over already.
    #[error("the ticket for {server} ended at {endtime}, now is {now}; log in again (kinit)")]
    TicketExpired {
        /// The service.
        server: String,
        /// When it ended.
        endtime: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// The ticket cannot be renewed.
    #[error(
        "the ticket for {server} is not renewable; log in with a renewable lifetime (kinit -r)"
    )]
    NotRenewable {
        /// The service.
        server: String,
    },
}

/// The caller asked for what cannot be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// An exchange was stepped after its end, or without the reply that it waits for.
    #[error("{0}; step an exchange once for each reply and not after its end")]
    OutOfStep(&'static str),
    /// The credentials given as a ticket-granting ticket are for something else.
    #[error("a ticket for {server} was given where a ticket-granting ticket is needed")]
    NotATicketGrantingTicket {
        /// The service of the ticket.
        server: String,
    },
    /// A name that must not be empty is.
    #[error("the {0} is empty")]
    EmptyName(&'static str),
    /// No secret to log in with.
    #[error("no key was given for {client}")]
    NoKeys {
        /// The client.
        client: String,
    },
    /// A value cannot be put into a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Error {
    /// What an acceptor tells its peer: the code of the KRB-ERROR (RFC 4120 section 7.5.9).
    ///
    /// `None` where no KRB-ERROR is due: the failure is not one of an acceptor, or the message was
    /// itself an error. All failures of integrity give codes that tell nothing about keys.
    #[must_use]
    pub fn krb_error_code(&self) -> Option<i32> {
        match self {
            Self::InvalidMessage(_) => Some(error_code::KRB_AP_ERR_MSG_TYPE),
            Self::PeerMisbehaved(fault) => Some(fault.krb_error_code()),
            Self::Policy(fault) => Some(fault.krb_error_code()),
            Self::Credential(CredentialFailure::NoKeyForTicket { .. }) => {
                Some(error_code::KRB_AP_ERR_NOKEY)
            }
            Self::Replay(_) => Some(error_code::KRB_AP_ERR_REPEAT),
            Self::Crypto { .. } | Self::Random(_) => Some(error_code::KRB_ERR_GENERIC),
            Self::KdcMisbehaved(_)
            | Self::KdcRefused(_)
            | Self::PeerRefused(_)
            | Self::Credential(_)
            | Self::Unreachable(_)
            | Self::ApiMisuse(_) => None,
        }
    }

    pub(crate) fn crypto(operation: &'static str) -> impl FnOnce(trihound_crypto::Error) -> Self {
        move |source| Self::Crypto { operation, source }
    }
}

impl PeerMisbehaved {
    fn krb_error_code(&self) -> i32 {
        match self {
            Self::TicketDoesNotDecrypt { .. } => error_code::KRB_AP_ERR_MODIFIED,
            Self::AuthenticatorDoesNotDecrypt
            | Self::SubkeyMalformed { .. }
            | Self::ApReplyDoesNotDecrypt { .. }
            | Self::CredentialDoesNotDecrypt => error_code::KRB_AP_ERR_BAD_INTEGRITY,
            Self::ClientsDiffer { .. } => error_code::KRB_AP_ERR_BADMATCH,
            Self::ClockSkew { .. } => error_code::KRB_AP_ERR_SKEW,
            Self::TicketNotYetValid { .. } | Self::TicketInvalid { .. } => {
                error_code::KRB_AP_ERR_TKT_NYV
            }
            Self::TicketExpired { .. } => error_code::KRB_AP_ERR_TKT_EXPIRED,
            Self::ChecksumMissing | Self::ChecksumTypeDiffers { .. } => {
                error_code::KRB_AP_ERR_INAPP_CKSUM
            }
            Self::ApReplyTimeDiffers { .. }
            | Self::SubkeyEnctypeNotOffered { .. }
            | Self::ThirdLegSequenceDiffers
            | Self::ThirdLegReflected
            | Self::ThirdLegTimeDiffers { .. } => error_code::KRB_AP_ERR_MUT_FAIL,
            Self::AuthorizationDataMalformed { .. }
            | Self::ChecksumMalformed(_)
            | Self::ChannelBindingsDiffer
            | Self::ChannelBindingsMissing
            | Self::ChannelBindingsStripped
            | Self::CredentialNotEncrypted
            | Self::CredentialCountDiffers { .. }
            | Self::CredentialIncomplete { .. } => error_code::KRB_ERR_GENERIC,
        }
    }
}

impl Policy {
    fn krb_error_code(&self) -> i32 {
        match self {
            Self::EnctypeNotPermitted { .. } => error_code::KDC_ERR_ETYPE_NOSUPP,
            Self::UserToUserNotOffered => error_code::KRB_AP_ERR_NO_TGT,
            Self::TransitedNotChecked { .. }
            | Self::TransitedNotPermitted { .. }
            | Self::TransitedUnreadable { .. } => error_code::KRB_AP_PATH_NOT_ACCEPTED,
            Self::AddressNotListed => error_code::KRB_AP_ERR_BADADDR,
            Self::AuthorizationDataUnknown { .. } | Self::MarshalledTarget { .. } => {
                error_code::KRB_ERR_GENERIC
            }
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::InvalidMessage(InvalidMessage::Decode(error))
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::ApiMisuse(ApiMisuse::Encode(error))
    }
}

impl From<TransportFailure> for Error {
    fn from(failure: TransportFailure) -> Self {
        Self::Unreachable(Box::new(failure))
    }
}
