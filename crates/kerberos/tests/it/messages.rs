//! RFC 4121 tokens between two sessions.

use std::sync::Arc;

use trihound_crypto::{Enctype, KeyUsage};
use trihound_kerberos::tokens::{self, Direction};
use trihound_kerberos::{MessageError, Unwrapped};

use crate::support::{AES, Dry, Pieces, Setup, key, make_mic, wrap};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;
const LENGTHS: [usize; 4] = [1, 15, 16, 17];

const FROM_INITIATOR: Direction = Direction {
    from_acceptor: false,
    acceptor_subkey: false,
};

fn setups() -> Vec<Setup> {
    let mut all = Vec::new();
    for enctype in AES {
        for dce_style in [false, true] {
            for acceptor_subkey in [false, true] {
                all.push(Setup {
                    dce_style,
                    acceptor_subkey,
                    ..Setup::of(enctype)
                });
            }
        }
    }
    all
}

fn opened(sealed: bool) -> Unwrapped {
    Unwrapped {
        sealed,
        padding: 0,
        sequence: Ok(()),
    }
}

/// Conformance rows 107, 122 to 124, 133: both directions, sealed and signed, several pieces.
#[test]
fn messages_in_pieces_go_both_ways() {
    for setup in setups() {
        let (mut initiator, mut acceptor) = setup.pair();
        for lengths in [&LENGTHS[..], &[0], &[16], &[1], &[33, 0, 5], &[4096]] {
            for seal in [true, false] {
                for turn in [false, true] {
                    let (from, to) = if turn {
                        (&mut acceptor, &mut initiator)
                    } else {
                        (&mut initiator, &mut acceptor)
                    };
                    let plain = Pieces::of(lengths);
                    let mut message = plain.clone();
                    let (mut token, padding) = wrap(from, seal, &mut message);
                    assert!(padding.is_empty());
                    if seal {
                        assert_eq!(token.len(), from.sizes().security_trailer);
                        if lengths.iter().sum::<usize>() > 8 {
                            assert_ne!(message, plain);
                        }
                    } else {
                        assert_eq!(token.len(), from.sizes().max_signature);
                        assert_eq!(message, plain);
                    }
                    let unwrapped = to.unwrap(&mut token, &mut message, &mut []).unwrap();
                    assert_eq!(unwrapped, opened(seal));
                    assert_eq!(message, plain);
                    let mic = make_mic(from, &mut message);
                    assert_eq!(to.verify_mic(&mic, &mut message).unwrap(), Ok(()));
                }
            }
        }
    }
}

/// Conformance row 133: the lengths that a caller of SECPKG_ATTR_SIZES gets.
#[test]
fn sizes_are_those_of_the_enctype() {
    for (enctype, mac) in AES.into_iter().zip([12, 12, 16, 24]) {
        for dce_style in [false, true] {
            let (session, _) = Setup {
                dce_style,
                ..Setup::of(enctype)
            }
            .pair();
            let sizes = session.sizes();
            assert_eq!(sizes.max_signature, 16 + mac);
            assert_eq!(
                sizes.security_trailer,
                48 + mac + if dce_style { 16 } else { 0 }
            );
            assert_eq!(sizes.block_size, 1);
        }
    }
}

/// Conformance row 126: header, data and trailer of a stream are one token of RFC 4121 in DCE style too,
/// which MIT's `gss_unwrap` takes.
#[test]
fn a_stream_is_one_token_in_every_style() {
    for setup in setups() {
        for seal in [true, false] {
            let (mut initiator, mut acceptor) = setup.pair();
            let plain = Pieces::of(&LENGTHS);
            let mut message = plain.clone();
            let mut header = vec![0; initiator.stream_header_length()];
            assert_eq!(initiator.stream_trailer_length(), 0);
            let wrapped = initiator
                .wrap_stream(seal, &mut message, &mut header, &mut [])
                .unwrap();
            header.truncate(wrapped.token);
            let mut whole = [header, message.concat()].concat();
            let direction = Direction {
                acceptor_subkey: setup.acceptor_subkey,
                ..FROM_INITIATOR
            };
            // Read as outside of DCE style.
            let alone = tokens::unwrap(&key(setup.enctype), direction, false, &whole).unwrap();
            assert_eq!(alone.data.expose(), plain.concat());
            let (range, unwrapped) = acceptor.unwrap_stream(&mut whole).unwrap();
            assert_eq!(unwrapped, opened(seal));
            assert_eq!(&whole[range], plain.concat());
        }
    }
}

