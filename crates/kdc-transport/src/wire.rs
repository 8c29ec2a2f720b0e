//! What goes over a datagram or a stream and when, without a socket: the blocking and the
//! asynchronous attempts feed it what they read.

use std::time::{Duration, Instant};

use trihound_sansio::Service;

use crate::{AttemptError, Limits, MAX_REPLY_LENGTH, reply};

/// The receive buffer of a datagram: the largest that IP can carry.
pub(crate) const DATAGRAM_BUFFER: usize = 65_536;
/// How much of a stream is read at a time: the announced length alone allocates nothing.
pub(crate) const READ_CHUNK: usize = 16 * 1024;
/// The top bit of a stream's length is reserved (RFC 4120 section 7.2.2).
const RESERVED_LENGTH_BIT: u32 = 0x8000_0000;

/// Longer than anybody waits, and short enough for every clock and every system call.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The shortest time between two sendings of one datagram, however short the configuration has it.
const NO_FLOOD: Duration = Duration::from_millis(20);

/// The moment after that time; a time that no clock can count, such as [`Duration::MAX`] for "without a
/// limit", is taken for a year.
pub(crate) fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time.min(FAR)).unwrap_or(now)
}

/// The time that an attempt has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) since: Instant,
    pub(crate) until: Instant,
}

impl Span {
    pub(crate) fn silent(self, now: Instant) -> AttemptError {
        AttemptError::Silent(now.saturating_duration_since(self.since))
    }
}

/// Takes a reply, whichever way it came, for the answer to `message` or says why it is none.
pub(crate) fn judge(
    service: Service,
    message: &[u8],
    reply: Vec<u8>,
) -> Result<Vec<u8>, AttemptError> {
    if !reply::answers(service, message, &reply) {
        return Err(AttemptError::NotAnAnswer {
            first: reply.first().copied().unwrap_or_default(),
            length: reply.len(),
        });
    }
    if reply::is_unavailable(&reply) {
        return Err(AttemptError::Unavailable(reply));
    }
    Ok(reply)
}

/// What to do about a datagram.
#[derive(Debug)]
pub(crate) enum Turn {
    Send,
    ReceiveUntil(Instant),
    Over(AttemptError),
}

/// When a datagram is sent, and for how long its answer is awaited.
#[derive(Debug)]
pub(crate) struct Datagrams {
    span: Span,
    /// When it is sent next; `None` once it was sent as often as it may.
    next_send: Option<Instant>,
    interval: Duration,
    sends_left: Option<u32>,
    garbage: u32,
}

impl Datagrams {
    pub(crate) fn new(limits: &Limits, span: Span) -> Self {
        Self {
            span,
            next_send: Some(span.since),
            interval: limits.retransmit_after.max(NO_FLOOD),
            sends_left: limits.sends,
            garbage: 0,
        }
    }

    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        if now >= self.span.until {
            return Turn::Over(self.silent(now));
        }
        let Some(next) = self.next_send else {
            return Turn::ReceiveUntil(self.span.until);
        };
        if now < next {
            return Turn::ReceiveUntil(next.min(self.span.until));
        }
        let next = after(now, self.interval);
        self.interval = self.interval.saturating_mul(2);
        self.next_send = Some(next);
        if let Some(left) = &mut self.sends_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.next_send = None;
                self.span.until = self.span.until.min(next);
            }
        }
        Turn::Send
    }

    /// The answer, if the datagram is one. Anybody can send a datagram that is none, so that is
    /// passed over.
    pub(crate) fn received(
        &mut self,
        service: Service,
        message: &[u8],
        datagram: &[u8],
    ) -> Option<Result<Vec<u8>, AttemptError>> {
        if reply::answers(service, message, datagram) {
            return Some(judge(service, message, datagram.to_vec()));
        }
        self.garbage = self.garbage.saturating_add(1);
        None
    }

    fn silent(&self, now: Instant) -> AttemptError {
        if self.garbage == 0 {
            return self.span.silent(now);
        }
        AttemptError::Garbage {
            count: self.garbage,
            waited: now.saturating_duration_since(self.span.since),
        }
    }
}

/// The message behind its 4-byte length (RFC 4120 section 7.2.2).
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX) & !RESERVED_LENGTH_BIT;
    let mut framed = Vec::with_capacity(message.len().saturating_add(4));
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// A reply as it comes out of a stream.
#[derive(Debug, Default)]
pub(crate) struct StreamReply {
    prefix: Vec<u8>,
    length: Option<usize>,
    body: Vec<u8>,
}

impl StreamReply {
    /// How many bytes the next read may take.
    pub(crate) fn wanted(&self) -> usize {
        match self.length {
            None => 4usize.saturating_sub(self.prefix.len()),
            Some(length) => length.saturating_sub(self.body.len()).min(READ_CHUNK),
        }
    }

