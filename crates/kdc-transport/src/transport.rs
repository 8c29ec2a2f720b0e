use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service, Transport, TransportFailure, TransportHint};

use crate::attempt::{Job, Protocol};
use crate::locate::{self, ServerAddress};
use crate::{AttemptError, MAX_DATAGRAM_LENGTH};

/// The times that bound a round trip. RFC 4120 section 7.2 leaves them to the implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A silent server is joined by the next one after this.
    pub next_server_after: Duration,
    /// A datagram is sent again after this, then after twice this, and so on.
    pub retransmit_after: Duration,
    /// How long a TCP connection may take to open.
    pub connect: Duration,
    /// How long one attempt with one server may take, all in all.
    pub attempt: Duration,
    /// How long the whole round trip may take.
    pub total: Duration,
    /// How long a server that did not answer is asked last.
    pub remember_dead: Duration,
}

impl Limits {
    /// One second, as long as a KDC across the world needs.
    pub const NEXT_SERVER_AFTER: Duration = Duration::from_secs(1);
    /// One second before a lost datagram is sent again.
    pub const RETRANSMIT_AFTER: Duration = Duration::from_secs(1);
    /// Three seconds: one lost SYN and its repetition.
    pub const CONNECT: Duration = Duration::from_secs(3);
    /// Ten seconds with one server.
    pub const ATTEMPT: Duration = Duration::from_secs(10);
    /// Twenty seconds in all.
    pub const TOTAL: Duration = Duration::from_secs(20);
    /// One minute.
    pub const REMEMBER_DEAD: Duration = Duration::from_secs(60);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            next_server_after: Self::NEXT_SERVER_AFTER,
            retransmit_after: Self::RETRANSMIT_AFTER,
            connect: Self::CONNECT,
            attempt: Self::ATTEMPT,
            total: Self::TOTAL,
            remember_dead: Self::REMEMBER_DEAD,
        }
    }
}

/// One server over one protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Candidate {
    server: ServerAddress,
    protocol: Protocol,
    /// Known once the server's name is resolved; an IP literal is from the start.
    address: Option<SocketAddr>,
}

impl Candidate {
    fn new(server: &ServerAddress, protocol: Protocol) -> Self {
        Self {
            server: server.clone(),
            protocol,
            address: server.literal(),
        }
    }

    /// Whether both are one server over one protocol, at whichever of its addresses.
    fn same_service(&self, other: &Self) -> bool {
        self.server == other.server && self.protocol == other.protocol
    }

    fn at(&self, address: SocketAddr) -> Self {
        Self {
            address: Some(address),
            ..self.clone()
        }
    }

    /// `udp 192.0.2.1:88`, with the name in front where there was one.
    fn describe(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        };
        match self.address {
            Some(address) if self.server.literal().is_none() => {
                format!("{protocol} {} ({address})", self.server)
            }
            Some(address) => format!("{protocol} {address}"),
            None => format!("{protocol} {}", self.server),
        }
    }
}

/// What became of a thread's work.
enum Outcome {
    Resolved(Vec<SocketAddr>),
    Reply(Vec<u8>),
    Failed(AttemptError),
}

/// The blocking transport: UDP and TCP to the servers that the configuration names.
///
/// One value serves any number of round trips, of any realm; it remembers which servers were dead.
#[derive(Debug)]
pub struct KdcTransport {
    config: Arc<Config>,
    limits: Limits,
    dead: HashMap<Candidate, Instant>,
}

impl KdcTransport {
    /// A transport with the usual [`Limits`].
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self::with_limits(config, Limits::default())
    }

    /// A transport with limits of the caller's choice.
    #[must_use]
    pub fn with_limits(config: Arc<Config>, limits: Limits) -> Self {
        Self {
            config,
            limits,
            dead: HashMap::new(),
        }
    }

    /// Every server over every protocol that may carry the message, in the order of asking.
    fn plan(&self, request: &ExchangeRequest, servers: &[ServerAddress]) -> VecDeque<Candidate> {
        let length = request.message.len();
        let datagram = request.hint != TransportHint::StreamOnly && length <= MAX_DATAGRAM_LENGTH;
        let stream_first = length > self.config.udp_preference_limit;
        let protocols: &[Protocol] = match (datagram, stream_first) {
            (false, _) => &[Protocol::Tcp],
            (true, false) => &[Protocol::Udp, Protocol::Tcp],
            (true, true) => &[Protocol::Tcp, Protocol::Udp],
        };
        let all = protocols
            .iter()
            .flat_map(|&protocol| servers.iter().map(move |s| Candidate::new(s, protocol)));
        let (dead, alive): (Vec<_>, Vec<_>) = all.partition(|c| self.is_dead(c));
        alive.into_iter().chain(dead).collect()
    }

    fn is_dead(&self, candidate: &Candidate) -> bool {
        self.dead.iter().any(|(known, since)| {
            known.same_service(candidate) && since.elapsed() < self.limits.remember_dead
        })
    }

    fn forget_the_past(&mut self) {
        let keep = self.limits.remember_dead;
        self.dead.retain(|_, since| since.elapsed() < keep);
    }
}

