//! Clients who prove nothing or little: nobody, guests, and those of NTLMv1.

use std::sync::Arc;

use trihound_ntlm::message::text;
use trihound_ntlm::{
    LocalVerifier, MicRequirement, NtlmCredential, NtlmPolicy, PolicyError, Requirement,
    Unprotected, VerifierFailure, danger,
};
use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, ContextAttribute, ContextAttributeValue as Value,
    ImpersonationLevel, InitiatorRequirements, MechListMic, SecurityStatus,
};

use crate::checks::bindings;
use crate::forge::Authenticate;
use crate::world::{
    DOMAIN, Sides, TARGET, Wishes, World, acceptor_attributes, allowed, cause, secret,
};

/// Conformance row 39.
#[test]
fn row_39_nobody_is_let_in_only_where_both_sides_ask() {
    let world = World::new();
    let asked = InitiatorRequirements::NULL_SESSION;
    let mut wishes = Wishes::of(asked);
    let mut sides = world.sides(wishes.clone());
    let error = sides.refusal();
    assert_eq!(
        *cause::<PolicyError>(&error),
        PolicyError::AnonymousNotAllowed
    );
    wishes.acceptor = AcceptorRequirements::ALLOW_NULL_SESSION;
    for credential in [crate::world::alice(), NtlmCredential::anonymous()] {
        let mut sides = world.sides(wishes.clone()).with_client(credential);
        let (ours, theirs) = sides.establish();
        for established in [&ours, &theirs] {
            assert_eq!(established.mech_list_mic, MechListMic::Impossible);
        }
        assert!(acceptor_attributes(&theirs).contains(AcceptorAttributes::NULL_SESSION));
        nobody(&sides);
    }
}

