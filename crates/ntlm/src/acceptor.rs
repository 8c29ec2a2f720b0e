//! The acceptor's handshake.

use core::fmt;
use std::sync::Arc;

use tracing::debug;
use trihound_sansio::{Progress, Reply, Timestamp};
use trihound_secret::SecretArray;
use trihound_sspi::{AcceptRequest, AcceptorRequirements, EstablishedAttributes};

use crate::attributes::{
    PROTECTION, acceptor_attributes, check_protection, chosen_by_acceptor, offered_by_acceptor,
    wanted_by_acceptor,
};
use crate::checks::{
    BindingDemand, ChannelBindingsChecked, FlagsChecked, Messages, MicProof, ResponseVerified,
    ServerNameChecked, TargetNameChecked, TimeChecked, UnprovenAllowed, check_channel_bindings,
    check_flags, check_mic, check_server_name, check_target_name, check_time, promises_mic,
    without_mic,
};
use crate::compute::{self, SessionKey};
use crate::config::NtlmConfig;
use crate::context::{Outcome, State, due};
use crate::credential::NtlmCredential;
use crate::error::{Error, PeerMisbehaved, PolicyError, TokenError, sspi_error};
use crate::established::{AcceptorProofs, Facts, OldProofs, Proofs, Session, Standing};
use crate::event::{self, Direction, NtlmOutcome, NtlmUse};
use crate::initiator::{bindings_hash, kind};
use crate::message::{
    AuthenticateMessage, ChallengeMessage, FileTime, MessageError, NegotiateMessage, NtResponse,
    NtlmV2Response, text,
};
use crate::policy::{NtlmPolicy, Verdict};
use crate::verifier::{NtlmLogon, NtlmVerifier, Verification, VerifiedAccount};
use crate::{AvId, NegotiateFlags, TargetInfo, TargetInfoBuilder, danger};

/// What an acceptor works with, from its first call to its last.
struct Plan {
    verifier: Arc<dyn NtlmVerifier>,
    config: Arc<NtlmConfig>,
    policy: Arc<NtlmPolicy>,
    /// Whether each use is a warning.
    audited: bool,
    requirements: AcceptorRequirements,
    bindings: BindingDemand,
    /// The NEGOTIATE message as received; empty for a datagram context, which has none.
    negotiate: Vec<u8>,
    /// The CHALLENGE message as sent.
    challenge: Vec<u8>,
    /// Drawn for this context alone (conformance row 155).
    server_challenge: [u8; 8],
    /// The flags of the CHALLENGE message.
    offered: NegotiateFlags,
    /// Its TargetInfo.
    target_info: Vec<u8>,
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
        let version = self.config.version.filter(|_| {
            asked.is_none_or(|asked| asked.contains(NegotiateFlags::NEGOTIATE_VERSION))
        });
        flags.set(NegotiateFlags::NEGOTIATE_VERSION, version.is_some());
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
            version,
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
    fn tell(&self, mut use_of_it: NtlmUse, refusal: Option<&trihound_sspi::Error>) {
        use_of_it.outcome = match (refusal, self.audited) {
            (Some(_), _) => NtlmOutcome::Refused,
            (None, true) => NtlmOutcome::Audited,
            (None, false) => NtlmOutcome::Allowed,
        };
        use_of_it.refusal = refusal.map(|error| error.text().to_owned());
        event::tell(self.config.observer.as_deref(), &use_of_it);
    }
}

/// The AUTHENTICATE message with its texts.
struct Answer<'a> {
    message: AuthenticateMessage<'a>,
    user: String,
    domain: String,
    workstation: String,
}

