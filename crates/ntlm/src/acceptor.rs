//! The acceptor's handshake.

use core::fmt;
use std::sync::Arc;

use tracing::debug;
use trihound_sansio::{Progress, Reply};
use trihound_sspi::{AcceptRequest, AcceptorRequirements};

use crate::answer::Answer;
use crate::attributes::{
    check_protection, chosen_by_acceptor, offered_by_acceptor, wanted_by_acceptor,
};
use crate::checks::BindingDemand;
use crate::config::NtlmConfig;
use crate::context::{Outcome, State, due};
use crate::credential::NtlmCredential;
use crate::error::{Error, PeerMisbehaved, PolicyError, TokenError, sspi_error};
use crate::event::{self, Direction, NtlmOutcome, NtlmUse};
use crate::initiator::{bindings_hash, kind};
use crate::message::{
    ChallengeMessage, FileTime, MessageError, NegotiateMessage, NtResponse, text,
};
use crate::policy::{NtlmPolicy, Verdict};
use crate::verifier::{NtlmLogon, NtlmVerifier, Verification, VerifiedAccount};
use crate::{AvId, NegotiateFlags, TargetInfoBuilder};

/// What an acceptor works with, from its first call to its last.
pub(crate) struct Plan {
    pub(crate) verifier: Arc<dyn NtlmVerifier>,
    pub(crate) config: Arc<NtlmConfig>,
    pub(crate) policy: Arc<NtlmPolicy>,
    /// Whether each use is a warning.
    pub(crate) audited: bool,
    pub(crate) requirements: AcceptorRequirements,
    pub(crate) bindings: BindingDemand,
    /// The NEGOTIATE message as received; empty for a datagram context, which has none.
    pub(crate) negotiate: Vec<u8>,
    /// The CHALLENGE message as sent.
    pub(crate) challenge: Vec<u8>,
    /// Drawn for this context alone (conformance row 155).
    pub(crate) server_challenge: [u8; 8],
    /// The flags of the CHALLENGE message.
    pub(crate) offered: NegotiateFlags,
    /// Its TargetInfo.
    pub(crate) target_info: Vec<u8>,
}

/// Awaits the AUTHENTICATE message.
pub(crate) struct ExpectAuthenticate {
    plan: Plan,
}

/// Awaits whoever verifies the response.
pub(crate) struct ExpectVerifier {
    plan: Plan,
    /// The AUTHENTICATE message as received.
    authenticate: Vec<u8>,
    verification: Verification,
}

impl fmt::Debug for ExpectAuthenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectAuthenticate")
            .field("offered", &self.plan.offered)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ExpectVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectVerifier")
            .field("offered", &self.plan.offered)
            .finish_non_exhaustive()
    }
}

/// The first call.
pub(crate) fn begin(
    credential: &NtlmCredential,
    request: &AcceptRequest<'_>,
    config: &Arc<NtlmConfig>,
) -> Result<Outcome, trihound_sspi::Error> {
    let inbound = credential.inbound().map_err(sspi_error)?;
    let policy = credential.policy(&config.policy);
    let verdict = ask_policy(policy, config).map_err(sspi_error)?;
    let requirements = request.requirements.normalized();
    let bindings = binding_demand(bindings_hash(request.input)?, requirements);
    let token = request.input.and_then(|input| input.token());
    let (negotiate, asked) = if requirements.contains(AcceptorRequirements::DATAGRAM) {
        no_negotiate(token).map_err(sspi_error)?;
        (Vec::new(), None)
    } else {
        let bytes = due(token, "NEGOTIATE").map_err(sspi_error)?;
        let asked = read_negotiate(bytes, requirements).map_err(sspi_error)?;
        (bytes.to_vec(), Some(asked))
    };
    let mut server_challenge = [0; 8];
    config.random.fill(&mut server_challenge)?;
    let plan = Plan {
        verifier: Arc::clone(&inbound.verifier),
        config: Arc::clone(config),
        policy: Arc::clone(policy),
        audited: verdict == Verdict::Audit,
        requirements,
        bindings,
        negotiate,
        challenge: Vec::new(),
        server_challenge,
        offered: NegotiateFlags::empty(),
        target_info: Vec::new(),
    };
    plan.challenge(asked).map_err(sspi_error)
}

/// Asks the policy. What it allows is told when the client is known, what it denies at once.
fn ask_policy(policy: &NtlmPolicy, config: &NtlmConfig) -> Result<Verdict, PolicyError> {
    let verdict = policy.incoming.judge(None);
    // MS-NLMP section 3.2.5.1.2: ServerBlock (conformance row 160).
    if verdict == Verdict::Deny {
        let denied = NtlmUse::new(Direction::Incoming, NtlmOutcome::Denied);
        event::tell(config.observer.as_deref(), &denied);
        return Err(PolicyError::Denied {
            direction: "incoming",
            target: None,
        });
    }
    Ok(verdict)
}

