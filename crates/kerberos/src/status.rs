//! The one table from errors to SSPI's statuses.

use trihound_asn1::error_code as code;
use trihound_krb5::kpasswd::KpasswdResult;
use trihound_krb5::{
    CredentialFailure, Error as KerberosError, KdcMisbehaved, KpasswdMisbehaved, PacNotTrusted,
    PasswordRefused, PeerMisbehaved, Policy, ReplayError, StoreError,
};
use trihound_sspi::SecurityStatus as Status;

use crate::error::{ContextError, CredentialError, Error, MessageError, TokenError};

impl Error {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Kerberos(error) => kerberos(error),
            Self::Message(error) => error.status(),
            Self::Store(error) => store(error),
            Self::Name(_) => Status::SEC_E_INVALID_PARAMETER,
            Self::Encode(_) => Status::SEC_E_INTERNAL_ERROR,
            Self::Token(error) => error.status(),
            Self::Credential(error) => error.status(),
            Self::Context(error) => error.status(),
            Self::Image(error) => error.status(),
        }
    }
}

impl MessageError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::TokenTooShort { .. }
            | Self::TokenTooLong { .. }
            | Self::NotAWrapToken { .. }
            | Self::NotAMicToken { .. }
            | Self::Framing
            | Self::Filler
            | Self::SealedMic
            | Self::ExtraCount { .. }
            | Self::Padding
            | Self::LayoutNotOfBuffers { .. } => Status::SEC_E_INVALID_TOKEN,
            Self::SentByWrongSide
            | Self::AcceptorSubkeyFlag { .. }
            | Self::HeaderCopyDiffers
            | Self::IntegrityCheckFailed => Status::SEC_E_MESSAGE_ALTERED,
            Self::BufferTooSmall { .. } => Status::SEC_E_BUFFER_TOO_SMALL,
            Self::Sequence(_) => Status::SEC_E_OUT_OF_SEQUENCE,
            Self::Random(_) | Self::Crypto(_) => Status::SEC_E_INTERNAL_ERROR,
        }
    }
}

impl TokenError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Missing { .. }
            | Self::Framing(_)
            | Self::OtherMechanism
            | Self::OtherLeg { .. }
            | Self::FramingMissing
            | Self::AfterEstablishment { .. }
            | Self::TooLong { .. } => Status::SEC_E_INVALID_TOKEN,
        }
    }
}

impl CredentialError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NoIdentity { .. }
            | Self::NoTicketGrantingTicket { .. }
            | Self::NoKeyOfPrincipal { .. }
            | Self::EmptyKeytab
            | Self::OtherDirection { .. }
            | Self::OtherClient { .. }
            | Self::NotForwardable { .. }
            | Self::CacheOfOther { .. }
            | Self::NothingDelegated { .. } => Status::SEC_E_NO_CREDENTIALS,
            Self::UnknownIdentity { .. } => Status::SEC_E_UNKNOWN_CREDENTIALS,
            Self::NoRealm { .. } | Self::WrongSetting { .. } => Status::SEC_E_INVALID_PARAMETER,
            Self::UnservedSetting { .. } => Status::SEC_E_UNSUPPORTED_FUNCTION,
            Self::TooMany => Status::SEC_E_INSUFFICIENT_MEMORY,
            Self::Postdated { .. } => Status::SEC_E_TIME_SKEW,
        }
    }
}

impl ContextError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NoTarget => Status::SEC_E_TARGET_UNKNOWN,
            Self::NoAnonymity => Status::SEC_E_UNSUPPORTED_FUNCTION,
            Self::NotEstablished => Status::SEC_E_NO_CONTEXT,
            Self::NoExchange | Self::OtherRole { .. } | Self::ExchangeUnderWay => {
                Status::SEC_E_INVALID_HANDLE
            }
            Self::Expired { .. } => Status::SEC_E_CONTEXT_EXPIRED,
            Self::NotNegotiated { .. } | Self::UnknownQop { .. } => Status::SEC_E_QOP_NOT_SUPPORTED,
            Self::KeyStreamUsed | Self::NotWritable { .. } => Status::SEC_E_CANNOT_PACK,
            Self::Lifespan { .. } => Status::SEC_E_INVALID_PARAMETER,
            Self::NoAttribute { .. } => Status::SEC_E_UNSUPPORTED_FUNCTION,
        }
    }
}

const fn store(error: &StoreError) -> Status {
    match error {
        StoreError::NoKeytab { .. } | StoreError::NoCache { .. } => Status::SEC_E_NO_CREDENTIALS,
        StoreError::Name { .. } => Status::SEC_E_INVALID_PARAMETER,
        _ => Status::SEC_E_INTERNAL_ERROR,
    }
}

// The enums of the crate below are open to new variants, so each match on them ends in an arm that
// gives away nothing and lets nobody in.

