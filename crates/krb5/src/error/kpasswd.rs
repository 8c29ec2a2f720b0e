//! What a password service can do wrong, and how it refuses.

use core::fmt;

use thiserror::Error;
use trihound_sansio::TransportFailure;

use super::write_code;
use crate::kpasswd::{KpasswdResult, PasswordPolicy};

/// The reply of a password service breaks a rule; it may come from somebody else, and nothing of it was
/// believed. Whether the password was changed is then not known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KpasswdMisbehaved {
    /// The message ends before its header or its AP-REP does (RFC 3244 section 2).
    #[error(
        "the password service's message has {found} bytes where its header needs {needed}; it was cut off"
    )]
    CutShort {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The length field is not the message's length (RFC 3244 section 2).
    #[error("the password service's message says that it has {announced} bytes, and has {found}")]
    LengthDiffers {
        /// What the field says.
        announced: usize,
        /// The length in bytes.
        found: usize,
    },
    /// The version field has a number that is none of this place (RFC 3244 section 2).
    #[error("the password service's message is of version {found:#06x}, due is {expected}")]
    VersionUnknown {
        /// What may come here.
        expected: &'static str,
        /// What the field says.
        found: u16,
    },
    /// The KRB-PRIV is not under the sub-key of the authenticator (RFC 3244 section 2, RFC 4120 section 3.5.2).
    #[error(
        "the KRB-PRIV of the password change does not decrypt under the sub-key of its login; it was altered, \
         or belongs to another change"
    )]
    PrivateDoesNotDecrypt,
    /// The KRB-PRIV has another sequence number than the AP-REP (RFC 4120 section 3.5.2).
    #[error(
        "the password service's answer is out of order: it was altered, or put together of two answers"
    )]
    SequenceDiffers,
    /// The KRB-PRIV has a time that is not the present one (RFC 4120 section 3.5.2).
    #[error(
        "the time in the password service's answer is not the present one; synchronise the clocks"
    )]
    TimeDiffers,
    /// The KRB-PRIV has neither time nor sequence number (RFC 4120 section 3.5.2).
    #[error(
        "the password service's answer has neither a time nor a sequence number, so it could be an old one"
    )]
    FreshnessMissing,
    /// The KRB-PRIV is the one of the request.
    #[error(
        "the answer of the password service is the request's own data, which somebody sent back"
    )]
    Reflected,
    /// The answer is too short to have a result code (RFC 3244 section 2).
    #[error("the password service's answer has no result code")]
    ResultMissing,
    /// A KRB-ERROR, which proves nothing, says that the password was changed (RFC 3244 section 2).
    #[error(
        "an answer that nobody signed says that the password was changed; log in with the new password to see \
         whether it was"
    )]
    SuccessNotAuthenticated,
}

/// The password service did not change the password.
///
/// Where [`Self::krb_error`] is there, the answer was a KRB-ERROR, which is not authenticated: somebody on the
/// path may have made it up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordRefused {
    /// The result (RFC 3244 section 2); `None` for a KRB-ERROR that has none.
    pub result: Option<KpasswdResult>,
    /// The error code of an answer that is not authenticated (RFC 4120 section 7.5.9).
    pub krb_error: Option<i32>,
    /// The service's own words, such as what its policy asks of a password: cleaned of control characters and
    /// cut.
    pub text: Option<String>,
    /// The policy of the domain, from an Active Directory.
    pub policy: Option<PasswordPolicy>,
    /// Whose password.
    pub account: String,
    /// The realm whose service answered.
    pub realm: String,
}

impl PasswordRefused {
    /// Whether the service itself said so. Else anybody on the path may have.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.krb_error.is_none()
    }

    /// What the service says of the reason: the policy in words, else its text.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let policy = self.policy.as_ref().map(ToString::to_string);
        policy
            .filter(|text| !text.is_empty())
            .or_else(|| self.text.clone())
    }
}

impl core::error::Error for PasswordRefused {}

impl fmt::Display for PasswordRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (account, realm) = (&self.account, &self.realm);
        write!(
            f,
            "the password service of realm {realm} did not change the password of {account}: "
        )?;
        match (self.result, self.krb_error) {
            (Some(result), _) => write!(f, "{result}")?,
            (None, Some(code)) => write_code(f, code, None)?,
            (None, None) => f.write_str("without a reason")?,
        }
        if let Some(reason) = self.reason() {
            write!(f, " \"{reason}\"")?;
        }
        let advice = self.result.map_or(
            "see the log of the password service for the reason",
            KpasswdResult::advice,
        );
        write!(f, "; {advice}")?;
        if !self.is_authenticated() {
            f.write_str(
                " (this answer is not authenticated: somebody on the network path may have made it up)",
            )?;
        }
        Ok(())
    }
}

/// The request was sent and nobody answered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "whether the password of {account} was changed is not known: {failure}; try the new password first, then \
     the old one"
)]
#[non_exhaustive]
pub struct PasswordUnknown {
    /// Whose password.
    pub account: String,
    /// What was tried.
    #[source]
    pub failure: TransportFailure,
}
