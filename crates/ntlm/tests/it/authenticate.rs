//! AUTHENTICATE messages and the responses in them: what is read, and what is refused with which error.

use trihound_ntlm::message::{
    AuthenticateMessage, ChallengeMessage, Field, MessageError, NegotiateMessage, NtResponse,
    NtlmV2Response,
};
use trihound_ntlm::{AvId, NegotiateFlags};

use crate::messages::{VERSION, WINDOWS_10, WINDOWS_10_BYTES, authenticate, unhex};

/// Conformance row 146: a message whose payload begins at 64 has neither version nor MIC, whatever its flags say.
#[test]
fn row_146_version_and_mic_by_the_smallest_offset() {
    let payload = [WINDOWS_10_BYTES.as_slice(), &[0x5a; 16], b"rest"].concat();
    let (sixteen, early) = (Some([0x5a; 16]), payload.first_chunk().copied());
    for (flags, start, version, mic) in [
        (VERSION, 64, None, None),
        (VERSION, 71, None, None),
        (VERSION, 72, Some(WINDOWS_10), None),
        (VERSION, 87, Some(WINDOWS_10), None),
        (VERSION, 88, Some(WINDOWS_10), sixteen),
        (VERSION, 90, Some(WINDOWS_10), sixteen),
        (NegotiateFlags::empty(), 64, None, None),
        (NegotiateFlags::empty(), 79, None, None),
        (NegotiateFlags::empty(), 80, None, early),
        (NegotiateFlags::empty(), 87, None, early),
        (NegotiateFlags::empty(), 88, None, sixteen),
    ] {
        let (empty, behind) = ((0, 0), (2, 90));
        let fields = [behind, empty, (2, start), behind, empty, empty];
        let bytes = authenticate(fields, flags, &payload);
        let parsed = AuthenticateMessage::parse(&bytes).unwrap();
        assert_eq!(
            (parsed.version, parsed.mic),
            (version, mic),
            "payload from {start}"
        );
    }
}

/// Conformance row 146: with no payload at all the end of the message decides.
#[test]
fn row_146_a_message_without_payload() {
    for (length, version, mic) in [
        (64, None, None),
        (72, Some(WINDOWS_10), None),
        (80, Some(WINDOWS_10), None),
        (88, Some(WINDOWS_10), Some([9; 16])),
    ] {
        let rest = [WINDOWS_10_BYTES.as_slice(), &[9; 16]].concat();
        let bytes = authenticate([(0, 0xffff); 6], VERSION, &rest);
        let parsed = AuthenticateMessage::parse(&bytes[..length]).unwrap();
        assert_eq!((parsed.version, parsed.mic), (version, mic), "{length}");
        assert!(parsed.user.is_empty() && parsed.nt_response.is_empty());
    }
}

/// Conformance row 145: fields may overlap, and lie in any order.
#[test]
fn row_145_overlapping_fields_in_any_order() {
    let fields = [(4, 68), (6, 64), (1, 73), (3, 70), (10, 64), (0, 5)];
    let bytes = authenticate(fields, NegotiateFlags::empty(), b"0123456789");
    let parsed = AuthenticateMessage::parse(&bytes).unwrap();
    assert_eq!(parsed.lm_response, b"4567");
    assert_eq!(parsed.nt_response, b"012345");
    assert_eq!(parsed.domain, b"9");
    assert_eq!(parsed.user, b"678");
    assert_eq!(parsed.workstation, b"0123456789");
    assert_eq!(parsed.encrypted_session_key, b"");
    assert_eq!(parsed.user_text().as_deref(), Ok("678"));
}

/// Conformance row 145: a field that leaves the message by one byte, by its offset, or by a sum that wraps.
#[test]
fn row_145_fields_outside_of_the_message_are_refused() {
    let names = [
        Field::LmResponse,
        Field::NtResponse,
        Field::Domain,
        Field::User,
        Field::Workstation,
        Field::EncryptedSessionKey,
    ];
    for (index, field) in names.into_iter().enumerate() {
        for (length, offset) in [
            (5u16, 64u32),
            (1, 68),
            (2, 67),
            (1, u32::MAX),
            (u16::MAX, u32::MAX),
            (0x18, 0xffff_fff0),
            (u16::MAX, 64),
        ] {
            let mut fields = [(0, 0); 6];
            fields[index] = (length, offset);
            let bytes = authenticate(fields, NegotiateFlags::empty(), b"0123");
            assert_eq!(
                AuthenticateMessage::parse(&bytes),
                Err(MessageError::FieldOutOfBounds {
                    field,
                    offset,
                    length,
                    message: 68,
                })
            );
        }
        for offset in [0, 12, 63] {
            let mut fields = [(0, 0); 6];
            fields[index] = (1, offset);
            let bytes = authenticate(fields, NegotiateFlags::empty(), b"0123");
            assert_eq!(
                AuthenticateMessage::parse(&bytes),
                Err(MessageError::FieldInHeader {
                    field,
                    offset,
                    header: 64,
                })
            );
        }
    }
}

#[test]
fn a_field_that_its_length_cannot_tell_is_refused() {
    let long = vec![0; 65_536];
    let too_long = |field| {
        Err(MessageError::FieldTooLong {
            field,
            length: 65_536,
        })
    };
    let user = AuthenticateMessage {
        user: &long,
        ..AuthenticateMessage::default()
    };
    assert_eq!(user.to_bytes(), too_long(Field::User));
    let target_info = ChallengeMessage {
        target_info: Some(&long),
        ..ChallengeMessage::default()
    };
    assert_eq!(target_info.to_bytes(), too_long(Field::TargetInfo));
    let domain = NegotiateMessage {
        domain: Some(&long),
        ..NegotiateMessage::default()
    };
    assert_eq!(domain.to_bytes(), too_long(Field::Domain));
    let all = AuthenticateMessage {
        user: &long[1..],
        domain: &long[1..],
        nt_response: &long[1..],
        ..AuthenticateMessage::default()
    };
    let bytes = all.to_bytes().unwrap();
    assert_eq!(AuthenticateMessage::parse(&bytes), Ok(all));
}

