use std::io::{Read, Write};
use std::sync::Arc;

use trihound_krb5::{Config, Principal};
use trihound_negotiate::host_is_address;
use trihound_sansio::{Transport, drive};
use trihound_sspi::{InitiatorRequirements, OwnedCredHandle, SecurityFunctionTable};

use crate::client_builder::ClientBuilder;
use crate::connector::{Choice, Connector};
use crate::flight::{Errand, Heard, Joined, Leader};
use crate::handshake::NoTransport;
use crate::keeper::Keeper;
use crate::stream::SecureStream;
use crate::tickets::{Need, Next, Tickets, drive_failed};
use crate::{Error, KdcTransport, NtlmCredential, Package, Packages};

/// What a client asks for when it says nothing else: the service proves itself, and messages are
/// encrypted, in order and never twice.
const ASKED: InitiatorRequirements = InitiatorRequirements::MUTUAL_AUTH
    .union(InitiatorRequirements::CONFIDENTIALITY)
    .union(InitiatorRequirements::INTEGRITY)
    .union(InitiatorRequirements::REPLAY_DETECT)
    .union(InitiatorRequirements::SEQUENCE_DETECT);

/// A client of services: one identity, its tickets, and the way to its KDCs.
///
/// It speaks Kerberos unless [`ClientBuilder::package`] chooses otherwise.
///
/// It is cheap to clone, clones share the tickets, and any number of threads may use it at once.
/// Whatever a ticket is needed for, one request for it is on the wire at a time; a ticket-granting
/// ticket is got anew when half of its life is over, or before that by a [`Keeper`].
///
/// ```no_run
/// # fn main() -> Result<(), trihound::Error> {
/// use std::net::TcpStream;
///
/// let client = trihound::Client::from_environment()?; // krb5.conf, tickets and keys of this machine
/// let stream = TcpStream::connect("web.example.com:4444")?;
/// let mut secure = client.connect("host/web.example.com", stream)?;
/// secure.send(b"hello")?;
/// println!("{:?} says {:?}", secure.peer().to_owned(), secure.receive()?);
/// secure.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<ClientCore>,
    pub(crate) way: Way,
}

/// How a client gets to its KDCs.
#[derive(Clone)]
pub(crate) enum Way {
    /// There is none: its package asks no KDC.
    Nowhere,
    /// As the configuration says.
    Configured(Arc<Config>),
    /// The program's own.
    Own(Arc<dyn Transports>),
}

/// Makes the transports of single round trips.
pub(crate) trait Transports: Send + Sync {
    fn transport(&self) -> Box<dyn Transport + Send>;
}

impl<T: Transport + Clone + Send + Sync + 'static> Transports for T {
    fn transport(&self) -> Box<dyn Transport + Send> {
        Box::new(self.clone())
    }
}

impl Way {
    pub(crate) fn transport(&self) -> Box<dyn Transport + Send> {
        match self {
            Self::Nowhere => Box::new(NOWHERE),
            Self::Configured(config) => Box::new(KdcTransport::new(Arc::clone(config))),
            Self::Own(transports) => transports.transport(),
        }
    }
}

pub(crate) const NOWHERE: NoTransport =
    NoTransport("this client has no way to anybody but its service; give it one with transport()");

/// What the clones of a client have in common.
#[derive(Debug)]
pub(crate) struct ClientCore {
    pub(crate) table: SecurityFunctionTable,
    pub(crate) credential: Arc<OwnedCredHandle>,
    pub(crate) package: Package,
    /// The tickets; `None` where Kerberos has no part.
    pub(crate) tickets: Option<Arc<Tickets>>,
    /// What a negotiation goes on with where there are no tickets.
    pub(crate) fallback: Option<Fallback>,
    /// What the program asks for; `None` where it leaves that to the client.
    pub(crate) requirements: Option<InitiatorRequirements>,
    /// Whether DELEGATE is asked for besides.
    pub(crate) delegates: bool,
    pub(crate) max_message: usize,
}

/// A negotiation that goes on without Kerberos.
#[derive(Debug)]
pub(crate) struct Fallback {
    pub(crate) packages: Packages,
    /// What it goes on with, or why there is nothing.
    pub(crate) ntlm: Result<NtlmCredential, trihound_sspi::Error>,
}

impl ClientCore {
    /// The tickets that a context with `target` needs, if it needs any.
    pub(crate) fn tickets_for(&self, target: &str) -> Option<&Arc<Tickets>> {
        // Negotiate does not ask Kerberos for an address, which no KDC knows.
        let is_asked = self.package != Package::Negotiate || !host_is_address(target);
        self.tickets.as_ref().filter(|_| is_asked)
    }

    /// What a handshake goes on with although its tickets could not be had: where the negotiation itself
    /// would go on, for the same failure. `None`: it has its tickets.
    pub(crate) fn prepared(
        &self,
        tickets: Result<(), trihound_sspi::Error>,
    ) -> Result<Option<Arc<OwnedCredHandle>>, trihound_sspi::Error> {
        match (tickets, &self.fallback) {
            (Err(error), Some(fallback)) => fallback.after(error, &self.table).map(Some),
            (tickets, _) => tickets.map(|()| None),
        }
    }

