//! Whom to ask, when, and what to make of the answers: the whole of a round trip without a socket,
//! a thread or a clock. The blocking and the asynchronous transport do what it says and tell it what
//! came of it.
//!
//! ```text
//! next(now) ─► Start   do this work, beside whatever runs
//!           ─► Wait    for the outcome of what runs, or until then
//!           ─► Done
//! finished(id, outcome, now)  tells what came of a work
//! ```

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service, TransportFailure};

use crate::candidate::{self, Candidate, Carrier};
use crate::memory::{ServerMemory, Standing};
use crate::wire::{Span, after};
use crate::{AttemptError, Limits, Server};

/// How long a server that was dead once is alone, when it is asked again: long enough to show that
/// it lives, too short to be felt if it does not.
const SUSPECT_HEAD_START: Duration = Duration::from_millis(100);

/// How many addresses of one name are asked.
const MAX_ADDRESSES: usize = 32;

/// What a transport is to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start this work. Its outcome is due before the span ends.
    Start { id: u32, work: Work, span: Span },
    /// Wait for an outcome, but not for longer.
    Wait(Instant),
    /// The round trip is over. Whatever still runs may stop.
    Done(Result<Answered, TransportFailure>),
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Find the servers of the request.
    Locate,
    /// Find the addresses of a host.
    Resolve(String),
    /// Send a datagram there.
    Datagram(SocketAddr),
    /// Send over a stream there.
    Stream(SocketAddr),
    /// Post to a KDC proxy.
    Proxy(Server),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Located(Result<Vec<Server>, TransportFailure>),
    Resolved(Vec<IpAddr>),
    Reply(Vec<u8>),
    Failed(AttemptError),
}

/// A reply, and who gave it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Vec<u8>,
    /// `None` where the answer is from nobody in particular.
    pub(crate) by: Option<Candidate>,
}

/// What a race is about.
pub(crate) struct Stakes<'a> {
    pub(crate) config: &'a Arc<Config>,
    pub(crate) request: &'a Arc<ExchangeRequest>,
    pub(crate) limits: &'a Limits,
    pub(crate) memory: &'a ServerMemory,
    /// Whether there is a function that posts to proxies.
    pub(crate) https: bool,
    /// Who answered the last request, for one that wants a primary KDC.
    pub(crate) last: Option<&'a Candidate>,
}

/// The attempts of one round trip, the first of which to answer wins.
#[derive(Debug)]
pub(crate) struct Race {
    config: Arc<Config>,
    request: Arc<ExchangeRequest>,
    limits: Limits,
    memory: ServerMemory,
    https: bool,
    last: Option<Candidate>,
    deadline: Instant,
    /// Those to ask, by how much trust they have.
    alive: VecDeque<Candidate>,
    shaky: VecDeque<Candidate>,
    dead: VecDeque<Candidate>,
    /// Those whose name is being resolved for another one.
    waiting: Vec<Candidate>,
    resolved: HashMap<String, Vec<IpAddr>>,
    running: Vec<Running>,
    locating: Option<u32>,
    next_id: u32,
    next_start: Instant,
    lines: Vec<String>,
    /// A KRB-ERROR that says "service not available": an answer, if there is no better one.
    last_resort: Option<Vec<u8>>,
    result: Option<Result<Answered, TransportFailure>>,
}

#[derive(Debug)]
struct Running {
    id: u32,
    candidate: Candidate,
    since: Instant,
    /// Once it is silent for so long, another one is faster.
    patience: Duration,
}

impl Race {
    pub(crate) fn new(stakes: &Stakes<'_>, now: Instant) -> Self {
        Self {
            config: Arc::clone(stakes.config),
            request: Arc::clone(stakes.request),
            limits: *stakes.limits,
            memory: stakes.memory.clone(),
            https: stakes.https,
            last: stakes.last.cloned(),
            deadline: after(now, stakes.limits.total),
            alive: VecDeque::new(),
            shaky: VecDeque::new(),
            dead: VecDeque::new(),
            waiting: Vec::new(),
            resolved: HashMap::new(),
            running: Vec::new(),
            locating: None,
            next_id: 0,
            next_start: now,
            lines: Vec::new(),
            last_resort: None,
            result: None,
        }
    }

