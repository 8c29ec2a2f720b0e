use std::io::{self, Read, Write};

use trihound_sspi::{
    ContextAttribute, ContextAttributeValue, Established, EstablishedAttributes, ExportFlags,
};

use crate::frame::{
    Framing, MAX_MESSAGE, MAX_TOKEN_FRAME, PREFIX, Plaintext, announced, may_ask_again, token_frame,
};
use crate::{Error, SecurityContext};

/// A byte stream whose messages are protected by a security context.
///
/// It carries whole messages ([`Self::send`], [`Self::receive`]) and, for programs that read and
/// write, bytes ([`Read`], [`Write`]): written bytes are sent as a message when they are many or at
/// [`Write::flush`]. [`Self::close`] tells the peer that nothing follows, so that a connection that
/// somebody cut is not taken for one that ended.
///
/// Timeouts are the stream's own, such as [`std::net::TcpStream::set_read_timeout`]. One that comes
/// between two frames loses nothing. At any other failure of the connection, a frame that is refused or
/// an end without the end mark, the stream is given up: what follows cannot be told from what somebody
/// left out, doubled or altered, so every later call is an [`Error::StreamGivenUp`]. A message that
/// cannot be sent for its length is refused, and the stream is as before.
#[derive(Debug)]
pub struct SecureStream<S> {
    stream: S,
    framing: Framing,
    peer: String,
    incoming: Incoming,
    /// Written and not sent yet.
    outgoing: Plaintext,
}

/// A message that came and is read piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) message: Plaintext,
    pub(crate) read: usize,
    /// What came; it is decrypted in place.
    pub(crate) frame: Plaintext,
}

impl Incoming {
    pub(crate) fn unread(&self) -> &[u8] {
        self.message.get(self.read..).unwrap_or_default()
    }

    /// The message is over, read or not.
    pub(crate) fn clear(&mut self) {
        self.message.clear();
        self.read = 0;
    }

    /// Wipes all that ever came.
    pub(crate) fn forget(&mut self) {
        self.message.forget();
        self.frame.forget();
        self.read = 0;
    }

    /// As many of the unread bytes as fit.
    pub(crate) fn take(&mut self, into: &mut [u8]) -> usize {
        let unread = self.unread();
        let count = unread.len().min(into.len());
        if let (Some(from), Some(to)) = (unread.get(..count), into.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.read = self.read.saturating_add(count);
        count
    }

    /// The unread rest of a message.
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        let mut message = core::mem::take(&mut *self.message);
        message.drain(..self.read.min(message.len()));
        self.read = 0;
        message
    }
}

impl<S> SecureStream<S> {
    pub(crate) fn new(
        stream: S,
        context: SecurityContext,
        max_message: usize,
        is_client: bool,
    ) -> Result<Self, Error> {
        let peer = peer_name(&context, is_client)?;
        Ok(Self {
            stream,
            framing: Framing::new(context, max_message),
            peer,
            incoming: Incoming::default(),
            outgoing: Plaintext::default(),
        })
    }

    /// A stream over a context that is established already: one that was imported
    /// ([`SecurityContext::import`]) along with its connection. Messages may be as long as a
    /// [`crate::Server`] takes them by default.
    ///
    /// # Errors
    ///
    /// Those of the context.
    pub fn over(stream: S, context: SecurityContext) -> Result<Self, Error> {
        let attributes = context.established().attributes;
        let is_client = matches!(attributes, EstablishedAttributes::Initiator(_));
        Self::new(stream, context, MAX_MESSAGE, is_client)
    }

    /// Ends the stream here and gives its context sealed, for [`Self::over`] in the process that gets the
    /// connection. The peer notices nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotExported`] where something of the stream would be lost: a message that was read in part, bytes
    /// that were written and not flushed, an end mark. Those of [`SecurityContext::export`]. The stream is as it was
    /// then.
    pub fn export(&mut self) -> Result<Vec<u8>, Error> {
        self.framing.check_in_use()?;
        let reason = if !self.incoming.unread().is_empty() {
            Some("a message was read in part; read the rest first")
        } else if !self.outgoing.is_empty() {
            Some("bytes were written and not sent; flush them first")
        } else {
            self.framing.one_way()
        };
        if let Some(reason) = reason {
            return Err(Error::NotExported { reason });
        }
        let sealed = self.framing.context.export(ExportFlags::DELETE_OLD)?;
        self.give_up(Error::Exported);
        Ok(sealed)
    }

    /// Who is at the other end: the client's principal on a server's side, the service's on a
    /// client's. A service has proved it only where MUTUAL_AUTH was asked for, which is the default.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// What was negotiated.
    #[must_use]
    pub fn established(&self) -> &Established {
        self.framing.context.established()
    }

    /// The context beneath, for its attributes.
    #[must_use]
    pub fn context(&self) -> &SecurityContext {
        &self.framing.context
    }

    /// The stream beneath.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream beneath. What is read or written there goes past the context.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream and the context, for a program that goes on with frames of its own. Messages that
    /// were received in part are lost.
    #[must_use]
    pub fn into_parts(self) -> (S, SecurityContext) {
        (self.stream, self.framing.context)
    }

    fn give_up(&mut self, error: impl Into<Error>) -> Error {
        self.incoming.forget();
        self.outgoing.forget();
        self.framing.give_up(error.into())
    }
}

