//! The keys and proofs of NTLMv2 (MS-NLMP sections 3.3.2 and 3.4.5).

use trihound_crypto::md5;
use trihound_crypto::ntlm::{HmacMd5Key, ResponseKeyNt};
use trihound_crypto::rfc4757::Rc4Stream;
use trihound_secret::{SecretArray, SecretBytes, constant_time_eq};

use crate::NegotiateFlags;
use crate::message::AuthenticateMessage;

/// SessionBaseKey, KeyExchangeKey or ExportedSessionKey (MS-NLMP section 3.1.1.2).
pub type SessionKey = SecretArray<16>;

/// Who sends what a key protects (`Mode` of MS-NLMP sections 3.4.5.2 and 3.4.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The initiator.
    Client,
    /// The acceptor.
    Server,
}

impl Side {
    /// The one that sends to this one.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// NTProofStr: the answer to a challenge, over `temp` as it is on the wire (MS-NLMP section 3.3.2).
#[must_use]
pub fn ntlmv2_proof(key: &ResponseKeyNt, server_challenge: &[u8; 8], temp: &[u8]) -> [u8; 16] {
    key.mac(&[server_challenge, temp])
}

/// Whether a proof is the right one, in time that does not depend on it (conformance row 161).
#[must_use]
pub fn verify_ntlmv2_proof(
    key: &ResponseKeyNt,
    server_challenge: &[u8; 8],
    temp: &[u8],
    proof: &[u8; 16],
) -> bool {
    constant_time_eq(&ntlmv2_proof(key, server_challenge, temp), proof)
}

/// SessionBaseKey of NTLMv2, which is its KeyExchangeKey as well (MS-NLMP sections 3.3.2 and 3.4.5.1;
/// conformance row 149).
#[must_use]
pub fn session_base_key(key: &ResponseKeyNt, proof: &[u8; 16]) -> SessionKey {
    key.mac(&[proof]).into()
}

/// LmChallengeResponse of NTLMv2 for a server that gave no time (MS-NLMP section 3.3.2).
///
/// A server that did gets 24 zero bytes in its place (conformance row 34).
#[must_use]
pub fn lmv2_response(
    key: &ResponseKeyNt,
    server_challenge: &[u8; 8],
    client_challenge: &[u8; 8],
) -> [u8; 24] {
    let mut response = [0; 24];
    let (front, back) = response.split_at_mut(16);
    front.copy_from_slice(&key.mac(&[server_challenge, client_challenge]));
    back.copy_from_slice(client_challenge);
    response
}

/// EncryptedRandomSessionKey: how a client sends the session key that it chose (MS-NLMP section 3.1.5.1.2).
#[must_use]
pub fn encrypted_session_key(key_exchange_key: &SessionKey, exported: &SessionKey) -> [u8; 16] {
    let mut bytes = *exported.expose();
    Rc4Stream::new(key_exchange_key.expose()).apply(&mut bytes);
    bytes
}

/// ExportedSessionKey out of EncryptedRandomSessionKey (MS-NLMP section 3.2.5.1.2).
#[must_use]
pub fn exported_session_key(key_exchange_key: &SessionKey, encrypted: &[u8; 16]) -> SessionKey {
    let mut key = SessionKey::from(*encrypted);
    Rc4Stream::new(key_exchange_key.expose()).apply(key.expose_mut());
    key
}

/// The MIC over the three messages as they are on the wire (MS-NLMP section 3.1.5.1.2; conformance rows 32 and 140).
///
/// `authenticate` may have anything in the place of its MIC: zeros are taken instead. A connectionless client has
/// no NEGOTIATE message, which is empty then.
#[must_use]
pub fn mic(
    exported: &SessionKey,
    negotiate: &[u8],
    challenge: &[u8],
    authenticate: &[u8],
) -> [u8; 16] {
    let (before, place) = authenticate
        .split_at_checked(AuthenticateMessage::mic_offset(authenticate))
        .unwrap_or((authenticate, &[]));
    let (place, behind) = place.split_at_checked(16).unwrap_or((place, &[]));
    let zeros = [0; 16];
    let zeros = zeros.get(..place.len()).unwrap_or(&zeros);
    HmacMd5Key::new(exported.expose()).mac(&[negotiate, challenge, before, zeros, behind])
}

/// SIGNKEY: what signatures by this side are keyed with; none without extended session security
/// (MS-NLMP section 3.4.5.2; conformance row 150).
#[must_use]
pub fn sign_key(flags: NegotiateFlags, exported: &SessionKey, side: Side) -> Option<SessionKey> {
    let magic: &[u8] = match side {
        Side::Client => b"session key to client-to-server signing key magic constant\0",
        Side::Server => b"session key to server-to-client signing key magic constant\0",
    };
    flags
        .contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY)
        .then(|| md5(&[exported.expose(), magic]).into())
}

/// SEALKEY: the RC4 key of what this side seals (MS-NLMP section 3.4.5.3; conformance row 150).
///
/// 16 bytes, or 8 without extended session security where the keys come from the LM hash. Only here are keys cut to
/// what the flags say; whether 56 or 40 bits are acceptable is for the caller to decide.
#[must_use]
pub fn seal_key(flags: NegotiateFlags, exported: &SessionKey, side: Side) -> SecretBytes {
    let magic: &[u8] = match side {
        Side::Client => b"session key to client-to-server sealing key magic constant\0",
        Side::Server => b"session key to server-to-client sealing key magic constant\0",
    };
    let key = exported.expose();
    if flags.contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY) {
        let [front @ .., _, _, _, _, _, _, _, _, _] = key;
        let cut: &[u8] = if flags.contains(NegotiateFlags::NEGOTIATE_128) {
            key
        } else if flags.contains(NegotiateFlags::NEGOTIATE_56) {
            front
        } else {
            front.first_chunk::<5>().map_or(front, <[u8; 5]>::as_slice)
        };
        return SecretBytes::from(md5(&[cut, magic]).as_slice());
    }
    // MS-NLMP section 3.4.5.3 has the datagram flag here too; it names NTLMv1's datagrams.
    let weak = NegotiateFlags::NEGOTIATE_LM_KEY | NegotiateFlags::NEGOTIATE_DATAGRAM;
    if !flags.intersects(weak) {
        return SecretBytes::from(key.as_slice());
    }
    let [a, b, c, d, e, f, g, ..] = *key;
    let cut = if flags.contains(NegotiateFlags::NEGOTIATE_56) {
        [a, b, c, d, e, f, g, 0xa0]
    } else {
        [a, b, c, d, e, 0xe5, 0x38, 0xb0]
    };
    SecretBytes::from(cut.as_slice())
}