    /// What to do now.
    pub(crate) fn next(&mut self, now: Instant) -> Action {
        if let Some(result) = self.result.take() {
            return Action::Done(result);
        }
        if self.next_id == 0 {
            let id = self.new_id();
            self.locating = Some(id);
            let until = self.deadline;
            return Action::Start {
                id,
                work: Work::Locate,
                span: Span { since: now, until },
            };
        }
        if now >= self.deadline {
            return Action::Done(self.give_up(now));
        }
        if self.locating.is_some() {
            return Action::Wait(self.deadline);
        }
        while self.may_start(now) {
            let Some(candidate) = self.pop() else {
                break;
            };
            if let Some(work) = self.prepare(&candidate, now) {
                return self.start(candidate, work, now);
            }
            if let Some(result) = self.result.take() {
                return Action::Done(result);
            }
        }
        if self.running.is_empty() {
            return Action::Done(self.give_up(now));
        }
        Action::Wait(self.next_turn())
    }

    /// When another one is asked beside those that run.
    fn next_turn(&self) -> Instant {
        if self.is_hedged() && self.has_more() {
            self.next_start.min(self.deadline)
        } else {
            self.deadline
        }
    }

    /// What came of the work of this number.
    pub(crate) fn finished(&mut self, id: u32, outcome: Outcome, now: Instant) {
        if self.locating == Some(id) {
            self.locating = None;
            match outcome {
                Outcome::Located(Ok(servers)) => self.located(&servers, now),
                Outcome::Located(Err(failure)) => self.result = Some(Err(failure)),
                Outcome::Reply(reply) => self.result = Some(Ok(Answered { reply, by: None })),
                Outcome::Failed(error) => self.lines.push(format!("finding servers: {error}")),
                Outcome::Resolved(_) => self.lines.push("finding servers: no result".to_owned()),
            }
            return;
        }
        let Some(position) = self.running.iter().position(|running| running.id == id) else {
            return;
        };
        let running = self.running.swap_remove(position);
        match outcome {
            Outcome::Reply(reply) => self.won(running, reply, now),
            Outcome::Resolved(addresses) => self.has_addresses(&running.candidate, addresses, now),
            Outcome::Failed(error) => self.failed(&running.candidate, error, now),
            Outcome::Located(_) => {}
        }
    }

    /// If just one work runs: until when nothing else is to be done.
    pub(crate) fn alone_until(&self) -> Option<Instant> {
        (self.running.len() == 1).then(|| self.next_turn())
    }

    /// Ends the race at the caller's wish.
    pub(crate) fn cancel(&mut self) -> TransportFailure {
        tracing::debug!(realm = %self.request.realm, "the round trip is cancelled");
        TransportFailure {
            realm: self.request.realm.clone(),
            attempts: core::mem::take(&mut self.lines),
            advice: "the round trip was cancelled".to_owned(),
        }
    }