#[test]
fn the_mic_is_written_into_its_place() {
    let sent = AuthenticateMessage {
        user: b"u",
        mic: Some([0; 16]),
        ..AuthenticateMessage::default()
    };
    let mut bytes = sent.to_bytes().unwrap();
    AuthenticateMessage::set_mic(&mut bytes, &[3; 16]).unwrap();
    let mic = Some([3; 16]);
    assert_eq!(
        AuthenticateMessage::parse(&bytes),
        Ok(AuthenticateMessage { mic, ..sent })
    );
    assert_eq!(
        AuthenticateMessage::set_mic(&mut bytes[..87], &[4; 16]),
        Err(MessageError::TooShort {
            needed: 88,
            found: 87
        })
    );
}

/// MS-NLMP section 4.2.4.3: what Windows sent comes out again byte for byte.
#[test]
fn messages_are_laid_out_as_windows_does_it() {
    let second = unhex(
        "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000\
         060070170000000f53006500720076006500720002000c0044006f006d00610069006e0001000c0053006500720076006500\
         720000000000",
    );
    let parsed = ChallengeMessage::parse(&second).unwrap();
    assert_eq!(parsed.to_bytes().unwrap(), second);
    assert_eq!(parsed.target_name_text().as_deref(), Ok("Server"));
    assert_eq!(parsed.version.unwrap().to_string(), "6.0 build 6000");
    let third = unhex(
        "4e544c4d5353500003000000180018006c00000054005400840000000c000c00480000000800080054000000100010005c00\
         000010001000d8000000358288e20501280a0000000f44006f006d00610069006e00550073006500720043004f004d005000\
         550054004500520086c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa68cd0ab851e51c96aabc927bebef6a1c0101\
         0000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c0053006500\
         7200760065007200000000000000000\
         0c5dad2544fc9799094ce1ce90bc9d03e",
    );
    let parsed = AuthenticateMessage::parse(&third).unwrap();
    assert_eq!(parsed.to_bytes().unwrap(), third);
    assert_eq!(parsed.domain_text().as_deref(), Ok("Domain"));
    assert_eq!(parsed.user_text().as_deref(), Ok("User"));
    assert_eq!(parsed.workstation_text().as_deref(), Ok("COMPUTER"));
    assert_eq!(parsed.mic, None);
}

// ---- the response ----

#[test]
fn the_kind_of_a_response_is_its_length() {
    assert_eq!(NtResponse::parse(&[]), Ok(NtResponse::Absent));
    assert_eq!(NtResponse::parse(&[1; 24]), Ok(NtResponse::V1([1; 24])));
    for length in (1..44).filter(|length| *length != 24) {
        assert_eq!(
            NtResponse::parse(&vec![1; length]),
            Err(MessageError::ResponseTooShort {
                needed: 44,
                found: length
            })
        );
    }
}

/// A response whose temp has this header and these AV pairs.
fn response(versions: [u8; 2], behind: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x77; 16];
    bytes.extend_from_slice(&versions);
    bytes.extend_from_slice(&[0xcc; 6]);
    bytes.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    bytes.extend_from_slice(&[0xaa; 8]);
    bytes.extend_from_slice(&[0xcc; 4]);
    bytes.extend_from_slice(behind);
    bytes
}

/// Conformance row 142: the end of the list counts, not what a peer puts behind it; `temp` keeps all of it.
#[test]
fn row_142_bytes_behind_the_list_are_kept_for_the_proof() {
    for behind in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\0\0\0\0", b"\x01\x02"] {
        let pairs = [b"\x01\0\x02\0A\0\0\0\0\0".as_slice(), behind].concat();
        let bytes = response([1, 1], &pairs);
        let Ok(NtResponse::V2(parsed)) = NtResponse::parse(&bytes) else {
            panic!("{behind:?}");
        };
        assert_eq!(parsed.proof, [0x77; 16]);
        assert_eq!(parsed.temp, &bytes[16..]);
        assert_eq!(parsed.timestamp.0, 0x0807_0605_0403_0201);
        assert_eq!(parsed.client_challenge, [0xaa; 8]);
        let text = parsed.av_pairs.text(AvId::NB_COMPUTER_NAME).unwrap();
        assert_eq!(text.as_deref(), Some("A"));
        assert_eq!(parsed.to_bytes(), bytes);
    }
}

/// Conformance row 142: no list, and a list without an end.
#[test]
fn row_142_a_response_without_the_end_of_its_list_is_refused() {
    for pairs in [
        &b""[..],
        b"\0\0\0",
        b"\x01\0\x02\0A\0",
        b"\x01\0\x02\0A\0\0\0",
    ] {
        let bytes = response([1, 1], pairs);
        assert_eq!(
            NtlmV2Response::parse(&bytes),
            Err(MessageError::AvListUnterminated)
        );
    }
}

#[test]
fn a_response_of_another_version_is_refused() {
    for (current, highest) in [(0, 1), (1, 0), (1, 2), (2, 2)] {
        let bytes = response([current, highest], &[0; 8]);
        assert_eq!(
            NtResponse::parse(&bytes),
            Err(MessageError::ResponseVersion { current, highest })
        );
    }
}