impl<'a> Answer<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let message = AuthenticateMessage::parse(bytes)?;
        // MS-NLMP section 2.2.2.5, flags A and B: without either there is no text.
        if !message
            .flags
            .intersects(NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::NEGOTIATE_OEM)
        {
            return Err(PeerMisbehaved::NoCharacterSet {
                message: "AUTHENTICATE",
            }
            .into());
        }
        Ok(Self {
            user: message.user_text()?,
            domain: message.domain_text()?,
            workstation: message.workstation_text()?,
            message,
        })
    }

    /// Whether the client says that it is nobody (MS-NLMP section 3.2.5.1.2).
    fn is_anonymous(&self) -> Result<bool, PeerMisbehaved> {
        let message = &self.message;
        let no_name = self.user.is_empty();
        let no_response = message.nt_response.is_empty() && matches!(message.lm_response, [] | [0]);
        let half = |found| Err(PeerMisbehaved::HalfAnonymous { found });
        // MS-NLMP section 3.2.5.1.2: an anonymous client has neither name nor response.
        match (no_name, no_response) {
            (true, true) => Ok(true),
            (true, false) => half("there is a response and no user name"),
            (false, true) => half("there is a user name and no response"),
            (false, false) if message.flags.contains(NegotiateFlags::ANONYMOUS) => {
                half("the ANONYMOUS flag is set beside a user name")
            }
            (false, false) => Ok(false),
        }
    }

    fn use_of_it(&self) -> NtlmUse {
        let mut event = NtlmUse::new(Direction::Incoming, NtlmOutcome::Allowed);
        event.user.clone_from(&self.user);
        event.domain.clone_from(&self.domain);
        event.workstation = Some(self.workstation.clone()).filter(|name| !name.is_empty());
        event
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
        let answer = Answer::parse(bytes).map_err(sspi_error)?;
        let begun = self.begin_verification(&answer);
        match begun {
            Ok(Some(verification)) => Box::new(ExpectVerifier {
                plan: self.plan,
                authenticate: bytes.to_vec(),
                verification,
            })
            .step(None),
            Ok(None) => self.plan.let_nobody_in(&answer),
            Err(error) => {
                let error = sspi_error(error);
                self.plan.tell(answer.use_of_it(), Some(&error));
                Err(error)
            }
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
        reply: Option<Reply<'_>>,
    ) -> Result<Outcome, trihound_sspi::Error> {
        let account = match self.verification.step(reply) {
            Ok(Progress::Exchange(request)) => {
                return Ok(Outcome::Exchange(State::ExpectVerifier(self), request));
            }
            Ok(Progress::Done(account)) => Ok(account),
            Err(failure) => Err(sspi_error(failure)),
        };
        let Self {
            plan, authenticate, ..
        } = *self;
        let answer = Answer::parse(&authenticate).map_err(sspi_error)?;
        let mut use_of_it = answer.use_of_it();
        let session = account.and_then(|account| {
            let user = account.user.clone();
            let outcome = plan.check(&answer, &authenticate, account, &mut use_of_it);
            if outcome.is_ok() {
                use_of_it.user = user;
            }
            outcome
        });
        plan.tell(use_of_it, session.as_ref().err());
        let session = session.inspect_err(|error| debug!(%error, "Refused the client: {error}"))?;
        Ok(Outcome::Token(State::Established(Box::new(session)), None))
    }
}

impl Plan {
    /// All that is checked once the response is known to be right.
    fn check(
        &self,
        answer: &Answer<'_>,
        bytes: &[u8],
        account: VerifiedAccount,
        use_of_it: &mut NtlmUse,
    ) -> Result<Session, trihound_sspi::Error> {
        let Some((verified, base)) = ResponseVerified::by_verifier(&account) else {
            return self.let_guest_in(answer, account);
        };
        let messages = Messages {
            negotiate: &self.negotiate,
            challenge: &self.challenge,
            authenticate: bytes,
        };
        match NtResponse::parse(answer.message.nt_response).map_err(sspi_error)? {
            NtResponse::V2(response) => {
                self.note(&response.av_pairs, use_of_it);
                let checked = self.check_response(&response).map_err(sspi_error)?;
                let (exported, flags, negotiated) =
                    self.check_message(answer, base).map_err(sspi_error)?;
                let mic = self
                    .check_mic(messages, answer, &response, &exported, negotiated)
                    .map_err(sspi_error)?;
                let has_mic = matches!(mic, MicProof::Verified(_));
                let proofs = AcceptorProofs {
                    response: verified,
                    bindings: checked.bindings,
                    target: checked.target,
                    server: checked.server,
                    time: checked.time,
                    flags,
                    mic,
                };
                let mut facts = self.facts(answer, negotiated, checked.bindings_missing, false);
                facts.mic = has_mic;
                facts.target.clone_from(&use_of_it.target);
                facts.name(account);
                let standing = Standing::Proven(exported, Proofs::Acceptor(proofs));
                Session::new(facts, standing)
            }
            NtResponse::V1(_) | NtResponse::Absent => {
                let key = self.old_key(answer, base);
                let (exported, flags, negotiated) =
                    self.check_message(answer, &key).map_err(sspi_error)?;
                let mut facts = self.facts(answer, negotiated, true, false);
                facts.name(account);
                let proofs = OldProofs {
                    response: verified,
                    flags,
                };
                Session::new(
                    facts,
                    Standing::Proven(exported, Proofs::OldAcceptor(proofs)),
                )
            }
        }
    }

