//! Messages between two sessions, and what an attacker may try on them.

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use trihound_crypto::{Scatter, Segment};
use trihound_ntlm::compute::{SessionKey, Side};
use trihound_ntlm::session::danger::{DUMMY_SIGNATURE, weak_session};
use trihound_ntlm::tokens::MessageKeys;
use trihound_ntlm::{NegotiateFlags, SessionError, SessionSecurity, Unsealed};

/// What every message of MS-NLMP section 4.2 says: "Plaintext" in UTF-16LE.
const PLAINTEXT: [u8; 18] = *b"P\0l\0a\0i\0n\0t\0e\0x\0t\0";

const SEALED: Unsealed = Unsealed { sealed: true };
const SIGNED: Unsealed = Unsealed { sealed: false };

/// A message in pieces; `true` marks one that is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces(pub(crate) Vec<(bool, Vec<u8>)>);

impl Pieces {
    pub(crate) fn one(bytes: &[u8]) -> Self {
        Self(vec![(true, bytes.to_vec())])
    }

    fn concat(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

impl Scatter for Pieces {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn segment(&mut self, index: usize) -> Segment<'_> {
        let (sealed, bytes) = &mut self.0[index];
        if *sealed {
            Segment::Sealed(bytes)
        } else {
            Segment::Signed(bytes)
        }
    }
}

pub(crate) fn key() -> SessionKey {
    SessionKey::from([0x55; 16])
}

/// Both protections, extended session security and 128 bits, with and without key exchange.
pub(crate) fn full() -> NegotiateFlags {
    NegotiateFlags::NEGOTIATE_SIGN
        | NegotiateFlags::NEGOTIATE_SEAL
        | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY
        | NegotiateFlags::NEGOTIATE_128
        | NegotiateFlags::NEGOTIATE_KEY_EXCH
}

fn strong() -> [NegotiateFlags; 3] {
    [
        full(),
        full() - NegotiateFlags::NEGOTIATE_KEY_EXCH,
        full() - NegotiateFlags::NEGOTIATE_SEAL,
    ]
}

/// Everything that only danger makes.
fn weak() -> Vec<NegotiateFlags> {
    let mut all = Vec::new();
    for ess in [
        NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY,
        NegotiateFlags::NEGOTIATE_LM_KEY,
        NegotiateFlags::empty(),
    ] {
        for bits in [NegotiateFlags::NEGOTIATE_56, NegotiateFlags::empty()] {
            for exchange in [NegotiateFlags::NEGOTIATE_KEY_EXCH, NegotiateFlags::empty()] {
                all.push(
                    NegotiateFlags::NEGOTIATE_SIGN
                        | NegotiateFlags::NEGOTIATE_SEAL
                        | ess
                        | bits
                        | exchange,
                );
            }
        }
    }
    all
}

/// The client's and the server's session.
pub(crate) fn pair(flags: NegotiateFlags) -> (SessionSecurity, SessionSecurity) {
    (
        SessionSecurity::new(flags, &key(), Side::Client).unwrap(),
        SessionSecurity::new(flags, &key(), Side::Server).unwrap(),
    )
}

fn weak_pair(flags: NegotiateFlags) -> (SessionSecurity, SessionSecurity) {
    (
        weak_session(flags, &key(), Side::Client),
        weak_session(flags, &key(), Side::Server),
    )
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect();
    bytes.try_into().unwrap()
}

/// Conformance rows 150 and 151: MS-NLMP sections 4.2.3.4 and 4.2.4.4, the second with a key exchange.
#[test]
fn row_151_sealed_messages_are_those_of_the_specification() {
    for (flags, session_key, ciphertext, signature) in [
        (
            2_181_595_699,
            unhex("eb93429a8bd952f8b89c55b87f475edc"),
            unhex("a02372f6530273f3aa1eb90190ce5200c99d"),
            unhex("01000000ff2aeb52f681793a00000000"),
        ),
        (
            3_800_728_115,
            [0x55; 16],
            unhex("54e50165bf1936dc996020c1811b0f06fb5f"),
            unhex("010000007fb38ec5c55d497600000000"),
        ),
    ] {
        let flags = NegotiateFlags::from_bits_retain(flags);
        let session_key = SessionKey::from(session_key);
        let (mut client, mut server) = (
            weak_session(flags, &session_key, Side::Client),
            weak_session(flags, &session_key, Side::Server),
        );
        let mut message = Pieces::one(&PLAINTEXT);
        let made: [u8; 16] = client.protect(true, &mut message, 0).unwrap();
        assert_eq!((made, message.concat()), (signature, Vec::from(ciphertext)));
        assert_eq!(server.open(&made, &mut message, 0), Ok(SEALED));
        assert_eq!(message.concat(), PLAINTEXT);

        let keys = MessageKeys::new(flags, &session_key, Side::Client);
        let mut alone = PLAINTEXT;
        assert_eq!(keys.seal(0, &mut alone), Ok(signature));
        assert_eq!(alone, ciphertext);
        assert_eq!(keys.unseal(0, &mut alone, &signature), Ok(()));
        assert_eq!(alone, PLAINTEXT);
    }
}

/// Conformance row 151: MS-NLMP section 4.2.2.4, a CRC-32 under RC4; only danger makes such a session.
#[test]
fn row_151_messages_without_extended_session_security_are_those_of_the_specification() {
    let flags = NegotiateFlags::from_bits_retain(3_791_815_219);
    let (mut client, mut server) = weak_pair(flags);
    let mut message = Pieces::one(&PLAINTEXT);
    let signature = client.protect(true, &mut message, 0).unwrap();
    assert_eq!(signature, unhex("010000000000000009dcd1df2e459d36"));
    assert_eq!(
        message.concat(),
        unhex::<18>("56fe04d861f9319af0d7238a2e3b4d457fb8")
    );
    assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
    assert_eq!(message.concat(), PLAINTEXT);
}

/// Conformance rows 151 and 152: many messages of every kind in both directions, so that stream and
/// number go on.
#[test]
fn row_152_streams_and_numbers_go_on_in_each_direction() {
    let pairs = strong().map(pair).into_iter();
    for (mut client, mut server) in pairs.chain(weak().into_iter().map(weak_pair)) {
        let both = client.flags().contains(
            NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY | NegotiateFlags::NEGOTIATE_KEY_EXCH,
        );
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 1023, 1024, 1025, 5000] {
            for turn in [false, true, true] {
                let (from, to) = if turn {
                    (&mut server, &mut client)
                } else {
                    (&mut client, &mut server)
                };
                let plain = Pieces::one(&vec![length as u8; length]);
                for seal in [true, false] {
                    // Where nothing but the flags tells how to open, a message is what they say.
                    if (seal && !from.seals()) || (!seal && from.seals() && !both) {
                        continue;
                    }
                    let mut message = plain.clone();
                    let signature = from.protect(seal, &mut message, 0).unwrap();
                    if length > 8 {
                        assert_eq!(message != plain, seal);
                    }
                    let unsealed = to.open(&signature, &mut message, 0).unwrap();
                    // Nothing tells the two apart where there is nothing to encrypt.
                    assert!(unsealed.sealed == seal || length == 0);
                    assert_eq!(message, plain);
                }
                let signature = from.sign(&mut plain.clone(), 0).unwrap();
                assert_eq!(to.verify(&signature, &mut plain.clone(), 0), Ok(()));
            }
        }
    }
}

