//! What a server may do wrong, and what the transport makes of it.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use trihound_asn1::{KerberosTime, KrbError, Message, PrincipalName, error_code, name_type};
use trihound_kdc_transport::MAX_REPLY_LENGTH;
use trihound_sansio::{Route, Service, Transport, TransportFailure, TransportHint};

use trihound_kdc_transport::Limits;

use crate::servers::{
    AS_REP, AS_REQ, Driver, OTHER_AS_REP, Server, addresses, config, framed, nobody, put, quick,
    request, silent_stream,
};

fn transport(limit: usize, kdcs: &[std::net::SocketAddr]) -> Driver {
    transport_with(limit, addresses(kdcs), quick())
}

fn transport_with(limit: usize, kdcs: Vec<String>, limits: Limits) -> Driver {
    Driver::of(module_path!(), config(limit, kdcs), limits)
}

/// Requests go by UDP up to this size.
const UDP_FIRST: usize = 1465;
/// Every request goes by TCP first.
const TCP_FIRST: usize = 0;

fn echo_udp(reply: &'static [u8]) -> Server {
    Server::udp(move |socket, _, from| {
        let _ = socket.send_to(reply, from);
    })
}

fn fails(kdcs: &[std::net::SocketAddr], hint: TransportHint) -> TransportFailure {
    transport(TCP_FIRST, kdcs)
        .round_trip(&request(hint))
        .unwrap_err()
}

#[test]
fn a_datagram_is_answered() {
    let kdc = echo_udp(AS_REP);
    let mut transport = transport(UDP_FIRST, &[kdc.address]);
    assert_eq!(
        transport.round_trip(&request(TransportHint::Any)).unwrap(),
        AS_REP
    );
    assert_eq!(kdc.heard(), 1);
}

/// Conformance row 181: the limit decides which protocol goes first.
#[test]
fn a_message_above_the_limit_goes_over_a_stream() {
    let kdc = Server::tcp(|stream, message| {
        assert_eq!(message, AS_REQ);
        put(stream, &framed(AS_REP));
    });
    let mut transport = transport(TCP_FIRST, &[kdc.address]);
    let reply = transport.round_trip(&request(TransportHint::Any)).unwrap();
    assert_eq!(reply, AS_REP);
}

/// Conformance row 181: after KRB_ERR_RESPONSE_TOO_BIG the core asks for a stream.
#[test]
fn stream_only_sends_no_datagram() {
    let udp = echo_udp(OTHER_AS_REP);
    let error = transport(UDP_FIRST, &[udp.address])
        .round_trip(&request(TransportHint::StreamOnly))
        .unwrap_err();
    assert_eq!(udp.heard(), 0);
    assert!(
        error.attempts.iter().all(|line| line.starts_with("tcp")),
        "{error}"
    );
}

#[test]
fn a_realm_without_datagrams_is_reached_over_a_stream() {
    let kdc = Server::tcp(|stream, _| put(stream, &framed(AS_REP)));
    let mut transport = transport(UDP_FIRST, &[kdc.address]);
    let began = Instant::now();
    transport.round_trip(&request(TransportHint::Any)).unwrap();
    // The ICMP report is taken as an answer: no waiting for a timeout.
    assert!(began.elapsed() < Duration::from_millis(700));
}

#[test]
fn a_dead_server_is_followed_by_the_next_and_then_asked_last() {
    let dead = nobody();
    let kdc = Server::tcp(|stream, _| put(stream, &framed(AS_REP)));
    let mut transport = transport(TCP_FIRST, &[dead, kdc.address]);
    for _ in 0..3 {
        let reply = transport
            .round_trip(&request(TransportHint::StreamOnly))
            .unwrap();
        assert_eq!(reply, AS_REP);
    }
    assert_eq!(kdc.heard(), 3);
}

