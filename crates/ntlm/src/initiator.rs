//! The initiator's handshake.

use std::sync::Arc;

use tracing::debug;
use trihound_crypto::md5;
use trihound_secret::SecretArray;
use trihound_sspi::{
    EstablishedAttributes, InitializeRequest, InitiatorRequirements, InputDesc,
    ServicePrincipalName,
};

use crate::attributes::{
    check_protection, exchanges_key, initiator_attributes, offered_by_initiator,
    wanted_by_initiator,
};
use crate::compute::{self, SessionKey};
use crate::config::NtlmConfig;
use crate::context::{Outcome, State, due};
use crate::credential::{AccountSecret, NtlmCredential, Outbound};
use crate::error::{CredentialError, Error, PeerMisbehaved, PolicyError, Unprotected, sspi_error};
use crate::established::{Facts, Proofs, Session, Standing};
use crate::event::{self, Direction, NtlmOutcome, NtlmUse};
use crate::message::{
    AuthenticateMessage, ChallengeMessage, FileTime, MessageError, NegotiateMessage, ntlmv2_temp,
    text,
};
use crate::policy::{NtlmPolicy, Verdict};
use crate::{AvFlags, AvId, NegotiateFlags, SingleHost, TargetInfo, TargetInfoBuilder, danger};

/// LmChallengeResponse of an anonymous client (MS-NLMP section 3.2.5.1.2).
const ANONYMOUS_LM_RESPONSE: [u8; 1] = [0];

/// What the acceptor agreed to is at least what the caller asked for.
#[derive(Debug)]
pub(crate) struct ProtectionChecked(());

/// What an initiator has to show before it has a session.
#[derive(Debug)]
#[allow(dead_code, reason = "held so that they had to be obtained")]
pub(crate) struct InitiatorProofs {
    protection: ProtectionChecked,
}

/// Awaits the CHALLENGE message.
#[derive(Debug)]
pub(crate) struct ExpectChallenge {
    outbound: Arc<Outbound>,
    config: Arc<NtlmConfig>,
    policy: Arc<NtlmPolicy>,
    target: Option<String>,
    requirements: InitiatorRequirements,
    /// MD5 of the channel bindings (MS-NLMP section 3.1.5.1.2), if the first call had any.
    bindings: Option<[u8; 16]>,
    /// The flags that were offered.
    offered: NegotiateFlags,
    /// The NEGOTIATE message as sent; empty for a datagram context, which has none.
    negotiate: Vec<u8>,
}

/// The MD5 of the channel bindings in the input, if there are any: the hash of the same octets as
/// Kerberos's (MS-NLMP section 3.1.1.2, ClientChannelBindingsUnhashed).
pub(crate) fn bindings_hash(
    input: Option<InputDesc<'_>>,
) -> Result<Option<[u8; 16]>, trihound_sspi::Error> {
    let bindings = input.map(|input| input.channel_bindings()).transpose()?;
    bindings
        .flatten()
        .map(|bindings| Ok(md5(&[&bindings.gss_image()?])))
        .transpose()
}

/// The first call.
pub(crate) fn begin(
    credential: &NtlmCredential,
    request: &InitializeRequest<'_>,
    config: &Arc<NtlmConfig>,
) -> Result<Outcome, trihound_sspi::Error> {
    let outbound = credential
        .outbound_for(request.impersonation)
        .map_err(sspi_error)?;
    let policy = credential.policy(&config.policy);
    let requirements = request.requirements.normalized();
    let bindings = bindings_hash(request.input)?;
    let outbound = who(&outbound, requirements).map_err(sspi_error)?;
    ask_policy(policy, &outbound, request, config).map_err(sspi_error)?;
    let offered = offered_by_initiator(requirements) | NegotiateFlags::NEGOTIATE_VERSION;
    let datagram = requirements.contains(InitiatorRequirements::DATAGRAM);
    let negotiate = if datagram {
        // MS-NLMP section 3.2.5.2.1: a connectionless handshake begins with the CHALLENGE message.
        Vec::new()
    } else {
        negotiate_message(offered, config).map_err(sspi_error)?
    };
    let token = (!datagram).then(|| negotiate.clone());
    let waiting = Box::new(ExpectChallenge {
        outbound,
        config: Arc::clone(config),
        policy: Arc::clone(policy),
        target: request.target_name.map(str::to_owned),
        requirements,
        bindings,
        offered,
        negotiate,
    });
    Ok(Outcome::Token(State::ExpectChallenge(waiting), token))
}

