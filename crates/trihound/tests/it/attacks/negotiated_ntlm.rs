//! Negotiate with NTLM: NegTokenInit 0, NegTokenResp 1 (CHALLENGE), 2 (AUTHENTICATE, MIC), 3 (MIC).

use trihound::asn1::DecodeError;
use trihound::asn1::spnego::{KRB5, MS_KRB5, NEGOEX, NTLMSSP, NegState, NegTokenResp};
use trihound::negotiate::PeerMisbehaved;
use trihound::ntlm::message::MessageError;
use trihound::ntlm::{self, NegotiateFlags, Unprotected, VerifierFailure};

use super::edit::{authenticate, flags, flip_last, init, list, resp};
use super::world::{Speaks, World};
use super::{By, Case, Expect, at, case, each, nobody, refused, run, times};

const SIGN: u32 = NegotiateFlags::NEGOTIATE_SIGN.bits();

/// Changes a NegTokenResp.
fn reply(number: usize, change: impl Fn(&mut NegTokenResp) + 'static) -> super::Attack {
    at(number, move |token| resp(&token, &change))
}

/// Changes the message of NTLM inside of a NegTokenResp.
fn inner(number: usize, change: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> super::Attack {
    reply(number, move |message| {
        message.response_token = message.response_token.take().map(&change);
    })
}

fn offer(mech_types: &'static [&'static str]) -> super::Attack {
    at(0, move |token| init(&token, |init| list(init, mech_types)))
}

/// The list altered: the MIC tells the acceptor of it, whatever is chosen.
fn lists() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, attack) in [
        ("a mechanism behind NTLM", offer(&[NTLMSSP, NEGOEX])),
        ("Kerberos behind NTLM", offer(&[NTLMSSP, KRB5])),
        ("NTLM twice", offer(&[NTLMSSP, NTLMSSP])),
    ] {
        cases.push(case(
            name,
            attack,
            refused!(
                Acceptor,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong {
                    list: "received",
                    ..
                }
            ),
        ));
    }
    cases.push(case(
        "a mechanism of nobody before NTLM, and no optimistic token for it",
        at(0, |token| {
            init(&token, |init| {
                list(init, &["1.2.3.4", NTLMSSP]);
                init.mech_token = None;
            })
        }),
        // The acceptor asks for what the initiator has sent already.
        refused!(
            Initiator,
            SEC_E_INVALID_TOKEN,
            PeerMisbehaved,
            PeerMisbehaved::MissingMechanismToken { .. }
        ),
    ));
    cases.push(case(
        "Kerberos in the place of NTLM",
        offer(&[MS_KRB5, KRB5]),
        Expect::Refused(
            By::Acceptor,
            trihound::sspi::SecurityStatus::SEC_E_INVALID_TOKEN,
            "NegotiationFailed of Kerberos",
            |error| {
                error
                    .find_source::<trihound::negotiate::NegotiationFailed>()
                    .is_some_and(|failed| {
                        failed.tried.iter().all(|tried| tried.package == "Kerberos")
                    })
            },
        ),
    ));
    cases.push(case(
        "nothing that is here in the place of NTLM",
        offer(&["1.2.3.4"]),
        refused!(
            Acceptor,
            SEC_E_SECPKG_NOT_FOUND,
            trihound::negotiate::PolicyError,
            trihound::negotiate::PolicyError::NoCommonMechanism { .. }
        ),
    ));
    cases
}

