//! The acceptor's first token: SPNEGO's with its choice of a mechanism, or a mechanism's own.

use std::sync::Arc;

use tracing::debug;
use trihound_asn1::KerberosString;
use trihound_asn1::spnego::{self, HINT_NAME, InitialToken, NegHints, NegTokenInit};
use trihound_sspi::{
    AcceptRequest, AcceptorRequirements, BufferType, Error as SspiError, SecBufferDesc,
    SecurityFunctionTable,
};

use crate::acceptor::{Negotiation, reject};
use crate::context::{Outcome, Refusal, State};
use crate::credential::{Candidate, NegotiateCredential, usable};
use crate::error::{ApiMisuse, Error, PeerMisbehaved, PolicyError};
use crate::initiator::token_and_mic;
use crate::mechanism::{Accept, Extras, Room};
use crate::negoex::Conversation;
use crate::policy::NegotiatePolicy;
use crate::proof::{MicExchange, why};

/// What SPNEGO adds to the mechanism's token in a NegTokenResp at most, in bytes, unless its signatures
/// are uncommonly long: framing, negState, supportedMech, mechListMIC.
pub(crate) const REPLY_OVERHEAD: usize = 256;

/// What the caller asked for on the first call, and the mechanism that is chosen is asked for.
pub(crate) struct Plan {
    pub(crate) table: SecurityFunctionTable,
    pub(crate) policy: NegotiatePolicy,
    pub(crate) requirements: AcceptorRequirements,
    pub(crate) extras: Extras,
    pub(crate) candidates: Arc<[Candidate]>,
}

/// Awaits the initiator's NegTokenInit, after a NegTokenInit2 of ours.
pub(crate) struct ExpectInit {
    plan: Plan,
}

/// The first call.
pub(crate) fn begin(
    credential: &NegotiateCredential,
    request: &AcceptRequest<'_>,
    table: &SecurityFunctionTable,
    policy: &NegotiatePolicy,
    output: &SecBufferDesc<'_, '_>,
) -> Result<Outcome, Refusal> {
    let candidates = credential.lists().inbound;
    if candidates.is_empty() {
        return Err(ApiMisuse::OtherDirection {
            direction: "inbound",
            flag: "SECPKG_CRED_INBOUND",
        }
        .into());
    }
    let mut plan = Plan {
        table: table.clone(),
        policy: credential.policy(policy).clone(),
        requirements: request.requirements,
        extras: Extras::default(),
        candidates,
    };
    plan.extras.update(request.input);
    match request.input.and_then(|input| input.token()) {
        // RFC 4178 appendix, MS-SPNG section 3.3.5.1: an acceptor may speak first.
        None => plan.hint(),
        Some(token) => plan.first(token, Some(output)),
    }
}

/// The first call of a context makes no handle when it fails, so that a token which does not fit cannot
/// be kept for a second call. Where the caller's buffer is bounded, so is the mechanism's: it says that
/// its answer does not fit before it uses the peer's token up, and the same call with a larger buffer
/// succeeds.
pub(crate) fn room(output: Option<&SecBufferDesc<'_, '_>>) -> Result<Room, SspiError> {
    let Some(output) = output else {
        return Ok(Room::Any);
    };
    let given = match output.find(BufferType::TOKEN) {
        Some(buffer) if buffer.is_allocate() => return Ok(Room::Any),
        Some(buffer) => buffer.capacity(),
        None => 0,
    };
    match given.checked_sub(REPLY_OVERHEAD) {
        Some(left) => Ok(Room::Bytes(left)),
        None => Err(SspiError::buffer_too_small(
            "output TOKEN",
            REPLY_OVERHEAD,
            given,
        )),
    }
}

impl Plan {
    /// NegTokenInit2 with hints that mean nothing (MS-SPNG section 2.2.1).
    fn hint(self) -> Result<Outcome, Refusal> {
        let oids: Vec<&str> = usable(&self.candidates)
            .flat_map(|arm| arm.mechanism.oids.iter().map(String::as_str))
            .collect();
        let mut message = NegTokenInit::new(&oids)?;
        message.hints = Some(NegHints {
            hint_name: Some(KerberosString::from(HINT_NAME)),
            hint_address: None,
        });
        let token = message.to_token()?;
        let waiting = ExpectInit { plan: self };
        Ok(Outcome::Token(
            State::ExpectInit(Box::new(waiting)),
            Some(token),
        ))
    }

