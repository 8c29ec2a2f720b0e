use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;
use trihound_krb5::ccache::kcm::{KcmError, Operation, REPLY_HEADER, Reply, Request, reply_length};
use trihound_secret::SecretBytes;

/// How long a daemon may take for all that one call of ours asks of it. What it does is looking
/// things up in memory or a small database.
const PATIENCE: Duration = if cfg!(test) {
    Duration::from_secs(3)
} else {
    Duration::from_secs(10)
};

/// Why the daemon was not asked, or did not answer.
#[derive(Debug, Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Protocol(#[from] KcmError),
    #[error(
        "nobody listens at {} ({error}); start the KCM daemon (with sssd: `systemctl start \
         sssd-kcm.socket`), name its socket with kcm_socket in [libdefaults], or use another cache \
         (KRB5CCNAME=FILE:/path)",
        socket.display()
    )]
    NoDaemon { socket: PathBuf, error: io::Error },
    #[error("the KCM daemon hung up when it was asked to {operation}")]
    HungUp { operation: Operation },
    #[error(
        "the KCM daemon at {} has not answered {operation} within {} s; it hangs, or is another \
         program",
        socket.display(),
        PATIENCE.as_secs()
    )]
    TimedOut {
        socket: PathBuf,
        operation: Operation,
    },
    #[error("the KCM daemon at {}: {error}", socket.display())]
    Io { socket: PathBuf, error: io::Error },
}

/// A conversation with the daemon, of one call of ours.
#[derive(Debug)]
pub(super) struct Session<'a> {
    socket: &'a Path,
    stream: Option<Stream>,
    deadline: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(socket: &'a Path) -> Self {
        Self {
            socket,
            stream: None,
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// One question and its answer. A daemon that hangs up is asked once more: it may have been
    /// started anew meanwhile. All operations can be repeated.
    pub(super) fn call<T>(
        &mut self,
        request: &Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Result<T, KcmError>,
    ) -> Result<T, CallError> {
        let operation = request.operation();
        let bytes = request.to_bytes()?;
        let answer = match self.exchange(operation, &bytes) {
            // An operation that the daemon may not know is not worth a second try.
            Err(Failure::HungUp) if !operation.is_extension() => {
                tracing::debug!(%operation, "the KCM daemon hung up; trying once more");
                self.exchange(operation, &bytes)
            }
            answer => answer,
        };
        let answer = answer.map_err(|failure| self.told(failure, operation))?;
        Ok(read(Reply::parse(operation, answer.expose())?)?)
    }

    fn told(&self, failure: Failure, operation: Operation) -> CallError {
        let socket = self.socket.to_owned();
        match failure {
            Failure::Protocol(error) => CallError::Protocol(error),
            Failure::HungUp => CallError::HungUp { operation },
            Failure::TimedOut => CallError::TimedOut { socket, operation },
            Failure::NoDaemon(error) => CallError::NoDaemon { socket, error },
            Failure::Io(error) => CallError::Io { socket, error },
        }
    }

    fn exchange(
        &mut self,
        operation: Operation,
        request: &SecretBytes,
    ) -> Result<SecretBytes, Failure> {
        // After any trouble the connection is of no use: its next bytes may be an old reply's.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => Stream::connect(self.socket, self.deadline)?,
        };
        stream.write(request.expose(), self.deadline)?;
        let mut header = [0; REPLY_HEADER];
        stream.read(&mut header, self.deadline)?;
        let length = reply_length(operation, header).map_err(Failure::Protocol);
        let length = match length {
            // sssd refuses so what it does not know, and goes on.
            Err(failure @ Failure::Protocol(KcmError::Refused { .. })) => {
                self.stream = Some(stream);
                return Err(failure);
            }
            length => length?,
        };
        let mut reply = SecretBytes::zeroed(length);
        stream.read(reply.expose_mut(), self.deadline)?;
        self.stream = Some(stream);
        Ok(reply)
    }
}

#[derive(Debug)]
enum Failure {
    Protocol(KcmError),
    NoDaemon(io::Error),
    HungUp,
    TimedOut,
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof => Self::HungUp,
            _ => Self::Io(error),
        }
    }
}

fn left(deadline: Instant) -> Result<Duration, Failure> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(Failure::TimedOut),
        left => Ok(left),
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct Stream(std::os::unix::net::UnixStream);

#[cfg(unix)]
impl Stream {
    fn connect(socket: &Path, deadline: Instant) -> Result<Self, Failure> {
        connect(socket, left(deadline)?)
            .map(Self)
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Failure::TimedOut,
                _ => Failure::NoDaemon(error),
            })
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<(), Failure> {
        while !bytes.is_empty() {
            self.0.set_write_timeout(Some(left(deadline)?))?;
            match send(&self.0, bytes) {
                Ok(0) => return Err(Failure::HungUp),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(&mut self, mut room: &mut [u8], deadline: Instant) -> Result<(), Failure> {
        use std::io::Read;
        while !room.is_empty() {
            self.0.set_read_timeout(Some(left(deadline)?))?;
            match self.0.read(room) {
                Ok(0) => return Err(Failure::HungUp),
                Ok(read) => room = room.get_mut(read..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A listener whose queue is full keeps a connection waiting, for as long as the socket's patience
/// for sending, which the standard library cannot set beforehand.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn connect(socket: &Path, patience: Duration) -> io::Result<std::os::unix::net::UnixStream> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
    };
    let address = SocketAddrUnix::new(socket)?;
    let stream = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_timeout(&stream, sockopt::Timeout::Send, Some(patience))?;
    connect(&stream, &address)?;
    Ok(stream.into())
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn connect(socket: &Path, _: Duration) -> io::Result<std::os::unix::net::UnixStream> {
    std::os::unix::net::UnixStream::connect(socket)
}

/// Without the signal that would end a program whose daemon went away.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn send(stream: &std::os::unix::net::UnixStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(
        stream,
        bytes,
        rustix::net::SendFlags::NOSIGNAL,
    )?)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn send(mut stream: &std::os::unix::net::UnixStream, bytes: &[u8]) -> io::Result<usize> {
    use std::io::Write;
    stream.write(bytes)
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Stream;

#[cfg(not(unix))]
impl Stream {
    fn connect(_: &Path, _: Instant) -> Result<Self, Failure> {
        Err(Failure::NoDaemon(io::Error::from(
            io::ErrorKind::Unsupported,
        )))
    }

    fn write(&mut self, _: &[u8], deadline: Instant) -> Result<(), Failure> {
        left(deadline).map(drop)
    }

    fn read(&mut self, _: &mut [u8], deadline: Instant) -> Result<(), Failure> {
        left(deadline).map(drop)
    }
}
