//! Messages through SSPI's buffers.

use proptest::prelude::*;
use trihound_ntlm::{NegotiateFlags, SessionError, SessionSecurity};
use trihound_sspi::{
    BufferType, Error, SECQOP_WRAP_NO_ENCRYPT, SecBuffer, SecBufferDesc, SecurityStatus,
};

use crate::session::{full, pair};

/// What a test finds below SSPI's error.
fn cause(error: &Error) -> SessionError {
    *error.find_source().expect("a SessionError below")
}

/// EncryptMessage over one TOKEN, the pieces, and a PADDING buffer.
fn encrypt(
    session: &mut SessionSecurity,
    qop: u32,
    pieces: &mut [Vec<u8>],
) -> Result<Vec<u8>, Error> {
    let (mut memory, mut padding) = ([0; 16], [9; 8]);
    let mut buffers = vec![SecBuffer::token(&mut memory)];
    buffers.extend(pieces.iter_mut().map(|piece| SecBuffer::data(piece)));
    buffers.push(SecBuffer::padding(&mut padding));
    let mut message = SecBufferDesc::new(&mut buffers);
    session.encrypt_message(qop, &mut message, 0)?;
    assert!(message.find(BufferType::PADDING).unwrap().is_empty());
    Ok(message.token().unwrap().to_vec())
}

fn decrypt(
    session: &mut SessionSecurity,
    token: &[u8],
    pieces: &mut [Vec<u8>],
) -> Result<u32, Error> {
    let mut padding = [];
    let mut buffers: Vec<_> = pieces
        .iter_mut()
        .map(|piece| SecBuffer::data(piece))
        .collect();
    buffers.push(SecBuffer::token_input(token));
    buffers.push(SecBuffer::padding(&mut padding));
    session.decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)
}

fn plain() -> Vec<Vec<u8>> {
    [1_u8, 15, 16, 17]
        .map(|length| (0..length).map(|byte| byte ^ length).collect())
        .to_vec()
}

/// TOKEN with pieces, and the same message in one piece, both ways, sealed and signed.
#[test]
fn messages_go_both_ways() {
    let (mut client, mut server) = pair(full());
    for turn in [false, true, false] {
        let (from, to) = if turn {
            (&mut server, &mut client)
        } else {
            (&mut client, &mut server)
        };
        for qop in [0, SECQOP_WRAP_NO_ENCRYPT] {
            let mut pieces = plain();
            let token = encrypt(from, qop, &mut pieces).unwrap();
            assert_eq!(token.len(), 16);
            assert_eq!(pieces == plain(), qop != 0);
            assert_eq!(decrypt(to, &token, &mut pieces).unwrap(), qop);
            assert_eq!(pieces, plain());

            let token = encrypt(from, qop, &mut pieces).unwrap();
            let mut whole = [token, pieces.concat()].concat();
            let mut buffers = [
                SecBuffer::stream(&mut whole),
                SecBuffer::empty(BufferType::DATA),
            ];
            let mut message = SecBufferDesc::new(&mut buffers);
            assert_eq!(to.decrypt_message(&mut message, 0).unwrap(), qop);
            assert_eq!(buffers[1].bytes(), plain().concat());
        }
    }
}

/// STREAM_HEADER and STREAM_TRAILER, as a caller of SECPKG_ATTR_STREAM_SIZES has them.
#[test]
fn a_stream_header_is_a_token() {
    let (mut client, mut server) = pair(full());
    let (mut header, mut data, mut trailer) = ([0; 16], *b"in one piece", [0; 4]);
    let mut buffers = [
        SecBuffer::new(BufferType::STREAM_HEADER, &mut header),
        SecBuffer::data(&mut data),
        SecBuffer::new(BufferType::STREAM_TRAILER, &mut trailer),
    ];
    client
        .encrypt_message(0, &mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap();
    assert!(buffers[2].is_empty());
    let mut whole = [buffers[0].bytes(), buffers[1].bytes()].concat();
    let mut buffers = [
        SecBuffer::stream(&mut whole),
        SecBuffer::empty(BufferType::EMPTY),
    ];
    server
        .decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap();
    assert_eq!(buffers[1].bytes(), b"in one piece");
}

/// DCE style: the header and the verifier are signed in place, the stub between them is sealed.
#[test]
fn read_only_buffers_are_signed_or_left_alone() {
    let (mut client, mut server) = pair(full());
    for (header, outside, is_right) in [
        (b"header", b"free", true),
        (b"Header", b"free", false),
        (b"header", b"FREE", true),
    ] {
        let (mut memory, mut body) = ([0; 16], *b"the body of the call");
        let mut buffers = [
            SecBuffer::data_readonly_with_checksum(b"header"),
            SecBuffer::data(&mut body),
            SecBuffer::data_readonly_with_checksum(b"verifier"),
            SecBuffer::data_readonly(b"free"),
            SecBuffer::token(&mut memory),
        ];
        client
            .encrypt_message(0, &mut SecBufferDesc::new(&mut buffers), 0)
            .unwrap();
        assert_ne!(&body, b"the body of the call");
        let (sent, mut received) = (body, body);
        let mut open = |header, body: &mut [u8]| {
            let mut buffers = [
                SecBuffer::data_readonly_with_checksum(header),
                SecBuffer::data(body),
                SecBuffer::data_readonly_with_checksum(b"verifier"),
                SecBuffer::data_readonly(outside),
                SecBuffer::token_input(&memory),
            ];
            server.decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)
        };
        let outcome = open(header, &mut received);
        if is_right {
            assert_eq!(outcome.unwrap(), 0);
            assert_eq!(&received, b"the body of the call");
            continue;
        }
        let error = outcome.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
        assert_eq!(cause(&error), SessionError::IntegrityCheckFailed);
        assert_eq!(received, [0; 20]);
        let mut again = sent;
        assert_eq!(open(b"header", &mut again).unwrap(), 0);
    }
}

