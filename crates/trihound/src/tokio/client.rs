use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use trihound_krb5::Principal;
use trihound_sansio::{
    AsyncTransport, Exchange, ExchangeRequest, MAX_ROUND_TRIPS, Progress, Reply, Transport,
    TransportFailure,
};
use trihound_sspi::{
    ChannelBindings, InitiatorRequirements, OwnedCredHandle, SecurityFunctionTable,
};

use super::keeper::Keeper;
use super::stream::{SecureStream, read_token, write_token};
use super::transport::{AnyTransport, AsyncTransports, OffThread};
use super::{AsyncKdcTransport, joined, off_thread};
use crate::client::{ClientCore, NOWHERE, Transports, Way};
use crate::connector::Choice;
use crate::flight::{Errand, Flight, Joined, Leader};
use crate::handshake::{Turn, in_circles, not_complete};
use crate::tickets::{Need, Next, Tickets};
use crate::{ClientBuilder, Error, Initiator, Leg, Refused, SecurityContext};

/// A client of services: one identity, its tickets, and the way to its KDCs.
///
/// It is cheap to clone, clones share the tickets, and any number of tasks may use it at once: see
/// [`crate::Client`], which it is made of.
#[derive(Clone)]
pub struct Client {
    pub(super) core: Arc<ClientCore>,
    way: Arc<dyn AsyncTransports>,
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client")
            .field("principal", &self.principal().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

/// A blocking client's own transport, whatever its type.
#[derive(Clone)]
struct Own(Arc<dyn Transports>);

impl Transport for Own {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        self.0.transport().round_trip(request)
    }
}

impl From<crate::Client> for Client {
    /// The same client, with the same tickets. It asks the KDCs of the configuration through
    /// [`AsyncKdcTransport`]; a transport of the program's own goes on [`OffThread`].
    fn from(client: crate::Client) -> Self {
        let way: Arc<dyn AsyncTransports> = match client.way {
            Way::Nowhere => Arc::new(OffThread(NOWHERE)),
            Way::Configured(config) => Arc::new(AsyncKdcTransport::new(config)),
            Way::Own(transports) => Arc::new(OffThread(Own(transports))),
        };
        Self {
            core: client.core,
            way,
        }
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
        crate::Client::from_environment().map(Self::from)
    }

    /// Chooses who the client is, and in which world; `Client::from(builder.build()?)` makes it.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        crate::Client::builder()
    }

