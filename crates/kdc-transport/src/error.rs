use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::KkdcpError;

/// Why one attempt with one server gave no reply. Its text becomes a line of
/// [`trihound_sansio::TransportFailure::attempts`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The host's name gave no address.
    #[error("the name does not resolve: {0}")]
    Resolve(io::Error),
    /// The name resolved, but to nothing.
    #[error("the name resolves to no address")]
    NoAddress,
    /// Nothing listens there (an ICMP port unreachable, or a TCP reset).
    #[error("refused: no KDC listens there")]
    Refused,
    /// The operating system failed at a step.
    #[error("{step} failed: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No reply came in time.
    #[error("no reply within {0:?}")]
    Silent(Duration),
    /// Replies came, but none that answers the request.
    #[error(
        "{count} datagrams came that do not answer the request, and no other within {waited:?}"
    )]
    Garbage {
        /// How many were ignored.
        count: u32,
        /// How long the wait was.
        waited: Duration,
    },
    /// RFC 4120 section 7.2.2: the top bit of the length is reserved and means an extension.
    #[error("the reply's length has its reserved top bit set ({0:#010x})")]
    ReservedLengthBit(u32),
    /// The length announces more than any reply needs.
    #[error("the reply announces {announced} bytes, the limit is {limit}")]
    TooLong {
        /// What the four length bytes say.
        announced: u32,
        /// The size cap.
        limit: usize,
    },
    /// The length announces nothing.
    #[error("the reply announces 0 bytes")]
    Empty,
    /// The stream ended before the reply was whole.
    #[error("the connection was closed after {received} of {expected} bytes")]
    ClosedEarly {
        /// Bytes that came.
        received: usize,
        /// Bytes that were due.
        expected: usize,
    },
    /// The reply is not of a type that answers the request.
    #[error("the reply is no answer to the request (first byte {first:#04x}, {length} bytes)")]
    NotAnAnswer {
        /// Its first byte.
        first: u8,
        /// Its length.
        length: usize,
    },
    /// The server itself says that it cannot serve (KDC_ERR_SVC_UNAVAILABLE, RFC 4120 section
    /// 7.5.9).
    #[error("the KDC says that its service is not available (KDC_ERR_SVC_UNAVAILABLE)")]
    Unavailable(Vec<u8>),
    /// The function that posts to a KDC proxy failed; its own words.
    #[error("the HTTPS request to the KDC proxy failed: {0}")]
    Https(String),
    /// What the KDC proxy answered is not what MS-KKDCP says.
    #[error("the KDC proxy's answer is of no use: {0}")]
    Kkdcp(#[from] KkdcpError),
    /// The server is a KDC proxy and there is no function that posts to it.
    #[error(
        "a KDC proxy, and this program brings no HTTPS: give the transport a function with \
         `with_https`, or use a build of `trihound` with the feature kkdcp"
    )]
    NoHttps,
    /// A function of the caller's, the resolver's or the one that posts, panicked.
    #[error("the function that was to ask it panicked")]
    Panicked,
    /// Another server answered first, or the time was up.
    #[error("given up")]
    GivenUp,
}

impl AttemptError {
    /// Sorts what the operating system said about `step`.
    pub(crate) fn from_io(step: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            _ => Self::Io { step, source },
        }
    }
}
