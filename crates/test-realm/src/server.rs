use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Error;
use crate::fault::Fault;
use crate::realm::{Carrier, TestRealm};

/// How often a thread that waits for a client looks whether the server is to stop.
const TICK: Duration = Duration::from_millis(50);
/// A rest after an error of a socket.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest request that is read.
const MAX_REQUEST: usize = 1024 * 1024;
/// How long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tries for a port that is free both for UDP and for TCP.
const PORT_TRIES: usize = 64;
/// Connections at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 256;

/// Serves a [`TestRealm`] over UDP and TCP until it is dropped: the KDC on one free port of 127.0.0.1, the
/// password service on another.
#[derive(Debug)]
pub struct TestKdcServer {
    realm: Arc<TestRealm>,
    address: SocketAddr,
    kpasswd_address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl TestKdcServer {
    /// Starts on a port of the system's choice.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when no port is free both for UDP and for TCP.
    pub fn start(realm: Arc<TestRealm>) -> Result<Self, Error> {
        let sockets = on_free_port(Ipv4Addr::LOCALHOST.into())?;
        Self::serve(realm, sockets)
    }

    /// Starts on this address, such as `127.0.0.1:8888`, over both protocols; the password service takes a free
    /// port of the same host.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when the port is taken.
    pub fn start_at(realm: Arc<TestRealm>, address: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind(address)?;
        let socket = UdpSocket::bind(listener.local_addr()?)?;
        Self::serve(realm, (listener, socket))
    }

    fn serve(realm: Arc<TestRealm>, kdc: Sockets) -> Result<Self, Error> {
        let address = kdc.0.local_addr()?;
        let kpasswd = on_free_port(address.ip())?;
        let kpasswd_address = kpasswd.0.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut server = Self {
            realm,
            address,
            kpasswd_address,
            stop,
            threads: Vec::new(),
        };
        // A half-started server is dropped on an error, which ends the thread that runs already.
        server.listen(Role::Kdc, kdc)?;
        server.listen(Role::Kpasswd, kpasswd)?;
        Ok(server)
    }

    fn listen(&mut self, role: Role, (listener, socket): Sockets) -> Result<(), Error> {
        socket.set_read_timeout(Some(TICK))?;
        let served = Served {
            realm: Arc::clone(&self.realm),
            role,
            stop: Arc::clone(&self.stop),
        };
        let also = served.clone();
        self.spawn("test-kdc-udp", move || datagrams(&socket, &served))?;
        self.spawn("test-kdc-tcp", move || connections(&listener, &also))
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Where it listens, over both protocols.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the password service listens, over both protocols.
    #[must_use]
    pub fn kpasswd_address(&self) -> SocketAddr {
        self.kpasswd_address
    }

    /// The realm that it serves.
    #[must_use]
    pub fn realm(&self) -> &Arc<TestRealm> {
        &self.realm
    }

    /// A krb5.conf for this realm alone, for Trihound and for MIT's tools. See [`krb5_conf`] for
    /// several realms.
    #[must_use]
    pub fn krb5_conf(&self) -> String {
        krb5_conf(&[self])
    }
}

impl Drop for TestKdcServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The threads that accept are woken by one more connection. If none can be made, others are
        // waiting, and one of them wakes it.
        for mut address in [self.address, self.kpasswd_address] {
            if address.ip().is_unspecified() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            let _ = TcpStream::connect_timeout(&address, PATIENCE);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to end.
            let _ = thread.join();
        }
    }
}

/// A krb5.conf for these realms; the first is the default one. Hosts belong to the realms by
/// the domains that the first realm was given, and `localhost` to the first.
#[must_use]
pub fn krb5_conf(servers: &[&TestKdcServer]) -> String {
    let default = servers.first().map(|server| server.realm.name());
    let mut text = String::from("[libdefaults]\n");
    if let Some(realm) = &default {
        text.push_str(&format!("    default_realm = {realm}\n"));
    }
    text.push_str(
        "    dns_lookup_realm = false\n    dns_lookup_kdc = false\n    rdns = false\n    \
         dns_canonicalize_hostname = false\n    qualify_shortname = \"\"\n\n[realms]\n",
    );
    for server in servers {
        text.push_str(&format!(
            "    {} = {{\n        kdc = {}\n        kpasswd_server = {}\n    }}\n",
            server.realm.name(),
            server.address,
            server.kpasswd_address
        ));
    }
    text.push_str("\n[domain_realm]\n");
    if let Some(realm) = &default {
        text.push_str(&format!("    localhost = {realm}\n"));
    }
    if let Some(first) = servers.first() {
        for (domain, realm) in &first.realm.domains {
            text.push_str(&format!(
                "    {domain} = {realm}\n    .{domain} = {realm}\n"
            ));
        }
    }
    text
}

type Sockets = (TcpListener, UdpSocket);

/// Which service a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Kdc,
    Kpasswd,
}

