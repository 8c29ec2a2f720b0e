//! Whether NTLM may be used, who is told, and what is acquired.

use std::sync::Arc;

use trihound_ntlm::{
    ContextError, CredentialError, Direction, Ntlm, NtlmConfig, NtlmCredential,
    NtlmCredentialSource, NtlmOutcome, NtlmPolicy, NtlmRule, PolicyError, TargetList, UserFile,
};
use trihound_sansio::FixedClock;
use trihound_sspi::{
    AcquireRequest, CredentialAttribute, CredentialAttributeValue, CredentialUse, Error, Identity,
    InitializeRequest, InitiatorRequirements, RegisteredPackage, SecBuffer, SecBufferDesc,
    SecurityFunctionTable, SecurityStatus,
};

use crate::world::{
    ALICE, DOMAIN, Dry, PASSWORD, TARGET, Wishes, World, alice, allowed, cause, secret,
};

fn denied(error: &Error) -> (&'static str, Option<String>) {
    assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    match cause::<PolicyError>(error) {
        PolicyError::Denied { direction, target } => (direction, target.clone()),
        other => panic!("{other:?}"),
    }
}

/// Conformance row 160.
#[test]
fn row_160_the_default_denies_both_directions_and_says_how_to_allow() {
    let config = NtlmConfig::default();
    let package = RegisteredPackage::new(Ntlm::new(config));
    let table = SecurityFunctionTable::builder()
        .package(&package)
        .build()
        .unwrap();
    let identity = Identity::password(ALICE, Some(DOMAIN), PASSWORD);
    for (credential_use, direction) in [
        (CredentialUse::OUTBOUND, "outgoing"),
        (CredentialUse::INBOUND, "incoming"),
        (CredentialUse::BOTH, "outgoing"),
    ] {
        let mut request = AcquireRequest::new(credential_use);
        request.identity = Some(&identity);
        let error = table
            .acquire_credentials_handle(Ntlm::NAME, request)
            .unwrap_err();
        assert_eq!(denied(&error), (direction, None));
        assert!(error.text().contains("TRIHOUND_NTLM"), "{error}");
    }
}

/// Conformance row 160: a credential that was not acquired is denied where it is used.
#[test]
fn row_160_an_adopted_credential_is_denied_at_its_use() {
    let world = World::with_policy(NtlmPolicy::default());
    let mut sides = world.sides(Wishes::full());
    let error = sides.initialize(None).0.unwrap_err();
    assert_eq!(denied(&error), ("outgoing", Some(TARGET.to_owned())));
    let error = sides.accept(Some(b"NTLMSSP\0")).0.unwrap_err();
    assert_eq!(denied(&error), ("incoming", None));
    let uses = world.uses.take();
    let [ours, theirs] = uses.as_slice() else {
        panic!("{uses:?}");
    };
    assert_eq!(
        (ours.direction, ours.outcome),
        (Direction::Outgoing, NtlmOutcome::Denied)
    );
    assert_eq!(ours.target.as_deref(), Some(TARGET));
    assert_eq!((ours.user.as_str(), ours.domain.as_str()), (ALICE, DOMAIN));
    assert_eq!(
        (theirs.direction, theirs.outcome),
        (Direction::Incoming, NtlmOutcome::Denied)
    );
}

#[test]
fn each_direction_has_its_own_rule() {
    let out_only = NtlmPolicy::default().outgoing(NtlmRule::Allow);
    let world = World::with_policy(out_only);
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    let error = sides.accept(Some(&negotiate)).0.unwrap_err();
    assert_eq!(denied(&error), ("incoming", None));
    // Of SECPKG_CRED_BOTH the half that is allowed is there.
    let mut request = AcquireRequest::new(CredentialUse::BOTH);
    let identity = Identity::password(ALICE, Some(DOMAIN), PASSWORD);
    request.identity = Some(&identity);
    let acquired = world
        .table
        .acquire_credentials_handle(Ntlm::NAME, request)
        .unwrap();
    sides.client = acquired.credential;
    sides.service = acquired.credential;
    sides.initiator = None;
    let negotiate = sides.negotiate();
    let error = sides.accept(Some(&negotiate)).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
}

