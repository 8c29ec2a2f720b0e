//! Tickets ahead of need: what a credential has, and the exchanges that better it.
//!
//! A context gets the tickets that it lacks by itself. A program that runs for long does it before
//! they are lacking, once for all of its contexts; who runs the exchanges, when, and who waits for
//! whom is its business.

use std::sync::Arc;

use trihound_krb5::{Credentials, Environment, Keytab, KeytabEntry, Principal};
use trihound_sansio::{Exchange, Progress, Reply, Timestamp};
use trihound_secret::constant_time_eq;

use crate::credential::KerberosCredential;
use crate::error::{Error, sspi_error};
use crate::initiator::server_principal;
use crate::tickets::{Goal, TicketSearch};

/// The tickets that a credential has at a moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Standing {
    /// The moment, by the KDC's clock as far as it is known.
    pub now: Timestamp,
    /// The ticket-granting ticket of the client's realm, if a valid one is there.
    pub granting: Option<Arc<Credentials>>,
    /// The ticket for the service that was asked about, if a valid one is there.
    pub service: Option<Arc<Credentials>>,
    /// Whether there is a password or key to log in anew with.
    pub has_secret: bool,
}

/// What a login proves the client with at a moment, to be compared with that of another moment: a KDC
/// that refused it will refuse the same again.
#[derive(Clone, Debug)]
pub struct LoginSecret(pub(crate) SecretKind);

#[derive(Clone, Debug)]
pub(crate) enum SecretKind {
    /// A credential's password never changes.
    Password,
    /// The keys of this principal.
    Keys(Principal, Arc<Keytab>),
}

impl LoginSecret {
    /// Whether it is a password; keys of a keytab otherwise.
    #[must_use]
    pub const fn is_password(&self) -> bool {
        matches!(self.0, SecretKind::Password)
    }

    /// Whether a login with the one is a login with the other: a keytab that was written anew with the
    /// same keys of the principal is the same. Both are of one credential.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (SecretKind::Password, SecretKind::Password) => true,
            (SecretKind::Keys(client, keys), SecretKind::Keys(_, others)) => {
                Arc::ptr_eq(keys, others)
                    || keys
                        .of_principal(client)
                        .map(Some)
                        .chain(core::iter::repeat(None))
                        .zip(
                            others
                                .of_principal(client)
                                .map(Some)
                                .chain(core::iter::repeat(None)),
                        )
                        .take_while(|pair| !matches!(pair, (None, None)))
                        .all(|pair| match pair {
                            (Some(one), Some(other)) => is_same_key(one, other),
                            _ => false,
                        })
            }
            _ => false,
        }
    }
}

fn is_same_key(one: &KeytabEntry, other: &KeytabEntry) -> bool {
    one.kvno == other.kvno
        && one.key.enctype() == other.key.enctype()
        && constant_time_eq(one.key.expose(), other.key.expose())
}

/// An exchange with KDCs that ends with a ticket, which is in the credential's store then.
#[must_use]
#[derive(Debug)]
pub struct TicketExchange(TicketSearch);

impl KerberosCredential {
    /// What the credential's store has now; `target` is a service's name such as `HTTP/host`.
    /// Nobody is asked.
    ///
    /// # Errors
    ///
    /// The credential is not an outbound one, the name is none, the store cannot be read.
    pub fn standing(
        &self,
        target: Option<&str>,
        environment: &Environment,
    ) -> Result<Standing, trihound_sspi::Error> {
        let outbound = self.outbound().map_err(sspi_error)?;
        let now = environment.now(outbound.time_offset().map_err(sspi_error)?);
        let service = match target {
            Some(target) => self
                .search(Goal::Service, server_principal(target)?, environment)?
                .stored(now)
                .map_err(sspi_error)?,
            None => None,
        };
        Ok(Standing {
            now,
            granting: outbound.ticket_granting_ticket(now).map_err(sspi_error)?,
            service,
            has_secret: outbound.has_secret(),
        })
    }

    /// What the next login proves the client with; `None` when there are only tickets.
    ///
    /// # Errors
    ///
    /// The credential is not an outbound one, or its keytab cannot be read.
    pub fn login_secret(&self) -> Result<Option<LoginSecret>, trihound_sspi::Error> {
        let outbound = self.outbound().map_err(sspi_error)?;
        outbound.login_secret().map_err(sspi_error)
    }

    /// A new ticket-granting ticket: by logging in with the secret, or, with none, by renewal of the
    /// one that is there.
    ///
    /// # Errors
    ///
    /// The credential is not an outbound one. What else is wrong the exchange tells: no secret and no
    /// ticket, or one that cannot be renewed.
    pub fn renew_granting_ticket(
        &self,
        environment: &Environment,
    ) -> Result<TicketExchange, trihound_sspi::Error> {
        let outbound = self.outbound().map_err(sspi_error)?;
        let granting = Principal::krbtgt(&outbound.account().realm);
        let environment = environment.clone();
        let search = TicketSearch::new(Goal::FreshGranting, outbound, granting, environment);
        Ok(TicketExchange(search))
    }

    /// A new ticket for a service, even where the store has one; with the ticket-granting ticket of
    /// the store, or after logging in for one.
    ///
    /// # Errors
    ///
    /// The credential is not an outbound one, the name is none.
    pub fn renew_service_ticket(
        &self,
        target: &str,
        environment: &Environment,
    ) -> Result<TicketExchange, trihound_sspi::Error> {
        self.search(Goal::FreshService, server_principal(target)?, environment)
            .map(TicketExchange)
    }

    fn search(
        &self,
        goal: Goal,
        server: Principal,
        environment: &Environment,
    ) -> Result<TicketSearch, trihound_sspi::Error> {
        let config = &environment.config;
        let outbound = self
            .outbound_for(&server, None, config)
            .map_err(sspi_error)?;
        Ok(TicketSearch::new(
            goal,
            outbound,
            server,
            environment.clone(),
        ))
    }
}

impl Exchange for TicketExchange {
    type Output = Arc<Credentials>;
    type Error = Error;

    fn step(&mut self, reply: Option<Reply<'_>>) -> Result<Progress<Self::Output>, Error> {
        Ok(match self.0.step(reply)? {
            Progress::Exchange(request) => Progress::Exchange(request),
            Progress::Done(ticket) => Progress::Done(ticket.credentials),
        })
    }
}