    pub(crate) fn choice(&self, target: &str) -> Choice {
        let mut requirements = self.requirements.unwrap_or(ASKED);
        if self.delegates {
            requirements |= InitiatorRequirements::DELEGATE;
        }
        Choice {
            target: target.to_owned(),
            requirements,
            is_own: self.requirements.is_some(),
            bindings: None,
        }
    }
}

impl Fallback {
    /// A credential that has NTLM alone, and knows why; the reasons of both where NTLM has none.
    fn after(
        &self,
        error: trihound_sspi::Error,
        table: &SecurityFunctionTable,
    ) -> Result<Arc<OwnedCredHandle>, trihound_sspi::Error> {
        let negotiate = self.packages.negotiate();
        if !negotiate.package().policy().falls_back(error.status()) {
            return Err(error);
        }
        tracing::debug!(%error, "There is no ticket; the negotiation goes on without Kerberos");
        let credential = self
            .packages
            .negotiated(Some(Err(error)), Some(self.ntlm.clone()))?;
        let owned = table.own_credential(negotiate.adopt(credential)?)?;
        Ok(Arc::new(owned))
    }
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client")
            .field("principal", &self.principal().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

impl Client {
    /// The client that this machine and user are: krb5.conf, the default credential cache, the client
    /// keytab.
    ///
    /// # Errors
    ///
    /// A broken krb5.conf; nobody is logged in and there is no client keytab.
    pub fn from_environment() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Chooses who the client is, and in which world.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Whose tickets it has; `None` for a client without Kerberos.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.core.tickets.as_ref()?.kerberos.principal()
    }

    /// Makes a context with the service of this name, such as `HTTP/web.example.com`, over a connection
    /// to it. The tokens go over the connection, in frames; messages follow them.
    ///
    /// # Errors
    ///
    /// Whatever keeps the two from an agreement, with its cause; the connection should be closed then.
    pub fn connect<S: Read + Write>(
        &self,
        target: &str,
        stream: S,
    ) -> Result<SecureStream<S>, Error> {
        self.connector(target).connect(stream)
    }

    /// A connection to come, with choices of its own.
    #[must_use]
    pub fn connector(&self, target: &str) -> Connector {
        Connector {
            client: self.clone(),
            choice: self.core.choice(target),
        }
    }

    /// Gets a ticket-granting ticket if there is none, or a new one if half of its life is over. A client
    /// without Kerberos has nothing to get.
    ///
    /// # Errors
    ///
    /// Those of the login. With a ticket that is still valid there is none.
    pub fn log_in(&self) -> Result<(), Error> {
        Ok(self.ensure(None)?)
    }

    /// Gets a ticket for a service, if there is none yet: what [`Self::connect`] does first. A client
    /// without Kerberos has nothing to get.
    ///
    /// # Errors
    ///
    /// Those of the login and of the ticket-granting service.
    pub fn get_ticket(&self, target: &str) -> Result<(), Error> {
        Ok(self.ensure(Some(target))?)
    }

    /// Keeps the ticket-granting ticket fresh on a thread of its own, for as long as the keeper lives.
    ///
    /// # Errors
    ///
    /// The operating system has no thread.
    pub fn keep_fresh(&self) -> Result<Keeper, Error> {
        Keeper::start(self.clone())
    }

    /// The function table, for what SSPI has beyond this.
    #[must_use]
    pub fn table(&self) -> &SecurityFunctionTable {
        &self.core.table
    }

    pub(crate) fn ensure(&self, target: Option<&str>) -> Result<(), trihound_sspi::Error> {
        match &self.core.tickets {
            Some(tickets) => self.ensure_tickets(tickets, target),
            None => Ok(()),
        }
    }

    /// Gets what a handshake needs, or finds that it can go on without.
    pub(crate) fn prepare(
        &self,
        target: &str,
    ) -> Result<Option<Arc<OwnedCredHandle>>, trihound_sspi::Error> {
        match self.core.tickets_for(target) {
            Some(tickets) => self
                .core
                .prepared(self.ensure_tickets(tickets, Some(target))),
            None => Ok(None),
        }
    }

    fn ensure_tickets(
        &self,
        core: &Tickets,
        target: Option<&str>,
    ) -> Result<(), trihound_sspi::Error> {
        let mut tried = Vec::new();
        while let Next::Fetch(errand, need) = core.next(target, &tried)? {
            let outcome = match core.join(&errand, target, &tried)? {
                // It came meanwhile.
                None => continue,
                Some(Joined::Leader(leader)) => {
                    let outcome = self.fetch(core, &errand, &leader);
                    leader.land(&outcome, core.now());
                    outcome
                }
                Some(Joined::Follower(_)) if need == Need::May => Ok(()),
                Some(Joined::Follower(flight)) => match flight.wait() {
                    Some(outcome) => outcome,
                    None => continue,
                },
                // It was told of when it failed.
                Some(Joined::Resting(_)) if need == Need::May => Ok(()),
                Some(Joined::Resting(error)) => Err(error),
            };
            match outcome {
                Err(error) if need == Need::Must => return Err(error),
                Err(error) => core.tell_failure(&errand, &error),
                Ok(()) => {}
            }
            tried.push(errand);
        }
        Ok(())
    }

    fn fetch(
        &self,
        core: &Tickets,
        errand: &Errand,
        leader: &Leader,
    ) -> Result<(), trihound_sspi::Error> {
        let exchange = core.exchange(errand)?;
        drive(exchange, Heard(leader, self.way.transport())).map_err(drive_failed)?;
        Ok(())
    }
}