impl Transport for KdcTransport {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        self.forget_the_past();
        let servers = locate::servers(&self.config, request)?;
        let plan = self.plan(request, &servers);
        let now = Instant::now();
        let race = Race {
            job: Arc::new(Job {
                service: request.service,
                message: Arc::from(request.message.as_slice()),
                limits: self.limits,
                stop: Arc::new(AtomicBool::new(false)),
                deadline: now + self.limits.total,
            }),
            // A password change that reaches two servers would be made twice.
            hedge: request.service != Service::Kpasswd,
            plan,
            running: Vec::new(),
            last_start: now,
            lines: Vec::new(),
            last_resort: None,
        };
        race.run(&mut self.dead).map_err(|attempts| TransportFailure {
            realm: request.realm.clone(),
            attempts,
            advice: format!(
                "check that a KDC of {} runs, that the servers of its [realms] entry are right, \
                 and that no firewall stands between",
                request.realm
            ),
        })
    }
}

/// The attempts of one round trip, the first of which to answer wins.
struct Race {
    job: Arc<Job>,
    hedge: bool,
    plan: VecDeque<Candidate>,
    running: Vec<Candidate>,
    last_start: Instant,
    lines: Vec<String>,
    /// A KRB-ERROR that says "service not available": an answer, if there is no better one.
    last_resort: Option<Vec<u8>>,
}

impl Race {
    fn run(mut self, dead: &mut HashMap<Candidate, Instant>) -> Result<Vec<u8>, Vec<String>> {
        let (sender, receiver) = mpsc::channel();
        loop {
            if let Some(next) = self.plan.pop_front() {
                self.start(next, &sender);
            }
            if self.running.is_empty() && self.plan.is_empty() {
                break;
            }
            match receiver.recv_timeout(self.patience()) {
                Ok((candidate, outcome)) => {
                    self.running.retain(|c| *c != candidate);
                    match outcome {
                        Outcome::Resolved(addresses) => {
                            for address in addresses.into_iter().rev() {
                                self.plan.push_front(candidate.at(address));
                            }
                        }
                        Outcome::Reply(reply) => {
                            self.job.stop.store(true, Ordering::Relaxed);
                            dead.retain(|known, _| !known.same_service(&candidate));
                            // Whoever was asked earlier and is still silent was overtaken.
                            for silent in self.running.drain(..) {
                                dead.insert(silent, Instant::now());
                            }
                            return Ok(reply);
                        }
                        Outcome::Failed(error) => {
                            self.failed(candidate, error, dead);
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= self.job.deadline => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.job.stop.store(true, Ordering::Relaxed);
        for silent in core::mem::take(&mut self.running) {
            let waited = AttemptError::Silent(self.job.limits.total);
            self.failed(silent, waited, dead);
        }
        self.last_resort.ok_or(self.lines)
    }

    /// Until when to wait for what runs, before the next one is asked too.
    fn patience(&self) -> Duration {
        let mut until = self.job.deadline;
        if !self.plan.is_empty() && (self.hedge || self.running.is_empty()) {
            until = until.min(self.last_start + self.job.limits.next_server_after);
        }
        until.saturating_duration_since(Instant::now())
    }

    fn failed(
        &mut self,
        candidate: Candidate,
        error: AttemptError,
        dead: &mut HashMap<Candidate, Instant>,
    ) {
        self.lines
            .push(format!("{}: {error}", candidate.describe()));
        dead.insert(candidate, Instant::now());
        if let AttemptError::Unavailable(reply) = error {
            self.last_resort = Some(reply);
        }
    }

    fn start(&mut self, candidate: Candidate, sender: &Sender<(Candidate, Outcome)>) {
        self.last_start = Instant::now();
        let (job, back, asked) = (Arc::clone(&self.job), sender.clone(), candidate.clone());
        let spawned = thread::Builder::new()
            .name("kdc-round-trip".to_owned())
            .spawn(move || {
                let outcome = work(&job, &asked);
                // Nobody listens once another server has answered.
                let _ = back.send((asked, outcome));
            });
        match spawned {
            Ok(_) => self.running.push(candidate),
            Err(error) => {
                // The receiver outlives this call, so the outcome arrives like any other.
                self.running.push(candidate.clone());
                let failure = AttemptError::from_io("start a thread", error);
                let _ = sender.send((candidate, Outcome::Failed(failure)));
            }
        }
    }
}

fn work(job: &Job, candidate: &Candidate) -> Outcome {
    let Some(address) = candidate.address else {
        let name = (candidate.server.host.as_str(), candidate.server.port);
        return match name.to_socket_addrs() {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses.collect();
                if addresses.is_empty() {
                    Outcome::Failed(AttemptError::NoAddress)
                } else {
                    Outcome::Resolved(addresses)
                }
            }
            Err(error) => Outcome::Failed(AttemptError::Resolve(error)),
        };
    };
    match job.run(candidate.protocol, address) {
        Ok(reply) => Outcome::Reply(reply),
        Err(error) => Outcome::Failed(error),
    }
}