#[test]
fn a_list_of_targets_is_compared_with_the_host() {
    let list = TargetList::new(["web.example.com", "*.intra.example.com", "10.0.0.1"]);
    for (target, allowed) in [
        ("HTTP/web.example.com", true),
        ("http/WEB.EXAMPLE.COM:8080", true),
        ("cifs/files.intra.example.com", true),
        ("cifs/a.b.intra.example.com", true),
        ("cifs/intra.example.com", false),
        ("cifs/fakeintra.example.com", false),
        ("HTTP/web.example.com.evil.test", false),
        ("HTTP/evil.test/web.example.com", false),
        ("HTTP/10.0.0.1", true),
        ("web.example.com", true),
        ("evil.test", false),
        ("", false),
        // No service principal names, whose ends are a host below the allowed one all the same.
        ("HTTP/evil.test/x/y.intra.example.com", false),
        ("HTTP/evil.test /a.intra.example.com", false),
        ("HTTP/evil.test\\a.intra.example.com", false),
        ("//a.intra.example.com", false),
        // Hosts, for whoever takes what stands before the mark.
        ("HTTP/evil.test?.intra.example.com", false),
        ("HTTP/evil.test#.intra.example.com", false),
        ("HTTP/fe80::1%.intra.example.com", false),
        ("HTTP/files.intra.example.com.", false),
        (
            "cifs/files1UWhRCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAYBAAAA.intra.example.com",
            false,
        ),
        (
            "files1UWhRCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAYBAAAA.intra.example.com",
            false,
        ),
    ] {
        assert_eq!(list.allows(target), allowed, "{target}");
    }
    assert!(TargetList::new(["*"]).allows("HTTP/anything"));
    assert!(!TargetList::default().allows("HTTP/anything"));
    let rule = NtlmRule::AllowTargets(list);
    let world = World::with_policy(NtlmPolicy::default().outgoing(rule));
    for (target, refused) in [
        (Some(TARGET), false),
        (Some("HTTP/evil.test"), true),
        (None, true),
    ] {
        let mut wishes = Wishes::full();
        wishes.target = target;
        let outcome = world.sides(wishes).initialize(None).0;
        assert_eq!(outcome.is_err(), refused, "{target:?}");
    }
}

/// Conformance row 93.
#[test]
fn a_marshalled_target_is_refused_whatever_the_policy_allows() {
    let world = World::with_policy(NtlmPolicy::both(NtlmRule::Allow));
    let mut wishes = Wishes::full();
    wishes.target = Some("cifs/dc.example.com1UWhRCAAAAAAAAAAAAAAAAAAAAAAAAAAAAwbEAYBAAAA");
    let error = world.sides(wishes).initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_TARGET_UNKNOWN);
    assert_eq!(cause::<PolicyError>(&error), &PolicyError::MarshalledTarget);
}

#[test]
fn a_credentials_own_policy_holds_in_place_of_the_packages() {
    let world = World::with_policy(NtlmPolicy::default());
    let mut sides = world
        .sides(Wishes::full())
        .with_client(alice().with_policy(allowed()));
    sides.negotiate();
    let world = World::new();
    let mut sides = world
        .sides(Wishes::full())
        .with_client(alice().with_policy(NtlmPolicy::default()));
    let error = sides.initialize(None).0.unwrap_err();
    assert_eq!(denied(&error).0, "outgoing");
}

#[test]
fn each_use_is_told_once_on_each_side() {
    for (rule, outcome) in [
        (NtlmRule::Allow, NtlmOutcome::Allowed),
        (NtlmRule::Audit, NtlmOutcome::Audited),
    ] {
        let world = World::with_policy(NtlmPolicy::both(rule));
        let mut sides = world.sides(Wishes::full());
        sides.establish();
        let uses = world.uses.take();
        assert_eq!(uses.len(), 2);
        for (told, direction) in uses.iter().zip([Direction::Outgoing, Direction::Incoming]) {
            assert_eq!(told.direction, direction);
            assert_eq!(told.outcome, outcome);
            assert_eq!(told.target.as_deref(), Some(TARGET));
            assert_eq!((told.user.as_str(), told.domain.as_str()), (ALICE, DOMAIN));
            assert_eq!(told.kerberos_error, None);
        }
        let wrong = NtlmCredential::from_password(ALICE, DOMAIN, secret("wrong"));
        world.sides(Wishes::full()).with_client(wrong).refusal();
        let uses = world.uses.take();
        assert_eq!(uses.len(), 2);
        let refused = uses.last().unwrap();
        assert_eq!(refused.outcome, NtlmOutcome::Refused);
        assert!(refused.refusal.as_deref().unwrap().contains("password"));
    }
}

#[test]
fn an_account_is_told_as_the_verifier_knows_it() {
    let world = World::new();
    let client = NtlmCredential::from_password("ALICE", "web", secret(PASSWORD));
    world.sides(Wishes::full()).with_client(client).establish();
    let uses = world.uses.take();
    let told = uses.last().unwrap();
    assert_eq!((told.user.as_str(), told.domain.as_str()), (ALICE, DOMAIN));
}

