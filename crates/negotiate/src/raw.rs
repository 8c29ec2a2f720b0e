//! An acceptor's context of a mechanism's own tokens, without SPNEGO around them.

use std::sync::Arc;

use tracing::debug;
use trihound_sansio::Reply;
use trihound_sspi::{AcceptRequest, SecBufferDesc};

use crate::acceptor::failed;
use crate::arrival::{Plan, REPLY_OVERHEAD, room, too_small};
use crate::context::{MAX_LEGS, Outcome, Refusal, Session, State};
use crate::credential::{Arm, usable};
use crate::error::{PeerMisbehaved, PolicyError};
use crate::mechanism::{Failure, Inner, Ran, Room, Running, complete_exchange};
use crate::policy::RawTokens;
use crate::proof::NotNegotiated;

/// Awaits the next token of a mechanism that speaks without SPNEGO.
pub(crate) struct ExpectRaw {
    plan: Plan,
    running: Running,
    proof: NotNegotiated,
    legs: u32,
}

/// Awaits a round trip of such a mechanism.
pub(crate) struct ExpectRawExchange(ExpectRaw);

impl Plan {
    /// MS-SPNG section 3.3.5: a mechanism's own token, without SPNEGO around it.
    pub(crate) fn raw(
        self,
        token: &[u8],
        output: Option<&SecBufferDesc<'_, '_>>,
    ) -> Result<Outcome, Refusal> {
        let owner = usable(&self.candidates).find(|arm| (arm.mechanism.is_raw_token)(token));
        // RFC 4178 section 3.2: a first token is SPNEGO's, or one that a mechanism here knows as its own
        // (conformance row 162).
        let Some(arm) = owner.cloned() else {
            return Err(PeerMisbehaved::UnknownFirstToken {
                length: token.len(),
                here: self.here(),
            }
            .into());
        };
        if self.policy.raw_tokens == RawTokens::Refuse {
            return Err(PolicyError::RawTokenRefused {
                package: arm.package().to_owned(),
            }
            .into());
        }
        debug!(
            package = arm.package(),
            "The client speaks {} without SPNEGO",
            arm.package()
        );
        let room = match room(output).map_err(too_small)? {
            // No SPNEGO is around the answer either.
            Room::Bytes(left) => Room::Bytes(left.saturating_add(REPLY_OVERHEAD)),
            Room::Any => Room::Any,
        };
        let ran = self.accept(room).call(Arc::clone(&arm), None, Some(token));
        raw_answer(self, &arm, NotNegotiated::accepted(), 1, ran)
    }
}

/// From a bare mechanism's answer to the next state.
fn raw_answer(
    plan: Plan,
    arm: &Arm,
    proof: NotNegotiated,
    legs: u32,
    ran: Result<Ran, Failure>,
) -> Result<Outcome, Refusal> {
    let some = |token: Vec<u8>| (!token.is_empty()).then_some(token);
    match ran {
        Ok(Ran::Exchange(running, request)) => {
            let waiting = ExpectRaw {
                plan,
                running,
                proof,
                legs,
            };
            let state = State::ExpectRawExchange(Box::new(ExpectRawExchange(waiting)));
            Ok(Outcome::Exchange(state, request))
        }
        Ok(Ran::Spoke(Inner::Running(running), token)) => {
            let waiting = ExpectRaw {
                plan,
                running,
                proof,
                legs,
            };
            Ok(Outcome::Token(
                State::ExpectRaw(Box::new(waiting)),
                some(token),
            ))
        }
        Ok(Ran::Spoke(Inner::Done(done), token)) => {
            let session = Session::direct(&plan.table, done, proof)?;
            Ok(Outcome::Token(
                State::Established(Box::new(session)),
                some(token),
            ))
        }
        Err(failure) if failure.is_room() => Err(too_small(failure.error)),
        Err(mut failure) => {
            let token = some(core::mem::take(&mut failure.token));
            Err(Refusal::with_token(failed(failure.attempt(arm)), token))
        }
    }
}

impl ExpectRaw {
    /// Takes the mechanism's next token.
    pub(crate) fn step(
        mut self,
        token: Option<&[u8]>,
        request: &AcceptRequest<'_>,
    ) -> Result<Outcome, Refusal> {
        self.plan.extras.update(request.input);
        let Self {
            plan,
            running: Running { arm, handle },
            proof,
            legs,
        } = self;
        let legs = legs.saturating_add(1);
        if legs > MAX_LEGS {
            return Err(PeerMisbehaved::TooManyLegs {
                package: arm.package().to_owned(),
                legs: MAX_LEGS,
            }
            .into());
        }
        // Whether an empty token may come here is the mechanism's own matter.
        let ran = plan
            .accept(Room::Any)
            .call(Arc::clone(&arm), Some(handle), token);
        raw_answer(plan, &arm, proof, legs, ran)
    }

    pub(crate) fn arm(&self) -> &Arm {
        &self.running.arm
    }
}

impl ExpectRawExchange {
    /// Goes on after the round trip.
    pub(crate) fn step(self, reply: Reply<'_>) -> Result<Outcome, Refusal> {
        let ExpectRaw {
            plan,
            running,
            proof,
            legs,
        } = self.0;
        let arm = Arc::clone(&running.arm);
        let ran = complete_exchange(&plan.table, running, reply);
        raw_answer(plan, &arm, proof, legs, ran)
    }

    pub(crate) fn arm(&self) -> &Arm {
        &self.0.running.arm
    }
}
