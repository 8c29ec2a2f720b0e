//! Every single bit of what a peer sends counts, and so do key, usage and length.

use trihound_crypto::{Error, KeyUsage};

use crate::support::{AES, ALL, Counting, Part, Parts, anything, key};

const USAGE: KeyUsage = KeyUsage::AP_REQ_AUTH;

fn each_bit(bytes: &[u8], mut see: impl FnMut(&[u8])) {
    let mut altered = bytes.to_vec();
    for index in 0..bytes.len() {
        for bit in 0..8 {
            altered[index] ^= 1 << bit;
            see(&altered);
            altered[index] ^= 1 << bit;
        }
    }
}

/// Conformance rows 19 and 189.
#[test]
fn each_flipped_bit_of_a_ciphertext_fails() {
    for enctype in ALL {
        let key = key(enctype, 1);
        for length in [0, 1, 15, 16, 17, 40] {
            let plaintext: Vec<u8> = (0..length).collect();
            let ciphertext = key.encrypt(USAGE, &plaintext, &Counting).unwrap();
            assert_eq!(ciphertext.len(), key.ciphertext_length(plaintext.len()));
            assert_eq!(key.decrypt(USAGE, &ciphertext).unwrap().expose(), plaintext);
            each_bit(&ciphertext, |altered| {
                assert_eq!(
                    key.decrypt(USAGE, altered).unwrap_err(),
                    Error::IntegrityCheckFailed
                );
            });
        }
    }
}

/// Conformance row 27.
#[test]
fn a_ciphertext_of_each_shorter_length_is_refused_by_its_length() {
    for enctype in ALL {
        let key = key(enctype, 1);
        let minimum = key.profile().minimum_ciphertext();
        let ciphertext = key.encrypt(USAGE, b"", &Counting).unwrap();
        assert_eq!(ciphertext.len(), minimum);
        for actual in 0..minimum {
            assert_eq!(
                key.decrypt(USAGE, &ciphertext[..actual]).unwrap_err(),
                Error::CiphertextTooShort {
                    enctype,
                    minimum,
                    actual
                }
            );
        }
    }
}

#[test]
fn a_cut_or_lengthened_ciphertext_fails() {
    for enctype in ALL {
        let key = key(enctype, 1);
        let mut ciphertext = key.encrypt(USAGE, &[5; 48], &Counting).unwrap();
        let minimum = key.profile().minimum_ciphertext();
        for length in minimum..ciphertext.len() {
            for cut in [
                &ciphertext[..length],
                &ciphertext[ciphertext.len() - length..],
            ] {
                assert_eq!(
                    key.decrypt(USAGE, cut).unwrap_err(),
                    Error::IntegrityCheckFailed
                );
            }
        }
        ciphertext.push(0);
        assert_eq!(
            key.decrypt(USAGE, &ciphertext).unwrap_err(),
            Error::IntegrityCheckFailed
        );
    }
}

#[test]
fn another_usage_another_key_and_another_enctype_fail() {
    for enctype in ALL {
        let right = key(enctype, 1);
        let ciphertext = right.encrypt(USAGE, b"text", &Counting).unwrap();
        for usage in [0, 1, 10, 12, 11 << 8, u32::MAX] {
            assert_eq!(
                right.decrypt(KeyUsage(usage), &ciphertext).unwrap_err(),
                Error::IntegrityCheckFailed
            );
        }
        assert_eq!(
            key(enctype, 2).decrypt(USAGE, &ciphertext).unwrap_err(),
            Error::IntegrityCheckFailed
        );
        for other in ALL.into_iter().filter(|&other| other != enctype) {
            assert!(matches!(
                key(other, 1).decrypt(USAGE, &ciphertext).unwrap_err(),
                Error::IntegrityCheckFailed | Error::CiphertextTooShort { .. }
            ));
        }
    }
}

