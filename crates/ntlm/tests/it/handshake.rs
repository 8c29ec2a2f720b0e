//! Handshakes of ours with ours, and what each side has afterwards.

use trihound_ntlm::message::{
    AuthenticateMessage, ChallengeMessage, NegotiateMessage, NtResponse, Version,
};
use trihound_ntlm::{AvFlags, AvId, NegotiateFlags, NtHash, NtlmCredential, TokenError};
use trihound_sspi::{
    AcceptorAttributes, ContextAttribute, ContextAttributeValue as Value, Expiry,
    InitiatorAttributes, InitiatorRequirements, MechListMic, SecBuffer, SecBufferDesc,
    SecurityStatus,
};

use crate::forge::with_response;
use crate::world::{
    ALICE, DOMAIN, PASSWORD, Sides, TARGET, Wishes, World, acceptor_attributes, alice, cause,
    failed, initiator_attributes, secret,
};

/// Sends one sealed message each way.
fn exchange(sides: &Sides<'_>) {
    let (ours, theirs) = sides.contexts();
    for (from, to) in [(ours, theirs), (theirs, ours)] {
        let table = &sides.world.table;
        let (mut token, mut data) = (vec![0; 16], *b"attack at dawn");
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
        let mut message = SecBufferDesc::new(&mut buffers);
        table.encrypt_message(from, 0, &mut message, 0).unwrap();
        assert_ne!(&data, b"attack at dawn");
        let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
        let mut message = SecBufferDesc::new(&mut buffers);
        assert_eq!(table.decrypt_message(to, &mut message, 0).unwrap(), 0);
        assert_eq!(&data, b"attack at dawn");
    }
}

#[test]
fn both_sides_have_one_key_and_every_protection() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let (ours, theirs) = sides.establish();
    assert_eq!(
        initiator_attributes(&ours),
        InitiatorAttributes::INTEGRITY
            | InitiatorAttributes::CONFIDENTIALITY
            | InitiatorAttributes::REPLAY_DETECT
            | InitiatorAttributes::SEQUENCE_DETECT
    );
    assert_eq!(
        acceptor_attributes(&theirs),
        AcceptorAttributes::INTEGRITY
            | AcceptorAttributes::CONFIDENTIALITY
            | AcceptorAttributes::REPLAY_DETECT
            | AcceptorAttributes::SEQUENCE_DETECT
    );
    for established in [&ours, &theirs] {
        assert_eq!(established.expiry, Expiry::Never);
        assert_eq!(established.mech_list_mic, MechListMic::Required);
    }
    let [our_key, their_key] = sides.session_keys();
    assert_eq!(our_key, their_key);
    assert_eq!(our_key.len(), 16);
    exchange(&sides);
}

