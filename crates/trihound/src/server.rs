use std::io::{Read, Write};
use std::sync::Arc;

use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, AccessToken, ChannelBindings, EstablishedAttributes,
    Impersonation, OwnedCredHandle, SecurityFunctionTable,
};

use crate::server_builder::ServerBuilder;
use crate::stream::{SecureStream, read_token, write_token};
use crate::{Acceptor, Error, Leg, Rejected, SecurityContext};

/// A service: its keys, and what it demands of clients.
///
/// It speaks Kerberos unless [`ServerBuilder::package`] chooses otherwise.
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
    pub(crate) table: SecurityFunctionTable,
    pub(crate) credential: Arc<OwnedCredHandle>,
    pub(crate) requirements: AcceptorRequirements,
    pub(crate) required: AcceptorAttributes,
    pub(crate) max_message: usize,
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
        ServerBuilder::new()
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

    /// The calling thread acts for a client until the value is dropped, whatever thread its context was made on:
    /// [`SecurityContext::access_token`] has the client's token.
    ///
    /// # Errors
    ///
    /// SEC_E_NO_IMPERSONATION for a client that allows no more than identification; those of the accounts of this
    /// machine.
    pub fn impersonate(&self, token: &Arc<AccessToken>) -> Result<Impersonation, Error> {
        Ok(self.core.table.impersonate_token(token)?)
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

    /// The calling thread acts for the client until the value is dropped, once the handshake is complete.
    ///
    /// # Errors
    ///
    /// As [`SecurityContext::impersonate`]; before the handshake is complete; [`Error::AttributesMissing`].
    pub fn impersonate(&self) -> Result<Impersonation, Error> {
        self.check()?;
        Ok(self.acceptor.impersonate()?)
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
