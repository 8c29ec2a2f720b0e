//! A context from its first call to its last.

use core::fmt;

use trihound_sansio::ExchangeRequest;
use trihound_sspi::{
    ContextRef, CtxtHandle, Error as SspiError, Established, NegotiationState, OwnedCtxtHandle,
    SecBufferDesc, SecPkgInfo, SecurityFunctionTable, SecurityStatus, Step,
};

use crate::acceptor::{AcceptorExchange, ExpectResponse};
use crate::arrival::ExpectInit;
use crate::error::{ApiMisuse, Error, PeerMisbehaved, sspi_error};
use crate::export::Imported;
use crate::initiator::{ExpectReply, InitiatorExchange};
use crate::mechanism::Done;
use crate::proof::{ChoiceProof, MicExchange, NotNegotiated};
use crate::raw::{ExpectRaw, ExpectRawExchange};
use crate::search::FirstExchange;

/// No mechanism in use needs more tokens of the peer; Kerberos takes one or two, NTLM two. Our own
/// bound, so that a peer cannot hold a context for ever.
pub(crate) const MAX_LEGS: u32 = 32;

/// A context of the Negotiate package.
pub struct NegotiateContext(pub(crate) State);

/// Where a context stands.
pub(crate) enum State {
    /// The initiator's mechanism needs a round trip before its first token; nothing is on the wire.
    FirstExchange(Box<FirstExchange>),
    /// The initiator's mechanism needs a round trip later on.
    InitiatorExchange(Box<InitiatorExchange>),
    /// The initiator waits for the acceptor's NegTokenResp.
    ExpectReply(Box<ExpectReply>),
    /// The acceptor has spoken first and waits for the initiator's NegTokenInit.
    ExpectInit(Box<ExpectInit>),
    /// The acceptor's mechanism needs a round trip.
    AcceptorExchange(Box<AcceptorExchange>),
    /// The acceptor waits for the initiator's NegTokenResp.
    ExpectResponse(Box<ExpectResponse>),
    /// The acceptor waits for a mechanism's own token.
    ExpectRaw(Box<ExpectRaw>),
    /// The mechanism of bare tokens needs a round trip.
    ExpectRawExchange(Box<ExpectRawExchange>),
    /// The handshake is over.
    Established(Box<Session>),
    /// A token did not fit the caller's buffer and waits for a larger one.
    Undelivered(Box<Undelivered>),
}

/// A token that did not fit, and the state after it.
pub(crate) struct Undelivered {
    token: Vec<u8>,
    next: State,
}

/// What a handshake step came to.
pub(crate) enum Outcome {
    /// A round trip is needed.
    Exchange(State, ExchangeRequest),
    /// A token for the peer, if any, and the state after it.
    Token(State, Option<Vec<u8>>),
}

/// A failed step: the error, and a token that tells the peer.
pub(crate) struct Refusal {
    error: Box<Error>,
    token: Option<Vec<u8>>,
}

impl Refusal {
    /// An error with a token for the peer, if any.
    pub(crate) fn with_token(error: impl Into<Error>, token: Option<Vec<u8>>) -> Self {
        Self {
            error: Box::new(error.into()),
            token,
        }
    }
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::with_token(error, None)
    }
}

/// An established context: the mechanism's, and the proof that its choice was nobody else's.
pub(crate) struct Session {
    pub(crate) context: ContextRef,
    pub(crate) established: Established,
    pub(crate) package: SecPkgInfo,
    pub(crate) negotiation: NegotiationState,
    pub(crate) target: Option<String>,
    /// Deletes the mechanism's context with this one.
    handle: OwnedCtxtHandle,
    _proof: ChoiceProof,
}

impl Session {
    /// The end of a negotiation.
    pub(crate) fn negotiated(
        table: &SecurityFunctionTable,
        done: Done,
        mic: MicExchange,
        preferred: &str,
        unprotected_allowed: bool,
        target: Option<String>,
    ) -> Result<Self, Error> {
        let both_ways = mic.is_both_ways();
        let proof = mic.conclude(&done, preferred, unprotected_allowed)?;
        let session = Self::new(table, done, proof, NegotiationState::Complete, target)?;
        if both_ways {
            // MS-SPNG section 3.3.5.1: NTLM starts its ciphers anew.
            let told = session.context.mech_list_mic_done();
            told.map_err(|source| session.failed("end the exchange of mechListMICs", source))?;
        }
        Ok(session)
    }

    /// A context of a mechanism's bare tokens.
    pub(crate) fn direct(
        table: &SecurityFunctionTable,
        done: Done,
        proof: NotNegotiated,
    ) -> Result<Self, Error> {
        let proof = ChoiceProof::NotNegotiated(proof);
        Self::new(table, done, proof, NegotiationState::Direct, None)
    }