#[test]
fn with_nothing_asked_there_is_authentication_only() {
    let world = World::new();
    let mut sides = world.sides(Wishes::none());
    let (ours, theirs) = sides.establish();
    assert_eq!(initiator_attributes(&ours), InitiatorAttributes::empty());
    assert_eq!(acceptor_attributes(&theirs), AcceptorAttributes::empty());
    assert_eq!(ours.mech_list_mic, MechListMic::Impossible);
    let [our_key, their_key] = sides.session_keys();
    assert_eq!(our_key, their_key);
    let (context, _) = sides.contexts();
    let (mut token, mut data) = (vec![0; 16], *b"x");
    let mut buffers = [SecBuffer::token(&mut token), SecBuffer::data(&mut data)];
    let mut message = SecBufferDesc::new(&mut buffers);
    let error = world
        .table
        .make_signature(context, 0, &mut message, 0)
        .unwrap_err();
    assert_eq!(error.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
}

/// Conformance row 149: where no key is exchanged, what both sides have is the session base key, computed
/// here from the response on the wire.
#[test]
fn row_149_the_key_is_the_session_base_key_where_none_is_exchanged() {
    let world = World::new();
    let mut sides = world.sides(Wishes::none());
    let token = sides.up_to_authenticate();
    let _ = sides.accept(Some(&token)).0.unwrap();
    let proof = with_response(&token, |response| response.proof);
    let key = NtHash::from_password(&secret(PASSWORD)).response_key(ALICE, DOMAIN);
    let base = key.mac(&[&proof]);
    assert_eq!(sides.session_keys(), [base.to_vec(), base.to_vec()]);
    // With a key exchange it is the client's own instead.
    let mut sides = world.sides(Wishes::full());
    let token = sides.up_to_authenticate();
    let _ = sides.accept(Some(&token)).0.unwrap();
    let proof = with_response(&token, |response| response.proof);
    assert!(!sides.session_keys().contains(&key.mac(&[&proof]).to_vec()));
}

#[test]
fn a_hash_serves_as_well_as_the_password() {
    let world = World::new();
    let hash = NtHash::from_password(&secret(PASSWORD));
    let mut sides = world
        .sides(Wishes::full())
        .with_client(NtlmCredential::from_nt_hash(ALICE, DOMAIN, hash));
    sides.establish();
    exchange(&sides);
}

#[test]
fn names_in_every_form_mean_the_same_account() {
    for (user, domain) in [
        (ALICE, DOMAIN),
        ("ALICE", DOMAIN),
        (ALICE, "example"),
        (ALICE, ""),
        ("alice@example", ""),
        (ALICE, "web"),
        (ALICE, "web.example.com"),
        (ALICE, "."),
    ] {
        let world = World::new();
        let credential = NtlmCredential::from_password(user, domain, secret(PASSWORD));
        let mut sides = world.sides(Wishes::full()).with_client(credential);
        sides.establish();
        let (_, acceptor) = sides.contexts();
        let names = world
            .table
            .query_context_attributes(acceptor, ContextAttribute::Names)
            .unwrap();
        assert!(
            matches!(&names, Value::Names(name) if name == "EXAMPLE\\alice"),
            "{user} of {domain}: {names:?}"
        );
    }
}

#[test]
fn what_each_side_is_told_of_the_other() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    let challenge = sides.challenge(&negotiate);
    let (_, authenticate) = sides.authenticate(&challenge);
    let _ = sides.accept(Some(&authenticate)).0.unwrap();
    let [ours, theirs] = sides.query_both(ContextAttribute::Names);
    assert!(matches!(ours.unwrap(), Value::Names(name) if name == "EXAMPLE\\alice"));
    assert!(matches!(theirs.unwrap(), Value::Names(name) if name == "EXAMPLE\\alice"));
    for value in sides.query_both(ContextAttribute::NativeNames) {
        let Value::NativeNames(names) = value.unwrap() else {
            panic!("other names");
        };
        assert_eq!(names.client_name, "EXAMPLE\\alice");
        assert_eq!(names.server_name, "EXAMPLE");
    }
    for value in sides.query_both(ContextAttribute::ClientSpecifiedTarget) {
        assert!(matches!(value.unwrap(), Value::ClientSpecifiedTarget(name) if name == TARGET));
    }
    let sent = ChallengeMessage::parse(&challenge).unwrap();
    for value in sides.query_both(ContextAttribute::TargetInformation) {
        let Value::TargetInformation(bytes) = value.unwrap() else {
            panic!("no target information");
        };
        assert_eq!(Some(bytes.as_slice()), sent.target_info);
    }
    let [ours, theirs] = sides.query_both(ContextAttribute::AccessToken);
    assert_eq!(
        ours.unwrap_err().status(),
        SecurityStatus::SEC_E_UNSUPPORTED_FUNCTION
    );
    let Value::AccessToken(token) = theirs.unwrap() else {
        panic!("no token");
    };
    assert_eq!(token.client_name, "EXAMPLE\\alice");
    assert_eq!(token.domain, "EXAMPLE");
    for value in sides.query_both(ContextAttribute::KeyInfo) {
        assert!(matches!(value.unwrap(), Value::KeyInfo(info) if info.key_size == 128));
    }
    for value in sides.query_both(ContextAttribute::Sizes) {
        let Value::Sizes(sizes) = value.unwrap() else {
            panic!("no sizes");
        };
        assert_eq!((sizes.max_signature, sizes.security_trailer), (16, 16));
        assert_eq!(sizes.block_size, 1);
    }
}

