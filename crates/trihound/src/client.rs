use std::io::{Read, Write};
use std::sync::Arc;

use trihound_kdc_transport::Limits;
use trihound_krb5::{Config, CredentialStore, Principal};
use trihound_sansio::{Clock, RandomSource, Transport, drive};
use trihound_secret::SecretString;
use trihound_sspi::{
    AcquireRequest, CredentialUse, Identity, InitiatorRequirements, RegisteredPackage,
    SecurityFunctionTable, SecurityPackage,
};

use crate::connector::{Choice, Connector};
use crate::flight::{Errand, Flights, Heard, Joined, LANDING_MARGIN, Leader};
use crate::keeper::Keeper;
use crate::settings::{KeytabSource, Settings, store_over};
use crate::stream::SecureStream;
use crate::tickets::{ClientCore, Need, Next, drive_failed};
use crate::{Error, KdcTransport, Kerberos, KerberosCredential, cannot_install};

/// What a client asks for when it says nothing else: the service proves itself, and messages are
/// encrypted, in order and never twice.
const ASKED: InitiatorRequirements = InitiatorRequirements::MUTUAL_AUTH
    .union(InitiatorRequirements::CONFIDENTIALITY)
    .union(InitiatorRequirements::INTEGRITY)
    .union(InitiatorRequirements::REPLAY_DETECT)
    .union(InitiatorRequirements::SEQUENCE_DETECT);

/// A client of services: one identity, its tickets, and the way to its KDCs.
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
            Self::Configured(config) => Box::new(KdcTransport::new(Arc::clone(config))),
            Self::Own(transports) => transports.transport(),
        }
    }
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client")
            .field("principal", &self.principal().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

/// Who a client is.
enum Who {
    /// Whoever the store says, or this principal with what the store has of it.
    Stored(Option<String>),
    Password(String, SecretString),
    Keytab(String, KeytabSource),
    Credential(KerberosCredential),
}

/// Makes a [`Client`] of choices; what is not chosen is the machine's.
pub struct ClientBuilder {
    settings: Settings,
    who: Who,
    transports: Option<Arc<dyn Transports>>,
    requirements: InitiatorRequirements,
}

impl core::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// This principal, with the tickets or client keys that the store has of it.
    #[must_use]
    pub fn principal(mut self, name: impl Into<String>) -> Self {
        self.who = Who::Stored(Some(name.into()));
        self
    }

    /// A user (`alice`, `alice@REALM`, `REALM\alice`) with a password. Tickets are kept in memory.
    #[must_use]
    pub fn password(mut self, user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.who = Who::Password(user.into(), password.into());
        self
    }

    /// A principal with the keys of a keytab. Tickets are kept in memory. A file is read at every
    /// login, so that a changed key is picked up.
    #[must_use]
    pub fn keytab(mut self, principal: impl Into<String>, keys: impl Into<KeytabSource>) -> Self {
        self.who = Who::Keytab(principal.into(), keys.into());
        self
    }

    /// A credential that the program made.
    #[must_use]
    pub fn credential(mut self, credential: KerberosCredential) -> Self {
        self.who = Who::Credential(credential);
        self
    }

    /// Another configuration than krb5.conf; no variable of the environment is read then but for the
    /// names of cache and keytab, where these are asked for.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.settings.config = Some(config.into());
        self
    }

    /// Other tickets and keys than the machine's.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn CredentialStore>) -> Self {
        self.settings.store = Some(store);
        self
    }

    /// A way to the KDCs of the program's own; a clone of it does each round trip.
    #[must_use]
    pub fn transport<T: Transport + Clone + Send + Sync + 'static>(mut self, transport: T) -> Self {
        self.transports = Some(Arc::new(transport));
        self
    }

    /// What is asked for in place of MUTUAL_AUTH, CONFIDENTIALITY, INTEGRITY, REPLAY_DETECT and
    /// SEQUENCE_DETECT.
    #[must_use]
    pub fn requirements(mut self, requirements: InitiatorRequirements) -> Self {
        self.requirements = requirements;
        self
    }

    /// The longest message that is sent or taken, in bytes; 16 MiB otherwise.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.settings.max_message = bytes;
        self
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Another source of randomness than the operating system's.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn RandomSource>) -> Self {
        self.settings.random = random;
        self
    }

    /// A package that the program has, with its configuration, store, clock and randomness; those
    /// given to the builder count for nothing then.
    #[must_use]
    pub fn package(mut self, package: &RegisteredPackage<Kerberos>) -> Self {
        self.settings.package = Some(package.clone());
        self
    }

    /// The client. Nobody is asked yet; [`Client::log_in`] does it, or the first connection.
    ///
    /// # Errors
    ///
    /// A broken krb5.conf, a keytab without the principal's keys, no identity at all.
    pub fn build(mut self) -> Result<Client, Error> {
        let config = self.settings.config()?;
        let package = self.settings.package(matches!(self.who, Who::Stored(_)))?;
        let credential = credential(self.who, &self.settings, &config, &package)?;
        let table = SecurityFunctionTable::builder().package(&package).build()?;
        let round_trip = Limits::from_config(&package.package().environment().config).total;
        let handle = package.adopt(credential.clone())?;
        let owned = table.own_credential(handle)?;
        Ok(Client {
            core: Arc::new(ClientCore {
                table,
                credential: Arc::new(owned),
                kerberos: credential,
                environment: package.package().environment().clone(),
                flights: Flights::new(round_trip.saturating_add(LANDING_MARGIN)),
                requirements: self.requirements,
                max_message: self.settings.max_message,
            }),
            way: match self.transports {
                Some(transports) => Way::Own(transports),
                None => Way::Configured(config),
            },
        })
    }
}