/// Conformance row 56: the pairs that are one usage for RC4, and the one that is not.
#[test]
fn rc4_maps_3_to_8_and_23_to_13_and_leaves_9() {
    let rc4 = key(ALL[4], 1);
    let opens = |made: u32, read: u32| {
        let ciphertext = rc4.encrypt(KeyUsage(made), b"text", &Counting).unwrap();
        rc4.decrypt(KeyUsage(read), &ciphertext).map(|_| ())
    };
    assert_eq!(opens(3, 8), Ok(()));
    assert_eq!(opens(23, 13), Ok(()));
    assert_eq!(opens(9, 8), Err(Error::IntegrityCheckFailed));
    assert_eq!(opens(9, 9), Ok(()));
    assert_eq!(
        trihound_crypto::rfc4757::usage_salt(KeyUsage(0x0102_0304)),
        [4, 3, 2, 1]
    );
    for enctype in AES {
        let key = key(enctype, 1);
        let ciphertext = key.encrypt(KeyUsage(3), b"text", &Counting).unwrap();
        assert_eq!(
            key.decrypt(KeyUsage(8), &ciphertext).unwrap_err(),
            Error::IntegrityCheckFailed
        );
    }
}

/// Conformance rows 18 and 189.
#[test]
fn each_flipped_bit_of_a_checksum_fails() {
    for enctype in ALL {
        let key = key(enctype, 1);
        for &kind in key.profile().checksums {
            let checksum = key.checksum(USAGE, kind, b"data").unwrap();
            let verify = |usage, data: &[u8], checksum: &[u8]| {
                key.verify_checksum(usage, kind, data, checksum)
            };
            assert_eq!(checksum.len(), key.profile().checksum_length);
            assert_eq!(verify(USAGE, b"data", &checksum), Ok(()));
            let failed = Err(Error::IntegrityCheckFailed);
            each_bit(&checksum, |altered| {
                assert_eq!(verify(USAGE, b"data", altered), failed);
            });
            each_bit(b"data", |altered| {
                assert_eq!(verify(USAGE, altered, &checksum), failed);
            });
            for length in 0..checksum.len() {
                assert_eq!(verify(USAGE, b"data", &checksum[..length]), failed);
            }
            let longer = [checksum.as_slice(), &[0]].concat();
            assert_eq!(verify(USAGE, b"data", &longer), failed);
            assert_eq!(verify(KeyUsage(12), b"data", &checksum), failed);
            assert_eq!(verify(USAGE, b"data\0", &checksum), failed);
        }
    }
}

/// The keys of encryption and of checksums differ, so one is no oracle for the other.
#[test]
fn the_mac_of_a_ciphertext_is_no_checksum_of_its_plaintext() {
    for enctype in AES {
        let key = key(enctype, 1);
        let ciphertext = key.encrypt(USAGE, b"", &Counting).unwrap();
        let (sealed, mac) = ciphertext.split_at(16);
        let confounder: Vec<u8> = (0..16).collect();
        for data in [confounder.as_slice(), sealed] {
            assert_eq!(
                key.verify_checksum(USAGE, key.required_checksum(), data, mac),
                Err(Error::IntegrityCheckFailed)
            );
        }
    }
}

#[test]
fn a_confounder_of_another_length_is_refused() {
    for enctype in ALL {
        let key = key(enctype, 1);
        let expected = key.profile().confounder_length;
        for actual in (0..=17).filter(|&length| length != expected) {
            assert_eq!(
                key.encrypt_with_confounder(USAGE, &vec![0; actual], b"text"),
                Err(Error::ConfounderLength {
                    enctype,
                    expected,
                    actual
                })
            );
        }
    }
}

fn scattered() -> Parts {
    Parts(vec![
        Part::Signed(b"header".to_vec()),
        Part::Sealed((0..16).collect()),
        Part::Sealed(b"a message of thirty-seven bytes, that".to_vec()),
        Part::Signed(b"between".to_vec()),
        Part::Sealed(b"end".to_vec()),
    ])
}

fn flip(message: &Parts, part: usize, index: usize, bit: u32) -> Parts {
    let mut altered = message.clone();
    match &mut altered.0[part] {
        Part::Sealed(bytes) | Part::Signed(bytes) => bytes[index] ^= 1 << bit,
    }
    altered
}

fn each_flip(message: &Parts, mut see: impl FnMut(Parts)) {
    for part in 0..message.0.len() {
        let (Part::Sealed(bytes) | Part::Signed(bytes)) = &message.0[part];
        for index in 0..bytes.len() {
            for bit in 0..8 {
                see(flip(message, part, index, bit));
            }
        }
    }
}

