//! Somebody in the middle whose victim is an old client, one that copies every pair of the CHALLENGE message
//! and puts its own behind them.

use std::sync::Arc;

use trihound_ntlm::{AvId, LocalVerifier, NegotiateFlags, NtlmCredential, PeerMisbehaved, danger};
use trihound_sspi::{ContextAttribute, ContextAttributeValue as Value, Error};

use crate::forge::{Forger, challenge_with_pairs, negotiate_of, with_response};
use crate::world::{DOMAIN, Wishes, World, allowed, cause, secret};

/// What a client over HTTP asks for.
const PLAIN: NegotiateFlags = NegotiateFlags::NEGOTIATE_UNICODE
    .union(NegotiateFlags::NEGOTIATE_NTLM)
    .union(NegotiateFlags::REQUEST_TARGET)
    .union(NegotiateFlags::NEGOTIATE_EXTENDED_SESSIONSECURITY);

/// The acceptor's answer to an old client whose CHALLENGE had one more pair, the attacker's.
fn relayed(planted: (AvId, &[u8]), own: &[u8]) -> Result<(), Error> {
    let world = World::new();
    let mut sides = world.sides(Wishes::none());
    let negotiate = negotiate_of(PLAIN);
    let challenge = sides.challenge(&negotiate);
    let seen = challenge_with_pairs(&challenge, &[], &[planted]);
    let client = if planted.0 == AvId::FLAGS {
        Forger::new(&negotiate, &seen).with_mic()
    } else {
        Forger::new(&negotiate, &seen).with_pair(planted.0, own)
    };
    let answer = client.answer();
    // What makes the attack: the first of the two pairs is the attacker's, under a right proof.
    let first = with_response(&answer, |response| {
        response.av_pairs.get(planted.0).map(<[u8]>::to_vec)
    });
    assert_eq!(first.as_deref(), Some(planted.1));
    sides.accept(Some(&answer)).0.map(drop)
}

/// Conformance rows 32 and 143: flags without the MIC bit, planted before the client's own, do not take the MIC
/// away.
#[test]
fn row_143_planted_flags_do_not_drop_the_mic() {
    let error = relayed((AvId::FLAGS, &[0; 4]), &[]).unwrap_err();
    assert_eq!(
        *cause::<PeerMisbehaved>(&error),
        PeerMisbehaved::PairTwice { pair: AvId::FLAGS }
    );
}

/// Conformance rows 35, 36 and 143: neither bindings nor a target name can be planted.
#[test]
fn row_143_planted_bindings_and_names_are_refused() {
    for (pair, planted, own) in [
        (AvId::CHANNEL_BINDINGS, &[1; 16][..], &[2; 16][..]),
        (AvId::TARGET_NAME, b"a\0", b"b\0"),
        (AvId::TARGET_NAME, b"a\0", b"a\0"),
    ] {
        let error = relayed((pair, planted), own).unwrap_err();
        assert_eq!(
            *cause::<PeerMisbehaved>(&error),
            PeerMisbehaved::PairTwice { pair }
        );
    }
}

/// Our own client takes none of the three from a CHALLENGE message.
#[test]
fn row_143_our_client_copies_no_pair_of_its_own_kind() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    let challenge = sides.challenge(&negotiate);
    let planted: [(AvId, &[u8]); 3] = [
        (AvId::FLAGS, &[0; 4]),
        (AvId::CHANNEL_BINDINGS, &[1; 16]),
        (AvId::TARGET_NAME, b"a\0"),
    ];
    let seen = challenge_with_pairs(&challenge, &[], &planted);
    let (_, answer) = sides.authenticate(&seen);
    with_response(&answer, |response| {
        for (id, value) in planted {
            let found: Vec<_> = response
                .av_pairs
                .iter()
                .filter(|pair| pair.id == id)
                .collect();
            assert_eq!(found.len(), 1, "{id}");
            assert_ne!(found[0].value, value, "{id}");
        }
    });
}

/// Conformance row 158: whoever is let in as a guest does not bear the name that it gave.
#[test]
fn row_158_a_guest_does_not_get_the_name_that_it_gave() {
    let world = World::with_policy(danger::allow_guests(allowed()));
    let verifier = LocalVerifier::new(crate::world::accounts()).with_guests();
    let mut sides = world
        .sides(Wishes::none())
        .with_client(NtlmCredential::from_password(
            "Administrator",
            DOMAIN,
            secret("x"),
        ))
        .with_service(NtlmCredential::acceptor(Arc::new(verifier)));
    sides.establish();
    let [_, name] = sides.query_both(ContextAttribute::Names);
    assert!(matches!(name.unwrap(), Value::Names(name) if name == "Guest"));
    let (_, acceptor) = sides.contexts();
    let token = world.table.query_security_context_token(acceptor).unwrap();
    assert_eq!(token.client_name, "Guest");
}
