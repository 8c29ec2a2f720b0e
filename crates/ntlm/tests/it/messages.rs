//! The three messages, AV pairs and texts: what is read, and what is refused with which error.

use proptest::prelude::*;
use trihound_ntlm::message::{
    AuthenticateMessage, ChallengeMessage, Field, MessageError, MessageType, NegotiateMessage,
    NtResponse, NtlmV2Response, Version, is_ntlmssp, message_type,
};
use trihound_ntlm::{AvId, NegotiateFlags};

/// A message of this type with this fixed part behind signature and type.
fn message(kind: u32, rest: &[u8]) -> Vec<u8> {
    [b"NTLMSSP\0".as_slice(), &kind.to_le_bytes(), rest].concat()
}

/// The description of a field, with a MaxLen of its own.
fn described(length: u16, offset: u32) -> Vec<u8> {
    [
        length.to_le_bytes().as_slice(),
        &[0xaa, 0xbb],
        &offset.to_le_bytes(),
    ]
    .concat()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
        .collect()
}

/// An AUTHENTICATE message with the descriptions of `fields` in the order of the fixed part.
fn authenticate(fields: [(u16, u32); 6], flags: NegotiateFlags, rest: &[u8]) -> Vec<u8> {
    let mut parts: Vec<u8> = fields
        .into_iter()
        .flat_map(|(length, offset)| described(length, offset))
        .collect();
    parts.extend_from_slice(&flags.bits().to_le_bytes());
    parts.extend_from_slice(rest);
    message(3, &parts)
}

const VERSION: NegotiateFlags = NegotiateFlags::NEGOTIATE_VERSION;
const WINDOWS_10: Version = Version {
    major: 10,
    minor: 0,
    build: 19041,
    revision: Version::REVISION_W2K3,
};
const WINDOWS_10_BYTES: [u8; 8] = [10, 0, 0x61, 0x4a, 0, 0, 0, 15];

// ---- signature and type ----

#[test]
fn the_type_of_a_message() {
    for (number, kind) in [
        (1, MessageType::Negotiate),
        (2, MessageType::Challenge),
        (3, MessageType::Authenticate),
    ] {
        assert_eq!(message_type(&message(number, &[])), Ok(kind));
    }
    for found in [0, 4, 0x0100_0000, u32::MAX] {
        assert_eq!(
            message_type(&message(found, &[])),
            Err(MessageError::UnknownMessageType { found })
        );
    }
}

#[test]
fn a_token_of_another_package_is_refused() {
    let mut altered = message(1, &[0; 20]);
    altered[7] = b' ';
    for token in [&b""[..], b"NTLMSSP", b"\x60\x28\x06\x06", &altered] {
        assert!(!is_ntlmssp(token));
        let refused = Err(MessageError::NotNtlmssp);
        assert_eq!(message_type(token), refused);
        assert_eq!(
            NegotiateMessage::parse(token),
            Err(MessageError::NotNtlmssp)
        );
    }
    assert!(is_ntlmssp(b"NTLMSSP\0"));
    assert_eq!(
        message_type(b"NTLMSSP\0\x01\0\0"),
        Err(MessageError::TooShort {
            needed: 12,
            found: 11
        })
    );
}

#[test]
fn a_message_out_of_turn_is_refused() {
    let wrong = |expected, found| MessageError::WrongMessageType { expected, found };
    let long = [0; 88];
    assert_eq!(
        NegotiateMessage::parse(&message(3, &long)),
        Err(wrong(MessageType::Negotiate, MessageType::Authenticate))
    );
    assert_eq!(
        ChallengeMessage::parse(&message(1, &long)),
        Err(wrong(MessageType::Challenge, MessageType::Negotiate))
    );
    assert_eq!(
        AuthenticateMessage::parse(&message(2, &long)),
        Err(wrong(MessageType::Authenticate, MessageType::Challenge))
    );
}

