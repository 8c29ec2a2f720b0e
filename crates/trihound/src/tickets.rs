//! What a client's tickets lack, and getting it: the part that blocking and asynchronous clients share.

use std::sync::Arc;
use std::time::Duration;

use trihound_kerberos::{
    CredentialError, KerberosCredential, LoginSecret, Standing, TicketExchange,
};
use trihound_krb5::{Credentials, Environment};
use trihound_sansio::{DriveError, Timestamp};
use trihound_sspi::{Error, SecurityStatus};

use crate::flight::{Errand, Flights, Joined};

/// A service ticket is got anew this long before its end, or in the last tenth of its life if that is
/// shorter: what is begun with it now should not end at once.
const SERVICE_MARGIN: Duration = Duration::from_secs(300);

/// The Kerberos tickets of a client, and who is on the way for which.
#[derive(Debug)]
pub(crate) struct Tickets {
    pub(crate) kerberos: KerberosCredential,
    pub(crate) environment: Environment,
    pub(crate) flights: Flights,
}

/// Whether a caller can go on without what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It cannot.
    Must,
    /// What is there serves for a while yet.
    May,
}

/// What a caller should get next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing: the tickets are there, or all was tried.
    Ready,
    /// This.
    Fetch(Errand, Need),
}

/// A ticket-granting ticket is got anew when half of its life is over, as MIT's library does with
/// those of a client keytab.
pub(crate) fn refresh_at(ticket: &Credentials) -> Timestamp {
    let start = ticket.valid_from();
    start.plus(ticket.endtime.distance(start) / 2)
}

/// When a service ticket should be followed by another.
fn follow_at(ticket: &Credentials) -> Timestamp {
    let life = ticket.endtime.distance(ticket.valid_from());
    ticket.endtime.minus(SERVICE_MARGIN.min(life / 10))
}

fn can_be_renewed(ticket: &Credentials) -> bool {
    ticket.renew_till.is_some_and(|till| till > ticket.endtime)
}

impl Tickets {
    pub(crate) fn now(&self) -> Timestamp {
        self.environment.now(0)
    }

    /// The next thing to get for a context with `target`, or with nobody in particular; not one of
    /// `tried`.
    pub(crate) fn next(&self, target: Option<&str>, tried: &[Errand]) -> Result<Next, Error> {
        let standing = self.kerberos.standing(target, &self.environment)?;
        let now = standing.now;
        let is_due = |ticket: &Arc<Credentials>| {
            now >= refresh_at(ticket) && (standing.has_secret || can_be_renewed(ticket))
        };
        let service = standing.service.as_ref();
        let granting = match &standing.granting {
            Some(ticket) => is_due(ticket).then_some(Need::May),
            None if service.is_some() => standing.has_secret.then_some(Need::May),
            None if standing.has_secret => Some(Need::Must),
            None => return Err(self.nobody_logged_in()),
        };
        if let Some(need) = granting
            && !tried.contains(&Errand::Granting)
        {
            return Ok(Next::Fetch(Errand::Granting, need));
        }
        let Some(target) = target else {
            return Ok(Next::Ready);
        };
        let errand = Errand::Service(target.to_owned());
        let need = match service {
            None => Need::Must,
            Some(ticket) if follows(ticket, &standing) => Need::May,
            Some(_) => return Ok(Next::Ready),
        };
        // What was brought and is not to be seen in the store the context gets by itself.
        if tried.contains(&errand) {
            return Ok(Next::Ready);
        }
        Ok(Next::Fetch(errand, need))
    }

    fn nobody_logged_in(&self) -> Error {
        let client = self.kerberos.principal().map(ToString::to_string);
        let missing = CredentialError::NoTicketGrantingTicket {
            client: client.unwrap_or_default(),
        };
        trihound_kerberos::Error::from(missing).into()
    }

