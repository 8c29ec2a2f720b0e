//! Proofs, keys and the MIC, beyond what the known answers of MS-NLMP section 4.2 hold.

use proptest::prelude::*;
use trihound_crypto::md5;
use trihound_crypto::ntlm::danger::LmHash;
use trihound_crypto::ntlm::{NtHash, ResponseKeyNt};
use trihound_crypto::rfc4757::hmac_md5;
use trihound_ntlm::compute::{self, SessionKey, Side};
use trihound_ntlm::message::{AuthenticateMessage, FileTime, NtlmV2Response, ntlmv2_temp};
use trihound_ntlm::{AvId, NegotiateFlags, TargetInfoBuilder, danger};
use trihound_secret::SecretString;

const KEY: [u8; 16] = [
    0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
];

fn key() -> SessionKey {
    SessionKey::from(KEY)
}

fn response_key() -> ResponseKeyNt {
    NtHash::from_password(&SecretString::from("Password")).response_key("User", "Domain")
}

// ---- the proof ----

/// Conformance rows 33 and 161: the proof is over the server's challenge and every byte of `temp`.
#[test]
fn row_33_the_proof_covers_every_byte() {
    let temp = ntlmv2_temp(FileTime(7), &[3; 8], &TargetInfoBuilder::new().finish());
    let challenge = [1; 8];
    let proof = compute::ntlmv2_proof(&response_key(), &challenge, &temp);
    let verify = |challenge: &[u8; 8], temp: &[u8], proof: &[u8; 16]| {
        compute::verify_ntlmv2_proof(&response_key(), challenge, temp, proof)
    };
    assert!(verify(&challenge, &temp, &proof));
    for bit in 0..8 * temp.len() {
        let mut other = temp.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(&challenge, &other, &proof), "bit {bit} of temp");
    }
    for bit in 0..64 {
        let mut other = challenge;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(&other, &temp, &proof), "bit {bit} of the challenge");
    }
    for bit in 0..128 {
        let mut other = proof;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(&challenge, &temp, &other), "bit {bit} of the proof");
    }
    assert!(!verify(&challenge, &temp[..temp.len() - 1], &proof));
    assert!(!verify(&challenge, &[temp, vec![0]].concat(), &proof));
}

/// Conformance row 161: neither the user's, the domain's nor the password's neighbour gets through.
#[test]
fn row_161_another_account_has_another_proof() {
    let temp = ntlmv2_temp(FileTime(7), &[3; 8], &[0; 4]);
    let proof = compute::ntlmv2_proof(&response_key(), &[1; 8], &temp);
    for (user, domain, password) in [
        ("User2", "Domain", "Password"),
        ("User", "DOMAIN", "Password"),
        ("User", "", "Password"),
        ("User", "Domain", "password"),
        ("User", "Domain", ""),
        ("UserDomain", "", "Password"),
    ] {
        let password = SecretString::from(password);
        let other = NtHash::from_password(&password).response_key(user, domain);
        assert!(
            !compute::verify_ntlmv2_proof(&other, &[1; 8], &temp, &proof),
            "{user} {domain}"
        );
    }
}

/// Conformance row 142: reserved fields are zero, and four zero bytes end `temp`.
#[test]
fn row_142_the_layout_of_temp() {
    let temp = ntlmv2_temp(
        FileTime(0x0102_0304_0506_0708),
        &[9; 8],
        b"\x06\0\x04\0\x02\0\0\0\0\0\0\0",
    );
    let expected = [
        &[1, 1, 0, 0, 0, 0, 0, 0][..],
        &[8, 7, 6, 5, 4, 3, 2, 1],
        &[9; 8],
        &[0; 4],
        b"\x06\0\x04\0\x02\0\0\0\0\0\0\0",
        &[0; 4],
    ]
    .concat();
    assert_eq!(temp, expected);
    let whole = [[0x11; 16].as_slice(), &temp].concat();
    let parsed = NtlmV2Response::parse(&whole).unwrap();
    assert_eq!(parsed.temp, temp);
    assert_eq!(parsed.timestamp, FileTime(0x0102_0304_0506_0708));
}

// ---- the key exchange key ----

/// Conformance row 149: KXKEY of NTLMv2 is the session base key as it is. The known answer of MS-NLMP
/// section 4.2.4: the session key that the client chose, under the key exchange key.
#[test]
fn row_149_the_session_base_key_encrypts_the_clients_key() {
    let names = trihound_ntlm::message::text::to_utf16;
    let mut pairs = TargetInfoBuilder::new();
    pairs.push(AvId::NB_DOMAIN_NAME, &names("Domain")).unwrap();
    pairs
        .push(AvId::NB_COMPUTER_NAME, &names("Server"))
        .unwrap();
    let temp = ntlmv2_temp(FileTime(0), &[0xaa; 8], &pairs.finish());
    let challenge = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
    let proof = compute::ntlmv2_proof(&response_key(), &challenge, &temp);
    let of = |number: u128| number.to_be_bytes();
    assert_eq!(proof, of(0x68cd_0ab8_51e5_1c96_aabc_927b_ebef_6a1c));
    let base = compute::session_base_key(&response_key(), &proof);
    assert_eq!(
        *base.expose(),
        of(0x8de4_0cca_dbc1_4a82_f15c_b0ad_0de9_5ca3)
    );
    let chosen = SessionKey::from([0x55; 16]);
    let encrypted = of(0xc5da_d254_4fc9_7990_94ce_1ce9_0bc9_d03e);
    assert_eq!(compute::encrypted_session_key(&base, &chosen), encrypted);
    let back = compute::exported_session_key(&base, &encrypted);
    assert_eq!(back.expose(), chosen.expose());
}

