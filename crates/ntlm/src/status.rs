//! The one table from errors to SSPI's statuses.

use trihound_sspi::SecurityStatus as Status;

use crate::error::{
    ContextError, CredentialError, Error, PeerMisbehaved, PolicyError, TokenError, Unprotected,
    VerifierFailure,
};
use crate::message::MessageError;

impl Error {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Message(error) => message(error),
            Self::Token(error) => error.status(),
            Self::PeerMisbehaved(error) => error.status(),
            Self::Unprotected(error) => error.status(),
            Self::Policy(error) => error.status(),
            Self::Verifier(error) => error.status(),
            Self::Credential(error) => error.status(),
            Self::Context(error) => error.status(),
            Self::Random(_) => Status::SEC_E_INTERNAL_ERROR,
            Self::Image(error) => error.status(),
        }
    }
}

impl TokenError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Missing { .. }
            | Self::AfterEstablishment { .. }
            | Self::BeforeChallenge { .. }
            | Self::TooLong { .. } => Status::SEC_E_INVALID_TOKEN,
        }
    }
}

impl PeerMisbehaved {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NoCharacterSet { .. }
            | Self::FlagsNotOffered { .. }
            | Self::OtherKindOfContext { .. }
            | Self::EncryptedSessionKeyLength { .. }
            | Self::HalfAnonymous { .. } => Status::SEC_E_INVALID_TOKEN,
            Self::PairTwice { .. } | Self::MicMissing | Self::MicDiffers => {
                Status::SEC_E_MESSAGE_ALTERED
            }
            Self::ChannelBindingsDiffer => Status::SEC_E_BAD_BINDINGS,
            Self::TargetNameDiffers { .. } | Self::ServerNameDiffers { .. } => {
                Status::SEC_E_WRONG_PRINCIPAL
            }
            Self::TimeDiffers { .. } => Status::SEC_E_TIME_SKEW,
        }
    }
}

impl Unprotected {
    /// What an SSPI caller gets to see: what MS-NLMP sections 3.1.5.1.2 and 3.2.5.1.2 return where the
    /// peer cannot do what is required.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Missing { .. }
            | Self::KeysTooShort { .. }
            | Self::NoExtendedSessionSecurity { .. }
            | Self::NoKey { .. } => Status::SEC_E_UNSUPPORTED_FUNCTION,
        }
    }
}

impl PolicyError {
    /// What an SSPI caller gets to see. A denied use is what Windows answers where NTLM is restricted:
    /// STATUS_NOT_SUPPORTED (MS-NLMP sections 3.1.5.1.1 and 3.2.5.1.2), which SSPI shows as
    /// SEC_E_UNSUPPORTED_FUNCTION.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Denied { .. } => Status::SEC_E_UNSUPPORTED_FUNCTION,
            Self::ChannelBindingsMissing { .. } => Status::SEC_E_BAD_BINDINGS,
            Self::MarshalledTarget => Status::SEC_E_TARGET_UNKNOWN,
            Self::MicNotPromised { .. }
            | Self::TargetNameMissing
            | Self::OldResponse { .. }
            | Self::AnonymousNotAllowed
            | Self::GuestNotAllowed { .. } => Status::SEC_E_LOGON_DENIED,
        }
    }
}

impl VerifierFailure {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::LogonFailed | Self::AccountRestricted { .. } => Status::SEC_E_LOGON_DENIED,
            Self::Unavailable { .. } => Status::SEC_E_INTERNAL_ERROR,
            Self::Unreachable(_) => Status::SEC_E_NO_AUTHENTICATING_AUTHORITY,
        }
    }
}

impl CredentialError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NoIdentity { .. }
            | Self::NoVerifier
            | Self::OtherDirection { .. }
            | Self::NothingDelegated { .. }
            | Self::Accounts(_)
            | Self::AnonymousNotAsked => Status::SEC_E_NO_CREDENTIALS,
            Self::OtherAccount { .. } | Self::OtherVerifier => Status::SEC_E_UNSUPPORTED_FUNCTION,
            Self::UnknownIdentity { .. } => Status::SEC_E_UNKNOWN_CREDENTIALS,
        }
    }
}

impl ContextError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NotEstablished => Status::SEC_E_NO_CONTEXT,
            Self::NoExchange | Self::OtherRole { .. } | Self::ExchangeUnderWay => {
                Status::SEC_E_INVALID_HANDLE
            }
            Self::NotNegotiated { .. } => Status::SEC_E_QOP_NOT_SUPPORTED,
            Self::KeyStreamUsed | Self::NotWritable => Status::SEC_E_CANNOT_PACK,
            Self::NoAttribute { .. } | Self::NoCredentialAttribute { .. } => {
                Status::SEC_E_UNSUPPORTED_FUNCTION
            }
        }
    }
}

const fn message(error: &MessageError) -> Status {
    match error {
        // This side's own names, and not the peer's bytes.
        MessageError::NotInCodePage
        | MessageError::FieldTooLong { .. }
        | MessageError::AvPairTooLong { .. } => Status::SEC_E_INVALID_PARAMETER,
        _ => Status::SEC_E_INVALID_TOKEN,
    }
}