/// MakeSignature and VerifySignature read their DATA, which may be shared memory.
#[test]
fn signatures_cover_every_piece() {
    let (mut client, mut server) = pair(full() - NegotiateFlags::NEGOTIATE_SEAL);
    let mut memory = [0; 20];
    let mut buffers = [
        SecBuffer::data_input(b"one"),
        SecBuffer::data_input(b"two"),
        SecBuffer::token(&mut memory),
        SecBuffer::data_readonly(b"not this"),
    ];
    let mut message = SecBufferDesc::new(&mut buffers);
    client.make_signature(0, &mut message, 0).unwrap();
    let token = message.token().unwrap().to_vec();
    assert_eq!(token.len(), 16);
    let mut verify = |pieces: [&[u8]; 2]| {
        let mut buffers = [
            SecBuffer::token_input(&token),
            SecBuffer::data_input(pieces[0]),
            SecBuffer::data_input(pieces[1]),
        ];
        server.verify_signature(&mut SecBufferDesc::new(&mut buffers), 0)
    };
    let error = verify([b"one", b"too"]).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
    assert_eq!(cause(&error), SessionError::IntegrityCheckFailed);
    // Where the message is cut into buffers is the caller's own business.
    assert_eq!(verify([b"onet", b"wo"]).unwrap(), 0);
    let error = verify([b"one", b"two"]).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_OUT_OF_SEQUENCE);
    assert_eq!(
        cause(&error),
        SessionError::SequenceNumber {
            expected: 1,
            found: 0
        }
    );
}

/// Conformance row 153 and the contract: what was not negotiated is refused, by name.
#[test]
fn functions_that_were_not_negotiated_refuse() {
    let none = NegotiateFlags::NEGOTIATE_ALWAYS_SIGN | NegotiateFlags::NEGOTIATE_128;
    let signing = full() - NegotiateFlags::NEGOTIATE_SEAL;
    let sealing = full() - NegotiateFlags::NEGOTIATE_SIGN;
    for (flags, seals, signs) in [
        (none, false, false),
        (signing, false, true),
        (sealing, true, true),
    ] {
        let (mut session, _) = pair(flags);
        let check = |outcome: Result<(), Error>, allowed: bool| match outcome {
            Ok(()) => assert!(allowed),
            Err(error) => {
                assert_eq!(
                    error.status() == SecurityStatus::SEC_E_QOP_NOT_SUPPORTED,
                    !allowed
                );
                assert_eq!(
                    matches!(cause(&error), SessionError::NotNegotiated { .. }),
                    !allowed
                );
            }
        };
        check(encrypt(&mut session, 0, &mut plain()).map(drop), seals);
        let signed = encrypt(&mut session, SECQOP_WRAP_NO_ENCRYPT, &mut plain());
        check(signed.map(drop), signs);
        check(
            decrypt(&mut session, &[1; 16], &mut plain()).map(drop),
            signs,
        );
        let (mut memory, mut data) = ([0; 16], [1; 5]);
        let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
        let mut message = SecBufferDesc::new(&mut buffers);
        check(session.make_signature(0, &mut message, 0), signs);
        check(session.verify_signature(&mut message, 0).map(drop), signs);
    }
}

/// Qualities of protection that NTLM does not have.
#[test]
fn unknown_qualities_of_protection_are_refused() {
    let (mut client, _) = pair(full());
    for qop in [1, 0x4000_0000, 0x8000_0000] {
        let error = encrypt(&mut client, qop, &mut plain()).unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
        assert_eq!(cause(&error), SessionError::UnknownQop { qop });
    }
    let (mut memory, mut data) = ([0; 16], [1; 5]);
    let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
    let error = client
        .make_signature(
            SECQOP_WRAP_NO_ENCRYPT,
            &mut SecBufferDesc::new(&mut buffers),
            0,
        )
        .unwrap_err();
    assert_eq!(
        cause(&error),
        SessionError::UnknownQop {
            qop: SECQOP_WRAP_NO_ENCRYPT
        }
    );
}

