//! Somebody on the way changes one thing at a time; the exact error is the assertion.

use trihound_asn1::spnego::{NegState, NegTokenInit};
use trihound_negotiate::{NegotiatePolicy, PeerMisbehaved, PolicyError, danger};
use trihound_sspi::{Error, MechListMic, RegisteredPackage, SecurityStatus, Step};

use crate::toy::{ALPHA, ALPHA_OLD, BETA, GAMMA, Script, Toy};
use crate::world::{
    Ran, Side, Who, assert_agreed, edit_resp, init, resp, run, unchanged, with_mechs,
};

fn script(legs: u32) -> Script {
    Script {
        legs,
        ..Script::default()
    }
}

fn insisting() -> Script {
    Script {
        legs: 3,
        mic: MechListMic::Required,
        ..Script::default()
    }
}

fn toys(beta: Script) -> Vec<RegisteredPackage<Toy>> {
    vec![Toy::alpha(script(2)), Toy::beta(beta)]
}

fn misbehaved(error: &Error) -> &PeerMisbehaved {
    error.find_source().expect("PeerMisbehaved")
}

#[track_caller]
fn assert_fails(ran: &Ran, who: Who, matches: impl Fn(&PeerMisbehaved) -> bool) {
    let (found, error) = ran.error();
    let cause = misbehaved(error);
    assert!(found == who && matches(cause), "{found:?}: {cause:?}");
}

/// Conformance rows 28 and 31: the stronger mechanism is taken out of the list on the way. The acceptor is
/// content; the initiator, which preferred it, demands a MIC, and the MICs do not agree.
#[test]
fn a_list_without_the_preferred_mechanism_is_noticed() {
    for legs in 1..=4 {
        let mut client = Side::new(toys(script(legs)));
        let mut server = Side::new(toys(script(legs)));
        let ran = run(&mut client, &mut server, &|number, token| match number {
            1 => with_mechs(&token, &[BETA], None),
            _ => token,
        });
        let (_, error) = ran.error();
        assert!(
            matches!(misbehaved(error), PeerMisbehaved::MicWrong { .. }),
            "{legs}: {error}"
        );
        assert_eq!(error.status(), SecurityStatus::SEC_E_DOWNGRADE_DETECTED);
    }
}

/// Conformance rows 28 to 30: as before, and the reply is altered too, so that nobody speaks of MICs. The
/// initiator, whose first mechanism was not chosen, does not end without one.
#[test]
fn an_altered_list_and_an_altered_reply_are_noticed_too() {
    for legs in 2..=4 {
        let mut client = Side::new(toys(script(legs)));
        let mut server = Side::new(vec![Toy::beta(script(legs))]);
        let ran = run(&mut client, &mut server, &|number, token| match number {
            1 => with_mechs(&token, &[BETA], None),
            _ => edit_resp(&token, |message| {
                message.mech_list_mic = None;
                if message.neg_state == Some(NegState::RequestMic) {
                    message.neg_state = Some(NegState::AcceptIncomplete);
                }
            }),
        });
        assert_fails(&ran, Who::Initiator, |cause| {
            matches!(cause, PeerMisbehaved::MicMissing { .. })
        });
    }
}

/// Conformance row 28: with an odd count of legs the acceptor asks for the initiator's MIC and does not do
/// without.
#[test]
fn an_initiators_mic_that_was_asked_for_may_not_be_taken_off() {
    let mut client = Side::new(toys(script(3)));
    let mut server = Side::new(vec![Toy::beta(script(3))]);
    let ran = run(&mut client, &mut server, &|number, token| match number {
        1 | 2 => token,
        number if number % 2 == 1 => edit_resp(&token, |message| message.mech_list_mic = None),
        _ => token,
    });
    assert_fails(&ran, Who::Acceptor, |cause| {
        matches!(cause, PeerMisbehaved::MicMissing { .. })
    });
    let rejected = resp(&ran.last_words);
    assert_eq!(rejected.neg_state, Some(NegState::Reject));
}

/// Conformance row 30: a mechanism whose own exchange has a MIC (NTLM) wants the mechListMIC even for the
/// first mechanism, on both sides.
#[test]
fn a_mechanism_that_insists_gets_its_mics_or_fails() {
    for (number, who) in [(3, Who::Acceptor), (4, Who::Initiator)] {
        let mut client = Side::new(vec![Toy::alpha(insisting())]);
        let mut server = Side::new(vec![Toy::alpha(insisting())]);
        let ran = run(&mut client, &mut server, &|n, token| {
            if n == number {
                edit_resp(&token, |message| message.mech_list_mic = None)
            } else {
                token
            }
        });
        assert_fails(&ran, who, |cause| {
            matches!(cause, PeerMisbehaved::MicMissing { .. })
        });
    }
}

