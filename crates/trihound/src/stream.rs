use std::io::{self, Read, Write};

use trihound_sspi::{ContextAttribute, ContextAttributeValue, Established};

use crate::frame::{Framing, MAX_TOKEN_FRAME, PREFIX, announced, token_frame};
use crate::{Error, SecurityContext};

/// A byte stream whose messages are protected by a security context.
///
/// It carries whole messages ([`Self::send`], [`Self::receive`]) and, for programs that read and
/// write, bytes ([`Read`], [`Write`]): written bytes are sent as a message when they are many or at
/// [`Write::flush`]. [`Self::close`] tells the peer that nothing follows, so that a connection that
/// somebody cut is not taken for one that ended.
///
/// Timeouts are the stream's own, such as [`std::net::TcpStream::set_read_timeout`]; after one, in the
/// middle of a frame, the stream is of no more use.
#[derive(Debug)]
pub struct SecureStream<S> {
    stream: S,
    framing: Framing,
    peer: String,
    incoming: Incoming,
    /// Written and not sent yet.
    outgoing: Vec<u8>,
}

/// A message that came and is read piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) message: Vec<u8>,
    pub(crate) read: usize,
    pub(crate) frame: Vec<u8>,
}

impl Incoming {
    pub(crate) fn unread(&self) -> &[u8] {
        self.message.get(self.read..).unwrap_or_default()
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
        let mut message = core::mem::take(&mut self.message);
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
            outgoing: Vec::new(),
        })
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
}

impl<S: Read> SecureStream<S> {
    /// The next message; `None` once the peer has called [`Self::close`].
    ///
    /// # Errors
    ///
    /// [`Error::CutOff`] when the connection ended before that; a message that was altered, replayed
    /// or comes out of order.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.incoming.unread().is_empty() && !self.next_message()? {
            return Ok(None);
        }
        Ok(Some(self.incoming.take_all()))
    }

    fn next_message(&mut self) -> Result<bool, Error> {
        if self.framing.has_ended() {
            return Ok(false);
        }
        let limit = self.framing.frame_limit();
        if !read_frame(&mut self.stream, limit, &mut self.incoming.frame)? {
            return Err(Error::CutOff);
        }
        self.incoming.read = 0;
        self.framing
            .open(&mut self.incoming.frame, &mut self.incoming.message)
    }
}

impl<S: Write> SecureStream<S> {
    /// Sends one message.
    ///
    /// # Errors
    ///
    /// An empty or too long message, one after [`Self::close`]; the connection's; the context has
    /// ended with its ticket.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.send_written()?;
        self.check_open()?;
        let frame = self.framing.seal(message)?;
        self.stream.write_all(frame)?;
        Ok(self.stream.flush()?)
    }

    /// Tells the peer that nothing follows. What it still sends can be received.
    ///
    /// # Errors
    ///
    /// The connection's; the context has ended with its ticket.
    pub fn close(&mut self) -> Result<(), Error> {
        if self.framing.is_closed() {
            return Ok(());
        }
        self.send_written()?;
        let frame = self.framing.seal_end()?;
        self.stream.write_all(frame)?;
        Ok(self.stream.flush()?)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.framing.is_closed() {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "this side has called close() and sends no more",
            )
            .into());
        }
        Ok(())
    }

    fn send_written(&mut self) -> Result<(), Error> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        self.check_open()?;
        let frame = self.framing.seal(&self.outgoing)?;
        self.stream.write_all(frame)?;
        self.outgoing.clear();
        Ok(())
    }
}

impl<S: Read> Read for SecureStream<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
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
        self.check_open()?;
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
        self.send_written()?;
        self.stream.flush()
    }
}

pub(crate) fn peer_name(context: &SecurityContext, is_client: bool) -> Result<String, Error> {
    match context.query(ContextAttribute::NativeNames)? {
        ContextAttributeValue::NativeNames(names) if is_client => Ok(names.server_name),
        ContextAttributeValue::NativeNames(names) => Ok(names.client_name),
        other => Err(crate::message::other_answer(&other).into()),
    }
}

/// Reads a handshake token; `None` at the end of the stream.
pub(crate) fn read_token<S: Read>(stream: &mut S) -> Result<Vec<u8>, Error> {
    let mut token = Vec::new();
    if !read_frame(stream, MAX_TOKEN_FRAME, &mut token)? {
        return Err(Error::ClosedInHandshake);
    }
    Ok(token)
}

pub(crate) fn write_token<S: Write>(stream: &mut S, token: &[u8]) -> Result<(), Error> {
    stream.write_all(&token_frame(token)?)?;
    Ok(stream.flush()?)
}

/// Reads one frame; `false` when the stream ends where one could begin.
fn read_frame<S: Read>(stream: &mut S, limit: usize, frame: &mut Vec<u8>) -> Result<bool, Error> {
    let mut prefix = [0; PREFIX];
    let mut have = 0;
    while let Some(rest) = prefix.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest) {
            Ok(0) if have == 0 => return Ok(false),
            Ok(0) => return Err(Error::CutOff),
            Ok(count) => have = have.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = announced(prefix, limit)?;
    frame.clear();
    // Memory is taken as bytes come, not as they are announced.
    let read = stream.take(length as u64).read_to_end(frame)?;
    if read < length {
        return Err(Error::CutOff);
    }
    Ok(true)
}
