use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use trihound_krb5::{Config, CredentialStore};
use trihound_sansio::{Clock, RandomSource};
use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, AcquireRequest, ChannelBindings, CredentialUse,
    EstablishedAttributes, OwnedCredHandle, RegisteredPackage, SecurityFunctionTable,
    SecurityPackage,
};

use crate::settings::{KeytabSource, Settings, store_over};
use crate::stream::{SecureStream, read_token, write_token};
use crate::{Acceptor, Error, Kerberos, KerberosCredential, Leg, Rejected, SecurityContext};

/// What a server insists on when it says nothing else.
const REQUIRED: AcceptorAttributes = AcceptorAttributes::CONFIDENTIALITY
    .union(AcceptorAttributes::INTEGRITY)
    .union(AcceptorAttributes::REPLAY_DETECT)
    .union(AcceptorAttributes::SEQUENCE_DETECT);

/// A service: its keys, and what it demands of clients.
///
/// It is cheap to clone, clones share the replay cache, and any number of threads may use it at once.
/// A keytab file that changes is read again, and keys that it no longer has are served until the
/// tickets made with them end.
///
/// ```no_run
/// # use std::net::{TcpListener, TcpStream};
/// # use std::time::Duration;
/// # use trihound::{Error, Server};
/// # fn main() -> Result<(), Error> {
/// let server = Server::from_environment()?; // the keytab of this machine
/// for stream in TcpListener::bind("0.0.0.0:4444")?.incoming() {
///     let (server, stream) = (server.clone(), stream?);
///     std::thread::spawn(move || serve(&server, stream).unwrap_or_else(|error| eprintln!("{error}")));
/// }
///
/// fn serve(server: &Server, stream: TcpStream) -> Result<(), Error> {
///     stream.set_read_timeout(Some(Duration::from_secs(60)))?; // who says nothing is let go
///     let mut secure = server.accept(stream)?;
///     println!("{} is here", secure.peer());
///     while let Some(message) = secure.receive()? {
///         secure.send(&message)?;
///     }
///     secure.close()
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) core: Arc<ServerCore>,
}

#[derive(Debug)]
pub(crate) struct ServerCore {
    table: SecurityFunctionTable,
    credential: Arc<OwnedCredHandle>,
    requirements: AcceptorRequirements,
    required: AcceptorAttributes,
    pub(crate) max_message: usize,
}

/// Makes a [`Server`] of choices; what is not chosen is the machine's.
pub struct ServerBuilder {
    settings: Settings,
    principal: Option<String>,
    keys: Option<KeytabSource>,
    credential: Option<KerberosCredential>,
    requirements: AcceptorRequirements,
    required: AcceptorAttributes,
}

impl core::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServerBuilder").finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// Accepts as this principal alone, and not as any that the keytab has keys of.
    #[must_use]
    pub fn principal(mut self, name: impl Into<String>) -> Self {
        self.principal = Some(name.into());
        self
    }

    /// Other keys than those of the machine's keytab.
    #[must_use]
    pub fn keytab(mut self, keys: impl Into<KeytabSource>) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// For how long a key that a newer one replaced in the keytab stays in service: 24 hours otherwise. Zero
    /// is never, for whoever exchanges keys because they were stolen. A store, a credential or a package of
    /// the program's own decides by itself.
    #[must_use]
    pub fn serving_replaced_keys_for(mut self, lifetime: Duration) -> Self {
        self.settings.replaced_keys = lifetime;
        self
    }

    /// A credential that the program made.
    #[must_use]
    pub fn credential(mut self, credential: KerberosCredential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Another configuration than krb5.conf.
    #[must_use]
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.settings.config = Some(config.into());
        self
    }

    /// Other keys than the machine's, from a store of the program's own.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn CredentialStore>) -> Self {
        self.settings.store = Some(store);
        self
    }

    /// What AcceptSecurityContext is called with, such as ALLOW_MISSING_BINDINGS.
    #[must_use]
    pub fn requirements(mut self, requirements: AcceptorRequirements) -> Self {
        self.requirements = requirements;
        self
    }

    /// Which attributes a context must have, in place of CONFIDENTIALITY, INTEGRITY, REPLAY_DETECT and
    /// SEQUENCE_DETECT. A client that did not ask for them is refused.
    #[must_use]
    pub fn require(mut self, attributes: AcceptorAttributes) -> Self {
        self.required = attributes;
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

    /// A package that the program has, with its replay cache, configuration, store, clock and
    /// randomness; those given to the builder count for nothing then, nor does [`Self::keytab`].
    #[must_use]
    pub fn package(mut self, package: &RegisteredPackage<Kerberos>) -> Self {
        self.settings.package = Some(package.clone());
        self
    }

    /// The server.
    ///
    /// # Errors
    ///
    /// A broken krb5.conf; a keytab that is missing, cannot be read or has no key of the principal.
    pub fn build(mut self) -> Result<Server, Error> {
        if let Some(keys) = self.keys {
            self.settings.store = Some(store_over(keys, self.settings.replaced_keys)?);
        }
        let package = self.settings.package(self.credential.is_none())?;
        let table = SecurityFunctionTable::builder().package(&package).build()?;
        let credential = match self.credential {
            Some(credential) => credential,
            None => {
                let mut request = AcquireRequest::new(CredentialUse::INBOUND);
                request.principal = self.principal.as_deref();
                package.package().acquire_credentials_handle(request)?
            }
        };
        let owned = table.own_credential(package.adopt(credential)?)?;
        Ok(Server {
            core: Arc::new(ServerCore {
                table,
                credential: Arc::new(owned),
                requirements: self.requirements,
                required: self.required,
                max_message: self.settings.max_message,
            }),
        })
    }
}

