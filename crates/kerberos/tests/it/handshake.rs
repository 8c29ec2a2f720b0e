//! Handshakes that succeed: legs, attributes, keys, buffers that are too small.

use trihound_crypto::Enctype;
use trihound_kerberos::KerberosCredential;
use trihound_sansio::Timestamp;
use trihound_sspi::{
    AcceptorAttributes, AcceptorRequirements, ContextAttribute, ContextAttributeValue, CtxtHandle,
    Expiry, Function, FunctionSet, ImpersonationLevel, InitiatorAttributes, InitiatorRequirements,
    LastClientTokenStatus, MechListMic, NegotiationState, SecPkgCapabilities, SecurityStatus,
};

use crate::support::AES;
use crate::world::{
    ALICE, NOW, Sides, TARGET, TicketSpec, Wishes, World, acceptor_attributes, cause, failed,
    initiator_attributes,
};

const AES256: Enctype = Enctype::AES256_CTS_HMAC_SHA1_96;

fn session_key(world: &World, context: CtxtHandle) -> Vec<u8> {
    match world
        .table
        .query_context_attributes(context, ContextAttribute::SessionKey)
        .unwrap()
    {
        ContextAttributeValue::SessionKey(key) => key.expose().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// One leg: the first Initialize is complete, and SSPI's loop may call it once more.
#[test]
fn one_leg_without_mutual_authentication() {
    for enctype in AES {
        let world = World::new(enctype);
        let mut sides = Sides::new(&world, Wishes::default());
        let (outcome, token) = sides.initialize(None);
        assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
        assert_eq!(token[0], 0x60);
        let (outcome, answer) = sides.accept(Some(&token));
        assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
        assert!(answer.is_empty());
        let (outcome, nothing) = sides.initialize(None);
        let outcome = outcome.unwrap();
        assert_eq!(outcome.status(), SecurityStatus::SEC_E_OK);
        assert!(outcome.established().is_some() && nothing.is_empty());
        let (initiator, acceptor) = sides.contexts();
        assert_eq!(
            session_key(&world, initiator),
            session_key(&world, acceptor)
        );
    }
}

/// Conformance rows 14 and 107: two legs; nothing is established before the AP-REP is checked.
#[test]
fn two_legs_with_mutual_authentication() {
    for enctype in AES {
        let world = World::new(enctype);
        let mut sides = Sides::new(&world, Wishes::of(InitiatorRequirements::MUTUAL_AUTH));
        let (outcome, token) = sides.initialize(None);
        let outcome = outcome.unwrap();
        assert_eq!(outcome.status(), SecurityStatus::SEC_I_CONTINUE_NEEDED);
        assert!(outcome.established().is_none());
        let error = world
            .table
            .query_context_attributes(outcome.context, ContextAttribute::SessionKey)
            .unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CONTEXT);
        let (outcome, answer) = sides.accept(Some(&token));
        assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
        assert_eq!(answer[0], 0x60);
        let (outcome, nothing) = sides.initialize(Some(&answer));
        let outcome = outcome.unwrap();
        let attributes = initiator_attributes(outcome.established().unwrap());
        assert!(attributes.contains(InitiatorAttributes::MUTUAL_AUTH));
        assert!(nothing.is_empty());
        let (initiator, acceptor) = sides.contexts();
        assert_eq!(
            session_key(&world, initiator),
            session_key(&world, acceptor)
        );
        assert_ne!(session_key(&world, initiator), world.session_key().expose());
    }
}

/// Conformance row 127: three legs in DCE style, none with GSS framing; the acceptor is not done
/// before the third.
#[test]
fn three_legs_in_dce_style() {
    for enctype in AES {
        let world = World::new(enctype);
        let mut sides = Sides::new(&world, Wishes::dce());
        let (outcome, token) = sides.initialize(None);
        assert_eq!(
            outcome.unwrap().status(),
            SecurityStatus::SEC_I_CONTINUE_NEEDED
        );
        assert_eq!(token[0], 0x6e);
        let (outcome, answer) = sides.accept(Some(&token));
        let outcome = outcome.unwrap();
        assert_eq!(outcome.status(), SecurityStatus::SEC_I_CONTINUE_NEEDED);
        let value = world
            .table
            .query_context_attributes(outcome.context, ContextAttribute::LastClientTokenStatus)
            .unwrap();
        assert!(matches!(
            value,
            ContextAttributeValue::LastClientTokenStatus(LastClientTokenStatus::No)
        ));
        assert_eq!(answer[0], 0x6f);
        let (outcome, third) = sides.initialize(Some(&answer));
        let outcome = outcome.unwrap();
        let attributes = initiator_attributes(outcome.established().unwrap());
        assert!(
            attributes
                .contains(InitiatorAttributes::MUTUAL_AUTH | InitiatorAttributes::USED_DCE_STYLE)
        );
        assert_eq!(third[0], 0x6f);
        let (outcome, nothing) = sides.accept(Some(&third));
        let outcome = outcome.unwrap();
        let attributes = acceptor_attributes(outcome.established().unwrap());
        assert!(
            attributes
                .contains(AcceptorAttributes::MUTUAL_AUTH | AcceptorAttributes::USED_DCE_STYLE)
        );
        assert!(nothing.is_empty());
        let (initiator, acceptor) = sides.contexts();
        assert_eq!(
            session_key(&world, initiator),
            session_key(&world, acceptor)
        );
    }
}

/// With nothing asked there is authentication and impersonation, and no more.
#[test]
fn nothing_asked_gives_authentication_only() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::default());
    let (ours, theirs) = sides.establish();
    assert_eq!(initiator_attributes(&ours), InitiatorAttributes::empty());
    assert_eq!(acceptor_attributes(&theirs), AcceptorAttributes::empty());
    assert_eq!(ours.mech_list_mic, MechListMic::Impossible);
    let (_, acceptor) = sides.contexts();
    let token = world.table.query_security_context_token(acceptor).unwrap();
    assert_eq!(token.client_name, ALICE);
    assert_eq!(token.level, ImpersonationLevel::Impersonation);
}

