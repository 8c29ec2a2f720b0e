use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::Failure;

/// A frame longer than this is none of the peers'.
const LONGEST_FRAME: usize = 64 << 20;

/// How long a side may be silent: a little longer than a peer's own patience.
const PATIENCE: Duration = Duration::from_secs(70);

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// The side that began.
    Initiator,
    /// The side that answers.
    Acceptor,
}

/// What becomes of a frame: given who sent it, the how manieth of that side it is (from 0) and its bytes,
/// the frames that go on in its place.
pub type Change = Box<dyn FnMut(Sender, usize, Vec<u8>) -> Vec<Vec<u8>> + Send>;

/// Everything that the two sides sent, as they sent it and in the order of its coming.
pub type Transcript = Arc<Mutex<Vec<(Sender, Vec<u8>)>>>;

/// A man in the middle of one conversation, on the wire of the peers: frames of a 4-byte length.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    transcript: Transcript,
}

impl Relay {
    /// Listens at a free port of 127.0.0.1 for one initiator and connects it with the acceptor.
    ///
    /// # Errors
    ///
    /// No port is to be had.
    pub fn start(acceptor: u16, change: Change) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let transcript = Transcript::default();
        let kept = Arc::clone(&transcript);
        thread::spawn(move || {
            // An error ends the connections, which the two programs then tell of.
            let _ = serve(&listener, acceptor, change, &kept);
        });
        Ok(Self { port, transcript })
    }

    /// Where the initiator connects.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was sent so far.
    #[must_use]
    pub fn transcript(&self) -> Vec<(Sender, Vec<u8>)> {
        self.transcript
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

fn serve(
    listener: &TcpListener,
    acceptor: u16,
    change: Change,
    transcript: &Transcript,
) -> io::Result<()> {
    let (initiator, _) = listener.accept()?;
    let acceptor = TcpStream::connect((Ipv4Addr::LOCALHOST, acceptor))?;
    let change = Mutex::new(change);
    thread::scope(|scope| {
        for (sender, source, sink) in [
            (Sender::Initiator, &initiator, &acceptor),
            (Sender::Acceptor, &acceptor, &initiator),
        ] {
            let change = &change;
            scope.spawn(move || {
                let _ = pass_on(sender, source, sink, change, transcript);
                // The other side learns that nothing more comes; what is on its way to it still arrives.
                let _ = sink.shutdown(Shutdown::Write);
            });
        }
    });
    Ok(())
}

fn pass_on(
    sender: Sender,
    mut source: &TcpStream,
    mut sink: &TcpStream,
    change: &Mutex<Change>,
    transcript: &Transcript,
) -> io::Result<()> {
    source.set_read_timeout(Some(PATIENCE))?;
    sink.set_nodelay(true)?;
    for index in 0.. {
        let mut length = [0; 4];
        source.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut frame = vec![0; length];
        source.read_exact(&mut frame)?;
        if let Ok(mut transcript) = transcript.lock() {
            transcript.push((sender, frame.clone()));
        }
        let frames = match change.lock() {
            Ok(mut change) => change(sender, index, frame),
            Err(_) => return Ok(()),
        };
        for frame in frames {
            let length = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidData)?;
            sink.write_all(&length.to_be_bytes())?;
            sink.write_all(&frame)?;
        }
    }
    Ok(())
}