#[test]
fn the_error_that_led_here_is_told() {
    let world = World::new();
    let client = world.adopt(alice());
    let reason = Error::new(SecurityStatus::SEC_E_TARGET_UNKNOWN, "no such service");
    let request = InitializeRequest {
        target_name: Some(TARGET),
        fallback_reason: Some(&reason),
        ..InitializeRequest::default()
    };
    let mut memory = [0; 100];
    let mut buffers = [SecBuffer::token(&mut memory)];
    let mut output = SecBufferDesc::new(&mut buffers);
    let outcome = world
        .table
        .initialize_security_context(Some(client), None, request, &mut output);
    let _ = outcome.unwrap();
    let uses = world.uses.take();
    let told = uses.first().unwrap().kerberos_error.as_deref().unwrap();
    assert!(told.contains("SEC_E_TARGET_UNKNOWN") && told.contains("no such service"));
}

fn name_of(world: &World, request: AcquireRequest<'_>) -> Result<String, Error> {
    let acquired = world
        .table
        .acquire_credentials_handle(Ntlm::NAME, request)?;
    let value = world
        .table
        .query_credentials_attributes(acquired.credential, CredentialAttribute::Names)?;
    match value {
        CredentialAttributeValue::Names { user_name } => Ok(user_name),
        other => panic!("{other:?}"),
    }
}

#[test]
fn identities_in_every_form_are_acquired() {
    let world = World::new();
    for (user, domain, name) in [
        ("alice", Some("EXAMPLE"), "EXAMPLE\\alice"),
        ("EXAMPLE\\alice", None, "EXAMPLE\\alice"),
        ("EXAMPLE\\alice", Some(""), "EXAMPLE\\alice"),
        ("alice@example.com", None, "alice@example.com"),
        ("alice", None, "alice"),
    ] {
        let identity = Identity::password(user, domain, PASSWORD);
        let mut request = AcquireRequest::new(CredentialUse::OUTBOUND);
        request.identity = Some(&identity);
        assert_eq!(name_of(&world, request).unwrap(), name);
    }
    let nobody = Identity::password("", None, "");
    let mut request = AcquireRequest::new(CredentialUse::OUTBOUND);
    request.identity = Some(&nobody);
    let error = name_of(&world, request).unwrap_err();
    assert!(matches!(
        cause::<ContextError>(&error),
        ContextError::NoCredentialAttribute { .. }
    ));
}

#[test]
fn without_an_identity_a_source_is_asked() {
    let world = World::new();
    let mut request = AcquireRequest::new(CredentialUse::OUTBOUND);
    let error = name_of(&world, request).unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert_eq!(
        *cause::<CredentialError>(&error),
        CredentialError::NoIdentity { principal: None }
    );
    let file = UserFile::parse("EXAMPLE:alice:a\nOTHER:bob:b\n").unwrap();
    let source: Arc<dyn NtlmCredentialSource> = Arc::new(file);
    let world = World::with(|config| config.with_credential_source(source));
    assert_eq!(name_of(&world, request).unwrap(), "EXAMPLE\\alice");
    for (principal, name) in [
        ("bob", Some("OTHER\\bob")),
        ("other\\BOB", Some("OTHER\\bob")),
        ("bob@other", Some("OTHER\\bob")),
        ("EXAMPLE\\bob", None),
        ("carol", None),
    ] {
        request.principal = Some(principal);
        assert_eq!(
            name_of(&world, request).ok().as_deref(),
            name,
            "{principal}"
        );
    }
}

#[test]
fn an_acceptor_without_accounts_is_told_so() {
    let config = NtlmConfig::new(Arc::new(FixedClock::default()), Arc::new(Dry));
    let package = RegisteredPackage::new(Ntlm::new(config.with_policy(allowed())));
    let table = SecurityFunctionTable::builder()
        .package(&package)
        .build()
        .unwrap();
    let request = AcquireRequest::new(CredentialUse::INBOUND);
    let error = table
        .acquire_credentials_handle(Ntlm::NAME, request)
        .unwrap_err();
    assert_eq!(
        *cause::<CredentialError>(&error),
        CredentialError::NoVerifier
    );
}

#[test]
fn without_randomness_there_is_no_handshake() {
    let world = World::with(|_| {
        NtlmConfig::new(Arc::new(FixedClock::default()), Arc::new(Dry)).with_policy(allowed())
    });
    let mut sides = world.sides(Wishes::of(InitiatorRequirements::empty()));
    let negotiate = sides.negotiate();
    let error = sides.accept(Some(&negotiate)).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INTERNAL_ERROR);
    let honest = World::new();
    let challenge = {
        let mut other = honest.sides(Wishes::none());
        let negotiate = other.negotiate();
        other.challenge(&negotiate)
    };
    let error = sides.initialize(Some(&challenge)).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_INTERNAL_ERROR);
}