#[test]
fn a_fixed_part_that_was_cut_off_is_refused() {
    fn lengths<T>(kind: u32, needed: usize, parse: impl Fn(&[u8]) -> Result<T, MessageError>) {
        let whole = message(kind, &[0; 100]);
        for found in 12..needed {
            let refused = parse(&whole[..found]).map(|_| ());
            assert_eq!(refused, Err(MessageError::TooShort { needed, found }));
        }
        assert!(parse(&whole[..needed]).is_ok());
    }
    lengths(1, 16, |bytes| NegotiateMessage::parse(bytes).map(|_| ()));
    lengths(2, 32, |bytes| ChallengeMessage::parse(bytes).map(|_| ()));
    lengths(3, 64, |bytes| AuthenticateMessage::parse(bytes).map(|_| ()));
}

// ---- NEGOTIATE ----

/// The message with which curl begins: 32 bytes, OEM, no version.
#[test]
fn the_negotiate_message_of_curl() {
    let bytes = message(1, &unhex("0682080000000000000000000000000000000000"));
    assert_eq!(bytes.len(), 32);
    let parsed = NegotiateMessage::parse(&bytes).unwrap();
    assert_eq!(
        parsed.flags,
        NegotiateFlags::NEGOTIATE_OEM
            | NegotiateFlags::REQUEST_TARGET
            | NegotiateFlags::NEGOTIATE_NTLM
            | NegotiateFlags::NEGOTIATE_ALWAYS_SIGN
            | NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY
    );
    assert_eq!((parsed.domain, parsed.workstation), (None, None));
    assert_eq!(parsed.version, None);
    assert_eq!(parsed.to_bytes().unwrap(), bytes);
}

#[test]
fn a_negotiate_message_of_flags_alone() {
    let bytes = message(1, &[1, 2, 0, 0]);
    let parsed = NegotiateMessage::parse(&bytes).unwrap();
    let flags = NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::NEGOTIATE_NTLM;
    assert_eq!(parsed.flags, flags);
    // It says that there is a domain, and has no place that would describe one.
    let bytes = message(1, &[0, 0x10, 0, 0]);
    assert_eq!(
        NegotiateMessage::parse(&bytes),
        Err(MessageError::TooShort {
            needed: 24,
            found: 16
        })
    );
}

/// MS-NLMP section 2.2.1.1: without its flag a name is ignored, wherever its description points.
#[test]
fn names_that_the_flags_do_not_announce_are_ignored() {
    let names = [described(9, 0xffff_fff0), described(4, 0)].concat();
    let bytes = message(1, &[[0; 4].as_slice(), &names].concat());
    let parsed = NegotiateMessage::parse(&bytes).unwrap();
    assert_eq!((parsed.domain, parsed.workstation), (None, None));
    for (flag, error) in [
        (
            NegotiateFlags::NEGOTIATE_OEM_DOMAIN_SUPPLIED,
            MessageError::FieldOutOfBounds {
                field: Field::Domain,
                offset: 0xffff_fff0,
                length: 9,
                message: 32,
            },
        ),
        (
            NegotiateFlags::NEGOTIATE_OEM_WORKSTATION_SUPPLIED,
            MessageError::FieldInHeader {
                field: Field::Workstation,
                offset: 0,
                header: 32,
            },
        ),
    ] {
        let flags = flag.bits().to_le_bytes();
        let bytes = message(1, &[flags.as_slice(), &names].concat());
        assert_eq!(NegotiateMessage::parse(&bytes), Err(error));
    }
}

#[test]
fn names_in_a_negotiate_message() {
    let flags = NegotiateFlags::NEGOTIATE_OEM_DOMAIN_SUPPLIED
        | NegotiateFlags::NEGOTIATE_OEM_WORKSTATION_SUPPLIED
        | VERSION;
    let sent = NegotiateMessage {
        flags,
        domain: Some(b"DOMAIN"),
        workstation: Some(b""),
        version: Some(WINDOWS_10),
    };
    let bytes = sent.to_bytes().unwrap();
    assert_eq!(bytes.len(), 46);
    assert_eq!(NegotiateMessage::parse(&bytes), Ok(sent));
    // The version's bytes are payload in a message that has no room for one.
    let without = NegotiateMessage {
        version: None,
        ..sent
    };
    let bytes = without.to_bytes().unwrap();
    assert_eq!(bytes.len(), 38);
    assert_eq!(NegotiateMessage::parse(&bytes), Ok(without));
}