#[test]
fn a_silent_server_is_joined_by_the_next_and_then_asked_last() {
    let silent = Server::udp(|_, _, _| {});
    let kdc = echo_udp(AS_REP);
    let mut transport = transport(UDP_FIRST, &[silent.address, kdc.address]);
    let began = Instant::now();
    transport.round_trip(&request(TransportHint::Any)).unwrap();
    let first = began.elapsed();
    assert!(first >= quick().next_server_after, "{first:?}");
    let heard = silent.heard();
    let began = Instant::now();
    transport.round_trip(&request(TransportHint::Any)).unwrap();
    assert!(began.elapsed() < quick().next_server_after);
    assert_eq!(
        silent.heard(),
        heard,
        "the silent one was asked first again"
    );
}

#[test]
fn a_late_answer_still_counts_while_the_next_is_asked() {
    let late = Server::udp(|socket, _, from| {
        thread::sleep(Duration::from_millis(300));
        let _ = socket.send_to(AS_REP, from);
    });
    let silent = Server::udp(|_, _, _| {});
    let mut transport = transport(UDP_FIRST, &[late.address, silent.address]);
    let reply = transport.round_trip(&request(TransportHint::Any)).unwrap();
    assert_eq!(reply, AS_REP);
    assert!(silent.heard() > 0, "the next one was not asked meanwhile");
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let kdc = Server::udp(move |socket, _, from| {
        if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            let _ = socket.send_to(AS_REP, from);
        }
    });
    let mut transport = transport(UDP_FIRST, &[kdc.address]);
    transport.round_trip(&request(TransportHint::Any)).unwrap();
    assert!(kdc.heard() >= 2);
}

/// Conformance row 184: what does not answer the request is no reply.
#[test]
fn garbage_datagrams_are_passed_over() {
    let kdc = Server::udp(|socket, _, from| {
        for garbage in [
            &b""[..],
            b"garbage",
            &[0x6b],
            &[0x6b, 0x05, 0x30],
            &[0x6d, 0x02, 0x30, 0x00],
            AS_REQ,
        ] {
            let _ = socket.send_to(garbage, from);
        }
        let _ = socket.send_to(AS_REP, from);
    });
    let mut transport = transport(UDP_FIRST, &[kdc.address]);
    assert_eq!(
        transport.round_trip(&request(TransportHint::Any)).unwrap(),
        AS_REP
    );
}

#[test]
fn nothing_but_garbage_is_told() {
    let kdc = echo_udp(b"garbage");
    let error = transport(UDP_FIRST, &[kdc.address])
        .round_trip(&request(TransportHint::Any))
        .unwrap_err();
    let udp = error
        .attempts
        .iter()
        .find(|l| l.starts_with("udp"))
        .unwrap();
    assert!(udp.contains("do not answer the request"), "{udp}");
}

/// Conformance row 184: a reply from elsewhere is not even seen.
#[test]
fn a_datagram_from_another_address_is_ignored() {
    let kdc = Server::udp(|socket, _, from| {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = stranger.send_to(OTHER_AS_REP, from);
        thread::sleep(Duration::from_millis(20));
        let _ = socket.send_to(AS_REP, from);
    });
    let mut transport = transport(UDP_FIRST, &[kdc.address]);
    assert_eq!(
        transport.round_trip(&request(TransportHint::Any)).unwrap(),
        AS_REP
    );
}

#[test]
fn a_stream_may_arrive_byte_by_byte() {
    let kdc = Server::tcp(|stream, _| {
        for byte in framed(AS_REP) {
            put(stream, &[byte]);
            thread::sleep(Duration::from_millis(5));
        }
    });
    let mut transport = transport(TCP_FIRST, &[kdc.address]);
    assert_eq!(
        transport.round_trip(&request(TransportHint::Any)).unwrap(),
        AS_REP
    );
}

