//! NTLM by itself: NEGOTIATE 0, CHALLENGE 1, AUTHENTICATE 2.

use trihound::ntlm::message::MessageError;
use trihound::ntlm::{AvId, PeerMisbehaved, PolicyError, TokenError, VerifierFailure};
use trihound::sspi::InitiatorRequirements;

use super::edit::{authenticate, av_pair, flip};
use super::ntlm_flags::{
    EXTENDED, SIGN, STRONG, added_flags, flags_of_protection, flags_under_the_mic, with, without,
};
use super::world::{Speaks, World};
use super::{By, Case, Expect, at, case, each, nobody, refused, run, times};

/// AvFlags of the response, which says whether a MIC is there.
fn av_flags_cleared(token: Vec<u8>) -> Vec<u8> {
    av_pair(token, AvId::FLAGS, |value| value.fill(0))
}

fn without_mic(token: &[u8]) -> Vec<u8> {
    authenticate(token, |message| message.mic = None)
}

/// The attacks on a MIC and on what promises one (CVE-2019-1040, CVE-2019-1166).
fn mic() -> Vec<Case> {
    vec![
        case(
            "the MIC altered",
            at(2, |token| flip(token, 72)),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ),
        case(
            "the MIC zeroed",
            at(2, |mut token| {
                token[72..88].fill(0);
                token
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ),
        case(
            "the MIC taken away",
            at(2, |token| without_mic(&token)),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicMissing
            ),
        ),
        case(
            "AvFlags cleared in the response",
            at(2, av_flags_cleared),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                VerifierFailure,
                VerifierFailure::LogonFailed
            ),
        ),
        case(
            "the MIC taken away and AvFlags cleared",
            at(2, |token| av_flags_cleared(without_mic(&token))),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                VerifierFailure,
                VerifierFailure::LogonFailed
            ),
        ),
        case(
            "the timestamp of the challenge altered",
            at(1, |token| {
                av_pair(token, AvId::TIMESTAMP, |value| value[0] ^= 1)
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ),
        case(
            "the timestamp of the challenge another day's",
            at(1, |token| {
                av_pair(token, AvId::TIMESTAMP, |value| value[6] ^= 1)
            }),
            refused!(
                Acceptor,
                SEC_E_TIME_SKEW,
                PeerMisbehaved,
                PeerMisbehaved::TimeDiffers { .. }
            ),
        ),
        case(
            "the server's name altered in the challenge",
            at(1, |token| {
                let wide = |text: &str| -> Vec<u8> {
                    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
                };
                let (from, to) = (wide("WEB"), wide("BAD"));
                let place = token.windows(6).rposition(|window| window == from).unwrap();
                let mut token = token;
                token[place..place + 6].copy_from_slice(&to);
                token
            }),
            refused!(
                Acceptor,
                SEC_E_WRONG_PRINCIPAL,
                PeerMisbehaved,
                PeerMisbehaved::ServerNameDiffers { .. }
            ),
        ),
        case(
            "the server's challenge altered",
            at(1, |token| flip(token, 24)),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                VerifierFailure,
                VerifierFailure::LogonFailed
            ),
        ),
        case(
            "the proof altered",
            at(2, |token| {
                let place = u32::from_le_bytes(token[24..28].try_into().unwrap());
                flip(token, place as usize)
            }),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                VerifierFailure,
                VerifierFailure::LogonFailed
            ),
        ),
        case(
            "the response replaced by one of NTLMv1's length",
            at(2, |token| {
                authenticate(&token, |message| message.nt_response = &[0x55; 24])
            }),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                PolicyError,
                PolicyError::OldResponse { found: "NTLMv1" }
            ),
        ),
        case(
            "the response taken away, LM's left",
            at(2, |token| {
                authenticate(&token, |message| {
                    message.nt_response = &[];
                    message.lm_response = &[0x55; 24];
                })
            }),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                PolicyError,
                PolicyError::OldResponse { found: "LM only" }
            ),
        ),
        case(
            "the user made anonymous",
            at(2, |token| {
                authenticate(&token, |message| {
                    message.nt_response = &[];
                    message.lm_response = &[0];
                    message.user = &[];
                    message.domain = &[];
                    message.mic = None;
                })
            }),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                PolicyError,
                PolicyError::AnonymousNotAllowed
            ),
        ),
        case(
            "the response taken away beside the name",
            at(2, |token| {
                authenticate(&token, |message| {
                    message.nt_response = &[];
                    message.lm_response = &[];
                })
            }),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::HalfAnonymous { .. }
            ),
        ),
        case(
            "another user with the same password",
            at(2, |token| {
                authenticate(&token, |message| message.user = b"b\0o\0b\0")
            }),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                VerifierFailure,
                VerifierFailure::LogonFailed
            ),
        ),
        case(
            "the workstation named",
            at(2, |token| {
                authenticate(&token, |message| message.workstation = b"W\0S\0")
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ),
        case(
            "LM's response altered, which nobody reads",
            at(2, |token| {
                authenticate(&token, |message| message.lm_response = &[0x55; 24])
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ),
    ]
}

/// Messages lost, repeated, out of order, sent back, of another login.
fn order() -> Vec<Case> {
    vec![
        case("CHALLENGE lost", each_lost(1), Expect::Waits(By::Initiator)),
        case(
            "AUTHENTICATE lost",
            each_lost(2),
            Expect::Waits(By::Acceptor),
        ),
        case(
            "NEGOTIATE twice",
            times(0, 2),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                MessageError,
                MessageError::WrongMessageType { .. }
            ),
        ),
        case(
            "CHALLENGE twice",
            times(1, 2),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                TokenError,
                TokenError::AfterEstablishment { .. }
            ),
        ),
        case(
            "AUTHENTICATE twice",
            times(2, 2),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                TokenError,
                TokenError::AfterEstablishment { .. }
            ),
        ),
        case(
            "CHALLENGE sent back in the place of AUTHENTICATE",
            back(2, 1),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                MessageError,
                MessageError::WrongMessageType { .. }
            ),
        ),
        case(
            "NEGOTIATE sent back in the place of CHALLENGE",
            back(1, 0),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                MessageError,
                MessageError::WrongMessageType { .. }
            ),
        ),
        case(
            "AUTHENTICATE cut off",
            at(2, |mut token| {
                token.truncate(60);
                token
            }),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                MessageError,
                MessageError::TooShort { .. }
            ),
        ),
        case(
            "a byte behind AUTHENTICATE",
            at(2, |mut token| {
                token.push(0);
                token
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ),
    ]
}

