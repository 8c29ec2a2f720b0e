//! RFC 4757 tokens between two sessions.

use trihound_crypto::Enctype;
use trihound_kerberos::{MessageError, SequenceError};

use crate::support::{Pieces, Setup, make_mic, wrap};

const RC4: Enctype = Enctype::RC4_HMAC;

fn dce() -> Setup {
    Setup {
        dce_style: true,
        ..Setup::of(RC4)
    }
}

/// Conformance row 132: both directions; TOKEN, DATA and PADDING are one token of RFC 1964.
#[test]
fn messages_go_both_ways() {
    for setup in [Setup::of(RC4), dce()] {
        let (mut initiator, mut acceptor) = setup.pair();
        for turn in [false, true] {
            let (from, to) = if turn {
                (&mut acceptor, &mut initiator)
            } else {
                (&mut initiator, &mut acceptor)
            };
            for lengths in [&[1, 15, 16, 17][..], &[0], &[200], &[70_000]] {
                for seal in [true, false] {
                    let plain = Pieces::of(lengths);
                    let mut message = plain.clone();
                    let (mut token, mut padding) = wrap(from, seal, &mut message);
                    assert_eq!(padding.len(), usize::from(!setup.dce_style));
                    let mut whole = [token.clone(), message.concat(), padding.clone()].concat();
                    let unwrapped = to.unwrap(&mut token, &mut message, &mut padding).unwrap();
                    assert_eq!(message, plain);
                    assert_eq!((unwrapped.sealed, unwrapped.padding), (seal, 0));
                    assert_eq!(unwrapped.sequence, Ok(()));
                    if !setup.dce_style {
                        let (range, unwrapped) = to.unwrap_stream(&mut whole).unwrap();
                        assert_eq!(&whole[range], plain.concat());
                        assert_eq!(
                            unwrapped.sequence,
                            Err(SequenceError::Duplicate { behind: 1 })
                        );
                    }
                }
            }
            let mut message = Pieces::of(&[3, 4]);
            let mic = make_mic(from, &mut message);
            assert_eq!(to.verify_mic(&mic, &mut message).unwrap(), Ok(()));
        }
    }
}

/// Conformance row 132: a stream is one token of RFC 1964, framed and padded whole, in DCE style too.
#[test]
fn a_stream_is_one_token_in_every_style() {
    for setup in [Setup::of(RC4), dce()] {
        for seal in [true, false] {
            let (mut initiator, mut acceptor) = setup.pair();
            // A session without DCE style reads it as well.
            let (_, mut plain_acceptor) = Setup::of(RC4).pair();
            let plain = Pieces::of(&[1, 15, 16, 17]);
            let mut message = plain.clone();
            let mut header = vec![0; initiator.stream_header_length()];
            let mut trailer = vec![0; initiator.stream_trailer_length()];
            let wrapped = initiator
                .wrap_stream(seal, &mut message, &mut header, &mut trailer)
                .unwrap();
            header.truncate(wrapped.token);
            assert_eq!((wrapped.padding, trailer.len()), (1, 1));
            let whole = [header, message.concat(), trailer].concat();
            for reader in [&mut acceptor, &mut plain_acceptor] {
                let mut whole = whole.clone();
                let (range, unwrapped) = reader.unwrap_stream(&mut whole).unwrap();
                assert_eq!(&whole[range], plain.concat());
                assert_eq!((unwrapped.sealed, unwrapped.sequence), (seal, Ok(())));
            }
        }
    }
}

/// The padding may stand at the end of the data, as when a peer sent one token.
#[test]
fn padding_inside_the_data_is_counted() {
    let (mut initiator, mut acceptor) = Setup::of(RC4).pair();
    let mut message = Pieces::of(&[6]);
    let (mut token, padding) = wrap(&mut initiator, true, &mut message);
    let mut joined = Pieces(vec![(true, [message.concat(), padding].concat())]);
    let unwrapped = acceptor.unwrap(&mut token, &mut joined, &mut []).unwrap();
    assert_eq!(unwrapped.padding, 1);
    assert_eq!(joined.concat(), [1, 2, 3, 4, 5, 6, 1]);
}

