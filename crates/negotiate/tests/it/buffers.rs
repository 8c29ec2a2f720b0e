//! Output buffers that are too small change nothing: the same call with a larger one succeeds.

use trihound_sansio::Reply;
use trihound_sspi::{
    BufferType, InitializeRequest, SecBuffer, SecBufferDesc, SecurityStatus, Step,
};

use crate::toy::{Script, Toy};
use crate::world::{Called, Side, assert_agreed, run, unchanged};

fn too_small(called: &Called) {
    let error = called.0.as_ref().unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_BUFFER_TOO_SMALL);
    assert!(called.1.is_empty());
}

/// A call with ever larger buffers, until one suffices.
fn grow(side: &mut Side, mut call: impl FnMut(&mut Side) -> Called) -> Called {
    for room in [0, 1, 16, 255] {
        side.room = Some(room);
        let called = call(side);
        if called.0.is_ok() {
            return called;
        }
        too_small(&called);
    }
    side.room = Some(400);
    call(side)
}

#[test]
fn every_leg_can_be_had_again_with_a_larger_buffer() {
    let scripts = [
        Script::default(),
        Script {
            legs: 3,
            ..Script::default()
        },
        Script {
            initiator_asks: true,
            acceptor_asks: true,
            ..Script::default()
        },
        Script {
            fixed_memory: true,
            legs: 4,
            ..Script::default()
        },
    ];
    for script in scripts {
        let legs = script.legs as usize;
        let mut client = Side::new(vec![Toy::alpha(script.clone()), Toy::beta(script.clone())]);
        let mut server = Side::new(vec![Toy::beta(script)]);
        let mut to_client: Option<Vec<u8>> = None;
        loop {
            let (step, token) = grow(&mut client, |side| {
                let called = side.initialize(to_client.as_deref());
                continued(side, called)
            });
            let client_done = matches!(step.unwrap(), Step::Complete(_));
            if token.is_empty() {
                assert!(client_done);
                break;
            }
            let (step, token) = grow(&mut server, |side| {
                let called = side.accept(Some(&token));
                continued(side, called)
            });
            let server_done = matches!(step.unwrap(), Step::Complete(_));
            if token.is_empty() {
                assert!(client_done && server_done);
                break;
            }
            to_client = Some(token);
        }
        assert_agreed(&client, &server, "Beta");
        let taken = server.toy("Beta").log().accepted;
        assert!(taken <= legs.div_ceil(2), "a token was used up twice");
    }
}

/// Round trips are granted, and their output grown too: a token that did not fit is there again.
fn continued(side: &mut Side, called: Called) -> Called {
    match called {
        (Ok(Step::ExchangeNeeded(_)), _) => {
            let first = side.complete(Reply::Bytes(b"granted"));
            if first.0.is_ok() {
                return first;
            }
            too_small(&first);
            side.room = Some(400);
            side.complete(Reply::Bytes(b"granted"))
        }
        other => other,
    }
}

/// An acceptor's first token is good for one use of the mechanism. A buffer that leaves no room for the
/// answer is told before the mechanism sees the token.
#[test]
fn a_first_token_is_not_used_up_by_a_small_buffer() {
    for fixed_memory in [false, true] {
        let script = Script {
            fixed_memory,
            ..Script::default()
        };
        let mut client = Side::new(vec![Toy::alpha(script.clone())]);
        let mut server = Side::new(vec![Toy::alpha(script)]);
        let (_, token) = client.initialize(None);
        for room in [0, 100, 255, 256, 259] {
            server.room = Some(room);
            too_small(&server.accept(Some(&token)));
            assert_eq!(server.toy("Alpha").log().accepted, 0, "{room}");
            assert_eq!(server.live_contexts(), 0);
        }
        server.room = Some(262);
        let (step, token) = server.accept(Some(&token));
        assert!(matches!(step, Ok(Step::Complete(_))));
        let _ = client.initialize(Some(&token)).0.unwrap();
        assert_agreed(&client, &server, "Alpha");
        assert_eq!(server.toy("Alpha").log().accepted, 1);
    }
}

/// Without a TOKEN buffer there is nowhere to put the token: told, not lost.
#[test]
fn a_call_without_a_token_buffer_is_refused() {
    let mut client = Side::new(vec![Toy::alpha(Script::default())]);
    let credential = client
        .acquire(trihound_sspi::AcquireRequest::default())
        .unwrap();
    let mut buffers = [SecBuffer::empty(BufferType::DATA)];
    let error = client
        .table
        .initialize_security_context(
            Some(credential),
            None,
            InitializeRequest::default(),
            &mut SecBufferDesc::new(&mut buffers),
        )
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_PARAMETER);
    assert_eq!(client.live_contexts(), 0);
}

/// A reject that does not fit is left out; the error is the mechanism's still.
#[test]
fn a_reject_without_room_is_left_out() {
    let refusing = Script {
        legs: 4,
        refuse_leg: Some(3),
        ..Script::default()
    };
    let mut client = Side::new(vec![Toy::alpha(Script {
        legs: 4,
        ..Script::default()
    })]);
    let mut server = Side::new(vec![Toy::alpha(refusing)]);
    let (_, token) = client.initialize(None);
    let (_, token) = server.accept(Some(&token));
    let (_, token) = client.initialize(Some(&token));
    server.room = Some(3);
    let (step, token) = server.accept(Some(&token));
    assert_eq!(
        step.unwrap_err().status(),
        SecurityStatus::SEC_E_LOGON_DENIED
    );
    assert!(token.is_empty());
}

/// What the package says of its tokens holds: none is longer.
#[test]
fn the_longest_token_is_what_the_package_says() {
    let mut client = Side::new(vec![Toy::alpha(Script::default())]);
    let mut server = Side::new(vec![Toy::alpha(Script::default())]);
    let info = client
        .table
        .query_security_package_info("Negotiate")
        .unwrap();
    assert_eq!(info.max_token, 64 + 256);
    let ran = run(&mut client, &mut server, &unchanged);
    for token in ran.tokens {
        assert!(token.len() <= info.max_token as usize);
    }
}

/// A package that says too little of its tokens is told apart from a caller whose buffer is too small.
#[test]
fn a_package_whose_tokens_are_longer_than_it_says_is_at_fault() {
    let mut client = Side::new(vec![Toy::alpha(Script {
        fixed_memory: true,
        max_token: 3,
        ..Script::default()
    })]);
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INTERNAL_ERROR);
    assert!(error.text().contains("a fault of the package"), "{error}");
}
