use thiserror::Error;
use trihound_sansio::{Transport, TransportFailure};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, BufferType, ChannelBindings, CredHandle, CtxtHandle,
    Error, Established, HandshakeOutcome, InitializeRequest, InitiatorRequirements, InputDesc,
    SecBuffer, SecBufferDesc, SecurityFunctionTable, SecurityStatus, Step,
};

use crate::blocking::{complete_exchanges, initialize_security_context};
use crate::message::SecurityContext;

/// What came of one leg of a handshake.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// What to send to the peer, if anything.
    pub token: Option<Vec<u8>>,
    /// Whether this side is done; a last token may still have to be sent.
    pub complete: bool,
}

/// A handshake that failed.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct Refused {
    /// Why.
    #[source]
    pub error: Error,
    /// What to send to the peer so that it learns of it (KRB-ERROR), if anything.
    pub token: Option<Vec<u8>>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, token: None }
    }
}

/// The initiator's side of a handshake (InitializeSecurityContext), a token at a time.
///
/// Dropping it before the end deletes the half-made context.
#[derive(Debug)]
pub struct Initiator {
    common: Common,
    target_name: String,
    requirements: InitiatorRequirements,
}

/// The acceptor's side of a handshake (AcceptSecurityContext), a token at a time.
#[derive(Debug)]
pub struct Acceptor {
    common: Common,
    requirements: AcceptorRequirements,
}

#[derive(Debug)]
struct Common {
    table: SecurityFunctionTable,
    credential: CredHandle,
    context: Option<CtxtHandle>,
    bindings: Option<Vec<u8>>,
    established: Option<Established>,
}

impl Initiator {
    /// A handshake with the service of this name, such as `HTTP/web.example.com`.
    #[must_use]
    pub fn new(
        table: &SecurityFunctionTable,
        credential: CredHandle,
        target_name: &str,
        requirements: InitiatorRequirements,
    ) -> Self {
        Self {
            common: Common::new(table, credential),
            target_name: target_name.to_owned(),
            requirements,
        }
    }

    /// Binds the context to the channel it is made over (RFC 5056), such as a TLS connection.
    ///
    /// # Errors
    ///
    /// A status, if the bindings are too long for SEC_CHANNEL_BINDINGS.
    pub fn bind(mut self, bindings: &ChannelBindings<'_>) -> Result<Self, Error> {
        self.common.bindings = Some(bindings.to_buffer()?);
        Ok(self)
    }

    /// The next leg: without input at first, then with each token of the peer. Round trips to the
    /// KDC go over `transport`.
    ///
    /// # Errors
    ///
    /// [`Refused`]; the handshake is over then.
    pub fn step(
        &mut self,
        input: Option<&[u8]>,
        transport: &mut dyn Transport,
    ) -> Result<Leg, Refused> {
        let buffers = self.common.input(input);
        let request = InitializeRequest {
            target_name: Some(&self.target_name),
            requirements: self.requirements,
            input: (!buffers.is_empty()).then(|| InputDesc::new(&buffers)),
            impersonation: None,
            fallback_reason: None,
        };
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let outcome = initialize_security_context(
            &self.common.table,
            Some(self.common.credential),
            self.common.context,
            request,
            &mut SecBufferDesc::new(&mut output),
            transport,
        );
        drop(buffers);
        self.common.leg(outcome, &output)
    }

    /// The established context.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE before the handshake is complete.
    pub fn into_context(self) -> Result<SecurityContext, Error> {
        self.common.into_context()
    }
}

impl Acceptor {
    /// A handshake with whoever calls.
    #[must_use]
    pub fn new(
        table: &SecurityFunctionTable,
        credential: CredHandle,
        requirements: AcceptorRequirements,
    ) -> Self {
        Self {
            common: Common::new(table, credential),
            requirements,
        }
    }

