use std::sync::Arc;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep_until;
use trihound_krb5::Config;
use trihound_sansio::{AsyncTransport, ExchangeRequest, TransportFailure};

use crate::attempt_tokio::{datagram, now, stream};
use crate::candidate::Candidate;
use crate::job::{Job, Parts};
use crate::race::{Action, Answered, Outcome, Race, Work};
use crate::transport::{remember, stakes};
use crate::wire::Span;
use crate::{AttemptError, HttpsPost, Limits, Resolve, ServerMemory};

/// The asynchronous transport, on tokio: what [`crate::KdcTransport`] is to threads, by the same
/// rules and with the same memory of dead servers.
///
/// One value serves any number of round trips, one at a time; a clone for each task is cheap. The
/// runtime must have its I/O and time drivers on. Its futures are `Send`; dropping one closes its
/// sockets at once. What has no asynchronous form (the system's name resolution, the HTTPS function)
/// runs on the runtime's blocking threads, which a dropped future cannot end.
///
/// ```
/// use std::sync::Arc;
/// use trihound_kdc_transport::AsyncKdcTransport;
/// use trihound_krb5::Config;
/// use trihound_sansio::{AsyncTransport, ExchangeRequest, Service, TransportHint};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let mut config = Config::default();
/// config.dns_lookup_kdc = false;
/// let mut transport = AsyncKdcTransport::new(Arc::new(config));
/// let request = ExchangeRequest {
///     service: Service::Kdc,
///     realm: "EXAMPLE.TEST".into(),
///     message: vec![0x6a, 0x00],
///     hint: TransportHint::Any,
///     route: None,
/// };
/// assert!(transport.round_trip(&request).await.is_err());
/// # });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AsyncKdcTransport {
    parts: Parts,
    /// Who answered the last request to a KDC.
    last: Option<Candidate>,
}

impl AsyncKdcTransport {
    /// A transport with the [`Limits`] of the configuration.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        let limits = Limits::from_config(&config);
        Self::with_limits(config, limits)
    }

    /// A transport with limits of the caller's choice.
    #[must_use]
    pub fn with_limits(config: Arc<Config>, limits: Limits) -> Self {
        Self::of(Parts::new(config, limits))
    }

    pub(crate) fn of(parts: Parts) -> Self {
        Self { parts, last: None }
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

    /// With a function that posts to KDC proxies (MS-KKDCP); it is called on a blocking thread.
    #[must_use]
    pub fn with_https(mut self, post: Arc<dyn HttpsPost>) -> Self {
        self.parts.https = Some(post);
        self
    }
}

impl AsyncTransport for AsyncKdcTransport {
    async fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        let request = Arc::new(request.clone());
        let race = Race::new(&stakes(&self.parts, &request, self.last.as_ref()), now());
        let job = Arc::new(Job::new(&self.parts, &request, None));
        let answered = run(race, &job).await?;
        Ok(remember(&mut self.last, &request, answered))
    }
}

async fn run(mut race: Race, job: &Arc<Job>) -> Result<Answered, TransportFailure> {
    // Ends its tasks when it is dropped, be it here or with the whole future.
    let mut tasks = JoinSet::new();
    loop {
        match race.next(now()) {
            Action::Done(result) => return result,
            Action::Start { id, work, .. } if work == Work::Locate && job.locates_at_once() => {
                let until = now();
                let span = Span {
                    since: until,
                    until,
                };
                race.finished(id, job.call(&work, span), now());
            }
            Action::Start { id, work, span } => {
                let job = Arc::clone(job);
                tasks.spawn(async move { (id, perform(job, work, span).await) });
            }
            Action::Wait(until) => tokio::select! {
                // What has come counts before the time that is up.
                biased;
                Some(joined) = tasks.join_next() => {
                    // Neither is cancelled by anybody else, nor has a way to panic.
                    if let Ok((id, outcome)) = joined {
                        race.finished(id, outcome, now());
                    }
                }
                () = sleep_until(until.into()) => {}
            },
        }
    }
}

async fn perform(job: Arc<Job>, work: Work, span: Span) -> Outcome {
    let result = match work {
        Work::Datagram(address) => datagram(address, &job, span).await,
        Work::Stream(address) => stream(address, &job, span).await,
        Work::Locate | Work::Resolve(_) | Work::Proxy(_) => {
            return spawn_blocking(move || job.call(&work, span))
                .await
                .unwrap_or(Outcome::Failed(AttemptError::GivenUp));
        }
    };
    match result {
        Ok(reply) => Outcome::Reply(reply),
        Err(error) => Outcome::Failed(error),
    }
}