/// Conformance row 147: what is weak comes into being through danger alone, and only where something would be
/// protected by it.
#[test]
fn row_147_weak_sessions_are_refused() {
    let refusal = |flags| SessionSecurity::new(flags, &key(), Side::Server).unwrap_err();
    let full = full();
    for flags in [
        full - NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY,
        NegotiateFlags::NEGOTIATE_SIGN | NegotiateFlags::NEGOTIATE_128,
        NegotiateFlags::NEGOTIATE_SEAL,
    ] {
        assert_eq!(refusal(flags), SessionError::NoExtendedSessionSecurity);
    }
    for protection in [
        NegotiateFlags::NEGOTIATE_SIGN,
        NegotiateFlags::NEGOTIATE_SEAL,
    ] {
        let flags = protection | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY;
        assert_eq!(refusal(flags), SessionError::WeakKey { bits: 40 });
        assert_eq!(
            refusal(flags | NegotiateFlags::NEGOTIATE_56),
            SessionError::WeakKey { bits: 56 }
        );
    }
    // curl asks for neither signing nor sealing.
    let plain = NegotiateFlags::NEGOTIATE_NTLM | NegotiateFlags::NEGOTIATE_ALWAYS_SIGN;
    assert!(SessionSecurity::new(plain, &key(), Side::Server).is_ok());
}

