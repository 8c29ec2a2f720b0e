//! Frames on a byte stream, and what a context makes of them: the part that blocking and asynchronous
//! streams share. `docs/manual/programs.md` describes the format for peers of another make.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::io;

use trihound_secret::SecretBytes;
use trihound_sspi::{EstablishedAttributes, InitiatorAttributes, SECQOP_WRAP_NO_ENCRYPT};

use crate::Error;
use crate::message::{SecurityContext, not_encrypted};

/// Bytes of the length in front of each frame.
pub(crate) const PREFIX: usize = 4;

/// The longest handshake frame. `cbMaxToken` of Kerberos is below it.
pub(crate) const MAX_TOKEN_FRAME: usize = 64 * 1024;

/// The longest message that is taken when the program says nothing else.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// What protection adds to a message at most: more than any enctype and framing needs.
const OVERHEAD: usize = 1024;

/// Written data is cut into messages of this length.
const CHUNK: usize = 32 * 1024;

/// The length that a prefix announces, if it is within `limit`.
pub(crate) fn announced(prefix: [u8; PREFIX], limit: usize) -> Result<usize, Error> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(Error::FrameTooLong { length, limit });
    }
    Ok(length)
}

/// A token in its frame.
pub(crate) fn token_frame(token: &[u8]) -> Result<Vec<u8>, Error> {
    let mut frame = vec![0; PREFIX];
    frame.extend_from_slice(token);
    set_prefix(&mut frame)?;
    Ok(frame)
}

fn set_prefix(frame: &mut [u8]) -> Result<(), Error> {
    let length = frame.len().saturating_sub(PREFIX);
    let prefix = u32::try_from(length).map_err(|_| Error::MessageLength {
        length,
        limit: u32::MAX as usize,
    })?;
    if let Some(place) = frame.first_chunk_mut::<PREFIX>() {
        *place = prefix.to_be_bytes();
    }
    Ok(())
}

/// A buffer for what programs say to each other: wiped at its end, and never printed.
#[derive(Default)]
pub(crate) struct Plaintext(Vec<u8>);

impl Plaintext {
    /// Wipes all that the buffer ever held, and gives its memory back.
    pub(crate) fn forget(&mut self) {
        drop(SecretBytes::from(core::mem::take(&mut self.0)));
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Deref for Plaintext {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Plaintext {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes)", self.0.len())
    }
}

/// Whether a stream that failed so, with nothing read of the frame that comes next, may be asked
/// again: a time limit is over, and nothing was lost.
pub(crate) fn may_ask_again(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// The messages of an established context in frames.
#[derive(Debug)]
pub(crate) struct Framing {
    pub(crate) context: SecurityContext,
    confidential: bool,
    max_message: usize,
    /// The peer's end mark came.
    ended: bool,
    /// Ours was made.
    closed: bool,
    /// Why nothing comes or goes any more.
    given_up: Option<String>,
    frame: Plaintext,
}

impl Framing {
    pub(crate) fn new(context: SecurityContext, max_message: usize) -> Self {
        let confidential = match context.established().attributes {
            EstablishedAttributes::Initiator(attributes) => {
                attributes.contains(InitiatorAttributes::CONFIDENTIALITY)
            }
            EstablishedAttributes::Acceptor(attributes) => {
                attributes.contains(trihound_sspi::AcceptorAttributes::CONFIDENTIALITY)
            }
        };
        Self {
            context,
            confidential,
            max_message,
            ended: false,
            closed: false,
            given_up: None,
            frame: Plaintext::default(),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Why the stream has no second half: of an end mark nothing is in the context.
    pub(crate) fn one_way(&self) -> Option<&'static str> {
        if self.ended {
            return Some("the peer has ended its direction; the rest is for this process");
        }
        self.closed
            .then_some("this side has called close(); the rest is for this process")
    }

    /// Whether anything may still come or go.
    pub(crate) fn check_in_use(&self) -> Result<(), Error> {
        match &self.given_up {
            None => Ok(()),
            Some(reason) => Err(Error::StreamGivenUp {
                reason: reason.clone(),
            }),
        }
    }

    /// Ends the stream at an error behind which nobody knows what was lost, and gives that back. A
    /// frame that was sealed and is not out yet will not go out.
    pub(crate) fn give_up(&mut self, error: Error) -> Error {
        if self.given_up.is_none() {
            self.given_up = Some(error.to_string());
        }
        self.frame.forget();
        error
    }

    /// Whether the program may send one more message.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        self.check_in_use()?;
        if self.closed {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "this side has called close() and sends no more",
            )
            .into());
        }
        Ok(())
    }

    /// How many written bytes make a message.
    pub(crate) fn chunk(&self) -> usize {
        CHUNK.min(self.max_message)
    }

    /// The frame that was sealed last.
    #[cfg(feature = "tokio")]
    pub(crate) fn sealed(&self) -> &[u8] {
        &self.frame
    }

    /// The longest frame that may come.
    pub(crate) fn frame_limit(&self) -> usize {
        self.max_message.saturating_add(OVERHEAD)
    }

    /// Whether a message has a length that can be sent.
    pub(crate) fn check_length(&self, message: &[u8]) -> Result<(), Error> {
        let limit = self.max_message.min(u32::MAX as usize - OVERHEAD);
        // An empty message is the end mark.
        if message.is_empty() || message.len() > limit {
            return Err(Error::MessageLength {
                length: message.len(),
                limit,
            });
        }
        Ok(())
    }

    /// One message in its frame; good until the next call. After an error there is no frame.
    pub(crate) fn seal(&mut self, message: &[u8]) -> Result<&[u8], Error> {
        self.frame.clear();
        self.check_length(message)?;
        self.protect(message)
    }

    /// The end mark in its frame.
    pub(crate) fn seal_end(&mut self) -> Result<&[u8], Error> {
        self.protect(&[])?;
        self.closed = true;
        Ok(&self.frame)
    }

    fn protect(&mut self, message: &[u8]) -> Result<&[u8], Error> {
        let quality = if self.confidential {
            0
        } else {
            SECQOP_WRAP_NO_ENCRYPT
        };
        self.frame.clear();
        self.frame.resize(PREFIX, 0);
        let sealed = self
            .context
            .append_protected(message, quality, &mut self.frame)
            .map_err(Error::from)
            .and_then(|()| set_prefix(&mut self.frame));
        if let Err(error) = sealed {
            // Half a frame would go out with the next flush.
            self.frame.clear();
            return Err(error);
        }
        Ok(&self.frame)
    }

    /// What a frame said; `false` at the peer's end mark.
    pub(crate) fn open(&mut self, frame: &mut [u8], message: &mut Vec<u8>) -> Result<bool, Error> {
        // Whatever comes of this frame, the message before it is over.
        message.clear();
        let encrypted = self.context.open_in_place(frame, message)?;
        // RFC 2743 section 2.3.4, conf_state: where privacy was agreed on, nothing less is taken.
        if self.confidential && !encrypted {
            message.clear();
            return Err(not_encrypted().into());
        }
        self.ended = message.is_empty();
        Ok(!self.ended)
    }
}
