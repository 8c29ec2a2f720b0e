//! The acceptor's negotiation, once its mechanism is chosen.

use std::sync::Arc;

use tracing::{debug, warn};
use trihound_asn1::spnego::{NegState, NegTokenResp, parse_response};
use trihound_sansio::Reply;
use trihound_sspi::{AcceptRequest, OwnedCtxtHandle};

use crate::arrival::{Plan, too_small};
use crate::context::{MAX_LEGS, Outcome, Refusal, Session, State};
use crate::credential::{Arm, usable};
use crate::error::{Attempt, Error, NegotiationFailed, PeerMisbehaved, Rejected};
use crate::initiator::token_and_mic;
use crate::mechanism::{Done, Failure, Inner, Ran, Room, Running, complete_exchange};
use crate::proof::MicExchange;

/// A negotiation whose mechanism is chosen.
pub(crate) struct Negotiation {
    pub(crate) plan: Plan,
    pub(crate) arm: Arc<Arm>,
    /// The chosen identifier as the initiator wrote it, until the first reply has said it (conformance row
    /// 166).
    pub(crate) supported_mech: Option<String>,
    /// The DER of the MechTypeList as received, which the mechListMIC covers (conformance row 29).
    pub(crate) mech_types: Vec<u8>,
    /// What the initiator prefers, by identifier.
    pub(crate) preferred: String,
    pub(crate) mic: MicExchange,
    pub(crate) legs: u32,
}

/// Awaits the initiator's NegTokenResp.
pub(crate) struct ExpectResponse {
    negotiation: Negotiation,
    inner: Option<Inner>,
}

/// Awaits a round trip of the mechanism.
pub(crate) struct AcceptorExchange {
    negotiation: Negotiation,
    running: Running,
    mic: Option<Vec<u8>>,
}