    fn new_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        id
    }

    /// A password change that reaches two servers would be made twice.
    fn is_hedged(&self) -> bool {
        self.request.service != Service::Kpasswd
    }

    fn may_start(&self, now: Instant) -> bool {
        self.running.is_empty() || (self.is_hedged() && now >= self.next_start)
    }

    fn has_more(&self) -> bool {
        !(self.alive.is_empty() && self.shaky.is_empty() && self.dead.is_empty())
    }

    fn pop(&mut self) -> Option<Candidate> {
        let next = self.alive.pop_front();
        let next = next.or_else(|| self.shaky.pop_front());
        next.or_else(|| self.dead.pop_front())
    }

    fn standing(&self, candidate: &Candidate, now: Instant) -> Standing {
        let keep = self.limits.remember_dead;
        self.memory.standing(&candidate.place(), now, keep)
    }

    fn queue(&mut self, candidate: Candidate, now: Instant) {
        match self.standing(&candidate, now) {
            Standing::Alive | Standing::Suspect => self.alive.push_back(candidate),
            Standing::Shaky => self.shaky.push_back(candidate),
            Standing::Dead => self.dead.push_back(candidate),
        }
    }

    fn located(&mut self, servers: &[Server], now: Instant) {
        if servers.iter().any(|server| self.has_answered(server, None)) {
            return self.primary_has_answered();
        }
        let (candidates, unfit) = candidate::plan(&self.config, &self.request, servers);
        self.lines.extend(unfit);
        for candidate in candidates {
            self.queue(candidate, now);
        }
        self.next_start = now;
    }

    /// Whether a primary KDC is wanted and this one gave the answer before.
    fn has_answered(&self, server: &Server, address: Option<SocketAddr>) -> bool {
        let Some(last) = &self.last else {
            return false;
        };
        self.request.hint.is_primary_only()
            && (server.same_place(&last.server)
                || (server.port == last.server.port
                    && server.host.eq_ignore_ascii_case(&last.server.host))
                || (last.address.is_some() && last.address == address.or(server.literal())))
    }

    /// Asking the primary KDC again would only count one wrong password twice.
    fn primary_has_answered(&mut self) {
        let mut failure = TransportFailure::no_primary(&self.request.realm);
        failure.advice = format!(
            "the answer came from a primary KDC of {} already",
            self.request.realm
        );
        self.result = Some(Err(failure));
    }

    /// The work for a candidate, if there is any to do now.
    fn prepare(&mut self, candidate: &Candidate, now: Instant) -> Option<Work> {
        let Some(carrier) = candidate.carrier else {
            if self.https {
                return Some(Work::Proxy(candidate.server.clone()));
            }
            self.tell(candidate, &AttemptError::NoHttps);
            return None;
        };
        if let Some(address) = candidate.address {
            return Some(match carrier {
                Carrier::Udp => Work::Datagram(address),
                Carrier::Tcp => Work::Stream(address),
            });
        }
        let host = &candidate.server.host;
        if let Some(addresses) = self.resolved.get(host).cloned() {
            self.expand(candidate, &addresses, now);
            return None;
        }
        let under_way = |running: &Running| {
            running.candidate.address.is_none() && running.candidate.server.host == *host
        };
        if self.running.iter().any(under_way) {
            self.waiting.push(candidate.clone());
            return None;
        }
        Some(Work::Resolve(host.clone()))
    }

    fn start(&mut self, candidate: Candidate, work: Work, now: Instant) -> Action {
        let patience = match self.standing(&candidate, now) {
            Standing::Suspect => SUSPECT_HEAD_START.min(self.limits.next_server_after),
            _ => self.limits.next_server_after,
        };
        self.next_start = after(now, patience);
        let id = self.new_id();
        let until = match work {
            Work::Resolve(_) => self.deadline,
            _ => self.deadline.min(after(now, self.limits.attempt)),
        };
        let (realm, kdc) = (&self.request.realm, candidate.describe());
        match &work {
            Work::Resolve(host) => {
                tracing::debug!(realm = %realm, host = %host, "resolving the name of a KDC");
            }
            _ => {
                let bytes = self.request.message.len();
                tracing::debug!(realm = %realm, kdc = %kdc, attempt = id, bytes, "sending to a KDC");
            }
        }
        self.running.push(Running {
            id,
            candidate,
            since: now,
            patience,
        });
        let span = Span { since: now, until };
        Action::Start { id, work, span }
    }

    fn won(&mut self, winner: Running, reply: Vec<u8>, now: Instant) {
        let kdc = winner.candidate.describe();
        tracing::debug!(
            realm = %self.request.realm,
            kdc = %kdc,
            attempt = winner.id,
            bytes = reply.len(),
            "received the answer of a KDC"
        );
        self.memory.lives(&winner.candidate.place());
        for running in core::mem::take(&mut self.running) {
            // Asked for long enough and still silent: overtaken. One that had just been asked has
            // shown nothing yet.
            if now.saturating_duration_since(running.since) >= running.patience {
                self.bury(&running.candidate, true, now);
            }
        }
        self.result = Some(Ok(Answered {
            reply,
            by: Some(winner.candidate),
        }));
    }

    fn bury(&self, candidate: &Candidate, silent: bool, now: Instant) {
        let kdc = candidate.describe();
        let seconds = self.limits.remember_dead.as_secs();
        tracing::debug!(
            realm = %self.request.realm,
            kdc = %kdc,
            "this KDC does not answer and is asked last for the next {seconds} seconds"
        );
        self.memory.died(candidate.place(), silent, now);
    }

    fn has_addresses(&mut self, candidate: &Candidate, mut addresses: Vec<IpAddr>, now: Instant) {
        self.next_start = now;
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            return self.failed(candidate, AttemptError::NoAddress, now);
        }
        self.memory.lives(&candidate.place());
        let host = candidate.server.host.clone();
        let waiting = core::mem::take(&mut self.waiting);
        let (same, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|waiting| waiting.server.host == host);
        self.waiting = others;
        for waiting in same.iter().rev() {
            self.expand(waiting, &addresses, now);
        }
        self.expand(candidate, &addresses, now);
        self.resolved.insert(host, addresses);
    }

    /// Puts the addresses of a named server where the name was, but for those that are dead.
    fn expand(&mut self, candidate: &Candidate, addresses: &[IpAddr], now: Instant) {
        let port = candidate.server.port;
        let at = |address: &IpAddr| candidate.at(SocketAddr::new(*address, port));
        let known: Vec<Candidate> = addresses.iter().map(at).collect();
        if known
            .iter()
            .any(|candidate| self.has_answered(&candidate.server, candidate.address))
        {
            return self.primary_has_answered();
        }
        for candidate in known.into_iter().rev() {
            match self.standing(&candidate, now) {
                Standing::Alive | Standing::Suspect => self.alive.push_front(candidate),
                Standing::Shaky => self.shaky.push_front(candidate),
                Standing::Dead => self.dead.push_front(candidate),
            }
        }
    }

    fn failed(&mut self, candidate: &Candidate, error: AttemptError, now: Instant) {
        self.next_start = now;
        self.tell(candidate, &error);
        if candidate.address.is_none() && candidate.carrier.is_some() {
            // Nobody else of this name will do better.
            let host = candidate.server.host.clone();
            self.waiting.retain(|waiting| waiting.server.host != host);
            self.resolved.insert(host, Vec::new());
        }
        let silent = matches!(
            error,
            AttemptError::Silent(_) | AttemptError::Garbage { .. }
        );
        self.bury(candidate, silent, now);
        if let AttemptError::Unavailable(reply) = error {
            self.last_resort = Some(reply);
        }
    }

    fn tell(&mut self, candidate: &Candidate, error: &AttemptError) {
        let kdc = candidate.describe();
        tracing::debug!(
            realm = %self.request.realm,
            kdc = %kdc,
            error = %error,
            "a KDC gave no answer"
        );
        self.lines.push(format!("{kdc}: {error}"));
    }

    /// Nobody is left, or no time.
    fn give_up(&mut self, now: Instant) -> Result<Answered, TransportFailure> {
        for running in core::mem::take(&mut self.running) {
            let since = running.since;
            let silent = Span { since, until: now }.silent(now);
            self.failed(&running.candidate, silent, now);
        }
        let unasked = self.alive.len() + self.shaky.len() + self.dead.len();
        if unasked > 0 {
            self.lines.push(format!(
                "{unasked} more were not asked, since the time was up"
            ));
        }
        if let Some(reply) = self.last_resort.take() {
            return Ok(Answered { reply, by: None });
        }
        let realm = self.request.realm.clone();
        tracing::debug!(realm = %realm, "no KDC answered");
        Err(TransportFailure {
            attempts: core::mem::take(&mut self.lines),
            advice: format!(
                "check that a KDC of {realm} runs, that the servers of its [realms] entry or in DNS \
                 are right, and that no firewall stands between"
            ),
            realm,
        })
    }
}

#[cfg(test)]
mod tests;
