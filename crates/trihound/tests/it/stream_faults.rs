//! What a protected stream does after something went wrong on it: it gives no byte twice, takes no
//! byte that comes behind a gap, and sends nothing that was refused.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use trihound::krb5::MemoryStore;
use trihound::sansio::{Clock, FixedClock, SystemClock};
use trihound::sspi::SecurityStatus;
use trihound::{Client, Error, SecureStream};

use crate::programs::{self, config, connection};
use crate::support::{SERVICE, realm};

/// A frame that no context made.
const JUNK: [u8; 5] = [0, 0, 0, 1, 7];

/// A stream that fails once when it is told to, and is well again afterwards.
#[derive(Debug)]
struct Faulty<S> {
    stream: S,
    fault: Arc<Fault>,
}

#[derive(Debug, Default)]
struct Fault {
    /// Bytes that go out before a write fails.
    after: Mutex<Option<usize>>,
    /// Bytes that went out.
    written: Mutex<usize>,
}

impl Fault {
    fn fail_after(&self, bytes: usize) {
        *self.after.lock().unwrap() = Some(bytes);
    }

    fn written(&self) -> usize {
        *self.written.lock().unwrap()
    }

    /// How many of the bytes may be written now.
    fn room(&self, length: usize) -> io::Result<usize> {
        let mut after = self.after.lock().unwrap();
        match *after {
            None => Ok(length),
            Some(0) => {
                *after = None;
                Err(io::Error::new(io::ErrorKind::TimedOut, "the line was busy"))
            }
            Some(room) => Ok(length.min(room)),
        }
    }

    fn wrote(&self, count: usize) {
        *self.written.lock().unwrap() += count;
        if let Some(after) = self.after.lock().unwrap().as_mut() {
            *after -= count;
        }
    }
}

impl<S: Read> Read for Faulty<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl<S: Write> Write for Faulty<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.fault.room(bytes.len())?;
        let count = self.stream.write(&bytes[..room])?;
        self.fault.wrote(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn builder() -> trihound::ClientBuilder {
    Client::builder()
        .config(config())
        .password("alice", "password")
        .max_message(100)
}

/// Both ends of a context; the client's takes messages of 100 bytes, and has a fault.
fn pair() -> (SecureStream<Faulty<TcpStream>>, SecureStream<TcpStream>) {
    let realm = realm();
    let client = builder().transport(realm.transport()).build().unwrap();
    let server = programs::server(&realm);
    let (stream, far) = connection();
    for end in [&stream, &far] {
        // A test fails rather than waits for ever.
        end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    let fault = Arc::default();
    thread::scope(|scope| {
        let accepting = scope.spawn(|| server.accept(far).unwrap());
        let near = client.connect(SERVICE, Faulty { stream, fault }).unwrap();
        (near, accepting.join().unwrap())
    })
}

/// The reason in the error of a stream that was given up.
fn reason<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::StreamGivenUp { reason }) => reason,
        other => panic!("the stream is in use still: {other:?}"),
    }
}

/// The same from [`Read`] and [`Write`].
fn io_reason<T: std::fmt::Debug>(outcome: io::Result<T>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
    let inner = error.into_inner().unwrap();
    reason(Err::<T, _>(*inner.downcast::<Error>().unwrap()))
}

/// Nothing goes in or out any more, and every answer says why.
fn assert_given_up<S: Read + Write>(secure: &mut SecureStream<S>, why: &str) {
    // Twice: an answer changes nothing about the next.
    for _ in 0..2 {
        let reasons = [
            io_reason(secure.read(&mut [0; 64])),
            reason(secure.receive()),
            reason(secure.send(b"more")),
            io_reason(secure.write(b"more")),
            io_reason(secure.flush()),
            reason(secure.close()),
        ];
        for reason in reasons {
            assert!(reason.contains(why), "{reason}");
        }
    }
}

