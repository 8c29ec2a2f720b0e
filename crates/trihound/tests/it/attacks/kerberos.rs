//! Negotiate with Kerberos: NegTokenInit 0 (AP-REQ), NegTokenResp 1 (AP-REP).

use trihound::asn1::DecodeError;
use trihound::asn1::spnego::{KRB5, MS_KRB5, NEGOEX, NTLMSSP, NegState, NegTokenResp};
use trihound::kerberos::TokenError;
use trihound::krb5::{Error as KerberosError, PeerMisbehaved as KerberosMisbehaved};
use trihound::negotiate::negoex::NegoExError;
use trihound::negotiate::{PeerMisbehaved, Rejected};
use trihound::sspi::InitiatorRequirements;

use super::edit::{flip_last, init, list, resp};
use super::world::{Speaks, World};
use super::{By, Case, Expect, at, case, each, nobody, refused, run, times};

fn reply(number: usize, change: impl Fn(&mut NegTokenResp) + 'static) -> super::Attack {
    at(number, move |token| resp(&token, &change))
}

fn offer(mech_types: &'static [&'static str]) -> super::Attack {
    at(0, move |token| init(&token, |init| list(init, mech_types)))
}

/// Whatever stands behind the first mechanism protects nothing and decides nothing: the same is chosen.
fn lists() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("NTLM taken away", offer(&[MS_KRB5, KRB5])),
        (
            "the first spelling of Kerberos taken away",
            offer(&[KRB5, NTLMSSP]),
        ),
        (
            "the other spelling of Kerberos first",
            offer(&[KRB5, MS_KRB5, NTLMSSP]),
        ),
        (
            "a mechanism added at the end",
            offer(&[MS_KRB5, KRB5, NTLMSSP, NEGOEX]),
        ),
        ("Kerberos alone", offer(&[MS_KRB5])),
        ("Kerberos twice", offer(&[MS_KRB5, MS_KRB5, NTLMSSP])),
        (
            "request flags",
            at(0, |token| {
                init(&token, |init| init.req_flags = Some(vec![1, 0x76]))
            }),
        ),
    ]
    .into_iter()
    .map(|(name, attack)| case(name, attack, Expect::Unaltered))
    .collect();
    cases.push(case(
        "NEGOEX first, before an optimistic token of Kerberos",
        offer(&[NEGOEX, MS_KRB5, KRB5, NTLMSSP]),
        refused!(
            Acceptor,
            SEC_E_INVALID_TOKEN,
            NegoExError,
            NegoExError::Signature { offset: 0 }
        ),
    ));
    cases.push(case(
        "a mechanism of nobody first",
        // The acceptor drops the optimistic token as another mechanism's and asks again.
        offer(&["1.2.3.4", MS_KRB5, NTLMSSP]),
        refused!(
            Initiator,
            SEC_E_INVALID_TOKEN,
            PeerMisbehaved,
            PeerMisbehaved::MissingMechanismToken { .. }
        ),
    ));
    cases
}

fn replies() -> Vec<Case> {
    vec![
        case(
            "no state",
            reply(1, |message| message.neg_state = None),
            Expect::Unaltered,
        ),
        case(
            "no mechanism",
            reply(1, |message| message.supported_mech = None),
            Expect::Unaltered,
        ),
        case(
            "the other spelling of Kerberos",
            reply(1, |message| message.supported_mech = Some(KRB5.to_owned())),
            Expect::Unaltered,
        ),
        case(
            "NTLM instead, with the token of Kerberos",
            reply(1, |message| {
                message.supported_mech = Some(NTLMSSP.to_owned());
            }),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::TokenWithReselection { .. }
            ),
        ),
        case(
            "NTLM instead, completed",
            reply(1, |message| {
                message.supported_mech = Some(NTLMSSP.to_owned());
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
            "what was not offered",
            reply(1, |message| {
                message.supported_mech = Some(NEGOEX.to_owned());
            }),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::UnofferedMechanism { .. }
            ),
        ),
        case(
            "reject",
            reply(1, |message| message.neg_state = Some(NegState::Reject)),
            refused!(
                Initiator,
                SEC_E_LOGON_DENIED,
                Rejected,
                Rejected { reason: None, .. }
            ),
        ),
        case(
            "AP-REP taken away",
            reply(1, |message| message.response_token = None),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::CompletedTooEarly { .. }
            ),
        ),
        case(
            "AP-REP taken away, and not completed",
            reply(1, |message| {
                message.response_token = None;
                message.neg_state = Some(NegState::AcceptIncomplete);
            }),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::MissingMechanismToken { .. }
            ),
        ),
        case(
            "AP-REP altered",
            reply(1, |message| flip_last(&mut message.response_token)),
            refused!(
                Initiator,
                SEC_E_MUTUAL_AUTH_FAILED,
                KerberosError,
                KerberosError::PeerMisbehaved(KerberosMisbehaved::ApReplyDoesNotDecrypt { .. })
            ),
        ),
        case(
            "a made-up MIC",
            reply(1, |message| message.mech_list_mic = Some(vec![4; 28])),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong { list: "sent", .. }
            ),
        ),
        case(
            "the token again in the place of the MIC, as of Windows 2000",
            reply(1, |message| {
                message.mech_list_mic.clone_from(&message.response_token);
            }),
            Expect::Unaltered,
        ),
        case(
            "request-mic, which nobody answers",
            reply(1, |message| message.neg_state = Some(NegState::RequestMic)),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicMissing { .. }
            ),
        ),
    ]
}

