//! Somebody in the middle changes one field of one message; the exact error is what each must meet.

use trihound_ntlm::message::{FileTime, MessageError, text};
use trihound_ntlm::{AvId, NegotiateFlags, PeerMisbehaved, Unprotected, VerifierFailure};
use trihound_sspi::{Error, SecurityStatus};

use crate::forge::{Authenticate, challenge_with, challenge_with_pairs, negotiate_with};
use crate::world::{Sides, Wishes, World, cause};

/// What a change of a message comes to.
#[derive(Debug)]
enum Meets {
    /// The acceptor's error, after the change was on its way.
    Acceptor(Expected),
    /// The initiator's, at the CHALLENGE message.
    Initiator(Expected),
    /// The acceptor refuses the NEGOTIATE message.
    AtOnce(Expected),
}

/// The variant below SSPI's error.
#[derive(Debug)]
enum Expected {
    Peer(PeerMisbehaved),
    Unprotected(Unprotected),
    Verifier(VerifierFailure),
    Message(MessageError),
}

fn check(case: &str, error: &Error, expected: &Expected) {
    let shown = format!("{case}: {error:?}");
    match expected {
        Expected::Peer(variant) => assert_eq!(cause::<PeerMisbehaved>(error), variant, "{shown}"),
        Expected::Unprotected(variant) => {
            assert_eq!(cause::<Unprotected>(error), variant, "{shown}");
        }
        Expected::Verifier(variant) => {
            assert_eq!(cause::<VerifierFailure>(error), variant, "{shown}");
        }
        Expected::Message(variant) => assert_eq!(cause::<MessageError>(error), variant, "{shown}"),
    }
}

fn mic() -> Meets {
    Meets::Acceptor(Expected::Peer(PeerMisbehaved::MicDiffers))
}

fn proof() -> Meets {
    Meets::Acceptor(Expected::Verifier(VerifierFailure::LogonFailed))
}

fn missing(attribute: &'static str, message: &'static str) -> Expected {
    Expected::Unprotected(Unprotected::Missing { attribute, message })
}

