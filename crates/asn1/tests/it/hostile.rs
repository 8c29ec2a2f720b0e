//! Bytes that no honest peer sends.

use proptest::prelude::*;
use trihound_asn1::registry::{RoundTripError, roundtrip_by_name, type_names};
use trihound_asn1::{
    AuthorizationData, DecodeError, MAX_DEPTH, MAX_MESSAGE_LENGTH, Message, MethodData,
    OctetString, PaData,
};

use crate::model::*;
use crate::samples;

fn decode_error(name: &str, der: &[u8]) -> DecodeError {
    match roundtrip_by_name(name, der).unwrap() {
        Err(RoundTripError::Decode(error)) => error,
        other => panic!("{name}: {other:?}"),
    }
}

/// Conformance row 45.
#[test]
fn row_45_no_front_part_of_a_message_is_a_message() {
    for (name, der) in samples::all() {
        for cut in 0..der.len() {
            assert!(
                matches!(
                    decode_error(name, &der[..cut]),
                    DecodeError::Truncated { .. }
                ),
                "{name} cut to {cut}"
            );
        }
    }
}

/// Conformance row 45.
#[test]
fn row_45_bytes_behind_a_message_are_refused() {
    for (name, mut der) in samples::all() {
        der.push(0);
        assert!(
            matches!(
                decode_error(name, &der),
                DecodeError::TrailingBytes { count: 1, .. }
            ),
            "{name}"
        );
    }
}

/// Conformance row 45: bounded depth.
#[test]
fn row_45_depth_is_bounded() {
    let nested = |levels: usize| (1..levels).fold(seq(&[]), |inner, _| seq(&[&inner]));
    assert_eq!(
        MethodData::from_der(&nested(MAX_DEPTH + 1)).unwrap_err(),
        DecodeError::TooDeep {
            type_name: "METHOD-DATA",
            offset: 2 * MAX_DEPTH,
            limit: MAX_DEPTH
        }
    );
    assert!(matches!(
        MethodData::from_der(&nested(MAX_DEPTH)).unwrap_err(),
        DecodeError::Malformed { .. }
    ));
    for name in type_names() {
        assert!(matches!(
            decode_error(name, &nested(10_000)),
            DecodeError::TooDeep { .. }
        ));
        assert!(matches!(
            decode_error(name, &[0xa0, 0x80].repeat(100_000)),
            DecodeError::IndefiniteLength { offset: 0, .. }
        ));
    }
}

/// Conformance row 45: a length of 4 GiB costs nothing, more octets are refused.
#[test]
fn row_45_lengths_do_not_overflow() {
    for (der, expected) in [
        (
            "3084ffffffff00",
            DecodeError::Truncated {
                type_name: "METHOD-DATA",
                offset: 0,
            },
        ),
        (
            "308500ffffffff",
            DecodeError::LengthTooLarge {
                type_name: "METHOD-DATA",
                offset: 0,
            },
        ),
        (
            "3088ffffffffffffffff",
            DecodeError::LengthTooLarge {
                type_name: "METHOD-DATA",
                offset: 0,
            },
        ),
        (
            "30ff",
            DecodeError::LengthTooLarge {
                type_name: "METHOD-DATA",
                offset: 0,
            },
        ),
        (
            "30047f003000",
            DecodeError::HighTagNumber {
                type_name: "METHOD-DATA",
                offset: 2,
            },
        ),
        (
            "3003300500",
            DecodeError::Truncated {
                type_name: "METHOD-DATA",
                offset: 2,
            },
        ),
    ] {
        assert_eq!(
            MethodData::from_der(&hex(der)).unwrap_err(),
            expected,
            "{der}"
        );
    }
}

/// Conformance row 45: a value may not reach out of its parent, even where the message goes on.
#[test]
fn row_45_a_value_lies_inside_its_parent() {
    let der = seq(&[&seq(&[&[0x04, 0x04]]), &[0; 4]]);
    assert_eq!(
        MethodData::from_der(&der).unwrap_err(),
        DecodeError::Truncated {
            type_name: "METHOD-DATA",
            offset: 4
        }
    );
}

/// The limits are those that the documentation reasons for, and leave room above the deepest message.
#[test]
fn limits_are_as_documented() {
    assert_eq!((MAX_MESSAGE_LENGTH, MAX_DEPTH), (1_048_576, 32));
    fn depth(der: &[u8]) -> usize {
        let mut rest = der;
        let mut deepest = 0;
        while let [identifier, first, ..] = rest {
            let (header, length) = match first {
                0x81 => (3, usize::from(rest[2])),
                0x82 => (4, usize::from(rest[2]) << 8 | usize::from(rest[3])),
                short => (2, usize::from(*short)),
            };
            if identifier & 0x20 != 0 {
                deepest = deepest.max(1 + depth(&rest[header..header + length]));
            }
            rest = &rest[header + length..];
        }
        deepest
    }
    let deepest = samples::all().iter().map(|(_, der)| depth(der)).max();
    assert_eq!(deepest, Some(12));
}