#[test]
fn a_refused_frame_gives_no_earlier_message_again() {
    let (mut near, mut far) = pair();
    let mut buffer = [0; 64];
    near.send(b"pay 100").unwrap();
    assert_eq!(far.read(&mut buffer).unwrap(), 7);
    assert_eq!(&buffer[..7], b"pay 100");
    near.get_mut().stream.write_all(&JUNK).unwrap();
    let refused = far.read(&mut buffer).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    // What comes behind it is the peer's, and there is a gap in front of it.
    near.send(b"next").unwrap();
    let before = buffer;
    assert_given_up(&mut far, &refused.to_string());
    assert_eq!(buffer, before);
}

#[test]
fn a_message_read_in_part_is_not_gone_on_with_after_a_fault() {
    let (mut near, mut far) = pair();
    far.send(b"pay 100").unwrap();
    let mut buffer = [0; 4];
    near.read_exact(&mut buffer).unwrap();
    near.get_ref().fault.fail_after(3);
    assert!(matches!(near.send(b"x"), Err(Error::Io(_))));
    assert_given_up(&mut near, "the line was busy");
}

#[test]
fn an_overlong_frame_ends_the_stream() {
    let (mut near, mut far) = pair();
    near.get_mut().stream.write_all(&[0xff; 4]).unwrap();
    near.send(b"next").unwrap();
    let error = far.receive().unwrap_err();
    assert!(matches!(error, Error::FrameTooLong { .. }), "{error}");
    assert_given_up(&mut far, "4294967295 bytes");
}

#[test]
fn a_cut_connection_stays_cut() {
    for part in [0, 2, 6] {
        let (mut near, mut far) = pair();
        let frame = [0, 0, 0, 9, 1, 2];
        near.get_mut().stream.write_all(&frame[..part]).unwrap();
        near.get_ref().stream.shutdown(Shutdown::Write).unwrap();
        let error = far.receive().unwrap_err();
        assert!(matches!(error, Error::CutOff), "{part}: {error}");
        assert_given_up(&mut far, "without the peer's end mark");
    }
}

#[test]
fn a_timeout_ends_a_stream_within_a_frame_and_not_between_two() {
    let (mut near, mut far) = pair();
    let short = Some(Duration::from_millis(20));
    far.get_ref().set_read_timeout(short).unwrap();
    assert!(matches!(far.receive(), Err(Error::Io(_))));
    near.send(b"one").unwrap();
    assert_eq!(far.receive().unwrap().unwrap(), b"one");
    for part in [1, 4, 6] {
        let (mut near, mut far) = pair();
        far.get_ref().set_read_timeout(short).unwrap();
        let frame = [0, 0, 0, 9, 1, 2];
        near.get_mut().stream.write_all(&frame[..part]).unwrap();
        let Err(Error::Io(error)) = far.receive() else {
            panic!("{part}: a frame that is not there");
        };
        near.send(b"next").unwrap();
        assert_given_up(&mut far, &error.to_string());
    }
}

#[test]
fn a_message_of_a_wrong_length_sends_nothing_and_ends_nothing() {
    let (mut near, mut far) = pair();
    near.send(b"one").unwrap();
    assert_eq!(near.write(b"held back").unwrap(), 9);
    let before = near.get_ref().fault.written();
    for wrong in [[0; 101].as_slice(), b""] {
        let error = near.send(wrong).unwrap_err();
        assert!(matches!(error, Error::MessageLength { .. }), "{error}");
        assert_eq!(near.get_ref().fault.written(), before);
    }
    near.send(b"two").unwrap();
    near.close().unwrap();
    for message in [b"one".as_slice(), b"held back", b"two"] {
        assert_eq!(far.receive().unwrap().unwrap(), message);
    }
    assert!(far.receive().unwrap().is_none());
}

