//! String-to-key: parameters, bounds, and passwords that are no text.

use trihound_crypto::{Enctype, EnctypePolicy, Error, Key, MAX_ITERATIONS, danger};

use crate::support::{AES, anything};

fn from_params(enctype: Enctype, params: &[u8], policy: &EnctypePolicy) -> Result<Key, Error> {
    Key::from_password(enctype, b"password", b"SALT", Some(params), policy)
}

fn default_iterations(enctype: Enctype) -> u32 {
    enctype.profile().unwrap().default_iterations.unwrap()
}

/// Conformance row 55.
#[test]
fn parameters_of_any_other_length_are_refused() {
    for enctype in AES {
        for actual in [0, 1, 2, 3, 5, 8, 64] {
            assert_eq!(
                from_params(enctype, &vec![0; actual], &anything()).unwrap_err(),
                Error::S2kParams {
                    enctype,
                    expected: 4,
                    actual
                }
            );
        }
    }
    for actual in [1, 4] {
        assert_eq!(
            from_params(Enctype::RC4_HMAC, &vec![0; actual], &anything()).unwrap_err(),
            Error::S2kParams {
                enctype: Enctype::RC4_HMAC,
                expected: 0,
                actual
            }
        );
    }
}

/// Conformance row 54.
#[test]
fn counts_of_zero_and_beyond_the_limit_are_refused_even_where_weak_ones_are_allowed() {
    for enctype in AES {
        for count in [0, MAX_ITERATIONS + 1, 1 << 24, u32::MAX] {
            assert_eq!(
                from_params(enctype, &count.to_be_bytes(), &anything()).unwrap_err(),
                Error::IterationCount {
                    enctype,
                    count,
                    minimum: 1,
                    maximum: MAX_ITERATIONS
                }
            );
        }
    }
}

/// Conformance row 54.
#[test]
fn a_count_below_the_default_needs_a_named_permission() {
    let policy = EnctypePolicy::default();
    let lenient = danger::permit_weak_iteration_counts(policy.clone());
    for enctype in AES {
        let minimum = default_iterations(enctype);
        for count in [1, 50, minimum - 1] {
            assert_eq!(
                from_params(enctype, &count.to_be_bytes(), &policy).unwrap_err(),
                Error::IterationCount {
                    enctype,
                    count,
                    minimum,
                    maximum: MAX_ITERATIONS
                }
            );
            assert!(from_params(enctype, &count.to_be_bytes(), &lenient).is_ok());
        }
    }
}

/// Conformance row 54: the count is big-endian, and leaving it out is the default.
#[test]
fn the_default_count_is_what_no_parameter_means() {
    let policy = EnctypePolicy::default();
    for enctype in AES {
        let count = default_iterations(enctype);
        let said = from_params(enctype, &count.to_be_bytes(), &policy).unwrap();
        let unsaid = Key::from_password(enctype, b"password", b"SALT", None, &policy).unwrap();
        assert_eq!(said.expose(), unsaid.expose());
        let more = from_params(enctype, &(count + 1).to_be_bytes(), &policy).unwrap();
        assert_ne!(said.expose(), more.expose());
    }
}

#[test]
fn password_and_salt_each_change_an_aes_key() {
    let policy = anything();
    for enctype in AES {
        let key = |password: &[u8], salt: &[u8]| {
            Key::from_password(enctype, password, salt, Some(&[0, 0, 0, 1]), &policy)
                .unwrap()
                .expose()
                .to_vec()
        };
        let one = key(b"password", b"SALT");
        assert_ne!(one, key(b"passwore", b"SALT"));
        assert_ne!(one, key(b"password", b"SALU"));
        // The border between password and salt counts, and a long password is hashed as HMAC says.
        assert_ne!(one, key(b"passwordS", b"ALT"));
        assert_ne!(key(&[7; 200], b"SALT"), key(&[7; 201], b"SALT"));
        assert_eq!(key(&[0xff, 0xfe], b"").len(), one.len());
    }
}

/// Conformance row 57.
#[test]
fn rc4_takes_the_password_as_utf16_and_refuses_what_is_no_text() {
    let policy = anything();
    let rc4 = |password: &[u8]| {
        Key::from_password(Enctype::RC4_HMAC, password, b"ignored", None, &policy)
    };
    // A character beyond the first plane is two units: d83d dd11.
    let key = rc4("\u{1f511}".as_bytes()).unwrap();
    assert_eq!(
        key.expose(),
        trihound_crypto::unkeyed_checksum(
            trihound_crypto::ChecksumType::RSA_MD4,
            &[0x3d, 0xd8, 0x11, 0xdd]
        )
        .unwrap()
    );
    for bad in [&[0xff][..], &[0xc3], &[0xed, 0xa0, 0x80], b"abc\x80"] {
        assert_eq!(rc4(bad).unwrap_err(), Error::PasswordNotUtf8);
    }
}
