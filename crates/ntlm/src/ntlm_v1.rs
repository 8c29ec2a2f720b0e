//! The responses and keys of LM and NTLMv1 (MS-NLMP sections 3.3.1 and 3.4.5.1).

use trihound_crypto::md5;
use trihound_crypto::ntlm::danger::{LmHash, des, des_response};
use trihound_crypto::ntlm::{HmacMd5Key, NtHash};

use crate::NegotiateFlags;
use crate::compute::SessionKey;

/// NtChallengeResponse of NTLMv1 without extended session security (MS-NLMP section 3.3.1).
#[must_use]
pub fn ntlmv1_response(hash: &NtHash, server_challenge: &[u8; 8]) -> [u8; 24] {
    des_response(hash.expose(), server_challenge)
}

/// LmChallengeResponse of NTLMv1 without extended session security (MS-NLMP section 3.3.1).
#[must_use]
pub fn lmv1_response(hash: &LmHash, server_challenge: &[u8; 8]) -> [u8; 24] {
    des_response(hash.expose(), server_challenge)
}

/// NtChallengeResponse of NTLMv1 with extended session security, over both challenges (MS-NLMP section 3.3.1).
#[must_use]
pub fn ntlmv1_ess_response(
    hash: &NtHash,
    server_challenge: &[u8; 8],
    client_challenge: &[u8; 8],
) -> [u8; 24] {
    let [a, b, c, d, e, f, g, h, ..] = md5(&[server_challenge, client_challenge]);
    des_response(hash.expose(), &[a, b, c, d, e, f, g, h])
}

/// LmChallengeResponse of NTLMv1 with extended session security, which carries the client's challenge
/// (MS-NLMP section 3.3.1).
#[must_use]
pub fn lmv1_ess_response(client_challenge: &[u8; 8]) -> [u8; 24] {
    let mut response = [0; 24];
    if let Some(place) = response.first_chunk_mut() {
        *place = *client_challenge;
    }
    response
}

/// SessionBaseKey of NTLMv1 (MS-NLMP section 3.3.1).
#[must_use]
pub fn session_base_key_v1(hash: &NtHash) -> SessionKey {
    trihound_crypto::ntlm::danger::session_base_key(hash)
}

/// KXKEY of NTLMv1 (MS-NLMP section 3.4.5.1).
///
/// The LM hash is needed only where the flags take the key from it; `None` then if there is none.
#[must_use]
pub fn kxkey_v1(
    flags: NegotiateFlags,
    session_base_key: &SessionKey,
    lm_hash: Option<&LmHash>,
    lm_response: &[u8; 24],
    server_challenge: &[u8; 8],
) -> Option<SessionKey> {
    let [a, b, c, d, e, f, g, h, ..] = *lm_response;
    let front = [a, b, c, d, e, f, g, h];
    if flags.contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY) {
        let key = HmacMd5Key::new(session_base_key.expose());
        return Some(key.mac(&[server_challenge, &front]).into());
    }
    let from_lm = NegotiateFlags::NEGOTIATE_LM_KEY | NegotiateFlags::REQUEST_NON_NT_SESSION_KEY;
    if !flags.intersects(from_lm) {
        return Some((*session_base_key.expose()).into());
    }
    let mut key = SessionKey::from(*lm_hash?.expose());
    let [a, b, c, d, e, f, g, h, rest @ ..] = key.expose_mut();
    if flags.contains(NegotiateFlags::NEGOTIATE_LM_KEY) {
        let first = des(&[*a, *b, *c, *d, *e, *f, *g], &front);
        let second = des(&[*h, 0xbd, 0xbd, 0xbd, 0xbd, 0xbd, 0xbd], &front);
        *rest = second;
        [*a, *b, *c, *d, *e, *f, *g, *h] = first;
    } else {
        *rest = [0; 8];
    }
    Some(key)
}
