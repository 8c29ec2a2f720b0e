//! Refusals that stand alone: each message here is right but for the one thing that is refused.

use std::sync::Arc;

use trihound_crypto::{Enctype, KeyUsage};
use trihound_kerberos::{ContextError, MessageError};
use trihound_sspi::{BufferType, CtxtHandle, Error, SecBuffer, SecBufferDesc, SecurityStatus};

use crate::support::{AES, Dry, Pieces, Setup, key, make_mic, wrap};
use crate::world::{Sides, Wishes, World, cause};

const RC4: Setup = Setup::of(Enctype::RC4_HMAC);

/// Framing of RFC 2743 3.1 for a short message: tag, length, and the mechanism with its two bytes.
const FRAMING: usize = 13;

/// Conformance rows 26 and 132: another message under an intact checksum.
#[test]
fn row_132_an_altered_message_under_an_rc4_token_is_refused() {
    let (mut initiator, acceptor) = RC4.pair();
    let mic = make_mic(&mut initiator, &mut Pieces::of(&[22]));
    let mut receiver = acceptor;
    for bit in 0..22 * 8 {
        let mut other = Pieces::of(&[22]);
        other.0[0].1[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            receiver.verify_mic(&mic, &mut other),
            Err(MessageError::IntegrityCheckFailed)
        );
    }
    assert_eq!(
        receiver.verify_mic(&mic, &mut Pieces::of(&[21])),
        Err(MessageError::IntegrityCheckFailed)
    );
    assert_eq!(
        receiver.verify_mic(&mic, &mut Pieces::of(&[22])),
        Ok(Ok(()))
    );
}

/// Conformance row 132: TOK_ID, SGN_ALG and filler of a MIC token are what RFC 4757 7.2 fixes.
#[test]
fn row_132_the_head_of_an_rc4_mic_is_fixed() {
    let (mut initiator, mut acceptor) = RC4.pair();
    let mut message = Pieces::of(&[5]);
    let mic = make_mic(&mut initiator, &mut message);
    for at in 0..8 {
        let mut altered = mic.clone();
        altered[FRAMING + at] ^= 1;
        let expected = match at {
            0 | 1 => MessageError::NotAMicToken {
                found: [altered[FRAMING], altered[FRAMING + 1]],
            },
            _ => MessageError::Filler,
        };
        assert_eq!(acceptor.verify_mic(&altered, &mut message), Err(expected));
    }
}

/// Conformance row 132: a token with a byte more or less, its framing in accord.
#[test]
fn row_132_rc4_tokens_have_one_length() {
    let (mut initiator, mut acceptor) = RC4.pair();
    let mut message = Pieces::of(&[5]);
    let mut mic = make_mic(&mut initiator, &mut message);
    mic[1] += 1;
    mic.push(0);
    assert_eq!(
        acceptor.verify_mic(&mic, &mut message),
        Err(MessageError::TokenTooLong {
            needed: 37,
            found: 38
        })
    );
    let (mut token, mut padding) = wrap(&mut initiator, true, &mut message);
    token[1] += 1;
    token.push(0);
    assert_eq!(
        acceptor.unwrap(&mut token, &mut message, &mut padding),
        Err(MessageError::TokenTooLong {
            needed: 45,
            found: 46
        })
    );
    let mut short = token[..FRAMING + 2].to_vec();
    short[1] = FRAMING as u8;
    assert_eq!(
        acceptor.unwrap_stream(&mut short),
        Err(MessageError::TokenTooShort {
            needed: 45,
            found: 15
        })
    );
}

/// Conformance row 132: without randomness there is no confounder, and without a confounder no
/// message.
#[test]
fn row_132_failing_randomness_makes_no_token() {
    for enctype in AES.into_iter().chain([Enctype::RC4_HMAC]) {
        let mut session = Setup::of(enctype).side(false, Arc::new(Dry));
        let mut token = vec![0; session.sizes().security_trailer];
        let outcome = session.wrap(true, &mut Pieces::of(&[5]), &mut token, &mut [0]);
        assert!(matches!(outcome, Err(MessageError::Random(_))));
    }
}

