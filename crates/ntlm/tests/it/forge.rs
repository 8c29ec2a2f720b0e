//! Messages taken apart, changed and put together again, as somebody in the middle would.

use trihound_crypto::ntlm::NtHash;
use trihound_ntlm::compute::{self, SessionKey};
use trihound_ntlm::message::{
    AuthenticateMessage, ChallengeMessage, FileTime, NegotiateMessage, NtResponse, NtlmV2Response,
    ntlmv2_temp,
};
use trihound_ntlm::{AvFlags, AvId, NegotiateFlags, TargetInfo, TargetInfoBuilder};

use crate::world::{ALICE, DOMAIN, PASSWORD, secret};

/// An AUTHENTICATE message whose fields can be changed.
#[derive(Clone)]
pub(crate) struct Authenticate {
    pub(crate) flags: NegotiateFlags,
    pub(crate) lm_response: Vec<u8>,
    pub(crate) nt_response: Vec<u8>,
    pub(crate) domain: Vec<u8>,
    pub(crate) user: Vec<u8>,
    pub(crate) workstation: Vec<u8>,
    pub(crate) encrypted_session_key: Vec<u8>,
    pub(crate) mic: Option<[u8; 16]>,
}

impl Authenticate {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let message = AuthenticateMessage::parse(bytes).unwrap();
        Self {
            flags: message.flags,
            lm_response: message.lm_response.to_vec(),
            nt_response: message.nt_response.to_vec(),
            domain: message.domain.to_vec(),
            user: message.user.to_vec(),
            workstation: message.workstation.to_vec(),
            encrypted_session_key: message.encrypted_session_key.to_vec(),
            mic: message.mic,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        AuthenticateMessage {
            flags: self.flags,
            lm_response: &self.lm_response,
            nt_response: &self.nt_response,
            domain: &self.domain,
            user: &self.user,
            workstation: &self.workstation,
            encrypted_session_key: &self.encrypted_session_key,
            version: None,
            mic: self.mic,
        }
        .to_bytes()
        .unwrap()
    }
}

/// A NEGOTIATE message with other flags.
pub(crate) fn negotiate_with(bytes: &[u8], change: impl FnOnce(&mut NegotiateFlags)) -> Vec<u8> {
    let mut message = NegotiateMessage::parse(bytes).unwrap();
    change(&mut message.flags);
    message.to_bytes().unwrap()
}

/// A NEGOTIATE message of a client that says no more than these flags.
pub(crate) fn negotiate_of(flags: NegotiateFlags) -> Vec<u8> {
    NegotiateMessage {
        flags,
        ..NegotiateMessage::default()
    }
    .to_bytes()
    .unwrap()
}

