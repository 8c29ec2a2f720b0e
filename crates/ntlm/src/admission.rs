//! What an acceptor checks once it knows whose response it is, and the session that comes of it.

use trihound_sansio::Timestamp;
use trihound_secret::SecretArray;
use trihound_sspi::{AcceptorRequirements, EstablishedAttributes};

use crate::acceptor::Plan;
use crate::answer::{Answer, exported_key};
use crate::attributes::{PROTECTION, acceptor_attributes, check_protection, wanted_by_acceptor};
use crate::checks::{
    BindingDemand, ChannelBindingsChecked, FlagsChecked, Messages, MicProof, ResponseVerified,
    ServerNameChecked, TargetNameChecked, TimeChecked, UnprovenAllowed, check_channel_bindings,
    check_flags, check_mic, check_no_pair_twice, check_server_name, check_target_name, check_time,
    promises_mic, without_mic,
};
use crate::compute::SessionKey;
use crate::context::{Outcome, State};
use crate::error::{Error, PolicyError, sspi_error};
use crate::established::{AcceptorProofs, Facts, OldProofs, Proofs, Session, Standing};
use crate::event::NtlmUse;
use crate::initiator::NO_PAIRS;
use crate::message::{NtResponse, NtlmV2Response};
use crate::policy::MicRequirement;
use crate::verifier::VerifiedAccount;
use crate::{NegotiateFlags, TargetInfo, danger};

impl Plan {
    /// All that is checked once the response is known to be right.
    pub(crate) fn check(
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
                let (bindings, target) = self.check_old_response().map_err(sspi_error)?;
                let (exported, flags, negotiated) =
                    self.check_message(answer, &key).map_err(sspi_error)?;
                let mut facts = self.facts(answer, negotiated, true, false);
                facts.name(account);
                let proofs = OldProofs {
                    response: verified,
                    bindings,
                    target,
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
        check_no_pair_twice(pairs)?;
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

    /// An NTLMv1 response has no pairs, and no promise of a MIC: what the policy always demands is
    /// missing.
    fn check_old_response(&self) -> Result<(ChannelBindingsChecked, TargetNameChecked), Error> {
        let policy = &self.policy;
        let none = TargetInfo::parse(NO_PAIRS)?;
        if policy.mic == MicRequirement::Always {
            return Err(PolicyError::MicNotPromised { always: true }.into());
        }
        let (bindings, _) = check_channel_bindings(self.bindings, policy.channel_bindings, &none)?;
        let target = check_target_name(&self.config.target_names, policy.target_name, &none)?;
        Ok((bindings, target))
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
    pub(crate) fn let_nobody_in(
        self,
        answer: &Answer<'_>,
    ) -> Result<Outcome, trihound_sspi::Error> {
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
        let facts = self.facts(answer, unprotected, true, answer.user.is_empty());
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
            // What the client calls itself is nobody's name until a verifier says whose it is.
            user: String::new(),
            domain: String::new(),
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
