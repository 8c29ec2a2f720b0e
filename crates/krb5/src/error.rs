//! What can go wrong in an exchange, by culprit.

use core::fmt;

use thiserror::Error;
use trihound_asn1::{DecodeError, EncodeError, error_code};
use trihound_crypto::Enctype;
use trihound_sansio::{RandomFailure, Timestamp, TransportFailure};

use crate::ReplayError;

mod kdc;
mod kpasswd;
mod pac;
mod peer;

pub use kdc::{KdcMisbehaved, KdcRefused};
pub use kpasswd::{KpasswdMisbehaved, PasswordRefused, PasswordUnknown};
pub use pac::{InvalidPac, PacNotTrusted};
pub use peer::{PeerMisbehaved, PeerRefused};

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
    /// The reply of a password service breaks a rule.
    #[error(transparent)]
    KpasswdMisbehaved(#[from] KpasswdMisbehaved),
    /// The password service did not change the password.
    #[error(transparent)]
    PasswordRefused(Box<PasswordRefused>),
    /// The password service was asked and nobody answered.
    #[error(transparent)]
    PasswordUnknown(Box<PasswordUnknown>),
    /// The bytes of a ticket's PAC are not a PAC.
    #[error(transparent)]
    InvalidPac(#[from] InvalidPac),
    /// A ticket's PAC must not be believed.
    #[error(transparent)]
    PacNotTrusted(#[from] PacNotTrusted),
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

fn kvno_text(kvno: Option<u32>) -> String {
    kvno.map_or_else(|| "not told".to_owned(), |kvno| kvno.to_string())
}

/// What the other side wants is well-formed and not permitted here.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// An encryption type that is not permitted.
    #[error(
        "{what} is of {enctype}, which is not permitted here; give the service a key of a permitted type \
         (permitted_enctypes), or permit this one by name"
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
    /// The ticket has no PAC and policy demands one (MS-KILE section 3.3.5.7; CVE-2020-25719).
    #[error(
        "the ticket of {client} has no PAC, which this service demands; have the KDC issue one (in Active \
         Directory: the account must not have NO_AUTH_DATA_REQUIRED), or take tickets without"
    )]
    PacMissing {
        /// The client.
        client: String,
    },
    /// The PAC does not say who the user is, and policy demands it (MS-PAC sections 2.5 and 2.10;
    /// CVE-2020-25717).
    #[error(
        "the PAC of {client} has no SID, by which this service knows its users; the KDC is no domain \
         controller, or take PACs without"
    )]
    PacWithoutUserSid {
        /// The client.
        client: String,
    },
    /// The configuration keeps the client from proving itself by an encrypted timestamp, and there
    /// is no other way here (krb5.conf(5)).
    #[error(
        "the KDC of {realm} wants pre-authentication and [realms] {realm} disable_encrypted_timestamp \
         = true forbids the only kind that is there; remove that line"
    )]
    EncryptedTimestampDisabled {
        /// The realm.
        realm: String,
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
        "the KDC wants pre-authentication of {client} and takes {offered}, none of which a password or key can answer here. \
         It leaves encrypted timestamps out where the account has no key of the types asked for ({asked}): set its password \
         anew so that it gets AES keys, or permit its type (permitted_enctypes; rc4-hmac needs allow_rc4 = true)"
    )]
    NoPreauthentication {
        /// The client.
        client: String,
        /// The types by number.
        offered: String,
        /// The encryption types of the request.
        asked: String,
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
    /// A ticket for something else was to change a password (RFC 3244 section 2).
    #[error(
        "a ticket for {server} cannot change a password; get an initial one for kadmin/changepw"
    )]
    NotAPasswordTicket {
        /// The service of the ticket.
        server: String,
    },
    /// A message is longer than its length can say.
    #[error("{what} would have {length} bytes, and {limit} are the most that it can have")]
    MessageTooLong {
        /// Which message.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
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
            // One code for all, so that the peer learns nothing of which check failed.
            Self::InvalidPac(_) | Self::PacNotTrusted(_) => Some(error_code::KRB_AP_ERR_MODIFIED),
            Self::Policy(fault) => Some(fault.krb_error_code()),
            Self::Credential(CredentialFailure::NoKeyForTicket { .. }) => {
                Some(error_code::KRB_AP_ERR_NOKEY)
            }
            Self::Replay(_) => Some(error_code::KRB_AP_ERR_REPEAT),
            Self::Crypto { .. } | Self::Random(_) => Some(error_code::KRB_ERR_GENERIC),
            Self::KdcMisbehaved(_)
            | Self::KdcRefused(_)
            | Self::KpasswdMisbehaved(_)
            | Self::PasswordRefused(_)
            | Self::PasswordUnknown(_)
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

impl Policy {
    fn krb_error_code(&self) -> i32 {
        match self {
            Self::EnctypeNotPermitted { .. } => error_code::KDC_ERR_ETYPE_NOSUPP,
            Self::UserToUserNotOffered => error_code::KRB_AP_ERR_NO_TGT,
            Self::TransitedNotChecked { .. }
            | Self::TransitedNotPermitted { .. }
            | Self::TransitedUnreadable { .. } => error_code::KRB_AP_PATH_NOT_ACCEPTED,
            Self::AddressNotListed => error_code::KRB_AP_ERR_BADADDR,
            Self::AuthorizationDataUnknown { .. }
            | Self::PacMissing { .. }
            | Self::PacWithoutUserSid { .. }
            | Self::MarshalledTarget { .. }
            | Self::EncryptedTimestampDisabled { .. } => error_code::KRB_ERR_GENERIC,
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