/// Conformance row 154.
#[test]
fn row_154_the_initiator_draws_the_key_where_messages_are_protected() {
    let world = World::new();
    for (wishes, exchanged) in [(Wishes::full(), true), (Wishes::none(), false)] {
        let mut sides = world.sides(wishes);
        let token = sides.up_to_authenticate();
        let message = AuthenticateMessage::parse(&token).unwrap();
        let flag = NegotiateFlags::NEGOTIATE_KEY_EXCH;
        assert_eq!(message.flags.contains(flag), exchanged);
        let length = if exchanged { 16 } else { 0 };
        assert_eq!(message.encrypted_session_key.len(), length);
    }
    let (mut first, mut second) = (world.sides(Wishes::full()), world.sides(Wishes::full()));
    first.establish();
    second.establish();
    assert_ne!(first.session_keys(), second.session_keys());
}

/// Conformance rows 34 and 139.
#[test]
fn rows_34_and_139_the_mic_is_promised_and_the_lm_response_is_zero() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    let challenge = sides.challenge(&negotiate);
    let (_, token) = sides.authenticate(&challenge);
    let message = AuthenticateMessage::parse(&token).unwrap();
    assert_eq!(message.lm_response, [0; 24]);
    assert!(message.mic.is_some_and(|mic| mic != [0; 16]));
    let NtResponse::V2(response) = NtResponse::parse(message.nt_response).unwrap() else {
        panic!("not NTLMv2");
    };
    assert!(response.av_pairs.flags().contains(AvFlags::MIC_PROVIDED));
    let sent = ChallengeMessage::parse(&challenge).unwrap();
    let sent_pairs = sent.av_pairs().unwrap().unwrap();
    assert_eq!(Some(response.timestamp), sent_pairs.timestamp());
    assert_eq!(response.av_pairs.timestamp(), sent_pairs.timestamp());
}

/// Conformance row 36.
#[test]
fn row_36_the_target_is_sent_and_marked_where_nobody_vouches_for_it() {
    let world = World::new();
    for (more, marked) in [
        (InitiatorRequirements::empty(), false),
        (InitiatorRequirements::UNVERIFIED_TARGET_NAME, true),
    ] {
        let mut wishes = Wishes::full();
        wishes.initiator |= more;
        let token = world.sides(wishes).up_to_authenticate();
        let message = AuthenticateMessage::parse(&token).unwrap();
        let NtResponse::V2(response) = NtResponse::parse(message.nt_response).unwrap() else {
            panic!("not NTLMv2");
        };
        let pairs = response.av_pairs;
        assert_eq!(pairs.target_name().unwrap().as_deref(), Some(TARGET));
        assert_eq!(
            pairs.flags().contains(AvFlags::UNVERIFIED_TARGET_NAME),
            marked
        );
    }
}

/// Conformance row 155.
#[test]
fn row_155_each_challenge_is_another_and_serves_once() {
    let world = World::new();
    let mut first = world.sides(Wishes::full());
    let negotiate = first.negotiate();
    let challenge = first.challenge(&negotiate);
    let (_, authenticate) = first.authenticate(&challenge);
    let mut second = world.sides(Wishes::full());
    let other = second.challenge(&negotiate);
    let drawn = |bytes: &[u8]| ChallengeMessage::parse(bytes).unwrap().server_challenge;
    assert_ne!(drawn(&challenge), drawn(&other));
    let error = failed(
        second.accept(Some(&authenticate)),
        SecurityStatus::SEC_E_LOGON_DENIED,
    );
    assert_eq!(
        *cause::<trihound_ntlm::VerifierFailure>(&error),
        trihound_ntlm::VerifierFailure::LogonFailed
    );
    let _ = first.accept(Some(&authenticate)).0.unwrap();
    let error = failed(
        first.accept(Some(&authenticate)),
        SecurityStatus::SEC_E_INVALID_TOKEN,
    );
    let length = authenticate.len();
    assert_eq!(
        *cause::<TokenError>(&error),
        TokenError::AfterEstablishment { length }
    );
}

#[test]
fn a_datagram_context_begins_with_the_challenge() {
    let world = World::new();
    let mut sides = world.sides(Wishes::datagram());
    let nothing = sides.negotiate();
    assert_eq!(nothing, Vec::<u8>::new());
    let challenge = sides.challenge(&[]);
    let (ours, authenticate) = sides.authenticate(&challenge);
    let message = AuthenticateMessage::parse(&authenticate).unwrap();
    assert!(message.flags.contains(NegotiateFlags::NEGOTIATE_KEY_EXCH));
    assert!(message.flags.contains(NegotiateFlags::NEGOTIATE_DATAGRAM));
    let theirs = sides.accept(Some(&authenticate)).0.unwrap();
    let theirs = theirs.established().unwrap();
    let got = initiator_attributes(&ours);
    assert!(got.contains(InitiatorAttributes::DATAGRAM | InitiatorAttributes::CONFIDENTIALITY));
    assert!(
        !got.intersects(InitiatorAttributes::REPLAY_DETECT | InitiatorAttributes::SEQUENCE_DETECT)
    );
    assert!(acceptor_attributes(theirs).contains(AcceptorAttributes::DATAGRAM));
    let [our_key, their_key] = sides.session_keys();
    assert_eq!(our_key, their_key);
    exchange(&sides);
}

