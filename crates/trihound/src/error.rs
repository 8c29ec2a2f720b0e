use std::io;

use thiserror::Error;

use crate::Refused;

/// Why a connection of [`crate::Client`] or [`crate::Server`] could not be made, or went no further.
///
/// It turns into an [`io::Error`] with `?` where a program has nothing else.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A function of SSPI failed: the handshake was refused, a message does not verify.
    #[error("{0}")]
    Security(#[from] crate::sspi::Error),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection before the handshake was over. A service that refuses a client
    /// may do so without a word.
    #[error(
        "the peer closed the connection in the middle of the handshake; its own log says why, such as \
         a missing attribute or a service of another protocol"
    )]
    ClosedInHandshake,
    /// The connection ended without the peer's end mark, or within a frame: somebody may have cut it.
    #[error(
        "the connection ended without the peer's end mark; it was cut off, or the peer did not call \
         close()"
    )]
    CutOff,
    /// A frame is longer than this side takes.
    #[error(
        "a frame of {length} bytes came where {limit} are the most; the peer speaks another protocol, \
         or max_message() is too small"
    )]
    FrameTooLong {
        /// What the peer announced.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A message to be sent is too long for a frame, or empty, which is the end mark.
    #[error("a message has from 1 to {limit} bytes, this one {length}; close() ends a stream")]
    MessageLength {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The context lacks attributes that this side insists on (RFC 2743 section 2.2.1: a caller looks
    /// at what it got).
    #[error(
        "the context lacks {missing}, which this side insists on; the initiator has to ask for it"
    )]
    AttributesMissing {
        /// Their names.
        missing: String,
    },
    /// The handshake ended on one side and not on the other.
    #[error("the handshake is over on this side, and the peer's token for it is still to be sent")]
    HandshakeOutOfStep,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Security(refused.error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io(error) => return error,
            Error::ClosedInHandshake | Error::CutOff => io::ErrorKind::UnexpectedEof,
            Error::MessageLength { .. } => io::ErrorKind::InvalidInput,
            Error::AttributesMissing { .. } => io::ErrorKind::PermissionDenied,
            Error::Security(_) | Error::FrameTooLong { .. } | Error::HandshakeOutOfStep => {
                io::ErrorKind::InvalidData
            }
        };
        Self::new(kind, error)
    }
}
