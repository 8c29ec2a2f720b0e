//! A ticket-granting ticket for the service to use (RFC 4120 section 2.6): got anew for each context,
//! so that no two services share a session key with the KDC.
//!
//! ```text
//! a ticket-granting ticket that is forwardable ──► TGS exchange ──► done
//! another one, or none, and a secret           ──► AS exchange, once ──► TGS exchange ──► done
//! ```

use std::sync::Arc;

use tracing::debug;
use trihound_asn1::TicketFlags;
use trihound_krb5::{Credentials, Environment, TgsExchange, TgsRequest};
use trihound_sansio::{Exchange, ExchangeRequest, Progress, Reply};

use crate::credential::Outbound;
use crate::error::{ContextError, CredentialError, Error};
use crate::route::Routed;
use crate::tickets::{Goal, TicketSearch};

/// The exchanges under way.
#[derive(Debug)]
pub(crate) struct Forwarding {
    outbound: Arc<Outbound>,
    environment: Environment,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    ExpectGranting(Box<TicketSearch>),
    ExpectForwarded(Box<Routed<TgsExchange>>),
    Over,
}

enum Stage {
    Asks(State, ExchangeRequest),
    Next(State),
    Done(Box<Credentials>),
}

impl Forwarding {
    pub(crate) fn new(outbound: Arc<Outbound>, environment: Environment) -> Self {
        Self {
            outbound,
            environment,
            state: State::Begin,
        }
    }

    fn begin(&self) -> Result<State, Error> {
        let now = self.environment.now(self.outbound.time_offset()?);
        let granting = self.outbound.ticket_granting_ticket(now)?;
        match granting {
            Some(ticket) if is_forwardable(&ticket) => self.forward(ticket),
            _ if self.outbound.may_log_in_to_forward() => {
                let client = self.outbound.account();
                debug!(%client, "Logging in again as {client}, for a ticket that can be forwarded");
                let search = TicketSearch::new(
                    Goal::FreshGranting,
                    Arc::clone(&self.outbound),
                    trihound_krb5::Principal::krbtgt(&client.realm),
                    self.environment.clone(),
                );
                Ok(State::ExpectGranting(Box::new(search)))
            }
            _ => Err(self.not_forwardable()),
        }
    }

    fn forward(&self, ticket: Arc<Credentials>) -> Result<State, Error> {
        let mut request = TgsRequest::forward(ticket);
        request.time_offset = self.outbound.time_offset()?;
        let exchange = TgsExchange::begin(request, &self.environment)?;
        Ok(State::ExpectForwarded(Routed::new(
            exchange,
            &self.outbound,
        )))
    }

    fn not_forwardable(&self) -> Error {
        CredentialError::NotForwardable {
            client: self.outbound.account().to_string(),
        }
        .into()
    }

    fn stage(&self, state: State, reply: Option<Reply<'_>>) -> Result<Stage, Error> {
        match state {
            State::Begin => self.begin().map(Stage::Next),
            State::ExpectGranting(mut search) => match search.step(reply)? {
                Progress::Exchange(request) => {
                    Ok(Stage::Asks(State::ExpectGranting(search), request))
                }
                Progress::Done(granted) if is_forwardable(&granted.credentials) => {
                    self.forward(granted.credentials).map(Stage::Next)
                }
                Progress::Done(_) => Err(self.not_forwardable()),
            },
            State::ExpectForwarded(mut exchange) => match exchange.step(reply)? {
                Progress::Exchange(request) => {
                    Ok(Stage::Asks(State::ExpectForwarded(exchange), request))
                }
                Progress::Done(outcome) => Ok(Stage::Done(Box::new(outcome.credentials))),
            },
            State::Over => Err(ContextError::NoExchange.into()),
        }
    }
}

fn is_forwardable(ticket: &Credentials) -> bool {
    ticket.flags.contains(TicketFlags::FORWARDABLE)
}

impl Exchange for Forwarding {
    type Output = Credentials;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<Credentials>, Error> {
        let mut reply = reply;
        loop {
            let state = core::mem::replace(&mut self.state, State::Over);
            match self.stage(state, reply.take())? {
                Stage::Asks(state, request) => {
                    self.state = state;
                    return Ok(Progress::Exchange(request));
                }
                Stage::Next(state) => self.state = state,
                Stage::Done(forwarded) => return Ok(Progress::Done(*forwarded)),
            }
        }
    }
}
