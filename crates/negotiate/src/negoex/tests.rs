//! Messages put together by hand, and each of their fields wrong.

// The tests fail loudly; their inputs are ours.
#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]

use proptest::prelude::*;

use super::*;

const CONVERSATION: Guid = [0xc0; 16];
const SCHEME: Guid = [0x5c; 16];
const OTHER_SCHEME: Guid = [0x0d; 16];
const RANDOM: [u8; 32] = [0x77; 32];

/// Where the fields of MESSAGE_HEADER lie.
const TYPE: usize = 8;
const SEQUENCE: usize = 12;
const HEADER_LENGTH: usize = 16;
const MESSAGE_LENGTH: usize = 20;

/// A header of `header_length` bytes with `fixed` behind its common part, and the payload.
fn message(
    kind: u32,
    sequence: u32,
    header_length: usize,
    fixed: &[&[u8]],
    payload: &[u8],
) -> Vec<u8> {
    let mut out = b"NEGOEXTS".to_vec();
    let length = header_length + payload.len();
    for number in [kind, sequence, header_length as u32, length as u32] {
        out.extend(number.to_le_bytes());
    }
    out.extend(CONVERSATION);
    for part in fixed {
        out.extend_from_slice(part);
    }
    assert!(out.len() <= header_length);
    out.resize(header_length, 0);
    out.extend_from_slice(payload);
    out
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn nego(
    sequence: u32,
    version: u64,
    schemes: [u32; 2],
    extensions: [u32; 2],
    payload: &[u8],
) -> Vec<u8> {
    let fixed: [&[u8]; 4] = [
        &RANDOM,
        &version.to_le_bytes(),
        &words(&schemes),
        &words(&extensions),
    ];
    message(0, sequence, 96, &fixed, payload)
}

fn two_schemes(sequence: u32) -> Vec<u8> {
    nego(
        sequence,
        0,
        [96, 2],
        [0, 0],
        &[SCHEME, OTHER_SCHEME].concat(),
    )
}

fn exchange(kind: u32, sequence: u32, offset: u32, length: u32, payload: &[u8]) -> Vec<u8> {
    message(
        kind,
        sequence,
        64,
        &[&SCHEME, &words(&[offset, length])],
        payload,
    )
}

fn verify(sequence: u32, header_length: u32, scheme: u32) -> Vec<u8> {
    let fixed = words(&[header_length, scheme, 16, 80, 12]);
    message(6, sequence, 80, &[&SCHEME, &fixed], &[0xcc; 12])
}

/// The pulse that Windows knows: VERIFY_NO_KEY.
fn alert(sequence: u32, count: u32) -> Vec<u8> {
    let fixed = words(&[0xc000_0001, 72, count]);
    let payload = words(&[1, 84, 8, 8, 1]);
    message(7, sequence, 72, &[&SCHEME, &fixed], &payload)
}

fn with(mut message: Vec<u8>, at: usize, number: u32) -> Vec<u8> {
    message[at..at + 4].copy_from_slice(&number.to_le_bytes());
    message
}

fn refused(token: &[u8]) -> NegoExError {
    let mut conversation = Conversation::default();
    let error = conversation.read(token).unwrap_err();
    assert_eq!(conversation, Conversation::default(), "nothing is kept");
    error
}

/// Conformance row 176: every type of message, in one conversation.
#[test]
fn row_176_every_type_of_message_is_read() {
    let token = [
        two_schemes(0),
        exchange(2, 1, 64, 4, b"meta"),
        exchange(5, 2, 65, 3, b"xreq"),
        verify(3, 20, 1),
        alert(4, 1),
    ]
    .concat();
    let mut conversation = Conversation::default();
    let messages = conversation.read(&token).unwrap();
    assert_eq!(conversation.id(), Some(CONVERSATION));
    let kinds: Vec<MessageType> = messages
        .iter()
        .map(|message| message.message_type)
        .collect();
    assert_eq!(
        kinds,
        [
            MessageType::InitiatorNego,
            MessageType::InitiatorMetaData,
            MessageType::ApRequest,
            MessageType::Verify,
            MessageType::Alert
        ]
    );
    let bodies: Vec<Body<'_>> = messages.into_iter().map(|message| message.body).collect();
    assert_eq!(
        bodies,
        [
            Body::Nego {
                random: RANDOM,
                auth_schemes: vec![SCHEME, OTHER_SCHEME],
                extensions: vec![]
            },
            Body::Exchange {
                auth_scheme: SCHEME,
                exchange: b"meta"
            },
            Body::Exchange {
                auth_scheme: SCHEME,
                exchange: b"req"
            },
            Body::Verify {
                auth_scheme: SCHEME,
                checksum_type: 16,
                checksum: &[0xcc; 12]
            },
            Body::Alert {
                auth_scheme: SCHEME,
                error_code: 0xc000_0001,
                alerts: vec![(1, &words(&[8, 1])[..])]
            },
        ]
    );
    conversation.sent();
    assert!(conversation.read(&exchange(4, 6, 64, 0, b"")).is_ok());
}

/// Conformance row 176: the header's length, which CVE-2026-40356 left unchecked.
#[test]
fn row_176_a_header_must_be_as_long_as_its_type_and_within_the_message() {
    for (token, least) in [
        (two_schemes(0), 96),
        (exchange(4, 0, 64, 1, b"x"), 64),
        (verify(0, 20, 1), 76),
        (alert(0, 1), 68),
    ] {
        let most = token.len();
        for claimed in [0, 8, 40, least as u32 - 1, most as u32 + 1, u32::MAX] {
            assert_eq!(
                refused(&with(token.clone(), HEADER_LENGTH, claimed)),
                NegoExError::HeaderLength {
                    claimed,
                    least,
                    most
                }
            );
        }
    }
    let shorter = with(verify(0, 20, 1), HEADER_LENGTH, 76);
    assert!(
        Conversation::default().read(&shorter).is_ok(),
        "without padding"
    );
}

/// Conformance row 176: the message's length.
#[test]
fn row_176_a_message_must_lie_within_its_token() {
    let token = two_schemes(0);
    for claimed in [token.len() as u32 + 1, u32::MAX] {
        assert_eq!(
            refused(&with(token.clone(), MESSAGE_LENGTH, claimed)),
            NegoExError::MessageLength {
                claimed,
                present: token.len()
            }
        );
    }
    for present in [0, 1, 39] {
        assert_eq!(
            refused(&token[..present]),
            NegoExError::Truncated { offset: 0, present }
        );
        let second = [&token, &token[..present]].concat();
        if present > 0 {
            assert_eq!(
                refused(&second),
                NegoExError::Truncated {
                    offset: token.len(),
                    present
                }
            );
        }
    }
}

#[test]
fn a_message_of_another_kind_is_refused() {
    let mut token = two_schemes(0);
    token[7] = b'!';
    assert_eq!(refused(&token), NegoExError::Signature { offset: 0 });
    for found in [8, u32::MAX] {
        assert_eq!(
            refused(&with(two_schemes(0), TYPE, found)),
            NegoExError::MessageType { found }
        );
    }
    for found in [1, u64::MAX] {
        assert_eq!(
            refused(&nego(0, found, [0, 0], [0, 0], &[])),
            NegoExError::ProtocolVersion { found }
        );
    }
    for found in [0, 19, 21] {
        assert_eq!(
            refused(&verify(0, found, 1)),
            NegoExError::ChecksumHeaderLength { found }
        );
    }
    for found in [0, 2] {
        assert_eq!(
            refused(&verify(0, 20, found)),
            NegoExError::ChecksumScheme { found }
        );
    }
}

/// Conformance row 176: numbers go up by one, also over several tokens, and the name stays.
#[test]
fn row_176_order_and_conversation_are_checked() {
    assert_eq!(
        refused(&two_schemes(1)),
        NegoExError::SequenceNumber {
            found: 1,
            expected: 0
        }
    );
    let repeated = [two_schemes(0), two_schemes(0)].concat();
    assert_eq!(
        refused(&repeated),
        NegoExError::SequenceNumber {
            found: 0,
            expected: 1
        }
    );
    let mut conversation = Conversation::default();
    conversation.read(&two_schemes(0)).unwrap();
    conversation.sent();
    let before = conversation;
    let gap = with(exchange(5, 2, 64, 0, b""), SEQUENCE, 3);
    assert_eq!(
        conversation.read(&gap),
        Err(NegoExError::SequenceNumber {
            found: 3,
            expected: 2
        })
    );
    let mut other = exchange(5, 2, 64, 0, b"");
    other[24] ^= 1;
    assert_eq!(conversation.read(&other), Err(NegoExError::ConversationId));
    assert_eq!(conversation, before);
    assert!(conversation.read(&exchange(5, 2, 64, 0, b"")).is_ok());
}

/// Conformance row 176: offsets, which CVE-2022-37958 and CVE-2026-40355 are about.
#[test]
fn row_176_a_vector_must_lie_in_the_payload() {
    for (offset, count) in [
        (0, 1),
        (95, 1),
        (96, 3),
        (97, 2),
        (128, 1),
        (129, 1),
        (u32::MAX, 1),
    ] {
        let token = nego(0, 0, [offset, count], [0, 0], &[0; 32]);
        assert_eq!(refused(&token), NegoExError::Vector { offset, count });
        let token = nego(0, 0, [0, 0], [offset, count], &[0; 23]);
        assert_eq!(refused(&token), NegoExError::Vector { offset, count });
    }
    for (offset, count) in [
        (64, 5),
        (63, 1),
        (68, 1),
        (64, u32::MAX),
        (u32::MAX, u32::MAX),
    ] {
        let token = exchange(5, 0, offset, count, b"four");
        assert_eq!(refused(&token), NegoExError::Vector { offset, count });
    }
    let value = with(alert(0, 1), 72 + 8, 9);
    assert_eq!(
        refused(&value),
        NegoExError::Vector {
            offset: 84,
            count: 9
        }
    );
    let empty = nego(0, 0, [u32::MAX, 0], [0, 0], &[]);
    assert!(
        Conversation::default().read(&empty).is_ok(),
        "nobody looks there"
    );
}

/// Conformance row 176.
#[test]
fn row_176_a_critical_extension_is_refused_and_another_read() {
    let payload = |kind: u32| [words(&[kind, 108, 3]), b"abc".to_vec()].concat();
    let token = nego(0, 0, [0, 0], [96, 1], &payload(0x8000_0001));
    assert_eq!(
        refused(&token),
        NegoExError::CriticalExtension {
            extension_type: 0x8000_0001
        }
    );
    let token = nego(0, 0, [0, 0], [96, 1], &payload(0x7fff_ffff));
    let messages = Conversation::default().read(&token).unwrap();
    let Body::Nego { extensions, .. } = &messages[0].body else {
        panic!("the type is NEGO");
    };
    assert_eq!(extensions, &[(0x7fff_ffff, &b"abc"[..])]);
}

#[test]
fn the_limits_are_reached_and_not_passed() {
    let schemes = |count: usize| nego(0, 0, [96, count as u32], [0, 0], &vec![1; count * 16]);
    assert!(
        Conversation::default()
            .read(&schemes(MAX_AUTH_SCHEMES))
            .is_ok()
    );
    assert_eq!(
        refused(&schemes(MAX_AUTH_SCHEMES + 1)),
        NegoExError::TooMany {
            what: "authentication schemes",
            count: 65,
            limit: 64
        }
    );
    let extensions = |count: usize| nego(0, 0, [0, 0], [96, count as u32], &vec![0; count * 12]);
    assert!(
        Conversation::default()
            .read(&extensions(MAX_EXTENSIONS))
            .is_ok()
    );
    assert_eq!(
        refused(&extensions(MAX_EXTENSIONS + 1)),
        NegoExError::TooMany {
            what: "extensions",
            count: 65,
            limit: 64
        }
    );
    let alerts = |count: usize| {
        let fixed = words(&[0, 72, count as u32]);
        message(7, 0, 72, &[&SCHEME, &fixed], &vec![0; count * 12])
    };
    assert!(Conversation::default().read(&alerts(MAX_ALERTS)).is_ok());
    assert_eq!(
        refused(&alerts(MAX_ALERTS + 1)),
        NegoExError::TooMany {
            what: "alerts",
            count: 17,
            limit: 16
        }
    );
    let messages =
        |count: u32| -> Vec<u8> { (0..count).flat_map(|n| exchange(5, n, 0, 0, b"")).collect() };
    assert!(
        Conversation::default()
            .read(&messages(MAX_MESSAGES as u32))
            .is_ok()
    );
    assert_eq!(
        refused(&messages(MAX_MESSAGES as u32 + 1)),
        NegoExError::TooMany {
            what: "messages of one token",
            count: 17,
            limit: 16
        }
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(token in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut conversation = Conversation::default();
        if conversation.read(&token).is_err() {
            prop_assert_eq!(conversation, Conversation::default());
        }
    }

    #[test]
    fn a_message_with_one_byte_changed_is_read_or_refused(at in 0_usize..600, xor in 1_u8..) {
        let mut token = [two_schemes(0), exchange(5, 1, 64, 4, b"meta"), verify(2, 20, 1), alert(3, 1)].concat();
        let at = at % token.len();
        token[at] ^= xor;
        let mut conversation = Conversation::default();
        if conversation.read(&token).is_err() {
            prop_assert_eq!(conversation, Conversation::default());
        }
    }
}
