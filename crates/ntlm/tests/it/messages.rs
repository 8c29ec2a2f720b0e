//! The three messages, AV pairs and texts: what is read, and what is refused with which error.

use proptest::prelude::*;
use trihound_crypto::rfc4757::hmac_md5;
use trihound_ntlm::NegotiateFlags;
use trihound_ntlm::compute::{self, SessionKey};
use trihound_ntlm::message::{
    AuthenticateMessage, ChallengeMessage, Field, MessageError, MessageType, NegotiateMessage,
    NtResponse, Version, is_ntlmssp, message_type,
};

/// A message of this type with this fixed part behind signature and type.
pub(crate) fn message(kind: u32, rest: &[u8]) -> Vec<u8> {
    [b"NTLMSSP\0".as_slice(), &kind.to_le_bytes(), rest].concat()
}

/// The description of a field, with a MaxLen of its own.
pub(crate) fn described(length: u16, offset: u32) -> Vec<u8> {
    [
        length.to_le_bytes().as_slice(),
        &[0xaa, 0xbb],
        &offset.to_le_bytes(),
    ]
    .concat()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
        .collect()
}

/// An AUTHENTICATE message with the descriptions of `fields` in the order of the fixed part.
pub(crate) fn authenticate(fields: [(u16, u32); 6], flags: NegotiateFlags, rest: &[u8]) -> Vec<u8> {
    let mut parts: Vec<u8> = fields
        .into_iter()
        .flat_map(|(length, offset)| described(length, offset))
        .collect();
    parts.extend_from_slice(&flags.bits().to_le_bytes());
    parts.extend_from_slice(rest);
    message(3, &parts)
}

pub(crate) const VERSION: NegotiateFlags = NegotiateFlags::NEGOTIATE_VERSION;
pub(crate) const WINDOWS_10: Version = Version {
    major: 10,
    minor: 0,
    build: 19041,
    revision: Version::REVISION_W2K3,
};
pub(crate) const WINDOWS_10_BYTES: [u8; 8] = [10, 0, 0x61, 0x4a, 0, 0, 0, 15];

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
        if let Some(mic) = parsed.mic {
            the_mic_leaves_itself_out(bytes, mic);
        }
        let _ = (parsed.user_text(), parsed.domain_text());
        let _ = (
            parsed.workstation_text(),
            NtResponse::parse(parsed.nt_response),
        );
    }
}

/// Conformance row 32: the MIC is computed around the place where the message was found to have one.
fn the_mic_leaves_itself_out(bytes: &[u8], mic: [u8; 16]) {
    let key = SessionKey::from([7; 16]);
    let computed = compute::mic(&key, b"", b"", bytes);
    let is_around = |place: usize| {
        let mut zeroed = bytes.to_vec();
        zeroed[place..place + 16].fill(0);
        bytes[place..place + 16] == mic && computed == hmac_md5(key.expose(), &[&zeroed])
    };
    assert!(is_around(64) || is_around(72), "another place");
}
