//! Loopback servers for one test each; they end with it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use trihound_kdc_transport::{KdcTransport, Limits, ServerMemory};
use trihound_krb5::Config;
use trihound_krb5::config::RealmConfig;
use trihound_sansio::{ExchangeRequest, Service, Transport, TransportFailure, TransportHint};

/// A request and the replies that answer it, as far as a transport can tell.
pub(crate) const AS_REQ: &[u8] = &[0x6a, 0x02, 0x30, 0x00];
pub(crate) const AS_REP: &[u8] = &[0x6b, 0x03, 0x30, 0x01, 0x05];
pub(crate) const OTHER_AS_REP: &[u8] = &[0x6b, 0x03, 0x30, 0x01, 0x06];

/// A server thread with a count of what it heard.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heard: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Calls `answer` for every datagram.
    pub(crate) fn udp(answer: impl Fn(&UdpSocket, &[u8], SocketAddr) + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        Self::start(address, move |stop, heard| {
            let mut buffer = [0; 65_536];
            while !stop.load(Ordering::SeqCst) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    heard.fetch_add(1, Ordering::SeqCst);
                    answer(&socket, &buffer[..length], from);
                }
            }
        })
    }

    /// Reads one framed request from every connection and calls `answer`, then closes.
    pub(crate) fn tcp(answer: impl Fn(&mut TcpStream, &[u8]) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self::start(address, move |stop, heard| {
            while !stop.load(Ordering::SeqCst) {
                let Ok((mut stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(2)))
                    .unwrap();
                let mut prefix = [0; 4];
                if stream.read_exact(&mut prefix).is_err() {
                    continue;
                }
                let mut request = vec![0; u32::from_be_bytes(prefix) as usize];
                if stream.read_exact(&mut request).is_ok() {
                    heard.fetch_add(1, Ordering::SeqCst);
                    answer(&mut stream, &request);
                }
            }
        })
    }

    fn start(
        address: SocketAddr,
        work: impl FnOnce(&AtomicBool, &AtomicUsize) + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(AtomicUsize::new(0));
        let (flag, count) = (Arc::clone(&stop), Arc::clone(&heard));
        Self {
            address,
            heard,
            stop,
            thread: Some(thread::spawn(move || work(&flag, &count))),
        }
    }

    /// How many requests came.
    pub(crate) fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A framed reply in one write.
pub(crate) fn framed(reply: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(reply);
    bytes
}

/// Writes, and does not mind a client that has gone.
pub(crate) fn put(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// An address where nothing listens: its port was free a moment ago.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// A stream that can be connected to, as long as it is held, but that nobody reads.
pub(crate) fn silent_stream() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// Times that make a test quick.
pub(crate) fn quick() -> Limits {
    Limits {
        next_server_after: Duration::from_millis(150),
        retransmit_after: Duration::from_millis(100),
        connect: Duration::from_millis(500),
        attempt: Duration::from_millis(800),
        total: Duration::from_millis(2000),
        ..Limits::default()
    }
}

pub(crate) fn addresses(kdcs: &[SocketAddr]) -> Vec<String> {
    kdcs.iter().map(ToString::to_string).collect()
}

/// A transport, blocking or not, that tests use alike.
pub(crate) enum Driver {
    Blocking(KdcTransport),
    #[cfg(feature = "tokio")]
    Tokio(
        tokio::runtime::Runtime,
        trihound_kdc_transport::AsyncKdcTransport,
    ),
}

impl Driver {
    /// The asynchronous one for the tests of a module whose name ends so.
    pub(crate) fn of(module: &str, config: Arc<Config>, limits: Limits) -> Self {
        // A port that was dead in one test may be a server's in the next.
        let blocking = KdcTransport::with_limits(config, limits).with_memory(ServerMemory::new());
        #[cfg(feature = "tokio")]
        if module.ends_with("_tokio") {
            return Self::asynchronous(&blocking);
        }
        assert!(!module.ends_with("_tokio"), "a test of the other transport");
        Self::Blocking(blocking)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn asynchronous(blocking: &KdcTransport) -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Self::Tokio(runtime.enable_all().build().unwrap(), blocking.to_async())
    }
}

impl Transport for Driver {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        match self {
            Self::Blocking(transport) => transport.round_trip(request),
            #[cfg(feature = "tokio")]
            Self::Tokio(runtime, transport) => {
                use trihound_sansio::AsyncTransport;
                runtime.block_on(transport.round_trip(request))
            }
        }
    }
}

/// A configuration with these KDCs and no look at DNS.
pub(crate) fn config(limit: usize, kdcs: Vec<String>) -> Arc<Config> {
    let mut config = Config::default();
    config.udp_preference_limit = limit;
    config.dns_lookup_kdc = false;
    config.realms.insert(
        "EXAMPLE.TEST".into(),
        RealmConfig {
            kdcs,
            ..RealmConfig::default()
        },
    );
    Arc::new(config)
}

pub(crate) fn request(hint: TransportHint) -> ExchangeRequest {
    ExchangeRequest {
        service: Service::Kdc,
        realm: "EXAMPLE.TEST".into(),
        message: AS_REQ.to_vec(),
        hint,
        route: None,
    }
}