/// Conformance row 123: TOKEN and DATA, concatenated, are one token of RFC 4121.
#[test]
fn token_and_data_are_one_token() {
    for enctype in AES {
        for seal in [true, false] {
            let (mut initiator, mut acceptor) = Setup::of(enctype).pair();
            let plain = Pieces::of(&LENGTHS);
            let mut message = plain.clone();
            let (token, _) = wrap(&mut initiator, seal, &mut message);
            let mut whole = [token, message.concat()].concat();
            let alone = tokens::unwrap(&key(enctype), FROM_INITIATOR, false, &whole).unwrap();
            assert_eq!(alone.data.expose(), plain.concat());
            assert_eq!((alone.sealed, alone.sequence), (seal, 40));
            let (range, unwrapped) = acceptor.unwrap_stream(&mut whole).unwrap();
            assert_eq!(unwrapped, opened(seal));
            assert_eq!(&whole[range], plain.concat());
        }
    }
}

/// Conformance rows 24, 125 and 126: any rotation and any filler, with and without DCE style.
#[test]
fn any_rotation_and_filler_open() {
    let data = Pieces::of(&[21]).concat();
    for enctype in AES {
        let mac = u16::try_from(enctype.profile().unwrap().checksum_length).unwrap();
        for ec in [0, 1, 16, 40] {
            let length = 16 + 21 + ec + 16 + mac;
            for rrc in [
                0,
                1,
                12,
                16,
                28,
                16 + mac,
                16 + mac + ec,
                length - 1,
                length,
                length + 1,
                u16::MAX,
            ] {
                for dce_style in [false, true] {
                    let (_, mut acceptor) = Setup {
                        dce_style,
                        ..Setup::of(enctype)
                    }
                    .pair();
                    let turned = if dce_style { rrc.wrapping_add(ec) } else { rrc };
                    if dce_style && rrc.checked_add(ec).is_none() {
                        continue;
                    }
                    let mut token = tokens::wrap_conf(
                        &key(enctype),
                        FROM_INITIATOR,
                        40,
                        &data,
                        &[9; 16],
                        ec,
                        turned,
                    )
                    .unwrap();
                    if dce_style {
                        // The sender counted EC into the rotation; the header copy has no RRC.
                        token[6..8].copy_from_slice(&rrc.to_be_bytes());
                    }
                    let (range, unwrapped) = acceptor.unwrap_stream(&mut token).unwrap();
                    assert_eq!(
                        &token[range], data,
                        "{enctype} ec {ec} rrc {rrc} dce {dce_style}"
                    );
                    assert_eq!(unwrapped, opened(true));
                }
            }
        }
        for rrc in [0, 1, mac, mac + 1, 21 + mac, u16::MAX] {
            let (_, mut acceptor) = Setup::of(enctype).pair();
            let mut token =
                tokens::wrap_integ(&key(enctype), FROM_INITIATOR, 40, &data, rrc).unwrap();
            let (range, unwrapped) = acceptor.unwrap_stream(&mut token).unwrap();
            assert_eq!(&token[range], data);
            assert_eq!(unwrapped, opened(false));
        }
    }
}

