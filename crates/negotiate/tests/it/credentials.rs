//! One credential of every mechanism that can be used.

use trihound_negotiate::{
    Attempt, Fallback, NegotiateCredential, NegotiatePolicy, NegotiationFailed,
};
use trihound_sspi::{
    AcquireRequest, CredentialAttribute, CredentialAttributeValue, CredentialUse, Error, Expiry,
    Identity, RegisteredPackage, SecurityStatus, Step,
};

use crate::toy::{ALPHA, ALPHA_OLD, BETA, GAMMA, Script, Toy};
use crate::world::{Side, assert_agreed, init, run, unchanged};

fn toys() -> Vec<RegisteredPackage<Toy>> {
    vec![
        Toy::alpha(Script::default()),
        Toy::beta(Script::default()),
        Toy::gamma(Script::default()),
    ]
}

fn listed(list: &str) -> AcquireRequest<'_> {
    AcquireRequest {
        package_list: Some(list),
        ..AcquireRequest::default()
    }
}

/// Package lists as SSPI callers give them; the order of preference is the table's.
#[test]
fn a_package_list_chooses_and_excludes() {
    for (list, offered) in [
        ("", &[ALPHA_OLD, ALPHA, BETA, GAMMA][..]),
        ("Alpha,!Beta", &[ALPHA_OLD, ALPHA]),
        ("!beta", &[ALPHA_OLD, ALPHA, GAMMA]),
        ("gamma,BETA", &[BETA, GAMMA]),
        ("Gamma,Digest", &[GAMMA]),
    ] {
        let mut client = Side::new(toys());
        client.acquire(listed(list)).unwrap();
        let (_, token) = client.initialize(None);
        assert_eq!(init(&token).mech_types, offered, "{list:?}");
    }
}

/// A mechanism that is excluded is no better one that an acceptor or a fallback could have had.
#[test]
fn an_excluded_mechanism_is_not_there() {
    let mut client = Side::new(toys());
    client.acquire(listed("!Alpha")).unwrap();
    let mut server = Side::new(toys());
    server
        .acquire(AcquireRequest {
            credential_use: CredentialUse::INBOUND,
            ..listed("!Alpha")
        })
        .unwrap();
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    assert_eq!(ran.tokens.len(), 2);
    assert_eq!(client.toy("Beta").log().reasons, [None]);
    assert_agreed(&client, &server, "Beta");
}

#[test]
fn a_list_that_leaves_nothing_is_refused() {
    let mut client = Side::new(toys());
    for (list, status) in [
        ("Digest", SecurityStatus::SEC_E_SECPKG_NOT_FOUND),
        ("Alpha,!Alpha", SecurityStatus::SEC_E_SECPKG_NOT_FOUND),
        ("Alpha,!", SecurityStatus::SEC_E_INVALID_PARAMETER),
    ] {
        assert_eq!(client.acquire(listed(list)).unwrap_err().status(), status);
    }
    assert_eq!(client.live_credentials(), 0);
}

/// The error of a credential that could not be had has the reason of each mechanism.
#[test]
fn without_any_mechanism_the_reasons_are_told() {
    let without = |status| Script {
        acquire: Some(status),
        ..Script::default()
    };
    let mut client = Side::new(vec![
        Toy::alpha(without(SecurityStatus::SEC_E_NO_CREDENTIALS)),
        Toy::beta(without(SecurityStatus::SEC_E_LOGON_DENIED)),
    ]);
    let error = client.acquire(AcquireRequest::default()).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    let failed: &NegotiationFailed = error.find_source().unwrap();
    let packages: Vec<&str> = failed.tried.iter().map(|a| a.package.as_str()).collect();
    assert_eq!(packages, ["Alpha", "Beta"]);
    assert!(failed.tried.iter().all(|attempt: &Attempt| !attempt.begun));
}

