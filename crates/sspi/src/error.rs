use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use trihound_sansio::{DriveError, RandomFailure, TransportFailure};

use crate::SecurityStatus;

type Source = Arc<dyn core::error::Error + Send + Sync + 'static>;

/// Why an SSPI function failed: a status, a text, and the chain of errors below it.
///
/// The text names the cause, the evidence and the next step, and is for this host only: a peer
/// learns no more than what the package puts into a token.
#[derive(Clone)]
pub struct Error {
    status: SecurityStatus,
    text: Cow<'static, str>,
    source: Option<Source>,
}

impl Error {
    /// An error of its own, without one below it.
    #[must_use]
    pub fn new(status: SecurityStatus, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            text: text.into(),
            source: None,
        }
    }

    /// An error that only gives a status to the one below it; the text is that one's.
    #[must_use]
    pub fn from_source<E>(status: SecurityStatus, source: E) -> Self
    where
        E: core::error::Error + Send + Sync + 'static,
    {
        Self::new(status, source.to_string()).with_source(source)
    }

    /// SEC_E_UNSUPPORTED_FUNCTION: `function`, by its SSPI name, is not there.
    #[must_use]
    pub fn unsupported(function: &str) -> Self {
        Self::new(
            SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION,
            format!(
                "{function} is not offered by this security package; ask functions() before the call"
            ),
        )
    }

    /// SEC_E_INVALID_HANDLE: the credential handle or context handle names nothing.
    pub(crate) fn invalid_handle(kind: &'static str) -> Self {
        Self::new(
            SecurityStatus::SEC_E_INVALID_HANDLE,
            format!(
                "this {kind} handle names nothing: it was freed, its handshake failed, or it \
                 belongs to another table"
            ),
        )
    }

    /// SEC_E_INVALID_PARAMETER.
    pub(crate) fn parameter(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SecurityStatus::SEC_E_INVALID_PARAMETER, text)
    }

    /// SEC_E_BUFFER_TOO_SMALL: a buffer of `given` bytes where `needed` are.
    #[must_use]
    pub fn buffer_too_small(what: &str, needed: usize, given: usize) -> Self {
        Self::new(
            SecurityStatus::SEC_E_BUFFER_TOO_SMALL,
            format!(
                "the {what} buffer has {given} bytes and {needed} are needed; call again with a \
                 larger one"
            ),
        )
    }

    /// Hangs `source` below this error.
    #[must_use]
    pub fn with_source<E>(mut self, source: E) -> Self
    where
        E: core::error::Error + Send + Sync + 'static,
    {
        self.source = Some(Arc::new(source));
        self
    }

    /// What an SSPI caller gets to see.
    #[must_use]
    pub fn status(&self) -> SecurityStatus {
        self.status
    }

    /// The text without the status.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first error of type `E` in the chain below.
    #[must_use]
    pub fn find_source<E: core::error::Error + 'static>(&self) -> Option<&E> {
        let mut next = core::error::Error::source(self);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.text)
    }
}

/// The text, and of the errors below it what the text does not have: this is what a program shows whose
/// `main` returns an error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.text)?;
        let mut told = self.text.to_string();
        let mut next = core::error::Error::source(self);
        while let Some(error) = next {
            let text = error.to_string();
            if !told.contains(&text) {
                write!(f, "; because: {text}")?;
                told = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

impl From<RandomFailure> for Error {
    fn from(failure: RandomFailure) -> Self {
        Self::from_source(SecurityStatus::SEC_E_INTERNAL_ERROR, failure)
    }
}

impl From<TransportFailure> for Error {
    fn from(failure: TransportFailure) -> Self {
        Self::from_source(SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY, failure)
    }
}

impl From<DriveError<Error>> for Error {
    fn from(error: DriveError<Error>) -> Self {
        match error {
            DriveError::Protocol(error) => error,
            other => Self::new(SecurityStatus::SEC_E_INTERNAL_ERROR, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_below_an_error_is_walked_to_the_type_asked_for() {
        let failure = TransportFailure {
            realm: "R".into(),
            ..TransportFailure::default()
        };
        let error = Error::new(SecurityStatus::SEC_E_INTERNAL_ERROR, "outer")
            .with_source(Error::from(failure.clone()));
        assert_eq!(error.find_source::<TransportFailure>(), Some(&failure));
        assert!(error.find_source::<RandomFailure>().is_none());
        assert_eq!(error.to_string(), "SEC_E_INTERNAL_ERROR: outer");
    }

    #[test]
    fn what_is_below_an_error_is_shown_once() {
        let failure = TransportFailure {
            realm: "R".into(),
            ..TransportFailure::default()
        };
        let error = Error::from(failure);
        assert_eq!(format!("{error:?}"), error.to_string());
        let status = SecurityStatus::SEC_E_INTERNAL_ERROR;
        let outer = Error::new(status, "outer").with_source(error.clone());
        assert_eq!(
            format!("{outer:?}"),
            format!("SEC_E_INTERNAL_ERROR: outer; because: {error}")
        );
    }

    #[test]
    fn an_exchange_in_circles_is_no_success() {
        let error = Error::from(DriveError::<Error>::TooManyRoundTrips);
        assert_eq!(error.status(), SecurityStatus::SEC_E_INTERNAL_ERROR);
        assert!(error.text().contains("round trips"), "{error}");
    }

    #[test]
    fn a_dead_authority_has_its_own_status() {
        let error = Error::from(TransportFailure::default());
        assert_eq!(
            error.status(),
            SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
        );
    }
}
