//! Whole negotiations of two toys, both ways.

use trihound_asn1::spnego::NegState;
use trihound_sspi::MechListMic;

use crate::toy::{ALPHA, ALPHA_OLD, BETA, Script, Toy};
use crate::world::{Side, assert_agreed, init, resp, run, unchanged};

fn both() -> Vec<trihound_sspi::RegisteredPackage<Toy>> {
    vec![Toy::alpha(Script::default()), Toy::beta(Script::default())]
}

/// Conformance rows 30, 162 and 166: the preferred mechanism on both sides needs no mechListMIC, all its
/// identifiers are offered, and the reply echoes the one that came first.
#[test]
fn the_preferred_mechanism_of_both_sides_is_done_in_two_tokens() {
    let (mut client, mut server) = (Side::new(both()), Side::new(both()));
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    assert_eq!(ran.tokens.len(), 2);
    let offer = init(&ran.tokens[0]);
    assert_eq!(offer.mech_types, [ALPHA_OLD, ALPHA, BETA]);
    assert_eq!(offer.mech_token.as_deref(), Some(&b"Alpha1"[..]));
    assert_eq!((offer.mech_list_mic, offer.req_flags), (None, None));
    let reply = resp(&ran.tokens[1]);
    assert_eq!(reply.neg_state, Some(NegState::AcceptCompleted));
    assert_eq!(reply.supported_mech.as_deref(), Some(ALPHA_OLD));
    assert_eq!(reply.response_token.as_deref(), Some(&b"Alpha2"[..]));
    assert_eq!(reply.mech_list_mic, None);
    assert_agreed(&client, &server, "Alpha");
    assert_eq!(client.toy("Alpha").log().mic_done, 0);
}

/// Conformance rows 28, 165, 167, 168 and 169: the acceptor has the second mechanism only. The optimistic
/// token is dropped, request-mic is raised, and both MICs pass, whoever has the mechanism's last token. Each
/// mechanism is told once that they are through (NTLM then starts its ciphers anew).
#[test]
fn another_mechanism_than_the_preferred_is_protected_both_ways() {
    for legs in 1..=5 {
        let script = Script {
            legs,
            ..Script::default()
        };
        let mut client = Side::new(vec![
            Toy::alpha(Script::default()),
            Toy::beta(script.clone()),
        ]);
        let mut server = Side::new(vec![Toy::beta(script)]);
        let ran = run(&mut client, &mut server, &unchanged);
        ran.end.unwrap();
        let first = resp(&ran.tokens[1]);
        assert_eq!(first.neg_state, Some(NegState::RequestMic));
        assert_eq!(first.supported_mech.as_deref(), Some(BETA));
        assert_eq!(first.response_token, None);
        let mics = ran.tokens[2..]
            .iter()
            .filter(|token| resp(token).mech_list_mic.is_some());
        assert_eq!(mics.count(), 2, "{legs} legs");
        assert_agreed(&client, &server, "Beta");
        for side in [&client, &server] {
            assert_eq!(side.toy("Beta").log().mic_done, 1);
            assert_eq!(side.live_contexts(), 1, "the optimistic context is gone");
        }
    }
}

/// Conformance row 168: with its last token the initiator sends its MIC first; the acceptor's is in the
/// final reply. That is NTLM's order (three legs, MIC required).
#[test]
fn a_mechanism_that_insists_has_its_mics_with_the_last_tokens() {
    let script = Script {
        legs: 3,
        mic: MechListMic::Required,
        ..Script::default()
    };
    let mut client = Side::new(vec![Toy::alpha(script.clone())]);
    let mut server = Side::new(vec![Toy::alpha(script)]);
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    assert_eq!(ran.tokens.len(), 4);
    assert_eq!(
        resp(&ran.tokens[1]).neg_state,
        Some(NegState::AcceptIncomplete)
    );
    let last = resp(&ran.tokens[2]);
    assert_eq!(last.neg_state, Some(NegState::AcceptIncomplete));
    assert!(last.response_token.is_some() && last.mech_list_mic.is_some());
    let end = resp(&ran.tokens[3]);
    assert_eq!(end.neg_state, Some(NegState::AcceptCompleted));
    assert!(end.response_token.is_none() && end.mech_list_mic.is_some());
    assert_agreed(&client, &server, "Alpha");
}