/// Conformance row 126: pieces that are signed and not encrypted count in their order.
#[test]
fn signed_pieces_are_under_the_mac_in_order() {
    for enctype in AES {
        for seal in [true, false] {
            let plain = Pieces(vec![
                (false, b"header".to_vec()),
                (true, b"body to hide".to_vec()),
                (false, b"trailer".to_vec()),
            ]);
            let (mut initiator, _) = Setup::of(enctype).pair();
            let mut message = plain.clone();
            let (token, _) = wrap(&mut initiator, seal, &mut message);
            assert_eq!(message.0[0], plain.0[0]);
            assert_eq!(message.0[2], plain.0[2]);
            let attempt = |mut message: Pieces| {
                let (_, mut acceptor) = Setup::of(enctype).pair();
                let outcome = acceptor.unwrap(&mut token.clone(), &mut message, &mut []);
                outcome.map(|unwrapped| (unwrapped, message))
            };
            assert_eq!(attempt(message.clone()).unwrap().1, plain);
            let mut altered = message.clone();
            altered.0[2].1[0] ^= 1;
            assert_eq!(
                attempt(altered).unwrap_err(),
                MessageError::IntegrityCheckFailed
            );
            let mut moved = message.clone();
            moved.0.swap(0, 2);
            assert_eq!(
                attempt(moved).unwrap_err(),
                MessageError::IntegrityCheckFailed
            );
        }
    }
}

