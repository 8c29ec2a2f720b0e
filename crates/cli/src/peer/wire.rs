use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest frame that is taken: larger than any message that `big=N` can ask for.
const MAX_FRAME: usize = 64 << 20;

/// How long the other side may be silent; a test must end even when its peer hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// A TCP connection that carries frames: a length of four bytes, big-endian, and that many bytes.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(Self(stream))
    }

    /// The connection as a child's standard output.
    #[cfg(unix)]
    pub(crate) fn into_stdio(self) -> io::Result<std::process::Stdio> {
        Ok(std::os::fd::OwnedFd::from(self.0).into())
    }

    /// The connection that a parent gave as standard output.
    #[cfg(unix)]
    pub(crate) fn of_stdout() -> io::Result<Self> {
        use std::os::fd::AsFd;
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Self::new(TcpStream::from(stdout))
    }

    #[cfg(not(unix))]
    pub(crate) fn into_stdio(self) -> io::Result<std::process::Stdio> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(unix))]
    pub(crate) fn of_stdout() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the frame is too long"))?;
        let mut whole = Vec::with_capacity(4 + frame.len());
        whole.extend_from_slice(&length.to_be_bytes());
        whole.extend_from_slice(frame);
        self.0.write_all(&whole).map_err(closed)
    }

    pub(crate) fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut prefix = [0; 4];
        self.0.read_exact(&mut prefix).map_err(closed)?;
        let length = u32::from_be_bytes(prefix) as usize;
        if length > MAX_FRAME {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the peer announces a frame of {length} bytes, more than the {MAX_FRAME} that are taken"
                ),
            ));
        }
        // Read as it comes, so that memory follows what was sent, not what was announced.
        let mut frame = Vec::new();
        let read = (&mut self.0).take(length as u64).read_to_end(&mut frame)?;
        if read < length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the peer closed after {read} of {length} bytes of a frame"),
            ));
        }
        Ok(frame)
    }
}

/// Who refuses a login closes the connection: an end, or, where a message was under way to it, a reset.
fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => io::Error::new(
            error.kind(),
            "the peer closed the connection where a frame was due; its own output says why",
        ),
        _ => error,
    }
}
