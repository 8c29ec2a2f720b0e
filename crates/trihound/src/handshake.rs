use std::sync::Arc;

use thiserror::Error;
use trihound_sansio::{
    AsyncTransport, ExchangeRequest, MAX_ROUND_TRIPS, Reply, Transport, TransportFailure,
};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, AccessToken, BufferType, ChannelBindings, CredHandle,
    CtxtHandle, Error, Established, EstablishedAttributes, HandshakeOutcome, Impersonation,
    InitializeRequest, InitiatorRequirements, InputDesc, OwnedCredHandle, SecBuffer, SecBufferDesc,
    SecurityFunctionTable, SecurityStatus, Step,
};

use crate::blocking::complete_exchanges;
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
    impersonation: Option<Arc<AccessToken>>,
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
    /// Keeps the credential for as long as the handshake needs it.
    owner: Option<Arc<OwnedCredHandle>>,
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
            impersonation: None,
        }
    }

    /// For the client of this token, whatever the calling thread impersonates: for a credential of both directions
    /// in a task that changes threads.
    #[must_use]
    pub fn on_behalf_of(mut self, token: Arc<AccessToken>) -> Self {
        self.impersonation = Some(token);
        self
    }

    /// The same, keeping `credential` alive.
    pub(crate) fn owning(mut self, credential: &Arc<OwnedCredHandle>) -> Self {
        self.common = self.common.owning(credential);
        self
    }

    pub(crate) fn bind_buffer(&mut self, bindings: Option<Vec<u8>>) {
        self.common.bindings = bindings;
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
        let mut turn = self.begin_turn(input)?;
        for _ in 0..MAX_ROUND_TRIPS {
            let request = match turn {
                Turn::Leg(leg) => return Ok(leg),
                Turn::Exchange(request) => request,
            };
            turn = self.resume_turn(&transport.round_trip(&request))?;
        }
        turn.into_leg()
    }

    /// As [`Self::step`], for a program whose way to a KDC is asynchronous, on any runtime.
    ///
    /// Dropping the future gives the handshake up.
    ///
    /// # Errors
    ///
    /// [`Refused`]; the handshake is over then.
    pub async fn step_async<T: AsyncTransport>(
        &mut self,
        input: Option<&[u8]>,
        mut transport: T,
    ) -> Result<Leg, Refused> {
        let mut turn = self.begin_turn(input)?;
        for _ in 0..MAX_ROUND_TRIPS {
            let request = match turn {
                Turn::Leg(leg) => return Ok(leg),
                Turn::Exchange(request) => request,
            };
            turn = self.resume_turn(&transport.round_trip(&request).await)?;
        }
        turn.into_leg()
    }

    /// InitializeSecurityContext, as far as it comes without a round trip.
    pub(crate) fn begin_turn(&mut self, input: Option<&[u8]>) -> Result<Turn, Refused> {
        let buffers = self.common.input(input);
        let request = InitializeRequest {
            target_name: Some(&self.target_name),
            requirements: self.requirements,
            input: (!buffers.is_empty()).then(|| InputDesc::new(&buffers)),
            impersonation: self.impersonation.as_ref(),
            fallback_reason: None,
        };
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let outcome = self.common.table.initialize_security_context(
            Some(self.common.credential),
            self.common.context,
            request,
            &mut SecBufferDesc::new(&mut output),
        );
        drop(buffers);
        self.common.turn(outcome, &output)
    }

    /// Goes on with what became of a round trip.
    pub(crate) fn resume_turn(
        &mut self,
        answer: &Result<Vec<u8>, TransportFailure>,
    ) -> Result<Turn, Refused> {
        let reply = match answer {
            Ok(bytes) => Reply::Bytes(bytes),
            Err(failure) => Reply::Failed(failure),
        };
        let Some(context) = self.common.context else {
            return Err(not_complete().into());
        };
        let mut output = [SecBuffer::allocate(BufferType::TOKEN)];
        let outcome = self.common.table.complete_exchange(
            context,
            reply,
            &mut SecBufferDesc::new(&mut output),
        );
        self.common.turn(outcome, &output)
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

    /// The same, keeping `credential` alive.
    pub(crate) fn owning(mut self, credential: &Arc<OwnedCredHandle>) -> Self {
        self.common = self.common.owning(credential);
        self
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

    /// What was negotiated, once it is.
    pub(crate) fn attributes(&self) -> Option<EstablishedAttributes> {
        let established = self.common.established.as_ref()?;
        Some(established.attributes)
    }

    /// The next leg, with a token of the peer.
    ///
    /// # Errors
    ///
    /// [`Refused`], perhaps with a token for the peer; the handshake is over then.
    pub fn step(&mut self, input: &[u8]) -> Result<Leg, Refused> {
        self.step_over(input, &mut NoTransport(NO_WAY))
    }

    /// As [`Self::step`], for an acceptor that has to ask somebody: an NTLM verifier that is a domain
    /// controller's client.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn step_over(
        &mut self,
        input: &[u8],
        transport: &mut dyn Transport,
    ) -> Result<Leg, Refused> {
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
                complete_exchanges(&self.common.table, outcome, &mut description, transport)
            });
        drop(buffers);
        self.common.leg(outcome, &output)
    }

    /// ImpersonateSecurityContext, once the handshake is complete: the calling thread acts for the client until the
    /// value is dropped.
    ///
    /// # Errors
    ///
    /// As [`SecurityContext::impersonate`]; SEC_E_INVALID_HANDLE before the handshake is complete.
    pub fn impersonate(&self) -> Result<Impersonation, Error> {
        match (self.common.context, &self.common.established) {
            (Some(context), Some(_)) => self.common.table.impersonate(context),
            _ => Err(not_complete()),
        }
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

const NO_WAY: &str = "drive this acceptor with step_over(), and give it a transport";

/// The way of a side whose package asks nobody. One that does ask is told what to do about it.
#[derive(Clone, Copy)]
pub(crate) struct NoTransport(pub(crate) &'static str);

impl Transport for NoTransport {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        Err(TransportFailure {
            realm: request.realm.clone(),
            attempts: Vec::new(),
            advice: self.0.to_owned(),
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
            owner: None,
        }
    }

    fn owning(mut self, owner: &Arc<OwnedCredHandle>) -> Self {
        self.owner = Some(Arc::clone(owner));
        self
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
        self.turn(outcome, output)?.into_leg()
    }

    fn turn(
        &mut self,
        outcome: Result<HandshakeOutcome, Error>,
        output: &[SecBuffer<'_>],
    ) -> Result<Turn, Refused> {
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
                Ok(Turn::Leg(Leg {
                    token,
                    complete: true,
                }))
            }
            Step::ContinueNeeded => Ok(Turn::Leg(Leg {
                token,
                complete: false,
            })),
            Step::ExchangeNeeded(request) => Ok(Turn::Exchange(request)),
            Step::CompleteNeeded { .. } => Err(Error::new(
                SecurityStatus::SEC_E_INTERNAL_ERROR,
                "the package wants CompleteAuthToken, which this loop does not do; use the function table",
            )
            .into()),
        }
    }

    fn into_context(mut self) -> Result<SecurityContext, Error> {
        let (Some(context), Some(established)) = (self.context, self.established.take()) else {
            return Err(not_complete());
        };
        let owned = self.table.own_context(context)?;
        self.context = None;
        SecurityContext::new(&self.table, owned, established)
    }
}

/// Where a handshake stands after a call.
#[derive(Debug)]
pub(crate) enum Turn {
    Leg(Leg),
    Exchange(ExchangeRequest),
}

impl Turn {
    fn into_leg(self) -> Result<Leg, Refused> {
        match self {
            Self::Leg(leg) => Ok(leg),
            Self::Exchange(_) => Err(in_circles().into()),
        }
    }
}

pub(crate) fn in_circles() -> Error {
    Error::new(
        SecurityStatus::SEC_E_INTERNAL_ERROR,
        format!(
            "the handshake did not end within {MAX_ROUND_TRIPS} round trips; the KDC sends it in circles"
        ),
    )
}

pub(crate) fn not_complete() -> Error {
    Error::new(
        SecurityStatus::SEC_E_INVALID_HANDLE,
        "the handshake is not complete; go on with step()",
    )
}

impl Drop for Common {
    fn drop(&mut self) {
        if let Some(context) = self.context {
            // A handle that is gone already needs no deleting.
            let _ = self.table.delete_security_context(context);
        }
    }
}