/// Conformance row 153: a context that negotiated no protection gives none, and takes no dummy for one.
#[test]
fn row_153_always_sign_alone_signs_nothing() {
    let flags = NegotiateFlags::NEGOTIATE_ALWAYS_SIGN
        | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY
        | NegotiateFlags::NEGOTIATE_128;
    let (mut client, mut server) = pair(flags);
    assert!(!client.signs() && !client.seals());
    assert_eq!(client.signature_length(), 0);
    let missing = |function, attribute| SessionError::NotNegotiated {
        function,
        attribute,
    };
    let mut message = Pieces::one(b"text");
    assert_eq!(
        client.sign(&mut message, 0),
        Err(missing("MakeSignature", "INTEGRITY"))
    );
    assert_eq!(
        client.protect(false, &mut message, 0),
        Err(missing("EncryptMessage", "INTEGRITY"))
    );
    assert_eq!(
        client.protect(true, &mut message, 0),
        Err(missing("EncryptMessage", "CONFIDENTIALITY"))
    );
    assert_eq!(
        server.verify(&DUMMY_SIGNATURE, &mut message, 0),
        Err(missing("VerifySignature", "INTEGRITY"))
    );
    assert_eq!(
        server.open(&DUMMY_SIGNATURE, &mut message, 0),
        Err(missing("DecryptMessage", "INTEGRITY"))
    );
    assert_eq!(message.concat(), b"text");
}

/// Conformance row 153: a dummy in a session that does sign is told by name.
#[test]
fn row_153_a_dummy_signature_is_refused() {
    for flags in strong() {
        let (_, mut server) = pair(flags);
        let mut message = Pieces::one(b"text");
        assert_eq!(
            server.verify(&DUMMY_SIGNATURE, &mut message, 0),
            Err(SessionError::DummySignature)
        );
        assert_eq!(
            server.open(&DUMMY_SIGNATURE, &mut message, 0),
            Err(SessionError::DummySignature)
        );
    }
}

/// A context for signatures alone does not encrypt.
#[test]
fn sealing_has_to_be_negotiated() {
    let (mut client, _) = pair(full() - NegotiateFlags::NEGOTIATE_SEAL);
    assert_eq!(
        client.protect(true, &mut Pieces::one(b"text"), 0),
        Err(SessionError::NotNegotiated {
            function: "EncryptMessage",
            attribute: "CONFIDENTIALITY"
        })
    );
}

/// Windows' LDAP client seals where only signing was negotiated, and SECQOP_WRAP_NO_ENCRYPT signs where both
/// were: either is opened, and told.
#[test]
fn messages_are_opened_the_way_they_were_made() {
    let signing_only = full() - NegotiateFlags::NEGOTIATE_SEAL;
    let (mut eager, _) = pair(full());
    let (_, mut server) = pair(signing_only);
    for round in 0..3 {
        let mut message = Pieces::one(&[round; 40]);
        let signature = eager.protect(true, &mut message, 0).unwrap();
        assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
        assert_eq!(message.concat(), [round; 40]);
        let signature = eager.protect(false, &mut message, 0).unwrap();
        assert_eq!(server.open(&signature, &mut message, 0), Ok(SIGNED));
        assert_eq!(message.concat(), [round; 40]);
    }
}

