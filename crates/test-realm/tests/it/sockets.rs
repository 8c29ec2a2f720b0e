//! Trihound's client over real sockets: krb5.conf, the blocking transport, the loopback server.

use std::sync::Arc;
use std::time::Duration;

use trihound_crypto::OsRandom;
use trihound_kdc_transport::{KdcTransport, Limits};
use trihound_krb5::{
    AsExchange, Config, Credentials, Environment, Error, Principal, Profile, TgsExchange,
    TgsRequest,
};
use trihound_sansio::{SystemClock, drive};
use trihound_test_realm::{Fault, Repeat, RequestKind, TestKdcServer, TestRealm, krb5_conf};

use crate::client::{alice, ended};

struct NoIncludes;

impl trihound_krb5::ProfileSource for NoIncludes {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("{path}: nothing is included"))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, String> {
        Err(format!("{directory}: nothing is included"))
    }
}

fn realm() -> Arc<TestRealm> {
    TestRealm::builder("EXAMPLE.TEST")
        .principal("alice", "password")
        .service("HTTP/localhost")
        .build()
        .unwrap()
}

/// What krb5.conf says, with the times of a test.
fn client(conf: &str) -> (Environment, KdcTransport) {
    let profile = Profile::parse(conf, &NoIncludes, "krb5.conf").unwrap();
    let config = Arc::new(Config::from_profile(&profile).unwrap());
    let limits = Limits {
        next_server_after: Duration::from_millis(150),
        retransmit_after: Duration::from_millis(150),
        attempt: Duration::from_secs(1),
        total: Duration::from_secs(4),
        ..Limits::default()
    };
    let transport = KdcTransport::with_limits(Arc::clone(&config), limits);
    let environment = Environment::new(Arc::new(SystemClock), Arc::new(OsRandom), config);
    (environment, transport)
}

fn log_in(conf: &str) -> Result<Credentials, Error> {
    let (environment, mut transport) = client(conf);
    let exchange = AsExchange::begin(alice(), &environment)?;
    let outcome = ended(drive(exchange, &mut transport))?;
    let tgt = Arc::new(outcome.credentials);
    let server = Principal::service("HTTP", "localhost", "EXAMPLE.TEST");
    let exchange = TgsExchange::begin(TgsRequest::new(tgt, server), &environment)?;
    Ok(ended(drive(exchange, &mut transport))?.credentials)
}

/// The configuration with one more relation in its first section.
fn with(conf: &str, relation: &str) -> String {
    conf.replacen(
        "[libdefaults]\n",
        &format!("[libdefaults]\n    {relation}\n"),
        1,
    )
}

#[test]
fn a_login_over_udp_and_over_tcp() {
    let server = TestKdcServer::start(realm()).unwrap();
    let conf = server.krb5_conf();
    log_in(&conf).unwrap();
    server.realm().set_fault(Fault::DropDatagram);
    log_in(&with(&conf, "udp_preference_limit = 1")).unwrap();
}

/// Conformance rows 104 and 181.
#[test]
fn a_reply_that_is_too_big_for_a_datagram() {
    let server = TestKdcServer::start(realm()).unwrap();
    server.realm().set_fault(Fault::ResponseTooBig);
    log_in(&server.krb5_conf()).unwrap();
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let server = TestKdcServer::start(realm()).unwrap();
    server
        .realm()
        .set_fault_for(RequestKind::Any, Fault::DropDatagram, Repeat::ONCE);
    log_in(&server.krb5_conf()).unwrap();
}

/// Conformance row 184: a broken stream is followed by the next KDC, a slow one is waited for.
#[test]
fn streams_that_break_or_drip() {
    let broken = TestKdcServer::start(realm()).unwrap();
    let tcp = |conf: String| with(&conf, "udp_preference_limit = 1");
    for fault in [
        Fault::TruncateStream,
        Fault::StreamLength(0x8000_0010),
        Fault::StreamLength(0x7fff_ffff),
    ] {
        broken.realm().clear_faults();
        broken.realm().set_fault(Fault::DropDatagram);
        broken.realm().set_fault(fault);
        let error = log_in(&tcp(broken.krb5_conf())).unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    }
    // The same realm at a second address.
    let whole = TestKdcServer::start(Arc::clone(broken.realm())).unwrap();
    whole.realm().clear_faults();
    drop(broken);
    let conf = krb5_conf(&[&whole]);
    let second = format!("kdc = {}", whole.address());
    let both = conf.replace(&second, &format!("kdc = 127.0.0.1:9\n        {second}"));
    log_in(&tcp(both)).unwrap();

    whole.realm().set_fault_for(
        RequestKind::As,
        Fault::SlowStream(Duration::from_micros(100)),
        Repeat::Always,
    );
    log_in(&tcp(conf)).unwrap();
}

/// Conformance row 184: what was tried is told.
#[test]
fn a_dead_kdc() {
    let server = TestKdcServer::start(realm()).unwrap();
    server.realm().set_fault(Fault::Dead);
    let error = log_in(&server.krb5_conf()).unwrap_err();
    let Error::Unreachable(failure) = error else {
        panic!("{error:?}");
    };
    assert_eq!(failure.attempts.len(), 2, "{failure}");
    assert!(failure.to_string().contains(&server.address().to_string()));
}
