//! What the other side of an AP exchange can do wrong, and how it refuses.

use core::fmt;

use thiserror::Error;
use trihound_asn1::{DecodeError, error_code};
use trihound_crypto::Enctype;
use trihound_sansio::Timestamp;

use super::{kvno_text, write_code};

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
        "the delegated credential is not encrypted (etype 0), as Heimdal's and Samba's clients send it; it counts only where danger::take_plain_credentials says so"
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
    /// The time of a KRB-CRED is not the present (RFC 4120 section 3.6.2).
    #[error(
        "the delegated credential says {found} and it is {now}, more than {skew} s apart: it was made for another login, or the client's clock is wrong"
    )]
    CredentialNotCurrent {
        /// The time that came.
        found: Timestamp,
        /// Now.
        now: Timestamp,
        /// The allowance in seconds.
        skew: u64,
    },
    /// A client delegated somebody else's ticket; RFC 4121 section 4.1.1 knows the initiator's own only.
    #[error(
        "{client} delegated a ticket of {found}: a service that used it would act for somebody who did not log in to it"
    )]
    CredentialOfOther {
        /// Who logged in.
        client: String,
        /// Whose ticket it is.
        found: String,
    },
}

impl PeerMisbehaved {
    pub(super) fn krb_error_code(&self) -> i32 {
        match self {
            Self::TicketDoesNotDecrypt { .. } => error_code::KRB_AP_ERR_MODIFIED,
            Self::AuthenticatorDoesNotDecrypt
            | Self::SubkeyMalformed { .. }
            | Self::ApReplyDoesNotDecrypt { .. }
            | Self::CredentialDoesNotDecrypt => error_code::KRB_AP_ERR_BAD_INTEGRITY,
            Self::ClientsDiffer { .. } | Self::CredentialOfOther { .. } => {
                error_code::KRB_AP_ERR_BADMATCH
            }
            Self::ClockSkew { .. } | Self::CredentialNotCurrent { .. } => {
                error_code::KRB_AP_ERR_SKEW
            }
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
