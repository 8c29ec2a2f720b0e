//! What a policy permits, and keys of the wrong shape.

use trihound_crypto::{
    ChecksumType, Enctype, EnctypePolicy, Error, Key, KeyUsage, OsRandom, Status, danger,
    krb_fx_cf2,
};
use trihound_sansio::RandomSource;

use crate::support::{AES, ALL, Broken, Counting, anything, failure, key};

/// Conformance row 58.
#[test]
fn rc4_is_refused_until_danger_permits_it_by_name() {
    let rc4 = Enctype::RC4_HMAC;
    let policy = EnctypePolicy::default();
    assert_eq!(
        Key::new(rc4, &[0; 16], &policy).unwrap_err(),
        Error::WeakEnctype(rc4)
    );
    assert_eq!(
        Key::generate(rc4, &policy, &Counting).unwrap_err(),
        Error::WeakEnctype(rc4)
    );
    assert_eq!(
        Key::from_password(rc4, b"password", b"", None, &policy).unwrap_err(),
        Error::WeakEnctype(rc4)
    );
    let aes = key(AES[0], 1);
    assert_eq!(
        krb_fx_cf2(&aes, &aes, b"a", b"b", rc4, &policy).unwrap_err(),
        Error::WeakEnctype(rc4)
    );
    assert_eq!(
        EnctypePolicy::only(&[AES[0], rc4]).unwrap_err(),
        Error::WeakEnctype(rc4)
    );
    let permitted = danger::permit_weak_enctypes(policy, &[rc4]);
    assert_eq!(permitted.enctypes().last(), Some(&rc4));
    assert!(Key::new(rc4, &[0; 16], &permitted).is_ok());
    assert_eq!(
        danger::only_with_weak(&[rc4]).unwrap().enctypes(),
        [rc4].as_slice()
    );
}

/// Conformance row 58: no permission makes a DES, triple DES or RC4-EXP key.
#[test]
fn what_is_not_supported_stays_out_whatever_is_permitted() {
    for number in [-1, 0, 1, 3, 5, 7, 16, 24, 25, 26, i32::MIN, i32::MAX] {
        let enctype = Enctype(number);
        let policy = danger::permit_weak_enctypes(EnctypePolicy::default(), &[enctype]);
        assert!(!policy.permits(enctype));
        assert_eq!(
            Key::new(enctype, &[0; 16], &policy).unwrap_err(),
            Error::UnknownEnctype(enctype)
        );
        assert_eq!(
            EnctypePolicy::only(&[enctype]).unwrap_err(),
            Error::UnknownEnctype(enctype)
        );
        assert_eq!(
            danger::only_with_weak(&[enctype]).unwrap_err(),
            Error::UnknownEnctype(enctype)
        );
        assert_eq!(enctype.to_string(), format!("etype {number}"));
    }
}

#[test]
fn a_policy_permits_exactly_its_list_in_its_order() {
    assert_eq!(
        EnctypePolicy::default().enctypes(),
        [18, 17, 20, 19].map(Enctype).as_slice()
    );
    let policy = EnctypePolicy::only(&[AES[2], AES[0], AES[2]]).unwrap();
    assert_eq!(policy.enctypes(), [AES[2], AES[0]].as_slice());
    assert_eq!(policy.check(AES[0]), Ok(()));
    assert_eq!(policy.check(AES[1]), Err(Error::NotPermitted(AES[1])));
    assert_eq!(
        Key::new(AES[1], &[0; 32], &policy).unwrap_err(),
        Error::NotPermitted(AES[1])
    );
    assert_eq!(EnctypePolicy::only(&[]), Err(Error::NoEnctype));
    assert_eq!(danger::only_with_weak(&[]), Err(Error::NoEnctype));
}

#[test]
fn the_default_policy_is_every_recommended_enctype() {
    for enctype in ALL {
        let status = enctype.profile().unwrap().status;
        assert_eq!(
            EnctypePolicy::default().permits(enctype),
            status == Status::Recommended,
            "{enctype}"
        );
    }
}

/// Conformance row 62.
#[test]
fn a_key_of_any_other_length_is_refused() {
    for enctype in ALL {
        let expected = enctype.profile().unwrap().key_length;
        for actual in (0..=40).filter(|&length| length != expected) {
            assert_eq!(
                Key::new(enctype, &vec![0; actual], &anything()).unwrap_err(),
                Error::KeyLength {
                    enctype,
                    expected,
                    actual
                }
            );
        }
    }
}