/// The same identity goes to each mechanism.
#[test]
fn the_identity_goes_to_each() {
    let mut client = Side::new(toys());
    let identity = Identity::password("alice", None, "secret");
    let handle = client
        .acquire(AcquireRequest {
            identity: Some(&identity),
            ..AcquireRequest::default()
        })
        .unwrap();
    for name in ["Alpha", "Beta", "Gamma"] {
        assert_eq!(
            client.toy(name).log().identities,
            [Some("alice".to_owned())]
        );
    }
    let asked = CredentialAttribute::Names;
    assert_eq!(
        client
            .table
            .query_credentials_attributes(handle, asked)
            .unwrap(),
        CredentialAttributeValue::Names {
            user_name: "Alpha:alice".into()
        }
    );
    assert_eq!(
        client.table.credential_expiry(handle).unwrap(),
        Expiry::Never
    );
}

/// Each direction is acquired by itself: a mechanism that has no key to accept with still initiates, and
/// the identity is the initiator's.
#[test]
fn a_mechanism_may_have_one_direction_only() {
    let mut side = Side::new(vec![
        Toy::alpha(Script {
            only: CredentialUse::OUTBOUND,
            ..Script::default()
        }),
        Toy::beta(Script {
            only: CredentialUse::INBOUND,
            ..Script::default()
        }),
    ]);
    let identity = Identity::password("alice", None, "secret");
    side.acquire(AcquireRequest {
        credential_use: CredentialUse::BOTH,
        identity: Some(&identity),
        ..AcquireRequest::default()
    })
    .unwrap();
    assert_eq!(
        side.toy("Alpha").log().identities,
        [Some("alice".to_owned())]
    );
    assert_eq!(side.toy("Beta").log().identities, [None]);
    let (_, token) = side.initialize(None);
    assert_eq!(init(&token).mech_types, [ALPHA_OLD, ALPHA]);
    side.context = None;
    assert!(matches!(
        side.accept(Some(b"Beta1")).0,
        Ok(Step::Complete(_))
    ));
    side.context = None;
    assert!(side.accept(Some(b"Alpha1")).0.is_err());
}

#[test]
fn a_credential_needs_a_direction() {
    let mut side = Side::new(toys());
    let error = side
        .acquire(AcquireRequest::new(CredentialUse::DEFAULT))
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(error.text().contains("SECPKG_CRED_BOTH"), "{error}");
}

