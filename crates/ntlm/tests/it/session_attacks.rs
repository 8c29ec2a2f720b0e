//! What an attacker may try on the messages of a session, and what a session refuses by itself.

use trihound_ntlm::compute::{SessionKey, Side};
use trihound_ntlm::session::danger::DUMMY_SIGNATURE;
use trihound_ntlm::{NegotiateFlags, SessionError, SessionSecurity};

use crate::session::{Pieces, SEALED, SIGNED, full, key, pair, strong};

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