/// The credential's account; nobody, where the caller asks for that.
fn who(
    outbound: &Arc<Outbound>,
    requirements: InitiatorRequirements,
) -> Result<Arc<Outbound>, CredentialError> {
    let anonymous = requirements.contains(InitiatorRequirements::NULL_SESSION);
    match (&**outbound, anonymous) {
        (Outbound::Account(_), false) | (Outbound::Anonymous, true) => Ok(Arc::clone(outbound)),
        (Outbound::Account(_), true) => Ok(Arc::new(Outbound::Anonymous)),
        // Conformance row 39: nobody becomes anonymous by a forgotten name.
        (Outbound::Anonymous, false) => Err(CredentialError::AnonymousNotAsked),
    }
}

/// Asks the policy, and tells of the use whatever it says.
fn ask_policy(
    policy: &NtlmPolicy,
    outbound: &Outbound,
    request: &InitializeRequest<'_>,
    config: &NtlmConfig,
) -> Result<(), PolicyError> {
    // Conformance row 93: no policy allows a name that stands for two hosts (CVE-2025-33073).
    let marshalled = ServicePrincipalName::carries_target_information;
    if request.target_name.is_some_and(marshalled) {
        return Err(PolicyError::MarshalledTarget);
    }
    let verdict = policy.outgoing.judge(request.target_name);
    let outcome = match verdict {
        Verdict::Allow => NtlmOutcome::Allowed,
        Verdict::Audit => NtlmOutcome::Audited,
        Verdict::Deny => NtlmOutcome::Denied,
    };
    let mut use_of_it = NtlmUse::new(Direction::Outgoing, outcome);
    use_of_it.target = request.target_name.map(str::to_owned);
    use_of_it.kerberos_error = request.fallback_reason.map(ToString::to_string);
    if let Outbound::Account(account) = outbound {
        use_of_it.user.clone_from(&account.user);
        use_of_it.domain.clone_from(&account.domain);
    }
    event::tell(config.observer.as_deref(), &use_of_it);
    // MS-NLMP section 3.1.5.1.1: ClientBlocked and ClientBlockExceptions (conformance row 160).
    if verdict == Verdict::Deny {
        return Err(PolicyError::Denied {
            direction: "outgoing",
            target: use_of_it.target,
        });
    }
    Ok(())
}

fn negotiate_message(flags: NegotiateFlags, config: &NtlmConfig) -> Result<Vec<u8>, MessageError> {
    NegotiateMessage {
        flags,
        domain: None,
        workstation: None,
        version: Some(config.version),
    }
    .to_bytes()
}

/// What the acceptor said, and what follows for the answer.
struct Challenge<'a> {
    message: ChallengeMessage<'a>,
    /// As received, for the MIC.
    bytes: &'a [u8],
    flags: NegotiateFlags,
    pairs: TargetInfo<'a>,
    target_name: String,
}

/// AvPairs of a server that sent none.
pub(crate) const NO_PAIRS: &[u8] = &[0; 4];