impl<S: Read> SecureStream<S> {
    /// The next message; `None` once the peer has called [`Self::close`].
    ///
    /// # Errors
    ///
    /// [`Error::CutOff`] when the connection ended before that; a message that was altered, replayed
    /// or comes out of order. All of them, and the connection's within a frame, end the stream:
    /// [`Error::StreamGivenUp`] is every later answer.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.framing.check_in_use()?;
        if self.incoming.unread().is_empty() && !self.next_message()? {
            return Ok(None);
        }
        Ok(Some(self.incoming.take_all()))
    }

    fn next_message(&mut self) -> Result<bool, Error> {
        if self.framing.has_ended() {
            return Ok(false);
        }
        self.incoming.clear();
        let mut prefix = [0; PREFIX];
        let have = match read_some(&mut self.stream, &mut prefix) {
            Ok(0) => return Err(self.give_up(Error::CutOff)),
            Ok(have) => have,
            Err(error) if may_ask_again(&error) => return Err(error.into()),
            Err(error) => return Err(self.give_up(error)),
        };
        let limit = self.framing.frame_limit();
        let Incoming { frame, message, .. } = &mut self.incoming;
        read_frame(&mut self.stream, prefix, have, limit, frame)
            .and_then(|()| self.framing.open(frame, message))
            .map_err(|error| self.give_up(error))
    }
}

impl<S: Write> SecureStream<S> {
    /// Sends one message.
    ///
    /// # Errors
    ///
    /// An empty or too long message, one after [`Self::close`]; the context has ended with its ticket:
    /// nothing of it is sent. The connection's: part of it may be, and the stream is given up.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.framing.check_open()?;
        self.framing.check_length(message)?;
        self.send_written()?;
        let frame = self.framing.seal(message)?;
        let written = self.stream.write_all(frame);
        written.map_err(|error| self.give_up(error))?;
        self.flush_stream()
    }

    /// Tells the peer that nothing follows. What it still sends can be received.
    ///
    /// # Errors
    ///
    /// The connection's; the context has ended with its ticket.
    pub fn close(&mut self) -> Result<(), Error> {
        self.framing.check_in_use()?;
        if self.framing.is_closed() {
            return Ok(());
        }
        self.send_written()?;
        let frame = self.framing.seal_end()?;
        let written = self.stream.write_all(frame);
        written.map_err(|error| self.give_up(error))?;
        self.flush_stream()
    }

    fn flush_stream(&mut self) -> Result<(), Error> {
        let flushed = self.stream.flush();
        flushed.map_err(|error| self.give_up(error))
    }

    fn send_written(&mut self) -> Result<(), Error> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        self.framing.check_open()?;
        let frame = self.framing.seal(&self.outgoing)?;
        let written = self.stream.write_all(frame);
        written.map_err(|error| self.give_up(error))?;
        self.outgoing.clear();
        Ok(())
    }
}

impl<S: Read> Read for SecureStream<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.framing.check_in_use()?;
        while self.incoming.unread().is_empty() && !into.is_empty() {
            if !self.next_message()? {
                return Ok(0);
            }
        }
        Ok(self.incoming.take(into))
    }
}

impl<S: Write> Write for SecureStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.framing.check_open()?;
        let chunk = self.framing.chunk();
        if self.outgoing.len() >= chunk {
            self.send_written()?;
        }
        let room = chunk.saturating_sub(self.outgoing.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.outgoing.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.framing.check_in_use()?;
        self.send_written()?;
        Ok(self.flush_stream()?)
    }
}

pub(crate) fn peer_name(context: &SecurityContext, is_client: bool) -> Result<String, Error> {
    match context.query(ContextAttribute::NativeNames)? {
        ContextAttributeValue::NativeNames(names) if is_client => Ok(names.server_name),
        ContextAttributeValue::NativeNames(names) => Ok(names.client_name),
        other => Err(crate::message::other_answer(&other).into()),
    }
}

/// Reads a handshake token.
pub(crate) fn read_token<S: Read>(stream: &mut S) -> Result<Vec<u8>, Error> {
    let (mut prefix, mut token) = ([0; PREFIX], Vec::new());
    let have = read_some(stream, &mut prefix)?;
    if have == 0 {
        return Err(Error::ClosedInHandshake);
    }
    read_frame(stream, prefix, have, MAX_TOKEN_FRAME, &mut token).map_err(Error::in_handshake)?;
    Ok(token)
}

pub(crate) fn write_token<S: Write>(stream: &mut S, token: &[u8]) -> Result<(), Error> {
    stream.write_all(&token_frame(token)?)?;
    Ok(stream.flush()?)
}

/// Reads what there is, at least one byte; 0 at the end of the stream.
fn read_some<S: Read>(stream: &mut S, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Reads the rest of a frame; `have` bytes of its prefix are there.
fn read_frame<S: Read>(
    stream: &mut S,
    mut prefix: [u8; PREFIX],
    mut have: usize,
    limit: usize,
    frame: &mut Vec<u8>,
) -> Result<(), Error> {
    while let Some(rest) = prefix.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match read_some(stream, rest)? {
            0 => return Err(Error::CutOff),
            count => have = have.saturating_add(count),
        }
    }
    let length = announced(prefix, limit)?;
    frame.clear();
    // Memory is taken as bytes come, not as they are announced.
    let read = stream.take(length as u64).read_to_end(frame)?;
    if read < length {
        return Err(Error::CutOff);
    }
    Ok(())
}
