//! One question to the name servers, over UDP and, where the answer does not fit, TCP.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use trihound_crypto::OsRandom;
use trihound_sansio::RandomSource;

use super::resolv_conf::MAX_ATTEMPTS;
use super::{Answer, Question, RecordType, Reply, ReplyError, ResolveError, ResolverConfig};

/// A silent name server is joined by the next after this, and listened to meanwhile.
const NEXT_SERVER_AFTER: Duration = Duration::from_secs(1);
/// How long one question may take in all, whatever resolv.conf adds up to.
const TOTAL: Duration = Duration::from_secs(10);
/// How long one of several sockets is listened to before the next has its turn.
const TURN: Duration = Duration::from_millis(10);
/// Without EDNS an answer over UDP has 512 bytes (RFC 1035 section 4.2.1); some servers send more.
const DATAGRAM_BUFFER: usize = 4096;
/// How many datagrams that answer something else are passed over before the socket is closed.
const MAX_IGNORED: u32 = 64;
/// The length of the length in front of a message over TCP (RFC 1035 section 4.2.2).
const TCP_PREFIX: usize = 2;

/// What came of a question.
pub(super) struct Outcome {
    /// The answer and how long it may be remembered.
    pub(super) found: Result<(Answer, Duration), ResolveError>,
    /// The servers that did not react, to be asked last for a while.
    pub(super) silent: Vec<SocketAddr>,
}

/// A question that is under way to one server.
struct Try {
    server: SocketAddr,
    socket: UdpSocket,
    question: Question,
    started: Instant,
    until: Instant,
    ignored: u32,
}

struct Asking<'a> {
    config: &'a ResolverConfig,
    name: &'a str,
    kind: RecordType,
    deadline: Instant,
    tries: Vec<Try>,
    lines: Vec<String>,
    silent: Vec<SocketAddr>,
    /// Whether any server said anything that belongs to the question.
    heard: bool,
}

type Found = (Answer, Duration);

/// Asks `servers`, in that order and as often as the configuration says.
pub(super) fn ask(
    config: &ResolverConfig,
    servers: &[SocketAddr],
    name: &str,
    kind: RecordType,
) -> Outcome {
    let mut asking = Asking {
        config,
        name,
        kind,
        deadline: Instant::now() + TOTAL,
        tries: Vec::new(),
        lines: Vec::new(),
        silent: Vec::new(),
        heard: false,
    };
    let rounds = core::iter::repeat_n(servers, config.attempts.min(MAX_ATTEMPTS)).flatten();
    let found = match asking.run(rounds.copied().collect()) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(asking.give_up()),
        Err(error) => Err(error),
    };
    Outcome {
        found,
        silent: asking.silent,
    }
}

