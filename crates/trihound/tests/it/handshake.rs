use trihound::sansio::{ExchangeRequest, Transport, TransportFailure};
use trihound::sspi::{
    AcceptorRequirements, ChannelBindings, InitiatorRequirements, SecurityStatus,
};
use trihound::{Acceptor, Initiator, SecurityContext};

use crate::support::{SERVICE, World};

const ASKED: InitiatorRequirements = InitiatorRequirements::MUTUAL_AUTH
    .union(InitiatorRequirements::CONFIDENTIALITY)
    .union(InitiatorRequirements::INTEGRITY)
    .union(InitiatorRequirements::REPLAY_DETECT)
    .union(InitiatorRequirements::SEQUENCE_DETECT);

fn initiator(world: &World, asked: InitiatorRequirements) -> Initiator {
    Initiator::new(&world.client.0, world.client.1, SERVICE, asked)
}

fn acceptor(world: &World) -> Acceptor {
    Acceptor::new(
        &world.service.0,
        world.service.1,
        AcceptorRequirements::empty(),
    )
}

fn pair(world: &World, asked: InitiatorRequirements) -> (SecurityContext, SecurityContext) {
    let mut kdc = world.realm.transport();
    let (mut initiator, mut acceptor) = (initiator(world, asked), acceptor(world));
    let mut to_client = None;
    loop {
        let leg = initiator.step(to_client.as_deref(), &mut kdc).unwrap();
        let Some(token) = leg.token else { break };
        let answer = acceptor.step(&token).unwrap();
        to_client = answer.token;
        if leg.complete {
            break;
        }
    }
    (
        initiator.into_context().unwrap(),
        acceptor.into_context().unwrap(),
    )
}

#[test]
fn messages_go_both_ways_after_each_kind_of_handshake() {
    let world = World::new();
    for extra in [
        InitiatorRequirements::empty(),
        InitiatorRequirements::USE_DCE_STYLE,
        InitiatorRequirements::EXTENDED_ERROR,
    ] {
        let (client, service) = pair(&world, ASKED | extra);
        for (from, to) in [(&client, &service), (&service, &client)] {
            let opened = to.open(&from.encrypt(b"sealed").unwrap()).unwrap();
            assert!(opened.encrypted);
            assert_eq!(opened.data, b"sealed");
            let opened = to.open(&from.sign(b"signed").unwrap()).unwrap();
            assert!(!opened.encrypted);
            assert_eq!(opened.data, b"signed");
            let signature = from.make_signature(b"beside").unwrap();
            to.verify_signature(b"beside", &signature).unwrap();
        }
    }
}

#[test]
fn one_leg_is_enough_without_mutual_authentication() {
    let world = World::new();
    let asked = ASKED.difference(InitiatorRequirements::MUTUAL_AUTH);
    let (client, service) = pair(&world, asked);
    assert_eq!(
        service.open(&client.encrypt(b"x").unwrap()).unwrap().data,
        b"x"
    );
}

#[test]
fn a_replayed_and_an_altered_message_are_refused() {
    let world = World::new();
    let (client, service) = pair(&world, ASKED);
    let message = client.encrypt(b"once").unwrap();
    assert_eq!(service.open(&message).unwrap().data, b"once");
    assert_eq!(
        service.open(&message).unwrap_err().status(),
        SecurityStatus::SEC_E_OUT_OF_SEQUENCE
    );
    let mut altered = client.encrypt(b"twice").unwrap();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(
        service.open(&altered).unwrap_err().status(),
        SecurityStatus::SEC_E_MESSAGE_ALTERED
    );
    let signature = client.make_signature(b"text").unwrap();
    assert_eq!(
        service
            .verify_signature(b"test", &signature)
            .unwrap_err()
            .status(),
        SecurityStatus::SEC_E_MESSAGE_ALTERED
    );
}

#[test]
fn a_replayed_first_token_is_refused_with_a_token_for_the_peer() {
    let world = World::new();
    let token = initiator(&world, ASKED)
        .step(None, &mut world.realm.transport())
        .unwrap()
        .token
        .unwrap();
    assert!(acceptor(&world).step(&token).is_ok());
    let refused = acceptor(&world).step(&token).unwrap_err();
    assert_eq!(
        refused.error.status(),
        SecurityStatus::SEC_E_LOGON_DENIED,
        "{}",
        refused.error
    );
    assert!(
        refused.error.to_string().contains("was used before"),
        "{}",
        refused.error
    );
    assert!(refused.token.is_some());
}

#[test]
fn bindings_have_to_agree() {
    let world = World::new();
    let bound = |data: &'static [u8]| ChannelBindings::application_data(data);
    for (client, service, agrees) in [
        (Some("one"), Some("one"), true),
        (Some("one"), Some("two"), false),
        (None, Some("one"), false),
        (Some("one"), None, true),
        (None, None, true),
    ] {
        let mut initiator = initiator(&world, ASKED);
        if let Some(data) = client {
            initiator = initiator.bind(&bound(data.as_bytes())).unwrap();
        }
        let mut acceptor = acceptor(&world);
        if let Some(data) = service {
            acceptor = acceptor.bind(&bound(data.as_bytes())).unwrap();
        }
        let token = initiator
            .step(None, &mut world.realm.transport())
            .unwrap()
            .token
            .unwrap();
        let accepted = acceptor.step(&token);
        assert_eq!(accepted.is_ok(), agrees, "{client:?} against {service:?}");
        if let Err(refused) = accepted {
            assert_eq!(refused.error.status(), SecurityStatus::SEC_E_BAD_BINDINGS);
        }
    }
}

struct Dead;

impl Transport for Dead {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        Err(TransportFailure {
            realm: request.realm.clone(),
            attempts: vec!["192.0.2.1:88: no answer".into()],
            advice: String::new(),
        })
    }
}

#[test]
fn a_kdc_that_nobody_reaches_is_told_with_what_was_tried() {
    let world = World::new();
    let refused = initiator(&world, ASKED).step(None, &mut Dead).unwrap_err();
    assert_eq!(
        refused.error.status(),
        SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
    );
    let mut text = refused.error.to_string();
    let mut source = std::error::Error::source(&refused.error);
    while let Some(cause) = source {
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    assert!(text.contains("192.0.2.1:88"), "{text}");
}

#[test]
fn a_half_made_context_is_no_context_and_leaves_no_slot() {
    let world = World::new();
    let mut half = initiator(&world, ASKED);
    assert!(
        !half
            .step(None, &mut world.realm.transport())
            .unwrap()
            .complete
    );
    assert_eq!(
        half.into_context().unwrap_err().status(),
        SecurityStatus::SEC_E_INVALID_HANDLE
    );
    // A second login needs no KDC: the tickets are the credential's.
    let mut kdc = world.realm.transport();
    let leg = initiator(&world, ASKED).step(None, &mut kdc).unwrap();
    assert!(leg.token.is_some());
    assert_eq!(kdc.round_trips(), 0);
}

/// Conformance row 129.
#[test]
fn row_129_who_demands_privacy_takes_no_signed_message() {
    let world = World::new();
    let (client, service) = pair(&world, ASKED);
    let sealed = client.encrypt(b"sealed").unwrap();
    assert_eq!(service.decrypt(&sealed).unwrap(), b"sealed");
    let signed = client.sign(b"signed").unwrap();
    assert_eq!(
        service.decrypt(&signed).unwrap_err().status(),
        SecurityStatus::SEC_E_QOP_NOT_SUPPORTED
    );
}
