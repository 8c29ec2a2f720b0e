use tokio::io::{AsyncRead, AsyncWrite};
use trihound_sspi::{ChannelBindings, SecurityFunctionTable};

use super::stream::{SecureStream, read_token, write_token};
use crate::{Error, Leg, Rejected, SecurityContext, ServerBuilder};

/// A service: its keys, and what it demands of clients.
///
/// It is cheap to clone, clones share the replay cache, and any number of tasks may use it at once: see
/// [`crate::Server`], which it is made of.
#[derive(Clone, Debug)]
pub struct Server(crate::Server);

impl From<crate::Server> for Server {
    fn from(server: crate::Server) -> Self {
        Self(server)
    }
}

impl Server {
    /// The service that this machine is: krb5.conf and the default keytab.
    ///
    /// # Errors
    ///
    /// A broken krb5.conf; a keytab that is missing or cannot be read.
    pub fn from_environment() -> Result<Self, Error> {
        crate::Server::from_environment().map(Self)
    }

    /// Chooses whose keys it has, and what it demands; `Server::from(builder.build()?)` makes it.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        crate::Server::builder()
    }

    /// Makes a context with whoever is at the other end of a connection.
    ///
    /// # Errors
    ///
    /// Whatever keeps the two from an agreement, with its cause; the connection should be closed then.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<SecureStream<S>, Error> {
        self.handshake().accept(stream).await
    }

    /// A handshake to come: with choices of its own, or a token at a time.
    #[must_use]
    pub fn handshake(&self) -> ServerHandshake {
        ServerHandshake(self.0.handshake())
    }

    /// The function table, for what SSPI has beyond this.
    #[must_use]
    pub fn table(&self) -> &SecurityFunctionTable {
        self.0.table()
    }
}

/// The server's side of a handshake, a token at a time or over a connection.
#[derive(Debug)]
pub struct ServerHandshake(crate::ServerHandshake);

impl ServerHandshake {
    /// Binds the context to the channel that it is made over (RFC 5056), such as a TLS connection.
    ///
    /// # Errors
    ///
    /// The bindings are too long for SEC_CHANNEL_BINDINGS.
    pub fn bind(self, bindings: &ChannelBindings<'_>) -> Result<Self, Error> {
        self.0.bind(bindings).map(Self)
    }

    /// As [`Server::accept`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        mut stream: S,
    ) -> Result<SecureStream<S>, Error> {
        loop {
            let token = read_token(&mut stream).await?;
            let leg = match self.step(&token) {
                Ok(leg) => leg,
                Err(rejected) => {
                    // The peer learns of it if it still listens.
                    if let Some(token) = &rejected.token {
                        let _ = write_token(&mut stream, token).await;
                    }
                    return Err(rejected.into());
                }
            };
            if let Some(token) = &leg.token {
                write_token(&mut stream, token).await?;
            }
            if leg.complete {
                break;
            }
        }
        let max_message = self.0.core.max_message;
        SecureStream::new(stream, self.into_context()?, max_message, false)
    }

    /// The next leg, with a token of the client. Nobody is waited for: no KDC takes part.
    ///
    /// # Errors
    ///
    /// As [`crate::ServerHandshake::step`].
    pub fn step(&mut self, token: &[u8]) -> Result<Leg, Rejected> {
        self.0.step(token)
    }

    /// The established context, which has what the server insists on.
    ///
    /// # Errors
    ///
    /// Before the handshake is complete; [`Error::AttributesMissing`].
    pub fn into_context(self) -> Result<SecurityContext, Error> {
        self.0.into_context()
    }
}
