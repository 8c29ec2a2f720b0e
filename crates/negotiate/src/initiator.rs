//! The initiator's negotiation, once its NegTokenInit is out.

use std::sync::Arc;

use tracing::{debug, warn};
use trihound_asn1::spnego::{NegState, NegTokenResp, parse_response};
use trihound_sansio::Reply;
use trihound_sspi::{
    Error as SspiError, InitializeRequest, InitiatorRequirements, OwnedCtxtHandle,
};

use crate::context::{MAX_LEGS, Outcome, Refusal, Session, State};
use crate::credential::Arm;
use crate::error::{Error, PeerMisbehaved, PolicyError, Rejected, sspi_error};
use crate::mechanism::{Done, Inner, Ran, Running, complete_exchange};
use crate::proof::{MicExchange, why};
use crate::search::Plan;

/// A negotiation whose NegTokenInit is out.
pub(crate) struct Negotiation {
    pub(crate) plan: Plan,
    /// What was offered, the preferred first.
    pub(crate) offered: Vec<Arc<Arm>>,
    /// The DER of the MechTypeList as sent, which the mechListMIC covers (conformance row 29).
    pub(crate) mech_types: Vec<u8>,
    pub(crate) preferred: String,
    pub(crate) mic: MicExchange,
    pub(crate) legs: u32,
}

/// Awaits the acceptor's NegTokenResp.
pub(crate) struct ExpectReply {
    negotiation: Negotiation,
    inner: Inner,
    /// Whether the acceptor has not spoken yet.
    first: bool,
}

/// What a NegTokenResp of the acceptor says beside the mechanism's token.
struct Said {
    state: Option<NegState>,
    mic: Option<Vec<u8>>,
    /// Whether it had a token for the mechanism.
    token: bool,
}

/// Awaits a round trip of the mechanism on the way from a reply to the answer.
pub(crate) struct InitiatorExchange {
    negotiation: Negotiation,
    running: Running,
    said: Said,
}

impl Negotiation {
    pub(crate) fn wait(self, inner: Inner, first: bool, token: Vec<u8>) -> Outcome {
        let waiting = ExpectReply {
            negotiation: self,
            inner,
            first,
        };
        Outcome::Token(State::ExpectReply(Box::new(waiting)), Some(token))
    }

    pub(crate) fn mic_if_due(&mut self, done: &Done) -> Result<Option<Vec<u8>>, Error> {
        if !self.mic.is_due(done) {
            return Ok(None);
        }
        let made = self.mic.make(&self.plan.table, done, &self.mech_types)?;
        Ok(Some(made))
    }

    fn call(
        &mut self,
        arm: &Arc<Arm>,
        running: Option<OwnedCtxtHandle>,
        token: Option<&[u8]>,
        reason: Option<&SspiError>,
    ) -> Result<Ran, Error> {
        let called = self
            .plan
            .initiate(reason)
            .call(Arc::clone(arm), running, token);
        called.map_err(|failure| self.plan.fails_with(failure.attempt(arm)))
    }

    /// From the mechanism's answer to the token for the acceptor.
    fn answer(self, ran: Ran, said: Said) -> Result<Outcome, Refusal> {
        match ran {
            Ran::Exchange(running, request) => {
                let waiting = InitiatorExchange {
                    negotiation: self,
                    running,
                    said,
                };
                Ok(Outcome::Exchange(
                    State::InitiatorExchange(Box::new(waiting)),
                    request,
                ))
            }
            Ran::Spoke(Inner::Running(running), token) => self.go_on(running, token, &said),
            Ran::Spoke(Inner::Done(done), token) => self.conclude(done, token, &said, true),
        }
    }