    /// Binds the context to the channel it is made over (RFC 5056), such as a TLS connection.
    ///
    /// # Errors
    ///
    /// A status, if the bindings are too long for SEC_CHANNEL_BINDINGS.
    pub fn bind(mut self, bindings: &ChannelBindings<'_>) -> Result<Self, Error> {
        self.common.bindings = Some(bindings.to_buffer()?);
        Ok(self)
    }

    /// The next leg, with a token of the peer.
    ///
    /// # Errors
    ///
    /// [`Refused`], perhaps with a token for the peer; the handshake is over then.
    pub fn step(&mut self, input: &[u8]) -> Result<Leg, Refused> {
        let buffers = self.common.input(Some(input));
        let request = AcceptRequest {
            requirements: self.requirements,
            input: Some(InputDesc::new(&buffers)),
        };
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let mut description = SecBufferDesc::new(&mut output);
        let outcome = self
            .common
            .table
            .accept_security_context(
                Some(self.common.credential),
                self.common.context,
                request,
                &mut description,
            )
            .and_then(|outcome| {
                complete_exchanges(
                    &self.common.table,
                    outcome,
                    &mut description,
                    &mut NoTransport,
                )
            });
        drop(buffers);
        self.common.leg(outcome, &output)
    }

    /// The established context.
    ///
    /// # Errors
    ///
    /// SEC_E_INVALID_HANDLE before the handshake is complete.
    pub fn into_context(self) -> Result<SecurityContext, Error> {
        self.common.into_context()
    }
}

/// An acceptor of the packages that exist asks nobody; a later one that does is told so.
struct NoTransport;

impl Transport for NoTransport {
    fn round_trip(
        &mut self,
        request: &trihound_sansio::ExchangeRequest,
    ) -> Result<Vec<u8>, TransportFailure> {
        Err(TransportFailure {
            realm: request.realm.clone(),
            attempts: Vec::new(),
            advice: "drive this acceptor through the function table, with a transport".to_owned(),
        })
    }
}

impl Common {
    fn new(table: &SecurityFunctionTable, credential: CredHandle) -> Self {
        Self {
            table: table.clone(),
            credential,
            context: None,
            bindings: None,
            established: None,
        }
    }

    fn input<'a>(&'a self, token: Option<&'a [u8]>) -> Vec<SecBuffer<'a>> {
        let token = token.map(SecBuffer::token_input);
        let bindings = self.bindings.as_deref().map(SecBuffer::channel_bindings);
        token.into_iter().chain(bindings).collect()
    }

    fn leg(
        &mut self,
        outcome: Result<HandshakeOutcome, Error>,
        output: &[SecBuffer<'_>],
    ) -> Result<Leg, Refused> {
        let token = output
            .first()
            .map(SecBuffer::bytes)
            .filter(|token| !token.is_empty())
            .map(<[u8]>::to_vec);
        let outcome = outcome.map_err(|error| Refused {
            error,
            token: token.clone(),
        })?;
        self.context = Some(outcome.context);
        match outcome.step {
            Step::Complete(established) => {
                self.established = Some(established);
                Ok(Leg { token, complete: true })
            }
            Step::ContinueNeeded => Ok(Leg { token, complete: false }),
            Step::CompleteNeeded { .. } | Step::ExchangeNeeded(_) => Err(Error::new(
                SecurityStatus::SEC_E_INTERNAL_ERROR,
                "the package wants CompleteAuthToken, which this loop does not do; use the function table",
            )
            .into()),
        }
    }

    fn into_context(mut self) -> Result<SecurityContext, Error> {
        let (Some(context), Some(established)) = (self.context, self.established.take()) else {
            return Err(Error::new(
                SecurityStatus::SEC_E_INVALID_HANDLE,
                "the handshake is not complete; go on with step()",
            ));
        };
        let owned = self.table.own_context(context)?;
        self.context = None;
        SecurityContext::new(&self.table, owned, established)
    }
}

impl Drop for Common {
    fn drop(&mut self) {
        if let Some(context) = self.context {
            // A handle that is gone already needs no deleting.
            let _ = self.table.delete_security_context(context);
        }
    }
}