fn inside() -> Vec<Case> {
    vec![
        case(
            "AP-REQ altered at its end",
            at(0, |token| {
                init(&token, |init| flip_last(&mut init.mech_token))
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                KerberosError,
                KerberosError::PeerMisbehaved(KerberosMisbehaved::AuthenticatorDoesNotDecrypt)
            ),
        ),
        case(
            "a made-up MIC beside the optimistic token",
            at(0, |token| {
                init(&token, |init| init.mech_list_mic = Some(vec![4; 28]))
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
        ),
        case(
            "NegTokenInit twice",
            times(0, 2),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::AfterEstablishment { .. }
            ),
        ),
        case(
            "the reply twice",
            times(1, 2),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::AfterEstablishment { .. }
            ),
        ),
        case(
            "the reply lost",
            Box::new(|number, token| if number == 1 { vec![] } else { vec![token] }),
            Expect::Waits(By::Initiator),
        ),
        case(
            "the initiator's own token sent back to it",
            {
                let kept = std::cell::RefCell::new(Vec::new());
                each(move |number, token| match number {
                    0 => {
                        *kept.borrow_mut() = token.to_vec();
                        None
                    }
                    _ => Some(kept.borrow().clone()),
                })
            },
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                trihound::negotiate::Error,
                trihound::negotiate::Error::InvalidMessage(
                    DecodeError::NegotiationTokenTag { .. } | DecodeError::Truncated { .. }
                )
            ),
        ),
        case(
            "the frame taken away",
            at(0, |token| super::edit::read_init(&token).to_der().unwrap()),
            Expect::Unaltered,
        ),
    ]
}

/// Conformance rows 28, 30, 31, 164, 165, 166, 171 and 172.
#[test]
fn row_28_no_change_of_a_negotiated_kerberos_handshake_alters_its_result() {
    let world = World::new();
    let mut cases = vec![case("nobody between", nobody(), Expect::Unaltered)];
    cases.extend(lists());
    cases.extend(replies());
    cases.extend(inside());
    let scene = world.scene(Speaks::Negotiate, Speaks::Negotiate);
    run("negotiated-kerberos", &scene, cases);
}

/// Kerberos without SPNEGO, taken by an acceptor of Negotiate: AP-REQ 0, AP-REP 1.
#[test]
fn row_162_no_change_of_a_raw_kerberos_handshake_alters_its_result() {
    let world = World::new();
    let cases = vec![
        case("nobody between", nobody(), Expect::Unaltered),
        case(
            "AP-REQ altered at its end",
            at(0, |mut token| {
                *token.last_mut().unwrap() ^= 1;
                token
            }),
            refused!(
                Acceptor,
                SEC_E_MESSAGE_ALTERED,
                KerberosError,
                KerberosError::PeerMisbehaved(KerberosMisbehaved::AuthenticatorDoesNotDecrypt)
            ),
        ),
        case(
            "AP-REP altered at its end",
            at(1, |mut token| {
                *token.last_mut().unwrap() ^= 1;
                token
            }),
            refused!(
                Initiator,
                SEC_E_MUTUAL_AUTH_FAILED,
                KerberosError,
                KerberosError::PeerMisbehaved(KerberosMisbehaved::ApReplyDoesNotDecrypt { .. })
            ),
        ),
        case(
            // Both name Kerberos; nothing of the token depends on which.
            "the identifier altered to the misspelt one",
            at(0, |token| {
                let at = token
                    .windows(3)
                    .position(|bytes| bytes == [0x48, 0x86, 0xf7])
                    .unwrap();
                let mut token = token;
                token[at + 1] = 0x82;
                token
            }),
            Expect::Unaltered,
        ),
        case(
            "AP-REP wrapped in SPNEGO",
            at(1, |token| {
                NegTokenResp {
                    neg_state: Some(NegState::AcceptCompleted),
                    response_token: Some(token),
                    ..NegTokenResp::default()
                }
                .to_token()
                .unwrap()
            }),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                TokenError,
                TokenError::FramingMissing
            ),
        ),
        case(
            "AP-REQ twice",
            times(0, 2),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::AfterEstablishment { .. }
            ),
        ),
        case(
            "AP-REP twice",
            times(1, 2),
            refused!(
                Initiator,
                SEC_E_INVALID_TOKEN,
                TokenError,
                TokenError::AfterEstablishment { .. }
            ),
        ),
    ];
    run(
        "raw-kerberos",
        &world.scene(Speaks::Kerberos, Speaks::Negotiate),
        cases,
    );
}

/// Conformance row 173: whoever breaks the proof of the acceptor gets no login by NTLM for it.
#[test]
fn row_173_a_failed_mutual_authentication_leads_to_nothing_else() {
    let world = World::new();
    let mut scene = world.scene(Speaks::Negotiate, Speaks::Negotiate);
    scene.wishes = InitiatorRequirements::MUTUAL_AUTH;
    let attack = reply(1, |message| flip_last(&mut message.response_token));
    let ended = scene.converse(&attack);
    assert_eq!(ended.wire.len(), 2, "nothing was sent after it");
    let failed = refused!(
        Initiator,
        SEC_E_MUTUAL_AUTH_FAILED,
        KerberosError,
        KerberosError::PeerMisbehaved(_)
    );
    assert_eq!(super::fault(&scene, &failed, &ended, &ended), None);
}
