//! What every work of a round trip has at hand, and the works that are no sockets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use trihound_krb5::Config;
use trihound_sansio::{ExchangeRequest, Service};

use crate::race::{Outcome, Work};
use crate::wire::{self, Span};
use crate::{
    AttemptError, Cancel, HttpsPost, Limits, Resolve, Server, ServerMemory, SystemResolver,
    hostname, kkdcp, local_address, locate,
};

/// What a transport is made of; the same for the blocking and the asynchronous one.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) limits: Limits,
    pub(crate) memory: ServerMemory,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) https: Option<Arc<dyn HttpsPost>>,
}

impl Parts {
    pub(crate) fn new(config: Arc<Config>, limits: Limits) -> Self {
        Self {
            config,
            limits,
            memory: ServerMemory::shared(),
            resolver: SystemResolver::shared(),
            https: None,
        }
    }
}

impl core::fmt::Debug for Parts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Parts")
            .field("limits", &self.limits)
            .field("memory", &self.memory)
            .field("resolver", &self.resolver)
            .field("https", &self.https.is_some())
            .finish_non_exhaustive()
    }
}

/// One request, and what is needed to send it.
pub(crate) struct Job {
    pub(crate) request: Arc<ExchangeRequest>,
    pub(crate) limits: Limits,
    parts: Parts,
    cancel: Option<Cancel>,
    /// Who listens to the caller's events; a work on another thread tells the same one.
    dispatch: tracing::Dispatch,
    /// Set once nobody waits for an outcome any more.
    stop: AtomicBool,
}

impl Job {
    pub(crate) fn new(
        parts: &Parts,
        request: &Arc<ExchangeRequest>,
        cancel: Option<Cancel>,
    ) -> Self {
        Self {
            request: Arc::clone(request),
            limits: parts.limits,
            parts: parts.clone(),
            cancel,
            dispatch: tracing::dispatcher::get_default(Clone::clone),
            stop: AtomicBool::new(false),
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// Whether the servers are found without asking anybody.
    pub(crate) fn locates_at_once(&self) -> bool {
        let request = &self.request;
        if request.route.is_some() {
            return true;
        }
        let Some(realm) = self.parts.config.realms.get(&request.realm) else {
            return false;
        };
        match request.service {
            Service::Kdc if request.hint.is_primary_only() => {
                !realm.kdcs.is_empty() || !realm.primary_kdcs.is_empty()
            }
            Service::Kdc => !realm.kdcs.is_empty(),
            Service::Kpasswd => !realm.kpasswd_servers.is_empty(),
            _ => false,
        }
    }

    /// Does a work that is no socket's; it may take as long as the system lets it.
    pub(crate) fn call(&self, work: &Work, span: Span) -> Outcome {
        // The resolver and the HTTPS function are the caller's: if one panics, the round trip is to
        // end with a failure, and not to wait for a thread that is no more.
        let call = || self.call_unguarded(work, span);
        let told = || tracing::dispatcher::with_default(&self.dispatch, call);
        catch_unwind(AssertUnwindSafe(told)).unwrap_or(Outcome::Failed(AttemptError::Panicked))
    }

    fn call_unguarded(&self, work: &Work, span: Span) -> Outcome {
        match work {
            Work::Locate => self.locate(),
            Work::Resolve(host) => match self.parts.resolver.addresses(host) {
                Ok(addresses) => Outcome::Resolved(addresses),
                Err(error) => Outcome::Failed(AttemptError::Resolve(error)),
            },
            Work::Proxy(server) => match self.proxy(server, span) {
                Ok(reply) => Outcome::Reply(reply),
                Err(error) => Outcome::Failed(error),
            },
            Work::Datagram(_) | Work::Stream(_) => Outcome::Failed(AttemptError::GivenUp),
        }
    }

    fn locate(&self) -> Outcome {
        let resolver = self.parts.resolver.as_ref();
        let (config, request) = (&self.parts.config, &self.request);
        let answer = hostname::answer(config, request, resolver)
            .or_else(|| local_address::answer(config, request, resolver));
        match answer {
            Some(Ok(answer)) => Outcome::Reply(answer),
            Some(Err(failure)) => Outcome::Located(Err(failure)),
            None => Outcome::Located(locate::locate(config, request, resolver)),
        }
    }

    fn proxy(&self, server: &Server, span: Span) -> Result<Vec<u8>, AttemptError> {
        let Some(post) = &self.parts.https else {
            return Err(AttemptError::NoHttps);
        };
        let request = &self.request;
        let realm = self.parts.config.realms.get(&request.realm);
        let reply = kkdcp::round_trip(
            post.as_ref(),
            server,
            &request.realm,
            realm.map_or(&[], |realm| realm.http_anchors.as_slice()),
            &request.message,
            span.until.saturating_duration_since(Instant::now()),
        )?;
        wire::judge(request.service, &request.message, reply)
    }
}