/// Conformance row 181: the top bit of the length is clear, and the size has a cap.
#[test]
fn lengths_that_cannot_be_are_refused() {
    let above = u32::try_from(MAX_REPLY_LENGTH).unwrap() + 1;
    for (length, expected) in [
        (0x8000_0005, "reserved top bit"),
        (0xffff_ffff, "reserved top bit"),
        (0x7fff_ffff, "the limit is"),
        (above, "the limit is"),
        (0, "announces 0 bytes"),
    ] {
        let kdc = Server::tcp(move |stream, _| {
            let length: u32 = length;
            put(stream, &length.to_be_bytes());
            put(stream, AS_REP);
        });
        let error = fails(&[kdc.address], TransportHint::StreamOnly);
        assert!(error.to_string().contains(expected), "{length:#x}: {error}");
    }
}

#[test]
fn a_stream_that_ends_early_is_told() {
    for (sent, expected) in [
        (0, "after 0 of 4 bytes"),
        (3, "after 3 of 4 bytes"),
        (4, "after 0 of 5 bytes"),
        (6, "after 2 of 5 bytes"),
    ] {
        let kdc = Server::tcp(move |stream, _| put(stream, &framed(AS_REP)[..sent]));
        let error = fails(&[kdc.address], TransportHint::StreamOnly);
        assert!(error.to_string().contains(expected), "{sent}: {error}");
    }
}

#[test]
fn a_reply_of_the_wrong_type_is_refused_and_the_next_server_asked() {
    let wrong = Server::tcp(|stream, _| put(stream, &framed(&[0x6d, 0x02, 0x30, 0x00])));
    let error = fails(&[wrong.address], TransportHint::StreamOnly);
    assert!(error.to_string().contains("first byte 0x6d"), "{error}");
    let right = Server::tcp(|stream, _| put(stream, &framed(AS_REP)));
    let reply = transport(TCP_FIRST, &[wrong.address, right.address])
        .round_trip(&request(TransportHint::StreamOnly))
        .unwrap();
    assert_eq!(reply, AS_REP);
}

/// Conformance row 184: the whole is bounded, and every attempt is told.
#[test]
fn silence_everywhere_ends_within_the_budget() {
    let udp = Server::udp(|_, _, _| {});
    let listener = silent_stream();
    let tcp = listener.local_addr().unwrap();
    let began = Instant::now();
    let error = transport(UDP_FIRST, &[udp.address, tcp])
        .round_trip(&request(TransportHint::Any))
        .unwrap_err();
    assert!(began.elapsed() < quick().total + Duration::from_millis(500));
    assert_eq!(error.attempts.len(), 4, "{error}");
    assert_eq!(error.realm, "EXAMPLE.TEST");
    for expected in [
        format!("udp {}: no reply", udp.address),
        format!("tcp {tcp}: no reply"),
        format!("tcp {}: refused", udp.address),
        format!("udp {tcp}: refused"),
    ] {
        assert!(error.to_string().contains(&expected), "{expected}: {error}");
    }
}

#[test]
fn a_stream_that_drips_for_ever_ends_within_the_budget() {
    let kdc = Server::tcp(|stream, _| {
        put(stream, &100_000_u32.to_be_bytes());
        for _ in 0..60 {
            put(stream, &[0x6b]);
            thread::sleep(Duration::from_millis(50));
        }
    });
    let began = Instant::now();
    let error = fails(&[kdc.address], TransportHint::StreamOnly);
    assert!(began.elapsed() < quick().total, "{error}");
    assert!(error.to_string().contains("no reply within"), "{error}");
}

fn unavailable() -> Vec<u8> {
    KrbError {
        pvno: 5,
        msg_type: 30,
        ctime: None,
        cusec: None,
        stime: KerberosTime::from_seconds(1_700_000_000),
        susec: 0,
        error_code: error_code::KDC_ERR_SVC_UNAVAILABLE,
        crealm: None,
        cname: None,
        realm: "EXAMPLE.TEST".into(),
        sname: PrincipalName::new(name_type::NT_SRV_INST, ["krbtgt", "EXAMPLE.TEST"]),
        e_text: None,
        e_data: None,
    }
    .to_der()
    .unwrap()
}