    /// What the response says besides the proof, for whoever is told of the use.
    fn note(&self, pairs: &TargetInfo<'_>, use_of_it: &mut NtlmUse) {
        use_of_it.target = pairs
            .target_name()
            .ok()
            .flatten()
            .filter(|name| !name.is_empty());
        // Conformance row 159: it tells, and decides nothing.
        use_of_it.same_host = self.config.machine_id.is_some()
            && pairs.single_host().map(|host| host.machine_id) == self.config.machine_id;
    }

    /// The pairs in the response, which the proof covers (conformance row 33).
    fn check_response(&self, response: &NtlmV2Response<'_>) -> Result<ResponseChecked, Error> {
        let policy = &self.policy;
        let pairs = &response.av_pairs;
        let (bindings, bindings_missing) =
            check_channel_bindings(self.bindings, policy.channel_bindings, pairs)?;
        Ok(ResponseChecked {
            bindings,
            bindings_missing,
            target: check_target_name(&self.config.target_names, policy.target_name, pairs)?,
            server: check_server_name(&self.config.names.netbios_computer, pairs)?,
            time: check_time(self.config.clock.now(), policy.max_age, response.timestamp)?,
        })
    }

    /// The flags of the message, and the key that they lead to (conformance rows 147, 148 and 154).
    fn check_message(
        &self,
        answer: &Answer<'_>,
        key_exchange_key: &SessionKey,
    ) -> Result<(SessionKey, FlagsChecked, NegotiateFlags), Error> {
        let (checked, negotiated) = check_flags(self.offered, answer.message.flags)?;
        let wanted = wanted_by_acceptor(self.requirements);
        check_protection(wanted, negotiated, "AUTHENTICATE")?;
        let exported = exported_key(&answer.message, negotiated, key_exchange_key)?;
        Ok((exported, checked, negotiated))
    }

    fn check_mic(
        &self,
        messages: Messages<'_>,
        answer: &Answer<'_>,
        response: &NtlmV2Response<'_>,
        exported: &SessionKey,
        negotiated: NegotiateFlags,
    ) -> Result<MicProof, Error> {
        let promised = promises_mic(response);
        match check_mic(messages, &answer.message, promised, exported)? {
            Some(verified) => Ok(MicProof::Verified(verified)),
            None => {
                let protected = negotiated.intersects(PROTECTION);
                Ok(MicProof::NotPromised(without_mic(
                    self.policy.mic,
                    protected,
                )?))
            }
        }
    }

    /// KXKEY of NTLMv1 (MS-NLMP section 3.4.5.1).
    fn old_key(&self, answer: &Answer<'_>, base: &SessionKey) -> SessionKey {
        let key = <&[u8; 24]>::try_from(answer.message.lm_response)
            .ok()
            .and_then(|lm_response| {
                danger::kxkey_v1(
                    self.offered,
                    base,
                    None,
                    lm_response,
                    &self.server_challenge,
                )
            });
        key.unwrap_or_else(|| SecretArray::from(*base.expose()))
    }

    /// A guest, who has no key (conformance row 158).
    fn let_guest_in(
        &self,
        answer: &Answer<'_>,
        account: VerifiedAccount,
    ) -> Result<Session, trihound_sspi::Error> {
        let allowed = UnprovenAllowed::guest(&answer.user, &self.policy).map_err(sspi_error)?;
        let mut session = self.without_key(answer, allowed)?;
        session.facts.guest = true;
        session.facts.name(account);
        Ok(session)
    }