/// A handshake with every protection and somebody in the middle.
fn attack(
    case: &str,
    on_negotiate: impl FnOnce(Vec<u8>) -> Vec<u8>,
    on_challenge: impl FnOnce(Vec<u8>) -> Vec<u8>,
    on_authenticate: impl FnOnce(Vec<u8>) -> Vec<u8>,
    meets: &Meets,
) {
    let world = World::new();
    let mut sides: Sides<'_> = world.sides(Wishes::full());
    let negotiate = on_negotiate(sides.negotiate());
    let (outcome, challenge) = sides.accept(Some(&negotiate));
    if let Meets::AtOnce(expected) = meets {
        check(case, &outcome.unwrap_err(), expected);
        return;
    }
    let _ = outcome.unwrap();
    let challenge = on_challenge(challenge);
    let (outcome, authenticate) = sides.initialize(Some(&challenge));
    if let Meets::Initiator(expected) = meets {
        check(case, &outcome.unwrap_err(), expected);
        // A failed step leaves nothing behind.
        let again = sides.initialize(Some(&challenge)).0.unwrap_err();
        assert_eq!(again.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
        return;
    }
    let _ = outcome.unwrap();
    let authenticate = on_authenticate(authenticate);
    let error = sides.accept(Some(&authenticate)).0.unwrap_err();
    if let Meets::Acceptor(expected) = meets {
        check(case, &error, expected);
    }
    let again = sides.accept(Some(&authenticate)).0.unwrap_err();
    assert_eq!(again.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
    let (_, acceptor) = sides.contexts();
    world.table.delete_security_context(acceptor).unwrap();
}

fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// A change of flags, and what it meets.
type FlagCase = (NegotiateFlags, Meets);

#[test]
fn flags_taken_out_of_the_negotiate_message() {
    use NegotiateFlags as F;
    let at_initiator = |attribute| Meets::Initiator(missing(attribute, "CHALLENGE"));
    let cases: [FlagCase; 9] = [
        (F::NEGOTIATE_SIGN, at_initiator("INTEGRITY")),
        (F::NEGOTIATE_SEAL, at_initiator("CONFIDENTIALITY")),
        (
            F::NEGOTIATE_128,
            Meets::AtOnce(Expected::Unprotected(Unprotected::KeysTooShort {
                message: "NEGOTIATE",
            })),
        ),
        (
            F::NEGOTIATE_EXTENDED_SESSIONSECURITY,
            Meets::AtOnce(Expected::Unprotected(
                Unprotected::NoExtendedSessionSecurity {
                    message: "NEGOTIATE",
                },
            )),
        ),
        (F::NEGOTIATE_KEY_EXCH, mic()),
        (F::NEGOTIATE_UNICODE, mic()),
        (F::NEGOTIATE_OEM, mic()),
        (F::NEGOTIATE_ALWAYS_SIGN, mic()),
        (
            F::NEGOTIATE_UNICODE | F::NEGOTIATE_OEM,
            Meets::AtOnce(Expected::Peer(PeerMisbehaved::NoCharacterSet {
                message: "NEGOTIATE",
            })),
        ),
    ];
    for (flag, meets) in cases {
        let change = |bytes: Vec<u8>| negotiate_with(&bytes, |flags| flags.remove(flag));
        attack(
            &format!("NEGOTIATE without {flag:?}"),
            change,
            same,
            same,
            &meets,
        );
    }
}

#[test]
fn flags_put_into_the_negotiate_message() {
    use NegotiateFlags as F;
    for (flag, meets) in [
        (F::NEGOTIATE_56, mic()),
        (F::NEGOTIATE_LM_KEY, mic()),
        (F::NEGOTIATE_IDENTIFY, mic()),
        (
            F::NEGOTIATE_DATAGRAM,
            Meets::AtOnce(Expected::Peer(PeerMisbehaved::OtherKindOfContext {
                message: "NEGOTIATE",
                found: "datagram",
            })),
        ),
    ] {
        let change = |bytes: Vec<u8>| negotiate_with(&bytes, |flags| flags.insert(flag));
        attack(
            &format!("NEGOTIATE with {flag:?}"),
            change,
            same,
            same,
            &meets,
        );
    }
}

/// Conformance rows 37 and 147.
#[test]
fn rows_37_and_147_flags_taken_out_of_the_challenge_message() {
    use NegotiateFlags as F;
    let cases: [FlagCase; 7] = [
        (
            F::NEGOTIATE_SIGN,
            Meets::Initiator(missing("INTEGRITY", "CHALLENGE")),
        ),
        (
            F::NEGOTIATE_SEAL,
            Meets::Initiator(missing("CONFIDENTIALITY", "CHALLENGE")),
        ),
        (
            F::NEGOTIATE_128,
            Meets::Initiator(Expected::Unprotected(Unprotected::KeysTooShort {
                message: "CHALLENGE",
            })),
        ),
        (
            F::NEGOTIATE_EXTENDED_SESSIONSECURITY,
            Meets::Initiator(Expected::Unprotected(
                Unprotected::NoExtendedSessionSecurity {
                    message: "CHALLENGE",
                },
            )),
        ),
        (
            F::NEGOTIATE_UNICODE,
            Meets::Initiator(Expected::Peer(PeerMisbehaved::NoCharacterSet {
                message: "CHALLENGE",
            })),
        ),
        (F::NEGOTIATE_KEY_EXCH, mic()),
        (F::NEGOTIATE_TARGET_INFO, mic()),
    ];
    for (flag, meets) in cases {
        let change = |bytes: Vec<u8>| challenge_with(&bytes, |m| m.flags.remove(flag));
        attack(
            &format!("CHALLENGE without {flag:?}"),
            same,
            change,
            same,
            &meets,
        );
    }
}

#[test]
fn fields_changed_in_the_challenge_message() {
    let other_name: Vec<u8> = text::to_utf16("ELSEWHERE");
    type Change<'a> = Box<dyn Fn(Vec<u8>) -> Vec<u8> + 'a>;
    let cases: Vec<(&str, Change<'_>, Meets)> = vec![
        (
            "ServerChallenge",
            Box::new(|b| challenge_with(&b, |m| m.server_challenge[3] ^= 1)),
            proof(),
        ),
        (
            "TargetName",
            Box::new(|b| {
                let name = other_name.clone().leak();
                challenge_with(&b, |m| m.target_name = name)
            }),
            mic(),
        ),
        (
            "DATAGRAM",
            Box::new(|b| challenge_with(&b, |m| m.flags |= NegotiateFlags::NEGOTIATE_DATAGRAM)),
            Meets::Initiator(Expected::Peer(PeerMisbehaved::OtherKindOfContext {
                message: "CHALLENGE",
                found: "datagram",
            })),
        ),
        (
            "MsvAvTimestamp gone",
            Box::new(|b| challenge_with_pairs(&b, &[AvId::TIMESTAMP], &[])),
            mic(),
        ),
        (
            "MsvAvTimestamp of yesterday",
            Box::new(|b| {
                let old = FileTime(1).to_bytes();
                challenge_with_pairs(&b, &[AvId::TIMESTAMP], &[(AvId::TIMESTAMP, &old)])
            }),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::TimeDiffers {
                away: trihound_sansio::Timestamp::from_seconds(crate::world::NOW)
                    .distance(trihound_sansio::Timestamp::from(FileTime(1))),
                allowed: trihound_ntlm::DEFAULT_MAX_AGE,
            })),
        ),
        (
            "MsvAvNbComputerName of another server",
            Box::new(|b| {
                let id = AvId::NB_COMPUTER_NAME;
                challenge_with_pairs(&b, &[id], &[(id, &other_name)])
            }),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::ServerNameDiffers {
                found: "ELSEWHERE".to_owned(),
                own: "WEB".to_owned(),
            })),
        ),
        (
            "MsvAvDnsComputerName",
            Box::new(|b| {
                let id = AvId::DNS_COMPUTER_NAME;
                challenge_with_pairs(&b, &[id], &[(id, &other_name)])
            }),
            mic(),
        ),
        (
            "MsvAvTargetName of the acceptor's own making",
            Box::new(|b| challenge_with_pairs(&b, &[], &[(AvId::TARGET_NAME, &other_name)])),
            mic(),
        ),
        (
            "MsvAvFlags of the acceptor's own making",
            Box::new(|b| challenge_with_pairs(&b, &[], &[(AvId::FLAGS, &[0; 4])])),
            mic(),
        ),
        (
            "MsvAvEOL gone",
            Box::new(|b| {
                let half = ChallengeInfo::of(&b).without_end();
                challenge_with(&b, |m| m.target_info = Some(half.leak()))
            }),
            Meets::Initiator(Expected::Message(MessageError::AvListUnterminated)),
        ),
    ];
    for (case, change, meets) in cases {
        attack(case, same, change, same, &meets);
    }
}