#[test]
fn the_attributes_that_one_side_alone_asks_for() {
    let world = World::new();
    let mut wishes = Wishes::full();
    wishes.initiator |= InitiatorRequirements::IDENTIFY
        | InitiatorRequirements::CONNECTION
        | InitiatorRequirements::USE_DCE_STYLE
        | InitiatorRequirements::MUTUAL_AUTH
        | InitiatorRequirements::DELEGATE;
    let mut sides = world.sides(wishes);
    let (ours, theirs) = sides.establish();
    let got = initiator_attributes(&ours);
    assert!(got.contains(
        InitiatorAttributes::IDENTIFY
            | InitiatorAttributes::CONNECTION
            | InitiatorAttributes::USED_DCE_STYLE
    ));
    // NTLM has neither, and a caller who needs them looks here.
    assert!(!got.intersects(InitiatorAttributes::MUTUAL_AUTH | InitiatorAttributes::DELEGATE));
    let got = acceptor_attributes(&theirs);
    assert!(got.contains(AcceptorAttributes::IDENTIFY));
    assert!(!got.intersects(AcceptorAttributes::MUTUAL_AUTH | AcceptorAttributes::DELEGATE));
    // DCE style, and SSPI's classic loop, call once more with nothing.
    let (outcome, token) = sides.initialize(None);
    assert_eq!(outcome.unwrap().status(), SecurityStatus::SEC_E_OK);
    assert!(token.is_empty());
}

#[test]
fn a_token_that_does_not_fit_is_handed_over_later() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    failed(
        sides.accept_into(Some(&negotiate), 10),
        SecurityStatus::SEC_E_BUFFER_TOO_SMALL,
    );
    let (outcome, challenge) = sides.accept(Some(&negotiate));
    let _ = outcome.unwrap();
    failed(
        sides.initialize_into(Some(&challenge), 100),
        SecurityStatus::SEC_E_BUFFER_TOO_SMALL,
    );
    let (outcome, authenticate) = sides.initialize(Some(&challenge));
    assert!(outcome.unwrap().established().is_some());
    let (outcome, _) = sides.accept(Some(&authenticate));
    assert!(outcome.unwrap().established().is_some());
    exchange(&sides);
}

#[test]
fn neither_name_nor_version_of_the_host_is_told() {
    let world = World::new();
    let mut sides = world.sides(Wishes::full());
    let negotiate = sides.negotiate();
    let message = NegotiateMessage::parse(&negotiate).unwrap();
    assert_eq!(
        (message.domain, message.workstation, message.version),
        (None, None, Some(Version::UNTOLD))
    );
    let challenge = sides.challenge(&negotiate);
    let version = ChallengeMessage::parse(&challenge).unwrap().version;
    assert_eq!(version, Some(Version::UNTOLD));
    let (_, authenticate) = sides.authenticate(&challenge);
    let message = AuthenticateMessage::parse(&authenticate).unwrap();
    assert_eq!(message.workstation, b"");
    assert_eq!(message.version, Some(Version::UNTOLD));
    let pairs = ChallengeMessage::parse(&challenge).unwrap();
    let pairs = pairs.av_pairs().unwrap().unwrap();
    assert!(pairs.get(AvId::SINGLE_HOST).is_none());
}

#[test]
fn a_credential_says_whose_it_is() {
    use trihound_sspi::{CredentialAttribute, CredentialAttributeValue};
    let world = World::new();
    let handle = world.adopt(alice());
    let value = world
        .table
        .query_credentials_attributes(handle, CredentialAttribute::Names);
    assert_eq!(
        value.unwrap(),
        CredentialAttributeValue::Names {
            user_name: "EXAMPLE\\alice".to_owned()
        }
    );
    assert!(!format!("{:?}", alice()).contains(PASSWORD));
}
