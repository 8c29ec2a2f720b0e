//! Messages between two sessions.

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use trihound_crypto::{Scatter, Segment};
use trihound_ntlm::compute::{SessionKey, Side};
use trihound_ntlm::session::danger::weak_session;
use trihound_ntlm::tokens::MessageKeys;
use trihound_ntlm::{NegotiateFlags, SessionError, SessionSecurity, Unsealed};

/// What every message of MS-NLMP section 4.2 says: "Plaintext" in UTF-16LE.
const PLAINTEXT: [u8; 18] = *b"P\0l\0a\0i\0n\0t\0e\0x\0t\0";

pub(crate) const SEALED: Unsealed = Unsealed { sealed: true };
pub(crate) const SIGNED: Unsealed = Unsealed { sealed: false };

/// A message in pieces; `true` marks one that is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces(pub(crate) Vec<(bool, Vec<u8>)>);

impl Pieces {
    pub(crate) fn one(bytes: &[u8]) -> Self {
        Self(vec![(true, bytes.to_vec())])
    }

    pub(crate) fn concat(&self) -> Vec<u8> {
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

pub(crate) fn strong() -> [NegotiateFlags; 3] {
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
        let sent: Vec<_> = [7, 0, 8, u32::MAX]
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

/// Conformance row 152: no two datagrams are sent under one key stream, whatever the order of their numbers.
#[test]
fn row_152_a_number_serves_one_datagram() {
    let (mut client, mut server) = pair(datagram()[0]);
    let send = |session: &mut SessionSecurity, number| {
        let mut message = Pieces::one(&PLAINTEXT);
        session.protect(true, &mut message, number).map(drop)
    };
    for (number, is_new) in [
        (5, true),
        (5, false),
        (3, true),
        (4, true),
        (3, false),
        (70, true),
        (5, false),
        (7, true),
        (7, false),
        (6, false),
        (134, true),
        (133, true),
        (71, true),
        (70, false),
        (u32::MAX, true),
        (u32::MAX, false),
        (0, false),
    ] {
        let used = Err(SessionError::DatagramNumberUsed { number });
        let expected = if is_new { Ok(()) } else { used };
        assert_eq!(send(&mut client, number), expected, "{number}");
    }
    // A signature takes a number as well, and each side has its own.
    assert!(server.sign(&mut Pieces::one(&PLAINTEXT), 5).is_ok());
    let again = server.sign(&mut Pieces::one(&PLAINTEXT), 5);
    assert_eq!(again, Err(SessionError::DatagramNumberUsed { number: 5 }));
    // The number of a mechListMIC is the application's again (conformance row 169).
    let (mut client, _) = pair(datagram()[0]);
    assert!(client.sign(&mut Pieces::one(b"mechTypes"), 0).is_ok());
    client.mech_list_mic_done();
    assert_eq!(send(&mut client, 0), Ok(()));
    client.mech_list_mic_done();
    assert!(send(&mut client, 0).is_err());
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

/// Conformance row 169: a stream that covered anything but a mechListMIC is not used again.
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

/// Conformance row 169: a stream that encrypted a message is not used again either, be it the first message; one
/// that hid checksums only gives nothing away.
#[test]
fn row_169_a_stream_that_encrypted_one_message_does_not_start_anew() {
    let (mut client, mut server) = pair(full());
    let mut message = Pieces::one(&PLAINTEXT);
    let signature = client.protect(true, &mut message, 0).unwrap();
    let first = message.concat();
    assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
    client.mech_list_mic_done();
    server.mech_list_mic_done();
    let mut message = Pieces::one(&PLAINTEXT);
    let signature = client.protect(true, &mut message, 0).unwrap();
    assert_ne!(message.concat(), first, "the same stream over two messages");
    assert_eq!(server.open(&signature, &mut message, 0), Ok(SEALED));
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
            let number = (number >> 8) + index as u32;
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