/// What a reply of the acceptor says.
fn replies() -> Vec<Case> {
    vec![
        case(
            "request-mic taken away, which the MIC of NTLM stands for",
            reply(1, |message| {
                message.neg_state = Some(NegState::AcceptIncomplete);
            }),
            Expect::Unaltered,
        ),
        case(
            "no state in the first reply",
            reply(1, |message| message.neg_state = None),
            Expect::Unaltered,
        ),
        case(
            "accept-completed too early",
            reply(1, |message| {
                message.neg_state = Some(NegState::AcceptCompleted);
            }),
            Expect::Unaltered,
        ),
        case(
            "accept-completed too early, without a token",
            reply(1, |message| {
                message.neg_state = Some(NegState::AcceptCompleted);
                message.response_token = None;
            }),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::CompletedTooEarly { .. }
            ),
        ),
        case(
            "reject",
            reply(1, |message| message.neg_state = Some(NegState::Reject)),
            refused!(
                Initiator,
                SEC_E_LOGON_DENIED,
                trihound::negotiate::Rejected,
                trihound::negotiate::Rejected { reason: None, .. }
            ),
        ),
        case(
            "a mechanism that was not offered",
            reply(1, |message| message.supported_mech = Some(KRB5.to_owned())),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::UnofferedMechanism { .. }
            ),
        ),
        case(
            "no mechanism in the first reply",
            reply(1, |message| message.supported_mech = None),
            Expect::Unaltered,
        ),
        case(
            "the challenge taken away",
            reply(1, |message| message.response_token = None),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::MissingMechanismToken { .. }
            ),
        ),
        case(
            "a MIC in the first reply",
            reply(1, |message| message.mech_list_mic = Some(vec![1; 16])),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong { list: "sent", .. }
            ),
        ),
        case(
            "a mechanism in the last reply that was not offered",
            reply(3, |message| message.supported_mech = Some(KRB5.to_owned())),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::ChangedMechanism { .. }
            ),
        ),
        case(
            "request-mic in the last reply",
            reply(3, |message| message.neg_state = Some(NegState::RequestMic)),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::RequestMicTooLate
            ),
        ),
        case(
            "reject in the last reply",
            reply(3, |message| message.neg_state = Some(NegState::Reject)),
            refused!(
                Initiator,
                SEC_E_LOGON_DENIED,
                trihound::negotiate::Rejected,
                trihound::negotiate::Rejected { reason: None, .. }
            ),
        ),
        case(
            "accept-incomplete in the last reply, beside the MIC",
            reply(3, |message| {
                message.neg_state = Some(NegState::AcceptIncomplete);
            }),
            Expect::Unaltered,
        ),
        case(
            "a token in the last reply",
            reply(3, |message| message.response_token = Some(vec![1; 16])),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::SpuriousMechanismToken { .. }
            ),
        ),
        case(
            "another state in the initiator's token",
            reply(2, |message| message.neg_state = None),
            Expect::Unaltered,
        ),
        case(
            "reject in the initiator's token",
            reply(2, |message| message.neg_state = Some(NegState::Reject)),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                trihound::negotiate::Rejected,
                trihound::negotiate::Rejected { reason: None, .. }
            ),
        ),
        case(
            "another mechanism in the initiator's token",
            reply(2, |message| message.supported_mech = Some(KRB5.to_owned())),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::ChangedMechanism { .. }
            ),
        ),
    ]
}

/// The mechListMIC itself, both ways.
fn mics() -> Vec<Case> {
    vec![
        case(
            "the initiator's MIC taken away",
            reply(2, |message| message.mech_list_mic = None),
            refused!(
                Acceptor,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicMissing { .. }
            ),
        ),
        case(
            "the initiator's MIC altered",
            reply(2, |message| flip_last(&mut message.mech_list_mic)),
            refused!(
                Acceptor,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong {
                    list: "received",
                    ..
                }
            ),
        ),
        case(
            "the initiator's MIC empty",
            reply(2, |message| message.mech_list_mic = Some(Vec::new())),
            refused!(
                Acceptor,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong {
                    list: "received",
                    ..
                }
            ),
        ),
        case(
            "the initiator's MIC a copy of the token, as of Windows 2000",
            reply(2, |message| {
                message.mech_list_mic.clone_from(&message.response_token);
            }),
            refused!(
                Acceptor,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicMissing { .. }
            ),
        ),
        case(
            "the acceptor's MIC taken away",
            reply(3, |message| message.mech_list_mic = None),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicMissing { .. }
            ),
        ),
        case(
            "the acceptor's MIC altered",
            reply(3, |message| flip_last(&mut message.mech_list_mic)),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong { list: "sent", .. }
            ),
        ),
        case(
            "the initiator's own MIC sent back to it",
            reflected(),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong { list: "sent", .. }
            ),
        ),
    ]
}