/// Conformance row 174: the mechanisms' credentials and contexts are freed once, after the last one that
/// uses them.
#[test]
fn handles_of_the_mechanisms_are_freed_once() {
    let mut client = Side::new(toys());
    let mut server = Side::new(vec![Toy::beta(Script::default())]);
    let handle = client.acquire(AcquireRequest::default()).unwrap();
    assert_eq!(client.live_credentials(), 3);
    let (_, token) = client.initialize(None);
    client.table.free_credentials_handle(handle).unwrap();
    client.credential = None;
    let freed = client.table.free_credentials_handle(handle).unwrap_err();
    assert_eq!(freed.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
    // The context that is under way keeps what it may still need.
    assert_eq!((client.live_credentials(), client.live_contexts()), (3, 1));
    let (_, token) = server.accept(Some(&token));
    let context = client.context.unwrap();
    let reselected = client.table.clone();
    let mut buffers = [trihound_sspi::SecBuffer::allocate(
        trihound_sspi::BufferType::TOKEN,
    )];
    let input = [trihound_sspi::SecBuffer::token_input(&token)];
    let request = trihound_sspi::InitializeRequest {
        input: Some(trihound_sspi::InputDesc::new(&input)),
        ..trihound_sspi::InitializeRequest::default()
    };
    let outcome = reselected
        .initialize_security_context(
            None,
            Some(context),
            request,
            &mut trihound_sspi::SecBufferDesc::new(&mut buffers),
        )
        .unwrap();
    assert_eq!(outcome.context, context);
    assert_eq!(client.live_contexts(), 1, "the optimistic context is gone");
    client.table.delete_security_context(context).unwrap();
    assert_eq!((client.live_credentials(), client.live_contexts()), (0, 0));
    let deleted = client.table.delete_security_context(context).unwrap_err();
    assert_eq!(deleted.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
}

fn adopted(side: &mut Side, credential: NegotiateCredential) {
    side.credential = Some(side.negotiate.adopt(credential).unwrap());
}

fn mechanisms(side: &Side) -> trihound_sspi::SecurityFunctionTable {
    side.negotiate.package().mechanisms().clone()
}

/// Credentials that were made before are put together by their handles, in the order given.
#[test]
fn a_credential_of_handles_serves_both_directions() {
    let (mut client, mut server) = (Side::new(toys()), Side::new(toys()));
    for side in [&mut client, &mut server] {
        let table = mechanisms(side);
        let handles = [
            ("Gamma", side.toys[2].adopt("made before".into()).unwrap()),
            ("Alpha", side.toys[0].adopt("made before".into()).unwrap()),
        ];
        let credential = NegotiateCredential::from_handles(&table, &handles).unwrap();
        assert_eq!(credential.packages(), ["Gamma", "Alpha"]);
        assert_eq!(credential.left_out().len(), 0);
        adopted(side, credential);
    }
    let ran = run(&mut client, &mut server, &unchanged);
    ran.end.unwrap();
    assert_eq!(init(&ran.tokens[0]).mech_types, [GAMMA, ALPHA_OLD, ALPHA]);
    assert_agreed(&client, &server, "Gamma");
}

/// What is given beside the handles is the reason of those that have none.
#[test]
fn a_credential_of_outcomes_keeps_the_reasons() {
    let mut client = Side::new(toys());
    let table = mechanisms(&client);
    let reason = Error::new(SecurityStatus::SEC_E_NO_CREDENTIALS, "not today");
    let beta = client.toys[1].adopt(String::new()).unwrap();
    let parts = vec![("Alpha", Err(reason.clone())), ("Beta", Ok(beta))];
    let credential = NegotiateCredential::from_outcomes(&table, parts).unwrap();
    assert_eq!(credential.packages(), ["Beta"]);
    assert_eq!(credential.left_out().len(), 1);
    adopted(&mut client, credential);
    let _ = client.initialize(None).0.unwrap();
    assert_eq!(client.toy("Beta").log().reasons, [Some(reason.status())]);

    let error =
        NegotiateCredential::from_outcomes(&table, vec![("Alpha", Err(reason))]).unwrap_err();
    assert!(error.text().contains("not today"), "{error}");
}

#[test]
fn handles_that_name_nothing_are_refused() {
    let client = Side::new(toys());
    let table = mechanisms(&client);
    let handle = client.toys[0].adopt(String::new()).unwrap();
    let error = NegotiateCredential::from_handles(&table, &[]).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
    let error = NegotiateCredential::from_handles(&table, &[("Digest", handle)]).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_SECPKG_NOT_FOUND);
    // It was given away with the faulty pair.
    let error = NegotiateCredential::from_handles(&table, &[("Alpha", handle)]).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
    let error = NegotiateCredential::from_handles(&table, &[("Negotiate", handle)]).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INVALID_HANDLE);
}

/// A credential's own policy counts in place of the package's.
#[test]
fn a_credential_may_have_a_policy_of_its_own() {
    let mut client = Side::new(vec![
        Toy::alpha(Script {
            initiate: Some(SecurityStatus::SEC_E_TARGET_UNKNOWN),
            ..Script::default()
        }),
        Toy::beta(Script::default()),
    ]);
    let table = mechanisms(&client);
    let handles = [
        ("Alpha", client.toys[0].adopt(String::new()).unwrap()),
        ("Beta", client.toys[1].adopt(String::new()).unwrap()),
    ];
    let never = NegotiatePolicy::default().with_fallback(Fallback::Never);
    let credential = NegotiateCredential::from_handles(&table, &handles)
        .unwrap()
        .with_policy(never);
    adopted(&mut client, credential);
    let error = client.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    assert_eq!(client.toy("Beta").log().begun, 0);
}