/// Everything that the wire carries, and what both sides say for themselves.
const EVERYTHING: InitiatorRequirements = InitiatorRequirements::MUTUAL_AUTH
    .union(InitiatorRequirements::REPLAY_DETECT)
    .union(InitiatorRequirements::SEQUENCE_DETECT)
    .union(InitiatorRequirements::CONFIDENTIALITY)
    .union(InitiatorRequirements::INTEGRITY)
    .union(InitiatorRequirements::IDENTIFY)
    .union(InitiatorRequirements::CONNECTION)
    .union(InitiatorRequirements::EXTENDED_ERROR)
    .union(InitiatorRequirements::USE_DCE_STYLE);

/// The acceptor asks for everything; the initiator for all but `left_out`.
fn got(left_out: InitiatorRequirements) -> (InitiatorAttributes, AcceptorAttributes) {
    let world = World::new(AES256);
    let wishes = Wishes {
        initiator: EVERYTHING - left_out,
        acceptor: AcceptorRequirements::from_bits_retain(u32::MAX)
            - AcceptorRequirements::PROXY_BINDINGS
            - AcceptorRequirements::ALLOCATE_MEMORY,
        ..Wishes::default()
    };
    let (ours, theirs) = Sides::new(&world, wishes).establish();
    (initiator_attributes(&ours), acceptor_attributes(&theirs))
}

/// Each flag that the initiator does not ask for is absent on both sides, however much the acceptor
/// asks for it; and it is present when the initiator asks.
macro_rules! refused_flag_is_absent {
    ($($name:ident: $without:ident $(+ $more:ident)* => $initiator:ident, $acceptor:ident;)+) => {$(
        #[test]
        fn $name() {
            let (ours, theirs) = got(InitiatorRequirements::empty());
            assert!(ours.contains(InitiatorAttributes::$initiator));
            assert!(theirs.contains(AcceptorAttributes::$acceptor));
            let left_out = InitiatorRequirements::$without $(| InitiatorRequirements::$more)*;
            let (ours, theirs) = got(left_out);
            assert!(!ours.contains(InitiatorAttributes::$initiator));
            assert!(!theirs.contains(AcceptorAttributes::$acceptor));
        }
    )+};
}

