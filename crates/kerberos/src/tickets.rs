//! From a credential to a service ticket, asking as few KDCs as it takes.
//!
//! ```text
//! a valid ticket for the service      ──► done, nobody is asked
//! a ticket-granting ticket            ──► TGS exchange ──► done
//!   about to end, no secret           ──► renewal first, if it is renewable
//! a password or keytab                ──► AS exchange ──► TGS exchange ──► done
//! ```
//!
//! Where the configuration says so, DNS is asked for the service's host name: see [`crate::hostname`].
//!
//! A program that keeps its tickets fresh ahead of need has two goals more: see [`Goal`].

use core::time::Duration;
use std::sync::Arc;

use tracing::{debug, warn};
use trihound_asn1::TicketFlags;
use trihound_krb5::{
    AsExchange, AsOutcome, AsRequest, Credentials, Environment, Error as KerberosError,
    KdcReplyVerified, Principal, TgsExchange, TgsOutcome, TgsRequest,
};
use trihound_sansio::{Exchange, ExchangeRequest, Progress, Reply, Timestamp};

use crate::credential::Outbound;
use crate::error::{ContextError, CredentialError, Error};
use crate::hostname::HostName;
use crate::route::Routed;

/// How long before its end a ticket-granting ticket is renewed, where it cannot be got anew.
const RENEW_BEFORE_END: Duration = Duration::from_secs(300);

/// Where a ticket comes from.
#[derive(Debug)]
pub(crate) enum TicketProof {
    /// Out of a KDC's reply, which was checked.
    FromKdc(#[allow(dead_code, reason = "held so that it had to be obtained")] KdcReplyVerified),
    /// Out of the credential's store, where it was put after such a check, here or elsewhere.
    FromStore,
}

/// A ticket for the service.
#[derive(Debug)]
pub(crate) struct ServiceTicket {
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) proof: TicketProof,
}

/// What a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// A ticket for the service, out of the store if there is one.
    Service,
    /// A ticket for the service from the KDC, whatever the store has.
    FreshService,
    /// A ticket-granting ticket from the KDC, whatever the store has: by the secret, else by
    /// renewal.
    FreshGranting,
}

/// The search under way.
#[derive(Debug)]
pub(crate) struct TicketSearch {
    goal: Goal,
    outbound: Arc<Outbound>,
    environment: Environment,
    /// The service; with an empty realm where it is not known.
    server: Principal,
    host: HostName,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    /// What DNS says of the host.
    ExpectHostName,
    /// The name of the service is settled.
    Named,
    ExpectAsReply(Box<Routed<AsExchange>>),
    ExpectRenewal(Box<Routed<TgsExchange>>, Arc<Credentials>),
    ExpectValidated(Box<Routed<TgsExchange>>),
    ExpectTgsReply(Box<Routed<TgsExchange>>),
    Over,
}

/// What one exchange of the search came to.
enum Stage {
    Asks(State, ExchangeRequest),
    Next(State),
    Found(ServiceTicket),
}

impl TicketSearch {
    pub(crate) fn new(
        goal: Goal,
        outbound: Arc<Outbound>,
        server: Principal,
        environment: Environment,
    ) -> Self {
        let (host, server) = HostName::new(server, &environment.config);
        Self {
            goal,
            outbound,
            environment,
            server,
            host,
            state: State::Begin,
        }
    }

    fn begin(&self) -> Result<Stage, Error> {
        match self.host.before(&self.environment.config) {
            Some(request) if self.goal != Goal::FreshGranting => {
                Ok(Stage::Asks(State::ExpectHostName, request))
            }
            _ => Ok(Stage::Next(State::Named)),
        }
    }

    fn named(&self) -> Result<Stage, Error> {
        let now = self.now()?;
        if self.goal == Goal::FreshGranting {
            return self.begin_granting(now);
        }
        if self.goal == Goal::Service
            && let Some(credentials) = self.stored(now)?
        {
            debug!(
                client = %self.outbound.client,
                spn = %credentials.server,
                "Found ticket of {} for {} in the cache, valid until {}",
                self.outbound.client,
                credentials.server,
                credentials.endtime
            );
            let proof = TicketProof::FromStore;
            return Ok(Stage::Found(ServiceTicket { credentials, proof }));
        }
        match self.outbound.ticket_granting_ticket(now)? {
            Some(ticket) if may_renew(&ticket, now) && !self.outbound.has_secret() => {
                self.renew(ticket).map(Stage::Next)
            }
            Some(ticket) => self.ask_for_service(ticket).map(Stage::Next),
            None => self.log_in(),
        }
    }

