use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use trihound_sspi::{Established, EstablishedAttributes, ExportFlags};

use crate::frame::{
    Framing, MAX_MESSAGE, MAX_TOKEN_FRAME, PREFIX, Plaintext, announced, may_ask_again, token_frame,
};
use crate::stream::{Incoming, peer_name};
use crate::{Error, SecurityContext};

/// Bytes of a frame that are asked for at a time: memory is taken as they come, not as announced.
const STEP: usize = 64 * 1024;

/// An asynchronous byte stream whose messages are protected by a security context.
///
/// It carries whole messages ([`Self::send`], [`Self::receive`]) and, for programs that read and
/// write, bytes ([`AsyncRead`], [`AsyncWrite`]): written bytes are sent as a message when they are many
/// or when the stream is flushed. [`Self::close`] tells the peer that nothing follows, so that a
/// connection that somebody cut is not taken for one that ended.
///
/// [`Self::receive`] can be dropped and called again without loss. A [`Self::send`] that was dropped
/// has either taken nothing yet or the whole message, which then goes with whatever is sent or flushed
/// next.
///
/// At a failure of the connection, a frame that is refused or an end without the end mark the stream is
/// given up, as the blocking one is: every later call is an [`Error::StreamGivenUp`].
#[derive(Debug)]
pub struct SecureStream<S> {
    stream: S,
    framing: Framing,
    peer: String,
    incoming: Incoming,
    reading: Reading,
    /// Written and not sealed yet.
    outgoing: Plaintext,
    /// Bytes of the sealed frame that are out.
    sent: usize,
}

/// How much of a frame is there.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Prefix { bytes: [u8; PREFIX], have: usize },
    Body { length: usize, have: usize },
}

const BEGIN: Reading = Reading::Prefix {
    bytes: [0; PREFIX],
    have: 0,
};

impl<S> SecureStream<S> {
    pub(super) fn new(
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
            reading: BEGIN,
            outgoing: Plaintext::default(),
            sent: 0,
        })
    }

    /// A stream over a context that is established already: [`crate::SecureStream::over`].
    ///
    /// # Errors
    ///
    /// Those of the context.
    pub fn over(stream: S, context: SecurityContext) -> Result<Self, Error> {
        let attributes = context.established().attributes;
        let is_client = matches!(attributes, EstablishedAttributes::Initiator(_));
        Self::new(stream, context, MAX_MESSAGE, is_client)
    }

    /// Ends the stream here and gives its context sealed: [`crate::SecureStream::export`].
    ///
    /// # Errors
    ///
    /// As there; [`Error::NotExported`] also where a frame came or went in part.
    pub fn export(&mut self) -> Result<Vec<u8>, Error> {
        self.framing.check_in_use()?;
        let reason = if !self.incoming.unread().is_empty() {
            Some("a message was read in part; read the rest first")
        } else if !matches!(self.reading, Reading::Prefix { have: 0, .. }) {
            Some("a frame came in part; receive the rest first")
        } else if !self.outgoing.is_empty() || self.sent < self.framing.sealed().len() {
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
    /// were received or sent in part are lost.
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

impl<S: AsyncRead + Unpin> SecureStream<S> {
    /// The next message; `None` once the peer has called [`Self::close`].
    ///
    /// # Errors
    ///
    /// [`Error::CutOff`] when the connection ended before that; a message that was altered, replayed
    /// or comes out of order. All of them, and the connection's within a frame, end the stream:
    /// [`Error::StreamGivenUp`] is every later answer.
    pub async fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.framing.check_in_use()?;
        let there = !self.incoming.unread().is_empty()
            || core::future::poll_fn(|context| self.poll_message(context)).await?;
        Ok(there.then(|| self.incoming.take_all()))
    }

    /// Whether there is a next message, once it is in `incoming`.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        self.framing.check_in_use()?;
        if self.framing.has_ended() {
            return Poll::Ready(Ok(false));
        }
        self.incoming.clear();
        let polled = ready!(self.poll_frame(context));
        Poll::Ready(polled.map_err(|error| match (error, self.reading) {
            (Error::Io(error), Reading::Prefix { have: 0, .. }) if may_ask_again(&error) => {
                error.into()
            }
            (error, _) => self.give_up(error),
        }))
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            match self.reading {
                Reading::Prefix { mut bytes, have } => {
                    let rest = bytes.get_mut(have..).unwrap_or_default();
                    let count = ready!(poll_read(&mut self.stream, context, rest))?;
                    let have = have.saturating_add(count);
                    self.reading = Reading::Prefix { bytes, have };
                    if have == PREFIX {
                        let length = announced(bytes, self.framing.frame_limit())?;
                        self.incoming.frame.clear();
                        self.reading = Reading::Body { length, have: 0 };
                    }
                }
                Reading::Body { length, have } if have < length => {
                    let frame = &mut self.incoming.frame;
                    frame.resize(length.min(have.saturating_add(STEP)), 0);
                    let rest = frame.get_mut(have..).unwrap_or_default();
                    let count = ready!(poll_read(&mut self.stream, context, rest))?;
                    let have = have.saturating_add(count);
                    self.reading = Reading::Body { length, have };
                }
                Reading::Body { .. } => {
                    self.reading = BEGIN;
                    let Incoming { frame, message, .. } = &mut self.incoming;
                    return Poll::Ready(self.framing.open(frame, message));
                }
            }
        }
    }
}