refused_flag_is_absent! {
    mutual_auth_refused_is_absent: MUTUAL_AUTH + USE_DCE_STYLE => MUTUAL_AUTH, MUTUAL_AUTH;
    replay_detect_refused_is_absent: REPLAY_DETECT => REPLAY_DETECT, REPLAY_DETECT;
    sequence_detect_refused_is_absent: SEQUENCE_DETECT => SEQUENCE_DETECT, SEQUENCE_DETECT;
    confidentiality_refused_is_absent: CONFIDENTIALITY => CONFIDENTIALITY, CONFIDENTIALITY;
    integrity_refused_is_absent:
        INTEGRITY + REPLAY_DETECT + SEQUENCE_DETECT => INTEGRITY, INTEGRITY;
    identify_refused_is_absent: IDENTIFY => IDENTIFY, IDENTIFY;
    dce_style_refused_is_absent: USE_DCE_STYLE => USED_DCE_STYLE, USED_DCE_STYLE;
}

/// A client with nothing but a ticket for the service has nothing to delegate; an acceptor's wish is never
/// honoured.
#[test]
fn delegate_asked_for_is_absent() {
    let world = World::new(AES256);
    let mut wishes = Wishes::full();
    wishes.initiator |= InitiatorRequirements::DELEGATE;
    wishes.acceptor |= AcceptorRequirements::DELEGATE;
    let (ours, theirs) = Sides::new(&world, wishes).establish();
    assert!(!initiator_attributes(&ours).contains(InitiatorAttributes::DELEGATE));
    assert!(!acceptor_attributes(&theirs).contains(AcceptorAttributes::DELEGATE));
}

/// Datagram contexts are not there, so the flag is never returned.
#[test]
fn datagram_asked_for_is_absent() {
    let world = World::new(AES256);
    let mut wishes = Wishes::full();
    wishes.initiator |= InitiatorRequirements::DATAGRAM;
    wishes.acceptor |= AcceptorRequirements::DATAGRAM;
    let (ours, theirs) = Sides::new(&world, wishes).establish();
    assert!(!initiator_attributes(&ours).contains(InitiatorAttributes::DATAGRAM));
    assert!(!acceptor_attributes(&theirs).contains(AcceptorAttributes::DATAGRAM));
}

/// What each side says for itself follows its own wish only.
#[test]
fn flags_of_one_side_follow_that_side() {
    let world = World::new(AES256);
    for (initiator, acceptor) in [(true, false), (false, true)] {
        let mut wishes = Wishes::full();
        if initiator {
            wishes.initiator |=
                InitiatorRequirements::CONNECTION | InitiatorRequirements::EXTENDED_ERROR;
        }
        if acceptor {
            wishes.acceptor |=
                AcceptorRequirements::CONNECTION | AcceptorRequirements::EXTENDED_ERROR;
        }
        let (ours, theirs) = Sides::new(&world, wishes).establish();
        let ours = initiator_attributes(&ours);
        let theirs = acceptor_attributes(&theirs);
        assert_eq!(ours.contains(InitiatorAttributes::CONNECTION), initiator);
        assert_eq!(
            ours.contains(InitiatorAttributes::EXTENDED_ERROR),
            initiator
        );
        assert_eq!(theirs.contains(AcceptorAttributes::CONNECTION), acceptor);
        assert_eq!(
            theirs.contains(AcceptorAttributes::EXTENDED_ERROR),
            acceptor
        );
    }
}

/// Replay and sequence detection imply integrity, DCE style mutual authentication.
#[test]
fn implied_flags_are_given() {
    let world = World::new(AES256);
    for asked in [
        InitiatorRequirements::REPLAY_DETECT,
        InitiatorRequirements::SEQUENCE_DETECT,
    ] {
        let (ours, theirs) = Sides::new(&world, Wishes::of(asked)).establish();
        assert!(initiator_attributes(&ours).contains(InitiatorAttributes::INTEGRITY));
        assert!(acceptor_attributes(&theirs).contains(AcceptorAttributes::INTEGRITY));
        assert_eq!(ours.mech_list_mic, MechListMic::Possible);
    }
    let wishes = Wishes::of(InitiatorRequirements::USE_DCE_STYLE);
    let (ours, theirs) = Sides::new(&world, wishes).establish();
    assert!(initiator_attributes(&ours).contains(InitiatorAttributes::MUTUAL_AUTH));
    assert!(acceptor_attributes(&theirs).contains(AcceptorAttributes::MUTUAL_AUTH));
}

/// An IDENTIFY context gives an access token of that level.
#[test]
fn identify_limits_the_access_token() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::of(InitiatorRequirements::IDENTIFY));
    sides.establish();
    let (initiator, acceptor) = sides.contexts();
    let token = world.table.query_security_context_token(acceptor).unwrap();
    assert_eq!(token.level, ImpersonationLevel::Identification);
    assert!(world.table.query_security_context_token(initiator).is_err());
}

