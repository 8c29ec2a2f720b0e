//! Tokens without SPNEGO around them, and an acceptor that speaks first.

use trihound_asn1::spnego::{HINT_NAME, NegState};
use trihound_negotiate::{NegotiatePolicy, PeerMisbehaved, PolicyError, RawTokens};
use trihound_sansio::Reply;
use trihound_sspi::{NegotiationState, RegisteredPackage, SecurityStatus, Step};

use crate::toy::{ALPHA, ALPHA_OLD, BETA, Script, Toy};
use crate::world::{Side, assert_agreed, init, resp};

fn script(legs: u32) -> Script {
    Script {
        legs,
        ..Script::default()
    }
}

fn toys(legs: u32) -> Vec<RegisteredPackage<Toy>> {
    vec![Toy::alpha(script(legs)), Toy::beta(script(legs))]
}

/// Conformance row 162: a mechanism's own first token goes straight to it, and so do its answers.
#[test]
fn a_bare_token_goes_to_its_mechanism() {
    let mut server = Side::new(toys(4));
    let (step, token) = server.accept(Some(b"Beta1"));
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert_eq!(token, b"Beta2");
    assert_eq!(
        server.negotiation(),
        ("Beta".to_owned(), NegotiationState::InProgress)
    );
    let (step, token) = server.accept(Some(b"Beta3"));
    assert!(matches!(step, Ok(Step::Complete(_))));
    assert_eq!(token, b"Beta4");
    assert_eq!(
        server.negotiation(),
        ("Beta".to_owned(), NegotiationState::Direct)
    );
    assert_eq!(server.toy("Alpha").log().begun, 0);
    assert_eq!(server.toy("Beta").log().mic_done, 0);
    let error = server.accept(Some(b"Beta5")).0.unwrap_err();
    let cause: &PeerMisbehaved = error.find_source().unwrap();
    assert!(matches!(cause, PeerMisbehaved::AfterEstablishment { .. }));
}

/// Conformance row 162: the policy may refuse them, whatever mechanism they are of.
#[test]
fn bare_tokens_are_refused_where_policy_says_so() {
    let policy = NegotiatePolicy::default().with_raw_tokens(RawTokens::Refuse);
    let mut server = Side::with_policy(toys(2), policy);
    for token in [&b"Alpha1"[..], b"Beta1"] {
        let error = server.accept(Some(token)).0.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
        let cause: &PolicyError = error.find_source().unwrap();
        assert!(matches!(cause, PolicyError::RawTokenRefused { .. }));
    }
    assert_eq!(server.live_contexts(), 0);
}

/// Conformance row 162: what no mechanism here knows is refused, and the text says what is here.
#[test]
fn a_strangers_token_is_refused() {
    let mut server = Side::new(vec![
        Toy::alpha(Script {
            acquire: Some(SecurityStatus::SEC_E_NO_CREDENTIALS),
            ..Script::default()
        }),
        Toy::beta(script(2)),
    ]);
    for token in [&b"Gamma1"[..], b"Alpha1"] {
        let error = server.accept(Some(token)).0.unwrap_err();
        let cause: &PeerMisbehaved = error.find_source().unwrap();
        assert!(matches!(cause, PeerMisbehaved::UnknownFirstToken { .. }));
        assert!(error.text().contains("Alpha is not"), "{error}");
    }
}

/// A mechanism that refuses a bare token says so in its own words, without SPNEGO around them.
#[test]
fn a_refused_bare_token_is_answered_bare() {
    let mut server = Side::new(vec![Toy::alpha(Script {
        refuse_leg: Some(1),
        ..Script::default()
    })]);
    let (step, token) = server.accept(Some(b"Alpha1"));
    assert_eq!(
        step.unwrap_err().status(),
        SecurityStatus::SEC_E_LOGON_DENIED
    );
    assert_eq!(token, b"Alpha!");
}