/// Conformance row 45: strings in pieces.
#[test]
fn row_45_constructed_strings_are_refused() {
    let pieces = tlv(0x24, &[&octets(b"a"), &octets(b"b")]);
    let der = seq(&[&ctx(1, &int(2)), &ctx(2, &pieces)]);
    assert_eq!(
        PaData::from_der(&der).unwrap_err(),
        DecodeError::ConstructedString {
            type_name: "PA-DATA",
            offset: 9
        }
    );
}

#[test]
fn size_is_bounded_before_anything_is_decoded() {
    let data = |length: usize| {
        let mut der = vec![0x30, 0x83];
        der.extend(&(length as u32).to_be_bytes()[1..]);
        der.resize(length + 5, 0);
        der
    };
    assert_eq!(
        AuthorizationData::from_der(&data(MAX_MESSAGE_LENGTH - 4)).unwrap_err(),
        DecodeError::TooLong {
            type_name: "AuthorizationData",
            length: MAX_MESSAGE_LENGTH + 1,
            limit: MAX_MESSAGE_LENGTH
        }
    );
    assert!(!matches!(
        AuthorizationData::from_der(&data(MAX_MESSAGE_LENGTH - 5)).unwrap_err(),
        DecodeError::TooLong { .. }
    ));
}

#[test]
fn no_type_is_taken_for_a_message_with_another_tag() {
    for (name, mut der) in samples::all() {
        der[0] ^= 0x01;
        let error = decode_error(name, &der);
        assert!(
            matches!(
                error,
                DecodeError::Malformed { .. }
                    | DecodeError::ConstructedString { .. }
                    | DecodeError::HighTagNumber { .. }
            ),
            "{name}: {error:?}"
        );
    }
}

/// One change to a message.
#[derive(Debug, Clone)]
enum Change {
    Flip { at: usize, with: u8 },
    Set { at: usize, to: u8 },
    Remove { at: usize, count: usize },
    Insert { at: usize, bytes: Vec<u8> },
    Repeat { at: usize, count: usize },
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<usize>();
    prop_oneof![
        (at, 1..=255_u8).prop_map(|(at, with)| Change::Flip { at, with }),
        (
            at,
            prop::sample::select(vec![0, 1, 0x7f, 0x80, 0x81, 0x84, 0xff, 0x30, 0xa0])
        )
            .prop_map(|(at, to)| Change::Set { at, to }),
        (at, 1..9_usize).prop_map(|(at, count)| Change::Remove { at, count }),
        (at, prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        (at, 1..40_usize).prop_map(|(at, count)| Change::Repeat { at, count }),
    ]
}

fn apply(der: &mut Vec<u8>, change: &Change) {
    if der.is_empty() {
        return;
    }
    let length = der.len();
    let span = |at: usize, count: usize| (at % length)..(at % length + count).min(length);
    match change {
        Change::Flip { at, with } => der[at % length] ^= with,
        Change::Set { at, to } => der[at % length] = *to,
        Change::Remove { at, count } => drop(der.drain(span(*at, *count))),
        Change::Insert { at, bytes } => {
            drop(der.splice(at % length..at % length, bytes.iter().copied()));
        }
        Change::Repeat { at, count } => {
            let copy = der[span(*at, *count)].to_vec();
            drop(der.splice(at % length..at % length, copy));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// No change to a message makes a decoder panic, and what it still takes, it writes in a form that it
    /// takes again with the same meaning.
    #[test]
    fn a_changed_message_is_refused_or_means_one_thing(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let samples = samples::all();
        let (name, der) = pick.get(&samples);
        let mut der = der.clone();
        changes.iter().for_each(|change| apply(&mut der, change));
        if let Ok(once) = roundtrip_by_name(name, &der).unwrap() {
            prop_assert_eq!(roundtrip_by_name(name, &once).unwrap().unwrap(), once);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for name in type_names() {
            if let Ok(once) = roundtrip_by_name(name, &bytes).unwrap() {
                prop_assert_eq!(roundtrip_by_name(name, &once).unwrap().unwrap(), once);
            }
        }
    }

    /// Whatever bytes an application carries, they come back.
    #[test]
    fn any_payload_comes_back(number in any::<i32>(), bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let data = PaData::new(number, bytes.clone());
        let decoded = PaData::from_der(&data.to_der().unwrap()).unwrap();
        prop_assert_eq!(decoded.padata_value, OctetString::from(bytes));
        prop_assert_eq!(decoded.padata_type, number);
    }
}