/// Conformance row 149: KXKEY of NTLMv1 with extended session security is another key.
#[test]
fn row_149_no_other_key_opens_it() {
    let base = of_response();
    let chosen = SessionKey::from([0x55; 16]);
    let encrypted = compute::encrypted_session_key(&base, &chosen);
    let challenges = [1, 2, 3, 4, 5, 6, 7, 8].repeat(2);
    let old = SessionKey::from(hmac_md5(base.expose(), &[&challenges]));
    let digest = SessionKey::from(md5(&[base.expose()]));
    for other in [old, digest, key()] {
        let opened = compute::exported_session_key(&other, &encrypted);
        assert_ne!(opened.expose(), chosen.expose());
    }
}

fn of_response() -> SessionKey {
    compute::session_base_key(&response_key(), &[7; 16])
}

// ---- the MIC ----

/// An AUTHENTICATE message with room for a MIC.
fn third() -> Vec<u8> {
    AuthenticateMessage {
        user: b"U\0",
        nt_response: &[5; 60],
        mic: Some([0; 16]),
        ..AuthenticateMessage::default()
    }
    .to_bytes()
    .unwrap()
}

/// Conformance rows 32 and 140: over the three messages as sent, with zeros where the MIC stands.
#[test]
fn row_32_the_mic_covers_every_byte_but_its_own() {
    let (first, second, third) = (b"first".to_vec(), b"second".to_vec(), third());
    let mic = compute::mic(&key(), &first, &second, &third);
    let whole = [first.as_slice(), &second, &third].concat();
    assert_eq!(mic, hmac_md5(&KEY, &[&whole]));
    let place = AuthenticateMessage::MIC_OFFSET..AuthenticateMessage::MIC_OFFSET + 16;
    for index in 0..third.len() {
        let mut other = third.clone();
        other[index] ^= 0x80;
        let same = compute::mic(&key(), &first, &second, &other) == mic;
        assert_eq!(same, place.contains(&index), "byte {index}");
    }
    for (first, second) in [
        (&b"First"[..], &b"second"[..]),
        (b"first", b"Second"),
        (b"", b"second"),
        (b"first", b""),
    ] {
        assert_ne!(compute::mic(&key(), first, second, &third), mic);
    }
    assert_ne!(
        compute::mic(&SessionKey::from([0; 16]), &first, &second, &third),
        mic
    );
}

/// Conformance row 32: a message that ends before or within the place of a MIC; in one of less than 88 bytes that place
/// is behind the flags.
#[test]
fn row_32_a_message_without_room_for_a_mic() {
    let third = third();
    for length in [0, 64, 65, 72, 73, 80, 87] {
        let mut zeroed = third[..length].to_vec();
        zeroed
            .iter_mut()
            .skip(64)
            .take(16)
            .for_each(|byte| *byte = 0);
        assert_eq!(
            compute::mic(&key(), b"1", b"2", &third[..length]),
            hmac_md5(&KEY, &[b"1", b"2", &zeroed])
        );
    }
}

// ---- keys ----

const ESS: NegotiateFlags = NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY;

/// Conformance row 150: the constants end in a zero byte, and each direction has its own.
#[test]
fn row_150_the_constants_of_both_directions() {
    let flags = ESS | NegotiateFlags::NEGOTIATE_128;
    for (side, way) in [
        (Side::Client, "client-to-server"),
        (Side::Server, "server-to-client"),
    ] {
        let magic = |what: &str| format!("session key to {way} {what} key magic constant\0");
        let signing = compute::sign_key(flags, &key(), side).unwrap();
        assert!(signing.equals(&md5(&[&KEY, magic("signing").as_bytes()])));
        let sealing = compute::seal_key(flags, &key(), side);
        assert!(sealing.equals(&md5(&[&KEY, magic("sealing").as_bytes()])));
        assert_ne!(side.peer(), side);
        let others = compute::seal_key(flags, &key(), side.peer());
        assert!(!sealing.equals(others.expose()));
    }
}