/// Without key exchange a sealed message whose text somebody knows would verify as a signed one, so the second way
/// is not tried.
#[test]
fn a_known_plaintext_does_not_pass_for_a_signed_message() {
    let flags = full() - NegotiateFlags::NEGOTIATE_KEY_EXCH;
    let (mut client, mut server) = pair(flags);
    let plain = Pieces::one(b"known to the attacker");
    let mut message = plain.clone();
    let signature = client.protect(true, &mut message, 0).unwrap();
    assert_eq!(
        server.open(&signature, &mut plain.clone(), 0),
        Err(SessionError::IntegrityCheckFailed)
    );
    assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
    let (mut client, mut server) = pair(flags - NegotiateFlags::NEGOTIATE_SEAL);
    let signature = client.protect(false, &mut plain.clone(), 0).unwrap();
    assert_eq!(server.open(&signature, &mut plain.clone(), 0), Ok(SIGNED));
}

/// Signed pieces are under the checksum in their order and stay as they are (DCE style).
#[test]
fn signed_pieces_are_under_the_checksum_in_order() {
    let (mut client, mut server) = pair(full());
    let plain = Pieces(vec![
        (false, b"header".to_vec()),
        (true, b"body to hide".to_vec()),
        (false, b"trailer".to_vec()),
    ]);
    let mut message = plain.clone();
    let signature = client.protect(true, &mut message, 0).unwrap();
    assert_eq!(message.0[0], plain.0[0]);
    assert_ne!(message.0[1], plain.0[1]);
    assert_eq!(message.0[2], plain.0[2]);
    for change in [
        |pieces: &mut Pieces| pieces.0.swap(0, 2),
        |pieces: &mut Pieces| pieces.0[0].1[0] ^= 1,
        |pieces: &mut Pieces| pieces.0[2].1[6] ^= 0x80,
    ] {
        let mut altered = message.clone();
        change(&mut altered);
        assert_eq!(
            server.open(&signature, &mut altered, 0),
            Err(SessionError::IntegrityCheckFailed)
        );
        assert_eq!(altered.0[1].1, [0; 12]);
    }
    assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
    assert_eq!(message, plain);
}

/// Conformance rows 18 and 152: whichever bit of a message or its signature is flipped, the error is exact, the
/// plaintext is gone, and the true message still verifies: stream and number did not move.
#[test]
fn row_152_a_refused_message_leaves_the_session_as_it_was() {
    for flags in strong() {
        let seal = flags.contains(NegotiateFlags::NEGOTIATE_SEAL);
        let (mut client, mut server) = pair(flags);
        // Not at the start of the stream, nor at a multiple of its words.
        for length in [3, 21] {
            let mut message = Pieces::one(&vec![7; length]);
            let signature = client.protect(seal, &mut message, 0).unwrap();
            let number = u32::from_le_bytes(signature[12..].try_into().unwrap());
            for bit in 0..(16 + length) * 8 {
                let mut wrong = signature;
                let mut altered = message.clone();
                let flip = 1 << (bit % 8);
                match bit / 8 {
                    at @ 0..16 => wrong[at] ^= flip,
                    at => altered.0[0].1[at - 16] ^= flip,
                }
                let expected = match bit / 8 {
                    0..4 => SessionError::SignatureVersion {
                        found: 1 ^ (1 << bit),
                    },
                    4..12 | 16.. => SessionError::IntegrityCheckFailed,
                    _ => SessionError::SequenceNumber {
                        expected: number,
                        found: number ^ (1 << (bit - 96)),
                    },
                };
                let read = altered.clone();
                assert_eq!(server.open(&wrong, &mut altered, 0), Err(expected));
                assert_eq!(altered.concat(), vec![0; length], "bit {bit}");
                assert_eq!(server.verify(&wrong, &mut read.clone(), 0), Err(expected));
                let mut whole = [&wrong[..], &read.concat()].concat();
                assert_eq!(server.open_stream(&mut whole, 0), Err(expected));
                assert_eq!(whole[16..], vec![0; length]);
            }
            assert!(server.open(&signature, &mut message, 0).is_ok());
            assert_eq!(message.concat(), vec![7; length]);
        }
    }
}