    fn new(
        table: &SecurityFunctionTable,
        done: Done,
        proof: ChoiceProof,
        negotiation: NegotiationState,
        target: Option<String>,
    ) -> Result<Self, Error> {
        let Done {
            arm,
            handle,
            established,
        } = done;
        let context = table
            .context(handle.handle())
            .map_err(|source| Error::Mechanism {
                package: arm.package().to_owned(),
                task: "find its context",
                source,
            })?;
        Ok(Self {
            context,
            established,
            package: arm.info.clone(),
            negotiation,
            target,
            handle,
            _proof: proof,
        })
    }

    /// The context of an image.
    pub(crate) fn imported(
        table: &SecurityFunctionTable,
        handle: OwnedCtxtHandle,
        package: SecPkgInfo,
        negotiation: NegotiationState,
        target: Option<String>,
        proof: Imported,
    ) -> Result<Self, SspiError> {
        let context = table.context(handle.handle())?;
        Ok(Self {
            established: context.established()?,
            context,
            package,
            negotiation,
            target,
            handle,
            _proof: ChoiceProof::Imported(proof),
        })
    }

    /// The mechanism's context.
    pub(crate) fn handle(&self) -> CtxtHandle {
        self.handle.handle()
    }

    fn failed(&self, task: &'static str, source: SspiError) -> Error {
        Error::Mechanism {
            package: self.package.name.clone().into_owned(),
            task,
            source,
        }
    }

    /// What a call on an established context comes to: SSPI's classic loop calls once more than the
    /// wire has legs, with nothing to hand over.
    pub(crate) fn once_more(self: Box<Self>, token: Option<&[u8]>) -> Result<Outcome, Refusal> {
        match token {
            None => Ok(Outcome::Token(State::Established(self), None)),
            // RFC 2743 section 2.2: no token is expected any more (conformance row 119).
            Some(token) => Err(PeerMisbehaved::AfterEstablishment {
                length: token.len(),
            }
            .into()),
        }
    }
}

impl NegotiateContext {
    /// The session of an established context.
    pub(crate) fn session(&self) -> Result<&Session, SspiError> {
        match &self.0 {
            State::Established(session) => Ok(session),
            _ => Err(sspi_error(ApiMisuse::NotEstablished)),
        }
    }
}

impl fmt::Debug for NegotiateContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::FirstExchange(_) => "FirstExchange",
            State::InitiatorExchange(_) => "InitiatorExchange",
            State::ExpectReply(_) => "ExpectReply",
            State::ExpectInit(_) => "ExpectInit",
            State::AcceptorExchange(_) => "AcceptorExchange",
            State::ExpectResponse(_) => "ExpectResponse",
            State::ExpectRaw(_) => "ExpectRaw",
            State::ExpectRawExchange(_) => "ExpectRawExchange",
            State::Established(session) => {
                return write!(f, "NegotiateContext(Established, {})", session.package.name);
            }
            State::Undelivered(_) => "Undelivered",
        };
        write!(f, "NegotiateContext({state})")
    }
}

/// Puts an outcome into the caller's hands: its token into the output, its state into the context. Of a
/// failed step there is the token for the peer at most.
pub(crate) fn deliver(
    context: &mut Option<NegotiateContext>,
    outcome: Result<Outcome, Refusal>,
    limit: usize,
    output: &mut SecBufferDesc<'_, '_>,
) -> Result<Step, SspiError> {
    let (next, token) = match outcome {
        Ok(Outcome::Exchange(state, request)) => {
            *context = Some(NegotiateContext(state));
            return Ok(Step::ExchangeNeeded(request));
        }
        Ok(Outcome::Token(next, token)) => (next, token),
        Err(refusal) => {
            if let Some(token) = refusal.token.filter(|token| token.len() <= limit) {
                // Without room the peer learns of the failure from the connection alone.
                let _ = output.write_token(&token);
            }
            return Err((*refusal.error).into());
        }
    };
    if let Some(token) = token {
        if token.len() > limit {
            return Err(sspi_error(ApiMisuse::TokenTooLong {
                length: token.len(),
                limit,
            }));
        }
        if let Err(error) = output.write_token(&token) {
            if error.status() == SecurityStatus::SEC_E_BUFFER_TOO_SMALL {
                let undelivered = Box::new(Undelivered { token, next });
                *context = Some(NegotiateContext(State::Undelivered(undelivered)));
            }
            return Err(error);
        }
    }
    let step = match &next {
        State::Established(session) => Step::Complete(session.established.clone()),
        _ => Step::ContinueNeeded,
    };
    *context = Some(NegotiateContext(next));
    Ok(step)
}

impl Undelivered {
    pub(crate) fn again(self) -> Outcome {
        Outcome::Token(self.next, Some(self.token))
    }
}
