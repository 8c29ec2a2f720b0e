//! MIT's words for what people and scripts look for in the output of its tools.

use std::fmt;

use trihound_asn1::error_code;
use trihound_krb5::{CredentialFailure, Error, KdcMisbehaved, Principal};
use trihound_sansio::DriveError;

use crate::outcome::Failure;

/// Which exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing<'a> {
    /// A login by a password.
    PasswordLogin,
    /// A login by keys.
    KeytabLogin,
    /// The renewal of a ticket.
    Renewal,
    /// The validation of a postdated ticket.
    Validation,
    /// The login for a password change.
    PasswordTicket,
    /// The password change itself.
    PasswordChange,
    /// A ticket for this service.
    ServiceTicket(&'a Principal),
}

impl Doing<'_> {
    /// Whether a password was typed for it.
    fn has_password(self) -> bool {
        matches!(self, Self::PasswordLogin | Self::PasswordTicket)
    }
}

impl fmt::Display for Doing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PasswordLogin | Self::KeytabLogin => f.write_str("getting initial credentials"),
            Self::PasswordTicket => f.write_str("getting initial ticket"),
            Self::PasswordChange => f.write_str("changing password"),
            Self::Renewal => f.write_str("renewing credentials"),
            Self::Validation => f.write_str("validating credentials"),
            Self::ServiceTicket(service) => write!(f, "getting credentials for {service}"),
        }
    }
}

/// The failure of an exchange: where MIT's tools have a phrase for it, that phrase, then cause, evidence and
/// next step in our own words.
pub(crate) fn failed(error: DriveError<Error>, doing: Doing<'_>) -> Failure {
    let phrase = match &error {
        DriveError::Protocol(error) => phrase(error, doing),
        _ => None,
    };
    let failure = Failure::from(error);
    match phrase {
        Some(phrase) => failure.context(format_args!("{phrase} while {doing}")),
        None => failure,
    }
}

fn phrase(error: &Error, doing: Doing<'_>) -> Option<&'static str> {
    match error {
        Error::KdcRefused(refused) => refused_phrase(refused.code, doing),
        Error::KdcMisbehaved(KdcMisbehaved::ReplyDoesNotDecrypt { .. }) if doing.has_password() => {
            Some("Password incorrect")
        }
        Error::KdcMisbehaved(KdcMisbehaved::StartTimeDiffers { .. }) => {
            Some("Clock skew too great in KDC reply")
        }
        Error::Unreachable(_) | Error::PasswordUnknown(_) => Some("Cannot contact any KDC"),
        Error::Credential(CredentialFailure::TicketExpired { .. }) => Some("Ticket expired"),
        _ => None,
    }
}

fn refused_phrase(code: i32, doing: Doing<'_>) -> Option<&'static str> {
    Some(match code {
        error_code::KDC_ERR_NAME_EXP => "Client's entry in database has expired",
        error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN => "Client not found in Kerberos database",
        error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN => "Server not found in Kerberos database",
        error_code::KDC_ERR_ETYPE_NOSUPP => "KDC has no support for encryption type",
        error_code::KDC_ERR_CLIENT_REVOKED => "Client's credentials have been revoked",
        error_code::KDC_ERR_KEY_EXPIRED => "Password has expired",
        error_code::KDC_ERR_PREAUTH_FAILED if doing.has_password() => "Password incorrect",
        error_code::KDC_ERR_PREAUTH_FAILED => "Preauthentication failed",
        error_code::KRB_AP_ERR_TKT_EXPIRED => "Ticket expired",
        error_code::KRB_AP_ERR_TKT_NYV => "Ticket not yet valid",
        error_code::KRB_AP_ERR_SKEW => "Clock skew too great",
        error_code::KRB_AP_ERR_BADADDR => "Incorrect net address",
        error_code::KDC_ERR_BADOPTION => "KDC can't fulfill requested option",
        error_code::KDC_ERR_POLICY => "KDC policy rejects request",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use trihound_sansio::TransportFailure;

    use super::*;

    #[test]
    fn a_kdc_that_nobody_reaches_is_told_first() {
        let failure = TransportFailure {
            realm: "R".to_owned(),
            attempts: vec![],
            advice: "start it".to_owned(),
        };
        let text = failed(DriveError::Protocol(failure.into()), Doing::Renewal).to_string();
        let begin = "Cannot contact any KDC while renewing credentials: ";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.ends_with("start it"), "{text}");
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_first() {
        let [expected, found] = [1, 4000].map(trihound_sansio::Timestamp::from_seconds);
        let wrong = KdcMisbehaved::StartTimeDiffers {
            expected,
            found,
            skew: 300,
        };
        let text = failed(DriveError::Protocol(wrong.into()), Doing::KeytabLogin).to_string();
        let begin = "Clock skew too great in KDC reply while getting initial credentials: ";
        assert!(text.starts_with(begin), "{text}");
    }

    #[test]
    fn only_a_password_can_be_incorrect() {
        let phrases = [Doing::PasswordLogin, Doing::KeytabLogin]
            .map(|doing| refused_phrase(error_code::KDC_ERR_PREAUTH_FAILED, doing));
        assert_eq!(
            phrases,
            [Some("Password incorrect"), Some("Preauthentication failed")]
        );
        assert_eq!(refused_phrase(60, Doing::KeytabLogin), None);
    }
}
