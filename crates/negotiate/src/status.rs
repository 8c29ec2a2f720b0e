//! The one table from errors to SSPI's statuses.

use trihound_sspi::SecurityStatus as Status;

use crate::error::{ApiMisuse, Error, NegotiationFailed, PeerMisbehaved, PolicyError, Rejected};

impl Error {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::InvalidMessage(_) | Self::NegoEx(_) => Status::SEC_E_INVALID_TOKEN,
            Self::PeerMisbehaved(error) => error.status(),
            Self::Rejected(error) => error.status(),
            Self::NegotiationFailed(error) => error.status(),
            Self::Policy(error) => error.status(),
            Self::ApiMisuse(error) => error.status(),
            Self::Encode(_) => Status::SEC_E_INTERNAL_ERROR,
            Self::Mechanism { source, .. } => source.status(),
        }
    }
}

impl PeerMisbehaved {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::MicMissing { .. } | Self::MicWrong { .. } => Status::SEC_E_DOWNGRADE_DETECTED,
            Self::MissingToken { .. }
            | Self::AfterEstablishment { .. }
            | Self::UnknownFirstToken { .. }
            | Self::UnofferedMechanism { .. }
            | Self::ChangedMechanism { .. }
            | Self::TokenWithReselection { .. }
            | Self::CompletedTooEarly { .. }
            | Self::MissingMechanismToken { .. }
            | Self::SpuriousMechanismToken { .. }
            | Self::PrematureMic { .. }
            | Self::SecondMic
            | Self::MicWithoutIntegrity { .. }
            | Self::RequestMicTooLate
            | Self::NothingLeft { .. }
            | Self::TooManyLegs { .. } => Status::SEC_E_INVALID_TOKEN,
        }
    }
}

impl Rejected {
    /// What an SSPI caller gets to see: the mechanism's own word where it has one.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.reason {
            Some(reason) => reason.status(),
            None => Status::SEC_E_LOGON_DENIED,
        }
    }
}

impl NegotiationFailed {
    /// What an SSPI caller gets to see: the status of the attempt that decided.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.deciding() {
            Some(attempt) => attempt.error.status(),
            None => Status::SEC_E_SECPKG_NOT_FOUND,
        }
    }
}

impl PolicyError {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NoCommonMechanism { .. } => Status::SEC_E_SECPKG_NOT_FOUND,
            Self::RawTokenRefused { .. } => Status::SEC_E_INVALID_TOKEN,
            Self::UnprotectedReselection { .. } => Status::SEC_E_DOWNGRADE_DETECTED,
            Self::TargetIsAddress { .. } | Self::Reselected { .. } | Self::MarshalledTarget => {
                Status::SEC_E_TARGET_UNKNOWN
            }
        }
    }
}

impl ApiMisuse {
    /// What an SSPI caller gets to see.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NotEstablished => Status::SEC_E_NO_CONTEXT,
            Self::NoExchange | Self::ExchangeUnderWay | Self::OtherRole { .. } => {
                Status::SEC_E_INVALID_HANDLE
            }
            Self::NoDirection | Self::OtherDirection { .. } => Status::SEC_E_NO_CREDENTIALS,
            Self::PackageList { .. } => Status::SEC_E_INVALID_PARAMETER,
            Self::NotAMechanism { .. } => Status::SEC_E_SECPKG_NOT_FOUND,
            Self::CompleteAuthToken { .. } => Status::SEC_E_UNSUPPORTED_FUNCTION,
            Self::TokenTooLong { .. } => Status::SEC_E_INTERNAL_ERROR,
        }
    }
}
