use core::fmt;
use std::io;

use thiserror::Error;

use crate::Refused;
use crate::frame::{MAX_TOKEN_FRAME, PREFIX};

/// Why a connection of [`crate::Client`] or [`crate::Server`] could not be made, or went no further.
///
/// It turns into an [`io::Error`] with `?` where a program has nothing else. Its `Debug` is its text,
/// since that is what `fn main() -> Result<(), trihound::Error>` shows to people.
#[derive(Error)]
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
        "the connection ended without the peer's end mark: it was cut off, the peer did not call close(), \
         or a service refused the client's last token, as NTLM's does for a wrong password; the peer's own \
         log says which"
    )]
    CutOff,
    /// The stream was given up at an earlier error, and neither gives nor takes anything more: what
    /// would come next is not what the peer sent next.
    #[error(
        "the stream was given up at an earlier error; open a new connection. The error was: {reason}"
    )]
    StreamGivenUp {
        /// The text of that error.
        reason: String,
    },
    /// The stream cannot be exported: something of it would be lost.
    #[error("the stream cannot go to another process: {reason}")]
    NotExported {
        /// What would be lost.
        reason: &'static str,
    },
    /// The stream's context went to another process, and nothing of it is left here.
    #[error("the stream was exported, and goes on in the process that imported its context")]
    Exported,
    /// A frame is longer than this side takes.
    #[error(
        "a message of {length} bytes came where {limit} are the most; max_message() of this side is too \
         small, or the peer does not keep to the protocol"
    )]
    FrameTooLong {
        /// What the peer announced.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// What came first in the handshake is the beginning of no frame that a handshake has.
    #[error("{}", OtherProtocol(*first))]
    OtherProtocol {
        /// The first four bytes.
        first: [u8; PREFIX],
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
        "the context lacks {missing}, which this side insists on; the initiator has to ask for it, and the \
         mechanism has to have it (NTLM has no MUTUAL_AUTH)"
    )]
    AttributesMissing {
        /// Their names.
        missing: String,
    },
    /// The handshake ended on one side and not on the other.
    #[error("the handshake is over on this side, and the peer's token for it is still to be sent")]
    HandshakeOutOfStep,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Security(error) => fmt::Debug::fmt(error, f),
            other => fmt::Display::fmt(other, f),
        }
    }
}

impl Error {
    /// What an error of a handshake's frame is: a length that no token has is no length.
    pub(crate) fn in_handshake(self) -> Self {
        match self {
            Self::FrameTooLong { length, .. } => {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                let first = length.to_be_bytes();
                Self::OtherProtocol { first }
            }
            other => other,
        }
    }
}

/// What a peer begins with that speaks another protocol.
struct OtherProtocol([u8; PREFIX]);

impl fmt::Display for OtherProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0;
        write!(f, "the peer's first bytes are ")?;
        match core::str::from_utf8(&first) {
            Ok(text) if first.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
                write!(f, "\"{text}\"")?;
            }
            _ => {
                for (index, byte) in first.iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    write!(f, "{space}{byte:02x}")?;
                }
            }
        }
        let guess = match &first {
            b"HTTP" | b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" => ", it speaks HTTP",
            b"SSH-" => ", it speaks SSH",
            // RFC 8446 section 5.1: an alert or a handshake record, of version 3.x.
            [0x15 | 0x16, 0x03, ..] => ", it speaks TLS",
            _ => "",
        };
        write!(
            f,
            ", which begin no handshake of at most {MAX_TOKEN_FRAME} bytes{guess}; look whether host \
             and port are those of the service, and whether it speaks the protocol of this library's \
             streams"
        )
    }
}

/// A client's handshake that the server ended.
///
/// It turns into an [`enum@Error`] with `?`; a server that carries the tokens itself sends the one that is here
/// first, so that the client learns why.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct Rejected {
    /// Why.
    #[source]
    pub error: Error,
    /// What to send to the client (KRB-ERROR), if anything.
    pub token: Option<Vec<u8>>,
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        Self { error, token: None }
    }
}

impl From<Refused> for Rejected {
    fn from(refused: Refused) -> Self {
        Self {
            error: refused.error.into(),
            token: refused.token,
        }
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        rejected.error
    }
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
            Error::StreamGivenUp { .. } | Error::Exported => io::ErrorKind::ConnectionAborted,
            Error::NotExported { .. } => io::ErrorKind::InvalidInput,
            Error::MessageLength { .. } => io::ErrorKind::InvalidInput,
            Error::AttributesMissing { .. } => io::ErrorKind::PermissionDenied,
            Error::Security(_)
            | Error::FrameTooLong { .. }
            | Error::OtherProtocol { .. }
            | Error::HandshakeOutOfStep => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins_with(first: [u8; PREFIX]) -> String {
        Error::OtherProtocol { first }.to_string()
    }

    #[test]
    fn a_peer_of_another_protocol_is_shown_by_its_first_bytes() {
        let told = begins_with(*b"HTTP");
        assert!(told.contains("\"HTTP\", which"), "{told}");
        assert!(told.contains("speaks HTTP;"), "{told}");
        let told = begins_with([0x16, 3, 1, 2]);
        assert!(told.contains("are 16 03 01 02, which"), "{told}");
        assert!(told.contains("speaks TLS;"), "{told}");
        let told = begins_with([0xff, b'a', b'\n', 0x1b]);
        assert!(told.contains("are ff 61 0a 1b, which"), "{told}");
        assert!(!told.contains("it speaks HTTP") && !told.contains("max_message"));
    }

    #[test]
    fn what_main_shows_of_an_error_is_its_text() {
        assert_eq!(format!("{:?}", Error::CutOff), Error::CutOff.to_string());
        let status = crate::sspi::SecurityStatus::SEC_E_NO_CREDENTIALS;
        let below = crate::sspi::Error::from_source(status, Error::CutOff);
        let shown = format!("{:?}", Error::from(below));
        assert!(shown.starts_with("SEC_E_NO_CREDENTIALS: "), "{shown}");
        assert_eq!(shown.matches("end mark").count(), 1, "{shown}");
    }
}