/// A round trip of a bare mechanism passes through too, and its tokens come to an end.
#[test]
fn a_bare_mechanism_may_need_a_round_trip() {
    let asks = Script {
        acceptor_asks: true,
        ..Script::default()
    };
    let mut server = Side::new(vec![Toy::alpha(asks.clone())]);
    assert!(matches!(
        server.accept(Some(b"Alpha1")).0,
        Ok(Step::ExchangeNeeded(_))
    ));
    let (step, token) = server.complete(Reply::Bytes(b"granted"));
    assert!(matches!(step, Ok(Step::Complete(_))));
    assert_eq!(token, b"Alpha2");

    let mut server = Side::new(vec![Toy::alpha(asks)]);
    let _ = server.accept(Some(b"Alpha1")).0.unwrap();
    let error = server
        .complete(Reply::Bytes(b"wrong password"))
        .0
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_LOGON_DENIED);

    let mut server = Side::new(vec![Toy::alpha(script(1000))]);
    let error = (0..40)
        .find_map(|leg| {
            let token = format!("Alpha{}", 2 * leg + 1);
            server.accept(Some(token.as_bytes())).0.err()
        })
        .unwrap();
    let cause: &PeerMisbehaved = error.find_source().unwrap();
    assert!(matches!(cause, PeerMisbehaved::TooManyLegs { .. }));
}

/// Conformance row 163: an acceptor that speaks first offers its mechanisms with hints that mean nothing;
/// the negotiation then is the initiator's as ever.
#[test]
fn an_acceptor_may_speak_first() {
    let mut server = Side::new(toys(2));
    let (step, token) = server.accept(None);
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    let offer = init(&token);
    assert_eq!(offer.mech_types, [ALPHA_OLD, ALPHA, BETA]);
    assert_eq!(offer.mech_token, None);
    let hints = offer.hints.unwrap();
    assert_eq!(hints.hint_name.unwrap().to_string(), HINT_NAME);
    assert_eq!(
        server.negotiation(),
        ("Negotiate".to_owned(), NegotiationState::InProgress)
    );
    let mut client = Side::new(toys(2));
    let (_, token) = client.initialize(None);
    let (step, token) = server.accept(Some(&token));
    assert!(matches!(step, Ok(Step::Complete(_))));
    assert_eq!(resp(&token).neg_state, Some(NegState::AcceptCompleted));
    let _ = client.initialize(Some(&token)).0.unwrap();
    assert_agreed(&client, &server, "Alpha");
}

/// Conformance row 119: after that the initiator's token is due.
#[test]
fn an_acceptor_speaks_first_only_once() {
    let mut server = Side::new(toys(2));
    let _ = server.accept(None).0.unwrap();
    let error = server.accept(None).0.unwrap_err();
    let cause: &PeerMisbehaved = error.find_source().unwrap();
    assert!(matches!(cause, PeerMisbehaved::MissingToken { .. }));
}

/// Conformance row 163: the list of an acceptor that spoke first may be handed to the initiator. Nobody signed
/// it, so the offer is the same whatever it says.
#[test]
fn a_hint_has_no_say_in_the_offer() {
    let mut server = Side::new(vec![Toy::beta(script(2))]);
    let (_, hint) = server.accept(None);
    let mut client = Side::new(toys(2));
    let (step, token) = client.initialize(Some(&hint));
    assert!(matches!(step, Ok(Step::ContinueNeeded)));
    assert_eq!(init(&token).mech_types, [ALPHA_OLD, ALPHA, BETA]);
}

/// Conformance row 119: anything else on an initiator's first call is refused.
#[test]
fn an_initiators_first_call_takes_a_hint_or_nothing() {
    let reply = [0xa1, 0x02, 0x30, 0x00];
    let framed = [0x60, 0x05, 0x06, 0x03, 0x2a, 0x03, 0x04];
    for token in [&reply[..], &framed, b"Alpha1"] {
        let mut client = Side::new(toys(2));
        let error = client.initialize(Some(token)).0.unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_TOKEN);
        assert_eq!(client.toy("Alpha").log().begun, 0);
    }
}