#[test]
fn names_and_aliases_lead_back_to_the_number() {
    let known = [
        ("aes256-cts", AES[1]),
        ("AES128-CTS-HMAC-SHA1-96", AES[0]),
        ("aes128-sha2", AES[2]),
        ("aes256-cts-hmac-sha384-192", AES[3]),
        ("rc4-hmac", Enctype::RC4_HMAC),
        ("arcfour-hmac", Enctype::RC4_HMAC),
    ];
    for (name, enctype) in known {
        assert_eq!(Enctype::from_name(name), Some(enctype), "{name}");
    }
    for name in [
        "",
        "des-cbc-crc",
        "des3-cbc-sha1",
        "arcfour-hmac-exp",
        "aes",
    ] {
        assert_eq!(Enctype::from_name(name), None, "{name}");
    }
    for enctype in ALL {
        assert_eq!(Enctype::from_name(enctype.name().unwrap()), Some(enctype));
        assert_eq!(enctype.to_string(), enctype.name().unwrap());
    }
}

/// Conformance row 60.
#[test]
fn a_source_of_randomness_that_fails_makes_neither_key_nor_message() {
    for enctype in ALL {
        assert_eq!(
            Key::generate(enctype, &anything(), &Broken).unwrap_err(),
            Error::Random(failure())
        );
        assert_eq!(
            key(enctype, 1)
                .encrypt(KeyUsage(7), b"text", &Broken)
                .unwrap_err(),
            Error::Random(failure())
        );
    }
}

/// Conformance row 60.
#[test]
fn the_operating_system_gives_other_bytes_each_time() {
    let mut draws = [[0u8; 32]; 4];
    for draw in &mut draws {
        OsRandom.fill(draw).unwrap();
    }
    for (i, draw) in draws.iter().enumerate() {
        assert!(!draws[i + 1..].contains(draw));
    }
    let policy = anything();
    for enctype in ALL {
        let one = Key::generate(enctype, &policy, &OsRandom).unwrap();
        let other = Key::generate(enctype, &policy, &OsRandom).unwrap();
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), enctype.profile().unwrap().key_length);
        let first = one.encrypt(KeyUsage(7), b"text", &OsRandom).unwrap();
        let second = one.encrypt(KeyUsage(7), b"text", &OsRandom).unwrap();
        assert_ne!(first, second);
    }
}

/// Conformance row 61.
#[test]
fn debug_shows_the_enctype_and_no_byte_of_the_key() {
    for enctype in ALL {
        let key = key(enctype, 0xa5);
        assert_eq!(format!("{key:?}"), format!("Key({enctype})"));
        let usage = key.usage(KeyUsage(22)).unwrap();
        assert_eq!(
            format!("{usage:?}"),
            format!("UsageKey({enctype}, KeyUsage(22))")
        );
    }
}

#[test]
fn a_key_derives_a_usage_once_and_no_usage_makes_it_grow_without_end() {
    let key = key(AES[1], 3);
    let one = key.usage(KeyUsage(24)).unwrap();
    let again = key.usage(KeyUsage(24)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&one, &again));
    for usage in 1000..1100 {
        let ciphertext = key.encrypt(KeyUsage(usage), b"x", &Counting).unwrap();
        assert_eq!(
            key.decrypt(KeyUsage(usage), &ciphertext).unwrap().expose(),
            b"x"
        );
    }
    assert!(std::sync::Arc::ptr_eq(
        &one,
        &key.usage(KeyUsage(24)).unwrap()
    ));
}

#[test]
fn a_duplicate_does_what_its_original_does() {
    for enctype in ALL {
        let key = key(enctype, 9);
        let other = key.duplicate();
        let ciphertext = key.encrypt(KeyUsage(3), b"text", &Counting).unwrap();
        assert_eq!(
            other.decrypt(KeyUsage(3), &ciphertext).unwrap().expose(),
            b"text"
        );
    }
}

/// Conformance row 21: every type that exists against every key.
#[test]
fn a_checksum_type_of_another_enctype_is_refused() {
    let keyed = [
        ChecksumType::HMAC_SHA1_96_AES128,
        ChecksumType::HMAC_SHA1_96_AES256,
        ChecksumType::HMAC_SHA256_128_AES128,
        ChecksumType::HMAC_SHA384_192_AES256,
        ChecksumType::HMAC_MD5,
        ChecksumType::MD5_HMAC_ARCFOUR,
    ];
    for enctype in ALL {
        let key = key(enctype, 1);
        for kind in keyed {
            let made = key.checksum(KeyUsage(6), kind, b"data");
            if key.profile().checksums.contains(&kind) {
                assert!(made.is_ok());
                continue;
            }
            let refusal = Error::ChecksumTypeNotOfEnctype {
                checksum: kind,
                enctype,
            };
            assert_eq!(made.unwrap_err(), refusal);
            assert_eq!(
                key.verify_checksum(KeyUsage(6), kind, b"data", &[0; 12]),
                Err(refusal)
            );
        }
        assert_eq!(key.required_checksum(), key.profile().checksums[0]);
    }
}