// ---- CHALLENGE ----

fn challenge(name: (u16, u32), flags: NegotiateFlags, rest: &[u8]) -> Vec<u8> {
    let mut parts = described(name.0, name.1);
    parts.extend_from_slice(&flags.bits().to_le_bytes());
    parts.extend_from_slice(b"\x01\x23\x45\x67\x89\xab\xcd\xef");
    parts.extend_from_slice(rest);
    message(2, &parts)
}

/// Conformance row 144: a CHALLENGE message may have no target information at all.
#[test]
fn challenges_without_target_information_or_version() {
    let flags = VERSION | NegotiateFlags::NEGOTIATE_TARGET_INFO;
    // 32 bytes and a name: nothing behind the challenge is a description.
    let old = challenge((4, 32), flags, b"TEST");
    // 48 bytes, an empty list and no room for a version.
    let empty = challenge(
        (4, 48),
        flags,
        b"\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xffTEST",
    );
    for bytes in [old, empty] {
        let parsed = ChallengeMessage::parse(&bytes).unwrap();
        assert_eq!(parsed.target_name, b"TEST");
        assert_eq!(
            parsed.server_challenge,
            [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]
        );
        assert_eq!((parsed.target_info, parsed.version), (None, None));
        assert_eq!(parsed.av_pairs(), Ok(None));
    }
}

/// MS-NLMP section 2.2.1.2: without its flag the target information is ignored.
#[test]
fn target_information_that_the_flags_do_not_announce_is_ignored() {
    let rest = [[0; 8].as_slice(), &described(8, 0xffff_ffff)].concat();
    let bytes = challenge((0, 0), NegotiateFlags::empty(), &rest);
    let parsed = ChallengeMessage::parse(&bytes).unwrap();
    assert_eq!(parsed.target_info, None);
    let bytes = challenge((0, 0), NegotiateFlags::NEGOTIATE_TARGET_INFO, &rest);
    assert_eq!(
        ChallengeMessage::parse(&bytes),
        Err(MessageError::FieldOutOfBounds {
            field: Field::TargetInfo,
            offset: u32::MAX,
            length: 8,
            message: 48,
        })
    );
}

#[test]
fn a_challenge_comes_back_as_it_was_sent() {
    let flags = NegotiateFlags::NEGOTIATE_UNICODE | NegotiateFlags::NEGOTIATE_TARGET_INFO | VERSION;
    let sent = ChallengeMessage {
        flags,
        server_challenge: [7; 8],
        target_name: b"T\0E\0",
        target_info: Some(&[0; 4]),
        version: Some(WINDOWS_10),
    };
    let bytes = sent.to_bytes().unwrap();
    assert_eq!(ChallengeMessage::parse(&bytes), Ok(sent));
    assert_eq!(sent.target_name_text().as_deref(), Ok("TE"));
    assert_eq!(sent.av_pairs().unwrap().unwrap().iter().count(), 0);
}

// ---- AUTHENTICATE ----

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

// ---- whatever comes ----

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

prop_compose! {
    fn any_version()(parts in any::<(u8, u8, u16, u8)>()) -> Version {
        Version { major: parts.0, minor: parts.1, build: parts.2, revision: parts.3 }
    }
}

