use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use trihound_sansio::Service;

use crate::{AttemptError, Limits, MAX_REPLY_LENGTH, reply};

/// How long one blocking read lasts before the attempt looks whether it is still wanted.
const SLICE: Duration = Duration::from_millis(100);
/// The receive buffer of a datagram: the largest that IP can carry.
const DATAGRAM_BUFFER: usize = 65_536;
/// The top bit of a stream's length is reserved (RFC 4120 section 7.2.2).
const RESERVED_LENGTH_BIT: u32 = 0x8000_0000;
/// How much a stream's buffer grows at a time: the announced length alone allocates nothing.
const READ_CHUNK: usize = 16 * 1024;

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
}

/// One request, and when to stop trying.
pub(crate) struct Job {
    pub(crate) service: Service,
    pub(crate) message: Arc<[u8]>,
    pub(crate) limits: Limits,
    /// Set once somebody else's reply is in.
    pub(crate) stop: Arc<AtomicBool>,
    /// When the whole round trip is over.
    pub(crate) deadline: Instant,
}

impl Job {
    /// Sends to `address` and waits for its reply.
    pub(crate) fn run(
        &self,
        protocol: Protocol,
        address: SocketAddr,
    ) -> Result<Vec<u8>, AttemptError> {
        let started = Instant::now();
        let until = self.deadline.min(started + self.limits.attempt);
        let reply = match protocol {
            Protocol::Udp => self.datagram(address, started, until)?,
            Protocol::Tcp => self.stream(address, started, until)?,
        };
        if reply::is_unavailable(&reply) {
            return Err(AttemptError::Unavailable(reply));
        }
        Ok(reply)
    }

    /// The time left for one blocking call, or why there is none.
    fn slice(&self, started: Instant, until: Instant) -> Result<Duration, AttemptError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(AttemptError::GivenUp);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AttemptError::Silent(started.elapsed()));
        }
        Ok(left.min(SLICE))
    }

    fn datagram(
        &self,
        address: SocketAddr,
        started: Instant,
        until: Instant,
    ) -> Result<Vec<u8>, AttemptError> {
        let local: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local).map_err(|e| AttemptError::from_io("bind", e))?;
        // A connected socket drops what others send and reports an ICMP port unreachable.
        socket
            .connect(address)
            .map_err(|e| AttemptError::from_io("connect", e))?;
        let mut buffer = vec![0; DATAGRAM_BUFFER];
        let mut interval = self.limits.retransmit_after;
        let mut next_send = started;
        let mut garbage = 0u32;
        loop {
            if Instant::now() >= next_send {
                socket
                    .send(&self.message)
                    .map_err(|e| AttemptError::from_io("send", e))?;
                next_send = Instant::now() + interval;
                interval = interval.saturating_mul(2);
            }
            let slice = match self.slice(started, until) {
                Err(AttemptError::Silent(waited)) if garbage > 0 => {
                    return Err(AttemptError::Garbage {
                        count: garbage,
                        waited,
                    });
                }
                slice => slice?,
            };
            let pause = next_send.saturating_duration_since(Instant::now());
            set_timeout(|t| socket.set_read_timeout(t), slice.min(pause))?;
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    if reply::answers(self.service, &self.message, datagram) {
                        return Ok(datagram.to_vec());
                    }
                    garbage = garbage.saturating_add(1);
                }
                // Windows reports a datagram above the buffer as an error of its own kind; it is
                // garbage like any other.
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(AttemptError::from_io("receive", error)),
            }
        }
    }

    fn stream(
        &self,
        address: SocketAddr,
        started: Instant,
        until: Instant,
    ) -> Result<Vec<u8>, AttemptError> {
        let left = until.saturating_duration_since(Instant::now());
        let patience = left.min(self.limits.connect).max(Duration::from_millis(1));
        let mut stream = TcpStream::connect_timeout(&address, patience).map_err(|error| {
            if is_timeout(&error) {
                AttemptError::Silent(started.elapsed())
            } else {
                AttemptError::from_io("connect", error)
            }
        })?;
        stream
            .set_nodelay(true)
            .map_err(|e| AttemptError::from_io("connect", e))?;
        self.send_framed(&mut stream, started, until)?;

        let prefix = self.read_exactly(&mut stream, 4, started, until)?;
        let announced = prefix
            .first_chunk::<4>()
            .map_or(0, |bytes| u32::from_be_bytes(*bytes));
        // RFC 4120 section 7.2.2: the high bit of the length is reserved and MUST be 0.
        if announced & RESERVED_LENGTH_BIT != 0 {
            return Err(AttemptError::ReservedLengthBit(announced));
        }
        let length = usize::try_from(announced).unwrap_or(usize::MAX);
        if length > MAX_REPLY_LENGTH {
            return Err(AttemptError::TooLong {
                announced,
                limit: MAX_REPLY_LENGTH,
            });
        }
        if length == 0 {
            return Err(AttemptError::Empty);
        }
        let reply = self.read_exactly(&mut stream, length, started, until)?;
        if !reply::answers(self.service, &self.message, &reply) {
            return Err(AttemptError::NotAnAnswer {
                first: reply.first().copied().unwrap_or_default(),
                length: reply.len(),
            });
        }
        Ok(reply)
    }

    /// The message behind its 4-byte length, in one write where the system allows.
    fn send_framed(
        &self,
        stream: &mut TcpStream,
        started: Instant,
        until: Instant,
    ) -> Result<(), AttemptError> {
        let length = u32::try_from(self.message.len()).unwrap_or(u32::MAX) & !RESERVED_LENGTH_BIT;
        let mut framed = Vec::with_capacity(self.message.len() + 4);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&self.message);
        let mut rest = framed.as_slice();
        while !rest.is_empty() {
            let slice = self.slice(started, until)?;
            set_timeout(|t| stream.set_write_timeout(t), slice)?;
            match stream.write(rest) {
                Ok(0) => {
                    return Err(AttemptError::ClosedEarly {
                        received: 0,
                        expected: 4,
                    });
                }
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(AttemptError::from_io("send", error)),
            }
        }
        Ok(())
    }

    /// `length` bytes, however they are cut into pieces.
    fn read_exactly(
        &self,
        stream: &mut TcpStream,
        length: usize,
        started: Instant,
        until: Instant,
    ) -> Result<Vec<u8>, AttemptError> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; length.min(READ_CHUNK)];
        while bytes.len() < length {
            let slice = self.slice(started, until)?;
            set_timeout(|t| stream.set_read_timeout(t), slice)?;
            let wanted = chunk.len().min(length.saturating_sub(bytes.len()));
            match stream.read(chunk.get_mut(..wanted).unwrap_or_default()) {
                Ok(0) => {
                    return Err(AttemptError::ClosedEarly {
                        received: bytes.len(),
                        expected: length,
                    });
                }
                Ok(read) => bytes.extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(AttemptError::from_io("receive", error)),
            }
        }
        Ok(bytes)
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