#[test]
fn a_failed_write_is_not_tried_again() {
    for after in [0, 3] {
        for way in 0..3 {
            let (mut near, mut far) = pair();
            near.get_ref().fault.fail_after(after);
            let before = near.get_ref().fault.written();
            if way > 0 {
                near.write_all(b"pay 100").unwrap();
            }
            let failed = match way {
                0 => near.send(b"pay 100").map_err(io::Error::from),
                1 => near.flush(),
                _ => near.close().map_err(io::Error::from),
            };
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_given_up(&mut near, "the line was busy");
            assert_eq!(near.get_ref().fault.written(), before + after);
            drop(near);
            let error = far.receive().unwrap_err();
            assert!(matches!(error, Error::CutOff), "{error}");
        }
    }
}

/// A context that ends with its ticket refuses to send; what it refused is not on the way then, and
/// neither is half of a frame.
#[test]
fn what_an_ended_context_refuses_is_not_sent() {
    let (realm, clock) = (realm(), clock());
    let client = expiring(&clock).transport(realm.transport());
    let client = client.build().unwrap();
    let server = programs::server(&realm);
    let (near, far) = connection();
    let (mut near, mut far) = thread::scope(|scope| {
        let accepting = scope.spawn(|| server.accept(far).unwrap());
        let fault = Arc::default();
        let near = Faulty {
            stream: near,
            fault,
        };
        let near = client.connect(SERVICE, near).unwrap();
        (near, accepting.join().unwrap())
    });
    near.send(b"one").unwrap();
    near.write_all(b"two").unwrap();
    let before = near.get_ref().fault.written();
    clock.advance(LONG);
    for _ in 0..2 {
        assert!(near.flush().is_err());
        assert!(has_expired(near.send(b"three")));
        assert!(has_expired(near.close()));
    }
    assert_eq!(near.get_ref().fault.written(), before);
    drop(near);
    assert_eq!(far.receive().unwrap().unwrap(), b"one");
    assert!(matches!(far.receive(), Err(Error::CutOff)));
}

#[test]
fn a_stream_is_printed_without_what_it_carries() {
    let (mut near, mut far) = pair();
    let bytes = "112, 97, 121";
    near.write_all(b"pay 100").unwrap();
    let held = format!("{near:?}");
    assert!(!held.contains(bytes), "{held}");
    near.flush().unwrap();
    far.read_exact(&mut [0]).unwrap();
    let held = format!("{far:?}");
    assert!(!held.contains(bytes), "{held}");
}

/// Longer than any ticket of the realm.
const LONG: Duration = Duration::from_secs(10 * 24 * 3600);

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::new(SystemClock.now()))
}

/// A client whose time is `clock`'s.
fn expiring(clock: &Arc<FixedClock>) -> trihound::ClientBuilder {
    let package = trihound::kerberos(
        Arc::new(config()),
        Arc::new(MemoryStore::new()),
        Arc::clone(clock) as Arc<dyn Clock>,
        Arc::new(trihound::OsRandom),
    );
    builder().kerberos(&package)
}

