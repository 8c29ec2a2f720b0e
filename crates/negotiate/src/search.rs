//! The initiator's search for the mechanism that its first token is of.

use std::sync::Arc;
use std::vec;

use tracing::{debug, warn};
use trihound_asn1::spnego::{InitialToken, NegTokenInit, parse_initial};
use trihound_sansio::Reply;
use trihound_sspi::{
    AccessToken, Error as SspiError, InitializeRequest, InitiatorRequirements,
    SecurityFunctionTable, ServicePrincipalName,
};

use crate::context::{Outcome, Refusal, State};
use crate::credential::{Arm, Candidate, NegotiateCredential, usable};
use crate::error::{
    ApiMisuse, Attempt, Error, NegotiationFailed, PeerMisbehaved, PolicyError, sspi_error,
};
use crate::initiator::Negotiation;
use crate::mechanism::{Extras, Initiate, Inner, Ran, Running, complete_exchange};
use crate::policy::{Fallback, NegotiatePolicy};
use crate::proof::MicExchange;
use crate::target::host_is_address;

/// What the caller asked for on the first call, and every mechanism begun is asked for.
pub(crate) struct Plan {
    pub(crate) table: SecurityFunctionTable,
    pub(crate) policy: NegotiatePolicy,
    pub(crate) target: Option<String>,
    pub(crate) requirements: InitiatorRequirements,
    pub(crate) extras: Extras,
    pub(crate) impersonation: Option<Arc<AccessToken>>,
    /// What failed before, and why.
    pub(crate) tried: Vec<Attempt>,
}

/// The search for the first mechanism that has a token to send. Nothing of any is on the wire.
struct Search {
    plan: Plan,
    /// What has not been tried, the preferred first.
    rest: vec::IntoIter<Candidate>,
}

/// Awaits a round trip of the mechanism that is tried; the next one may follow.
pub(crate) struct FirstExchange {
    search: Search,
    running: Running,
}

/// The first call.
pub(crate) fn begin(
    credential: &NegotiateCredential,
    request: &InitializeRequest<'_>,
    table: &SecurityFunctionTable,
    policy: &NegotiatePolicy,
) -> Result<Outcome, Refusal> {
    let candidates = credential.outbound_for(request.impersonation, table)?;
    if candidates.is_empty() {
        return Err(ApiMisuse::OtherDirection {
            direction: "outbound",
            flag: "SECPKG_CRED_OUTBOUND",
        }
        .into());
    }
    // A mechanism that knows the trick refuses such a target (SEC_E_TARGET_UNKNOWN), which must not lead to
    // one that does not.
    if request
        .target_name
        .is_some_and(ServicePrincipalName::carries_target_information)
    {
        return Err(PolicyError::MarshalledTarget.into());
    }
    if let Some(token) = request.input.and_then(|input| input.token()) {
        check_hint(token)?;
    }
    let mut extras = Extras::default();
    extras.update(request.input);
    let mut requirements = request.requirements;
    // RFC 4178 section 5: the mechListMIC needs integrity; SSPI has a flag for those who want neither, and who
    // is nobody has no key to sign with.
    if !requirements
        .intersects(InitiatorRequirements::NO_INTEGRITY | InitiatorRequirements::NULL_SESSION)
    {
        requirements |= InitiatorRequirements::INTEGRITY;
    }
    let search = Search {
        plan: Plan {
            table: table.clone(),
            policy: credential.policy(policy).clone(),
            target: request.target_name.map(str::to_owned),
            requirements,
            extras,
            impersonation: request.impersonation.cloned(),
            tried: Vec::new(),
        },
        rest: Vec::from(candidates.as_ref()).into_iter(),
    };
    search.next(request.fallback_reason)
}

/// An acceptor that speaks first sends its mechanisms (MS-SPNG section 3.2.5.2), which the initiator's
/// caller may hand over. Nobody signed that list, so that it has no say in the choice (conformance row 163);
/// but it has to be one.
fn check_hint(token: &[u8]) -> Result<(), Error> {
    match parse_initial(token)? {
        InitialToken::Init(hint) => {
            debug!(
                "The server says that it has [{}]",
                hint.mech_types.join(", ")
            );
            Ok(())
        }
        // RFC 4178 section 4.2: what an acceptor sends first is a NegTokenInit2 or nothing.
        InitialToken::Mechanism { oid, .. } => Err(PeerMisbehaved::UnknownFirstToken {
            length: token.len(),
            here: format!("SPNEGO was expected, the token is of {oid}"),
        }
        .into()),
    }
}

impl Plan {
    pub(crate) fn initiate<'a>(&'a self, reason: Option<&'a SspiError>) -> Initiate<'a> {
        Initiate {
            table: &self.table,
            target: self.target.as_deref(),
            requirements: self.requirements,
            extras: &self.extras,
            impersonation: self.impersonation.as_ref(),
            reason,
        }
    }

    fn failed(&mut self) -> NegotiationFailed {
        NegotiationFailed {
            tried: core::mem::take(&mut self.tried),
        }
    }

    /// The error of a mechanism that failed when others are out of the question.
    pub(crate) fn fails_with(&mut self, attempt: Attempt) -> Error {
        self.tried.push(attempt);
        self.failed().into()
    }