    /// An anonymous client (conformance row 39).
    fn let_nobody_in(self, answer: &Answer<'_>) -> Result<Outcome, trihound_sspi::Error> {
        let asked = self
            .requirements
            .contains(AcceptorRequirements::ALLOW_NULL_SESSION);
        let session = UnprovenAllowed::anonymous(asked)
            .map_err(sspi_error)
            .and_then(|allowed| self.without_key(answer, allowed));
        self.tell(answer.use_of_it(), session.as_ref().err());
        Ok(Outcome::Token(State::Established(Box::new(session?)), None))
    }

    /// A session that has no key, and so neither signs nor seals.
    fn without_key(
        &self,
        answer: &Answer<'_>,
        allowed: UnprovenAllowed,
    ) -> Result<Session, trihound_sspi::Error> {
        let (checked, negotiated) =
            check_flags(self.offered, answer.message.flags).map_err(sspi_error)?;
        let unprotected = negotiated - PROTECTION;
        check_protection(
            wanted_by_acceptor(self.requirements),
            unprotected,
            "AUTHENTICATE",
        )
        .map_err(sspi_error)?;
        let mut facts = self.facts(answer, unprotected, true, answer.user.is_empty());
        facts.user.clear();
        facts.domain.clear();
        Session::new(facts, Standing::Unproven(allowed, checked))
    }

    fn facts(
        &self,
        answer: &Answer<'_>,
        negotiated: NegotiateFlags,
        bindings_missing: bool,
        anonymous: bool,
    ) -> Facts {
        // The caller is told of missing bindings where there was a channel to bind to.
        let missing = bindings_missing && !matches!(self.bindings, BindingDemand::NoChannel);
        let mut flags = negotiated;
        // A wish of the client's, which the CHALLENGE message repeated.
        flags |= self.offered & answer.message.flags & NegotiateFlags::NEGOTIATE_IDENTIFY;
        let attributes = acceptor_attributes(flags, self.requirements, anonymous, missing);
        Facts {
            user: answer.user.clone(),
            domain: answer.domain.clone(),
            target: None,
            server: self.config.names.target().to_owned(),
            start: self.now(),
            flags,
            attributes: EstablishedAttributes::Acceptor(attributes),
            mic: false,
            target_info: self.target_info.clone(),
            guest: false,
            anonymous,
            groups: Vec::new(),
            sids: Vec::new(),
        }
    }

    fn now(&self) -> Timestamp {
        self.config.clock.now()
    }
}

impl Facts {
    /// Takes over what the verifier knows of the account.
    fn name(&mut self, account: VerifiedAccount) {
        self.user = account.user;
        self.domain = account.domain;
        self.groups = account.groups;
        self.sids = account.sids;
    }
}

/// What was found right in the response.
struct ResponseChecked {
    bindings: ChannelBindingsChecked,
    bindings_missing: bool,
    target: TargetNameChecked,
    server: ServerNameChecked,
    time: TimeChecked,
}

/// ExportedSessionKey (MS-NLMP section 3.2.5.1.2). Where nothing is protected, some clients send a key
/// of their own and some do not.
fn exported_key(
    message: &AuthenticateMessage<'_>,
    negotiated: NegotiateFlags,
    key_exchange_key: &SessionKey,
) -> Result<SessionKey, Error> {
    let encrypted = message.encrypted_session_key;
    let exchanged = negotiated.contains(NegotiateFlags::NEGOTIATE_KEY_EXCH);
    let may_be_absent = !negotiated.intersects(PROTECTION);
    if !exchanged || (may_be_absent && encrypted.is_empty()) {
        return Ok(SecretArray::from(*key_exchange_key.expose()));
    }
    // MS-NLMP section 2.2.1.3: the encrypted key has the length of a key.
    let Ok(encrypted) = <&[u8; 16]>::try_from(encrypted) else {
        return Err(PeerMisbehaved::EncryptedSessionKeyLength {
            found: encrypted.len(),
        }
        .into());
    };
    Ok(compute::exported_session_key(key_exchange_key, encrypted))
}