fn has_expired(outcome: Result<(), Error>) -> bool {
    match outcome {
        Err(Error::Security(error)) => error.status() == SecurityStatus::SEC_E_CONTEXT_EXPIRED,
        other => panic!("{other:?}"),
    }
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use core::pin::Pin;
    use core::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::io::{DuplexStream, ReadBuf, duplex};
    use trihound::sspi::{AcceptorAttributes, InitiatorRequirements};
    use trihound::tokio::{Client, SecureStream, Server};

    use super::*;
    use crate::support::{Counted, keytab};

    impl AsyncRead for Faulty<DuplexStream> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(context, into)
        }
    }

    impl AsyncWrite for Faulty<DuplexStream> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let room = self.fault.room(bytes.len())?;
            let polled = Pin::new(&mut self.stream).poll_write(context, &bytes[..room]);
            if let Poll::Ready(Ok(count)) = polled {
                self.fault.wrote(count);
            }
            polled
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }
    }

    type Pair = (
        SecureStream<Faulty<DuplexStream>>,
        SecureStream<DuplexStream>,
    );

    async fn connect(kdc: Counted, client: trihound::ClientBuilder, server: Server) -> Pair {
        let client = Client::from(client.build().unwrap()).with_transport(kdc);
        let (stream, far) = duplex(100_000);
        let fault = Arc::default();
        let near = client.connect(SERVICE, Faulty { stream, fault });
        let (near, far) = tokio::join!(near, server.accept(far));
        (near.unwrap(), far.unwrap())
    }

    async fn pair() -> Pair {
        let realm = realm();
        let server = Server::from(programs::server(&realm));
        connect(Counted::new(&realm), builder(), server).await
    }

    /// Both ends of a context that notices neither replay nor a wrong order, so that nothing but the
    /// stream itself keeps a message from coming twice.
    async fn lax_pair() -> Pair {
        let realm = realm();
        let asked = InitiatorRequirements::MUTUAL_AUTH
            | InitiatorRequirements::CONFIDENTIALITY
            | InitiatorRequirements::INTEGRITY;
        let server = trihound::Server::builder()
            .config(config())
            .keytab(keytab(&realm))
            .require(AcceptorAttributes::CONFIDENTIALITY)
            .build()
            .unwrap();
        let client = builder().requirements(asked);
        connect(Counted::new(&realm), client, Server::from(server)).await
    }

    async fn assert_given_up<S>(secure: &mut SecureStream<S>, why: &str)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for _ in 0..2 {
            let reasons = [
                io_reason(secure.read(&mut [0; 64]).await),
                reason(secure.receive().await),
                reason(secure.send(b"more").await),
                io_reason(secure.write(b"more").await),
                io_reason(secure.flush().await),
                reason(secure.close().await),
                io_reason(secure.shutdown().await),
            ];
            for reason in reasons {
                assert!(reason.contains(why), "{reason}");
            }
        }
    }

    #[tokio::test]
    async fn a_refused_frame_gives_no_earlier_message_again() {
        let (mut near, mut far) = pair().await;
        let mut buffer = [0; 64];
        near.send(b"pay 100").await.unwrap();
        assert_eq!(far.read(&mut buffer).await.unwrap(), 7);
        assert_eq!(&buffer[..7], b"pay 100");
        near.get_mut().stream.write_all(&JUNK).await.unwrap();
        let refused = far.read(&mut buffer).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        near.send(b"next").await.unwrap();
        let before = buffer;
        assert_given_up(&mut far, &refused.to_string()).await;
        assert_eq!(buffer, before);
    }

    #[tokio::test]
    async fn a_message_read_in_part_is_not_gone_on_with_after_a_fault() {
        let (mut near, mut far) = pair().await;
        far.send(b"pay 100").await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        near.get_ref().fault.fail_after(3);
        assert!(matches!(near.send(b"x").await, Err(Error::Io(_))));
        assert_given_up(&mut near, "the line was busy").await;
    }

    #[tokio::test]
    async fn an_overlong_frame_ends_the_stream() {
        let (mut near, mut far) = pair().await;
        near.get_mut().stream.write_all(&[0xff; 4]).await.unwrap();
        near.send(b"next").await.unwrap();
        let error = far.receive().await.unwrap_err();
        assert!(matches!(error, Error::FrameTooLong { .. }), "{error}");
        assert_given_up(&mut far, "4294967295 bytes").await;
    }

    #[tokio::test]
    async fn a_cut_connection_stays_cut() {
        for part in [0, 2, 6] {
            let (mut near, mut far) = pair().await;
            let stream = &mut near.get_mut().stream;
            stream.write_all(&[0, 0, 0, 9, 1, 2][..part]).await.unwrap();
            stream.shutdown().await.unwrap();
            let error = far.receive().await.unwrap_err();
            assert!(matches!(error, Error::CutOff), "{part}: {error}");
            assert_given_up(&mut far, "without the peer's end mark").await;
        }
    }

    /// With the default attributes and without replay detection, where the peer would take it twice.
    #[tokio::test]
    async fn a_message_of_a_wrong_length_sends_nothing_and_ends_nothing() {
        for is_lax in [false, true] {
            for wrong in [[0; 101].as_slice(), b""] {
                let (mut near, mut far) = if is_lax {
                    lax_pair().await
                } else {
                    pair().await
                };
                near.send(b"one").await.unwrap();
                near.write_all(b"held back").await.unwrap();
                let before = near.get_ref().fault.written();
                for _ in 0..2 {
                    let error = near.send(wrong).await.unwrap_err();
                    assert!(matches!(error, Error::MessageLength { .. }), "{error}");
                    assert_eq!(near.get_ref().fault.written(), before);
                }
                near.send(b"two").await.unwrap();
                assert!(near.send(wrong).await.is_err());
                near.close().await.unwrap();
                for message in [b"one".as_slice(), b"held back", b"two"] {
                    assert_eq!(far.receive().await.unwrap().unwrap(), message);
                }
                assert!(far.receive().await.unwrap().is_none());
            }
        }
    }

    #[tokio::test]
    async fn a_failed_write_is_not_tried_again() {
        for after in [0, 3] {
            for way in 0..4 {
                let (mut near, mut far) = pair().await;
                near.get_ref().fault.fail_after(after);
                let before = near.get_ref().fault.written();
                if way > 0 {
                    near.write_all(b"pay 100").await.unwrap();
                }
                let failed = match way {
                    0 => near.send(b"pay 100").await.map_err(io::Error::from),
                    1 => near.flush().await,
                    2 => near.shutdown().await,
                    _ => near.close().await.map_err(io::Error::from),
                };
                assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
                assert_given_up(&mut near, "the line was busy").await;
                assert_eq!(near.get_ref().fault.written(), before + after);
                drop(near);
                let error = far.receive().await.unwrap_err();
                assert!(matches!(error, Error::CutOff), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn what_an_ended_context_refuses_is_not_sent() {
        let (realm, clock) = (realm(), clock());
        let server = Server::from(programs::server(&realm));
        let client = expiring(&clock);
        let (mut near, mut far) = connect(Counted::new(&realm), client, server).await;
        near.send(b"one").await.unwrap();
        near.write_all(b"two").await.unwrap();
        let before = near.get_ref().fault.written();
        clock.advance(LONG);
        for _ in 0..2 {
            assert!(near.flush().await.is_err());
            assert!(near.shutdown().await.is_err());
            assert!(has_expired(near.send(b"three").await));
            assert!(has_expired(near.close().await));
        }
        assert_eq!(near.get_ref().fault.written(), before);
        drop(near);
        assert_eq!(far.receive().await.unwrap().unwrap(), b"one");
        assert!(matches!(far.receive().await, Err(Error::CutOff)));
    }

    /// The same where nothing was written before, so that the message itself or the end mark is what
    /// cannot be sealed.
    #[tokio::test]
    async fn an_end_mark_that_was_refused_is_not_taken_for_sent() {
        let (realm, clock) = (realm(), clock());
        let server = Server::from(programs::server(&realm));
        let client = expiring(&clock);
        let (mut near, mut far) = connect(Counted::new(&realm), client, server).await;
        near.send(b"one").await.unwrap();
        let before = near.get_ref().fault.written();
        clock.advance(LONG);
        for _ in 0..2 {
            assert!(has_expired(near.send(b"two").await));
            near.flush().await.unwrap();
            assert!(has_expired(near.close().await));
        }
        assert_eq!(near.get_ref().fault.written(), before);
        drop(near);
        assert_eq!(far.receive().await.unwrap().unwrap(), b"one");
        assert!(matches!(far.receive().await, Err(Error::CutOff)));
    }

    #[tokio::test]
    async fn a_stream_is_printed_without_what_it_carries() {
        let (mut near, mut far) = pair().await;
        let bytes = "112, 97, 121";
        near.write_all(b"pay 100").await.unwrap();
        let held = format!("{near:?}");
        assert!(!held.contains(bytes), "{held}");
        near.flush().await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        let held = format!("{far:?}");
        assert!(!held.contains(bytes), "{held}");
    }
}
