//! Both sides have Kerberos and NTLM, and somebody wants them to choose NTLM.

use trihound::asn1::spnego::{MS_KRB5, NTLMSSP, NegState, NegTokenResp, parse_response};
use trihound::negotiate::PeerMisbehaved;
use trihound::sspi::InitiatorRequirements;

use super::edit::{init, list, read_init, resp};
use super::world::{Speaks, World};
use super::{Case, case, each, refused, run};

/// Offers NTLM alone, in the place of the initiator.
fn only_ntlm(token: &[u8]) -> Vec<u8> {
    init(token, |init| {
        list(init, &[NTLMSSP]);
        init.mech_token = None;
    })
}

/// Offers NTLM before Kerberos, in the place of the initiator.
fn ntlm_first(token: &[u8]) -> Vec<u8> {
    init(token, |init| {
        list(init, &[NTLMSSP, MS_KRB5]);
        init.mech_token = None;
    })
}

fn change(token: &[u8], change: impl Fn(&mut NegTokenResp)) -> Option<Vec<u8>> {
    parse_response(token).ok().map(|_| resp(token, change))
}

/// The list altered, and with it further messages: the attacker must not get through.
///
/// Messages: NegTokenInit 0, request-mic 1, NEGOTIATE 2, CHALLENGE 3, AUTHENTICATE with MIC 4, MIC 5.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, offer) in [
        ("NTLM alone", only_ntlm as fn(&[u8]) -> Vec<u8>),
        ("NTLM first", ntlm_first),
    ] {
        cases.push(case(
            name,
            each(move |number, token| (number == 0).then(|| offer(token))),
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
        "NTLM alone, request-mic hidden",
        each(|number, token| match number {
            0 => Some(only_ntlm(token)),
            1 => change(token, |message| {
                message.neg_state = Some(NegState::AcceptIncomplete);
            }),
            _ => None,
        }),
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
    cases.push(case(
        "NTLM alone, the initiator's MIC taken away",
        each(|number, token| match number {
            0 => Some(only_ntlm(token)),
            4 => change(token, |message| message.mech_list_mic = None),
            _ => None,
        }),
        refused!(
            Acceptor,
            SEC_E_DOWNGRADE_DETECTED,
            PeerMisbehaved,
            PeerMisbehaved::MicMissing { .. }
        ),
    ));
    cases.push(case(
        "NTLM alone, and the end forged for the initiator",
        forged_end(NegTokenResp {
            neg_state: Some(NegState::AcceptCompleted),
            ..NegTokenResp::default()
        }),
        refused!(
            Initiator,
            SEC_E_DOWNGRADE_DETECTED,
            PeerMisbehaved,
            PeerMisbehaved::MicMissing { .. }
        ),
    ));
    cases.push(case(
        "NTLM alone, and the end forged for the initiator with a MIC of nobody",
        forged_end(NegTokenResp {
            neg_state: Some(NegState::AcceptCompleted),
            mech_list_mic: Some(vec![1; 16]),
            ..NegTokenResp::default()
        }),
        refused!(
            Initiator,
            SEC_E_DOWNGRADE_DETECTED,
            PeerMisbehaved,
            PeerMisbehaved::MicWrong { list: "sent", .. }
        ),
    ));
    cases
}

/// The acceptor is cut off at AUTHENTICATE, and the attacker answers in its place: what the initiator sends
/// as message 4 is answered with `end` as if it came from the acceptor.
fn forged_end(end: NegTokenResp) -> super::Attack {
    Box::new(move |number, token| match number {
        0 => vec![only_ntlm(&token)],
        // The acceptor's own challenge, and then the forged end without waiting for the answer.
        3 => vec![token, end.to_token().unwrap()],
        _ => vec![token],
    })
}

/// Conformance rows 28, 167, 168 and 173.
#[test]
fn row_28_nobody_makes_two_sides_with_kerberos_choose_ntlm() {
    let world = World::new();
    let scene = world.scene(Speaks::Negotiate, Speaks::Negotiate);
    run("selection", &scene, cases());
}

/// A choice that no MIC can protect is none: without integrity NTLM in the place of Kerberos is refused,
/// by the initiator, before it has answered a challenge.
#[test]
fn row_28_without_integrity_no_other_mechanism_is_chosen() {
    let world = World::new();
    let mut scene = world.scene(Speaks::Negotiate, Speaks::Negotiate);
    for offer in [only_ntlm as fn(&[u8]) -> Vec<u8>, ntlm_first] {
        scene.wishes = InitiatorRequirements::NO_INTEGRITY;
        let ended = scene.converse(&each(move |number, token| {
            (number == 0).then(|| offer(token))
        }));
        let unprotected = refused!(
            Initiator,
            SEC_E_DOWNGRADE_DETECTED,
            trihound::negotiate::PolicyError,
            trihound::negotiate::PolicyError::UnprotectedReselection { .. }
        );
        assert_eq!(super::fault(&scene, &unprotected, &ended, &ended), None);
        assert!(no_response_was_sent(&ended));
    }
}

/// Whether no AUTHENTICATE message is among what was sent.
fn no_response_was_sent(ended: &super::Ended) -> bool {
    let authenticate = b"NTLMSSP\0\x03\0\0\0";
    !ended.wire.iter().any(|token| {
        token
            .windows(authenticate.len())
            .any(|bytes| bytes == authenticate)
    })
}

/// SPNEGO taken off and put on by somebody between: the acceptor sees a raw login, the initiator a
/// negotiation that ends without its MIC.
fn unwrapped() -> super::Attack {
    Box::new(|number, token| match (parse_response(&token), number) {
        (Ok(message), _) => vec![message.response_token.unwrap_or_default()],
        (Err(_), 0) => vec![read_init(&token).mech_token.unwrap_or_default()],
        (Err(_), _) => vec![
            NegTokenResp {
                neg_state: Some(NegState::AcceptIncomplete),
                supported_mech: Some(NTLMSSP.to_owned()),
                response_token: Some(token),
                ..NegTokenResp::default()
            }
            .to_token()
            .unwrap(),
        ],
    })
}

/// Conformance row 30: the MIC that NTLM itself has makes the initiator ask for the one of the list, so that
/// it is never done towards an acceptor that does not know of the negotiation.
#[test]
fn row_30_a_negotiation_that_somebody_hides_from_the_acceptor_does_not_end() {
    let world = World::new();
    let scene = world.scene(Speaks::NegotiateNtlm, Speaks::Negotiate);
    let ended = scene.converse(&unwrapped());
    let waits = super::Expect::Waits(super::By::Initiator);
    assert_eq!(super::fault(&scene, &waits, &ended, &ended), None);
    // What the acceptor has then is a raw login, which its policy may refuse from the start.
    assert!(ended.established(super::By::Acceptor).is_some());
    let scene = world.scene(Speaks::NegotiateNtlm, Speaks::NegotiateStrict);
    let ended = scene.converse(&unwrapped());
    let refused = refused!(
        Acceptor,
        SEC_E_INVALID_TOKEN,
        trihound::negotiate::PolicyError,
        trihound::negotiate::PolicyError::RawTokenRefused { .. }
    );
    assert_eq!(super::fault(&scene, &refused, &ended, &ended), None);
}