/// What a thread serves.
#[derive(Clone)]
struct Served {
    realm: Arc<TestRealm>,
    role: Role,
    stop: Arc<AtomicBool>,
}

impl Served {
    fn answer(&self, request: &[u8], carrier: Carrier) -> Option<Vec<u8>> {
        match self.role {
            Role::Kdc => self.realm.answer(request, carrier),
            Role::Kpasswd => self.realm.answer_kpasswd(request, carrier),
        }
    }

    fn stream_faults(&self, request: &[u8]) -> Vec<Fault> {
        match self.role {
            Role::Kdc => self.realm.take_stream_faults(request),
            Role::Kpasswd => Vec::new(),
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// A port that is free both for UDP and for TCP.
fn on_free_port(host: IpAddr) -> Result<Sockets, Error> {
    let mut last = io::Error::from(ErrorKind::AddrInUse);
    for _ in 0..PORT_TRIES {
        let listener = TcpListener::bind((host, 0))?;
        match UdpSocket::bind(listener.local_addr()?) {
            Ok(socket) => return Ok((listener, socket)),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

fn datagrams(socket: &UdpSocket, served: &Served) {
    let mut buffer = vec![0; 65_536];
    while !served.is_over() {
        let (length, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if is_timeout(&error) => continue,
            Err(_) => {
                // An ICMP report about a client that went away; or a lasting fault, which must not
                // occupy a processor.
                thread::sleep(PAUSE);
                continue;
            }
        };
        let request = buffer.get(..length).unwrap_or_default();
        if let Some(reply) = served.answer(request, Carrier::Datagram) {
            // A client that went away is no concern of the server's.
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn connections(listener: &TcpListener, served: &Served) {
    let open = Arc::new(AtomicUsize::new(0));
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !served.is_over() {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        threads.retain(|thread| !thread.is_finished());
        if open.load(Ordering::SeqCst) >= MAX_CONNECTIONS {
            continue;
        }
        open.fetch_add(1, Ordering::SeqCst);
        let served = served.clone();
        let counter = Arc::clone(&open);
        let spawned = thread::Builder::new()
            .name("test-kdc-connection".to_owned())
            .spawn(move || {
                // A broken connection ends itself.
                let _ = connection(stream, &served);
                counter.fetch_sub(1, Ordering::SeqCst);
            });
        match spawned {
            Ok(thread) => threads.push(thread),
            Err(_) => {
                open.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Any number of requests, each behind its 4-byte length (RFC 4120 section 7.2.2).
fn connection(mut stream: TcpStream, served: &Served) -> io::Result<()> {
    let stop = &*served.stop;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    loop {
        let Some(prefix) = read_exactly(&mut stream, 4, stop)? else {
            return Ok(());
        };
        let length = prefix
            .first_chunk::<4>()
            .map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // RFC 4120 section 7.2.2: the top bit is reserved; and nobody needs a megabyte.
        if length > MAX_REQUEST {
            return Ok(());
        }
        let Some(request) = read_exactly(&mut stream, length, stop)? else {
            return Ok(());
        };
        let Some(reply) = served.answer(&request, Carrier::Stream) else {
            return Ok(());
        };
        let faults = served.stream_faults(&request);
        if !send(&mut stream, &reply, &faults, stop)? {
            return Ok(());
        }
    }
}

/// Whether the stream goes on.
fn send(
    stream: &mut TcpStream,
    reply: &[u8],
    faults: &[Fault],
    stop: &AtomicBool,
) -> io::Result<bool> {
    let mut length = u32::try_from(reply.len()).map_err(io::Error::other)?;
    let mut sent = reply.len();
    let mut pause = None;
    for fault in faults {
        match fault {
            Fault::TruncateStream => sent = reply.len() / 2,
            Fault::SlowStream(by) => pause = Some(*by),
            Fault::StreamLength(claimed) => length = *claimed,
            _ => {}
        }
    }
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(reply.get(..sent).unwrap_or_default());
    match pause {
        None => stream.write_all(&framed)?,
        Some(pause) => {
            for byte in framed {
                if stop.load(Ordering::SeqCst) {
                    return Ok(false);
                }
                stream.write_all(&[byte])?;
                thread::sleep(pause);
            }
        }
    }
    Ok(sent == reply.len())
}

/// A timed-out read is `WouldBlock` on Unix and `TimedOut` on Windows.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// `None` at the end of the stream, after too long a silence, or when the server stops.
fn read_exactly(
    stream: &mut TcpStream,
    length: usize,
    stop: &AtomicBool,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let mut heard = Instant::now();
    while bytes.len() < length {
        if stop.load(Ordering::SeqCst) || heard.elapsed() > PATIENCE {
            return Ok(None);
        }
        let wanted = chunk.len().min(length.saturating_sub(bytes.len()));
        match stream.read(chunk.get_mut(..wanted).unwrap_or_default()) {
            Ok(0) => return Ok(None),
            Ok(read) => {
                bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
                heard = Instant::now();
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(bytes))
}