/// A context of nobody: no name, no key, no token of a user.
fn nobody(sides: &Sides<'_>) {
    for value in sides.query_both(ContextAttribute::SessionKey) {
        let status = value.unwrap_err().status();
        assert_eq!(status, SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    }
    for value in sides.query_both(ContextAttribute::Names) {
        assert!(matches!(value.unwrap(), Value::Names(name) if name.is_empty()));
    }
    let (_, acceptor) = sides.contexts();
    let token = sides
        .world
        .table
        .query_security_context_token(acceptor)
        .unwrap();
    assert_eq!(token.level, ImpersonationLevel::Anonymous);
    assert_eq!(token.client_name, "");
}

/// Conformance row 39: nobody has no key.
#[test]
fn row_39_nobody_neither_signs_nor_comes_from_a_forgotten_name() {
    let world = World::new();
    let mut wishes = Wishes::full();
    wishes.initiator |= InitiatorRequirements::NULL_SESSION;
    let mut sides = world.sides(wishes);
    let negotiate = sides.negotiate();
    let challenge = sides.challenge(&negotiate);
    let error = sides.initialize(Some(&challenge)).0.unwrap_err();
    let attribute = "CONFIDENTIALITY";
    assert_eq!(
        *cause::<Unprotected>(&error),
        Unprotected::NoKey { attribute }
    );
    let mut sides = world
        .sides(Wishes::none())
        .with_client(NtlmCredential::anonymous());
    let error = sides.initialize(None).0.unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
    // An acceptor that demands protection lets nobody in who has no key.
    let mut wishes = Wishes::of(InitiatorRequirements::NULL_SESSION);
    wishes.acceptor = AcceptorRequirements::ALLOW_NULL_SESSION | AcceptorRequirements::INTEGRITY;
    let mut sides = world.sides(wishes);
    let negotiate = sides.negotiate();
    assert!(sides.accept(Some(&negotiate)).0.is_err());
}

/// Conformance row 39: what is said beside no name is nobody's either.
#[test]
fn row_39_nobody_has_no_domain() {
    let world = World::new();
    let mut wishes = Wishes::of(InitiatorRequirements::NULL_SESSION);
    wishes.acceptor = AcceptorRequirements::ALLOW_NULL_SESSION;
    let mut sides = world.sides(wishes);
    let mut message = Authenticate::parse(&sides.up_to_authenticate());
    message.domain = text::to_utf16(DOMAIN);
    message.workstation = text::to_utf16("DC1");
    let _ = sides.accept(Some(&message.to_bytes())).0.unwrap();
    nobody(&sides);
    let (_, acceptor) = sides.contexts();
    let authority = world
        .table
        .query_context_attributes(acceptor, ContextAttribute::Authority);
    assert!(matches!(authority.unwrap(), Value::Authority(domain) if domain.is_empty()));
}

/// Conformance row 158.
#[test]
fn row_158_a_guest_is_let_in_by_danger_only_and_has_no_key() {
    let service = || {
        let verifier = LocalVerifier::new(crate::world::accounts()).with_guests();
        NtlmCredential::acceptor(Arc::new(verifier))
    };
    let stranger = || NtlmCredential::from_password("mallory", DOMAIN, secret("x"));
    let strict = World::new();
    let mut sides = strict
        .sides(Wishes::none())
        .with_client(stranger())
        .with_service(service());
    assert_eq!(
        *cause::<PolicyError>(&sides.refusal()),
        PolicyError::GuestNotAllowed {
            user: "mallory".to_owned()
        }
    );
    let world = World::with_policy(danger::allow_guests(allowed()));
    let mut sides = world
        .sides(Wishes::full())
        .with_client(stranger())
        .with_service(service());
    let (_, theirs) = sides.establish();
    assert_eq!(theirs.mech_list_mic, MechListMic::Impossible);
    assert_eq!(acceptor_attributes(&theirs), AcceptorAttributes::empty());
    let [_, key] = sides.query_both(ContextAttribute::SessionKey);
    assert!(key.is_err());
    let [_, flags] = sides.query_both(ContextAttribute::UserFlags);
    assert!(matches!(flags.unwrap(), Value::UserFlags(1)));
    // A wrong password of a known account makes no guest.
    let wrong = NtlmCredential::from_password("alice", DOMAIN, secret("x"));
    let mut sides = world
        .sides(Wishes::none())
        .with_client(wrong)
        .with_service(service());
    assert_eq!(
        *cause::<VerifierFailure>(&sides.refusal()),
        VerifierFailure::LogonFailed
    );
}

/// Conformance row 38.
#[test]
fn row_38_ntlm_v1_needs_danger_on_both_sides() {
    let sends = |policy: NtlmPolicy| danger::send_ntlm_v1(policy);
    let world = World::with_policy(sends(allowed()));
    let error = world.sides(Wishes::full()).refusal();
    let found = "NTLMv1";
    assert_eq!(
        *cause::<PolicyError>(&error),
        PolicyError::OldResponse { found }
    );
    let world = World::with_policy(danger::accept_ntlm_v1(sends(allowed())));
    let mut sides = world.sides(Wishes::full());
    let (_, theirs) = sides.establish();
    assert_eq!(theirs.mech_list_mic, MechListMic::Possible);
    let [ours, theirs] = sides.session_keys();
    assert_eq!(ours, theirs);
    let wrong = NtlmCredential::from_password("alice", DOMAIN, secret("x"));
    let error = world.sides(Wishes::full()).with_client(wrong).refusal();
    assert_eq!(
        *cause::<VerifierFailure>(&error),
        VerifierFailure::LogonFailed
    );
    // It carries nothing of what a policy may always demand.
    let policy = danger::accept_ntlm_v1(sends(allowed()));
    for (strict, expected) in [
        (
            policy.clone().channel_bindings(Requirement::Always),
            PolicyError::ChannelBindingsMissing { empty: false },
        ),
        (
            policy.clone().target_name(Requirement::Always),
            PolicyError::TargetNameMissing,
        ),
        (
            policy.clone().mic(MicRequirement::Always),
            PolicyError::MicNotPromised { always: true },
        ),
    ] {
        let strict = World::with(|config| config.with_policy(strict).with_target_names([TARGET]));
        let mut wishes = Wishes::full();
        wishes.acceptor_bindings = bindings(b"ours");
        let error = strict.sides(wishes).refusal();
        assert_eq!(*cause::<PolicyError>(&error), expected);
    }
    // An LM response alone is refused even then.
    let mut sides = world.sides(Wishes::full());
    let token = sides.up_to_authenticate();
    let mut message = crate::forge::Authenticate::parse(&token);
    message.nt_response.clear();
    let error = sides.accept(Some(&message.to_bytes())).0.unwrap_err();
    let found = "LM only";
    assert_eq!(
        *cause::<PolicyError>(&error),
        PolicyError::OldResponse { found }
    );
}
