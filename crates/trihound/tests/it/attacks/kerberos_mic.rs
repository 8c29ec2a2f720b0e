//! Negotiate with Kerberos, towards an acceptor that would have preferred NTLM, so that MICs are exchanged:
//! NegTokenInit 0 (AP-REQ), NegTokenResp 1 (AP-REP, request-mic, MIC), 2 (MIC).

use trihound::asn1::spnego::{KRB5, MS_KRB5, NEGOEX, NTLMSSP, NegState, NegTokenResp};
use trihound::negotiate::PeerMisbehaved;

use super::edit::{flip_last, init, list, resp};
use super::world::{Speaks, World};
use super::{By, Case, Expect, at, case, each, nobody, refused, run, times};

fn reply(number: usize, change: impl Fn(&mut NegTokenResp) + 'static) -> super::Attack {
    at(number, move |token| resp(&token, &change))
}

fn offer(mech_types: &'static [&'static str]) -> super::Attack {
    at(0, move |token| init(&token, |init| list(init, mech_types)))
}

fn lists() -> Vec<Case> {
    [
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
            "NTLM before the other spelling",
            offer(&[MS_KRB5, NTLMSSP, KRB5]),
        ),
        (
            "a mechanism added at the end",
            offer(&[MS_KRB5, KRB5, NTLMSSP, NEGOEX]),
        ),
        ("Kerberos alone", offer(&[MS_KRB5])),
        ("Kerberos twice", offer(&[MS_KRB5, MS_KRB5, KRB5, NTLMSSP])),
    ]
    .into_iter()
    .map(|(name, attack)| {
        case(
            name,
            attack,
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong { list: "sent", .. }
            ),
        )
    })
    .collect()
}

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
            "the acceptor's MIC taken away",
            reply(1, |message| message.mech_list_mic = None),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicMissing { .. }
            ),
        ),
        case(
            "the acceptor's MIC altered",
            reply(1, |message| flip_last(&mut message.mech_list_mic)),
            refused!(
                Initiator,
                SEC_E_DOWNGRADE_DETECTED,
                PeerMisbehaved,
                PeerMisbehaved::MicWrong { list: "sent", .. }
            ),
        ),
        case(
            "the acceptor's MIC and its wish for one taken away",
            reply(1, |message| {
                message.mech_list_mic = None;
                message.neg_state = Some(NegState::AcceptCompleted);
            }),
            // The list is as it was, and the initiator's first choice was taken: it needs no more.
            Expect::Waits(By::Acceptor),
        ),
        case(
            "the list altered, the acceptor's MIC and its wish for one taken away",
            each(|number, token| match number {
                0 => Some(init(token, |init| list(init, &[MS_KRB5, NTLMSSP]))),
                1 => Some(resp(token, |message| {
                    message.mech_list_mic = None;
                    message.neg_state = Some(NegState::AcceptCompleted);
                })),
                _ => None,
            }),
            Expect::Waits(By::Acceptor),
        ),
        case(
            "the initiator's MIC twice",
            times(2, 2),
            refused!(
                Acceptor,
                SEC_E_INVALID_TOKEN,
                PeerMisbehaved,
                PeerMisbehaved::AfterEstablishment { .. }
            ),
        ),
        case(
            "the initiator's MIC lost",
            Box::new(|number, token| if number == 2 { vec![] } else { vec![token] }),
            Expect::Waits(By::Acceptor),
        ),
        case(
            "request-mic hidden, beside the MIC",
            reply(1, |message| {
                message.neg_state = Some(NegState::AcceptCompleted);
            }),
            Expect::Unaltered,
        ),
    ]
}

/// Conformance rows 28, 29, 30 and 168.
#[test]
fn row_29_with_mics_no_change_of_the_list_goes_unnoticed_under_kerberos() {
    let world = World::new();
    let mut cases = vec![case("nobody between", nobody(), Expect::Unaltered)];
    cases.extend(lists());
    cases.extend(mics());
    let scene = world.scene(Speaks::Negotiate, Speaks::NegotiateNtlmFirst);
    run("negotiated-kerberos-mic", &scene, cases);
}