fn binding_demand(hash: Option<[u8; 16]>, requirements: AcceptorRequirements) -> BindingDemand {
    match hash {
        _ if requirements.contains(AcceptorRequirements::PROXY_BINDINGS) => BindingDemand::Proxy,
        Some(hash) => BindingDemand::Channel(hash),
        None => BindingDemand::NoChannel,
    }
}

fn no_negotiate(token: Option<&[u8]>) -> Result<(), TokenError> {
    match token {
        // MS-NLMP section 3.2.5.2.1: a connectionless handshake has no NEGOTIATE message.
        Some(token) => Err(TokenError::BeforeChallenge {
            length: token.len(),
        }),
        None => Ok(()),
    }
}

/// The flags of a NEGOTIATE message with which one can go on.
fn read_negotiate(
    bytes: &[u8],
    requirements: AcceptorRequirements,
) -> Result<NegotiateFlags, Error> {
    let message = "NEGOTIATE";
    let asked = NegotiateMessage::parse(bytes)?.flags;
    // MS-NLMP section 3.2.5.1.1: without either there is no text.
    if !asked.intersects(NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::NEGOTIATE_OEM) {
        return Err(PeerMisbehaved::NoCharacterSet { message }.into());
    }
    // MS-NLMP section 2.2.2.5, flag F: a connectionless client sends no NEGOTIATE message.
    if asked.contains(NegotiateFlags::NEGOTIATE_DATAGRAM) {
        return Err(PeerMisbehaved::OtherKindOfContext {
            message,
            found: kind(asked),
        }
        .into());
    }
    check_protection(wanted_by_acceptor(requirements), asked, message)?;
    Ok(asked)
}

impl Plan {
    /// Makes the CHALLENGE message (MS-NLMP section 3.2.5.1.1).
    fn challenge(mut self, asked: Option<NegotiateFlags>) -> Result<Outcome, Error> {
        let mut flags = asked.map_or_else(offered_by_acceptor, chosen_by_acceptor);
        let target_type = if self.config.names.in_domain {
            NegotiateFlags::TARGET_TYPE_DOMAIN
        } else {
            NegotiateFlags::TARGET_TYPE_SERVER
        };
        let wants_target = flags.contains(NegotiateFlags::REQUEST_TARGET);
        flags.set(target_type, wants_target);
        let wants_version =
            asked.is_none_or(|asked| asked.contains(NegotiateFlags::NEGOTIATE_VERSION));
        flags.set(NegotiateFlags::NEGOTIATE_VERSION, wants_version);
        let target_name = if wants_target {
            self.target_name(flags)?
        } else {
            Vec::new()
        };
        self.target_info = self.target_info()?;
        self.offered = flags;
        self.challenge = ChallengeMessage {
            flags,
            server_challenge: self.server_challenge,
            target_name: &target_name,
            target_info: Some(&self.target_info),
            version: wants_version.then_some(self.config.version),
        }
        .to_bytes()?;
        let token = self.challenge.clone();
        let waiting = Box::new(ExpectAuthenticate { plan: self });
        Ok(Outcome::Token(
            State::ExpectAuthenticate(waiting),
            Some(token),
        ))
    }

    fn target_name(&self, flags: NegotiateFlags) -> Result<Vec<u8>, MessageError> {
        text::encode(flags, self.config.names.target())
    }

    fn target_info(&self) -> Result<Vec<u8>, MessageError> {
        let names = &self.config.names;
        let mut pairs = TargetInfoBuilder::new();
        pairs.push_text(AvId::NB_DOMAIN_NAME, &names.netbios_domain)?;
        pairs.push_text(AvId::NB_COMPUTER_NAME, &names.netbios_computer)?;
        for (id, name) in [
            (AvId::DNS_DOMAIN_NAME, &names.dns_domain),
            (AvId::DNS_COMPUTER_NAME, &names.dns_computer),
            (AvId::DNS_TREE_NAME, &names.dns_tree),
        ] {
            if let Some(name) = name {
                pairs.push_text(id, name)?;
            }
        }
        let now = FileTime::from(self.config.clock.now());
        pairs.push(AvId::TIMESTAMP, &now.to_bytes())?;
        Ok(pairs.finish())
    }

    /// Tells how the use ended.
    pub(crate) fn tell(&self, mut use_of_it: NtlmUse, refusal: Option<&trihound_sspi::Error>) {
        use_of_it.outcome = match (refusal, self.audited) {
            (Some(_), _) => NtlmOutcome::Refused,
            (None, true) => NtlmOutcome::Audited,
            (None, false) => NtlmOutcome::Allowed,
        };
        use_of_it.refusal = refusal.map(|error| error.text().to_owned());
        event::tell(self.config.observer.as_deref(), &use_of_it);
    }