    /// Why the mechanism cannot serve the target at all, before it is asked.
    fn excluded(&self, arm: &Arm) -> Option<PolicyError> {
        let target = self.target.as_deref()?;
        (arm.mechanism.needs_host_name && host_is_address(target)).then(|| {
            PolicyError::TargetIsAddress {
                package: arm.package().to_owned(),
                target: target.to_owned(),
            }
        })
    }
}

impl Search {
    /// Tries one mechanism after the other, until one has a token or needs a round trip.
    fn next(mut self, outer_reason: Option<&SspiError>) -> Result<Outcome, Refusal> {
        while let Some(candidate) = self.rest.next() {
            let arm = match candidate {
                Candidate::Usable(arm) => arm,
                Candidate::Unusable(attempt) => {
                    let goes_on = self.plan.policy.goes_without(attempt.error.status());
                    self.give_up(attempt, goes_on)?;
                    continue;
                }
            };
            if let Some(excluded) = self.plan.excluded(&arm) {
                let error = sspi_error(excluded);
                let goes_on = self.plan.policy.falls_back(error.status());
                let attempt = Attempt {
                    package: arm.package().to_owned(),
                    error,
                    begun: true,
                };
                self.give_up(attempt, goes_on)?;
                continue;
            }
            let reason = self.plan.tried.last().map(|attempt| &attempt.error);
            let initiate = self.plan.initiate(reason.or(outer_reason));
            match initiate.call(Arc::clone(&arm), None, None) {
                Ok(ran) => return self.ran(ran),
                Err(failure) => self.failed(failure.attempt(&arm))?,
            }
        }
        Err(self.plan.failed().into())
    }

    /// Conformance row 173: the next mechanism follows only here, where no token of the failed one is on
    /// the wire, and only for the reasons that the policy's table has.
    fn failed(&mut self, attempt: Attempt) -> Result<(), Error> {
        let goes_on = self.plan.policy.falls_back(attempt.error.status());
        self.give_up(attempt, goes_on)
    }

    fn give_up(&mut self, attempt: Attempt, goes_on: bool) -> Result<(), Error> {
        let (package, error) = (attempt.package.clone(), attempt.error.clone());
        let begun = attempt.begun;
        self.plan.tried.push(attempt);
        if !goes_on {
            return Err(self.plan.failed().into());
        }
        if begun && usable(self.rest.as_slice()).next().is_some() {
            warn!(%package, %error, "Falling back from {package}: {error}");
        }
        Ok(())
    }

    fn ran(self, ran: Ran) -> Result<Outcome, Refusal> {
        match ran {
            Ran::Exchange(running, request) => {
                let waiting = FirstExchange {
                    search: self,
                    running,
                };
                Ok(Outcome::Exchange(
                    State::FirstExchange(Box::new(waiting)),
                    request,
                ))
            }
            Ran::Spoke(inner, token) => self.offer(inner, token),
        }
    }

    /// Builds the NegTokenInit: what failed is not in its list.
    fn offer(self, inner: Inner, token: Vec<u8>) -> Result<Outcome, Refusal> {
        let mut offered = vec![Arc::clone(inner.arm())];
        if self.plan.policy.fallback() == Fallback::BeforeFirstToken {
            let others =
                usable(self.rest.as_slice()).filter(|arm| self.plan.excluded(arm).is_none());
            offered.extend(others.cloned());
        }
        // MS-SPNG section 3.1.5.2: a mechanism with several identifiers offers them all, its first one
        // first (conformance row 166).
        let oids: Vec<&str> = offered
            .iter()
            .flat_map(|arm| arm.mechanism.oids.iter().map(String::as_str))
            .collect();
        let mut message = NegTokenInit::new(&oids)?;
        message.mech_token = (!token.is_empty()).then_some(token);
        debug!(
            package = inner.arm().package(),
            "Offering [{}], with a token of {}",
            oids.join(", "),
            inner.arm().package()
        );
        let mut negotiation = Negotiation {
            mech_types: message.mech_types_der.clone(),
            preferred: inner.arm().package().to_owned(),
            plan: self.plan,
            offered,
            mic: MicExchange::default(),
            legs: 0,
        };
        if let Inner::Done(done) = &inner {
            // RFC 4178 section 4.2.1: a mechanism of one token may send the MIC along with it.
            negotiation.mic.learn(done);
            message.mech_list_mic = negotiation.mic_if_due(done)?;
        }
        let token = message.to_token()?;
        Ok(negotiation.wait(inner, true, token))
    }
}

impl FirstExchange {
    /// Goes on after the round trip, or falls back where it failed and nothing is on the wire.
    pub(crate) fn step(self, reply: Reply<'_>) -> Result<Outcome, Refusal> {
        let Self {
            mut search,
            running,
        } = self;
        let arm = Arc::clone(&running.arm);
        match complete_exchange(&search.plan.table, running, reply) {
            Ok(ran) => search.ran(ran),
            Err(failure) => {
                search.failed(failure.attempt(&arm))?;
                search.next(None)
            }
        }
    }

    pub(crate) fn arm(&self) -> &Arm {
        &self.running.arm
    }

    pub(crate) fn target(&self) -> Option<&str> {
        self.search.plan.target.as_deref()
    }
}