proptest! {
    /// Conformance row 145: no message makes a parser panic, and what is taken comes out as it went in.
    #[test]
    fn row_145_any_bytes_behind_a_signature(kind in 1u32..=3, rest in bytes(160)) {
        take_all(&message(kind, &rest));
    }

    /// Descriptions that are nearly right lead further than noise does.
    #[test]
    fn row_145_any_descriptions(
        fields in prop::array::uniform6((0u16..40, 56u32..140)),
        flags in any::<u32>(),
        rest in bytes(80),
    ) {
        take_all(&authenticate(fields, NegotiateFlags::from_bits_retain(flags), &rest));
        let [name, info, ..] = fields;
        let rest = [[0; 8].as_slice(), &described(info.0, info.1), &rest].concat();
        take_all(&challenge(name, NegotiateFlags::from_bits_retain(flags | 0x0080_0000), &rest));
    }

    #[test]
    fn a_negotiate_message_comes_back(
        flags in any::<u32>(),
        domain in prop::option::of(bytes(30)),
        workstation in prop::option::of(bytes(30)),
        version in prop::option::of(any_version()),
    ) {
        let mut flags = NegotiateFlags::from_bits_retain(flags);
        flags.set(NegotiateFlags::NEGOTIATE_OEM_DOMAIN_SUPPLIED, domain.is_some());
        flags.set(NegotiateFlags::NEGOTIATE_OEM_WORKSTATION_SUPPLIED, workstation.is_some());
        flags.set(VERSION, version.is_some());
        let (domain, workstation) = (domain.as_deref(), workstation.as_deref());
        let sent = NegotiateMessage { flags, domain, workstation, version };
        let bytes = sent.to_bytes().unwrap();
        prop_assert_eq!(NegotiateMessage::parse(&bytes), Ok(sent));
    }

    #[test]
    fn a_challenge_message_comes_back(
        flags in any::<u32>(),
        server_challenge in any::<[u8; 8]>(),
        target_name in bytes(30),
        target_info in prop::option::of(prop::collection::vec(any::<u8>(), 1..60)),
        version in prop::option::of(any_version()),
    ) {
        let mut flags = NegotiateFlags::from_bits_retain(flags);
        flags.set(NegotiateFlags::NEGOTIATE_TARGET_INFO, target_info.is_some());
        flags.set(VERSION, version.is_some());
        let (target_name, target_info) = (target_name.as_slice(), target_info.as_deref());
        let sent = ChallengeMessage { flags, server_challenge, target_name, target_info, version };
        let bytes = sent.to_bytes().unwrap();
        prop_assert_eq!(ChallengeMessage::parse(&bytes), Ok(sent));
    }

    #[test]
    fn an_authenticate_message_comes_back(
        flags in any::<u32>(),
        fields in prop::array::uniform6(bytes(40)),
        version in prop::option::of(any_version()),
        mic in prop::option::of(any::<[u8; 16]>()),
    ) {
        let mut flags = NegotiateFlags::from_bits_retain(flags);
        flags.set(VERSION, version.is_some());
        let [lm_response, nt_response, domain, user, workstation, encrypted_session_key] = &fields;
        let sent = AuthenticateMessage {
            flags, lm_response, nt_response, domain, user, workstation, encrypted_session_key, version, mic,
        };
        let bytes = sent.to_bytes().unwrap();
        prop_assert_eq!(AuthenticateMessage::parse(&bytes), Ok(sent));
    }
}

/// Reads a message and everything in it; what was read is put together and read again.
fn take_all(bytes: &[u8]) {
    if let Ok(parsed) = NegotiateMessage::parse(bytes) {
        let again = parsed.to_bytes().unwrap();
        assert_eq!(NegotiateMessage::parse(&again), Ok(parsed));
    }
    if let Ok(parsed) = ChallengeMessage::parse(bytes) {
        let again = parsed.to_bytes().unwrap();
        assert_eq!(ChallengeMessage::parse(&again), Ok(parsed));
        let _ = (parsed.av_pairs(), parsed.target_name_text());
    }
    if let Ok(parsed) = AuthenticateMessage::parse(bytes) {
        let again = parsed.to_bytes().unwrap();
        assert_eq!(AuthenticateMessage::parse(&again), Ok(parsed));
        let _ = (parsed.user_text(), parsed.domain_text());
        let _ = (
            parsed.workstation_text(),
            NtResponse::parse(parsed.nt_response),
        );
    }
}