impl Server {
    /// The service that this machine is: krb5.conf and the default keytab.
    ///
    /// # Errors
    ///
    /// A broken krb5.conf; a keytab that is missing or cannot be read.
    pub fn from_environment() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Chooses whose keys it has, and what it demands.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            settings: Settings::default(),
            principal: None,
            keys: None,
            credential: None,
            requirements: AcceptorRequirements::empty(),
            required: REQUIRED,
        }
    }

    /// Makes a context with whoever is at the other end of a connection.
    ///
    /// # Errors
    ///
    /// Whatever keeps the two from an agreement, with its cause; the connection should be closed then.
    pub fn accept<S: Read + Write>(&self, stream: S) -> Result<SecureStream<S>, Error> {
        self.handshake().accept(stream)
    }

    /// A handshake to come: with choices of its own, or a token at a time.
    #[must_use]
    pub fn handshake(&self) -> ServerHandshake {
        let core = &self.core;
        let acceptor = Acceptor::new(&core.table, core.credential.handle(), core.requirements)
            .owning(&core.credential);
        ServerHandshake {
            core: Arc::clone(core),
            acceptor,
        }
    }

    /// The function table, for what SSPI has beyond this.
    #[must_use]
    pub fn table(&self) -> &SecurityFunctionTable {
        &self.core.table
    }
}

/// The server's side of a handshake, a token at a time or over a connection.
///
/// ```no_run
/// # fn send(_: &[u8]) {}
/// # fn receive() -> Vec<u8> { Vec::new() }
/// # fn serve(server: &trihound::Server) -> Result<(), trihound::Error> {
/// let mut handshake = server.handshake();
/// loop {
///     let leg = handshake.step(&receive()).inspect_err(|rejected| {
///         rejected.token.as_deref().map(send); // tells the client why
///     })?;
///     leg.token.as_deref().map(send);
///     if leg.complete {
///         break;
///     }
/// }
/// let context = handshake.into_context()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    pub(crate) core: Arc<ServerCore>,
    acceptor: Acceptor,
}

impl ServerHandshake {
    /// Binds the context to the channel that it is made over (RFC 5056), such as a TLS connection.
    ///
    /// # Errors
    ///
    /// The bindings are too long for SEC_CHANNEL_BINDINGS.
    pub fn bind(mut self, bindings: &ChannelBindings<'_>) -> Result<Self, Error> {
        self.acceptor = self.acceptor.bind(bindings)?;
        Ok(self)
    }

    /// As [`Server::accept`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn accept<S: Read + Write>(mut self, mut stream: S) -> Result<SecureStream<S>, Error> {
        loop {
            let token = read_token(&mut stream)?;
            let leg = match self.step(&token) {
                Ok(leg) => leg,
                Err(rejected) => {
                    // The peer learns of it if it still listens.
                    if let Some(token) = &rejected.token {
                        let _ = write_token(&mut stream, token);
                    }
                    return Err(rejected.into());
                }
            };
            if let Some(token) = &leg.token {
                write_token(&mut stream, token)?;
            }
            if leg.complete {
                break;
            }
        }
        let max_message = self.core.max_message;
        SecureStream::new(stream, self.into_context()?, max_message, false)
    }

    /// The next leg, with a token of the client.
    ///
    /// # Errors
    ///
    /// [`Rejected`], perhaps with a token for the client; the handshake is over then. A context that
    /// lacks what the server insists on is refused here, before its last token is sent.
    pub fn step(&mut self, token: &[u8]) -> Result<Leg, Rejected> {
        let leg = self.acceptor.step(token)?;
        if leg.complete {
            self.check()?;
        }
        Ok(leg)
    }

    /// The established context, which has what the server insists on.
    ///
    /// # Errors
    ///
    /// Before the handshake is complete; [`Error::AttributesMissing`].
    pub fn into_context(self) -> Result<SecurityContext, Error> {
        self.check()?;
        Ok(self.acceptor.into_context()?)
    }

    /// RFC 2743 section 2.2.2: a caller looks at what it got before it relies on it.
    fn check(&self) -> Result<(), Error> {
        let Some(EstablishedAttributes::Acceptor(got)) = self.acceptor.attributes() else {
            return Ok(());
        };
        let missing = self.core.required.difference(got);
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = missing.iter_names().map(|(name, _)| name).collect();
        Err(Error::AttributesMissing {
            missing: names.join(", "),
        })
    }
}
