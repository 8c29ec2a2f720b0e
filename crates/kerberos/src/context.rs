//! A context from its first call to its last, and how its tokens are framed.

use trihound_asn1::gss::{self, KRB5_OID, MS_KRB5_OID, TokenId};
use trihound_sansio::ExchangeRequest;
use trihound_sspi::{SecBufferDesc, SecurityStatus, Step};

use crate::acceptor::ExpectThirdLeg;
use crate::error::{ContextError, TokenError, sspi_error};
use crate::initiator::{ExpectForwarded, ExpectKdcReply, ExpectPeer};
use crate::session::Session;

/// `cbMaxToken`: what Windows Server 2012 and later allow a Kerberos token, PAC and all (the value
/// of MaxTokenSize).
pub(crate) const MAX_TOKEN: usize = 48_000;

/// A context of the Kerberos package.
#[derive(Debug)]
pub struct KerberosContext(pub(crate) State);

/// Where a context stands.
#[derive(Debug)]
pub(crate) enum State {
    /// The initiator waits for a KDC.
    ExpectKdcReply(Box<ExpectKdcReply>),
    /// The initiator has its ticket, and waits for another one to delegate.
    ExpectForwarded(Box<ExpectForwarded>),
    /// The initiator waits for the acceptor's AP-REP.
    ExpectApReply(Box<ExpectPeer>),
    /// The acceptor waits for the third leg of DCE style.
    ExpectThirdLeg(Box<ExpectThirdLeg>),
    /// The handshake is over.
    Established(Box<Session>),
    /// A token did not fit the caller's buffer and waits for a larger one.
    Undelivered(Box<Undelivered>),
}

/// A token that did not fit, and the state after it.
#[derive(Debug)]
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

impl State {
    fn step(&self) -> Step {
        match self {
            Self::Established(session) => Step::Complete(session.established()),
            Self::ExpectKdcReply(_)
            | Self::ExpectForwarded(_)
            | Self::ExpectApReply(_)
            | Self::ExpectThirdLeg(_)
            | Self::Undelivered(_) => Step::ContinueNeeded,
        }
    }
}

impl KerberosContext {
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
    context: &mut Option<KerberosContext>,
    outcome: Outcome,
    output: &mut SecBufferDesc<'_, '_>,
) -> Result<Step, trihound_sspi::Error> {
    let (next, token) = match outcome {
        Outcome::Exchange(state, request) => {
            *context = Some(KerberosContext(state));
            return Ok(Step::ExchangeNeeded(request));
        }
        Outcome::Token(next, token) => (next, token),
    };
    if let Some(token) = token {
        if token.len() > MAX_TOKEN {
            return Err(sspi_error(TokenError::TooLong {
                length: token.len(),
                limit: MAX_TOKEN,
            }));
        }
        if let Err(error) = output.write_token(&token) {
            if error.status() == SecurityStatus::SEC_E_BUFFER_TOO_SMALL {
                let undelivered = Box::new(Undelivered { token, next });
                *context = Some(KerberosContext(State::Undelivered(undelivered)));
            }
            return Err(error);
        }
    }
    let step = next.step();
    *context = Some(KerberosContext(next));
    Ok(step)
}

impl Undelivered {
    pub(crate) fn again(self) -> Outcome {
        Outcome::Token(self.next, Some(self.token))
    }
}

/// Puts a Kerberos message into the framing of a context token; DCE style has none (MS-KILE section
/// 3.4.5.1).
pub(crate) fn frame(token_id: TokenId, message: &[u8], raw: bool) -> Vec<u8> {
    if raw {
        message.to_vec()
    } else {
        gss::wrap_token(KRB5_OID, token_id.to_bytes(), message)
    }
}

/// Takes the framing off a token that has to be one of `expected`.
pub(crate) fn unframe<'a>(
    token: &'a [u8],
    expected: &[TokenId],
    name: &'static str,
) -> Result<&'a [u8], TokenError> {
    let parsed = gss::unwrap_token(token).map_err(TokenError::Framing)?;
    // RFC 4121 section 4.1; MS-SPNG section 3.1.5.2 for the identifier that Windows 2000 misspelt.
    if parsed.oid != KRB5_OID && parsed.oid != MS_KRB5_OID {
        return Err(TokenError::OtherMechanism);
    }
    // RFC 4121 section 4.1: TOK_ID says which message follows.
    match parsed.token_id() {
        Some(found) if expected.contains(&found) => Ok(parsed.inner),
        _ => Err(TokenError::OtherLeg {
            expected: name,
            found: parsed.tok_id,
        }),
    }
}