/// Expiry is always set: the ticket's end, and for the acceptor the skew on top.
#[test]
fn expiry_is_the_tickets_end() {
    let world = World::new(AES256);
    let (ours, theirs) = Sides::new(&world, Wishes::full()).establish();
    let end = TicketSpec::default().end;
    assert_eq!(ours.expiry, Expiry::At(Timestamp::from_seconds(end)));
    assert_eq!(
        theirs.expiry,
        Expiry::At(Timestamp::from_seconds(end + 300))
    );
}

/// A context outlives its credential handles.
#[test]
fn contexts_outlive_their_credentials() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    sides.establish();
    world.table.free_credentials_handle(sides.client).unwrap();
    world.table.free_credentials_handle(sides.service).unwrap();
    let (initiator, acceptor) = sides.contexts();
    assert_eq!(
        session_key(&world, initiator),
        session_key(&world, acceptor)
    );
}

/// A buffer that is too small changes nothing: the same call with a larger one succeeds, in every
/// leg, and the AP-REQ is not used up.
#[test]
fn a_small_output_buffer_can_be_enlarged() {
    for wishes in [Wishes::default(), Wishes::full(), Wishes::dce()] {
        let world = World::new(AES256);
        let mut sides = Sides::new(&world, wishes.clone());
        failed(
            sides.initialize_into(None, 20),
            SecurityStatus::SEC_E_BUFFER_TOO_SMALL,
        );
        let (_, token) = sides.initialize(None);
        if wishes.initiator.is_empty() {
            // No answer is due, so none needs room.
            assert!(
                sides
                    .accept_into(Some(&token), 0)
                    .0
                    .unwrap()
                    .established()
                    .is_some()
            );
            continue;
        }
        let mut sides_again = || {
            failed(
                sides.accept_into(Some(&token), 20),
                SecurityStatus::SEC_E_BUFFER_TOO_SMALL,
            );
            sides.accept(Some(&token)).1
        };
        let answer = sides_again();
        if wishes
            .initiator
            .contains(InitiatorRequirements::USE_DCE_STYLE)
        {
            failed(
                sides.initialize_into(Some(&answer), 20),
                SecurityStatus::SEC_E_BUFFER_TOO_SMALL,
            );
            let (outcome, third) = sides.initialize(Some(&answer));
            assert!(outcome.unwrap().established().is_some());
            assert!(
                sides
                    .accept(Some(&third))
                    .0
                    .unwrap()
                    .established()
                    .is_some()
            );
        } else {
            assert!(
                sides
                    .initialize(Some(&answer))
                    .0
                    .unwrap()
                    .established()
                    .is_some()
            );
        }
    }
}

/// QueryContextAttributes on both sides of an established context.
#[test]
fn attributes_of_an_established_context() {
    use ContextAttribute as Attribute;
    use ContextAttributeValue as Value;
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    let (ours, theirs) = sides.establish();
    let (initiator, acceptor) = sides.contexts();
    let service = "HTTP/localhost@EXAMPLE.TEST";
    for (context, established, target) in [(initiator, &ours, TARGET), (acceptor, &theirs, service)]
    {
        let query = |attribute| {
            world
                .table
                .query_context_attributes(context, attribute)
                .unwrap_or_else(|error| panic!("{attribute:?}: {error}"))
        };
        let Value::Sizes(sizes) = query(Attribute::Sizes) else {
            panic!()
        };
        assert_eq!(
            (
                sizes.max_token,
                sizes.max_signature,
                sizes.block_size,
                sizes.security_trailer
            ),
            (48_000, 28, 1, 60)
        );
        let Value::StreamSizes(sizes) = query(Attribute::StreamSizes) else {
            panic!()
        };
        assert_eq!((sizes.header, sizes.trailer, sizes.block_size), (60, 0, 1));
        let Value::Names(name) = query(Attribute::Names) else {
            panic!()
        };
        assert_eq!(name, ALICE);
        let Value::NativeNames(names) = query(Attribute::NativeNames) else {
            panic!()
        };
        assert_eq!(
            (names.client_name.as_str(), names.server_name.as_str()),
            (ALICE, service)
        );
        let Value::Lifespan(lifespan) = query(Attribute::Lifespan) else {
            panic!()
        };
        assert_eq!(lifespan.start, Timestamp::from_seconds(NOW - 60));
        assert_eq!(lifespan.expiry, established.expiry);
        let Value::Flags(flags) = query(Attribute::Flags) else {
            panic!()
        };
        assert_eq!(flags, established.attributes);
        let Value::KeyInfo(info) = query(Attribute::KeyInfo) else {
            panic!()
        };
        assert_eq!(info.encrypt_algorithm_name, "aes256-cts-hmac-sha1-96");
        assert_eq!(
            (
                info.key_size,
                info.encrypt_algorithm,
                info.signature_algorithm
            ),
            (256, 18, 16)
        );
        let Value::PackageInfo(info) = query(Attribute::PackageInfo) else {
            panic!()
        };
        assert_eq!(info.name, "Kerberos");
        let Value::NegotiationInfo(info) = query(Attribute::NegotiationInfo) else {
            panic!()
        };
        assert_eq!(info.state, NegotiationState::Direct);
        let Value::ClientSpecifiedTarget(name) = query(Attribute::ClientSpecifiedTarget) else {
            panic!()
        };
        assert_eq!(name, target);
        let Value::LastClientTokenStatus(status) = query(Attribute::LastClientTokenStatus) else {
            panic!()
        };
        assert_eq!(status, LastClientTokenStatus::Yes);
        let error = world
            .table
            .query_context_attributes(context, Attribute::UniqueBindings)
            .unwrap_err();
        assert_eq!(error.status(), SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION);
    }
}