fn each_lost(number: usize) -> super::Attack {
    Box::new(move |found, token| if found == number { vec![] } else { vec![token] })
}

/// Delivers an earlier message in the place of another.
fn back(number: usize, earlier: usize) -> super::Attack {
    let kept = std::cell::RefCell::new(Vec::new());
    each(move |found, token| {
        let mut kept = kept.borrow_mut();
        if found == earlier {
            *kept = token.to_vec();
        }
        (found == number).then(|| kept.clone())
    })
}

fn all() -> Vec<Case> {
    let mut cases = vec![case("nobody between", nobody(), Expect::Unaltered)];
    cases.extend(mic());
    cases.extend(order());
    cases.extend(flags_of_protection());
    cases.extend(flags_under_the_mic());
    cases.extend(added_flags());
    cases
}

/// Conformance rows 32, 33, 37, 38, 39, 140, 147 and 148.
#[test]
fn row_32_no_change_of_a_raw_ntlm_handshake_goes_unnoticed() {
    let world = World::new();
    run("raw-ntlm", &world.scene(Speaks::Ntlm, Speaks::Ntlm), all());
}

/// A login without protection of messages, as over HTTP: the MIC is there all the same.
#[test]
fn row_32_no_change_of_a_mere_login_goes_unnoticed() {
    let world = World::new();
    let mut scene = world.scene(Speaks::Ntlm, Speaks::Ntlm);
    scene.wishes = InitiatorRequirements::empty();
    let mut cases = vec![case("nobody between", nobody(), Expect::Unaltered)];
    cases.extend(mic());
    cases.extend(order());
    for (name, attack) in [
        ("NEGOTIATE_128 out of NEGOTIATE", without(0, STRONG)),
        ("NEGOTIATE_128 out of CHALLENGE", without(1, STRONG)),
        ("NEGOTIATE_128 out of AUTHENTICATE", without(2, STRONG)),
        (
            "extended session security out of NEGOTIATE",
            without(0, EXTENDED),
        ),
        (
            "extended session security out of CHALLENGE",
            without(1, EXTENDED),
        ),
        (
            "extended session security out of AUTHENTICATE",
            without(2, EXTENDED),
        ),
        ("SIGN into NEGOTIATE", with(0, SIGN)),
        ("SIGN into CHALLENGE", with(1, SIGN)),
    ] {
        cases.push(case(
            name,
            attack,
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                PeerMisbehaved,
                PeerMisbehaved::MicDiffers
            ),
        ));
    }
    cases.push(case(
        "SIGN into AUTHENTICATE",
        with(2, SIGN),
        refused!(
            Acceptor,
            SEC_E_INVALID_TOKEN,
            PeerMisbehaved,
            PeerMisbehaved::FlagsNotOffered { .. }
        ),
    ));
    run("raw-ntlm-login", &scene, cases);
}