fn kerberos(error: &KerberosError) -> Status {
    match error {
        KerberosError::InvalidMessage(_) => Status::SEC_E_INVALID_TOKEN,
        KerberosError::KdcMisbehaved(fault) => kdc_misbehaved(fault),
        KerberosError::KdcRefused(refusal) => kdc_refused(refusal.code),
        KerberosError::PeerMisbehaved(fault) => peer_misbehaved(fault),
        // As of a token: what came is not what its type says.
        KerberosError::InvalidPac(_) => Status::SEC_E_INVALID_TOKEN,
        KerberosError::PacNotTrusted(fault) => pac_not_trusted(fault),
        KerberosError::PeerRefused(refusal) => peer_refused(refusal.code),
        KerberosError::KpasswdMisbehaved(fault) => kpasswd_misbehaved(fault),
        KerberosError::PasswordRefused(refusal) => password_refused(refusal),
        KerberosError::PasswordUnknown(_) => Status::SEC_E_NO_AUTHENTICATING_AUTHORITY,
        KerberosError::Policy(fault) => policy(fault),
        KerberosError::Credential(fault) => credential(fault),
        KerberosError::Replay(fault) => replay(fault),
        KerberosError::Unreachable(_) => Status::SEC_E_NO_AUTHENTICATING_AUTHORITY,
        KerberosError::ApiMisuse(_) => Status::SEC_E_INVALID_PARAMETER,
        _ => Status::SEC_E_INTERNAL_ERROR,
    }
}

const fn kdc_misbehaved(fault: &KdcMisbehaved) -> Status {
    match fault {
        KdcMisbehaved::ReplyDoesNotDecrypt { .. } => Status::SEC_E_LOGON_DENIED,
        KdcMisbehaved::NoCommonEnctype { .. } => Status::SEC_E_KDC_UNKNOWN_ETYPE,
        KdcMisbehaved::StartTimeDiffers { .. } => Status::SEC_E_TIME_SKEW,
        KdcMisbehaved::RequestChecksumDiffers => Status::SEC_E_DOWNGRADE_DETECTED,
        KdcMisbehaved::ReferralLoop { .. }
        | KdcMisbehaved::TooManyReferrals { .. }
        | KdcMisbehaved::WrongRealmLoop { .. } => Status::SEC_E_MAX_REFERRALS_EXCEEDED,
        _ => Status::SEC_E_ILLEGAL_MESSAGE,
    }
}

fn kdc_refused(number: i32) -> Status {
    match number {
        code::KDC_ERR_C_PRINCIPAL_UNKNOWN
        | code::KDC_ERR_NAME_EXP
        | code::KDC_ERR_CLIENT_REVOKED
        | code::KDC_ERR_CLIENT_NOTYET
        | code::KDC_ERR_KEY_EXPIRED
        | code::KDC_ERR_PREAUTH_FAILED
        | code::KDC_ERR_POLICY
        | code::KRB_AP_ERR_BAD_INTEGRITY => Status::SEC_E_LOGON_DENIED,
        code::KDC_ERR_S_PRINCIPAL_UNKNOWN
        | code::KDC_ERR_SERVICE_EXP
        | code::KDC_ERR_SERVICE_REVOKED
        | code::KDC_ERR_SERVICE_NOTYET => Status::SEC_E_TARGET_UNKNOWN,
        code::KDC_ERR_ETYPE_NOSUPP => Status::SEC_E_KDC_UNKNOWN_ETYPE,
        code::KDC_ERR_PADATA_TYPE_NOSUPP => Status::SEC_E_UNSUPPORTED_PREAUTH,
        code::KRB_AP_ERR_SKEW => Status::SEC_E_TIME_SKEW,
        code::KRB_AP_ERR_TKT_EXPIRED => Status::SEC_E_NO_CREDENTIALS,
        code::KDC_ERR_SVC_UNAVAILABLE => Status::SEC_E_NO_AUTHENTICATING_AUTHORITY,
        _ => Status::SEC_E_KDC_INVALID_REQUEST,
    }
}

const fn kpasswd_misbehaved(fault: &KpasswdMisbehaved) -> Status {
    match fault {
        KpasswdMisbehaved::PrivateDoesNotDecrypt
        | KpasswdMisbehaved::Reflected
        | KpasswdMisbehaved::SuccessNotAuthenticated => Status::SEC_E_MESSAGE_ALTERED,
        KpasswdMisbehaved::SequenceDiffers | KpasswdMisbehaved::FreshnessMissing => {
            Status::SEC_E_OUT_OF_SEQUENCE
        }
        KpasswdMisbehaved::TimeDiffers => Status::SEC_E_TIME_SKEW,
        // CutShort, LengthDiffers, VersionUnknown, ResultMissing
        _ => Status::SEC_E_ILLEGAL_MESSAGE,
    }
}

/// A new password that is refused is told apart from an old one that is wrong.
const fn password_refused(refusal: &PasswordRefused) -> Status {
    match refusal.result {
        Some(KpasswdResult::SOFT_ERROR | KpasswdResult::HARD_ERROR) => {
            Status::ERROR_PASSWORD_RESTRICTION
        }
        Some(KpasswdResult::MALFORMED | KpasswdResult::BAD_VERSION) => {
            Status::SEC_E_KDC_INVALID_REQUEST
        }
        _ => Status::SEC_E_LOGON_DENIED,
    }
}