    fn begin_granting(&self, now: Timestamp) -> Result<Stage, Error> {
        if self.outbound.has_secret() {
            return self.log_in();
        }
        match self.outbound.ticket_granting_ticket(now)? {
            Some(ticket) => self.renew(ticket).map(Stage::Next),
            None => self.log_in(),
        }
    }

    /// A valid ticket for the service that the store has.
    pub(crate) fn stored(&self, now: Timestamp) -> Result<Option<Arc<Credentials>>, Error> {
        self.outbound
            .service_ticket(&self.server, &self.guesses(), now)
    }

    fn log_in(&self) -> Result<Stage, Error> {
        let Some(secret) = self.outbound.secret(&self.environment)? else {
            return Err(CredentialError::NoTicketGrantingTicket {
                client: self.outbound.client.to_string(),
            }
            .into());
        };
        let client = self.outbound.client.clone();
        let mut request = AsRequest::configured(client, secret, &self.environment);
        request.options.forwardable |= self.outbound.asks_forwardable();
        self.outbound.ask_times(&mut request, self.now()?);
        let exchange = AsExchange::begin(request, &self.environment)?;
        let exchange = Routed::new(exchange, &self.outbound);
        Ok(Stage::Next(State::ExpectAsReply(exchange)))
    }

    /// The names under which a ticket for the service may be kept, most likely first.
    fn guesses(&self) -> Vec<Principal> {
        if !self.server.realm.as_bytes().is_empty() {
            return vec![self.server.clone()];
        }
        let host = self.server.components().nth(1).unwrap_or_default();
        let mapped = core::str::from_utf8(host)
            .ok()
            .and_then(|host| self.environment.config.realm_of_host(host))
            .map(|realm| self.server.with_realm(realm));
        let own = self
            .server
            .with_realm(self.outbound.account().realm.clone());
        mapped.into_iter().chain([own]).collect()
    }

    fn renew(&self, ticket: Arc<Credentials>) -> Result<State, Error> {
        debug!(
            client = %self.outbound.client,
            spn = %ticket.server,
            "Renewing the ticket of {} for {}, which ends at {}",
            self.outbound.client,
            ticket.server,
            ticket.endtime
        );
        let mut request = TgsRequest::renew(Arc::clone(&ticket));
        request.time_offset = self.outbound.time_offset()?;
        let exchange = TgsExchange::begin(request, &self.environment)?;
        let exchange = Routed::new(exchange, &self.outbound);
        Ok(State::ExpectRenewal(exchange, ticket))
    }

    fn ask_for_service(&self, ticket: Arc<Credentials>) -> Result<State, Error> {
        if ticket.flags.contains(TicketFlags::INVALID) {
            return self.validate(ticket);
        }
        let mut request = TgsRequest::new(ticket, self.server.clone());
        request.time_offset = self.outbound.time_offset()?;
        let exchange = TgsExchange::begin(request, &self.environment)?;
        let exchange = Routed::new(exchange, &self.outbound);
        Ok(State::ExpectTgsReply(exchange))
    }

    /// RFC 4120 section 2.4: a postdated ticket is good for nothing before the KDC has validated it, which it
    /// does from the start time on.
    fn validate(&self, ticket: Arc<Credentials>) -> Result<State, Error> {
        let now = self.now()?;
        if ticket.valid_from() > now {
            return Err(CredentialError::Postdated {
                client: self.outbound.account().to_string(),
                start: ticket.valid_from(),
                now,
            }
            .into());
        }
        let mut request = TgsRequest::validate(ticket);
        request.time_offset = self.outbound.time_offset()?;
        let exchange = TgsExchange::begin(request, &self.environment)?;
        let exchange = Routed::new(exchange, &self.outbound);
        Ok(State::ExpectValidated(exchange))
    }

    /// The present moment by the KDC's clock, as far as it is known.
    fn now(&self) -> Result<Timestamp, Error> {
        Ok(self.environment.now(self.outbound.time_offset()?))
    }

    fn logged_in(&self, outcome: AsOutcome) -> Result<Stage, Error> {
        // An offset is worth keeping only where the configuration corrects for it.
        if self.environment.config.kdc_timesync
            && let Some(offset) = outcome.time_offset
        {
            debug!(
                "Keeping the KDC's clock offset of {} seconds",
                offset.div_euclid(1_000_000)
            );
            self.outbound.set_time_offset(offset)?;
        }
        self.granted(outcome.credentials, outcome.verified)
    }

