//! A context from its first call to its last.

use core::fmt;

use trihound_sansio::ExchangeRequest;
use trihound_sspi::{SecBufferDesc, SecurityStatus, Step};

use crate::acceptor::{ExpectAuthenticate, ExpectVerifier};
use crate::error::{ContextError, Error, TokenError, sspi_error};
use crate::established::Session;
use crate::initiator::ExpectChallenge;

/// `cbMaxToken`: room for every name at its longest. Windows says 2888, and its own tokens fit.
pub(crate) const MAX_TOKEN: usize = 8192;

/// A context of the NTLM package.
#[derive(Debug)]
pub struct NtlmContext(pub(crate) State);

/// Where a context stands.
#[derive(Debug)]
pub(crate) enum State {
    /// The initiator waits for the CHALLENGE message.
    ExpectChallenge(Box<ExpectChallenge>),
    /// The acceptor waits for the AUTHENTICATE message.
    ExpectAuthenticate(Box<ExpectAuthenticate>),
    /// The acceptor waits for whoever verifies the response.
    ExpectVerifier(Box<ExpectVerifier>),
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

/// Without the token: a response may be in it, against which passwords can be tried.
impl fmt::Debug for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered")
            .field("length", &self.token.len())
            .field("next", &self.next)
            .finish()
    }
}

/// What a handshake step came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A round trip is needed.
    Exchange(State, ExchangeRequest),
    /// A token for the peer, if any, and the state after it.
    Token(State, Option<Vec<u8>>),
}

impl State {
    fn step(&self) -> Step {
        match self {
            Self::Established(session) => Step::Complete(session.established()),
            Self::ExpectChallenge(_)
            | Self::ExpectAuthenticate(_)
            | Self::ExpectVerifier(_)
            | Self::Undelivered(_) => Step::ContinueNeeded,
        }
    }
}

impl NtlmContext {
    /// The session of an established context.
    pub(crate) fn session(&self) -> Result<&Session, ContextError> {
        match &self.0 {
            State::Established(session) => Ok(session),
            _ => Err(ContextError::NotEstablished),
        }
    }

    /// The session of an established context, for a message.
    pub(crate) fn session_mut(&mut self) -> Result<&mut Session, ContextError> {
        match &mut self.0 {
            State::Established(session) => Ok(session),
            _ => Err(ContextError::NotEstablished),
        }
    }
}

/// Puts an outcome into the caller's hands: its token into the output, its state into the context.
pub(crate) fn deliver(
    context: &mut Option<NtlmContext>,
    outcome: Outcome,
    output: &mut SecBufferDesc<'_, '_>,
) -> Result<Step, trihound_sspi::Error> {
    let (next, token) = match outcome {
        Outcome::Exchange(state, request) => {
            *context = Some(NtlmContext(state));
            return Ok(Step::ExchangeNeeded(request));
        }
        Outcome::Token(next, token) => (next, token),
    };
    if let Some(token) = token {
        check_length(&token).map_err(sspi_error)?;
        if let Err(error) = output.write_token(&token) {
            if error.status() == SecurityStatus::SEC_E_BUFFER_TOO_SMALL {
                let undelivered = Box::new(Undelivered { token, next });
                *context = Some(NtlmContext(State::Undelivered(undelivered)));
            }
            return Err(error);
        }
    }
    let step = next.step();
    *context = Some(NtlmContext(next));
    Ok(step)
}

impl Undelivered {
    pub(crate) fn again(self) -> Outcome {
        Outcome::Token(self.next, Some(self.token))
    }
}

/// No token of either side is longer than what [`trihound_sspi::SecPkgInfo`] says.
pub(crate) fn check_length(token: &[u8]) -> Result<(), TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::TooLong {
            length: token.len(),
            limit: MAX_TOKEN,
        });
    }
    Ok(())
}

/// The peer's message, which is due.
pub(crate) fn due<'a>(
    token: Option<&'a [u8]>,
    expected: &'static str,
) -> Result<&'a [u8], TokenError> {
    let token = token.ok_or(TokenError::Missing { expected })?;
    check_length(token)?;
    Ok(token)
}

/// What a call on an established context comes to: SSPI's classic loop, and DCE style, call once more
/// than the wire has legs, with nothing to hand over.
pub(crate) fn once_more(state: State, token: Option<&[u8]>) -> Result<Outcome, Error> {
    match token {
        None => Ok(Outcome::Token(state, None)),
        Some(token) => Err(TokenError::AfterEstablishment {
            length: token.len(),
        }
        .into()),
    }
}
