//! The bare mode: one block, every length, and what it refuses (RFC 3962 section 5).

use trihound_crypto::{Enctype, Error, cts_decrypt, cts_encrypt};

use crate::support::unhex;

const KEY: &[u8; 16] = b"chicken teriyaki";

/// Conformance row 49: one block is plain CBC. The value is the first ciphertext block of every
/// longer message of RFC 3962 appendix B.
#[test]
fn one_block_is_plain_cbc() {
    let mut bytes = *b"I would like the";
    let next = cts_encrypt(KEY, &[0; 16], &mut bytes).unwrap();
    let mut longer = *b"I would like the General Gau's C";
    cts_encrypt(KEY, &[0; 16], &mut longer).unwrap();
    // The swap puts the first block of two behind the second.
    assert_eq!(bytes, longer[16..]);
    assert_eq!(bytes.to_vec(), unhex("97687268d6ecccc0c07b25e25ecfe584"));
    assert_eq!(next, bytes);
    assert_eq!(cts_decrypt(KEY, &[0; 16], &mut bytes).unwrap(), next);
    assert_eq!(&bytes, b"I would like the");
}

#[test]
fn every_length_comes_back_with_either_key_and_any_iv() {
    for key in [vec![1; 16], vec![2; 32]] {
        for length in 16..200 {
            let plaintext: Vec<u8> = (0..length).collect();
            let (mut bytes, mut other) = (plaintext.clone(), plaintext.clone());
            let next = cts_encrypt(&key, &[3; 16], &mut bytes).unwrap();
            cts_encrypt(&key, &[4; 16], &mut other).unwrap();
            assert_ne!(bytes, other);
            assert_eq!(cts_decrypt(&key, &[3; 16], &mut bytes).unwrap(), next);
            assert_eq!(bytes, plaintext);
        }
    }
}

#[test]
fn less_than_a_block_and_keys_of_other_lengths_are_refused_as_they_were() {
    for length in 0..16 {
        let mut bytes = vec![7; length];
        let refusal = Err(Error::SealedTooShort {
            minimum: 16,
            actual: length,
        });
        assert_eq!(cts_encrypt(KEY, &[0; 16], &mut bytes), refusal);
        assert_eq!(cts_decrypt(KEY, &[0; 16], &mut bytes), refusal);
        assert_eq!(bytes, vec![7; length]);
    }
    for actual in [0, 15, 17, 24, 31, 33] {
        let mut bytes = [7; 32];
        let refusal = Err(Error::KeyLength {
            enctype: Enctype::AES128_CTS_HMAC_SHA1_96,
            expected: 16,
            actual,
        });
        assert_eq!(cts_encrypt(&vec![0; actual], &[0; 16], &mut bytes), refusal);
        assert_eq!(cts_decrypt(&vec![0; actual], &[0; 16], &mut bytes), refusal);
        assert_eq!(bytes, [7; 32]);
    }
}