    /// Tells that a client was refused, and why.
    fn refuse(&self, use_of_it: NtlmUse, error: trihound_sspi::Error) -> trihound_sspi::Error {
        debug!(%error, "Refused the client: {error}");
        self.tell(use_of_it, Some(&error));
        error
    }

    /// All that follows once a verifier has said whose the response is.
    fn conclude(
        &self,
        answer: &Answer<'_>,
        bytes: &[u8],
        account: VerifiedAccount,
    ) -> Result<Outcome, trihound_sspi::Error> {
        let mut use_of_it = answer.use_of_it();
        match self.check(answer, bytes, account, &mut use_of_it) {
            Ok(session) => {
                use_of_it.user.clone_from(&session.facts.user);
                use_of_it.domain.clone_from(&session.facts.domain);
                self.tell(use_of_it, None);
                Ok(Outcome::Token(State::Established(Box::new(session)), None))
            }
            Err(error) => Err(self.refuse(use_of_it, error)),
        }
    }
}

impl ExpectAuthenticate {
    /// Takes the AUTHENTICATE message.
    pub(crate) fn step(
        mut self,
        request: &AcceptRequest<'_>,
    ) -> Result<Outcome, trihound_sspi::Error> {
        if let Some(hash) = bindings_hash(request.input)? {
            self.plan.bindings = binding_demand(Some(hash), self.plan.requirements);
        }
        let token = request.input.and_then(|input| input.token());
        let bytes = due(token, "AUTHENTICATE").map_err(sspi_error)?;
        let answer = match Answer::parse(bytes) {
            Ok(answer) => answer,
            Err(error) => {
                let unknown = NtlmUse::new(Direction::Incoming, NtlmOutcome::Refused);
                return Err(self.plan.refuse(unknown, sspi_error(error)));
            }
        };
        let mut verification = match self.begin_verification(&answer) {
            Ok(Some(verification)) => verification,
            Ok(None) => return self.plan.let_nobody_in(&answer),
            Err(error) => return Err(self.plan.refuse(answer.use_of_it(), sspi_error(error))),
        };
        match verification.step(None) {
            Ok(Progress::Exchange(request)) => {
                let waiting = Box::new(ExpectVerifier {
                    plan: self.plan,
                    authenticate: bytes.to_vec(),
                    verification,
                });
                Ok(Outcome::Exchange(State::ExpectVerifier(waiting), request))
            }
            Ok(Progress::Done(account)) => self.plan.conclude(&answer, bytes, account),
            Err(failure) => Err(self.plan.refuse(answer.use_of_it(), sspi_error(failure))),
        }
    }

    /// The verification of the response; `None` for an anonymous client.
    fn begin_verification(&self, answer: &Answer<'_>) -> Result<Option<Verification>, Error> {
        if answer.is_anonymous()? {
            return Ok(None);
        }
        let plan = &self.plan;
        let ntlm_v1 = match NtResponse::parse(answer.message.nt_response)? {
            NtResponse::V2(_) => None,
            NtResponse::V1(_) if plan.policy.accept_v1 => Some(
                plan.offered
                    .contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY),
            ),
            // MS-NLMP section 3.1.1.1, conformance row 38: only NTLMv2.
            NtResponse::V1(_) => return Err(PolicyError::OldResponse { found: "NTLMv1" }.into()),
            NtResponse::Absent => return Err(PolicyError::OldResponse { found: "LM only" }.into()),
        };
        Ok(Some(plan.verifier.verify(NtlmLogon {
            user: answer.user.clone(),
            domain: answer.domain.clone(),
            workstation: answer.workstation.clone(),
            domain_is_own: plan.config.names.is_own(&answer.domain),
            server_challenge: plan.server_challenge,
            nt_response: answer.message.nt_response.to_vec(),
            lm_response: answer.message.lm_response.to_vec(),
            ntlm_v1,
        })))
    }
}

impl ExpectVerifier {
    /// Goes on with the verification; with the account, to the end.
    pub(crate) fn step(
        mut self: Box<Self>,
        reply: Reply<'_>,
    ) -> Result<Outcome, trihound_sspi::Error> {
        let verified = match self.verification.step(Some(reply)) {
            Ok(Progress::Exchange(request)) => {
                return Ok(Outcome::Exchange(State::ExpectVerifier(self), request));
            }
            Ok(Progress::Done(account)) => Ok(account),
            Err(failure) => Err(sspi_error(failure)),
        };
        let answer = Answer::parse(&self.authenticate).map_err(sspi_error)?;
        match verified {
            Ok(account) => self.plan.conclude(&answer, &self.authenticate, account),
            Err(error) => Err(self.plan.refuse(answer.use_of_it(), error)),
        }
    }
}