/// A signature cut at every length, and a longer one.
#[test]
fn signatures_have_one_length() {
    let (mut client, mut server) = pair(full());
    let mut message = Pieces::one(b"text");
    let signature = client.sign(&mut message, 0).unwrap();
    for found in 0..16 {
        assert_eq!(
            server.verify(&signature[..found], &mut message, 0),
            Err(SessionError::SignatureTooShort { found })
        );
        assert_eq!(
            server.open_stream(&mut signature[..found].to_vec(), 0),
            Err(SessionError::SignatureTooShort { found })
        );
    }
    let longer = [&signature[..], &[0]].concat();
    assert_eq!(
        server.verify(&longer, &mut message, 0),
        Err(SessionError::SignatureTooLong { found: 17 })
    );
    assert_eq!(server.verify(&signature, &mut message, 0), Ok(()));
}

/// Conformance row 152: no message comes twice, late, early or after a lost one.
#[test]
fn row_152_replayed_reordered_and_lost_messages_are_refused() {
    for flags in strong() {
        let seal = flags.contains(NegotiateFlags::NEGOTIATE_SEAL);
        let (mut client, mut server) = pair(flags);
        let sent: Vec<_> = (0..4)
            .map(|byte| {
                let mut message = Pieces::one(&[byte; 9]);
                (client.protect(seal, &mut message, 0).unwrap(), message)
            })
            .collect();
        let mut deliver = |index: usize| {
            let (signature, mut message) = sent[index].clone();
            server.open(&signature, &mut message, 0).map(|_| message)
        };
        let refused = |expected, found| Err(SessionError::SequenceNumber { expected, found });
        assert_eq!(deliver(1), refused(0, 1), "early");
        assert!(deliver(0).is_ok());
        assert_eq!(deliver(0), refused(1, 0), "replayed");
        assert_eq!(deliver(2), refused(1, 2), "one was dropped");
        assert!(deliver(1).is_ok());
        assert!(deliver(2).is_ok());
        assert_eq!(deliver(1), refused(3, 1), "replayed later");
        assert!(deliver(3).is_ok());
    }
}

/// Conformance row 152: a number made to fit does not help, since it is under the checksum.
#[test]
fn row_152_a_number_made_to_fit_is_refused() {
    for flags in strong() {
        let (mut client, mut server) = pair(flags);
        let mut message = Pieces::one(b"pay 1");
        let first = client.sign(&mut message, 0).unwrap();
        assert_eq!(server.verify(&first, &mut message, 0), Ok(()));
        let mut again = first;
        again[12] = 1;
        assert_eq!(
            server.verify(&again, &mut message, 0),
            Err(SessionError::IntegrityCheckFailed)
        );
        // A second one of the same text has another signature.
        let second = client.sign(&mut message, 0).unwrap();
        assert_ne!(first[4..12], second[4..12]);
    }
}

/// A message sent back to who made it: each direction has keys of its own.
#[test]
fn a_reflected_message_is_refused() {
    for flags in strong() {
        let (mut client, mut server) = pair(flags);
        let seal = flags.contains(NegotiateFlags::NEGOTIATE_SEAL);
        let plain = Pieces::one(b"reflected");
        let mut message = plain.clone();
        let signature = client.protect(seal, &mut message, 0).unwrap();
        assert_eq!(
            client.open(&signature, &mut message.clone(), 0),
            Err(SessionError::IntegrityCheckFailed)
        );
        let mac = client.sign(&mut plain.clone(), 0).unwrap();
        let from_server = server.sign(&mut plain.clone(), 0).unwrap();
        assert_ne!(mac[4..12], from_server[4..12]);
    }
}