impl ExpectChallenge {
    pub(crate) fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Takes the CHALLENGE message.
    pub(crate) fn step(
        mut self,
        input: Option<InputDesc<'_>>,
    ) -> Result<Outcome, trihound_sspi::Error> {
        if let Some(bindings) = bindings_hash(input)? {
            self.bindings = Some(bindings);
        }
        let bytes = due(input.and_then(|input| input.token()), "CHALLENGE").map_err(sspi_error)?;
        let (challenge, checked) = self.read(bytes).map_err(sspi_error)?;
        let outbound = Arc::clone(&self.outbound);
        match &*outbound {
            Outbound::Anonymous => self.answer_as_nobody(&challenge),
            Outbound::Account(account) if self.policy.send_v1 => {
                self.answer_old(account, &challenge, checked)
            }
            Outbound::Account(account) => self.answer(account, &challenge, checked),
        }
    }

    fn read<'a>(&self, bytes: &'a [u8]) -> Result<(Challenge<'a>, ProtectionChecked), Error> {
        let name = "CHALLENGE";
        let message = ChallengeMessage::parse(bytes)?;
        let chosen = message.flags;
        // MS-NLMP section 3.2.5.1.1: exactly one of the two is chosen.
        if !chosen.intersects(NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::NEGOTIATE_OEM) {
            return Err(PeerMisbehaved::NoCharacterSet { message: name }.into());
        }
        let datagram = NegotiateFlags::NEGOTIATE_DATAGRAM;
        // MS-NLMP section 2.2.2.5, flag F: both sides are connectionless or neither is.
        if chosen.contains(datagram) != self.offered.contains(datagram) {
            return Err(PeerMisbehaved::OtherKindOfContext {
                message: name,
                found: kind(chosen),
            }
            .into());
        }
        // MS-NLMP section 3.1.5.1.2: what one side lacks is dropped.
        let mut flags = chosen & self.offered;
        if flags.contains(NegotiateFlags::NEGOTIATE_UNICODE) {
            flags.remove(NegotiateFlags::NEGOTIATE_OEM);
        }
        check_protection(wanted_by_initiator(self.requirements), flags, name)?;
        let pairs = TargetInfo::parse(message.target_info.unwrap_or(NO_PAIRS))?;
        let challenge = Challenge {
            target_name: message.target_name_text()?,
            message,
            bytes,
            flags,
            pairs,
        };
        Ok((challenge, ProtectionChecked(())))
    }

    /// With NTLMv2 (MS-NLMP sections 3.1.5.1.2 and 3.3.2).
    fn answer(
        &self,
        account: &AccountSecret,
        challenge: &Challenge<'_>,
        checked: ProtectionChecked,
    ) -> Result<Outcome, trihound_sspi::Error> {
        // MS-NLMP section 3.1.5.1.2, conformance row 139: the server's time, if it tells it.
        let time = challenge
            .pairs
            .timestamp()
            .unwrap_or_else(|| FileTime::from(self.config.clock.now()));
        let mut client_challenge = [0; 8];
        self.config.random.fill(&mut client_challenge)?;
        let pairs = self.av_pairs(&challenge.pairs).map_err(sspi_error)?;
        let temp = ntlmv2_temp(time, &client_challenge, &pairs);
        let domain = domain_of(account, challenge);
        let key = account.response_key(domain);
        let proof = compute::ntlmv2_proof(&key, &challenge.message.server_challenge, &temp);
        let key_exchange_key = compute::session_base_key(&key, &proof);
        let nt_response = [&proof, temp.as_slice()].concat();
        // Conformance row 34: Z(24), and never LMv2, which is bound to nothing.
        let response = Response {
            user: &account.user,
            domain,
            lm_response: &[0; 24],
            nt_response: &nt_response,
            with_mic: true,
        };
        self.finish(challenge, checked, &response, &key_exchange_key)
    }

    /// The acceptor's pairs and the client's own (MS-NLMP section 3.1.5.1.2).
    fn av_pairs(&self, of_server: &TargetInfo<'_>) -> Result<Vec<u8>, MessageError> {
        let own = [
            AvId::FLAGS,
            AvId::SINGLE_HOST,
            AvId::TARGET_NAME,
            AvId::CHANNEL_BINDINGS,
        ];
        let mut flags = of_server.flags() & AvFlags::CONSTRAINED;
        // Conformance row 34: a MIC is promised, with a timestamp from the acceptor or without.
        flags |= AvFlags::MIC_PROVIDED;
        flags.set(
            AvFlags::UNVERIFIED_TARGET_NAME,
            self.requirements
                .contains(InitiatorRequirements::UNVERIFIED_TARGET_NAME),
        );
        let mut pairs = TargetInfoBuilder::copy_of(of_server, &own);
        pairs.push(AvId::FLAGS, &flags.bits().to_le_bytes())?;
        if let Some(machine_id) = self.config.machine_id {
            let host = SingleHost {
                custom_data: [0; 8],
                machine_id,
            };
            pairs.push(AvId::SINGLE_HOST, &host.to_value())?;
        }
        // Conformance row 35: all zero where there are none.
        pairs.push(AvId::CHANNEL_BINDINGS, &self.bindings.unwrap_or_default())?;
        // Conformance row 36: empty where there is none.
        pairs.push_text(
            AvId::TARGET_NAME,
            self.target.as_deref().unwrap_or_default(),
        )?;
        Ok(pairs.finish())
    }

    /// With NTLMv1, which [`danger::send_ntlm_v1`] asked for (MS-NLMP section 3.3.1).
    fn answer_old(
        &self,
        account: &AccountSecret,
        challenge: &Challenge<'_>,
        checked: ProtectionChecked,
    ) -> Result<Outcome, trihound_sspi::Error> {
        let server_challenge = challenge.message.server_challenge;
        let extended = challenge
            .flags
            .contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY);
        let (nt, lm) = if extended {
            let mut client_challenge = [0; 8];
            self.config.random.fill(&mut client_challenge)?;
            (
                danger::ntlmv1_ess_response(account.hash(), &server_challenge, &client_challenge),
                danger::lmv1_ess_response(&client_challenge),
            )
        } else {
            let nt = danger::ntlmv1_response(account.hash(), &server_challenge);
            // MS-NLMP section 3.3.1, NoLMResponseNTLMv1: the LM hash is never used.
            (nt, nt)
        };
        let base = danger::session_base_key_v1(account.hash());
        let key = danger::kxkey_v1(challenge.flags, &base, None, &lm, &server_challenge);
        let key_exchange_key = key.unwrap_or(base);
        let response = Response {
            user: &account.user,
            domain: domain_of(account, challenge),
            lm_response: &lm,
            nt_response: &nt,
            with_mic: false,
        };
        self.finish(challenge, checked, &response, &key_exchange_key)
    }

    /// Key, message and MIC.
    fn finish(
        &self,
        challenge: &Challenge<'_>,
        checked: ProtectionChecked,
        response: &Response<'_>,
        key_exchange_key: &SessionKey,
    ) -> Result<Outcome, trihound_sspi::Error> {
        // Conformance row 154: drawn with key exchange, else the key that both sides can compute.
        let mut exported = SecretArray::from(*key_exchange_key.expose());
        let mut encrypted = None;
        if exchanges_key(challenge.flags) {
            self.config.random.fill(exported.expose_mut())?;
            encrypted = Some(compute::encrypted_session_key(key_exchange_key, &exported));
        }
        let encrypted = encrypted.as_ref().map_or(&[][..], |key| key.as_slice());
        let mut token = self
            .authenticate(challenge, response, encrypted, NegotiateFlags::empty())
            .map_err(sspi_error)?;
        if response.with_mic {
            let mic = compute::mic(&exported, &self.negotiate, challenge.bytes, &token);
            AuthenticateMessage::set_mic(&mut token, &mic).map_err(sspi_error)?;
        }
        let facts = Facts {
            mic: response.with_mic,
            ..self.facts(challenge, response)
        };
        let proofs = Proofs::Initiator(InitiatorProofs {
            protection: checked,
        });
        let session = Session::new(facts, Standing::Proven(exported, proofs))?;
        Ok(Outcome::Token(
            State::Established(Box::new(session)),
            Some(token),
        ))
    }

    /// As nobody (MS-NLMP section 3.1.5.1.2, conformance row 39).
    fn answer_as_nobody(&self, challenge: &Challenge<'_>) -> Result<Outcome, trihound_sspi::Error> {
        let wanted = wanted_by_initiator(self.requirements);
        if !wanted.is_empty() {
            let attribute = if wanted.contains(NegotiateFlags::NEGOTIATE_SEAL) {
                "CONFIDENTIALITY"
            } else {
                "INTEGRITY"
            };
            return Err(sspi_error(Unprotected::NoKey { attribute }));
        }
        debug!("Answering as an anonymous client");
        let response = Response {
            user: "",
            domain: "",
            lm_response: &ANONYMOUS_LM_RESPONSE,
            nt_response: &[],
            with_mic: false,
        };
        let token = self
            .authenticate(challenge, &response, &[], NegotiateFlags::ANONYMOUS)
            .map_err(sspi_error)?;
        let facts = Facts {
            anonymous: true,
            ..self.facts(challenge, &response)
        };
        let session = Session::new(facts, Standing::Nobody)?;
        Ok(Outcome::Token(
            State::Established(Box::new(session)),
            Some(token),
        ))
    }

    /// The AUTHENTICATE message, its MIC still zero.
    fn authenticate(
        &self,
        challenge: &Challenge<'_>,
        response: &Response<'_>,
        encrypted_session_key: &[u8],
        more: NegotiateFlags,
    ) -> Result<Vec<u8>, MessageError> {
        let mut flags = challenge.flags | more;
        flags.set(
            NegotiateFlags::NEGOTIATE_TARGET_INFO,
            challenge.message.target_info.is_some(),
        );
        // Conformance row 148: nothing that the acceptor did not offer.
        let version = flags
            .contains(NegotiateFlags::NEGOTIATE_VERSION)
            .then_some(self.config.version);
        AuthenticateMessage {
            flags,
            lm_response: response.lm_response,
            nt_response: response.nt_response,
            domain: &text::encode(flags, response.domain)?,
            user: &text::encode(flags, response.user)?,
            workstation: &text::encode(flags, &self.config.workstation)?,
            encrypted_session_key,
            version,
            mic: response.with_mic.then_some([0; 16]),
        }
        .to_bytes()
    }

    fn facts(&self, challenge: &Challenge<'_>, response: &Response<'_>) -> Facts {
        let anonymous = response.user.is_empty() && response.nt_response.is_empty();
        let attributes = initiator_attributes(challenge.flags, self.requirements, anonymous);
        Facts {
            user: response.user.to_owned(),
            domain: response.domain.to_owned(),
            target: self.target.clone(),
            server: challenge.target_name.clone(),
            start: self.config.clock.now(),
            flags: challenge.flags,
            attributes: EstablishedAttributes::Initiator(attributes),
            mic: false,
            target_info: challenge.message.target_info.unwrap_or_default().to_vec(),
            guest: false,
            anonymous,
            groups: Vec::new(),
            sids: Vec::new(),
        }
    }
}

/// Who the client is and what it answers.
struct Response<'a> {
    user: &'a str,
    domain: &'a str,
    lm_response: &'a [u8],
    nt_response: &'a [u8],
    with_mic: bool,
}

/// The account's domain. Without one, a user principal name stands for itself, and any other name is
/// of the target.
fn domain_of<'a>(account: &'a AccountSecret, challenge: &'a Challenge<'_>) -> &'a str {
    if account.domain.is_empty() && !account.user.contains('@') {
        &challenge.target_name
    } else {
        &account.domain
    }
}

/// How a message's flags call its context.
pub(crate) fn kind(flags: NegotiateFlags) -> &'static str {
    if flags.contains(NegotiateFlags::NEGOTIATE_DATAGRAM) {
        "datagram"
    } else {
        "connection-oriented"
    }
}