/// Conformance rows 18, 19 and 189: whichever bit is flipped, nothing verifies, and no plaintext
/// of a sealed message is left.
#[test]
fn any_flipped_bit_fails() {
    for enctype in AES {
        for dce_style in [false, true] {
            let setup = Setup {
                dce_style,
                ..Setup::of(enctype)
            };
            for seal in [true, false] {
                let (mut initiator, mut acceptor) = setup.pair();
                let plain = Pieces::of(&[5, 17]);
                let mut message = plain.clone();
                let (token, _) = wrap(&mut initiator, seal, &mut message);
                for bit in 0..(token.len() + 22) * 8 {
                    let (mut token, mut message) = (token.clone(), message.clone());
                    let mut whole = [token.clone(), message.concat()].concat();
                    whole[bit / 8] ^= 1 << (bit % 8);
                    let (front, back) = whole.split_at(token.len());
                    token.copy_from_slice(front);
                    message.0[0].1.copy_from_slice(&back[..5]);
                    message.0[1].1.copy_from_slice(&back[5..]);
                    // An unknown flag bit is ignored by rule, and still under the MAC; so is RRC
                    // modulo the length, which is not.
                    let error = acceptor.unwrap(&mut token, &mut message, &mut []);
                    assert!(error.is_err(), "{enctype} bit {bit} seal {seal}");
                    if seal {
                        assert_ne!(message.concat(), plain.concat());
                    }
                    assert!(
                        acceptor.unwrap_stream(&mut whole).is_err(),
                        "{enctype} bit {bit}"
                    );
                }
                let (mut token, mut message) = (token, message);
                assert_eq!(
                    acceptor.unwrap(&mut token, &mut message, &mut []).unwrap(),
                    opened(seal)
                );
                let mut message = plain.clone();
                let mic = make_mic(&mut initiator, &mut message);
                for bit in 0..mic.len() * 8 {
                    let mut altered = mic.clone();
                    altered[bit / 8] ^= 1 << (bit % 8);
                    assert!(
                        acceptor.verify_mic(&altered, &mut message).is_err(),
                        "{bit}"
                    );
                }
                for bit in 0..5 * 8 {
                    let mut altered = plain.clone();
                    altered.0[0].1[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(
                        acceptor.verify_mic(&mic, &mut altered),
                        Err(MessageError::IntegrityCheckFailed)
                    );
                }
                assert_eq!(acceptor.verify_mic(&mic, &mut message).unwrap(), Ok(()));
            }
        }
    }
}

fn refusal(change: impl FnOnce(&mut Vec<u8>)) -> MessageError {
    refusal_of(true, change)
}

/// What a receiver says of a token in one piece after `change`.
fn refusal_of(seal: bool, change: impl FnOnce(&mut Vec<u8>)) -> MessageError {
    let (mut initiator, mut acceptor) = Setup::of(AES256).pair();
    let mut message = Pieces::of(&[20]);
    let (token, _) = wrap(&mut initiator, seal, &mut message);
    let mut whole = [token, message.concat()].concat();
    change(&mut whole);
    acceptor.unwrap_stream(&mut whole).unwrap_err()
}

/// Conformance row 22: a token that comes back to its maker.
#[test]
fn a_reflected_token_is_refused() {
    for seal in [true, false] {
        let (mut initiator, mut acceptor) = Setup::of(AES256).pair();
        for session in [&mut initiator, &mut acceptor] {
            let mut message = Pieces::of(&[20]);
            let (mut token, _) = wrap(session, seal, &mut message);
            assert_eq!(
                session.unwrap(&mut token, &mut message, &mut []),
                Err(MessageError::SentByWrongSide)
            );
            // With the flag turned over, the keys of the two directions differ.
            token[2] ^= 1;
            assert_eq!(
                session.unwrap(&mut token, &mut message, &mut []),
                Err(MessageError::IntegrityCheckFailed)
            );
            let mut message = Pieces::of(&[20]);
            let mic = make_mic(session, &mut message);
            assert_eq!(
                session.verify_mic(&mic, &mut message),
                Err(MessageError::SentByWrongSide)
            );
        }
    }
}

/// Conformance row 107: the AcceptorSubkey flag has to be what the handshake agreed on.
#[test]
fn the_acceptor_subkey_flag_must_match() {
    for (ours, theirs) in [(true, false), (false, true)] {
        let setup = |acceptor_subkey| Setup {
            acceptor_subkey,
            ..Setup::of(AES256)
        };
        let (mut initiator, _) = setup(ours).pair();
        let (_, mut acceptor) = setup(theirs).pair();
        let mut message = Pieces::of(&[3]);
        let (mut token, _) = wrap(&mut initiator, true, &mut message);
        let expected = MessageError::AcceptorSubkeyFlag { expected: theirs };
        assert_eq!(
            acceptor.unwrap(&mut token, &mut message, &mut []),
            Err(expected.clone())
        );
        let mic = make_mic(&mut initiator, &mut message);
        assert_eq!(acceptor.verify_mic(&mic, &mut message), Err(expected));
    }
}

/// Conformance rows 23 and 25: fixed bytes of the header.
#[test]
fn fixed_header_bytes_are_checked() {
    assert_eq!(refusal(|token| token[3] = 0xfe), MessageError::Filler);
    assert_eq!(
        refusal(|token| token[0] = 0x04),
        MessageError::NotAWrapToken { found: [4, 4] }
    );
    let (mut initiator, mut acceptor) = Setup::of(AES256).pair();
    let mut message = Pieces::of(&[9]);
    let mic = make_mic(&mut initiator, &mut message);
    for at in 3..8 {
        let mut altered = mic.clone();
        altered[at] = 0;
        assert_eq!(
            acceptor.verify_mic(&altered, &mut message),
            Err(MessageError::Filler)
        );
    }
    let mut altered = mic.clone();
    altered[0] = 0x05;
    assert_eq!(
        acceptor.verify_mic(&altered, &mut message),
        Err(MessageError::NotAMicToken { found: [5, 4] })
    );
    let mut altered = mic.clone();
    altered[2] |= 2;
    assert_eq!(
        acceptor.verify_mic(&altered, &mut message),
        Err(MessageError::SealedMic)
    );
    let mut longer = mic.clone();
    longer.push(0);
    assert_eq!(
        acceptor.verify_mic(&longer, &mut message),
        Err(MessageError::TokenTooLong {
            needed: 28,
            found: 29
        })
    );
}

/// Conformance rows 24 and 26: EC past the token's end, and tokens that are cut off anywhere.
#[test]
fn lengths_are_checked_before_anything_is_cut() {
    for ec in [21, 0x100, 0xffff] {
        let [high, low] = u16::to_be_bytes(ec);
        assert_eq!(
            refusal(|token| [token[4], token[5]] = [high, low]),
            MessageError::ExtraCount { ec }
        );
    }
    for ec in [0, 11, 13, 0xffff] {
        let [high, low] = u16::to_be_bytes(ec);
        assert_eq!(
            refusal_of(false, |token| [token[4], token[5]] = [high, low]),
            MessageError::ExtraCount { ec }
        );
    }
    for length in 0..60 {
        let needed = if length < 16 { 16 } else { 60 };
        assert_eq!(
            refusal(|token| token.truncate(length)),
            MessageError::TokenTooShort {
                needed,
                found: length
            }
        );
    }
    for length in 0..28 {
        let needed = if length < 16 { 16 } else { 28 };
        assert_eq!(
            refusal_of(false, |token| token.truncate(length)),
            MessageError::TokenTooShort {
                needed,
                found: length
            }
        );
    }
    for length in 60..80 {
        assert_eq!(
            refusal(|token| token.truncate(length)),
            MessageError::IntegrityCheckFailed
        );
    }
    let (mut initiator, mut acceptor) = Setup::of(AES256).pair();
    let mut message = Pieces::of(&[20]);
    for seal in [true, false] {
        let (token, _) = wrap(&mut initiator, seal, &mut message);
        for length in 0..token.len() {
            let error = acceptor
                .unwrap(&mut token[..length].to_vec(), &mut message, &mut [])
                .unwrap_err();
            assert!(
                matches!(error, MessageError::TokenTooShort { .. }),
                "{error}"
            );
        }
    }
    let mic = make_mic(&mut initiator, &mut message);
    for length in 0..mic.len() {
        let needed = if length < 16 { 16 } else { 28 };
        assert_eq!(
            acceptor.verify_mic(&mic[..length], &mut message),
            Err(MessageError::TokenTooShort {
                needed,
                found: length
            })
        );
    }
}

/// Conformance row 23: a copy of the header that differs in any byte, under a MAC that holds.
#[test]
fn the_header_copy_is_compared_byte_for_byte() {
    let header: [u8; 16] = [5, 4, 2, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40];
    for at in 0..16 {
        let (_, mut acceptor) = Setup::of(AES256).pair();
        let mut copy = header;
        copy[at] ^= 0x10;
        let body = key(AES256)
            .encrypt_with_confounder(
                KeyUsage::INITIATOR_SEAL,
                &[1; 16],
                &[&b"secret"[..], &copy].concat(),
            )
            .unwrap();
        let mut token = [&header[..], &body].concat();
        assert_eq!(
            acceptor.unwrap_stream(&mut token).unwrap_err(),
            MessageError::HeaderCopyDiffers
        );
        assert!(!token.windows(6).any(|window| window == b"secret"));
    }
}

/// A token whose rotation does not put the data where the DATA buffers are.
#[test]
fn another_layout_than_the_buffers_is_named() {
    let (_, mut acceptor) = Setup::of(AES256).pair();
    let whole =
        tokens::wrap_conf(&key(AES256), FROM_INITIATOR, 40, &[7; 20], &[1; 16], 0, 0).unwrap();
    let (token, data) = whole.split_at(60);
    let mut message = Pieces(vec![(true, data.to_vec())]);
    assert_eq!(
        acceptor.unwrap(&mut token.to_vec(), &mut message, &mut []),
        Err(MessageError::LayoutNotOfBuffers { rrc: 0, token: 60 })
    );
    let whole = tokens::wrap_integ(&key(AES256), FROM_INITIATOR, 40, &[7; 20], 0).unwrap();
    let (token, data) = whole.split_at(28);
    let mut message = Pieces(vec![(true, data.to_vec())]);
    assert_eq!(
        acceptor.unwrap(&mut token.to_vec(), &mut message, &mut []),
        Err(MessageError::LayoutNotOfBuffers { rrc: 0, token: 28 })
    );
}

/// Conformance row 60: without randomness there is no confounder, and no message.
#[test]
fn without_randomness_nothing_is_sealed() {
    let mut session = Setup::of(AES256).side(false, Arc::new(Dry));
    let plain = Pieces::of(&[8]);
    let mut message = plain.clone();
    assert!(matches!(
        session.wrap(true, &mut message, &mut [0; 60], &mut []),
        Err(MessageError::Random(_))
    ));
    assert_eq!(message, plain);
}

/// The tokens of one context mean nothing in another one, whatever its enctype.
#[test]
fn another_key_does_not_verify() {
    let (mut initiator, _) = Setup::of(AES256).pair();
    let (_, mut other) = Setup::of(Enctype::AES128_CTS_HMAC_SHA1_96).pair();
    let mut message = Pieces::of(&[8]);
    let (mut token, _) = wrap(&mut initiator, true, &mut message);
    assert_eq!(
        other.unwrap(&mut token, &mut message, &mut []),
        Err(MessageError::IntegrityCheckFailed)
    );
}
