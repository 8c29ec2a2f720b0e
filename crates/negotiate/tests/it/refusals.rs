//! Rejects, tokens where none are due, and quirks of real peers.

use trihound_asn1::spnego::{NEGOEX, NegState, NegTokenInit, NegTokenResp};
use trihound_negotiate::negoex::NegoExError;
use trihound_negotiate::{PeerMisbehaved, Rejected};
use trihound_sspi::{
    AcceptorRequirements, Error, InitiatorRequirements, MechListMic, SecurityStatus, Step,
};

use crate::toy::{ALPHA, ALPHA_OLD, BETA, Script, Toy};
use crate::world::{Side, Who, assert_agreed, edit_resp, init, resp, run, unchanged};

fn script(legs: u32) -> Script {
    Script {
        legs,
        ..Script::default()
    }
}

fn pair(script: &Script) -> (Side, Side) {
    (
        Side::new(vec![Toy::alpha(script.clone())]),
        Side::new(vec![Toy::alpha(script.clone())]),
    )
}

#[track_caller]
fn cause(error: &Error) -> &PeerMisbehaved {
    error.find_source().expect("PeerMisbehaved")
}

/// Conformance row 172: a reject carries the mechanism's own error token, and the initiator's error is what
/// the mechanism reads in it.
#[test]
fn a_reject_surfaces_what_the_mechanism_says() {
    for leg in [1, 3] {
        let refusing = Script {
            legs: 4,
            refuse_leg: Some(leg),
            ..Script::default()
        };
        let mut client = Side::new(vec![Toy::alpha(script(4)), Toy::beta(script(2))]);
        let mut server = Side::new(vec![Toy::alpha(refusing), Toy::beta(script(2))]);
        let ran = run(&mut client, &mut server, &unchanged);
        let (who, error) = ran.error();
        assert_eq!(
            (who, error.status()),
            (Who::Acceptor, SecurityStatus::SEC_E_LOGON_DENIED)
        );
        let told = resp(&ran.last_words);
        assert_eq!(told.neg_state, Some(NegState::Reject));
        assert_eq!(told.response_token.as_deref(), Some(&b"Alpha!"[..]));
        // supportedMech stands in the first reply only.
        assert_eq!(told.supported_mech.is_some(), leg == 1);

        let error = client.initialize(Some(&ran.last_words)).0.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_TIME_SKEW);
        let rejected: &Rejected = error.find_source().unwrap();
        assert_eq!(rejected.package.as_deref(), Some("Alpha"));
        assert!(error.text().contains("the toy Alpha says so"), "{error}");
        // A token of Alpha was out: nothing follows.
        assert_eq!(client.toy("Beta").log().begun, 0);
        assert_eq!((client.live_contexts(), server.live_contexts()), (0, 0));
    }
}

/// Conformance row 172: a reject stays one, though the mechanism is content with the token beside it.
#[test]
fn a_reject_with_a_good_token_is_a_reject() {
    let (mut client, mut server) = pair(&script(2));
    let ran = run(&mut client, &mut server, &|number, token| match number {
        2 => edit_resp(&token, |message| message.neg_state = Some(NegState::Reject)),
        _ => token,
    });
    let (who, error) = ran.error();
    assert_eq!(
        (who, error.status()),
        (Who::Initiator, SecurityStatus::SEC_E_LOGON_DENIED)
    );
    assert!(error.find_source::<Rejected>().unwrap().reason.is_none());
}

/// An initiator that gives up is not answered.
#[test]
fn a_reject_of_the_initiator_ends_it() {
    let (mut client, mut server) = pair(&script(3));
    let ran = run(&mut client, &mut server, &|number, token| match number {
        3 => edit_resp(&token, |message| message.neg_state = Some(NegState::Reject)),
        _ => token,
    });
    let (_, error) = ran.error();
    let rejected: &Rejected = error.find_source().unwrap();
    assert_eq!(rejected.by, "initiator");
    assert!(ran.last_words.is_empty());
}