/// A message of another context, with another key, and one of another kind.
#[test]
fn messages_of_another_context_are_refused() {
    let other = SessionKey::from([0x54; 16]);
    let mut stranger = SessionSecurity::new(full(), &other, Side::Client).unwrap();
    let (_, mut server) = pair(full());
    let mut message = Pieces::one(b"text");
    let signature = stranger.protect(true, &mut message, 0).unwrap();
    assert_eq!(
        server.open(&signature, &mut message, 0),
        Err(SessionError::IntegrityCheckFailed)
    );
    let (mut client, mut server) = pair(full());
    let mut message = Pieces::one(b"text");
    let sealed = client.protect(true, &mut message, 0).unwrap();
    // VerifySignature of a sealed message is over its ciphertext, and so fails.
    assert_eq!(
        server.verify(&sealed, &mut message, 0),
        Err(SessionError::IntegrityCheckFailed)
    );
    assert_eq!(server.open(&sealed, &mut message, 0), Ok(SEALED));
}

/// Without extended session security there is one stream and one number for both directions (danger); a number
/// that is not due is still told from an altered message.
#[test]
fn one_stream_for_both_directions_without_extended_session_security() {
    let flags = NegotiateFlags::NEGOTIATE_SIGN | NegotiateFlags::NEGOTIATE_SEAL;
    let (mut client, mut server) = weak_pair(flags);
    let mut message = Pieces::one(&[1; 30]);
    let signature = client.protect(true, &mut message, 0).unwrap();
    for at in 8..16 {
        let mut wrong = signature;
        wrong[at] ^= 1;
        let found = server.open(&wrong, &mut message.clone(), 0).unwrap_err();
        match at {
            8..12 => assert_eq!(found, SessionError::IntegrityCheckFailed),
            _ => assert_eq!(
                found,
                SessionError::SequenceNumber {
                    expected: 0,
                    found: 1 << ((at - 12) * 8)
                }
            ),
        }
    }
    assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
    // The pad is not looked at: senders put zeros or what they like.
    let mut answer = Pieces::one(&[2; 30]);
    let mut signature = server.protect(true, &mut answer, 0).unwrap();
    signature[4..8].fill(0xa5);
    assert_eq!(client.open(&signature, &mut answer, 0), Ok(SEALED));
    assert_eq!(answer.concat(), [2; 30]);
}