/// Conformance row 29: a MIC that is changed, or the list's order, fails on the side that reads it.
#[test]
fn a_changed_mic_is_noticed() {
    for (number, who) in [(3, Who::Acceptor), (4, Who::Initiator)] {
        let mut client = Side::new(vec![Toy::alpha(insisting())]);
        let mut server = Side::new(vec![Toy::alpha(insisting())]);
        let ran = run(&mut client, &mut server, &|n, token| {
            if n == number {
                edit_resp(&token, |message| {
                    message.mech_list_mic.as_mut().unwrap()[0] ^= 1;
                })
            } else {
                token
            }
        });
        assert_fails(&ran, who, |cause| {
            matches!(cause, PeerMisbehaved::MicWrong { .. })
        });
    }
    let mut client = Side::new(vec![Toy::alpha(insisting()), Toy::gamma(script(2))]);
    let mut server = Side::new(vec![Toy::alpha(insisting()), Toy::gamma(script(2))]);
    let ran = run(&mut client, &mut server, &|number, token| match number {
        1 => with_mechs(&token, &[ALPHA, ALPHA_OLD, GAMMA], Some(b"Alpha1")),
        _ => token,
    });
    assert_fails(&ran, Who::Acceptor, |cause| {
        matches!(cause, PeerMisbehaved::MicWrong { .. })
    });
}

/// Conformance row 29: the list is covered as it came, byte for byte. A list in a BER that a peer might
/// write is not encoded anew, so that equal contents are not equal lists.
#[test]
fn a_mic_covers_the_list_as_it_was_received() {
    let mut client = Side::new(vec![Toy::alpha(insisting())]);
    let mut server = Side::new(vec![Toy::alpha(insisting())]);
    let (_, token) = client.initialize(None);
    assert_eq!(init(&token).mech_types_der[0], 0x30, "SEQUENCE, no [0]");
    let (_, token) = server.accept(Some(&token));
    let (_, token) = client.initialize(Some(&token));
    let _ = server.accept(Some(&token)).0.unwrap();
}

/// Conformance row 31: a choice that was not offered.
#[test]
fn a_choice_that_was_not_offered_is_refused() {
    for oid in [GAMMA, "1.3.6.1.4.1.311.2.2.10"] {
        let mut client = Side::new(toys(script(2)));
        let mut server = Side::new(toys(script(2)));
        let ran = run(&mut client, &mut server, &|number, token| match number {
            2 => edit_resp(&token, |message| message.supported_mech = Some(oid.into())),
            _ => token,
        });
        assert_fails(
            &ran,
            Who::Initiator,
            |cause| matches!(cause, PeerMisbehaved::UnofferedMechanism { oid: found, .. } if found == oid),
        );
        assert_eq!(client.live_contexts(), 0);
    }
}

/// Conformance row 31: an acceptor picks only from the list, and what it cannot serve it rejects, with a
/// text that says what is here.
#[test]
fn a_list_of_strangers_is_rejected() {
    let mut client = Side::new(vec![Toy::gamma(script(2))]);
    let mut server = Side::new(vec![
        Toy::alpha(Script {
            acquire: Some(SecurityStatus::SEC_E_NO_CREDENTIALS),
            ..Script::default()
        }),
        Toy::beta(script(2)),
    ]);
    let ran = run(&mut client, &mut server, &unchanged);
    let (who, error) = ran.error();
    assert_eq!(
        (who, error.status()),
        (Who::Acceptor, SecurityStatus::SEC_E_SECPKG_NOT_FOUND)
    );
    let cause: &PolicyError = error.find_source().unwrap();
    assert!(matches!(cause, PolicyError::NoCommonMechanism { .. }));
    for part in [GAMMA, "Beta is", "Alpha is not"] {
        assert!(error.text().contains(part), "{error}");
    }
    assert_eq!(resp(&ran.last_words).neg_state, Some(NegState::Reject));
    // The client learns no more than that.
    let error = client.initialize(Some(&ran.last_words)).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);
}