fn credential(
    who: Who,
    settings: &Settings,
    config: &Config,
    package: &RegisteredPackage<Kerberos>,
) -> Result<KerberosCredential, Error> {
    let mut request = AcquireRequest::new(CredentialUse::OUTBOUND);
    Ok(match who {
        Who::Credential(credential) => credential,
        Who::Stored(principal) => {
            request.principal = principal.as_deref();
            package.package().acquire_credentials_handle(request)?
        }
        Who::Password(user, password) => {
            let identity = Identity::password(user, None, password);
            request.identity = Some(&identity);
            package.package().acquire_credentials_handle(request)?
        }
        Who::Keytab(principal, keys) => {
            let client =
                Principal::parse(&principal, config.default_realm.as_deref()).map_err(|error| {
                    trihound_sspi::Error::from(trihound_kerberos::Error::from(error))
                })?;
            match (keys, &settings.store) {
                (KeytabSource::Keys(keytab), None) => {
                    KerberosCredential::from_keytab(client, keytab)
                }
                (KeytabSource::Keys(keytab), Some(store)) => {
                    KerberosCredential::from_keytab_in_store(client, keytab, Arc::clone(store))
                }
                (file, _) => {
                    let store = store_over(file, settings.replaced_keys)?;
                    let keytab = store.client_keytab().map_err(cannot_install)?;
                    if keytab.of_principal(&client).next().is_none() {
                        return Err(no_key(&client).into());
                    }
                    KerberosCredential::from_client_keytab(client, store)
                }
            }
        }
    })
}

fn no_key(client: &Principal) -> trihound_sspi::Error {
    let missing = trihound_kerberos::CredentialError::NoKeyOfPrincipal {
        principal: client.to_string(),
    };
    trihound_kerberos::Error::from(missing).into()
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
        ClientBuilder {
            settings: Settings::default(),
            who: Who::Stored(None),
            transports: None,
            requirements: ASKED,
        }
    }

    /// Whose tickets it has.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.core.kerberos.principal()
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
            choice: Choice {
                target: target.to_owned(),
                requirements: self.core.requirements,
                bindings: None,
            },
        }
    }

    /// Gets a ticket-granting ticket if there is none, or a new one if half of its life is over.
    ///
    /// # Errors
    ///
    /// Those of the login. With a ticket that is still valid there is none.
    pub fn log_in(&self) -> Result<(), Error> {
        Ok(self.ensure(None)?)
    }

    /// Gets a ticket for a service, if there is none yet: what [`Self::connect`] does first.
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
        let core = &self.core;
        let mut tried = Vec::new();
        while let Next::Fetch(errand, need) = core.next(target, &tried)? {
            let outcome = match core.join(&errand, target, &tried)? {
                // It came meanwhile.
                None => continue,
                Some(Joined::Leader(leader)) => {
                    let outcome = self.fetch(&errand, &leader);
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

    fn fetch(&self, errand: &Errand, leader: &Leader) -> Result<(), trihound_sspi::Error> {
        let exchange = self.core.exchange(errand)?;
        drive(exchange, Heard(leader, self.way.transport())).map_err(drive_failed)?;
        Ok(())
    }
}