/// A NegTokenResp that ends the negotiation, with what the mechanism has to say.
pub(crate) fn reject(
    supported_mech: Option<String>,
    token: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Error> {
    let message = NegTokenResp {
        neg_state: Some(NegState::Reject),
        supported_mech,
        response_token: token.filter(|token| !token.is_empty()),
        mech_list_mic: None,
    };
    Ok(Some(message.to_token()?))
}

pub(crate) fn failed(attempt: Attempt) -> Error {
    NegotiationFailed {
        tried: vec![attempt],
    }
    .into()
}

impl Negotiation {
    /// RFC 4178 section 5: whether there is no mechanism here that the acceptor would rather have used,
    /// had it been in the list.
    pub(crate) fn is_most_preferred(&self) -> bool {
        usable(&self.plan.candidates)
            .next()
            .is_none_or(|best| Arc::ptr_eq(best, &self.arm))
    }

    /// The reply of this moment: negState, and in the first one the mechanism.
    fn reply(
        &mut self,
        done: bool,
        token: Vec<u8>,
        mic: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Error> {
        let first = self.supported_mech.take();
        let neg_state = match (done, first.is_some() && self.mic.is_required()) {
            (true, _) => NegState::AcceptCompleted,
            (false, true) => NegState::RequestMic,
            (false, false) => NegState::AcceptIncomplete,
        };
        let message = NegTokenResp {
            neg_state: Some(neg_state),
            supported_mech: first,
            response_token: (!token.is_empty()).then_some(token),
            mech_list_mic: mic,
        };
        Ok(message.to_token()?)
    }

    fn wait(self, inner: Option<Inner>, token: Vec<u8>) -> Outcome {
        let waiting = ExpectResponse {
            negotiation: self,
            inner,
        };
        Outcome::Token(State::ExpectResponse(Box::new(waiting)), Some(token))
    }

    /// Names the chosen mechanism and asks for its first token.
    pub(crate) fn ask(mut self) -> Result<Outcome, Refusal> {
        debug!(
            package = self.arm.package(),
            "Asking the client for {}",
            self.arm.package()
        );
        let token = self.reply(false, Vec::new(), None)?;
        Ok(self.wait(None, token))
    }

    /// A failure of the negotiation itself, told to the peer.
    fn refuse(&mut self, error: impl Into<Error>) -> Refusal {
        let token = reject(self.supported_mech.take(), None);
        Refusal::with_token(error, token.ok().flatten())
    }

    /// From the mechanism's answer to the reply.
    pub(crate) fn take(
        mut self,
        ran: Result<Ran, Failure>,
        mic: Option<Vec<u8>>,
    ) -> Result<Outcome, Refusal> {
        match ran {
            Ok(Ran::Exchange(running, request)) => {
                let waiting = AcceptorExchange {
                    negotiation: self,
                    running,
                    mic,
                };
                Ok(Outcome::Exchange(
                    State::AcceptorExchange(Box::new(waiting)),
                    request,
                ))
            }
            Ok(Ran::Spoke(Inner::Running(running), token)) => {
                // RFC 4178 section 5: MICs come after the mechanism's context is established.
                if mic.is_some() {
                    let package = self.arm.package().to_owned();
                    return Err(self.refuse(PeerMisbehaved::PrematureMic { package }));
                }
                let token = self.reply(false, token, None)?;
                Ok(self.wait(Some(Inner::Running(running)), token))
            }
            Ok(Ran::Spoke(Inner::Done(done), token)) => self.conclude(done, token, mic),
            Err(failure) if failure.is_room() => Err(too_small(failure.error)),
            // A mechanism that failed is not followed by another: the initiator chose it.
            Err(mut failure) => {
                let (package, error) = (self.arm.package(), &failure.error);
                warn!(package, %error, "Refused the client's {package} token: {error}");
                let token = core::mem::take(&mut failure.token);
                let token = reject(self.supported_mech.take(), Some(token))?;
                let error = failed(failure.attempt(&self.arm));
                Err(Refusal::with_token(error, token))
            }
        }
    }

    /// The mechanism is done: what RFC 4178 section 5 wants before the negotiation is.
    fn conclude(
        mut self,
        done: Done,
        token: Vec<u8>,
        mic: Option<Vec<u8>>,
    ) -> Result<Outcome, Refusal> {
        self.mic.learn(&done);
        let unprotected = self.plan.policy.unprotected_reselection;
        let checked = self
            .mic
            .check_protectable(&done, &self.preferred, unprotected);
        if let Err(error) = checked {
            return Err(self.refuse(error));
        }
        if let Some(mic) = mic {
            let verified =
                self.mic
                    .verify(&self.plan.table, &done, &self.mech_types, &mic, "received");
            if let Err(error) = verified {
                return Err(self.refuse(error));
            }
        }
        let awaited = self.mic.is_awaited(&done);
        // RFC 4178 section 5 (c)(V): with its last token the initiator had to send its MIC, unless this is
        // the first that it hears of the wish (c)(IV), or the acceptor has the mechanism's last token (b).
        if awaited && token.is_empty() && self.supported_mech.is_none() {
            let missing = self.mic.missing();
            return Err(self.refuse(missing));
        }
        let mic = if self.mic.is_due(&done) {
            Some(self.mic.make(&self.plan.table, &done, &self.mech_types)?)
        } else {
            None
        };
        let reply = self.reply(!awaited, token, mic)?;
        if awaited {
            return Ok(self.wait(Some(Inner::Done(done)), reply));
        }
        self.finish(done, Some(reply))
    }

    fn finish(self, done: Done, token: Option<Vec<u8>>) -> Result<Outcome, Refusal> {
        debug!(
            package = done.arm.package(),
            "Negotiated {}",
            done.arm.package()
        );
        let session = Session::negotiated(
            &self.plan.table,
            done,
            self.mic,
            &self.preferred,
            self.plan.policy.unprotected_reselection,
            None,
        )?;
        Ok(Outcome::Token(State::Established(Box::new(session)), token))
    }

    fn call(&self, running: Option<OwnedCtxtHandle>, token: &[u8]) -> Result<Ran, Failure> {
        let accept = self.plan.accept(Room::Any);
        accept.call(Arc::clone(&self.arm), running, Some(token))
    }
}

impl ExpectResponse {
    /// Takes the initiator's NegTokenResp.
    pub(crate) fn step(
        mut self,
        token: Option<&[u8]>,
        request: &AcceptRequest<'_>,
    ) -> Result<Outcome, Refusal> {
        self.negotiation.plan.extras.update(request.input);
        let package = self.negotiation.arm.package().to_owned();
        // RFC 2743 section 2.2: a continuation needs a token (conformance row 119).
        let token = token.ok_or(PeerMisbehaved::MissingToken {
            expected: "NegTokenResp",
        })?;
        self.negotiation.legs = self.negotiation.legs.saturating_add(1);
        if self.negotiation.legs > MAX_LEGS {
            let legs = MAX_LEGS;
            let error = PeerMisbehaved::TooManyLegs { package, legs };
            return Err(self.negotiation.refuse(error));
        }
        let message = parse_response(token)?;
        // RFC 4178 section 4.2.2: a side that gives up says reject; nothing is to be told to it.
        if message.neg_state == Some(NegState::Reject) {
            return Err(Rejected {
                by: "initiator",
                package: Some(package),
                reason: None,
            }
            .into());
        }
        // RFC 4178 section 4.2.2: the mechanism is the acceptor's to name. An initiator that repeats it
        // does no harm.
        if let Some(named) = message.supported_mech
            && !self.negotiation.arm.has_oid(&named)
        {
            let chosen = package;
            let error = PeerMisbehaved::ChangedMechanism { chosen, named };
            return Err(self.negotiation.refuse(error));
        }
        let (token, mic) = token_and_mic(message.response_token, message.mech_list_mic);
        self.take(token, mic)
    }

    fn take(self, token: Option<Vec<u8>>, mic: Option<Vec<u8>>) -> Result<Outcome, Refusal> {
        let Self {
            mut negotiation,
            inner,
        } = self;
        let package = negotiation.arm.package().to_owned();
        match (inner, token) {
            (None, Some(token)) => {
                let ran = negotiation.call(None, &token);
                negotiation.take(ran, mic)
            }
            (Some(Inner::Running(running)), Some(token)) => {
                let ran = negotiation.call(Some(running.handle), &token);
                negotiation.take(ran, mic)
            }
            // RFC 4178 section 4.2.2: the mechanism's context comes from its tokens alone.
            (None | Some(Inner::Running(_)), None) => {
                Err(negotiation.refuse(PeerMisbehaved::MissingMechanismToken { package }))
            }
            // RFC 2743 section 2.2: a context that is established takes no token.
            (Some(Inner::Done(_)), Some(token)) => {
                let length = token.len();
                let error = PeerMisbehaved::SpuriousMechanismToken { package, length };
                Err(negotiation.refuse(error))
            }
            (Some(Inner::Done(done)), None) => negotiation.last(done, mic),
        }
    }

    pub(crate) fn arm(&self) -> &Arm {
        &self.negotiation.arm
    }

    /// Whether the mechanism is done, so that the token taken last was the client's last of it.
    pub(crate) fn is_mechanism_done(&self) -> bool {
        matches!(self.inner, Some(Inner::Done(_)))
    }
}

impl Negotiation {
    /// The mechanism is done and this side's MIC is out: the initiator's is all that is missing (RFC 4178
    /// section 5 (b)(I), (c)(IV)).
    fn last(mut self, done: Done, mic: Option<Vec<u8>>) -> Result<Outcome, Refusal> {
        let Some(mic) = mic else {
            let missing = self.mic.missing();
            return Err(self.refuse(missing));
        };
        let verified = self
            .mic
            .verify(&self.plan.table, &done, &self.mech_types, &mic, "received");
        match verified {
            Ok(()) => self.finish(done, None),
            Err(error) => Err(self.refuse(error)),
        }
    }
}

impl AcceptorExchange {
    /// Goes on after the round trip.
    pub(crate) fn step(self, reply: Reply<'_>) -> Result<Outcome, Refusal> {
        let Self {
            negotiation,
            running,
            mic,
        } = self;
        let ran = complete_exchange(&negotiation.plan.table, running, reply);
        negotiation.take(ran, mic)
    }

    pub(crate) fn arm(&self) -> &Arm {
        &self.running.arm
    }
}