/// Conformance row 31: a later token may not name another mechanism, in either direction.
#[test]
fn the_mechanism_cannot_change_later() {
    for (number, who) in [(3, Who::Acceptor), (4, Who::Initiator)] {
        let mut client = Side::new(toys(script(5)));
        let mut server = Side::new(vec![Toy::beta(script(5))]);
        let ran = run(&mut client, &mut server, &|n, token| {
            if n == number {
                edit_resp(&token, |message| {
                    message.supported_mech = Some(ALPHA.into());
                })
            } else {
                token
            }
        });
        assert_fails(&ran, who, |cause| {
            matches!(cause, PeerMisbehaved::ChangedMechanism { .. })
        });
    }
}

/// Conformance row 30: accept-completed proves nothing while the mechanism is not done.
#[test]
fn accept_completed_counts_only_with_the_mechanism() {
    for (legs, token_too) in [(3, true), (4, false), (4, true)] {
        let mut client = Side::new(vec![Toy::alpha(script(legs))]);
        let mut server = Side::new(vec![Toy::alpha(script(legs))]);
        let ran = run(&mut client, &mut server, &|number, token| match number {
            2 => edit_resp(&token, |message| {
                message.neg_state = Some(NegState::AcceptCompleted);
                if token_too {
                    message.response_token = None;
                }
            }),
            _ => token,
        });
        assert_fails(&ran, Who::Initiator, |cause| {
            matches!(cause, PeerMisbehaved::CompletedTooEarly { .. })
        });
    }
}

/// Conformance row 175: accept-completed beside a token that leads to the mechanism's third and last leg:
/// the mechanism is the proof, and its last token goes out still.
#[test]
fn an_early_accept_completed_does_no_harm_where_the_mechanism_is_done() {
    let mut client = Side::new(vec![Toy::alpha(script(3))]);
    let mut server = Side::new(vec![Toy::alpha(script(3))]);
    let (_, token) = client.initialize(None);
    let (_, token) = server.accept(Some(&token));
    let early = edit_resp(&token, |message| {
        message.neg_state = Some(NegState::AcceptCompleted);
    });
    let (step, token) = client.initialize(Some(&early));
    assert!(matches!(step, Ok(Step::Complete(_))));
    assert_eq!(resp(&token).response_token.as_deref(), Some(&b"Alpha3"[..]));
    assert!(matches!(
        server.accept(Some(&token)).0,
        Ok(Step::Complete(_))
    ));
    assert_agreed(&client, &server, "Alpha");

    // Where a MIC has to be, it is waited for all the same.
    let mut client = Side::new(vec![Toy::alpha(insisting())]);
    let (_, token) = client.initialize(None);
    let mut server = Side::new(vec![Toy::alpha(insisting())]);
    let (_, token) = server.accept(Some(&token));
    let early = edit_resp(&token, |message| {
        message.neg_state = Some(NegState::AcceptCompleted);
    });
    assert!(matches!(
        client.initialize(Some(&early)).0,
        Ok(Step::ContinueNeeded)
    ));
}

/// Conformance row 165: a choice of another mechanism that claims to be done, or answers a token that was
/// never sent, or has a MIC already.
#[test]
fn a_reselection_brings_nothing_of_the_mechanism_along() {
    type Edit = fn(&mut trihound_asn1::spnego::NegTokenResp);
    type Expected = fn(&PeerMisbehaved) -> bool;
    let cases: [(Edit, Expected); 3] = [
        (
            |message| message.neg_state = Some(NegState::AcceptCompleted),
            |cause| matches!(cause, PeerMisbehaved::CompletedTooEarly { .. }),
        ),
        (
            |message| message.response_token = Some(b"Beta2".to_vec()),
            |cause| matches!(cause, PeerMisbehaved::TokenWithReselection { .. }),
        ),
        (
            |message| message.mech_list_mic = Some(vec![1; 8]),
            |cause| matches!(cause, PeerMisbehaved::PrematureMic { .. }),
        ),
    ];
    for (edit, expected) in cases {
        let mut client = Side::new(toys(script(2)));
        let mut server = Side::new(vec![Toy::beta(script(2))]);
        let ran = run(&mut client, &mut server, &|number, token| match number {
            2 => edit_resp(&token, edit),
            _ => token,
        });
        assert_fails(&ran, Who::Initiator, expected);
        assert_eq!(client.live_contexts(), 0);
    }
}

