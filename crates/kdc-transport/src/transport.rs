use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service, Transport, TransportFailure};

use crate::attempt::Attempt;
use crate::candidate::Candidate;
use crate::job::{Job, Parts};
use crate::race::{Action, Answered, Outcome, Race, Stakes, Work};
use crate::wire::Span;
use crate::{AttemptError, Cancel, HttpsPost, Limits, Resolve, ServerMemory};

/// The blocking transport: UDP, TCP and KDC proxies, to the servers that the configuration names or
/// DNS lists.
///
/// One value serves any number of round trips, of any realm. Clones are cheap; what they share is
/// the [`ServerMemory`], the resolver and the [`Cancel`] handle.
#[derive(Clone, Debug)]
pub struct KdcTransport {
    parts: Parts,
    cancel: Option<Cancel>,
    /// Who answered the last request to a KDC.
    last: Option<Candidate>,
}

impl KdcTransport {
    /// A transport with the [`Limits`] of the configuration.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        let limits = Limits::from_config(&config);
        Self::with_limits(config, limits)
    }

    /// A transport with limits of the caller's choice.
    #[must_use]
    pub fn with_limits(config: Arc<Config>, limits: Limits) -> Self {
        Self {
            parts: Parts::new(config, limits),
            cancel: None,
            last: None,
        }
    }

    /// With a memory of dead servers other than the process's.
    #[must_use]
    pub fn with_memory(mut self, memory: ServerMemory) -> Self {
        self.parts.memory = memory;
        self
    }

    /// With a resolver other than the machine's.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.parts.resolver = resolver;
        self
    }

    /// With a function that posts to KDC proxies (MS-KKDCP).
    #[must_use]
    pub fn with_https(mut self, post: Arc<dyn HttpsPost>) -> Self {
        self.parts.https = Some(post);
        self
    }

    /// With a handle that ends its round trips from another thread.
    #[must_use]
    pub fn with_cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// The asynchronous transport with the same configuration, limits, memory, resolver and HTTPS
    /// function.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn to_async(&self) -> crate::AsyncKdcTransport {
        crate::AsyncKdcTransport::of(self.parts.clone())
    }
}

impl Transport for KdcTransport {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        let request = Arc::new(request.clone());
        let stakes = stakes(&self.parts, &request, self.last.as_ref());
        let race = Race::new(&stakes, Instant::now());
        let job = Arc::new(Job::new(&self.parts, &request, self.cancel.clone()));
        let answered = run(race, &job, self.cancel.as_ref());
        // Nothing that was started may outlive the round trip by more than a moment.
        job.stop();
        Ok(remember(&mut self.last, &request, answered?))
    }
}

pub(crate) fn stakes<'a>(
    parts: &'a Parts,
    request: &'a Arc<ExchangeRequest>,
    last: Option<&'a Candidate>,
) -> Stakes<'a> {
    Stakes {
        config: &parts.config,
        request,
        limits: &parts.limits,
        memory: &parts.memory,
        https: parts.https.is_some(),
        last,
    }
}

/// Keeps in mind who answered, for requests that want a primary KDC next; there may be several of
/// these, so what a primary one answered changes nothing.
pub(crate) fn remember(
    last: &mut Option<Candidate>,
    request: &ExchangeRequest,
    answered: Answered,
) -> Vec<u8> {
    if request.service == Service::Kdc && !request.hint.is_primary_only() {
        *last = answered.by;
    }
    answered.reply
}

/// What wakes a round trip that waits.
#[derive(Debug)]
pub(crate) enum Event {
    Finished(u32, Outcome),
    Cancelled,
}

fn run(
    mut race: Race,
    job: &Arc<Job>,
    cancel: Option<&Cancel>,
) -> Result<Answered, TransportFailure> {
    let (sender, receiver) = mpsc::channel();
    let _wake = cancel.map(|cancel| cancel.wake(sender.clone()));
    loop {
        if cancel.is_some_and(Cancel::is_cancelled) {
            return Err(race.cancel());
        }
        match race.next(Instant::now()) {
            Action::Done(result) => return result,
            Action::Start { id, work, span } => start(&mut race, job, id, work, span, &sender),
            Action::Wait(until) => wait(&mut race, &receiver, until),
        }
    }
}

fn wait(race: &mut Race, receiver: &Receiver<Event>, until: Instant) {
    let patience = until.saturating_duration_since(Instant::now());
    match receiver.recv_timeout(patience) {
        Ok(Event::Finished(id, outcome)) => race.finished(id, outcome, Instant::now()),
        // The caller's loop looks for cancellation by itself; it holds a sender, too.
        Ok(Event::Cancelled) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
    }
}

/// Starts a work: in this thread as long as nothing else is to be done meanwhile, which is the usual
/// case and costs no thread at all, and in one of its own from then on.
fn start(race: &mut Race, job: &Arc<Job>, id: u32, work: Work, span: Span, sender: &Sender<Event>) {
    let attempt = match &work {
        Work::Locate if job.locates_at_once() => {
            return race.finished(id, job.call(&work, span), Instant::now());
        }
        Work::Locate | Work::Resolve(_) | Work::Proxy(_) => {
            return spawn(job, id, sender, move |job| job.call(&work, span));
        }
        Work::Datagram(address) => Attempt::datagram(*address, job, span),
        Work::Stream(address) => Ok(Attempt::stream(*address, span)),
    };
    let mut attempt = match attempt {
        Ok(attempt) => attempt,
        Err(error) => return race.finished(id, Outcome::Failed(error), Instant::now()),
    };
    if let Some(pause) = race.alone_until()
        && let Some(result) = attempt.run(job, pause)
    {
        return race.finished(id, outcome(result), Instant::now());
    }
    spawn(job, id, sender, move |job| {
        let result = attempt.run(job, span.until);
        outcome(result.unwrap_or_else(|| Err(span.silent(Instant::now()))))
    });
}

fn outcome(result: Result<Vec<u8>, AttemptError>) -> Outcome {
    match result {
        Ok(reply) => Outcome::Reply(reply),
        Err(error) => Outcome::Failed(error),
    }
}

fn spawn(
    job: &Arc<Job>,
    id: u32,
    sender: &Sender<Event>,
    work: impl FnOnce(&Job) -> Outcome + Send + 'static,
) {
    let (job, back) = (Arc::clone(job), sender.clone());
    let spawned = thread::Builder::new()
        .name("kdc-round-trip".to_owned())
        .spawn(move || {
            let outcome = work(&job);
            // Nobody listens once another server has answered.
            let _ = back.send(Event::Finished(id, outcome));
        });
    if let Err(error) = spawned {
        let failure = AttemptError::from_io("start a thread", error);
        // The receiver outlives this call, so this arrives like any other outcome.
        let _ = sender.send(Event::Finished(id, Outcome::Failed(failure)));
    }
}
