//! The TGS exchange: from a ticket-granting ticket to a service ticket (RFC 4120 section 3.3),
//! through as many realms as it takes.
//!
//! ```text
//! Begin ── TGS-REQ to the realm of the ticket-granting ticket ──► ExpectTgsReply
//! ExpectTgsReply
//!   ├ TGS-REP for the service              ──► done
//!   ├ TGS-REP for krbtgt/X@realm asked     a referral: the same question to realm X
//!   ├ RESPONSE_TOO_BIG                     once each: the same over a stream
//!   ├ S_PRINCIPAL_UNKNOWN for krbtgt/T     the next realm on the way towards T
//!   ├ S_PRINCIPAL_UNKNOWN, no realm known  once: the host's domain as the realm
//!   └ any other KRB-ERROR                  the end, with advice
//! ```
//!
//! The service's realm is the one given, else what `[domain_realm]` says of its host, else for the
//! KDCs to find out by referrals (RFC 6806 section 8), else the host's domain. The way to it is that of
//! `[capaths]`, else the hierarchy. The client's realm is always the ticket's own.

mod message;
mod walk;

use core::time::Duration;
use std::sync::Arc;

use trihound_asn1::{KrbError, error_code};
use trihound_asn1::{Message, TicketFlags};
use trihound_sansio::{Exchange, ExchangeRequest, Progress, Reply, Service, TransportHint};

use crate::kdc_reply::KdcReplyVerified;
use crate::refusal::{KRB_ERROR_TAG, MadeWith, kdc_refused};
use crate::{
    ApiMisuse, CredentialFailure, Credentials, Environment, Error, InvalidMessage, KdcMisbehaved,
    Policy, Principal, trace,
};

use message::Sent;
use walk::{Arrived, Walk};

/// First byte of a TGS-REP: `[APPLICATION 13]`, constructed.
const TGS_REP_TAG: u8 = 0x6d;

/// What marshalled target information begins with, in the base64 of the text form
/// (CredMarshalTargetInfo); the zeros keep apart what only looks alike.
const MARSHALLED_TARGET: &[u8] = b"1UWhRCAAAAAAAAAA";

/// What is asked of the ticket-granting service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TgsOperation {
    /// A ticket for the service.
    Ticket,
    /// The same ticket with a later end (RFC 4120 section 2.3).
    Renew,
    /// The same postdated ticket, now valid (RFC 4120 section 2.4).
    Validate,
    /// A ticket-granting ticket for a service to use elsewhere (RFC 4120 section 2.6).
    Forward,
}

/// What ticket to get, by which ticket.
#[derive(Clone, Debug)]
pub struct TgsRequest {
    /// The ticket-granting ticket; for renewal and validation, the ticket itself.
    pub tgt: Arc<Credentials>,
    /// The service. An empty realm leaves finding it to `[domain_realm]` and the KDCs.
    pub server: Principal,
    /// What is asked for.
    pub operation: TgsOperation,
    /// Let the KDC refer to other realms (RFC 6806 section 8). On by default.
    pub canonicalize: bool,
    /// How long the ticket is to live; `None` is as long as the ticket-granting ticket.
    pub lifetime: Option<Duration>,
    /// The KDC's clock less ours, in microseconds ([`crate::AsOutcome::time_offset`]); else 0.
    pub time_offset: i64,
}

impl TgsRequest {
    /// A ticket for `server`.
    #[must_use]
    pub fn new(tgt: Arc<Credentials>, server: Principal) -> Self {
        Self {
            tgt,
            server,
            operation: TgsOperation::Ticket,
            canonicalize: true,
            lifetime: None,
            time_offset: 0,
        }
    }

    /// The renewal of a ticket.
    #[must_use]
    pub fn renew(ticket: Arc<Credentials>) -> Self {
        Self::same_ticket(ticket, TgsOperation::Renew)
    }

    /// The validation of a postdated ticket.
    #[must_use]
    pub fn validate(ticket: Arc<Credentials>) -> Self {
        Self::same_ticket(ticket, TgsOperation::Validate)
    }

