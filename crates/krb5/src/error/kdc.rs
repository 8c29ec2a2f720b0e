//! What a KDC can do wrong, and how it refuses.

use core::fmt;

use thiserror::Error;
use trihound_asn1::error_code;
use trihound_crypto::Enctype;
use trihound_sansio::Timestamp;

use super::write_code;

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
    /// The ticket tells until when it can be renewed and is not renewable (RFC 4120 section 5.3).
    #[error(
        "the ticket tells that it is renewable till {found} and is not marked as renewable; the KDC \
         must not contradict itself"
    )]
    RenewTillOfNoRenewableTicket {
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
    /// The ticket from an AS exchange lacks the INITIAL flag (RFC 4120 section 2.1, RFC 3244 section 2).
    #[error(
        "the ticket for {server} is not marked as coming from a password, so that it cannot change one; the KDC \
         is not to be trusted with this"
    )]
    TicketNotInitial {
        /// The service of the ticket.
        server: String,
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