fn datagram() -> [NegotiateFlags; 2] {
    strong()[..2]
        .iter()
        .map(|&flags| flags | NegotiateFlags::NEGOTIATE_DATAGRAM)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

/// Conformance row 152: datagrams may be lost and overtake each other; each is under the number that the caller
/// gives, and opens under no other.
#[test]
fn row_152_datagrams_are_keyed_by_the_callers_number() {
    let weak = NegotiateFlags::NEGOTIATE_SIGN
        | NegotiateFlags::NEGOTIATE_SEAL
        | NegotiateFlags::NEGOTIATE_DATAGRAM;
    for flags in datagram().into_iter().chain([weak]) {
        let (mut client, mut server) = weak_pair(flags);
        let is_extended = flags.contains(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY);
        let sent: Vec<_> = [7, 0, u32::MAX, 8]
            .into_iter()
            .map(|number| {
                let mut message = Pieces::one(&[1; 20]);
                let signature = client.protect(true, &mut message, number).unwrap();
                (number, signature, message)
            })
            .collect();
        // The key streams differ, though the messages are one.
        assert_ne!(sent[0].2, sent[1].2);
        for index in [3, 0, 2, 1, 0] {
            let (number, signature, message) = sent[index].clone();
            let refusal = server
                .open(&signature, &mut message.clone(), number ^ 1)
                .unwrap_err();
            if is_extended {
                assert_eq!(
                    refusal,
                    SessionError::SequenceNumber {
                        expected: number ^ 1,
                        found: number
                    }
                );
            } else {
                assert_eq!(refusal, SessionError::IntegrityCheckFailed);
            }
            let mut opened = message;
            assert_eq!(server.open(&signature, &mut opened, number), Ok(SEALED));
            assert_eq!(opened.concat(), [1; 20]);
        }
    }
}

/// Conformance row 152: the datagram's key is MD5(SealingKey | number) (MS-NLMP section 3.4).
#[test]
fn row_152_datagrams_are_rekeyed_as_the_specification_says() {
    let flags = datagram()[0];
    let (mut client, _) = pair(flags);
    let sealing = trihound_ntlm::compute::seal_key(flags, &key(), Side::Client);
    let signing = trihound_ntlm::compute::sign_key(flags, &key(), Side::Client).unwrap();
    for number in [0_u32, 1, 0x0102_0304] {
        let rekeyed = trihound_crypto::md5(&[sealing.expose(), &number.to_le_bytes()]);
        let keys = MessageKeys::extended(rekeyed, *signing.expose(), true);
        let (mut ours, mut message) = (PLAINTEXT, Pieces::one(&PLAINTEXT));
        let expected = keys.seal(number, &mut ours).unwrap();
        assert_eq!(client.protect(true, &mut message, number), Ok(expected));
        assert_eq!(message.concat(), ours);
    }
}

/// Conformance row 169: after the mechListMICs the key streams start anew and the numbers go on; the MIC is that of
/// the vector.
#[test]
fn row_169_streams_start_anew_after_the_mech_list_mic() {
    let flags = NegotiateFlags::from_bits_retain(3_800_728_115);
    let mech_types = unhex::<26>("3018060a2b06010401823702020a060a2b06010401823702021e");
    for made in [(true, true), (true, false), (false, true)] {
        let (mut client, mut server) = pair(flags);
        let mut message = Pieces::one(&mech_types);
        if made.0 {
            let mic = client.sign(&mut message, 0).unwrap();
            assert_eq!(mic, unhex("01000000ecb92ba6631e775f00000000"));
            assert_eq!(server.verify(&mic, &mut message, 0), Ok(()));
        }
        if made.1 {
            let mic = server.sign(&mut message, 0).unwrap();
            assert_eq!(client.verify(&mic, &mut message, 0), Ok(()));
        }
        client.mech_list_mic_done();
        server.mech_list_mic_done();
        let keys = MessageKeys::new(flags, &key(), Side::Client);
        let number = u32::from(made.0);
        let (mut first, mut expected) = (Pieces::one(&PLAINTEXT), PLAINTEXT);
        let signature = client.protect(true, &mut first, 0).unwrap();
        assert_eq!(signature, keys.seal(number, &mut expected).unwrap());
        assert_eq!(first.concat(), expected);
        assert_eq!(server.open(&signature, &mut first, 0), Ok(SEALED));
        let signature = server.protect(true, &mut first, 0).unwrap();
        assert_eq!(client.open(&signature, &mut first, 0), Ok(SEALED));
        assert_eq!(first.concat(), PLAINTEXT);
    }
}

/// Conformance row 169: a stream that covered anything but a mechListMIC is not used again, and datagrams, which
/// have no stream that goes on, are not touched.
#[test]
fn row_169_a_used_stream_does_not_start_anew() {
    let (mut client, mut server) = pair(full());
    for _ in 0..2 {
        let mut message = Pieces::one(&PLAINTEXT);
        let signature = client.protect(true, &mut message, 0).unwrap();
        assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
    }
    client.mech_list_mic_done();
    let (mut third, mut fresh) = (Pieces::one(&PLAINTEXT), PLAINTEXT);
    let signature = client.protect(true, &mut third, 0).unwrap();
    let keys = MessageKeys::new(full(), &key(), Side::Client);
    keys.seal(2, &mut fresh).unwrap();
    assert_ne!(third.concat(), fresh);
    // The other side was not told; that it opens shows that nothing had started anew.
    assert_eq!(server.open(&signature, &mut third, 0), Ok(SEALED));
}

/// The text of an error names what to do, and no bytes of a message.
#[test]
fn errors_name_cause_and_next_step() {
    let text = SessionError::SequenceNumber {
        expected: 3,
        found: 5,
    }
    .to_string();
    assert!(text.contains('3') && text.contains('5'), "{text}");
    let text = SessionError::WeakKey { bits: 56 }.to_string();
    assert!(text.contains("NTLMSSP_NEGOTIATE_128"), "{text}");
    let (client, _) = pair(full());
    assert!(!format!("{client:?}").contains("55"), "{client:?}");
}

/// A session may go to another thread, as a context of SSPI does.
#[test]
fn sessions_can_be_sent() {
    let (mut client, mut server) = pair(full());
    let plain = Arc::new(Pieces::one(b"text"));
    let copy = Arc::clone(&plain);
    let (signature, mut message) = thread::spawn(move || {
        let mut message = (*copy).clone();
        (client.protect(true, &mut message, 0).unwrap(), message)
    })
    .join()
    .unwrap();
    assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
    assert_eq!(message, *plain);
}

fn flags() -> impl Strategy<Value = NegotiateFlags> {
    prop::sample::select(
        strong()
            .into_iter()
            .chain(weak())
            .chain(datagram())
            .collect::<Vec<_>>(),
    )
}

fn pieces() -> impl Strategy<Value = Pieces> {
    let piece = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200));
    prop::collection::vec(piece, 1..6).prop_map(Pieces)
}