    /// The mechanism is not done.
    fn go_on(self, running: Running, token: Vec<u8>, said: &Said) -> Result<Outcome, Refusal> {
        let package = running.arm.package().to_owned();
        // RFC 4178 section 5: MICs come after the mechanism's context is established.
        if said.mic.is_some() {
            return Err(PeerMisbehaved::PrematureMic { package }.into());
        }
        // RFC 4178 section 4.2.2: accept-completed says that the context is established.
        if said.state == Some(NegState::AcceptCompleted) {
            return Err(PeerMisbehaved::CompletedTooEarly { package }.into());
        }
        let message = NegTokenResp {
            neg_state: Some(NegState::AcceptIncomplete),
            response_token: (!token.is_empty()).then_some(token),
            ..NegTokenResp::default()
        };
        let token = message.to_token()?;
        Ok(self.wait(Inner::Running(running), false, token))
    }

    /// The mechanism is done: what RFC 4178 section 5 wants before the negotiation is. `just` says that
    /// this reply is what it was done by.
    fn conclude(
        mut self,
        done: Done,
        token: Vec<u8>,
        said: &Said,
        just: bool,
    ) -> Result<Outcome, Refusal> {
        self.mic.learn(&done);
        let unprotected = self.plan.policy.unprotected_reselection;
        self.mic
            .check_protectable(&done, &self.preferred, unprotected)?;
        if let Some(mic) = &said.mic {
            self.mic
                .verify(&self.plan.table, &done, &self.mech_types, mic, "sent")?;
        }
        let stands = said.state == Some(NegState::AcceptIncomplete) && !said.token;
        if stands && !just && said.mic.is_none() {
            self.unstick(&done)?;
        } else if self.mic.is_awaited(&done) && token.is_empty() {
            // RFC 4178 section 5 (b)(IV), (c)(I): with its last token, or in answer to ours, the acceptor
            // had to send its MIC (conformance row 28).
            return Err(self.mic.missing().into());
        }
        let dce_style = InitiatorRequirements::USE_DCE_STYLE;
        if !token.is_empty() && done.has_integrity() && self.plan.requirements.contains(dce_style) {
            // RFC 4178 section 5 (d): where the initiator has the last token, its MIC may come with it. Samba's
            // acceptor wants one in DCE style, and if it has to ask, speaks again when all is said.
            self.mic.require(why::LAST_TOKEN);
        }
        let mic = self.mic_if_due(&done)?;
        let awaited = self.mic.is_awaited(&done);
        if token.is_empty() && mic.is_none() {
            let session = self.finish(done)?;
            return Ok(Outcome::Token(session, None));
        }
        // RFC 4178 section 5 (c): after the initiator's last token the acceptor has the last word.
        let waits = awaited || (!token.is_empty() && said.state != Some(NegState::AcceptCompleted));
        let message = NegTokenResp {
            neg_state: Some(if waits {
                NegState::AcceptIncomplete
            } else {
                NegState::AcceptCompleted
            }),
            response_token: (!token.is_empty()).then_some(token),
            mech_list_mic: mic,
            ..NegTokenResp::default()
        };
        let token = message.to_token()?;
        if waits {
            return Ok(self.wait(Inner::Done(done), false, token));
        }
        let session = self.finish(done)?;
        Ok(Outcome::Token(session, Some(token)))
    }

    /// accept-incomplete without any token, while the mechanism is done here: the acceptor wants a MIC
    /// (conformance row 172). Where one was sent already, or cannot be made, it waits for nothing.
    fn unstick(&mut self, done: &Done) -> Result<(), PeerMisbehaved> {
        if self.mic.is_sent() {
            return Err(self.mic.missing());
        }
        // RFC 4178 section 4.2.2: accept-incomplete expects a further token of the initiator.
        if !done.has_integrity() {
            return Err(PeerMisbehaved::NothingLeft {
                package: done.arm.package().to_owned(),
            });
        }
        self.mic.require(why::INCOMPLETE);
        Ok(())
    }

    fn finish(self, done: Done) -> Result<State, Error> {
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
            self.plan.target,
        )?;
        Ok(State::Established(Box::new(session)))
    }
}