/// Conformance rows 133: the lengths in DCE style are exact; without it the framing's length octets
/// are counted at their most.
#[test]
fn sizes_hold_what_is_made() {
    let (session, _) = dce().pair();
    assert_eq!(session.sizes().security_trailer, 45);
    assert_eq!(session.sizes().max_signature, 37);
    let (session, _) = Setup::of(RC4).pair();
    assert_eq!(session.sizes().security_trailer, 49);
    assert_eq!(session.sizes().max_signature, 37);
}

/// Where SND_SEQ has the number itself, behind 13 bytes of framing and 8 of header.
const NUMBER: core::ops::Range<usize> = 21..25;

/// Conformance rows 26, 132 and 189: whichever bit is flipped, nothing verifies. In a message that
/// is not sealed, RFC 4757 leaves the number itself outside of the checksum: there a flipped bit
/// shows as a message out of sequence.
#[test]
fn any_flipped_bit_fails() {
    for setup in [Setup::of(RC4), dce()] {
        for seal in [true, false] {
            let (mut initiator, _) = setup.pair();
            let acceptor = || setup.pair().1;
            let mut message = Pieces::of(&[22]);
            let (token, padding) = wrap(&mut initiator, seal, &mut message);
            let whole = [token.clone(), message.concat(), padding.clone()].concat();
            for bit in 0..whole.len() * 8 {
                let mut altered = whole.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let (front, back) = altered.split_at(token.len());
                let (data, pad) = back.split_at(22);
                let outcome = acceptor().unwrap(
                    &mut front.to_vec(),
                    &mut Pieces(vec![(true, data.to_vec())]),
                    &mut pad.to_vec(),
                );
                match outcome {
                    Ok(unwrapped) if !seal && NUMBER.contains(&(bit / 8)) => {
                        assert!(unwrapped.sequence.is_err(), "bit {bit}");
                    }
                    other => assert!(other.is_err(), "bit {bit}"),
                }
            }
            for length in 0..token.len() {
                let outcome =
                    acceptor().unwrap(&mut token[..length].to_vec(), &mut message, &mut []);
                assert!(outcome.is_err());
            }
            let mut message = Pieces::of(&[22]);
            let (mut initiator, _) = setup.pair();
            let mic = make_mic(&mut initiator, &mut message);
            for bit in 0..mic.len() * 8 {
                let mut altered = mic.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                match acceptor().verify_mic(&altered, &mut message) {
                    Ok(sequence) if NUMBER.contains(&(bit / 8)) => assert!(sequence.is_err()),
                    other => assert!(other.is_err(), "bit {bit}"),
                }
            }
            for length in 0..mic.len() {
                assert!(acceptor().verify_mic(&mic[..length], &mut message).is_err());
            }
        }
    }
}

/// Conformance rows 22 and 132: the direction bytes tell a reflected token.
#[test]
fn a_reflected_token_is_refused() {
    let (mut initiator, _) = Setup::of(RC4).pair();
    let mut message = Pieces::of(&[4]);
    let mic = make_mic(&mut initiator, &mut message);
    assert_eq!(
        initiator.verify_mic(&mic, &mut message),
        Err(MessageError::SentByWrongSide)
    );
    let (mut token, mut padding) = wrap(&mut initiator, true, &mut message);
    assert_eq!(
        initiator.unwrap(&mut token, &mut message, &mut padding),
        Err(MessageError::SentByWrongSide)
    );
}

/// A buffer that is too small changes nothing.
#[test]
fn a_small_buffer_leaves_the_session_as_it_was() {
    let (mut initiator, mut acceptor) = Setup::of(RC4).pair();
    let mut message = Pieces::of(&[4]);
    assert_eq!(
        initiator.wrap(true, &mut message, &mut [0; 44], &mut [0]),
        Err(MessageError::BufferTooSmall {
            needed: 45,
            found: 44
        })
    );
    assert_eq!(
        initiator.wrap(true, &mut message, &mut [0; 49], &mut []),
        Err(MessageError::BufferTooSmall {
            needed: 1,
            found: 0
        })
    );
    assert_eq!(message, Pieces::of(&[4]));
    let (mut token, mut padding) = wrap(&mut initiator, true, &mut message);
    let unwrapped = acceptor
        .unwrap(&mut token, &mut message, &mut padding)
        .unwrap();
    assert_eq!(unwrapped.sequence, Ok(()));
}