    /// The same client with an asynchronous way to the KDCs of the program's own; a clone of it does
    /// each exchange.
    #[must_use]
    pub fn with_transport<T: AsyncTransport + Clone + Sync + 'static>(
        mut self,
        transport: T,
    ) -> Self {
        self.way = Arc::new(transport);
        self
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
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        target: &str,
        stream: S,
    ) -> Result<SecureStream<S>, Error> {
        self.connector(target).connect(stream).await
    }

    /// A connection to come, with choices of its own.
    #[must_use]
    pub fn connector(&self, target: &str) -> Connector {
        Connector {
            client: self.clone(),
            choice: self.core.choice(target),
        }
    }

    /// Gets a ticket-granting ticket if there is none, or a new one if half of its life is over.
    ///
    /// # Errors
    ///
    /// Those of the login. With a ticket that is still valid there is none.
    pub async fn log_in(&self) -> Result<(), Error> {
        Ok(self.ensure(None).await?)
    }

    /// Gets a ticket for a service, if there is none yet: what [`Self::connect`] does first.
    ///
    /// # Errors
    ///
    /// Those of the login and of the ticket-granting service.
    pub async fn get_ticket(&self, target: &str) -> Result<(), Error> {
        Ok(self.ensure(Some(target)).await?)
    }

    /// Keeps the ticket-granting ticket fresh in a task of its own, for as long as the keeper lives.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    pub fn keep_fresh(&self) -> Keeper {
        Keeper::start(self.clone())
    }

    /// The function table, for what SSPI has beyond this.
    #[must_use]
    pub fn table(&self) -> &SecurityFunctionTable {
        &self.core.table
    }

    fn transport(&self) -> AnyTransport {
        self.way.transport()
    }

    pub(super) async fn ensure(&self, target: Option<&str>) -> Result<(), trihound_sspi::Error> {
        match &self.core.tickets {
            Some(tickets) => self.ensure_tickets(tickets, target).await,
            None => Ok(()),
        }
    }

    /// Gets what a handshake needs, or finds that it can go on without.
    async fn prepare(
        &self,
        target: &str,
    ) -> Result<Option<Arc<OwnedCredHandle>>, trihound_sspi::Error> {
        match self.core.tickets_for(target) {
            Some(tickets) => {
                let ensured = self.ensure_tickets(tickets, Some(target)).await;
                self.core.prepared(ensured)
            }
            None => Ok(None),
        }
    }

    /// As [`crate::Client`] does it, with `.await` at the places where that one waits.
    async fn ensure_tickets(
        &self,
        core: &Arc<Tickets>,
        target: Option<&str>,
    ) -> Result<(), trihound_sspi::Error> {
        let mut tried = Vec::new();
        while let Next::Fetch(errand, need) = next(core, target, &tried).await? {
            let outcome = match join(core, &errand, target, &tried).await? {
                // It came meanwhile.
                None => continue,
                Some(Joined::Leader(leader)) => self.lead(core, leader, &errand).await?,
                Some(Joined::Follower(_)) if need == Need::May => Ok(()),
                Some(Joined::Follower(flight)) => match landed(&flight).await {
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

    /// Flies in a task of its own: others wait for it, and must not wait for whether this task is
    /// polled.
    async fn lead(
        &self,
        core: &Arc<Tickets>,
        leader: Leader,
        errand: &Errand,
    ) -> Result<Result<(), trihound_sspi::Error>, trihound_sspi::Error> {
        let (client, core, errand) = (self.clone(), Arc::clone(core), errand.clone());
        let flying = tokio::spawn(async move {
            let outcome = client.fetch(&core, &errand, &leader).await;
            leader.land(&outcome, core.now());
            outcome
        });
        joined(flying.await)
    }

    async fn fetch(
        &self,
        core: &Tickets,
        errand: &Errand,
        leader: &Leader,
    ) -> Result<(), trihound_sspi::Error> {
        let mut exchange = core.exchange(errand)?;
        let mut transport = self.transport();
        let mut answer: Option<Result<Vec<u8>, TransportFailure>> = None;
        for _ in 0..=MAX_ROUND_TRIPS {
            // A step may write to a cache.
            let step = off_thread(move || {
                let reply = answer.as_ref().map(|answer| match answer {
                    Ok(bytes) => Reply::Bytes(bytes),
                    Err(failure) => Reply::Failed(failure),
                });
                let progress = exchange.step(reply);
                (exchange, progress)
            });
            let (again, progress) = step.await?;
            exchange = again;
            match progress? {
                Progress::Done(_) => return Ok(()),
                Progress::Exchange(request) => {
                    leader.is_on_its_way();
                    answer = Some(transport.round_trip(&request).await);
                }
            }
        }
        Err(in_circles())
    }
}

async fn next(
    core: &Arc<Tickets>,
    target: Option<&str>,
    tried: &[Errand],
) -> Result<Next, trihound_sspi::Error> {
    let core = Arc::clone(core);
    let (target, tried) = (target.map(str::to_owned), tried.to_vec());
    off_thread(move || core.next(target.as_deref(), &tried)).await?
}

async fn join(
    core: &Arc<Tickets>,
    errand: &Errand,
    target: Option<&str>,
    tried: &[Errand],
) -> Result<Option<Joined>, trihound_sspi::Error> {
    let core = Arc::clone(core);
    let (errand, target, tried) = (errand.clone(), target.map(str::to_owned), tried.to_vec());
    off_thread(move || core.join(&errand, target.as_deref(), &tried)).await?
}

/// Waits for a flight; `None` when its leader went away, or was silent for too long.
async fn landed(flight: &Flight) -> Option<Result<(), trihound_sspi::Error>> {
    loop {
        let patience = flight.patience();
        if patience.is_zero() {
            return None;
        }
        // Something may have been heard of it meanwhile.
        if let Ok(landing) = tokio::time::timeout(patience, flight.landed()).await {
            return landing;
        }
    }
}

/// A connection to come, with choices of its own.
#[derive(Clone, Debug)]
pub struct Connector {
    client: Client,
    choice: Choice,
}

impl Connector {
    /// What this connection asks for, in place of what the client does.
    #[must_use]
    pub fn requirements(mut self, requirements: InitiatorRequirements) -> Self {
        self.choice.requirements = requirements;
        self.choice.is_own = true;
        self
    }

    /// Binds the context to the channel that it is made over (RFC 5056), such as a TLS connection.
    ///
    /// # Errors
    ///
    /// The bindings are too long for SEC_CHANNEL_BINDINGS.
    pub fn bind(mut self, bindings: &ChannelBindings<'_>) -> Result<Self, Error> {
        self.choice.bind(bindings)?;
        Ok(self)
    }

    /// As [`Client::connect`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        mut stream: S,
    ) -> Result<SecureStream<S>, Error> {
        let max_message = self.client.core.max_message;
        let mut handshake = self.handshake();
        let mut input: Option<Vec<u8>> = None;
        loop {
            let leg = match handshake.step(input.as_deref()).await {
                Ok(leg) => leg,
                Err(refused) => {
                    // The peer learns of it if it still listens.
                    if let Some(token) = &refused.token {
                        let _ = write_token(&mut stream, token).await;
                    }
                    return Err(refused.into());
                }
            };
            if let Some(token) = &leg.token {
                write_token(&mut stream, token).await?;
            }
            if leg.complete {
                break;
            }
            input = Some(read_token(&mut stream).await?);
        }
        SecureStream::new(stream, handshake.into_context()?, max_message, true)
    }

    /// The handshake a token at a time, for a program that carries them in a protocol of its own.
    #[must_use]
    pub fn handshake(self) -> ClientHandshake {
        let initiator = self.choice.initiator(&self.client.core);
        ClientHandshake {
            initiator: Some(initiator),
            client: self.client,
            choice: self.choice,
            has_tickets: false,
        }
    }
}

/// The client's side of a handshake, a token at a time: [`crate::ClientHandshake`] with `.await`.
#[derive(Debug)]
pub struct ClientHandshake {
    client: Client,
    choice: Choice,
    /// Away while a step works with it: a step that was dropped ends the handshake.
    initiator: Option<Initiator>,
    has_tickets: bool,
}

impl ClientHandshake {
    /// The next leg: without a token at first, then with each token of the service.
    ///
    /// # Errors
    ///
    /// [`Refused`], perhaps with a token for the service; the handshake is over then, as it is when
    /// the future was dropped.
    pub async fn step(&mut self, token: Option<&[u8]>) -> Result<Leg, Refused> {
        if !self.has_tickets {
            let instead = self.client.prepare(&self.choice.target).await?;
            if let Some(credential) = instead {
                let core = &self.client.core;
                self.initiator = Some(self.choice.initiator_with(core, &credential));
            }
            self.has_tickets = true;
        }
        let mut initiator = self.initiator.take().ok_or_else(not_complete)?;
        let token = token.map(<[u8]>::to_vec);
        let mut transport = self.client.transport();
        let mut turn = off_thread(move || {
            let turn = initiator.begin_turn(token.as_deref());
            (initiator, turn)
        })
        .await?;
        for _ in 0..MAX_ROUND_TRIPS {
            let (mut initiator, progress) = turn;
            let request = match progress? {
                Turn::Exchange(request) => request,
                Turn::Leg(leg) => {
                    self.initiator = Some(initiator);
                    return Ok(leg);
                }
            };
            let answer = transport.round_trip(&request).await;
            turn = off_thread(move || {
                let turn = initiator.resume_turn(&answer);
                (initiator, turn)
            })
            .await?;
        }
        Err(in_circles().into())
    }

    /// The established context, which has what was asked for.
    ///
    /// # Errors
    ///
    /// Before the handshake is complete; [`Error::AttributesMissing`].
    pub fn into_context(self) -> Result<SecurityContext, Error> {
        let context = self.initiator.ok_or_else(not_complete)?.into_context()?;
        self.choice.check(&context)?;
        Ok(context)
    }
}