/// TargetInfo of a CHALLENGE message.
struct ChallengeInfo(Vec<u8>);

impl ChallengeInfo {
    fn of(bytes: &[u8]) -> Self {
        let message = trihound_ntlm::message::ChallengeMessage::parse(bytes).unwrap();
        Self(message.target_info.unwrap().to_vec())
    }

    fn without_end(mut self) -> Vec<u8> {
        self.0.truncate(self.0.len() - 4);
        self.0
    }
}

/// Conformance rows 32 and 148.
#[test]
fn rows_32_and_148_fields_changed_in_the_authenticate_message() {
    use NegotiateFlags as F;
    type Change = fn(&mut Authenticate);
    let cases: Vec<(&str, Change, Meets)> = vec![
        ("MIC", |m| m.mic = m.mic.map(|_| [7; 16]), mic()),
        ("MIC of zeros", |m| m.mic = Some([0; 16]), mic()),
        (
            "MIC gone",
            |m| m.mic = None,
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::MicMissing)),
        ),
        ("NTProofStr", |m| m.nt_response[0] ^= 1, proof()),
        (
            "the promise of a MIC",
            |m| {
                let at = m.nt_response.len() - 4;
                let place = m.nt_response[..at]
                    .windows(8)
                    .position(|w| w[..4] == [6, 0, 4, 0])
                    .unwrap();
                m.nt_response[place + 4] = 0;
            },
            proof(),
        ),
        (
            "the zeros behind MsvAvEOL",
            |m| {
                m.nt_response.pop();
            },
            proof(),
        ),
        ("UserName", |m| m.user = text::to_utf16("bob"), proof()),
        (
            "UserName in capitals",
            |m| m.user = text::to_utf16("ALICE"),
            mic(),
        ),
        (
            "DomainName",
            |m| m.domain = text::to_utf16("OTHER"),
            proof(),
        ),
        (
            "DomainName in small letters",
            |m| m.domain = text::to_utf16("example"),
            proof(),
        ),
        (
            "Workstation",
            |m| m.workstation = text::to_utf16("PC"),
            mic(),
        ),
        ("LmChallengeResponse", |m| m.lm_response[0] = 1, mic()),
        (
            "EncryptedRandomSessionKey",
            |m| m.encrypted_session_key[15] ^= 1,
            mic(),
        ),
        (
            "EncryptedRandomSessionKey cut",
            |m| m.encrypted_session_key.truncate(15),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::EncryptedSessionKeyLength {
                found: 15,
            })),
        ),
        (
            "EncryptedRandomSessionKey gone",
            |m| m.encrypted_session_key.clear(),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::EncryptedSessionKeyLength {
                found: 0,
            })),
        ),
        (
            "KEY_EXCH gone",
            |m| m.flags.remove(F::NEGOTIATE_KEY_EXCH),
            mic(),
        ),
        ("SEAL gone", |m| m.flags.remove(F::NEGOTIATE_SEAL), mic()),
        (
            "SIGN and SEAL gone",
            |m| m.flags.remove(F::NEGOTIATE_SIGN | F::NEGOTIATE_SEAL),
            mic(),
        ),
        (
            "128 gone",
            |m| m.flags.remove(F::NEGOTIATE_128),
            Meets::Acceptor(Expected::Unprotected(Unprotected::KeysTooShort {
                message: "AUTHENTICATE",
            })),
        ),
        (
            "extended session security gone",
            |m| m.flags.remove(F::NEGOTIATE_EXTENDED_SESSIONSECURITY),
            Meets::Acceptor(Expected::Unprotected(
                Unprotected::NoExtendedSessionSecurity {
                    message: "AUTHENTICATE",
                },
            )),
        ),
        (
            "56 added",
            |m| m.flags.insert(F::NEGOTIATE_56),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::FlagsNotOffered {
                flags: F::NEGOTIATE_56.bits(),
            })),
        ),
        (
            "LM_KEY added",
            |m| m.flags.insert(F::NEGOTIATE_LM_KEY),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::FlagsNotOffered {
                flags: F::NEGOTIATE_LM_KEY.bits(),
            })),
        ),
        (
            "DATAGRAM added",
            |m| m.flags.insert(F::NEGOTIATE_DATAGRAM),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::FlagsNotOffered {
                flags: F::NEGOTIATE_DATAGRAM.bits(),
            })),
        ),
        (
            "IDENTIFY added",
            |m| m.flags.insert(F::NEGOTIATE_IDENTIFY),
            mic(),
        ),
        (
            "ANONYMOUS added",
            |m| m.flags.insert(F::ANONYMOUS),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::HalfAnonymous {
                found: "the ANONYMOUS flag is set beside a user name",
            })),
        ),
        (
            "UserName gone",
            |m| m.user.clear(),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::HalfAnonymous {
                found: "there is a response and no user name",
            })),
        ),
        (
            "UserName of half a unit",
            |m| {
                m.user.pop();
            },
            Meets::Acceptor(Expected::Message(MessageError::OddTextLength { length: 9 })),
        ),
        (
            "UNICODE gone",
            |m| m.flags.remove(F::NEGOTIATE_UNICODE),
            Meets::Acceptor(Expected::Peer(PeerMisbehaved::NoCharacterSet {
                message: "AUTHENTICATE",
            })),
        ),
    ];
    for (case, change, meets) in cases {
        let change = |bytes: Vec<u8>| {
            let mut message = Authenticate::parse(&bytes);
            change(&mut message);
            message.to_bytes()
        };
        attack(case, same, same, change, &meets);
    }
}