const fn peer_misbehaved(fault: &PeerMisbehaved) -> Status {
    match fault {
        PeerMisbehaved::TicketDoesNotDecrypt { .. }
        | PeerMisbehaved::AuthenticatorDoesNotDecrypt => Status::SEC_E_MESSAGE_ALTERED,
        PeerMisbehaved::ClockSkew { .. }
        | PeerMisbehaved::CredentialNotCurrent { .. }
        | PeerMisbehaved::TicketNotYetValid { .. } => Status::SEC_E_TIME_SKEW,
        PeerMisbehaved::TicketExpired { .. } => Status::SEC_E_CONTEXT_EXPIRED,
        PeerMisbehaved::ChannelBindingsDiffer
        | PeerMisbehaved::ChannelBindingsMissing
        | PeerMisbehaved::ChannelBindingsStripped => Status::SEC_E_BAD_BINDINGS,
        PeerMisbehaved::ApReplyDoesNotDecrypt { .. }
        | PeerMisbehaved::ApReplyTimeDiffers { .. } => Status::SEC_E_MUTUAL_AUTH_FAILED,
        PeerMisbehaved::SubkeyEnctypeNotOffered { .. } => Status::SEC_E_ALGORITHM_MISMATCH,
        PeerMisbehaved::AuthorizationDataMalformed { .. }
        | PeerMisbehaved::ChecksumMissing
        | PeerMisbehaved::ChecksumTypeDiffers { .. }
        | PeerMisbehaved::ChecksumMalformed(_)
        | PeerMisbehaved::SubkeyMalformed { .. }
        | PeerMisbehaved::CredentialDoesNotDecrypt
        | PeerMisbehaved::CredentialNotEncrypted
        | PeerMisbehaved::CredentialCountDiffers { .. }
        | PeerMisbehaved::CredentialIncomplete { .. } => Status::SEC_E_INVALID_TOKEN,
        // ClientsDiffer, CredentialOfOther, TicketInvalid, ThirdLegSequenceDiffers, ThirdLegTimeDiffers
        _ => Status::SEC_E_LOGON_DENIED,
    }
}

const fn pac_not_trusted(fault: &PacNotTrusted) -> Status {
    match fault {
        PacNotTrusted::SignatureNotKeyed { .. }
        | PacNotTrusted::SignatureTypeDiffers { .. }
        | PacNotTrusted::SignatureInvalid { .. } => Status::SEC_E_MESSAGE_ALTERED,
        PacNotTrusted::BufferMissing { .. } | PacNotTrusted::TicketWithoutPac => {
            Status::SEC_E_INVALID_TOKEN
        }
        // ClientNameDiffers, ClientIdDiffers, RequestorDiffers, UserSidsDiffer: somebody else's
        _ => Status::SEC_E_LOGON_DENIED,
    }
}

fn peer_refused(number: i32) -> Status {
    match number {
        code::KRB_AP_ERR_SKEW | code::KRB_AP_ERR_TKT_NYV => Status::SEC_E_TIME_SKEW,
        code::KRB_AP_ERR_TKT_EXPIRED => Status::SEC_E_CONTEXT_EXPIRED,
        code::KRB_AP_ERR_MODIFIED
        | code::KRB_AP_ERR_NOKEY
        | code::KRB_AP_ERR_BADKEYVER
        | code::KRB_AP_ERR_NOT_US => Status::SEC_E_WRONG_PRINCIPAL,
        code::KDC_ERR_ETYPE_NOSUPP => Status::SEC_E_ALGORITHM_MISMATCH,
        _ => Status::SEC_E_LOGON_DENIED,
    }
}

const fn policy(fault: &Policy) -> Status {
    match fault {
        Policy::EnctypeNotPermitted { .. } => Status::SEC_E_ALGORITHM_MISMATCH,
        Policy::UserToUserNotOffered => Status::SEC_E_NO_TGT_REPLY,
        Policy::MarshalledTarget { .. } => Status::SEC_E_TARGET_UNKNOWN,
        Policy::EncryptedTimestampDisabled { .. } => Status::SEC_E_UNSUPPORTED_PREAUTH,
        // Transited, AuthorizationDataUnknown, AddressNotListed, PacMissing, PacWithoutUserSid
        _ => Status::SEC_E_LOGON_DENIED,
    }
}

const fn credential(fault: &CredentialFailure) -> Status {
    match fault {
        CredentialFailure::NoKeyForTicket { .. } => Status::SEC_E_NO_KERB_KEY,
        CredentialFailure::NoPreauthentication { .. } | CredentialFailure::NoEnctypeInfo => {
            Status::SEC_E_UNSUPPORTED_PREAUTH
        }
        // NoClientKey, TicketExpired, NotRenewable
        _ => Status::SEC_E_NO_CREDENTIALS,
    }
}

const fn replay(fault: &ReplayError) -> Status {
    match fault {
        ReplayError::ReplayCacheFull { .. } => Status::SEC_E_INSUFFICIENT_MEMORY,
        ReplayError::Unavailable { .. } => Status::SEC_E_INTERNAL_ERROR,
        // ReplayedAuthenticator
        _ => Status::SEC_E_LOGON_DENIED,
    }
}