/// Conformance row 150: sealing keys are cut to 16, 7 or 5 bytes, signing keys never.
#[test]
fn row_150_only_sealing_keys_are_cut() {
    let magic = b"session key to client-to-server sealing key magic constant\0";
    let (all, half) = (NegotiateFlags::NEGOTIATE_128, NegotiateFlags::NEGOTIATE_56);
    for (flags, length) in [
        (ESS | all, 16),
        (ESS | all | half, 16),
        (ESS | half, 7),
        (ESS, 5),
        (ESS | NegotiateFlags::NEGOTIATE_LM_KEY, 5),
    ] {
        let sealing = compute::seal_key(flags, &key(), Side::Client);
        assert!(sealing.equals(&md5(&[&KEY[..length], magic])), "{flags:?}");
        let signing = compute::sign_key(flags, &key(), Side::Client).unwrap();
        let whole = compute::sign_key(ESS | all, &key(), Side::Client).unwrap();
        assert!(signing.equals(whole.expose()), "{flags:?}");
    }
}

/// Conformance row 150: without extended session security there is no signing key, and both sides seal alike.
#[test]
fn row_150_without_extended_session_security() {
    let (lm, half) = (
        NegotiateFlags::NEGOTIATE_LM_KEY,
        NegotiateFlags::NEGOTIATE_56,
    );
    let weak = [0x10, 0x32, 0x54, 0x76, 0x98, 0xe5, 0x38, 0xb0];
    let better = [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xa0];
    let datagram = NegotiateFlags::NEGOTIATE_DATAGRAM;
    for (flags, expected) in [
        (NegotiateFlags::empty(), &KEY[..]),
        (NegotiateFlags::NEGOTIATE_128, &KEY),
        (half, &KEY),
        (lm, &weak),
        (lm | half, &better),
        (datagram, &weak),
        (datagram | half, &better),
    ] {
        assert!(compute::sign_key(flags, &key(), Side::Client).is_none());
        for side in [Side::Client, Side::Server] {
            let sealing = compute::seal_key(flags, &key(), side);
            assert!(sealing.equals(expected), "{flags:?}");
        }
    }
}

// ---- NTLMv1 ----

/// Only where the flags take the key from the LM hash is there need of one.
#[test]
fn a_key_from_an_lm_hash_that_is_not_there() {
    let exchange =
        |flags, hash: Option<&LmHash>| danger::kxkey_v1(flags, &key(), hash, &[2; 24], &[1; 8]);
    let (lm, non_nt) = (
        NegotiateFlags::NEGOTIATE_LM_KEY,
        NegotiateFlags::REQUEST_NON_NT_SESSION_KEY,
    );
    assert!(exchange(lm, None).is_none());
    assert!(exchange(non_nt, None).is_none());
    let plain = exchange(NegotiateFlags::empty(), None).unwrap();
    assert!(plain.equals(&KEY));
    let extended = exchange(ESS | lm, None).unwrap();
    assert!(extended.equals(&hmac_md5(&KEY, &[&[1; 8], &[2; 8]])));
    let hash = LmHash::from_bytes(KEY);
    let from_lm = exchange(non_nt, Some(&hash)).unwrap();
    assert!(from_lm.equals(&[&KEY[..8], &[0; 8]].concat()));
}

#[test]
fn a_response_with_extended_session_security_depends_on_both_challenges() {
    let hash = NtHash::from_bytes(KEY);
    let response = danger::ntlmv1_ess_response(&hash, &[1; 8], &[2; 8]);
    assert_ne!(response, danger::ntlmv1_response(&hash, &[1; 8]));
    assert_ne!(
        response,
        danger::ntlmv1_ess_response(&hash, &[1; 8], &[3; 8])
    );
    assert_ne!(
        response,
        danger::ntlmv1_ess_response(&hash, &[0; 8], &[2; 8])
    );
    let lm = danger::lmv1_ess_response(&[2; 8]);
    assert_eq!((&lm[..8], &lm[8..]), (&[2; 8][..], &[0; 16][..]));
}

proptest! {
    /// Conformance row 154: what the client encrypts the server gets back, and another key gives another.
    #[test]
    fn row_154_an_exchanged_key_comes_back(exchange in any::<[u8; 16]>(), exported in any::<[u8; 16]>()) {
        let (exchange, exported) = (SessionKey::from(exchange), SessionKey::from(exported));
        let sent = compute::encrypted_session_key(&exchange, &exported);
        prop_assert!(compute::exported_session_key(&exchange, &sent).equals(exported.expose()));
        let mut other = *exchange.expose();
        other[0] ^= 1;
        let wrong = compute::exported_session_key(&SessionKey::from(other), &sent);
        prop_assert!(!wrong.equals(exported.expose()));
    }

    #[test]
    fn row_32_any_messages_have_a_mic(
        first in prop::collection::vec(any::<u8>(), 0..50),
        second in prop::collection::vec(any::<u8>(), 0..50),
        third in prop::collection::vec(any::<u8>(), 0..150),
    ) {
        let with_zeros_at = |offset: usize| {
            let mut zeroed = third.clone();
            zeroed.iter_mut().skip(offset).take(16).for_each(|byte| *byte = 0);
            hmac_md5(&KEY, &[&first, &second, &zeroed])
        };
        let mic = compute::mic(&key(), &first, &second, &third);
        prop_assert!(mic == with_zeros_at(72) || mic == with_zeros_at(64));
    }
}