/// Conformance row 189: no single bit of any message may be another.
#[test]
fn row_189_each_bit_of_each_message_is_under_the_mic() {
    let world = World::new();
    let length = world.sides(Wishes::full()).up_to_authenticate().len();
    for bit in (0..length * 8).step_by(3) {
        let mut sides = world.sides(Wishes::full());
        let mut token = sides.up_to_authenticate();
        token[bit / 8] ^= 1 << (bit % 8);
        // The version's place is empty and under the MIC; MaxLen fields too.
        let outcome = sides.accept(Some(&token)).0;
        assert!(outcome.is_err(), "bit {bit} of AUTHENTICATE");
    }
    let challenge_length = {
        let mut sides = world.sides(Wishes::full());
        let negotiate = sides.negotiate();
        sides.challenge(&negotiate).len()
    };
    for bit in 0..challenge_length * 8 {
        let mut sides = world.sides(Wishes::full());
        let negotiate = sides.negotiate();
        let mut challenge = sides.challenge(&negotiate);
        challenge[bit / 8] ^= 1 << (bit % 8);
        if let (Ok(_), token) = sides.initialize(Some(&challenge)) {
            let outcome = sides.accept(Some(&token)).0;
            assert!(outcome.is_err(), "bit {bit} of CHALLENGE");
        }
    }
    let negotiate_length = world.sides(Wishes::full()).negotiate().len();
    for bit in 0..negotiate_length * 8 {
        let mut sides = world.sides(Wishes::full());
        let mut negotiate = sides.negotiate();
        negotiate[bit / 8] ^= 1 << (bit % 8);
        if let (Ok(_), challenge) = sides.accept(Some(&negotiate))
            && let (Ok(_), token) = sides.initialize(Some(&challenge))
        {
            let outcome = sides.accept(Some(&token)).0;
            assert!(outcome.is_err(), "bit {bit} of NEGOTIATE");
        }
    }
}

#[test]
fn messages_out_of_turn_are_refused() {
    use trihound_ntlm::message::MessageType;
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    let challenge = sides.challenge(&negotiate);
    let wrong = |sides: &mut Sides<'_>, token: &[u8], expected, found| {
        sides.acceptor = None;
        let error = sides.accept(Some(token)).0.unwrap_err();
        assert_eq!(
            *cause::<MessageError>(&error),
            MessageError::WrongMessageType { expected, found }
        );
    };
    let (kind_n, kind_c) = (MessageType::Negotiate, MessageType::Challenge);
    wrong(&mut sides, &challenge, kind_n, kind_c);
    let mut reflected = world.sides(Wishes::full());
    let own = reflected.negotiate();
    let error = reflected.initialize(Some(&own)).0.unwrap_err();
    assert_eq!(
        *cause::<MessageError>(&error),
        MessageError::WrongMessageType {
            expected: kind_c,
            found: kind_n
        }
    );
    for token in [&b""[..], b"NTLMSSP\0", b"GARBAGE!\x01\0\0\0"] {
        let mut sides = world.sides(Wishes::full());
        let error = sides.accept(Some(token)).0.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
        sides.negotiate();
        let error = sides.initialize(Some(token)).0.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    }
}