proptest! {
    /// Whatever is sealed in whatever pieces opens in any other split of the same bytes.
    #[test]
    fn any_split_opens(
        flags in flags(),
        messages in prop::collection::vec((pieces(), prop::collection::vec(0..200_usize, 0..4)), 1..6),
        number in any::<u32>(),
    ) {
        let (mut client, mut server) = weak_pair(flags);
        for (index, (plain, cuts)) in messages.into_iter().enumerate() {
            let (from, to) = if index % 2 == 0 {
                (&mut client, &mut server)
            } else {
                (&mut server, &mut client)
            };
            let seal = from.seals();
            let mut message = plain.clone();
            let signature = from.protect(seal, &mut message, number).unwrap();
            // Each piece is cut anew, so that the receiver's buffers are other ones.
            let mut split = Pieces(Vec::new());
            for (sealed, bytes) in &message.0 {
                let mut rest = bytes.as_slice();
                for &cut in &cuts {
                    let (front, back) = rest.split_at(cut.min(rest.len()));
                    split.0.push((*sealed, front.to_vec()));
                    rest = back;
                }
                split.0.push((*sealed, rest.to_vec()));
            }
            let unsealed = to.open(&signature, &mut split, number).unwrap();
            prop_assert_eq!(unsealed.sealed, seal);
            prop_assert_eq!(split.concat(), plain.concat());
        }
    }

    /// Bytes of anybody's making are no message, and nothing of the session moves.
    #[test]
    fn random_bytes_are_refused(
        flags in prop::sample::select(strong().to_vec()),
        mut garbage in prop::collection::vec(any::<u8>(), 0..64),
        fitting in any::<bool>(),
    ) {
        let (mut client, mut server) = pair(flags);
        if fitting && garbage.len() >= 16 {
            garbage[..4].copy_from_slice(&[1, 0, 0, 0]);
            garbage[12..16].fill(0);
        }
        prop_assert!(server.open_stream(&mut garbage, 0).is_err());
        let mut message = Pieces::one(b"true");
        let signature = client.sign(&mut message, 0).unwrap();
        prop_assert_eq!(server.verify(&signature, &mut message, 0), Ok(()));
    }
}