/// Conformance row 170: a mechanism without integrity cannot protect the choice, so that only the first one
/// is taken; `danger` lets it in, for both sides apart.
#[test]
fn a_reselection_without_integrity_is_refused() {
    let plain = |legs| Script {
        legs,
        mic: MechListMic::Impossible,
        ..Script::default()
    };
    let allowed = || danger::allow_unprotected_reselection(NegotiatePolicy::default());
    for legs in [2, 3] {
        let toys = || vec![Toy::alpha(script(2)), Toy::beta(plain(legs))];
        let beta = || vec![Toy::beta(plain(legs))];
        let mut client = Side::new(toys());
        let mut server = Side::with_policy(beta(), allowed());
        let ran = run(&mut client, &mut server, &unchanged);
        let (who, error) = ran.error();
        assert_eq!(
            (who, error.status()),
            (Who::Initiator, SecurityStatus::SEC_E_DOWNGRADE_DETECTED)
        );
        let cause: &PolicyError = error.find_source().unwrap();
        assert!(matches!(cause, PolicyError::UnprotectedReselection { .. }));

        let mut client = Side::with_policy(toys(), allowed());
        let mut server = Side::new(beta());
        let ran = run(&mut client, &mut server, &unchanged);
        let (who, error) = ran.error();
        assert_eq!(who, Who::Acceptor);
        let cause: &PolicyError = error.find_source().unwrap();
        assert!(matches!(cause, PolicyError::UnprotectedReselection { .. }));

        let mut client = Side::with_policy(toys(), allowed());
        let mut server = Side::with_policy(beta(), allowed());
        run(&mut client, &mut server, &unchanged).end.unwrap();
        assert_eq!(client.negotiation().0, "Beta");
    }
}

/// Conformance row 170: a MIC over a context that has no integrity here cannot be checked, so it is no proof.
#[test]
fn a_mic_without_integrity_is_refused() {
    let plain = Script {
        legs: 3,
        mic: MechListMic::Impossible,
        ..Script::default()
    };
    for (number, who) in [(3, Who::Acceptor), (4, Who::Initiator)] {
        let mut client = Side::new(vec![Toy::alpha(plain.clone())]);
        let mut server = Side::new(vec![Toy::alpha(plain.clone())]);
        let ran = run(&mut client, &mut server, &|n, token| {
            if n == number {
                edit_resp(&token, |message| message.mech_list_mic = Some(vec![7; 16]))
            } else {
                token
            }
        });
        assert_fails(&ran, who, |cause| {
            matches!(cause, PeerMisbehaved::MicWithoutIntegrity { .. })
        });
    }
}

/// Conformance row 28: request-mic that somebody writes into the reply makes both sides exchange MICs; one
/// that comes later is refused.
#[test]
fn request_mic_counts_in_the_first_reply_only() {
    let mut client = Side::new(vec![Toy::alpha(script(3))]);
    let mut server = Side::new(vec![Toy::alpha(script(3))]);
    let ran = run(&mut client, &mut server, &|number, token| match number {
        2 => edit_resp(&token, |message| {
            message.neg_state = Some(NegState::RequestMic);
        }),
        _ => token,
    });
    ran.end.as_ref().unwrap();
    assert!(resp(&ran.tokens[2]).mech_list_mic.is_some());
    assert!(resp(&ran.tokens[3]).mech_list_mic.is_some());
    assert_agreed(&client, &server, "Alpha");

    let mut client = Side::new(vec![Toy::alpha(script(4))]);
    let mut server = Side::new(vec![Toy::alpha(script(4))]);
    let ran = run(&mut client, &mut server, &|number, token| match number {
        4 => edit_resp(&token, |message| {
            message.neg_state = Some(NegState::RequestMic);
        }),
        _ => token,
    });
    assert_fails(&ran, Who::Initiator, |cause| {
        matches!(cause, PeerMisbehaved::RequestMicTooLate)
    });
}

/// A MIC before the mechanism is done, on both sides.
#[test]
fn a_mic_before_its_time_is_refused() {
    for (number, who) in [(2, Who::Initiator), (3, Who::Acceptor)] {
        let mut client = Side::new(vec![Toy::alpha(script(5))]);
        let mut server = Side::new(vec![Toy::alpha(script(5))]);
        let ran = run(&mut client, &mut server, &|n, token| {
            if n == number {
                edit_resp(&token, |message| message.mech_list_mic = Some(vec![7; 16]))
            } else {
                token
            }
        });
        assert_fails(&ran, who, |cause| {
            matches!(cause, PeerMisbehaved::PrematureMic { .. })
        });
    }
    // In the very first token, too.
    let mut client = Side::new(vec![Toy::alpha(script(4))]);
    let mut server = Side::new(vec![Toy::alpha(script(4))]);
    let ran = run(&mut client, &mut server, &|number, token| match number {
        1 => {
            let mut message = init(&token);
            message.mech_list_mic = Some(vec![7; 16]);
            message.to_token().unwrap()
        }
        _ => token,
    });
    assert_fails(&ran, Who::Acceptor, |cause| {
        matches!(cause, PeerMisbehaved::PrematureMic { .. })
    });
}