    /// The initiator's first token. `output` is given on the context's first call.
    fn first(
        self,
        token: &[u8],
        output: Option<&SecBufferDesc<'_, '_>>,
    ) -> Result<Outcome, Refusal> {
        if spnego::is_spnego(token)
            && let InitialToken::Init(message) = spnego::parse_initial(token)?
        {
            return self.choose(message, output);
        }
        self.raw(token, output)
    }

    /// What is to be had here, and why the rest is not.
    pub(crate) fn here(&self) -> String {
        let words: Vec<String> = self
            .candidates
            .iter()
            .map(|candidate| match candidate {
                Candidate::Usable(arm) => format!("{} is", arm.package()),
                Candidate::Unusable(attempt) => {
                    format!("{} is not: {}", attempt.package, attempt.error)
                }
            })
            .collect();
        words.join("; ")
    }

    pub(crate) fn accept(&self, room: Room) -> Accept<'_> {
        Accept {
            table: &self.table,
            requirements: self.requirements,
            extras: &self.extras,
            room,
        }
    }

    /// Picks the first of the initiator's mechanisms that is here.
    fn choose(
        self,
        message: NegTokenInit,
        output: Option<&SecBufferDesc<'_, '_>>,
    ) -> Result<Outcome, Refusal> {
        let room = room(output).map_err(too_small)?;
        decline_negoex(&message)?;
        let find = |oid: &String| usable(&self.candidates).find(|arm| arm.has_oid(oid));
        let choice = message
            .mech_types
            .iter()
            .find_map(|oid| find(oid).map(|arm| (oid.clone(), Arc::clone(arm))));
        // RFC 4178 section 4.2.2: without a mechanism in common, reject (conformance row 31).
        let Some((oid, arm)) = choice else {
            let error = PolicyError::NoCommonMechanism {
                offered: message.mech_types.join(", "),
                here: self.here(),
            };
            return Err(Refusal::with_token(error, reject(None, None)?));
        };
        let first = message.mech_types.first().cloned().unwrap_or_default();
        let mut negotiation = Negotiation {
            mech_types: message.mech_types_der,
            preferred: first.clone(),
            supported_mech: Some(oid),
            mic: MicExchange::default(),
            legs: 1,
            plan: self,
            arm: Arc::clone(&arm),
        };
        // RFC 4178 section 4.2.2: request-mic where the choice is not the initiator's first (conformance
        // row 167), and section 5: or not the acceptor's own. Two identifiers of one mechanism are one.
        if !arm.has_oid(&first) {
            negotiation.mic.reselect();
        } else if !negotiation.is_most_preferred() {
            negotiation.mic.require(why::LESS_PREFERRED);
        }
        let optimistic = arm.has_oid(&first);
        let (token, mic) = token_and_mic(message.mech_token, message.mech_list_mic);
        match token.filter(|_| optimistic) {
            Some(token) => {
                let ran = negotiation.plan.accept(room).call(arm, None, Some(&token));
                negotiation.take(ran, mic)
            }
            // RFC 4178 section 4.1: a token of another mechanism than the chosen one is dropped
            // (conformance row 165), and its MIC with it.
            None => negotiation.ask(),
        }
    }
}

/// The caller's own buffer is too small; nothing was used up.
pub(crate) fn too_small(error: SspiError) -> Refusal {
    Error::Mechanism {
        package: crate::Negotiate::NAME.to_owned(),
        task: "answer within the caller's buffer",
        source: error,
    }
    .into()
}

/// NegoEx in the list is read, so that a broken message is told from a declined one, and never chosen
/// (MS-NEGOEX section 2.2).
fn decline_negoex(message: &NegTokenInit) -> Result<(), Error> {
    let leads = message.mech_types.first().map(String::as_str) == Some(spnego::NEGOEX);
    match &message.mech_token {
        Some(token) if leads && !token.is_empty() => {
            Conversation::default().read(token)?;
            debug!("The client offers NEGOEX, which is declined");
            Ok(())
        }
        _ => Ok(()),
    }
}

impl ExpectInit {
    /// Takes the initiator's NegTokenInit.
    pub(crate) fn step(
        mut self,
        token: Option<&[u8]>,
        request: &AcceptRequest<'_>,
    ) -> Result<Outcome, Refusal> {
        self.plan.extras.update(request.input);
        // RFC 2743 section 2.2: the acceptor has spoken, so a token is due now (conformance row 119).
        let token = token.ok_or(PeerMisbehaved::MissingToken {
            expected: "NegTokenInit",
        })?;
        self.plan.first(token, None)
    }
}