    /// A forwarded ticket-granting ticket without addresses, of the same realm.
    #[must_use]
    pub fn forward(tgt: Arc<Credentials>) -> Self {
        Self::same_ticket(tgt, TgsOperation::Forward)
    }

    fn same_ticket(ticket: Arc<Credentials>, operation: TgsOperation) -> Self {
        let server = ticket.server.clone();
        Self {
            operation,
            canonicalize: false,
            ..Self::new(ticket, server)
        }
    }
}

/// What a TGS exchange yields.
#[derive(Debug)]
#[non_exhaustive]
pub struct TgsOutcome {
    /// The ticket that was asked for. Its server bears the realm where it was found.
    pub credentials: Credentials,
    /// The cross-realm ticket-granting tickets that were got on the way, worth keeping.
    pub tgts: Vec<Arc<Credentials>>,
    /// Proof of the checks.
    pub verified: KdcReplyVerified,
}

/// A TGS exchange under way.
#[derive(Debug)]
pub struct TgsExchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Begin(Box<Walk>),
    ExpectTgsReply(Box<ExpectTgsReply>),
    Over,
}

/// Awaits the answer to the request that it owns.
#[derive(Debug)]
struct ExpectTgsReply {
    walk: Walk,
    sent: Sent,
    hint: TransportHint,
}

enum Handled {
    Next(Box<ExpectTgsReply>),
    Done(Box<TgsOutcome>),
}

impl TgsExchange {
    /// Prepares the exchange; the first request comes from the first step.
    ///
    /// # Errors
    ///
    /// Not a ticket-granting ticket, expired, not renewable, a name that must not be asked for.
    pub fn begin(request: TgsRequest, environment: &Environment) -> Result<Self, Error> {
        check_request(&request, environment)?;
        let walk = Walk::new(request, environment)?;
        Ok(Self {
            state: State::Begin(Box::new(walk)),
        })
    }
}

fn check_request(request: &TgsRequest, environment: &Environment) -> Result<(), Error> {
    let tgt = &request.tgt;
    let is_renewable = tgt.flags.contains(TicketFlags::RENEWABLE);
    if request.operation == TgsOperation::Renew && !is_renewable {
        return Err(CredentialFailure::NotRenewable {
            server: tgt.server.to_string(),
        }
        .into());
    }
    if request.server.name.name_string.is_empty() {
        return Err(ApiMisuse::EmptyName("name of the service").into());
    }
    // Conformance row 93: Windows strips this suffix when it compares names, so that a ticket for
    // one host serves at another.
    let is_marshalled = |component: &[u8]| {
        component
            .windows(MARSHALLED_TARGET.len())
            .any(|window| window == MARSHALLED_TARGET)
    };
    if request.server.components().any(is_marshalled) {
        return Err(Policy::MarshalledTarget {
            name: request.server.to_string(),
        }
        .into());
    }
    let now = environment.now(request.time_offset);
    // RFC 4120 3.3.3 with 1.6: what has ended is of no use. Of a renewal the KDC is the judge, whose
    // clock may be behind ours by as much as the skew.
    let ended_at = match request.operation {
        TgsOperation::Renew => now.minus(environment.config.clock_skew),
        _ => now,
    };
    if !tgt.is_valid_at(ended_at) {
        return Err(CredentialFailure::TicketExpired {
            server: tgt.server.to_string(),
            endtime: tgt.endtime,
            now,
        }
        .into());
    }
    Ok(())
}