/// Conformance row 171: the MIC of Windows 2000 that repeats the token is none; one that differs in a bit is
/// one, and wrong.
#[test]
fn a_mic_that_repeats_the_token_is_tolerated_and_proves_nothing() {
    let repeat = |number: usize, token: Vec<u8>| match number {
        1 => token,
        _ => edit_resp(&token, |message| {
            message.mech_list_mic.clone_from(&message.response_token);
        }),
    };
    let mut client = Side::new(vec![Toy::alpha(script(2))]);
    let mut server = Side::new(vec![Toy::alpha(script(2))]);
    run(&mut client, &mut server, &repeat).end.unwrap();
    assert_agreed(&client, &server, "Alpha");

    // Where a MIC has to be, it is still missing.
    let mut client = Side::new(vec![Toy::alpha(insisting())]);
    let mut server = Side::new(vec![Toy::alpha(insisting())]);
    let ran = run(&mut client, &mut server, &repeat);
    assert_fails(&ran, Who::Acceptor, |cause| {
        matches!(cause, PeerMisbehaved::MicMissing { .. })
    });

    let mut client = Side::new(vec![Toy::alpha(script(2))]);
    let mut server = Side::new(vec![Toy::alpha(script(2))]);
    let ran = run(&mut client, &mut server, &|number, token| {
        edit_resp_or(number, token, |message| {
            message.mech_list_mic = message.response_token.clone().map(|mut token| {
                token[0] ^= 1;
                token
            });
        })
    });
    assert_fails(&ran, Who::Initiator, |cause| {
        matches!(cause, PeerMisbehaved::MicWrong { .. })
    });
}

fn edit_resp_or(
    number: usize,
    token: Vec<u8>,
    edit: impl FnOnce(&mut trihound_asn1::spnego::NegTokenResp),
) -> Vec<u8> {
    match number {
        1 => token,
        _ => edit_resp(&token, edit),
    }
}

/// Conformance row 164: reqFlags are nobody's word: whatever they say, the negotiation is the same.
#[test]
fn req_flags_are_ignored() {
    for flags in [vec![1, 0x00], vec![0, 0xff], vec![5, 0xe0]] {
        let mut client = Side::new(vec![Toy::alpha(script(2))]);
        let mut server = Side::new(vec![Toy::alpha(script(2))]);
        let ran = run(&mut client, &mut server, &|number, token| match number {
            1 => {
                let mut message = init(&token);
                message.req_flags = Some(flags.clone());
                message.to_token().unwrap()
            }
            _ => token,
        });
        ran.end.unwrap();
        assert_agreed(&client, &server, "Alpha");
    }
}

/// Conformance row 166: both identifiers of one mechanism are that mechanism. A reply may name either, and
/// the one picked is echoed.
#[test]
fn both_identifiers_are_one_mechanism() {
    for named in [ALPHA_OLD, ALPHA] {
        let mut client = Side::new(toys(script(2)));
        let mut server = Side::new(toys(script(2)));
        let ran = run(&mut client, &mut server, &|number, token| match number {
            2 => edit_resp(&token, |message| {
                message.supported_mech = Some(named.into());
            }),
            _ => token,
        });
        ran.end.unwrap();
        assert_agreed(&client, &server, "Alpha");
    }
    let mut server = Side::new(toys(script(2)));
    let mut offer = NegTokenInit::new(&[ALPHA, BETA, ALPHA_OLD]).unwrap();
    offer.mech_token = Some(b"Alpha1".to_vec());
    let (step, token) = server.accept(Some(&offer.to_token().unwrap()));
    let _ = step.unwrap();
    let reply = resp(&token);
    assert_eq!(reply.supported_mech.as_deref(), Some(ALPHA));
    assert_eq!(reply.neg_state, Some(NegState::AcceptCompleted));
}

/// A token of ours that is sent back to us, or the peer's first one twice.
#[test]
fn reflected_and_repeated_tokens_are_refused() {
    let mut client = Side::new(vec![Toy::alpha(script(4))]);
    let mut server = Side::new(vec![Toy::alpha(script(4))]);
    let (_, first) = client.initialize(None);
    let error = client.initialize(Some(&first)).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);

    let _ = server.accept(Some(&first)).0.unwrap();
    let error = server.accept(Some(&first)).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert_eq!(server.live_contexts(), 0);
}