/// Conformance row 119: an empty continuation is refused, on both sides, and empties the context.
#[test]
fn an_empty_continuation_is_refused() {
    let (mut client, mut server) = pair(&script(4));
    let (_, token) = client.initialize(None);
    let _ = server.accept(Some(&token)).0.unwrap();
    for (side, error) in [
        (0, client.initialize(None).0.unwrap_err()),
        (1, server.accept(None).0.unwrap_err()),
    ] {
        assert!(
            matches!(cause(&error), PeerMisbehaved::MissingToken { .. }),
            "{side}: {error}"
        );
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    }
    assert_eq!((client.live_contexts(), server.live_contexts()), (0, 0));
    let again = client.initialize(Some(b"x")).0.unwrap_err();
    assert_eq!(again.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
}

/// Conformance row 119: a token after the end is refused; a call without one, which SSPI's loop makes, is
/// not.
#[test]
fn a_token_after_establishment_is_refused() {
    let (mut client, mut server) = pair(&script(2));
    run(&mut client, &mut server, &unchanged).end.unwrap();
    assert!(matches!(client.initialize(None).0, Ok(Step::Complete(_))));
    assert!(matches!(server.accept(None).0, Ok(Step::Complete(_))));
    for error in [
        client.initialize(Some(b"more")).0.unwrap_err(),
        server.accept(Some(b"more")).0.unwrap_err(),
    ] {
        assert!(
            matches!(
                cause(&error),
                PeerMisbehaved::AfterEstablishment { length: 4 }
            ),
            "{error}"
        );
    }
}

/// A mechanism that is not done gets its tokens; one that is done gets none.
#[test]
fn tokens_of_the_mechanism_come_when_they_are_due() {
    // No token for a mechanism that waits for one.
    for (number, who) in [(2, Who::Initiator), (3, Who::Acceptor)] {
        let (mut client, mut server) = pair(&script(4));
        let ran = run(&mut client, &mut server, &|n, token| {
            if n == number {
                edit_resp(&token, |message| message.response_token = None)
            } else {
                token
            }
        });
        let (found, error) = ran.error();
        assert_eq!(found, who);
        assert!(
            matches!(cause(error), PeerMisbehaved::MissingMechanismToken { .. }),
            "{error}"
        );
    }
    // A token for one that is done: after an odd count of legs, beside the acceptor's last word.
    let (mut client, mut server) = pair(&script(3));
    let ran = run(&mut client, &mut server, &|number, token| match number {
        4 => edit_resp(&token, |message| {
            message.response_token = Some(b"Alpha4".to_vec());
        }),
        _ => token,
    });
    assert!(matches!(
        cause(ran.error().1),
        PeerMisbehaved::SpuriousMechanismToken { length: 6, .. }
    ));
    // And the same at the acceptor, which waits for a MIC.
    let mut client = Side::new(vec![Toy::alpha(script(2)), Toy::beta(script(2))]);
    let mut server = Side::new(vec![Toy::beta(script(2))]);
    let ran = run(&mut client, &mut server, &|number, token| match number {
        5 => edit_resp(&token, |message| {
            message.response_token = Some(b"Beta3".to_vec());
        }),
        _ => token,
    });
    let (who, error) = ran.error();
    assert_eq!(who, Who::Acceptor);
    assert!(
        matches!(
            cause(error),
            PeerMisbehaved::SpuriousMechanismToken { length: 5, .. }
        ),
        "{error}"
    );
}

/// Old IIS sends an empty token where it means none.
#[test]
fn an_empty_token_of_the_mechanism_is_none() {
    let (mut client, mut server) = pair(&script(3));
    let ran = run(&mut client, &mut server, &|number, token| match number {
        4 => edit_resp(&token, |message| message.response_token = Some(vec![])),
        _ => token,
    });
    ran.end.unwrap();
    assert_agreed(&client, &server, "Alpha");
}

/// Old acceptors leave supportedMech and negState out; the choice stays where it is.
#[test]
fn a_reply_of_the_token_alone_is_enough() {
    let (mut client, mut server) = pair(&script(2));
    let ran = run(&mut client, &mut server, &|number, token| match number {
        2 => edit_resp(&token, |message| {
            message.supported_mech = None;
            message.neg_state = None;
        }),
        _ => token,
    });
    ran.end.unwrap();
    assert_agreed(&client, &server, "Alpha");
}

/// Conformance row 172: accept-incomplete without a token, while the initiator's mechanism is done, is an
/// acceptor's wish for a MIC. It gets one, and has to answer it.
#[test]
fn accept_incomplete_without_a_token_gets_a_mic() {
    let (mut client, mut server) = pair(&script(1));
    let (_, token) = client.initialize(None);
    let _ = server.accept(Some(&token)).0.unwrap();
    let wish = NegTokenResp {
        neg_state: Some(NegState::AcceptIncomplete),
        supported_mech: Some(ALPHA.into()),
        ..NegTokenResp::default()
    };
    let (step, token) = client.initialize(Some(&wish.to_token().unwrap()));
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert!(resp(&token).mech_list_mic.is_some());
    // Its last word has no MIC.
    let last = NegTokenResp {
        neg_state: Some(NegState::AcceptCompleted),
        ..NegTokenResp::default()
    };
    let error = client
        .initialize(Some(&last.to_token().unwrap()))
        .0
        .unwrap_err();
    assert!(matches!(cause(&error), PeerMisbehaved::MicMissing { .. }));
}

/// Conformance row 172: without integrity there is nothing to send, so both would wait for ever.
#[test]
fn accept_incomplete_with_nothing_left_to_send_is_told() {
    let plain = Script {
        legs: 1,
        mic: MechListMic::Impossible,
        ..Script::default()
    };
    let (mut client, _) = pair(&plain);
    let _ = client.initialize(None).0.unwrap();
    let wish = NegTokenResp {
        neg_state: Some(NegState::AcceptIncomplete),
        ..NegTokenResp::default()
    };
    let error = client
        .initialize(Some(&wish.to_token().unwrap()))
        .0
        .unwrap_err();
    assert!(matches!(cause(&error), PeerMisbehaved::NothingLeft { .. }));
}

/// An acceptor that says accept-incomplete with the mechanism's last token and no MIC waits for nothing that
/// RFC 4178 has; MIT takes it for the end, and so does Trihound.
#[test]
fn accept_incomplete_with_the_last_token_is_the_end() {
    let (mut client, mut server) = pair(&script(2));
    let ran = run(&mut client, &mut server, &|number, token| match number {
        2 => edit_resp(&token, |message| {
            message.neg_state = Some(NegState::AcceptIncomplete);
        }),
        _ => token,
    });
    ran.end.unwrap();
    assert_agreed(&client, &server, "Alpha");
}

/// Conformance row 175: in DCE style the acceptor's AP-REP is not the last token: three legs, and the
/// acceptor's accept-completed follows; behind a reselection the MICs come with the last two.
#[test]
fn a_third_leg_is_followed_by_the_acceptors_last_word() {
    let (mut client, mut server) = pair(&script(3));
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    let states: Vec<_> = ran.tokens[1..]
        .iter()
        .map(|token| resp(token).neg_state.unwrap())
        .collect();
    assert_eq!(
        states,
        [
            NegState::AcceptIncomplete,
            NegState::AcceptIncomplete,
            NegState::AcceptCompleted
        ]
    );

    let mut client = Side::new(vec![Toy::alpha(script(3)), Toy::beta(script(3))]);
    let mut server = Side::new(vec![Toy::beta(script(3))]);
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    let mics: Vec<bool> = ran.tokens[2..]
        .iter()
        .map(|token| resp(token).mech_list_mic.is_some())
        .collect();
    assert_eq!(mics, [false, false, true, true]);
    assert_agreed(&client, &server, "Beta");
}

/// Conformance row 175: in DCE style the initiator's MIC comes with its last token, so that the acceptor's answer is the
/// end also where it wants a MIC; an answer without the acceptor's own is refused.
#[test]
fn in_dce_style_the_mics_come_with_the_last_tokens() {
    let dce = |client: &mut Side, server: &mut Side| {
        client.initiator |= InitiatorRequirements::USE_DCE_STYLE;
        server.acceptor |= AcceptorRequirements::USE_DCE_STYLE;
    };
    let (mut client, mut server) = pair(&script(3));
    dce(&mut client, &mut server);
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    let mics: Vec<bool> = ran.tokens[1..]
        .iter()
        .map(|token| resp(token).mech_list_mic.is_some())
        .collect();
    assert_eq!(mics, [false, true, true]);
    assert_agreed(&client, &server, "Alpha");

    let (mut client, mut server) = pair(&script(3));
    dce(&mut client, &mut server);
    let ran = run(&mut client, &mut server, &|number, token| match number {
        4 => edit_resp(&token, |message| message.mech_list_mic = None),
        _ => token,
    });
    assert!(matches!(
        cause(ran.error().1),
        PeerMisbehaved::MicMissing { .. }
    ));
}

/// Negotiations do not go on for ever.
#[test]
fn a_mechanism_without_end_is_cut_off() {
    let (mut client, mut server) = pair(&script(1000));
    let ran = run(&mut client, &mut server, &unchanged);
    assert!(matches!(
        cause(ran.error().1),
        PeerMisbehaved::TooManyLegs { legs: 32, .. }
    ));
    assert!(ran.tokens.len() < 80);
}

/// Each side counts by itself, whatever its peer puts up with.
#[test]
fn each_side_cuts_off_a_peer_without_end() {
    let leg = |number: u32| {
        NegTokenResp {
            neg_state: Some(NegState::AcceptIncomplete),
            response_token: Some(format!("Alpha{number}").into_bytes()),
            ..NegTokenResp::default()
        }
        .to_token()
        .unwrap()
    };
    for is_initiator in [true, false] {
        let (mut client, mut server) = pair(&script(1000));
        let (step, offer) = client.initialize(None);
        let _ = step.unwrap();
        if !is_initiator {
            let _ = server.accept(Some(&offer)).0.unwrap();
        }
        let first = if is_initiator { 2 } else { 3 };
        let error = (0..100).find_map(|turn| {
            let token = leg(first + 2 * turn);
            let called = if is_initiator {
                client.initialize(Some(&token))
            } else {
                server.accept(Some(&token))
            };
            called.0.err().map(|error| (turn, error))
        });
        let (turn, error) = error.unwrap();
        assert!(
            matches!(cause(&error), PeerMisbehaved::TooManyLegs { legs: 32, .. }),
            "{error}"
        );
        // The acceptor's first call was a leg too.
        assert_eq!(turn, if is_initiator { 32 } else { 31 });
    }
}

/// Conformance row 176: NegoEx in the list is passed over, whether it leads or not.
#[test]
fn negoex_is_declined() {
    for oids in [[ALPHA_OLD, NEGOEX], [NEGOEX, ALPHA]] {
        let mut server = Side::new(vec![Toy::alpha(script(2))]);
        let mut offer = NegTokenInit::new(&oids).unwrap();
        let leads = oids[0] == NEGOEX;
        if !leads {
            offer.mech_token = Some(b"Alpha1".to_vec());
        }
        let (step, token) = server.accept(Some(&offer.to_token().unwrap()));
        let _ = step.unwrap();
        let reply = resp(&token);
        let expected = if leads {
            NegState::RequestMic
        } else {
            NegState::AcceptCompleted
        };
        assert_eq!(reply.neg_state, Some(expected));
        assert!(
            reply
                .supported_mech
                .as_deref()
                .is_some_and(|oid| oid != NEGOEX)
        );
    }
}

/// Conformance row 176: what claims to be NegoEx and is not comes from a broken peer.
#[test]
fn a_broken_negoex_token_is_refused() {
    let mut server = Side::new(vec![Toy::alpha(script(2))]);
    let mut offer = NegTokenInit::new(&[NEGOEX, ALPHA]).unwrap();
    offer.mech_token = Some(b"NEGOEXTS and nothing that follows, which is far too little".to_vec());
    let error = server
        .accept(Some(&offer.to_token().unwrap()))
        .0
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
    assert!(error.find_source::<NegoExError>().is_some(), "{error:?}");
    // Alone it is a list of strangers.
    let offer = NegTokenInit::new(&[NEGOEX]).unwrap();
    let error = server
        .accept(Some(&offer.to_token().unwrap()))
        .0
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
}

/// Conformance row 165: the optimistic token of a mechanism that is not chosen is not even looked at, nor a
/// MIC beside it.
#[test]
fn the_token_of_another_mechanism_is_dropped() {
    let mut server = Side::new(vec![Toy::beta(script(2))]);
    let mut offer = NegTokenInit::new(&[ALPHA, BETA]).unwrap();
    offer.mech_token = Some(b"Beta1".to_vec());
    offer.mech_list_mic = Some(vec![7; 8]);
    let (step, token) = server.accept(Some(&offer.to_token().unwrap()));
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert_eq!(resp(&token).supported_mech.as_deref(), Some(BETA));
    assert_eq!(server.toy("Beta").log().begun, 0);
}

/// An offer without an optimistic token is asked for one.
#[test]
fn an_offer_without_a_token_is_asked_for_one() {
    let silent = Script {
        silent_start: true,
        ..Script::default()
    };
    let mut client = Side::new(vec![Toy::alpha(silent)]);
    let mut server = Side::new(vec![Toy::alpha(script(2))]);
    let (_, token) = client.initialize(None);
    assert_eq!(init(&token).mech_token, None);
    let (step, token) = server.accept(Some(&token));
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    let reply = resp(&token);
    assert_eq!(reply.neg_state, Some(NegState::AcceptIncomplete));
    assert_eq!(reply.response_token, None);
    let answer = NegTokenResp {
        response_token: Some(b"Alpha1".to_vec()),
        ..NegTokenResp::default()
    };
    let (step, token) = server.accept(Some(&answer.to_token().unwrap()));
    assert!(matches!(step, Ok(Step::Complete(_))));
    assert_eq!(resp(&token).response_token.as_deref(), Some(&b"Alpha2"[..]));
}

/// Garbage, in every place where a token may come.
#[test]
fn garbage_is_refused_everywhere() {
    let garbage: [&[u8]; 6] = [
        b"\0",
        b"\x60",
        b"\x60\x03\x06\x01\x00",
        b"\xa1\x03\x30\x01\x00",
        b"\xa0\x02\x30\x00",
        b"NTLMSSP\0\x01\0\0\0",
    ];
    for bytes in garbage {
        let (mut client, mut server) = pair(&script(4));
        let error = server.accept(Some(bytes)).0.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
        assert_eq!(server.live_contexts(), 0);
        let (_, token) = client.initialize(None);
        let _ = server.accept(Some(&token)).0.unwrap();
        for error in [
            client.initialize(Some(bytes)).0.unwrap_err(),
            server.accept(Some(bytes)).0.unwrap_err(),
        ] {
            assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
        }
        assert_eq!((client.live_contexts(), server.live_contexts()), (0, 0));
    }
}

/// A mechanism that needs CompleteAuthToken cannot be negotiated, and says so.
#[test]
fn a_mechanism_that_needs_complete_auth_token_is_told() {
    let odd = Script {
        legs: 1,
        complete_needed: true,
        ..Script::default()
    };
    let (mut client, _) = pair(&odd);
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    assert!(error.text().contains("CompleteAuthToken"), "{error}");
    assert_eq!(client.live_contexts(), 0);
}
