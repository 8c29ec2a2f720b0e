use thiserror::Error;
use trihound_asn1::{EncodeError, KerberosTime};
use trihound_krb5::NameError;
use trihound_sansio::RandomFailure;

/// Why a realm could not be made or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A principal's text is not a name.
    #[error("a principal of the test realm has no proper name: {0}")]
    Name(#[from] NameError),
    /// Two entries have the same name.
    #[error("the principal {0} is in the test realm twice; remove one")]
    Duplicate(String),
    /// A principal is asked for that was never added.
    #[error("the test realm has no principal {0}; add it with the builder")]
    UnknownPrincipal(String),
    /// A key could not be made.
    #[error("a key of {principal} cannot be made: {source}")]
    Key {
        /// Whose key.
        principal: String,
        /// What the crypto core said.
        source: trihound_crypto::Error,
    },
    /// A principal has no key of any enctype that the realm has.
    #[error("{0} has no key of an enctype that the test realm permits")]
    NoKey(String),
    /// The source of randomness failed.
    #[error(transparent)]
    Random(#[from] RandomFailure),
    /// This platform has no clock or randomness of its own.
    #[error("this platform has no {0} of its own: hand one to the builder")]
    NotOnThisPlatform(&'static str),
    /// A socket of the loopback server failed.
    #[error("the loopback server cannot start: {0}")]
    Server(#[from] std::io::Error),
    /// The realm asked for is not among those of the transport.
    #[error("a trust names this realm itself ({0})")]
    TrustWithItself(String),
}

/// Why a request is answered with a KRB-ERROR.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// One of [`trihound_asn1::error_code`].
    pub(crate) code: i32,
    /// For the person who reads the client's message.
    pub(crate) text: String,
    /// METHOD-DATA, for the codes that carry it.
    pub(crate) data: Option<Vec<u8>>,
}

impl Refusal {
    pub(crate) fn new(code: i32, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            data: None,
        }
    }

    pub(crate) fn with_data(mut self, data: Vec<u8>) -> Self {
        self.data = Some(data);
        self
    }
}

impl From<EncodeError> for Refusal {
    fn from(error: EncodeError) -> Self {
        Self::new(
            trihound_asn1::error_code::KRB_ERR_GENERIC,
            format!("the reply cannot be encoded: {error}"),
        )
    }
}

impl From<trihound_crypto::Error> for Refusal {
    fn from(error: trihound_crypto::Error) -> Self {
        Self::new(
            trihound_asn1::error_code::KRB_ERR_GENERIC,
            format!("crypto failed: {error}"),
        )
    }
}

/// The time as a message carries it.
pub(crate) fn wire_time(moment: trihound_sansio::Timestamp) -> KerberosTime {
    KerberosTime::from_seconds(moment.seconds())
}