    /// Joins the flight for `errand`. A leader looks once more whether it is still lacking: another
    /// flight may have landed since.
    pub(crate) fn join(
        &self,
        errand: &Errand,
        target: Option<&str>,
        tried: &[Errand],
    ) -> Result<Option<Joined>, Error> {
        let secret = self.login_secret(errand);
        self.forgive_others(errand, secret.as_ref());
        let joined = self.flights.join(errand, self.now());
        if let Joined::Leader(leader) = joined {
            let leader = leader.with_secret(secret);
            return match self.next(target, tried)? {
                Next::Fetch(again, _) if again == *errand => Ok(Some(Joined::Leader(leader))),
                _ => Ok(None),
            };
        }
        Ok(Some(joined))
    }

    /// What the errand would prove the client with. It is looked at before the exchange reads it: if it
    /// changes in between, the new one is not taken for refused.
    fn login_secret(&self, errand: &Errand) -> Option<LoginSecret> {
        match errand {
            // What is wrong with a keytab the exchange tells.
            Errand::Granting => self.kerberos.login_secret().ok().flatten(),
            Errand::Service(_) => None,
        }
    }

    /// A secret that was never refused need not rest.
    fn forgive_others(&self, errand: &Errand, secret: Option<&LoginSecret>) {
        if let Some(secret) = secret
            && let Some((since, Some(refused))) = self.flights.failure(errand)
            && !refused.is_same(secret)
        {
            self.flights.forgive(errand, since);
        }
    }

    /// A keeper's failure: each is told of once, however often the keeper looks.
    pub(crate) fn tell_keepers_failure(&self, error: &Error, told: &mut Option<Timestamp>) {
        let failed = self.flights.failure(&Errand::Granting);
        let since = failed.as_ref().map(|(since, _)| *since);
        if since.is_some() && since == *told {
            return;
        }
        *told = since;
        if failed.is_some_and(|(_, refused)| refused.is_some()) {
            tracing::warn!(%error, "There is no ticket-granting ticket; the secret was refused and is not sent again by itself");
        } else {
            tracing::warn!(%error, "There is no ticket-granting ticket; it is tried again");
        }
    }

    /// The exchange of an errand.
    pub(crate) fn exchange(&self, errand: &Errand) -> Result<TicketExchange, Error> {
        match errand {
            Errand::Granting => self.kerberos.renew_granting_ticket(&self.environment),
            Errand::Service(target) => self
                .kerberos
                .renew_service_ticket(target, &self.environment),
        }
    }

    /// How long the ticket-granting ticket needs no look: a keeper's sleep.
    pub(crate) fn rest(&self) -> Duration {
        let now = self.now();
        let resting = self
            .flights
            .resting_until(&Errand::Granting)
            .filter(|until| *until > now)
            .map(|until| until.distance(now));
        let rest = resting.or_else(|| {
            let standing = self.kerberos.standing(None, &self.environment).ok()?;
            let ticket = standing.granting.as_ref()?;
            let renewable = standing.has_secret || can_be_renewed(ticket);
            let due = refresh_at(ticket);
            renewable.then(|| match due > standing.now {
                true => due.distance(standing.now),
                false => Duration::ZERO,
            })
        });
        rest.map_or(LONGEST_REST, |rest| rest.clamp(SHORTEST_REST, LONGEST_REST))
    }

    /// Tells of an errand that failed although what is there still serves.
    pub(crate) fn tell_failure(&self, errand: &Errand, error: &Error) {
        let client = self
            .kerberos
            .principal()
            .map(ToString::to_string)
            .unwrap_or_default();
        let spn = match errand {
            Errand::Granting => "krbtgt",
            Errand::Service(target) => target.as_str(),
        };
        tracing::warn!(client, spn, %error, "A ticket could not be got anew; the old one serves until its end");
    }
}

/// How often a keeper looks at most, and at least: a cache that somebody else fills is noticed.
const SHORTEST_REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Whether a new ticket for the service would outlive the one that is there.
fn follows(ticket: &Credentials, standing: &Standing) -> bool {
    let longer = standing
        .granting
        .as_ref()
        .is_some_and(|granting| granting.endtime > ticket.endtime);
    longer && standing.now >= follow_at(ticket)
}

pub(crate) fn drive_failed(error: DriveError<trihound_kerberos::Error>) -> Error {
    match error {
        DriveError::Protocol(error) => error.into(),
        other => Error::new(SecurityStatus::SEC_E_INTERNAL_ERROR, other.to_string()),
    }
}
