//! The primitives of NTLM against values that MS-NLMP section 4.2 prints, and against other implementations.

use proptest::prelude::*;
use rc4::cipher::{KeyInit, StreamCipher};
use trihound_crypto::Error;
use trihound_crypto::ntlm::danger::{LmHash, des, des_response, session_base_key};
use trihound_crypto::ntlm::{Crc32, HmacMd5Key, NtHash};
use trihound_crypto::rfc4757::{Rc4Stream, hmac_md5};
use trihound_secret::SecretString;

const NT_HASH: &str = "a4f49c406510bdcab6824ee7c30fd852";

fn nt_hash() -> NtHash {
    NtHash::from_password(&SecretString::from("Password"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_nt_hash_of_the_specification() {
    assert_eq!(hex(nt_hash().expose()), NT_HASH);
    let parsed = NtHash::parse_hex(&NT_HASH.to_uppercase()).unwrap();
    assert_eq!(parsed.expose(), nt_hash().expose());
    assert_eq!(parsed.duplicate().expose(), nt_hash().expose());
}

#[test]
fn a_hash_of_another_length_or_with_other_letters_is_refused() {
    let short = &NT_HASH[1..];
    let long = format!("{NT_HASH}0");
    let letters = NT_HASH.replace('f', "g");
    let signs = NT_HASH.replace("a4", "+4");
    let prefix = format!("0x{}", &NT_HASH[2..]);
    let wide = NT_HASH.replace("a4f", "é4");
    for text in ["", short, &long, &letters, &signs, &prefix, &wide] {
        let refused = NtHash::parse_hex(text).map(|_| ());
        assert_eq!(refused, Err(Error::NtHashNotHex), "{text:?}");
    }
}

#[test]
fn no_secret_is_printed() {
    let response_key = nt_hash().response_key("User", "Domain");
    let stream = Rc4Stream::new(nt_hash().expose());
    let shown = format!(
        "{:?} {response_key:?} {stream:?} {:?}",
        nt_hash(),
        LmHash::from_bytes([0xa4; 16])
    );
    for secret in ["a4", "164", "A4"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let error = Error::NtHashNotHex.to_string();
    assert!(!error.contains(NT_HASH), "{error}");
}

/// Conformance row 141: the user's case does not matter, the domain's does.
#[test]
fn the_user_in_upper_case_and_the_domain_as_typed() {
    let key = |user: &str, domain: &str| hex(nt_hash().response_key(user, domain).expose());
    assert_eq!(key("User", "Domain"), "0c868a403bfd7a93a3001ef22ef02e3f");
    assert_eq!(key("uSER", "Domain"), key("User", "Domain"));
    assert_ne!(key("User", "DOMAIN"), key("User", "Domain"));
    assert_eq!(key("straße", ""), key("STRAßE", ""));
    assert_ne!(key("straße", ""), key("STRASSE", ""));
    assert_ne!(key("ab", "c"), key("a", "bc"));
}

#[test]
fn passwords_without_an_lm_hash() {
    let hash = |text: &str| LmHash::from_password(&SecretString::from(text));
    assert_eq!(
        hash("Password").map(|hash| hex(hash.expose())).as_deref(),
        Some("e52cac67419a9a224a3b108f3fa6cb6d")
    );
    assert!(hash("fourteen chars").is_some());
    assert!(hash("fifteen letters").is_none());
    assert!(hash("pässword").is_none());
}

#[test]
fn des_ignores_parity_and_uses_every_bit_of_the_key() {
    // FIPS 81's example key 0123456789abcdef without its parity bits.
    let key = [0x00, 0x45, 0x13, 0x38, 0x95, 0x73, 0x77];
    assert_eq!(hex(&des(&key, b"Now is t")), "3fa40e8a984d4815");
    let base = des(&key, b"Now is t");
    for bit in 0..56 {
        let mut other = key;
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(des(&other, b"Now is t"), base, "bit {bit}");
    }
}

#[test]
fn the_responses_and_key_of_ntlmv1() {
    let challenge = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    assert_eq!(
        hex(&des_response(nt_hash().expose(), &challenge)),
        "67c43011f30298a2ad35ece64f16331c44bdbed927841f94"
    );
    assert_eq!(
        hex(session_base_key(&nt_hash()).expose()),
        "d87262b0cde4b1cb7499becccdf10784"
    );
}

#[test]
fn the_check_value_of_crc32() {
    let mut crc = Crc32::new();
    assert_eq!(crc.finish(), 0);
    crc.update(b"1234");
    crc.update(b"");
    crc.update(b"56789");
    assert_eq!(crc.finish(), 0xcbf4_3926);
}

#[test]
fn rc4_takes_keys_of_1_to_256_bytes() {
    assert!(Rc4Stream::with_key(&[]).is_none());
    assert!(Rc4Stream::with_key(&[0; 257]).is_none());
    // RFC 6229 section 2, keys of 40 and 128 bits.
    for (key, expected) in [
        (&[1, 2, 3, 4, 5][..], "b2396305f03dc027ccc3524a0a1118a8"),
        (
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16][..],
            "9ac7cc9a609d1ef7b2932899cde41b97",
        ),
    ] {
        let mut bytes = [0; 16];
        Rc4Stream::with_key(key).unwrap().apply(&mut bytes);
        assert_eq!(hex(&bytes), expected);
    }
}

proptest! {
    #[test]
    fn rc4_agrees_with_the_crate_of_that_name(
        key in prop::collection::vec(any::<u8>(), 1..=256),
        message in prop::collection::vec(any::<u8>(), 0..600),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut expected = message.clone();
        rc4::Rc4::new_from_slice(&key).unwrap().apply_keystream(&mut expected);
        let mut found = message.clone();
        let (front, back) = found.split_at_mut(cut.index(message.len() + 1));
        let mut stream = Rc4Stream::with_key(&key).unwrap();
        stream.apply(front);
        let saved = stream.duplicate();
        let mut twice = back.to_vec();
        stream.apply(back);
        stream.restore(&saved);
        stream.apply(&mut twice);
        prop_assert_eq!(&twice, &*back);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_kept_key_gives_the_mac_of_a_new_one(
        key in prop::collection::vec(any::<u8>(), 0..200),
        message in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let kept = HmacMd5Key::new(&key);
        let (front, back) = message.split_at(cut.index(message.len() + 1));
        let expected = hmac_md5(&key, &[&message]);
        prop_assert_eq!(kept.mac(&[front, back]), expected);
        let mut running = kept.start();
        running.update(front);
        running.update(back);
        prop_assert_eq!(running.finish(), expected);
        prop_assert_eq!(kept.mac(&[&message]), expected);
    }

    #[test]
    fn hexadecimal_digits_give_the_hash_back(hash in any::<[u8; 16]>()) {
        let parsed = NtHash::parse_hex(&hex(&hash)).unwrap();
        prop_assert_eq!(parsed.expose(), &hash);
    }
}