/// Conformance row 25: EC counts bytes of the plaintext and cannot exceed them (RFC 4121 4.2.4).
#[test]
fn row_25_an_extra_count_beyond_the_message_is_refused() {
    for enctype in AES {
        let (mut initiator, mut acceptor) = Setup::of(enctype).pair();
        let mut message = Pieces::of(&[5]);
        let (mut token, mut padding) = wrap(&mut initiator, true, &mut message);
        let mut whole = [token.clone(), message.concat()].concat();
        for ec in [6_u16, 7, 0xffff] {
            token[4..6].copy_from_slice(&ec.to_be_bytes());
            assert_eq!(
                acceptor.unwrap(&mut token, &mut message, &mut padding),
                Err(MessageError::ExtraCount { ec })
            );
            whole[4..6].copy_from_slice(&ec.to_be_bytes());
            assert_eq!(
                acceptor.unwrap_stream(&mut whole),
                Err(MessageError::ExtraCount { ec })
            );
        }
    }
}

fn established(world: &World) -> Sides<'_> {
    let mut sides = Sides::new(world, Wishes::full());
    sides.establish();
    sides
}

fn sealed(world: &World, context: CtxtHandle) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut memory, mut data, mut padding) = (vec![0; 100], b"plain".to_vec(), [0; 1]);
    let mut buffers = [
        SecBuffer::token(&mut memory),
        SecBuffer::data(&mut data),
        SecBuffer::padding(&mut padding),
    ];
    let mut message = SecBufferDesc::new(&mut buffers);
    world
        .table
        .encrypt_message(context, 0, &mut message, 0)
        .unwrap();
    let token = message.token().unwrap().to_vec();
    let padding = message.find(BufferType::PADDING).unwrap().bytes().to_vec();
    (token, data, padding)
}

/// Conformance row 126: a stream without a place for its plaintext uses up no sequence number.
#[test]
fn row_126_a_stream_without_a_place_for_its_plaintext_may_come_again() {
    let world = World::new(Enctype::AES256_CTS_HMAC_SHA1_96);
    let sides = established(&world);
    let (initiator, acceptor) = sides.contexts();
    let (token, data, padding) = sealed(&world, initiator);
    let mut whole = [token, data, padding].concat();
    let open = |buffers: &mut [SecBuffer<'_>]| -> Result<u32, Error> {
        let mut message = SecBufferDesc::new(buffers);
        world.table.decrypt_message(acceptor, &mut message, 0)
    };
    let error = open(&mut [SecBuffer::stream(&mut whole)]).unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_INVALID_TOKEN,
        "{error}"
    );
    let mut buffers = [
        SecBuffer::stream(&mut whole),
        SecBuffer::empty(BufferType::DATA),
    ];
    assert_eq!(open(&mut buffers).unwrap(), 0);
}

/// MakeSignature knows no quality of protection but 0.
#[test]
fn a_quality_of_protection_that_signatures_do_not_have_is_refused() {
    let world = World::new(Enctype::AES256_CTS_HMAC_SHA1_96);
    let sides = established(&world);
    let (initiator, _) = sides.contexts();
    let (mut memory, mut data) = ([0; 100], *b"plain");
    let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
    let mut message = SecBufferDesc::new(&mut buffers);
    let error = world
        .table
        .make_signature(initiator, 1, &mut message, 0)
        .unwrap_err();
    assert!(matches!(cause(&error), ContextError::UnknownQop { qop: 1 }));
    assert_eq!(error.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
}

/// Conformance row 125: the checksum of an integrity-only token is over the plaintext and the header
/// with EC and RRC zero (RFC 4121 4.2.4), whatever they are on the wire.
#[test]
fn row_125_the_signed_header_has_no_counts() {
    for enctype in AES {
        let (mut initiator, _) = Setup::of(enctype).pair();
        let mut message = Pieces::of(&[5]);
        let (token, _) = wrap(&mut initiator, false, &mut message);
        let (header, checksum) = token.split_at(16);
        let on_the_wire = u16::from_be_bytes([header[4], header[5]]);
        assert_eq!(usize::from(on_the_wire), checksum.len());
        let mut signed = [message.concat(), header.to_vec()].concat();
        signed[5 + 4..5 + 8].fill(0);
        let key = key(enctype);
        let kind = key.required_checksum();
        key.verify_checksum(KeyUsage::INITIATOR_SEAL, kind, &signed, checksum)
            .unwrap();
    }
}