/// Conformance rows 19, 50 and 189: what is left of a scattered message that was altered.
#[test]
fn each_flipped_bit_of_a_scattered_message_fails_and_leaves_no_plaintext() {
    for enctype in AES {
        let wiped = matches!(enctype.0, 17 | 18);
        let key = key(enctype, 1).usage(USAGE).unwrap();
        let mut message = scattered();
        let mut mac = vec![0; key.profile().checksum_length];
        key.seal(&mut message, &mut mac).unwrap();
        let check = |mut altered: Parts, mac: &[u8]| {
            let before = altered.clone();
            assert_eq!(
                key.open(&mut altered, mac),
                Err(Error::IntegrityCheckFailed)
            );
            if wiped {
                assert!(altered.sealed_bytes().iter().all(|&byte| byte == 0));
            } else {
                assert_eq!(altered, before);
            }
        };
        each_flip(&message, |altered| check(altered, &mac));
        each_bit(&mac, |altered| check(message.clone(), altered));
        check(message.clone(), &mac[1..]);
        check(message.clone(), &[]);
        assert_eq!(key.open(&mut message, &mac), Ok(()));
        assert_eq!(message, scattered());
    }
}

/// Conformance row 189.
#[test]
fn each_flipped_bit_of_a_signed_message_fails() {
    for enctype in ALL {
        let key = key(enctype, 1).usage(USAGE).unwrap();
        let message = scattered();
        let mut mac = vec![0; key.profile().checksum_length];
        key.sign(&mut message.clone(), &mut mac).unwrap();
        assert_eq!(key.verify(&mut message.clone(), &mac), Ok(()));
        let failed = Err(Error::IntegrityCheckFailed);
        each_flip(&message, |mut altered| {
            assert_eq!(key.verify(&mut altered, &mac), failed);
        });
        each_bit(&mac, |altered| {
            assert_eq!(key.verify(&mut message.clone(), altered), failed);
        });
        assert_eq!(key.verify(&mut message.clone(), &mac[1..]), failed);
    }
}

/// Conformance row 27: below one block nothing is touched.
#[test]
fn a_scattered_message_below_one_block_is_refused_as_it_was() {
    for enctype in AES {
        let key = key(enctype, 1).usage(USAGE).unwrap();
        let mut mac = vec![0; key.profile().checksum_length];
        for actual in 0..16 {
            let message = Parts(vec![
                Part::Signed(vec![1; 40]),
                Part::Sealed(vec![2; actual / 2]),
                Part::Sealed(vec![3; actual - actual / 2]),
            ]);
            let refusal = Err(Error::SealedTooShort {
                minimum: 16,
                actual,
            });
            let mut touched = message.clone();
            assert_eq!(key.seal(&mut touched, &mut mac), refusal);
            assert_eq!(key.open(&mut touched, &mac), refusal);
            assert_eq!(touched, message);
        }
    }
}

#[test]
fn room_of_another_length_for_the_mac_is_refused_as_it_was() {
    for enctype in AES {
        let key = key(enctype, 1).usage(USAGE).unwrap();
        let expected = key.profile().checksum_length;
        for actual in [0, expected - 1, expected + 1] {
            let mut message = scattered();
            let mut mac = vec![0; actual];
            let refusal = Err(Error::ChecksumLength { expected, actual });
            assert_eq!(key.seal(&mut message, &mut mac), refusal);
            assert_eq!(key.sign(&mut message, &mut mac), refusal);
            assert_eq!(message, scattered());
        }
    }
}

#[test]
fn rc4_says_that_it_does_not_seal_in_place_or_derive() {
    let key = key(ALL[4], 1);
    let usage = key.usage(USAGE).unwrap();
    let mut message = scattered();
    let mut mac = [0; 16];
    assert!(matches!(
        usage.seal(&mut message, &mut mac),
        Err(Error::NotDefined { .. })
    ));
    assert!(matches!(
        usage.open(&mut message, &mac),
        Err(Error::NotDefined { .. })
    ));
    assert_eq!(message, scattered());
    assert!(matches!(
        key.derive(b"\0\0\0\x02\x99").unwrap_err(),
        Error::NotDefined { .. }
    ));
    assert!(anything().permits(ALL[4]));
}