fn reflected() -> super::Attack {
    let kept = std::cell::RefCell::new(None);
    each(move |number, token| match number {
        2 => {
            let message = trihound::asn1::spnego::parse_response(token).unwrap();
            *kept.borrow_mut() = message.mech_list_mic;
            None
        }
        3 => Some(resp(token, |message| {
            message.mech_list_mic.clone_from(&kept.borrow());
        })),
        _ => None,
    })
}

/// What is altered inside, and order.
fn inside() -> Vec<Case> {
    vec![
        case(
            "SIGN and SEAL out of NEGOTIATE",
            at(0, |token| {
                init(&token, |init| {
                    let message = init.mech_token.take().unwrap();
                    init.mech_token = Some(flags(message, |found| found & !(SIGN | 0x20)));
                })
            }),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::Missing { .. }
            ),
        ),
        case(
            "SIGN and SEAL out of CHALLENGE",
            inner(1, |message| flags(message, |found| found & !(SIGN | 0x20))),
            refused!(
                Initiator,
                SEC_E_UNSUPPORTED_FUNCTION,
                Unprotected,
                Unprotected::Missing { .. }
            ),
        ),
        case(
            "SIGN and SEAL out of AUTHENTICATE",
            inner(2, |message| flags(message, |found| found & !(SIGN | 0x20))),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                ntlm::PeerMisbehaved,
                ntlm::PeerMisbehaved::MicDiffers
            ),
        ),
        case(
            "the MIC out of AUTHENTICATE",
            inner(2, |message| {
                authenticate(&message, |message| message.mic = None)
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                ntlm::PeerMisbehaved,
                ntlm::PeerMisbehaved::MicMissing
            ),
        ),
        case(
            "another user",
            inner(2, |message| {
                authenticate(&message, |message| message.user = b"b\0o\0b\0")
            }),
            refused!(
                Acceptor,
                SEC_E_LOGON_DENIED,
                VerifierFailure,
                VerifierFailure::LogonFailed
            ),
        ),
        case(
            "AUTHENTICATE replaced by NEGOTIATE",
            inner(2, |_| {
                b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\xa2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()
            }),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                MessageError,
                MessageError::WrongMessageType { .. }
            ),
        ),
        case(
            "NegTokenInit twice",
            times(0, 2),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                DecodeError,
                DecodeError::NegotiationTokenTag { .. }
            ),
        ),
        case(
            "the first reply twice",
            times(1, 2),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::RequestMicTooLate
            ),
        ),
        case(
            "the initiator's token twice",
            times(2, 2),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::AfterEstablishment { .. }
            ),
        ),
        case(
            "the last reply twice",
            times(3, 2),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::AfterEstablishment { .. }
            ),
        ),
        case(
            "the last reply lost",
            Box::new(|number, token| if number == 3 { vec![] } else { vec![token] }),
            Expect::Waits(By::Initiator),
        ),
        case(
            "the initiator's token lost",
            Box::new(|number, token| if number == 2 { vec![] } else { vec![token] }),
            Expect::Waits(By::Acceptor),
        ),
    ]
}

/// Conformance rows 28, 29, 30, 31, 165, 168, 171 and 172.
#[test]
fn row_28_no_change_of_a_negotiated_ntlm_handshake_goes_unnoticed() {
    let world = World::new();
    let mut cases = vec![case("nobody between", nobody(), Expect::Unaltered)];
    cases.extend(lists());
    cases.extend(replies());
    cases.extend(mics());
    cases.extend(inside());
    let scene = world.scene(Speaks::NegotiateNtlm, Speaks::Negotiate);
    run("negotiated-ntlm", &scene, cases);
}