impl Asking<'_> {
    fn run(&mut self, mut plan: VecDeque<SocketAddr>) -> Result<Option<Found>, ResolveError> {
        let mut next_start = Instant::now();
        let pause = self.config.timeout.min(NEXT_SERVER_AFTER);
        loop {
            let now = Instant::now();
            if now >= self.deadline || (self.tries.is_empty() && plan.is_empty()) {
                return Ok(None);
            }
            if (now >= next_start || self.tries.is_empty())
                && let Some(server) = plan.pop_front()
            {
                next_start = now + pause;
                if let Some(found) = self.start(server)? {
                    return Ok(Some(found));
                }
                continue;
            }
            self.retire(now);
            let wake = if plan.is_empty() {
                self.deadline
            } else {
                next_start
            };
            for index in (0..self.tries.len()).rev() {
                if let Some(found) = self.listen(index, wake)? {
                    return Ok(Some(found));
                }
            }
        }
    }

    /// Asks one more server. Only use of TCP from the start gives an answer at once.
    fn start(&mut self, server: SocketAddr) -> Result<Option<Found>, ResolveError> {
        let mut id = [0; 2];
        OsRandom
            .fill(&mut id)
            .map_err(|failure| ResolveError::Other(failure.to_string()))?;
        let question = Question::new(self.name, self.kind, u16::from_be_bytes(id))?;
        if self.config.use_tcp {
            return Ok(self.over_tcp(server, &question));
        }
        let message = question.to_bytes()?;
        match open(server).and_then(|socket| socket.send(&message).map(|_| socket)) {
            Ok(socket) => {
                let started = Instant::now();
                self.tries.push(Try {
                    server,
                    socket,
                    question,
                    started,
                    until: self.deadline.min(started + self.config.timeout.min(TOTAL)),
                    ignored: 0,
                });
            }
            Err(error) => self.failed(server, &error),
        }
        Ok(None)
    }

    /// Closes what waited long enough.
    fn retire(&mut self, now: Instant) {
        let (over, open): (Vec<_>, Vec<_>) = core::mem::take(&mut self.tries)
            .into_iter()
            .partition(|one| now >= one.until);
        self.tries = open;
        for one in over {
            self.silence(&one);
        }
    }

    fn silence(&mut self, one: &Try) {
        let waited = one.started.elapsed();
        let (server, ignored) = (one.server, one.ignored);
        self.lines.push(if ignored == 0 {
            format!("{server}: no reply within {waited:.1?}")
        } else {
            format!("{server}: {ignored} datagrams came that do not answer, within {waited:.1?}")
        });
        self.silent.push(server);
    }

    /// Takes what has come to one of the sockets, or waits for a while.
    fn listen(&mut self, index: usize, wake: Instant) -> Result<Option<Found>, ResolveError> {
        let alone = self.tries.len() == 1;
        let Some(one) = self.tries.get_mut(index) else {
            return Ok(None);
        };
        let patience = if alone {
            one.until
                .min(wake)
                .saturating_duration_since(Instant::now())
        } else {
            TURN
        };
        let mut buffer = [0; DATAGRAM_BUFFER];
        let received = one
            .socket
            .set_read_timeout(Some(patience.max(Duration::from_millis(1))))
            .and_then(|()| one.socket.recv(&mut buffer));
        let length = match received {
            Ok(length) => length,
            Err(error) if is_timeout(&error) => return Ok(None),
            Err(error) => {
                let server = self.tries.swap_remove(index).server;
                self.failed(server, &error);
                return Ok(None);
            }
        };
        match one.question.read(buffer.get(..length).unwrap_or_default()) {
            Ok(reply) => {
                let one = self.tries.swap_remove(index);
                Ok(self.take(one.server, &one.question, reply))
            }
            Err(ReplyError::NotOurs | ReplyError::Malformed) => {
                one.ignored = one.ignored.saturating_add(1);
                if one.ignored >= MAX_IGNORED {
                    let one = self.tries.swap_remove(index);
                    self.silence(&one);
                }
                Ok(None)
            }
        }
    }

    fn take(&mut self, server: SocketAddr, question: &Question, reply: Reply) -> Option<Found> {
        self.heard = true;
        match reply {
            Reply::Answer { answer, lifetime } => Some((answer, lifetime)),
            // RFC 7766 section 5: a truncated answer is asked for again over TCP.
            Reply::Truncated => self.over_tcp(server, question),
            Reply::Failed(code) => {
                self.lines.push(format!("{server}: {code}"));
                None
            }
        }
    }

    fn over_tcp(&mut self, server: SocketAddr, question: &Question) -> Option<Found> {
        let until = self
            .deadline
            .min(Instant::now() + self.config.timeout.min(TOTAL));
        let bytes = question
            .to_bytes()
            .map_err(|_| io::Error::from(ErrorKind::InvalidInput))
            .and_then(|message| stream(server, &message, until));
        let reply = match bytes.map(|bytes| question.read(&bytes)) {
            Ok(Ok(reply)) => reply,
            Ok(Err(wrong)) => {
                self.lines.push(format!("tcp {server}: {wrong}"));
                return None;
            }
            Err(error) if is_timeout(&error) => {
                self.lines.push(format!("tcp {server}: no reply in time"));
                self.silent.push(server);
                return None;
            }
            Err(error) => {
                self.lines.push(format!("tcp {server}: {error}"));
                return None;
            }
        };
        self.heard = true;
        match reply {
            Reply::Answer { answer, lifetime } => Some((answer, lifetime)),
            // Over TCP everything fits, so that this is no answer.
            Reply::Truncated => {
                self.lines.push(format!("tcp {server}: truncated"));
                None
            }
            Reply::Failed(code) => {
                self.lines.push(format!("tcp {server}: {code}"));
                None
            }
        }
    }

    fn failed(&mut self, server: SocketAddr, error: &io::Error) {
        let what = match error.kind() {
            ErrorKind::ConnectionRefused => "refused: nobody listens there".to_owned(),
            _ => error.to_string(),
        };
        self.lines.push(format!("{server}: {what}"));
        self.silent.push(server);
    }

    fn give_up(&mut self) -> ResolveError {
        for one in core::mem::take(&mut self.tries) {
            self.silence(&one);
        }
        let (name, kind) = (self.name.to_owned(), self.kind);
        let attempts = core::mem::take(&mut self.lines);
        if self.heard {
            ResolveError::Failed {
                name,
                kind,
                attempts,
            }
        } else {
            ResolveError::Silent {
                name,
                kind,
                attempts,
            }
        }
    }
}

/// A socket of a port that the system chose at random (RFC 5452 section 9.2), which takes
/// datagrams of this server only.
fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(server)?;
    Ok(socket)
}

/// One message over TCP and one back.
fn stream(server: SocketAddr, message: &[u8], until: Instant) -> io::Result<Vec<u8>> {
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(ErrorKind::TimedOut));
        }
        Ok(left.max(Duration::from_millis(1)))
    };
    let mut stream = TcpStream::connect_timeout(&server, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let length = u16::try_from(message.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed)?;
    let mut exactly = |length: usize| {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            stream.set_read_timeout(Some(left()?))?;
            match stream.read(rest) {
                Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    };
    let prefix = exactly(TCP_PREFIX)?;
    let length = prefix
        .first_chunk()
        .map_or(0, |bytes| u16::from_be_bytes(*bytes));
    exactly(usize::from(length))
}

/// A timed-out read is `WouldBlock` on Unix and `TimedOut` on Windows; a signal is neither's fault.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