impl Exchange for TgsExchange {
    type Output = TgsOutcome;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<TgsOutcome>, Error> {
        let handled = match (core::mem::replace(&mut self.state, State::Over), reply) {
            (State::Begin(walk), None) => Handled::Next(Box::new(ask(*walk)?)),
            (State::ExpectTgsReply(state), Some(Reply::Bytes(bytes))) => state.handle(bytes)?,
            (State::ExpectTgsReply(_), Some(Reply::Failed(failure))) => {
                return Err(failure.clone().into());
            }
            (State::Begin(_), Some(_)) => {
                return Err(ApiMisuse::OutOfStep("a reply came before the first request").into());
            }
            (State::ExpectTgsReply(_), None) => {
                return Err(ApiMisuse::OutOfStep("the reply is missing").into());
            }
            (State::Over, _) => return Err(ApiMisuse::OutOfStep("the exchange is over").into()),
        };
        Ok(match handled {
            Handled::Done(outcome) => Progress::Done(*outcome),
            Handled::Next(state) => {
                let request = state.exchange_request();
                self.state = State::ExpectTgsReply(state);
                Progress::Exchange(request)
            }
        })
    }
}

fn ask(walk: Walk) -> Result<ExpectTgsReply, Error> {
    let sent = Sent::new(&walk)?;
    trace::tgs_request(&sent.asked, &walk.tgt);
    Ok(ExpectTgsReply {
        walk,
        sent,
        hint: TransportHint::Any,
    })
}

impl ExpectTgsReply {
    fn exchange_request(&self) -> ExchangeRequest {
        ExchangeRequest {
            service: Service::Kdc,
            realm: self.sent.asked.realm.to_string(),
            message: self.sent.der.clone(),
            hint: self.hint,
            route: None,
        }
    }

    fn handle(self, bytes: &[u8]) -> Result<Handled, Error> {
        match bytes.first() {
            Some(&TGS_REP_TAG) => {
                let (credentials, verified) = message::accept(&self.walk, &self.sent, bytes)?;
                trace::granted(&credentials, None);
                match self.walk.arrive(credentials, &self.sent.asked)? {
                    Arrived::There { credentials, tgts } => {
                        Ok(Handled::Done(Box::new(TgsOutcome {
                            credentials: *credentials,
                            tgts,
                            verified,
                        })))
                    }
                    Arrived::OnTheWay(walk) => ask(*walk).map(|next| Handled::Next(Box::new(next))),
                }
            }
            Some(&KRB_ERROR_TAG) => {
                let error = KrbError::from_der(bytes)?;
                self.handle_error(&error)
                    .map(|next| Handled::Next(Box::new(next)))
            }
            first => Err(InvalidMessage::Unexpected {
                expected: "a TGS-REP or a KRB-ERROR",
                found: first.copied(),
            }
            .into()),
        }
    }

    fn handle_error(mut self, error: &KrbError) -> Result<Self, Error> {
        trace::kdc_error(&self.sent.asked.realm, error);
        match error.error_code {
            error_code::KRB_ERR_RESPONSE_TOO_BIG => {
                // RFC 4120 7.2.1: the client repeats the request over TCP; there the answer fits.
                if self.hint == TransportHint::StreamOnly {
                    return Err(KdcMisbehaved::TooBigForStream.into());
                }
                trace::too_big(&self.sent.asked.realm);
                self.hint = TransportHint::StreamOnly;
                Ok(self)
            }
            error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN => {
                let refused = |walk: &Walk| self.sent.refused(walk, error);
                if self.walk.try_next_realm() || self.walk.try_host_domain(refused) {
                    return ask(self.walk);
                }
                let first = self.walk.first_refusal();
                Err(first.unwrap_or_else(|| self.sent.refused(&self.walk, error)))
            }
            _ => Err(self.sent.refused(&self.walk, error)),
        }
    }
}

impl Sent {
    fn refused(&self, walk: &Walk, error: &KrbError) -> Error {
        let origin = match error.error_code {
            error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN => walk.origin(),
            _ => String::new(),
        };
        let made_with = if self.asked.is_krbtgt() {
            MadeWith::CrossRealm
        } else {
            MadeWith::Ticket
        };
        kdc_refused(
            error,
            &self.asked.realm.to_string(),
            format!("a ticket for {} to {}{origin}", self.asked, walk.client()),
            made_with,
            walk.environment.now(0),
        )
    }
}
