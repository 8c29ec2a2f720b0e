//! What the package says of itself and of its contexts.

use trihound_sspi::{
    ContextAttribute, ContextAttributeValue, EstablishedAttributes, Function, FunctionSet,
    InitiatorAttributes, LastClientTokenStatus, MechListMic, NegotiationState, SecPkgCapabilities,
    SecurityStatus, Step,
};

use crate::toy::{Script, Toy};
use crate::world::{Side, run, unchanged};

fn toys(script: &Script) -> Side {
    Side::new(vec![Toy::alpha(script.clone()), Toy::beta(script.clone())])
}

#[test]
fn the_package_describes_itself() {
    let side = toys(&Script::default());
    let info = side.table.query_security_package_info("negotiate").unwrap();
    assert_eq!(
        (info.name.as_ref(), info.version, info.rpc_id),
        ("Negotiate", 1, 9)
    );
    // As Windows has them (0x83bb3), without what no package here does: Windows account names, logon,
    // restricted tokens; and without impersonation, since these mechanisms tell nobody who the client is.
    assert_eq!(info.capabilities.bits(), 0x18B3);
    assert!(info.capabilities.contains(SecPkgCapabilities::NEGOTIABLE));
    let functions = side.table.functions_of("Negotiate").unwrap();
    assert!(functions.contains(FunctionSet::REQUIRED));
    // What the mechanisms have, and no more.
    assert!(functions.has(Function::QueryCredentialsAttributes));
    assert!(!functions.has(Function::QuerySecurityContextToken));
    assert!(!functions.has(Function::ImpersonateSecurityContext));
    assert!(!functions.has(Function::ExportSecurityContext));
    // Negotiate is no mechanism of another Negotiate.
    assert!(side.table.mechanism("Negotiate").unwrap().is_none());
}

fn query(side: &Side, attribute: ContextAttribute) -> ContextAttributeValue {
    side.table
        .query_context_attributes(side.context.unwrap(), attribute)
        .unwrap()
}

#[test]
fn how_negotiation_goes_can_be_asked() {
    let script = Script {
        legs: 4,
        ..Script::default()
    };
    let (mut client, mut server) = (toys(&script), toys(&script));
    let (_, token) = client.initialize(None);
    let alpha = |state| ("Alpha".to_owned(), state);
    assert_eq!(client.negotiation(), alpha(NegotiationState::Optimistic));
    let (_, token) = server.accept(Some(&token));
    assert_eq!(server.negotiation(), alpha(NegotiationState::InProgress));
    let last = |side: &Side| match query(side, ContextAttribute::LastClientTokenStatus) {
        ContextAttributeValue::LastClientTokenStatus(status) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(last(&server), LastClientTokenStatus::No);
    let (_, token) = client.initialize(Some(&token));
    assert_eq!(client.negotiation(), alpha(NegotiationState::InProgress));
    let (_, token) = server.accept(Some(&token));
    let _ = client.initialize(Some(&token)).0.unwrap();
    for side in [&client, &server] {
        assert_eq!(side.negotiation(), alpha(NegotiationState::Complete));
        assert_eq!(last(side), LastClientTokenStatus::Yes);
    }
}

/// The caller's own questions are answered by the chosen mechanism, but for those that are Negotiate's.
#[test]
fn attributes_are_the_mechanisms_or_our_own() {
    let (mut client, mut server) = (toys(&Script::default()), toys(&Script::default()));
    let _ = client.initialize(None).0.unwrap();
    let early = client
        .table
        .query_context_attributes(client.context.unwrap(), ContextAttribute::Sizes)
        .unwrap_err();
    assert_eq!(early.status(), SecurityStatus::SEC_E_NO_CONTEXT);
    match query(&client, ContextAttribute::ClientSpecifiedTarget) {
        ContextAttributeValue::ClientSpecifiedTarget(target) => {
            assert_eq!(target, "HTTP/web.example");
        }
        other => panic!("{other:?}"),
    }
    client.context = None;
    run(&mut client, &mut server, &unchanged).end.unwrap();
    match query(&client, ContextAttribute::PackageInfo) {
        ContextAttributeValue::PackageInfo(info) => assert_eq!(info.name, "Negotiate"),
        other => panic!("{other:?}"),
    }
    match query(&client, ContextAttribute::Names) {
        ContextAttributeValue::Names(name) => assert_eq!(name, "Alpha"),
        other => panic!("{other:?}"),
    }
    match query(&client, ContextAttribute::Sizes) {
        ContextAttributeValue::Sizes(sizes) => {
            assert_eq!((sizes.max_signature, sizes.max_token), (8, 64 + 256));
        }
        other => panic!("{other:?}"),
    }
    let unknown = client
        .table
        .query_context_attributes(client.context.unwrap(), ContextAttribute::SessionKey)
        .unwrap_err();
    assert_eq!(unknown.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
}

/// What is returned is what the mechanism has, never an echo.
#[test]
fn attributes_are_no_echo() {
    let plain = Script {
        mic: MechListMic::Impossible,
        ..Script::default()
    };
    for (script, integrity) in [(Script::default(), true), (plain, false)] {
        let (mut client, mut server) = (toys(&script), toys(&script));
        client.initiator = trihound_sspi::InitiatorRequirements::INTEGRITY
            | trihound_sspi::InitiatorRequirements::MUTUAL_AUTH;
        run(&mut client, &mut server, &unchanged).end.unwrap();
        let mut expected = InitiatorAttributes::CONNECTION;
        expected.set(InitiatorAttributes::INTEGRITY, integrity);
        match client.initialize(None).0.unwrap() {
            Step::Complete(established) => assert_eq!(
                established.attributes,
                EstablishedAttributes::Initiator(expected)
            ),
            other => panic!("{other:?}"),
        }
        match query(&client, ContextAttribute::Flags) {
            ContextAttributeValue::Flags(flags) => {
                assert_eq!(flags, EstablishedAttributes::Initiator(expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Messages of a context that is not established are refused.
#[test]
fn no_message_before_the_end() {
    let mut client = toys(&Script::default());
    let _ = client.initialize(None).0.unwrap();
    let error = client.verify(b"x", b"y").unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CONTEXT);
}

/// A message that does not verify leaves the context as it was.
#[test]
fn a_bad_message_changes_nothing() {
    let (mut client, mut server) = (toys(&Script::default()), toys(&Script::default()));
    run(&mut client, &mut server, &unchanged).end.unwrap();
    let signature = client.sign(b"ping");
    let error = server.verify(b"pong", &signature).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_MESSAGE_ALTERED);
    server.verify(b"ping", &signature).unwrap();
}