/// Buffers that are missing, too small or read-only; nothing is changed or counted.
#[test]
fn wrong_buffers_are_named_and_change_nothing() {
    let (mut client, mut server) = pair(full());
    let (mut memory, mut data) = ([0; 16], [1; 5]);
    let mut status = |buffers: &mut [SecBuffer<'_>]| {
        client
            .encrypt_message(0, &mut SecBufferDesc::new(buffers), 0)
            .unwrap_err()
            .status()
    };
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
            SecBuffer::token(&mut memory[..15]),
            SecBuffer::data(&mut data)
        ]),
        SecurityStatus::SEC_E_BUFFER_TOO_SMALL
    );
    assert_eq!(
        status(&mut [SecBuffer::token(&mut memory), SecBuffer::data_input(&data)]),
        SecurityStatus::SEC_E_INVALID_PARAMETER
    );
    assert_eq!(data, [1; 5]);
    let mut pieces = plain();
    let token = encrypt(&mut client, 0, &mut pieces).unwrap();
    let mut whole = [token.clone(), pieces.concat()].concat();
    let mut buffers = [SecBuffer::stream(&mut whole)];
    let error = server
        .decrypt_message(&mut SecBufferDesc::new(&mut buffers), 0)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    let error = decrypt(&mut server, &token[..15], &mut pieces.clone()).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(cause(&error), SessionError::SignatureTooShort { found: 15 });
    assert_eq!(decrypt(&mut server, &token, &mut pieces).unwrap(), 0);
}

/// A TOKEN buffer that the package allocates, and one that is longer than needed.
#[test]
fn token_buffers_may_be_longer_or_allocated() {
    let (mut client, mut server) = pair(full());
    for allocate in [false, true] {
        let (mut memory, mut data) = ([0; 200], *b"some text");
        let token = if allocate {
            SecBuffer::allocate(BufferType::TOKEN)
        } else {
            SecBuffer::token(&mut memory)
        };
        let mut buffers = [token, SecBuffer::data(&mut data)];
        let mut message = SecBufferDesc::new(&mut buffers);
        client.encrypt_message(0, &mut message, 0).unwrap();
        assert_eq!(message.token().unwrap().len(), 16);
        assert_eq!(server.decrypt_message(&mut message, 0).unwrap(), 0);
        assert_eq!(&data, b"some text");
    }
}

/// Conformance row 152: the number of a datagram is the caller's `MessageSeqNo`; a connection ignores it.
#[test]
fn row_152_the_callers_number_is_for_datagrams() {
    for (flags, is_heeded) in [
        (full() | NegotiateFlags::NEGOTIATE_DATAGRAM, true),
        (full(), false),
    ] {
        let (mut client, mut server) = pair(flags);
        let (mut memory, mut data) = ([0; 16], *b"some text");
        let mut buffers = [SecBuffer::token(&mut memory), SecBuffer::data(&mut data)];
        let mut message = SecBufferDesc::new(&mut buffers);
        client.encrypt_message(0, &mut message, 77).unwrap();
        let number = message.token().unwrap()[12..].to_vec();
        assert_eq!(number == 77_u32.to_le_bytes(), is_heeded);
        if is_heeded {
            let error = server.decrypt_message(&mut message, 78).unwrap_err();
            assert_eq!(
                cause(&error),
                SessionError::SequenceNumber {
                    expected: 78,
                    found: 77
                }
            );
            client.encrypt_message(0, &mut message, 79).unwrap();
            server.decrypt_message(&mut message, 79).unwrap();
        } else {
            server.decrypt_message(&mut message, 78).unwrap();
        }
    }
}

proptest! {
    /// Our seal against our unseal, whatever the DATA buffers of either side are.
    #[test]
    fn any_split_of_buffers_opens(
        message in prop::collection::vec(any::<u8>(), 1..600),
        cuts in prop::collection::vec(0..600_usize, 0..6),
        others in prop::collection::vec(0..600_usize, 0..6),
        qop in prop::sample::select(vec![0, SECQOP_WRAP_NO_ENCRYPT]),
        exchange in any::<bool>(),
        sealing in any::<bool>(),
    ) {
        let split = |bytes: &[u8], cuts: &[usize]| {
            let mut cuts: Vec<_> = cuts.iter().map(|&cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec());
            pieces.collect::<Vec<_>>()
        };
        let mut flags = full();
        flags.set(NegotiateFlags::NEGOTIATE_KEY_EXCH, exchange);
        flags.set(NegotiateFlags::NEGOTIATE_SEAL, sealing);
        // Without key exchange a message is what the flags say.
        let qop = match (sealing, exchange) {
            (false, _) => SECQOP_WRAP_NO_ENCRYPT,
            (true, false) => 0,
            (true, true) => qop,
        };
        let (mut client, mut server) = pair(flags);
        for _ in 0..2 {
            let mut pieces = split(&message, &cuts);
            let token = encrypt(&mut client, qop, &mut pieces).unwrap();
            let mut received = split(&pieces.concat(), &others);
            let found = decrypt(&mut server, &token, &mut received).unwrap();
            prop_assert_eq!(found, qop);
            prop_assert_eq!(received.concat(), message.clone());
        }
    }
}
