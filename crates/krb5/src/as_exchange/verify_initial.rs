//! Holding a first ticket against a key that only this host and the KDC know (RFC 4120 section 10).
//!
//! Whoever answers for the KDC and knows the password that is being typed can make a ticket-granting
//! ticket. A login that lets somebody in must therefore see the KDC make a ticket that a key of
//! this host's keytab opens (conformance row 185).

use std::sync::Arc;

use trihound_sansio::{Exchange, Progress, Reply};

use crate::ap::{AcceptPolicy, AcceptRequest, ApRequest, accept_ap_req, build_ap_req};
use crate::{
    Credentials, Environment, Error, Keytab, MemoryReplayCache, Principal, TgsExchange, TgsRequest,
};

/// What to verify, with what.
#[derive(Debug)]
pub struct VerifyInitialRequest {
    /// The ticket-granting ticket of the login.
    pub tgt: Arc<Credentials>,
    /// A service of this host.
    pub server: Principal,
    /// The keytab with that service's key, which nobody but this host can read.
    pub keytab: Arc<Keytab>,
    /// The KDC's clock less ours, in microseconds; else 0.
    pub time_offset: i64,
}

/// Gets a ticket for a service of this host and opens it with the host's own key.
#[derive(Debug)]
pub struct VerifyInitialCredentials {
    exchange: TgsExchange,
    environment: Environment,
    server: Principal,
    keytab: Arc<Keytab>,
    time_offset: i64,
}

impl VerifyInitialCredentials {
    /// Prepares the exchange.
    ///
    /// # Errors
    ///
    /// Those of [`TgsExchange::begin`].
    pub fn begin(request: VerifyInitialRequest, environment: &Environment) -> Result<Self, Error> {
        let mut ticket = TgsRequest::new(request.tgt, request.server.clone());
        ticket.time_offset = request.time_offset;
        Ok(Self {
            exchange: TgsExchange::begin(ticket, environment)?,
            environment: environment.clone(),
            server: request.server,
            keytab: request.keytab,
            time_offset: request.time_offset,
        })
    }
}

impl Exchange for VerifyInitialCredentials {
    type Output = Credentials;
    type Error = Error;

    /// Done means that the KDC is the one that this host shares a key with; the service ticket comes
    /// along.
    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<Credentials>, Error> {
        let credentials = match self.exchange.step(reply)? {
            Progress::Exchange(request) => return Ok(Progress::Exchange(request)),
            Progress::Done(outcome) => outcome.credentials,
        };
        let request = ApRequest {
            mutual: false,
            time_offset: self.time_offset,
            ..ApRequest::new(&credentials)
        };
        let sent = build_ap_req(&request, &self.environment)?;
        let server = Principal {
            realm: credentials.server.realm.clone(),
            name: self.server.name.clone(),
        };
        // Both ends are here, so that the clock that made the authenticator reads it, too.
        let corrected = self.environment.corrected(self.time_offset);
        let accept = AcceptRequest {
            keytab: &self.keytab,
            principal: Some(&server),
            policy: &AcceptPolicy::default(),
            replay_cache: &MemoryReplayCache::new(1),
            client_address: None,
        };
        accept_ap_req(&sent.message, &accept, &corrected)?;
        Ok(Progress::Done(credentials))
    }
}
