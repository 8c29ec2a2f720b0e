//! Round trips that a mechanism needs go through untouched, on both sides and at any leg.

use trihound_sansio::Reply;
use trihound_sspi::{ChannelBindings, SecurityStatus, Step};

use crate::toy::{Script, Toy};
use crate::world::{Side, assert_agreed, exchange, nobody, run, unchanged};

fn everywhere() -> Vec<(Script, Script)> {
    let plain = Script::default;
    vec![
        (
            Script {
                initiator_asks: true,
                ..plain()
            },
            plain(),
        ),
        (
            plain(),
            Script {
                acceptor_asks: true,
                ..plain()
            },
        ),
        (
            Script {
                legs: 3,
                asks_before: Some(3),
                ..plain()
            },
            Script {
                legs: 3,
                acceptor_asks: true,
                ..plain()
            },
        ),
        (
            // Asks when all its tokens are through.
            Script {
                asks_before: Some(3),
                ..plain()
            },
            plain(),
        ),
    ]
}

#[test]
fn a_round_trip_at_any_leg_is_the_mechanisms_own() {
    for (initiator, acceptor) in everywhere() {
        let mut client = Side::new(vec![Toy::alpha(initiator.clone())]);
        let mut server = Side::new(vec![Toy::alpha(acceptor.clone())]);
        run(&mut client, &mut server, &unchanged).end.unwrap();
        assert_agreed(&client, &server, "Alpha");

        // And behind a reselection, where the chosen mechanism asks first.
        let mut client = Side::new(vec![Toy::alpha(Script::default()), Toy::beta(initiator)]);
        let mut server = Side::new(vec![Toy::beta(acceptor)]);
        run(&mut client, &mut server, &unchanged).end.unwrap();
        assert_agreed(&client, &server, "Beta");
    }
}

/// The request is the mechanism's to the letter, and so is the news that nobody answered.
#[test]
fn the_request_and_the_failure_pass_unchanged() {
    let asks = Script {
        initiator_asks: true,
        ..Script::default()
    };
    let mut client = Side::new(vec![Toy::alpha(asks)]);
    let (step, token) = client.initialize(None);
    let request = exchange(&step);
    assert_eq!(
        (request.realm.as_str(), &request.message[..]),
        ("Alpha", &b"may I?"[..])
    );
    assert!(token.is_empty());
    let failure = nobody();
    let error = client.complete(Reply::Failed(&failure)).0.unwrap_err();
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    assert_eq!(
        error.find_source::<trihound_sansio::TransportFailure>(),
        Some(&failure)
    );
    assert_eq!(client.live_contexts(), 0);
}

/// A call of the wrong kind is refused and ends the handshake.
#[test]
fn calls_out_of_turn_are_refused() {
    let asks = Script {
        initiator_asks: true,
        acceptor_asks: true,
        ..Script::default()
    };
    let side = || Side::new(vec![Toy::alpha(asks.clone())]);

    let mut client = side();
    let _ = client.initialize(None).0.unwrap();
    let error = client.initialize(Some(b"early")).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
    assert!(error.text().contains("complete_exchange"), "{error}");
    assert_eq!(client.live_contexts(), 0);

    let mut client = side();
    let _ = client.initialize(None).0.unwrap();
    let (_, token) = client.complete(Reply::Bytes(b"granted"));
    let error = client.complete(Reply::Bytes(b"again")).0.unwrap_err();
    assert!(error.text().contains("no exchange"), "{error}");

    let mut server = side();
    assert!(matches!(
        server.accept(Some(&token)).0,
        Ok(Step::ExchangeNeeded(_))
    ));
    let error = server.accept(Some(&token)).0.unwrap_err();
    assert!(error.text().contains("complete_exchange"), "{error}");

    let mut server = side();
    let _ = server.accept(Some(&token)).0.unwrap();
    let error = server.initialize(Some(&token)).0.unwrap_err();
    assert!(error.text().contains("acceptor's context"), "{error}");
    let mut client = side();
    let _ = client.initialize(None).0.unwrap();
    let error = client.accept(Some(&token)).0.unwrap_err();
    assert!(error.text().contains("initiator's context"), "{error}");
}

/// Channel bindings of the input reach the mechanism, on both sides, and the one begun after a reselection
/// too.
#[test]
fn channel_bindings_are_passed_down() {
    let bindings = ChannelBindings::application_data(b"tls-server-end-point:abc")
        .to_buffer()
        .unwrap();
    let mut client = Side::new(vec![
        Toy::alpha(Script::default()),
        Toy::beta(Script::default()),
    ]);
    let mut server = Side::new(vec![Toy::beta(Script::default())]);
    client.bindings = Some(bindings.clone());
    server.bindings = Some(bindings.clone());
    run(&mut client, &mut server, &unchanged).end.unwrap();
    for (side, name) in [(&client, "Alpha"), (&client, "Beta"), (&server, "Beta")] {
        assert_eq!(side.toy(name).log().bindings, [Some(bindings.clone())]);
    }
    // Given on the first call only, they are there on later ones as well.
    let mut client = Side::new(vec![
        Toy::alpha(Script::default()),
        Toy::beta(Script::default()),
    ]);
    let mut server = Side::new(vec![Toy::beta(Script::default())]);
    client.bindings = Some(bindings.clone());
    let (_, token) = client.initialize(None);
    client.bindings = None;
    let (_, token) = server.accept(Some(&token));
    let _ = client.initialize(Some(&token)).0.unwrap();
    assert_eq!(client.toy("Beta").log().bindings, [Some(bindings)]);
}