impl ExpectReply {
    /// Takes the acceptor's NegTokenResp.
    pub(crate) fn step(
        mut self,
        token: Option<&[u8]>,
        request: &InitializeRequest<'_>,
    ) -> Result<Outcome, Refusal> {
        self.negotiation.plan.extras.update(request.input);
        // RFC 2743 section 2.2: a continuation needs a token (conformance row 119).
        let token = token.ok_or(PeerMisbehaved::MissingToken {
            expected: "NegTokenResp",
        })?;
        self.negotiation.legs = self.negotiation.legs.saturating_add(1);
        if self.negotiation.legs > MAX_LEGS {
            return Err(PeerMisbehaved::TooManyLegs {
                package: self.inner.arm().package().to_owned(),
                legs: MAX_LEGS,
            }
            .into());
        }
        let message = parse_response(token)?;
        let chosen = self.chosen(&message)?;
        if message.neg_state == Some(NegState::Reject) {
            return Err(self.rejected(message).into());
        }
        match chosen {
            Some(arm) => self.reselect(&arm, &message),
            None => self.take(message),
        }
    }

    /// The mechanism that supportedMech names, where it is not the one under way.
    fn chosen(&self, message: &NegTokenResp) -> Result<Option<Arc<Arm>>, PeerMisbehaved> {
        let current = self.inner.arm();
        // Old acceptors leave it out, which leaves the choice where it is.
        let Some(oid) = &message.supported_mech else {
            return Ok(None);
        };
        if current.has_oid(oid) {
            return Ok(None);
        }
        // RFC 4178 section 4.2.2: supportedMech stands in the first reply only.
        if !self.first {
            return Err(PeerMisbehaved::ChangedMechanism {
                chosen: current.package().to_owned(),
                named: oid.clone(),
            });
        }
        let offered = &self.negotiation.offered;
        // RFC 4178 section 4.2.2: one of those that were offered (conformance row 31).
        match offered.iter().find(|arm| arm.has_oid(oid)) {
            Some(arm) => Ok(Some(Arc::clone(arm))),
            None => Err(PeerMisbehaved::UnofferedMechanism {
                oid: oid.clone(),
                offered: offered
                    .iter()
                    .flat_map(|arm| arm.mechanism.oids.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// Conformance row 172: what the mechanism reads in the token beside a reject is the reason.
    fn rejected(self, message: NegTokenResp) -> Rejected {
        let arm = Arc::clone(self.inner.arm());
        let reason = match (self.inner, message.response_token) {
            (Inner::Running(running), Some(token)) if !token.is_empty() => self
                .negotiation
                .plan
                .initiate(None)
                .call(Arc::clone(&arm), Some(running.handle), Some(&token))
                .err()
                .map(|failure| failure.error),
            _ => None,
        };
        Rejected {
            by: "acceptor",
            package: Some(arm.package().to_owned()),
            reason,
        }
    }

    /// The acceptor chose another mechanism: the optimistic context goes (once: its handle owns it), and
    /// the chosen mechanism begins.
    fn reselect(self, arm: &Arc<Arm>, message: &NegTokenResp) -> Result<Outcome, Refusal> {
        let Self {
            mut negotiation,
            inner,
            ..
        } = self;
        let package = arm.package().to_owned();
        let reselected = PolicyError::Reselected {
            package: package.clone(),
            preferred: inner.arm().package().to_owned(),
        };
        drop(inner);
        // RFC 4178 section 3.2: the optimistic token is dropped, so that there is nothing to answer
        // (conformance row 165).
        if message
            .response_token
            .as_ref()
            .is_some_and(|token| !token.is_empty())
        {
            return Err(PeerMisbehaved::TokenWithReselection { package }.into());
        }
        let reason = sspi_error(reselected);
        warn!(%package, error = %reason, "The acceptor chose {package}: {reason}");
        negotiation.mic.reselect();
        // RFC 4178 section 4.2.2: nothing of the chosen mechanism has been exchanged.
        if message.neg_state == Some(NegState::AcceptCompleted) {
            return Err(PeerMisbehaved::CompletedTooEarly { package }.into());
        }
        // RFC 4178 section 5: MICs come after the mechanism's context is established.
        if message.mech_list_mic.is_some() {
            return Err(PeerMisbehaved::PrematureMic { package }.into());
        }
        let said = Said {
            state: message.neg_state,
            mic: None,
            token: false,
        };
        let ran = negotiation.call(arm, None, None, Some(&reason))?;
        negotiation.answer(ran, said)
    }

    /// The mechanism goes on.
    fn take(self, message: NegTokenResp) -> Result<Outcome, Refusal> {
        let Self {
            mut negotiation,
            inner,
            first,
        } = self;
        if message.neg_state == Some(NegState::RequestMic) {
            // RFC 4178 section 4.2.2: request-mic stands in the first reply only.
            if !first {
                return Err(PeerMisbehaved::RequestMicTooLate.into());
            }
            negotiation.mic.require(why::REQUESTED);
        }
        let (token, mic) = token_and_mic(message.response_token, message.mech_list_mic);
        let said = Said {
            state: message.neg_state,
            mic,
            token: token.is_some(),
        };
        match (inner, token) {
            (Inner::Running(running), Some(token)) => {
                let Running { arm, handle } = running;
                let ran = negotiation.call(&arm, Some(handle), Some(&token), None)?;
                negotiation.answer(ran, said)
            }
            // RFC 4178 section 4.2.2: the mechanism's context comes from its tokens alone.
            (Inner::Running(running), None) => {
                let package = running.arm.package().to_owned();
                Err(match said.state {
                    Some(NegState::AcceptCompleted) => {
                        PeerMisbehaved::CompletedTooEarly { package }
                    }
                    _ => PeerMisbehaved::MissingMechanismToken { package },
                }
                .into())
            }
            // RFC 2743 section 2.2: a context that is established takes no token.
            (Inner::Done(done), Some(token)) => Err(PeerMisbehaved::SpuriousMechanismToken {
                package: done.arm.package().to_owned(),
                length: token.len(),
            }
            .into()),
            (Inner::Done(done), None) => negotiation.conclude(done, Vec::new(), &said, false),
        }
    }

    pub(crate) fn arm(&self) -> &Arm {
        self.inner.arm()
    }

    pub(crate) fn is_first(&self) -> bool {
        self.first
    }

    pub(crate) fn target(&self) -> Option<&str> {
        self.negotiation.plan.target.as_deref()
    }
}

impl InitiatorExchange {
    /// Goes on after the round trip. A token of the mechanism is out: nothing follows its failure.
    pub(crate) fn step(self, reply: Reply<'_>) -> Result<Outcome, Refusal> {
        let Self {
            mut negotiation,
            running,
            said,
        } = self;
        let arm = Arc::clone(&running.arm);
        match complete_exchange(&negotiation.plan.table, running, reply) {
            Ok(ran) => negotiation.answer(ran, said),
            Err(failure) => Err(negotiation.plan.fails_with(failure.attempt(&arm)).into()),
        }
    }

    pub(crate) fn arm(&self) -> &Arm {
        &self.running.arm
    }

    pub(crate) fn target(&self) -> Option<&str> {
        self.negotiation.plan.target.as_deref()
    }
}

/// The mechanism's token and the mechListMIC, with what old Windows gets wrong put right: an empty token
/// is none (IIS), and a mechListMIC that repeats the token is none (RFC 4178 appendix C; conformance row
/// 171).
pub(crate) fn token_and_mic(
    token: Option<Vec<u8>>,
    mic: Option<Vec<u8>>,
) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let token = token.filter(|token| !token.is_empty());
    let repeats = token.is_some() && mic == token;
    (token, mic.filter(|_| !repeats))
}