/// A CHALLENGE message with something changed.
pub(crate) fn challenge_with(
    bytes: &[u8],
    change: impl FnOnce(&mut ChallengeMessage<'_>),
) -> Vec<u8> {
    let mut message = ChallengeMessage::parse(bytes).unwrap();
    change(&mut message);
    message.to_bytes().unwrap()
}

/// A CHALLENGE message with other AV pairs.
pub(crate) fn challenge_with_pairs(
    bytes: &[u8],
    without: &[AvId],
    more: &[(AvId, &[u8])],
) -> Vec<u8> {
    let message = ChallengeMessage::parse(bytes).unwrap();
    let pairs = pairs_with(&message.av_pairs().unwrap().unwrap(), without, more);
    challenge_with(bytes, |message| message.target_info = Some(pairs.leak()))
}

/// AV pairs without some and with others.
pub(crate) fn pairs_with(
    pairs: &TargetInfo<'_>,
    without: &[AvId],
    more: &[(AvId, &[u8])],
) -> Vec<u8> {
    let mut builder = TargetInfoBuilder::copy_of(pairs, without);
    for (id, value) in more {
        builder.push(*id, value).unwrap();
    }
    builder.finish()
}

/// A client that knows the password and does what it likes: it answers as the test says, and computes
/// proof, key and MIC over that.
pub(crate) struct Forger {
    pub(crate) negotiate: Vec<u8>,
    pub(crate) challenge: Vec<u8>,
    pub(crate) flags: NegotiateFlags,
    pub(crate) user: String,
    pub(crate) domain: String,
    pub(crate) password: String,
    /// Pairs of the challenge that are left out.
    pub(crate) without: Vec<AvId>,
    /// Pairs that are added.
    pub(crate) more: Vec<(AvId, Vec<u8>)>,
    pub(crate) timestamp: Option<FileTime>,
    pub(crate) with_mic: bool,
    /// What is done to the encrypted session key.
    pub(crate) key_length: usize,
}

impl Forger {
    /// An honest client without any pair of its own and without a MIC.
    pub(crate) fn new(negotiate: &[u8], challenge: &[u8]) -> Self {
        let message = ChallengeMessage::parse(challenge).unwrap();
        Self {
            negotiate: negotiate.to_vec(),
            challenge: challenge.to_vec(),
            flags: message.flags,
            user: ALICE.to_owned(),
            domain: DOMAIN.to_owned(),
            password: PASSWORD.to_owned(),
            without: Vec::new(),
            more: Vec::new(),
            timestamp: None,
            with_mic: false,
            key_length: 16,
        }
    }

    /// With the MIC promised and made.
    pub(crate) fn with_mic(mut self) -> Self {
        self.with_mic = true;
        let flags = AvFlags::MIC_PROVIDED.bits().to_le_bytes();
        self.more.push((AvId::FLAGS, flags.to_vec()));
        self
    }

    pub(crate) fn with_pair(mut self, id: AvId, value: &[u8]) -> Self {
        self.more.push((id, value.to_vec()));
        self
    }

    pub(crate) fn answer(&self) -> Vec<u8> {
        let message = ChallengeMessage::parse(&self.challenge).unwrap();
        let of_server = message.av_pairs().unwrap().unwrap();
        let more: Vec<(AvId, &[u8])> = self
            .more
            .iter()
            .map(|(id, value)| (*id, value.as_slice()))
            .collect();
        let pairs = pairs_with(&of_server, &self.without, &more);
        let time = self
            .timestamp
            .unwrap_or_else(|| of_server.timestamp().unwrap());
        let temp = ntlmv2_temp(time, &[0xaa; 8], &pairs);
        let hash = NtHash::from_password(&secret(&self.password));
        let key = hash.response_key(&self.user, &self.domain);
        let proof = compute::ntlmv2_proof(&key, &message.server_challenge, &temp);
        let base = compute::session_base_key(&key, &proof);
        let exchanged = self.flags.contains(NegotiateFlags::NEGOTIATE_KEY_EXCH);
        let (exported, encrypted) = if exchanged {
            let exported = SessionKey::from([0x42; 16]);
            let encrypted = compute::encrypted_session_key(&base, &exported);
            (exported, encrypted[..self.key_length].to_vec())
        } else {
            (base, Vec::new())
        };
        let encode = |text: &str| trihound_ntlm::message::text::encode(self.flags, text).unwrap();
        let mut token = Authenticate {
            flags: self.flags,
            lm_response: vec![0; 24],
            nt_response: [proof.as_slice(), &temp].concat(),
            domain: encode(&self.domain),
            user: encode(&self.user),
            workstation: Vec::new(),
            encrypted_session_key: encrypted,
            mic: self.with_mic.then_some([0; 16]),
        }
        .to_bytes();
        if self.with_mic {
            let mic = compute::mic(&exported, &self.negotiate, &self.challenge, &token);
            AuthenticateMessage::set_mic(&mut token, &mic).unwrap();
        }
        token
    }
}

/// The response inside of an AUTHENTICATE message.
pub(crate) fn with_response<T>(bytes: &[u8], look: impl FnOnce(NtlmV2Response<'_>) -> T) -> T {
    let message = AuthenticateMessage::parse(bytes).unwrap();
    let NtResponse::V2(response) = NtResponse::parse(message.nt_response).unwrap() else {
        panic!("not NTLMv2");
    };
    look(response)
}