/// Conformance row 108: the sub-key is of the client's first permitted type, whatever the ticket's.
#[test]
fn the_acceptor_chooses_among_the_offered_enctypes() {
    let world = World::new(Enctype::AES128_CTS_HMAC_SHA1_96);
    let mut sides = Sides::new(&world, Wishes::full());
    sides.establish();
    for context in [sides.contexts().0, sides.contexts().1] {
        let value = world
            .table
            .query_context_attributes(context, ContextAttribute::KeyInfo)
            .unwrap();
        let ContextAttributeValue::KeyInfo(info) = value else {
            panic!()
        };
        assert_eq!(info.encrypt_algorithm, 18);
    }
}

/// What the package says about itself: name, numbers, capabilities that work, and its functions.
#[test]
fn the_package_describes_itself() {
    let world = World::new(AES256);
    let info = world.table.query_security_package_info("kerberos").unwrap();
    assert_eq!(
        (info.name.as_ref(), info.version, info.rpc_id),
        ("Kerberos", 1, 16)
    );
    assert_eq!(info.max_token, 48_000);
    assert!(info.capabilities.contains(
        SecPkgCapabilities::INTEGRITY
            | SecPkgCapabilities::PRIVACY
            | SecPkgCapabilities::MUTUAL_AUTH
            | SecPkgCapabilities::READONLY_WITH_CHECKSUM
            | SecPkgCapabilities::DELEGATION
    ));
    assert!(
        !info
            .capabilities
            .intersects(SecPkgCapabilities::DATAGRAM | SecPkgCapabilities::CLIENT_ONLY)
    );
    let functions = world.table.functions_of("Kerberos").unwrap();
    assert!(functions.contains(FunctionSet::REQUIRED));
    assert!(!functions.has(Function::ExportSecurityContext));
}

/// The direction that a credential was not acquired for is refused.
#[test]
fn a_credential_serves_its_own_direction() {
    let world = World::new(AES256);
    let mut sides = Sides::new(&world, Wishes::full());
    std::mem::swap(&mut sides.client, &mut sides.service);
    let error = failed(sides.initialize(None), SecurityStatus::SEC_E_NO_CREDENTIALS);
    assert!(matches!(
        cause(&error),
        trihound_kerberos::CredentialError::OtherDirection {
            direction: "outbound",
            ..
        }
    ));
    let error = failed(
        sides.accept(Some(&[0x60, 0])),
        SecurityStatus::SEC_E_NO_CREDENTIALS,
    );
    assert!(matches!(
        cause(&error),
        trihound_kerberos::CredentialError::OtherDirection {
            direction: "inbound",
            ..
        }
    ));
    let both = KerberosCredential::from_ticket(world.forge(&TicketSpec::default()))
        .unwrap()
        .and(KerberosCredential::acceptor(world.keytab.clone(), None));
    sides.client = world.package.adopt(both.clone()).unwrap();
    sides.service = world.package.adopt(both).unwrap();
    sides.establish();
}
