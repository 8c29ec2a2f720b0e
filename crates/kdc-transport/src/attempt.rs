//! One attempt over blocking sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::AttemptError;
use crate::job::Job;
use crate::wire::{self, DATAGRAM_BUFFER, Datagrams, READ_CHUNK, Span, StreamReply, Turn, after};

/// How long one blocking read lasts before the attempt looks whether it is still wanted.
const SLICE: Duration = Duration::from_millis(100);

/// An attempt that can be paused: the caller's own thread carries it as long as nobody else is asked,
/// and another one goes on with it after that.
#[derive(Debug)]
pub(crate) struct Attempt {
    span: Span,
    state: State,
}

#[derive(Debug)]
enum State {
    Datagram(Datagram),
    Connecting(SocketAddr),
    Stream(Stream),
}

#[derive(Debug)]
struct Datagram {
    socket: UdpSocket,
    turns: Datagrams,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    unsent: Vec<u8>,
    reply: StreamReply,
    chunk: Vec<u8>,
}

impl Attempt {
    pub(crate) fn datagram(
        address: SocketAddr,
        job: &Job,
        span: Span,
    ) -> Result<Self, AttemptError> {
        let socket =
            UdpSocket::bind(any_of(address)).map_err(|e| AttemptError::from_io("bind", e))?;
        // A connected socket drops what others send and reports an ICMP port unreachable.
        socket
            .connect(address)
            .map_err(|e| AttemptError::from_io("connect", e))?;
        let state = State::Datagram(Datagram {
            socket,
            turns: Datagrams::new(&job.limits, span),
            buffer: vec![0; DATAGRAM_BUFFER],
        });
        Ok(Self { span, state })
    }

    pub(crate) fn stream(address: SocketAddr, span: Span) -> Self {
        let state = State::Connecting(address);
        Self { span, state }
    }

    /// Goes on until there is an outcome, or until `pause`, when it is `None`.
    pub(crate) fn run(
        &mut self,
        job: &Job,
        pause: Instant,
    ) -> Option<Result<Vec<u8>, AttemptError>> {
        loop {
            let step = match &mut self.state {
                State::Datagram(datagram) => datagram.step(job, self.span, pause),
                State::Stream(stream) => stream.step(job, self.span, pause),
                State::Connecting(address) => {
                    let connected = connect(*address, job, self.span, pause);
                    connected.map(|socket| {
                        self.state = State::Stream(Stream {
                            socket,
                            unsent: wire::framed(&job.request.message),
                            reply: StreamReply::default(),
                            chunk: vec![0; READ_CHUNK],
                        });
                        None
                    })
                }
            };
            match step {
                Ok(None) => {}
                Ok(Some(reply)) => return Some(Ok(reply)),
                Err(Halt::Pause) => return None,
                Err(Halt::Over(error)) => return Some(Err(error)),
            }
        }
    }
}

/// Why an attempt does not go on.
enum Halt {
    Pause,
    Over(AttemptError),
}

impl From<AttemptError> for Halt {
    fn from(error: AttemptError) -> Self {
        Self::Over(error)
    }
}

/// The time left for one blocking call, or why there is none.
fn slice(job: &Job, span: Span, pause: Instant) -> Result<Duration, Halt> {
    if job.is_stopped() {
        return Err(AttemptError::GivenUp.into());
    }
    let now = Instant::now();
    if now >= span.until {
        return Err(span.silent(now).into());
    }
    if now >= pause {
        return Err(Halt::Pause);
    }
    Ok((pause.min(span.until) - now).min(SLICE))
}

impl Datagram {
    fn step(&mut self, job: &Job, span: Span, pause: Instant) -> Result<Option<Vec<u8>>, Halt> {
        let message = &job.request.message;
        let until = match self.turns.turn(Instant::now()) {
            Turn::Send => {
                self.socket
                    .send(message)
                    .map_err(|e| AttemptError::from_io("send", e))?;
                return Ok(None);
            }
            Turn::ReceiveUntil(until) => until,
            Turn::Over(error) => return Err(error.into()),
        };
        let left = until.saturating_duration_since(Instant::now());
        let wait = slice(job, span, pause)?.min(left);
        set_timeout(|t| self.socket.set_read_timeout(t), wait)?;
        match self.socket.recv(&mut self.buffer) {
            Ok(length) => {
                let datagram = self.buffer.get(..length).unwrap_or_default();
                let taken = self.turns.received(job.request.service, message, datagram);
                Ok(taken.transpose()?)
            }
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(AttemptError::from_io("receive", error).into()),
        }
    }
}

fn connect(address: SocketAddr, job: &Job, span: Span, pause: Instant) -> Result<TcpStream, Halt> {
    // For the errors; a connection cannot be waited for in slices.
    slice(job, span, pause)?;
    let now = Instant::now();
    let give_up = span.until.min(after(span.since, job.limits.connect));
    let patience = give_up.min(pause).saturating_duration_since(now);
    let socket = TcpStream::connect_timeout(&address, patience.max(Duration::from_millis(1)))
        .map_err(|error| {
            let now = Instant::now();
            if !is_timeout(&error) {
                AttemptError::from_io("connect", error).into()
            } else if now < give_up {
                Halt::Pause
            } else {
                span.silent(now).into()
            }
        })?;
    socket
        .set_nodelay(true)
        .map_err(|e| AttemptError::from_io("connect", e))?;
    Ok(socket)
}

impl Stream {
    fn step(&mut self, job: &Job, span: Span, pause: Instant) -> Result<Option<Vec<u8>>, Halt> {
        let wait = slice(job, span, pause)?;
        if !self.unsent.is_empty() {
            set_timeout(|t| self.socket.set_write_timeout(t), wait)?;
            return match self.socket.write(&self.unsent) {
                Ok(0) => Err(self.reply.closed().into()),
                Ok(written) => {
                    self.unsent.drain(..written.min(self.unsent.len()));
                    Ok(None)
                }
                Err(error) if is_timeout(&error) => Ok(None),
                Err(error) => Err(AttemptError::from_io("send", error).into()),
            };
        }
        set_timeout(|t| self.socket.set_read_timeout(t), wait)?;
        let wanted = self.reply.wanted().min(self.chunk.len());
        match self
            .socket
            .read(self.chunk.get_mut(..wanted).unwrap_or_default())
        {
            Ok(0) => Err(self.reply.closed().into()),
            Ok(read) => {
                let bytes = self.chunk.get(..read).unwrap_or_default();
                let Some(reply) = self.reply.received(bytes)? else {
                    return Ok(None);
                };
                let request = &job.request;
                Ok(wire::judge(request.service, &request.message, reply).map(Some)?)
            }
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(AttemptError::from_io("receive", error).into()),
        }
    }
}

/// The local address that leaves the choice to the system.
pub(crate) fn any_of(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Sets a socket's timeout; zero would mean "for ever" to the system.
fn set_timeout(
    set: impl FnOnce(Option<Duration>) -> io::Result<()>,
    timeout: Duration,
) -> Result<(), AttemptError> {
    set(Some(timeout.max(Duration::from_millis(1))))
        .map_err(|e| AttemptError::from_io("set a timeout", e))
}

/// A timed-out read is `WouldBlock` on Unix and `TimedOut` on Windows; a signal is neither's fault.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