    /// Takes what was read, no more than was wanted; the reply once it is whole.
    pub(crate) fn received(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, AttemptError> {
        let Some(length) = self.length else {
            self.prefix.extend_from_slice(bytes);
            if let Some(prefix) = self.prefix.first_chunk::<4>() {
                self.length = Some(announced(u32::from_be_bytes(*prefix))?);
            }
            return Ok(None);
        };
        self.body.extend_from_slice(bytes);
        Ok((self.body.len() >= length).then(|| core::mem::take(&mut self.body)))
    }

    /// What it means that the stream has ended.
    pub(crate) fn closed(&self) -> AttemptError {
        match self.length {
            None => AttemptError::ClosedEarly {
                received: self.prefix.len(),
                expected: 4,
            },
            Some(expected) => AttemptError::ClosedEarly {
                received: self.body.len(),
                expected,
            },
        }
    }
}

fn announced(announced: u32) -> Result<usize, AttemptError> {
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
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn datagrams(sends: Option<u32>) -> (Datagrams, Instant) {
        let since = Instant::now();
        let limits = Limits {
            sends,
            ..Limits::default()
        };
        let until = since + 10 * SECOND;
        (Datagrams::new(&limits, Span { since, until }), since)
    }

    #[test]
    fn a_datagram_is_sent_again_after_one_three_and_seven_seconds() {
        let (mut datagrams, since) = datagrams(None);
        for (at, next) in [(0, 1), (1, 3), (3, 7), (7, 10)] {
            let now = since + at * SECOND;
            assert!(matches!(datagrams.turn(now), Turn::Send), "{at}");
            let Turn::ReceiveUntil(until) = datagrams.turn(now) else {
                panic!("sent twice at {at}");
            };
            assert_eq!(until, since + next * SECOND, "{at}");
        }
        let over = datagrams.turn(since + 10 * SECOND);
        assert!(matches!(over, Turn::Over(AttemptError::Silent(_))));
    }

    #[test]
    fn a_datagram_is_sent_no_oftener_than_the_configuration_lets() {
        let (mut datagrams, since) = datagrams(Some(2));
        assert!(matches!(datagrams.turn(since), Turn::Send));
        assert!(matches!(datagrams.turn(since + SECOND), Turn::Send));
        let Turn::ReceiveUntil(until) = datagrams.turn(since + SECOND) else {
            panic!("sent a third time");
        };
        assert_eq!(until, since + 3 * SECOND);
        assert!(matches!(
            datagrams.turn(until),
            Turn::Over(AttemptError::Silent(_))
        ));
    }

    #[test]
    fn a_stream_is_put_together_from_any_pieces() {
        let mut reply = StreamReply::default();
        assert_eq!(reply.wanted(), 4);
        assert!(reply.received(&[0, 0]).unwrap().is_none());
        assert_eq!(reply.wanted(), 2);
        assert!(reply.received(&[0, 3]).unwrap().is_none());
        assert_eq!(reply.wanted(), 3);
        assert!(reply.received(&[1, 2]).unwrap().is_none());
        assert!(matches!(
            reply.closed(),
            AttemptError::ClosedEarly {
                received: 2,
                expected: 3
            }
        ));
        assert_eq!(reply.received(&[3]).unwrap().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn framing_and_reading_are_inverse() {
        let framed = framed(b"abc");
        assert_eq!(framed, b"\0\0\0\x03abc");
        let mut reply = StreamReply::default();
        assert!(reply.received(&framed[..4]).unwrap().is_none());
        assert_eq!(reply.received(&framed[4..]).unwrap().unwrap(), b"abc");
    }

    #[test]
    fn an_interval_that_no_clock_can_count_is_no_overflow() {
        let limits = Limits {
            retransmit_after: Duration::MAX,
            ..Limits::default()
        };
        let since = Instant::now();
        let until = since + 10 * SECOND;
        let mut datagrams = Datagrams::new(&limits, Span { since, until });
        assert!(matches!(datagrams.turn(since), Turn::Send));
        let Turn::ReceiveUntil(awaited) = datagrams.turn(since) else {
            panic!("sent twice");
        };
        assert_eq!(awaited, until);
    }

    #[test]
    fn without_an_interval_a_datagram_is_no_flood() {
        let limits = Limits {
            retransmit_after: Duration::ZERO,
            ..Limits::default()
        };
        let since = Instant::now();
        let until = since + 10 * SECOND;
        let mut datagrams = Datagrams::new(&limits, Span { since, until });
        assert!(matches!(datagrams.turn(since), Turn::Send));
        let Turn::ReceiveUntil(awaited) = datagrams.turn(since) else {
            panic!("sent twice");
        };
        assert!(awaited > since);
    }
}