#[test]
fn a_server_that_is_not_available_is_followed_by_the_next() {
    let busy = Server::udp(|socket, _, from| {
        let _ = socket.send_to(&unavailable(), from);
    });
    let kdc = echo_udp(AS_REP);
    let reply = transport(UDP_FIRST, &[busy.address, kdc.address])
        .round_trip(&request(TransportHint::Any))
        .unwrap();
    assert_eq!(reply, AS_REP);
    // With nobody else, what it said is the answer.
    let reply = transport(UDP_FIRST, &[busy.address])
        .round_trip(&request(TransportHint::Any))
        .unwrap();
    assert_eq!(reply, unavailable());
}

#[test]
fn a_route_goes_before_the_configuration() {
    let configured = echo_udp(OTHER_AS_REP);
    let prescribed = echo_udp(AS_REP);
    let mut routed = request(TransportHint::Any);
    routed.route = Some(Route(prescribed.address.to_string()));
    let reply = transport(UDP_FIRST, &[configured.address])
        .round_trip(&routed)
        .unwrap();
    assert_eq!(reply, AS_REP);
    assert_eq!(configured.heard(), 0);
}

/// Nobody says that a prescribed server is a primary one: one wrong password is not tried there twice.
#[test]
fn a_route_leads_to_no_primary_kdc() {
    let configured = echo_udp(OTHER_AS_REP);
    let prescribed = echo_udp(AS_REP);
    for hint in [TransportHint::PrimaryOnly, TransportHint::PrimaryStreamOnly] {
        let mut routed = request(hint);
        routed.route = Some(Route(prescribed.address.to_string()));
        let failure = transport(UDP_FIRST, &[configured.address])
            .round_trip(&routed)
            .unwrap_err();
        assert_eq!(failure, TransportFailure::no_primary(&routed.realm));
    }
    assert_eq!((configured.heard(), prescribed.heard()), (0, 0));
}

#[test]
fn a_name_is_resolved_and_its_addresses_are_asked_in_turn() {
    let kdc = echo_udp(AS_REP);
    let name = format!("localhost:{}", kdc.address.port());
    let reply = transport_with(UDP_FIRST, vec![name], quick())
        .round_trip(&request(TransportHint::Any))
        .unwrap();
    assert_eq!(reply, AS_REP);
}

#[test]
fn an_unknown_realm_says_what_to_configure() {
    let mut elsewhere = request(TransportHint::Any);
    elsewhere.realm = "ELSEWHERE.TEST".into();
    let error = transport(UDP_FIRST, &[])
        .round_trip(&elsewhere)
        .unwrap_err();
    assert!(error.attempts.is_empty());
    assert!(
        error.advice.contains("`kdc = host` for ELSEWHERE.TEST"),
        "{error}"
    );
}

#[test]
fn a_password_change_goes_to_one_server_at_a_time() {
    let silent = Server::udp(|_, _, _| {});
    let other = Server::udp(|socket, _, from| {
        let _ = socket.send_to(&[0, 6, 0, 1, 0, 0], from);
    });
    let mut change = request(TransportHint::Any);
    change.service = Service::Kpasswd;
    change.message = vec![0, 6, 0, 1, 0, 0];
    let mut config = trihound_krb5::Config::default();
    config.realms.insert(
        "EXAMPLE.TEST".into(),
        trihound_krb5::config::RealmConfig {
            kpasswd_servers: vec![silent.address.to_string(), other.address.to_string()],
            ..Default::default()
        },
    );
    let mut transport = Driver::of(module_path!(), std::sync::Arc::new(config), quick());
    let began = Instant::now();
    let reply = transport.round_trip(&change).unwrap();
    assert_eq!(reply, [0, 6, 0, 1, 0, 0]);
    // The second was asked only when the first had been given up.
    assert!(began.elapsed() >= quick().attempt);
}