    /// Goes on with a new ticket-granting ticket.
    fn granted(
        &self,
        credentials: Credentials,
        verified: KdcReplyVerified,
    ) -> Result<Stage, Error> {
        let credentials = Arc::new(credentials);
        self.outbound.keep_granting(&credentials)?;
        if self.goal == Goal::FreshGranting {
            let proof = TicketProof::FromKdc(verified);
            return Ok(Stage::Found(ServiceTicket { credentials, proof }));
        }
        self.ask_for_service(credentials).map(Stage::Next)
    }

    fn renewed(
        &self,
        outcome: Result<Progress<TgsOutcome>, KerberosError>,
        exchange: Box<Routed<TgsExchange>>,
        old: Arc<Credentials>,
    ) -> Result<Stage, Error> {
        match outcome {
            Ok(Progress::Exchange(request)) => {
                Ok(Stage::Asks(State::ExpectRenewal(exchange, old), request))
            }
            Ok(Progress::Done(outcome)) => self.granted(outcome.credentials, outcome.verified),
            Err(error) if self.goal == Goal::FreshGranting => Err(error.into()),
            // The old ticket is still good for a while; the next search tries again.
            Err(error) => {
                warn!(
                    client = %self.outbound.client,
                    %error,
                    "The ticket of {} was not renewed, and is used as it is until {}: {error}",
                    self.outbound.client,
                    old.endtime
                );
                self.ask_for_service(old).map(Stage::Next)
            }
        }
    }

    fn found(&self, outcome: TgsOutcome) -> Result<Stage, Error> {
        for ticket in &outcome.tgts {
            self.outbound.keep_granting(ticket)?;
        }
        let credentials = Arc::new(outcome.credentials);
        self.outbound.keep(&self.server, &credentials)?;
        Ok(Stage::Found(ServiceTicket {
            credentials,
            proof: TicketProof::FromKdc(outcome.verified),
        }))
    }

    fn stage(&mut self, state: State, reply: Option<Reply<'_>>) -> Result<Stage, Error> {
        match state {
            State::Begin => self.begin(),
            State::ExpectHostName => {
                self.server = self.host.answered(reply, &self.server)?;
                Ok(Stage::Next(State::Named))
            }
            State::Named => self.named(),
            State::ExpectAsReply(mut exchange) => match exchange.step(reply)? {
                Progress::Exchange(request) => {
                    Ok(Stage::Asks(State::ExpectAsReply(exchange), request))
                }
                Progress::Done(outcome) => self.logged_in(outcome),
            },
            State::ExpectRenewal(mut exchange, old) => {
                let outcome = exchange.step(reply);
                self.renewed(outcome, exchange, old)
            }
            State::ExpectValidated(mut exchange) => match exchange.step(reply)? {
                Progress::Exchange(request) => {
                    Ok(Stage::Asks(State::ExpectValidated(exchange), request))
                }
                Progress::Done(outcome) => self.granted(outcome.credentials, outcome.verified),
            },
            State::ExpectTgsReply(mut exchange) => match exchange.step(reply) {
                Ok(Progress::Exchange(request)) => {
                    Ok(Stage::Asks(State::ExpectTgsReply(exchange), request))
                }
                Ok(Progress::Done(outcome)) => self.found(outcome),
                Err(error) => {
                    let config = &self.environment.config;
                    let request = self.host.after(error.into(), &self.server, config)?;
                    Ok(Stage::Asks(State::ExpectHostName, request))
                }
            },
            State::Over => Err(ContextError::NoExchange.into()),
        }
    }
}

fn may_renew(ticket: &Credentials, now: Timestamp) -> bool {
    ticket.renew_till.is_some_and(|till| till > ticket.endtime)
        && !ticket.is_valid_for(now, RENEW_BEFORE_END)
}

impl Exchange for TicketSearch {
    type Output = ServiceTicket;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<ServiceTicket>, Error> {
        let mut reply = reply;
        loop {
            let state = core::mem::replace(&mut self.state, State::Over);
            match self.stage(state, reply.take())? {
                Stage::Asks(state, request) => {
                    self.state = state;
                    return Ok(Progress::Exchange(request));
                }
                Stage::Next(state) => self.state = state,
                Stage::Found(ticket) => return Ok(Progress::Done(ticket)),
            }
        }
    }
}
