//! Messages through SSPI's buffers.

use std::time::Duration;

use trihound_crypto::Enctype;
use trihound_kerberos::{ContextError, MessageError, SequenceError};
use trihound_sspi::{
    BufferType, ContextAttribute, ContextAttributeValue, CtxtHandle, Error, InitiatorRequirements,
    SECQOP_WRAP_NO_ENCRYPT, SecBuffer, SecBufferDesc, SecurityStatus,
};

use crate::support::AES;
use crate::surface::only;
use crate::world::{HOUR, Sides, Wishes, World, cause};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
const LENGTHS: [usize; 4] = [1, 15, 16, 17];

fn established<'w>(world: &'w World, wishes: Wishes) -> Sides<'w> {
    let mut sides = Sides::new(world, wishes);
    sides.establish();
    sides
}

fn sizes(world: &World, context: CtxtHandle) -> (usize, usize) {
    match world
        .table
        .query_context_attributes(context, ContextAttribute::Sizes)
        .unwrap()
    {
        ContextAttributeValue::Sizes(sizes) => (
            sizes.security_trailer as usize,
            sizes.max_signature as usize,
        ),
        other => panic!("{other:?}"),
    }
}

/// The type of the key that protects the messages.
fn key_type(world: &World, context: CtxtHandle) -> Enctype {
    match world
        .table
        .query_context_attributes(context, ContextAttribute::KeyInfo)
        .unwrap()
    {
        ContextAttributeValue::KeyInfo(info) => {
            Enctype(i32::try_from(info.encrypt_algorithm).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn plain(lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut next = 0_u8;
    lengths
        .iter()
        .map(|&length| {
            (0..length)
                .map(|_| {
                    next = next.wrapping_add(3);
                    next
                })
                .collect()
        })
        .collect()
}

/// EncryptMessage over one TOKEN, the pieces, and a PADDING buffer; gives token and padding.
fn encrypt(
    world: &World,
    context: CtxtHandle,
    qop: u32,
    pieces: &mut [Vec<u8>],
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (room, _) = sizes(world, context);
    let mut memory = vec![0; room];
    let mut padding = [0; 1];
    let mut buffers = vec![SecBuffer::token(&mut memory)];
    buffers.extend(pieces.iter_mut().map(|piece| SecBuffer::data(piece)));
    buffers.push(SecBuffer::padding(&mut padding));
    let mut message = SecBufferDesc::new(&mut buffers);
    world.table.encrypt_message(context, qop, &mut message, 0)?;
    let token = message.token().unwrap().to_vec();
    let padding = message.find(BufferType::PADDING).unwrap().bytes().to_vec();
    Ok((token, padding))
}

fn decrypt(
    world: &World,
    context: CtxtHandle,
    token: &mut [u8],
    pieces: &mut [Vec<u8>],
    padding: &mut [u8],
) -> Result<u32, Error> {
    let mut buffers = vec![SecBuffer::token(token)];
    buffers.extend(pieces.iter_mut().map(|piece| SecBuffer::data(piece)));
    buffers.push(SecBuffer::padding(padding));
    let mut message = SecBufferDesc::new(&mut buffers);
    world.table.decrypt_message(context, &mut message, 0)
}

/// Gives a whole token as STREAM; the plaintext comes as a view into it.
fn decrypt_stream(
    world: &World,
    context: CtxtHandle,
    whole: &mut [u8],
) -> Result<(u32, Vec<u8>), Error> {
    let mut buffers = [SecBuffer::stream(whole), SecBuffer::empty(BufferType::DATA)];
    let mut message = SecBufferDesc::new(&mut buffers);
    let qop = world.table.decrypt_message(context, &mut message, 0)?;
    Ok((
        qop,
        message.find(BufferType::DATA).unwrap().bytes().to_vec(),
    ))
}

fn enctypes() -> impl Iterator<Item = Enctype> {
    AES.into_iter().chain([Enctype::RC4_HMAC])
}

/// Conformance rows 125, 126 and 133: pieces, and the same token in one piece; every enctype, in
/// both styles, both directions, sealed and signed.
#[test]
fn messages_go_both_ways() {
    for enctype in enctypes() {
        for wishes in [Wishes::full(), Wishes::dce()] {
            let dce = wishes
                .initiator
                .contains(InitiatorRequirements::USE_DCE_STYLE);
            // A policy of this type alone: else the acceptor's sub-key would be of AES-256.
            let world = only(enctype);
            let sides = established(&world, wishes);
            let (initiator, acceptor) = sides.contexts();
            assert_eq!(key_type(&world, acceptor), enctype);
            for (from, to) in [(initiator, acceptor), (acceptor, initiator)] {
                for qop in [0, SECQOP_WRAP_NO_ENCRYPT] {
                    let mut pieces = plain(&LENGTHS);
                    let (mut token, mut padding) = encrypt(&world, from, qop, &mut pieces).unwrap();
                    let got = decrypt(&world, to, &mut token, &mut pieces, &mut padding).unwrap();
                    assert_eq!((got, pieces), (qop, plain(&LENGTHS)));

                    // RC4 in DCE style frames its token alone, so there is no whole token.
                    if dce && enctype == Enctype::RC4_HMAC {
                        continue;
                    }
                    let mut pieces = plain(&LENGTHS);
                    let (token, padding) = encrypt(&world, from, qop, &mut pieces).unwrap();
                    let mut whole = [token, pieces.concat(), padding].concat();
                    let (got, data) = decrypt_stream(&world, to, &mut whole).unwrap();
                    assert_eq!((got, data), (qop, plain(&LENGTHS).concat()));
                }
            }
        }
    }
}

/// An acceptor's sub-key of AES-256 replaces the ticket's type; RC4 contexts offer AES first too.
#[test]
fn the_trailer_is_that_of_the_negotiated_enctype() {
    for enctype in enctypes() {
        let world = World::new(enctype);
        let mutual = established(&world, Wishes::full());
        assert_eq!(sizes(&world, mutual.contexts().0), (60, 28));
        let mut wishes = Wishes::full();
        wishes.initiator -= InitiatorRequirements::MUTUAL_AUTH;
        let one_leg = established(&world, wishes);
        let expected = match enctype {
            Enctype::AES128_CTS_HMAC_SHA256_128 => (64, 32),
            Enctype::AES256_CTS_HMAC_SHA384_192 => (72, 40),
            Enctype::RC4_HMAC => (49, 37),
            _ => (60, 28),
        };
        assert_eq!(sizes(&world, one_leg.contexts().0), expected);
        assert_eq!(sizes(&world, one_leg.contexts().1), expected);
    }
}

/// One leg leaves the ticket's own enctype in force: RC4's padding goes through its buffer.
#[test]
fn rc4_contexts_pad_their_messages() {
    let world = World::new(Enctype::RC4_HMAC);
    let mut wishes = Wishes::full();
    wishes.initiator -= InitiatorRequirements::MUTUAL_AUTH;
    let (initiator, acceptor) = established(&world, wishes).contexts();
    let mut pieces = plain(&LENGTHS);
    let (mut token, mut padding) = encrypt(&world, initiator, 0, &mut pieces).unwrap();
    assert_eq!(padding.len(), 1);
    let qop = decrypt(&world, acceptor, &mut token, &mut pieces, &mut padding).unwrap();
    assert_eq!((qop, pieces), (0, plain(&LENGTHS)));

    let mut memory = [0; 49];
    let mut data = *b"no place for the padding";
    let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
    let error = world
        .table
        .encrypt_message(initiator, 0, &mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_BUFFER_TOO_SMALL);
    assert_eq!(&data, b"no place for the padding");
}

/// Conformance row 126: READONLY_WITH_CHECKSUM is signed in its place and not changed; READONLY is
/// neither.
#[test]
fn read_only_buffers_are_signed_or_left_alone() {
    let world = World::new(AES256);
    let (initiator, acceptor) = established(&world, Wishes::dce()).contexts();
    let (room, _) = sizes(&world, initiator);
    for (header, outside, expected) in [
        (b"header", b"free", Ok(())),
        (b"Header", b"free", Err(MessageError::IntegrityCheckFailed)),
        (b"header", b"FREE", Ok(())),
    ] {
        let (mut memory, mut body) = (vec![0; room], *b"the body of the call");
        let mut buffers = [
            SecBuffer::data_readonly_with_checksum(b"header"),
            SecBuffer::data(&mut body),
            SecBuffer::data_readonly_with_checksum(b"verifier"),
            SecBuffer::data_readonly(b"free"),
            SecBuffer::token(&mut memory),
        ];
        let mut message = SecBufferDesc::new(&mut buffers);
        world
            .table
            .encrypt_message(initiator, 0, &mut message, 0)
            .unwrap();
        assert_ne!(&body, b"the body of the call");
        let mut buffers = [
            SecBuffer::data_readonly_with_checksum(header),
            SecBuffer::data(&mut body),
            SecBuffer::data_readonly_with_checksum(b"verifier"),
            SecBuffer::data_readonly(outside),
            SecBuffer::token(&mut memory),
        ];
        let mut message = SecBufferDesc::new(&mut buffers);
        let outcome = world.table.decrypt_message(acceptor, &mut message, 0);
        match expected {
            Ok(()) => {
                // The refused message left a gap, which is told; its plaintext is there.
                if let Err(error) = outcome {
                    assert_eq!(
                        cause::<SequenceError>(&error),
                        &SequenceError::Gap { missing: 1 }
                    );
                }
                assert_eq!(&body, b"the body of the call");
            }
            Err(expected) => {
                let error = outcome.unwrap_err();
                assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
                assert_eq!(cause::<MessageError>(&error), &expected);
                assert_ne!(&body, b"the body of the call");
            }
        }
    }
}

/// MakeSignature and VerifySignature read their DATA, which may be shared memory.
#[test]
fn signatures_cover_every_piece() {
    for enctype in enctypes() {
        let world = World::new(enctype);
        let (initiator, acceptor) = established(&world, Wishes::full()).contexts();
        let (_, room) = sizes(&world, initiator);
        let mut memory = vec![0; room];
        let sign = |memory: &mut [u8]| {
            let mut buffers = [
                SecBuffer::data_input(b"one"),
                SecBuffer::data_input(b"two"),
                SecBuffer::token(memory),
            ];
            let mut message = SecBufferDesc::new(&mut buffers);
            world
                .table
                .make_signature(initiator, 0, &mut message, 0)
                .unwrap();
            message.token().unwrap().len()
        };
        assert_eq!(sign(&mut memory), room);
        let verify = |token: &[u8], second: &[u8]| {
            let mut buffers = [
                SecBuffer::token_input(token),
                SecBuffer::data_input(b"one"),
                SecBuffer::data_input(second),
            ];
            let mut message = SecBufferDesc::new(&mut buffers);
            world.table.verify_signature(acceptor, &mut message, 0)
        };
        let error = verify(&memory, b"too").unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
        assert_eq!(
            cause::<MessageError>(&error),
            &MessageError::IntegrityCheckFailed
        );
        assert_eq!(verify(&memory, b"two").unwrap(), 0);
        let error = verify(&memory, b"two").unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_OUT_OF_SEQUENCE);
        assert_eq!(
            cause::<MessageError>(&error),
            &MessageError::Sequence(SequenceError::Duplicate { behind: 1 })
        );
    }
}

/// Conformance row 130: the four irregularities have one status and four names.
#[test]
fn the_four_irregularities_are_told_apart() {
    let world = World::new(AES256);
    let (initiator, acceptor) = established(&world, Wishes::full()).contexts();
    let messages: Vec<_> = (0..80)
        .map(|_| {
            let mut pieces = plain(&[9]);
            let (token, _) = encrypt(&world, initiator, 0, &mut pieces).unwrap();
            (token, pieces)
        })
        .collect();
    let deliver = |index: usize| {
        let (mut token, mut pieces) = messages[index].clone();
        let outcome = decrypt(&world, acceptor, &mut token, &mut pieces, &mut []);
        // The MAC held, so the plaintext is there whatever its number.
        assert_eq!(pieces, plain(&[9]));
        outcome.map_err(|error| {
            assert_eq!(error.status(), SecurityStatus::SEC_E_OUT_OF_SEQUENCE);
            match cause::<MessageError>(&error) {
                MessageError::Sequence(irregular) => *irregular,
                other => panic!("{other:?}"),
            }
        })
    };
    assert_eq!(deliver(0), Ok(0));
    assert_eq!(deliver(0), Err(SequenceError::Duplicate { behind: 1 }));
    assert_eq!(deliver(3), Err(SequenceError::Gap { missing: 2 }));
    assert_eq!(deliver(2), Err(SequenceError::Unsequenced { behind: 2 }));
    assert_eq!(deliver(4), Ok(0));
    assert_eq!(deliver(79), Err(SequenceError::Gap { missing: 74 }));
    assert_eq!(deliver(1), Err(SequenceError::Old { behind: 79 }));
}

/// Conformance row 130: without SEQUENCE_DETECT order is free, without REPLAY_DETECT repetition is.
#[test]
fn detection_follows_what_was_negotiated() {
    let world = World::new(AES256);
    let base = InitiatorRequirements::CONFIDENTIALITY | InitiatorRequirements::INTEGRITY;
    for (asked, repeat, swap) in [
        (base, true, true),
        (base | InitiatorRequirements::REPLAY_DETECT, false, true),
        (base | InitiatorRequirements::SEQUENCE_DETECT, false, false),
    ] {
        let (initiator, acceptor) = established(&world, Wishes::of(asked)).contexts();
        let messages: Vec<_> = (0..3)
            .map(|_| {
                let mut pieces = plain(&[9]);
                let (token, _) = encrypt(&world, initiator, 0, &mut pieces).unwrap();
                (token, pieces)
            })
            .collect();
        let deliver = |index: usize| {
            let (mut token, mut pieces) = messages[index].clone();
            decrypt(&world, acceptor, &mut token, &mut pieces, &mut []).is_ok()
        };
        assert!(deliver(0));
        assert_eq!(deliver(0), repeat);
        assert_eq!(deliver(2), swap);
        assert_eq!(deliver(1), swap);
    }
}

/// Conformance row 129 and the contract: what was not negotiated is refused.
#[test]
fn functions_that_were_not_negotiated_refuse() {
    let world = World::new(AES256);
    let conf = InitiatorRequirements::CONFIDENTIALITY;
    let integ = InitiatorRequirements::INTEGRITY;
    let none = InitiatorRequirements::MUTUAL_AUTH;
    for (asked, seals, signs, mics) in [
        (none, false, false, false),
        (integ, false, true, true),
        (conf, true, true, false),
    ] {
        let sides = established(&world, Wishes::of(asked));
        for context in [sides.contexts().0, sides.contexts().1] {
            let check = |outcome: Result<(), Error>, allowed: bool| match outcome {
                Ok(()) => assert!(allowed),
                Err(error) => {
                    assert!(!allowed, "{error}");
                    assert_eq!(error.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
                    assert!(matches!(cause(&error), ContextError::NotNegotiated { .. }));
                }
            };
            let wrap = |qop| encrypt(&world, context, qop, &mut plain(&[5])).map(|_| ());
            check(wrap(0), seals);
            check(wrap(SECQOP_WRAP_NO_ENCRYPT), signs);
            let (mut memory, mut data) = ([0; 40], [1; 5]);
            let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
            let mut message = SecBufferDesc::new(&mut buffers);
            check(
                world.table.make_signature(context, 0, &mut message, 0),
                mics,
            );
            let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
            let mut message = SecBufferDesc::new(&mut buffers);
            let error = world
                .table
                .verify_signature(context, &mut message, 0)
                .unwrap_err();
            assert_eq!(
                error.status() == SecurityStatus::SEC_E_QOP_NOT_SUPPORTED,
                !mics
            );
            let error =
                decrypt(&world, context, &mut [0; 60], &mut plain(&[5]), &mut []).unwrap_err();
            assert_eq!(
                error.status() == SecurityStatus::SEC_E_QOP_NOT_SUPPORTED,
                !seals && !signs
            );
        }
    }
}

/// A quality of protection that Kerberos does not have.
#[test]
fn unknown_qualities_of_protection_are_refused() {
    let world = World::new(AES256);
    let (initiator, _) = established(&world, Wishes::full()).contexts();
    for qop in [1, 0x4000_0000, 0x8000_0000] {
        let error = encrypt(&world, initiator, qop, &mut plain(&[5])).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
        assert_eq!(
            cause::<ContextError>(&error),
            &ContextError::UnknownQop { qop }
        );
    }
}

/// Conformance row 117: once the ticket is over, no message function works; the acceptor has the
/// clock skew on top.
#[test]
fn an_expired_context_serves_no_message() {
    let world = World::new(AES256);
    let (initiator, acceptor) = established(&world, Wishes::full()).contexts();
    let mut pieces = plain(&[5]);
    let (mut token, _) = encrypt(&world, initiator, 0, &mut pieces).unwrap();
    world.clock.advance(HOUR);
    let error = encrypt(&world, initiator, 0, &mut plain(&[5])).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_CONTEXT_EXPIRED);
    assert!(matches!(cause(&error), ContextError::Expired { .. }));
    assert!(decrypt(&world, acceptor, &mut token, &mut pieces, &mut []).is_ok());
    world.clock.advance(Duration::from_secs(300));
    let (mut memory, mut data) = ([0; 60], [1; 5]);
    for context in [initiator, acceptor] {
        let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
        let mut message = SecBufferDesc::new(&mut buffers);
        let table = &world.table;
        for error in [
            table
                .encrypt_message(context, 0, &mut message, 0)
                .unwrap_err(),
            table.decrypt_message(context, &mut message, 0).unwrap_err(),
            table
                .make_signature(context, 0, &mut message, 0)
                .unwrap_err(),
            table
                .verify_signature(context, &mut message, 0)
                .unwrap_err(),
        ] {
            assert_eq!(error.status(), SecurityStatus::SEC_E_CONTEXT_EXPIRED);
        }
        assert_eq!(data, [1; 5]);
    }
}

/// Buffers that are missing, too small or read-only; nothing is changed or counted.
#[test]
fn wrong_buffers_are_named_and_change_nothing() {
    let world = World::new(AES256);
    let (initiator, acceptor) = established(&world, Wishes::full()).contexts();
    let status = |buffers: &mut [SecBuffer<'_>]| {
        world
            .table
            .encrypt_message(initiator, 0, &mut SecBufferDesc::new(buffers), 0)
            .unwrap_err()
            .status()
    };
    let (mut memory, mut data) = ([0; 60], [1; 5]);
    assert_eq!(
        status(&mut [SecBuffer::data(&mut data)]),
        SecurityStatus::SEC_E_INVALID_TOKEN
    );
    assert_eq!(
        status(&mut [SecBuffer::token(&mut memory)]),
        SecurityStatus::SEC_E_INVALID_TOKEN
    );
    assert_eq!(
        status(&mut [
            SecBuffer::token(&mut memory[..59]),
            SecBuffer::data(&mut data)
        ]),
        SecurityStatus::SEC_E_BUFFER_TOO_SMALL
    );
    assert_eq!(
        status(&mut [SecBuffer::token(&mut memory), SecBuffer::data_input(&data)]),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
    assert_eq!(data, [1; 5]);
    let mut stream = [0; 80];
    let mut buffers = [SecBuffer::stream(&mut stream)];
    let error = world
        .table
        .decrypt_message(acceptor, &mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    let mut pieces = plain(&[5]);
    let (mut token, _) = encrypt(&world, initiator, 0, &mut pieces).unwrap();
    assert_eq!(
        decrypt(&world, acceptor, &mut token, &mut pieces, &mut []).unwrap(),
        0
    );
}

/// A TOKEN buffer that the package allocates, and one that is longer than needed.
#[test]
fn token_buffers_may_be_longer_or_allocated() {
    let world = World::new(AES256);
    let (initiator, acceptor) = established(&world, Wishes::full()).contexts();
    for allocate in [false, true] {
        for qop in [0, SECQOP_WRAP_NO_ENCRYPT] {
            let (mut memory, mut data) = ([0; 200], *b"some text");
            let token = if allocate {
                SecBuffer::allocate(BufferType::TOKEN)
            } else {
                SecBuffer::token(&mut memory)
            };
            let mut buffers = [token, SecBuffer::data(&mut data)];
            let mut message = SecBufferDesc::new(&mut buffers);
            let table = &world.table;
            table
                .encrypt_message(initiator, qop, &mut message, 0)
                .unwrap();
            assert_eq!(
                message.token().unwrap().len(),
                if qop == 0 { 60 } else { 28 }
            );
            let got = table.decrypt_message(acceptor, &mut message, 0).unwrap();
            assert_eq!(got, qop);
            assert_eq!(&data, b"some text");
        }
    }
}