/// At least one byte, or the end of the stream as an error.
fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<Result<usize, Error>> {
    let mut buffer = ReadBuf::new(into);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    match buffer.filled().len() {
        0 => Poll::Ready(Err(Error::CutOff)),
        count => Poll::Ready(Ok(count)),
    }
}

impl<S: AsyncWrite + Unpin> SecureStream<S> {
    /// Sends one message.
    ///
    /// # Errors
    ///
    /// An empty or too long message, one after [`Self::close`]; the context has ended with its ticket:
    /// nothing of it is sent. The connection's: part of it may be, and the stream is given up.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.framing.check_open()?;
        self.framing.check_length(message)?;
        core::future::poll_fn(|context| self.poll_send_written(context)).await?;
        self.framing.seal(message)?;
        self.sent = 0;
        core::future::poll_fn(|context| self.poll_all_out(context)).await
    }

    /// Tells the peer that nothing follows. What it still sends can be received.
    ///
    /// # Errors
    ///
    /// The connection's; the context has ended with its ticket.
    pub async fn close(&mut self) -> Result<(), Error> {
        core::future::poll_fn(|context| self.poll_close(context)).await
    }

    /// The sealed frame is out.
    fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.framing.check_in_use()?;
        while let Some(rest) = self
            .framing
            .sealed()
            .get(self.sent..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest)) {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return Poll::Ready(Err(self.give_up(error)));
                }
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(error) => return Poll::Ready(Err(self.give_up(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The sealed frame is out, and what was written behind it.
    fn poll_send_written(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_drained(context))?;
        if self.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.framing.seal(&self.outgoing)?;
        self.sent = 0;
        self.outgoing.clear();
        self.poll_drained(context)
    }

    /// All that was sealed is out, past every buffer.
    fn poll_all_out(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_drained(context))?;
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        Poll::Ready(flushed.map_err(|error| self.give_up(error)))
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_send_written(context))?;
        if !self.framing.is_closed() {
            self.framing.seal_end()?;
            self.sent = 0;
        }
        self.poll_all_out(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SecureStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.framing.check_in_use()?;
        while self.incoming.unread().is_empty() && into.remaining() > 0 {
            if !ready!(self.poll_message(context))? {
                return Poll::Ready(Ok(()));
            }
        }
        let count = self.incoming.take(into.initialize_unfilled());
        into.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SecureStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.framing.check_open()?;
        let chunk = self.framing.chunk();
        if self.outgoing.len() >= chunk {
            ready!(self.poll_send_written(context))?;
        }
        let room = chunk.saturating_sub(self.outgoing.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.outgoing.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_written(context))?;
        ready!(self.poll_all_out(context))?;
        Poll::Ready(Ok(()))
    }

    /// Sends the end mark, and then closes this direction of the stream beneath.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_close(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Reads a handshake token.
pub(super) async fn read_token<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, Error> {
    let mut prefix = [0; PREFIX];
    stream.read_exact(&mut prefix).await.map_err(ended)?;
    let length = announced(prefix, MAX_TOKEN_FRAME).map_err(Error::in_handshake)?;
    let mut token = vec![0; length];
    stream.read_exact(&mut token).await.map_err(ended)?;
    Ok(token)
}

fn ended(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::ClosedInHandshake,
        _ => error.into(),
    }
}

pub(super) async fn write_token<S: AsyncWrite + Unpin>(
    stream: &mut S,
    token: &[u8],
) -> Result<(), Error> {
    stream.write_all(&token_frame(token)?).await?;
    Ok(stream.flush().await?)
}
