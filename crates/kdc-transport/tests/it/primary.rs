//! Requests to a primary KDC alone.

use std::sync::Arc;

use trihound_kdc_transport::{KdcTransport, ServerMemory};
use trihound_krb5::Config;
use trihound_krb5::config::RealmConfig;
use trihound_sansio::{Transport, TransportHint};

use crate::servers::{AS_REP, OTHER_AS_REP, Server, quick, request};

fn answering(reply: &'static [u8]) -> Server {
    Server::udp(move |socket, _, from| {
        let _ = socket.send_to(reply, from);
    })
}

fn transport(kdcs: &[&Server], primary: &[&Server]) -> KdcTransport {
    let texts = |servers: &[&Server]| {
        let addresses = servers.iter().map(|server| server.address.to_string());
        addresses.collect::<Vec<_>>()
    };
    let mut config = Config::default();
    config.dns_lookup_kdc = false;
    let realm = RealmConfig {
        kdcs: texts(kdcs),
        primary_kdcs: texts(primary),
        ..RealmConfig::default()
    };
    config.realms.insert("EXAMPLE.TEST".into(), realm);
    KdcTransport::with_limits(Arc::new(config), quick()).with_memory(ServerMemory::new())
}

#[test]
fn the_primary_kdc_answers_after_a_replica() {
    let (replica, primary) = (answering(AS_REP), answering(OTHER_AS_REP));
    let mut transport = transport(&[&replica, &primary], &[&primary]);
    let mut ask = |hint| transport.round_trip(&request(hint)).unwrap();
    assert_eq!(ask(TransportHint::Any), AS_REP);
    // Pre-authentication takes it two rounds.
    for _ in 0..2 {
        assert_eq!(ask(TransportHint::PrimaryOnly), OTHER_AS_REP);
    }
    assert_eq!((replica.heard(), primary.heard()), (1, 2));
}

/// A wrong password must not be counted twice by the KDC that knows it best.
#[test]
fn a_primary_kdc_that_has_answered_is_not_asked_again() {
    let primary = answering(AS_REP);
    let mut transport = transport(&[&primary], &[&primary]);
    transport.round_trip(&request(TransportHint::Any)).unwrap();
    let failure = transport
        .round_trip(&request(TransportHint::PrimaryOnly))
        .unwrap_err();
    assert!(failure.advice.contains("already"), "{failure}");
    assert_eq!(primary.heard(), 1);
}

#[test]
fn a_realm_without_a_primary_kdc_says_so_at_once() {
    let replica = answering(AS_REP);
    let mut transport = transport(&[&replica], &[]);
    let failure = transport
        .round_trip(&request(TransportHint::PrimaryOnly))
        .unwrap_err();
    assert!(failure.advice.contains("primary"), "{failure}");
    assert_eq!(replica.heard(), 0);
}