/// Conformance row 20: not even the right value of an unkeyed checksum is accepted.
#[test]
fn an_unkeyed_checksum_is_refused_by_every_key() {
    for enctype in ALL {
        let key = key(enctype, 1);
        for kind in [1, 2, 7, 14].map(ChecksumType) {
            let right = trihound_crypto::unkeyed_checksum(kind, b"data").unwrap();
            assert_eq!(
                key.verify_checksum(KeyUsage(6), kind, b"data", &right),
                Err(Error::UnkeyedChecksum(kind))
            );
            assert_eq!(
                key.checksum(KeyUsage(6), kind, b"data"),
                Err(Error::UnkeyedChecksum(kind))
            );
        }
        for kind in [0, 3, 8, 12, 17, 18, 0x8003].map(ChecksumType) {
            assert_eq!(
                key.verify_checksum(KeyUsage(6), kind, b"data", &[0; 16]),
                Err(Error::UnknownChecksum(kind))
            );
        }
    }
}

/// Conformance row 20: the other way round, no keyed type goes through the unkeyed function.
#[test]
fn the_unkeyed_function_knows_four_types() {
    let length = |kind| {
        trihound_crypto::unkeyed_checksum(ChecksumType(kind), b"").map(|checksum| checksum.len())
    };
    assert_eq!([1, 2, 7, 14].map(length), [Ok(4), Ok(16), Ok(16), Ok(20)]);
    for kind in [15, 16, 19, 20, -137, -138, 0, 0x8003] {
        assert_eq!(
            length(kind),
            Err(Error::UnknownChecksum(ChecksumType(kind)))
        );
    }
}

/// RFC 3961 appendix A.5 prints these CRCs, first byte first.
#[test]
fn crc32_is_without_the_inversions() {
    let cases: [(&[u8], [u8; 4]); 8] = [
        (b"foo", [0x33, 0xbc, 0x32, 0x73]),
        (b"test0123456789", [0xd6, 0x88, 0x3e, 0xb8]),
        (
            b"MASSACHVSETTS INSTITVTE OF TECHNOLOGY",
            [0xf7, 0x80, 0x41, 0xe3],
        ),
        (&[0x80, 0x00], [0x4b, 0x98, 0x83, 0x3b]),
        (&[0x00, 0x08], [0x32, 0x88, 0xdb, 0x0e]),
        (&[0x80], [0x20, 0x83, 0xb8, 0xed]),
        (&[0x80, 0, 0, 0], [0x3b, 0xb6, 0x59, 0xed]),
        (&[0, 0, 0, 1], [0x96, 0x30, 0x07, 0x77]),
    ];
    for (data, expected) in cases {
        assert_eq!(
            trihound_crypto::unkeyed_checksum(ChecksumType::CRC32, data).unwrap(),
            expected,
            "{data:02x?}"
        );
    }
}

#[test]
fn keys_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let key = key(AES[3], 1);
    shared(&key);
    std::thread::scope(|scope| {
        for usage in 1..9 {
            let key = &key;
            scope.spawn(move || {
                let ciphertext = key.encrypt(KeyUsage(usage), b"text", &OsRandom).unwrap();
                for _ in 0..20 {
                    assert_eq!(
                        key.decrypt(KeyUsage(usage), &ciphertext).unwrap().expose(),
                        b"text"
                    );
                }
            });
        }
    });
}

/// Conformance row 63: the result's enctype decides its length, and each input counts.
#[test]
fn cf2_depends_on_both_keys_both_peppers_and_their_order() {
    let policy = anything();
    for out in ALL {
        let combine = |one: &Key, two: &Key, a: &[u8], b: &[u8]| {
            krb_fx_cf2(one, two, a, b, out, &policy)
                .unwrap()
                .expose()
                .to_vec()
        };
        let (one, two) = (key(AES[0], 1), key(AES[3], 2));
        let key = combine(&one, &two, b"a", b"b");
        assert_eq!(key.len(), out.profile().unwrap().key_length);
        assert_ne!(key, combine(&two, &one, b"a", b"b"));
        assert_ne!(key, combine(&one, &two, b"b", b"a"));
        assert_ne!(key, combine(&one, &two, b"a", b"c"));
        assert_eq!(key, combine(&two, &one, b"b", b"a"));
    }
}
