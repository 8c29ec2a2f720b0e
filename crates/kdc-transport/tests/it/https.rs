//! KDC proxies through a function of the caller's, over threads and over tokio.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trihound_kdc_transport::{
    HttpsPost, HttpsRequest, KdcTransport, ServerMemory, decode_proxy_message, encode_proxy_message,
};
use trihound_sansio::{Transport, TransportFailure, TransportHint};

use crate::servers::{
    AS_REP, AS_REQ, Driver, OTHER_AS_REP, Server, addresses, config, quick, request,
};

const REALM: &str = "EXAMPLE.TEST";
const URL: &str = "https://proxy.example/KdcProxy";

/// Each way of driving the transport.
fn drivers(kdcs: &[String], post: impl HttpsPost + 'static) -> Vec<Driver> {
    // What is dead is found out by each of them anew.
    let blocking = KdcTransport::with_limits(config(1465, kdcs.to_vec()), quick())
        .with_https(Arc::new(post))
        .with_memory(ServerMemory::new());
    let own_memory = blocking.clone().with_memory(ServerMemory::new());
    vec![
        #[cfg(feature = "tokio")]
        Driver::asynchronous(&blocking),
        Driver::Blocking(own_memory),
    ]
}

fn ask(driver: &mut Driver) -> Result<Vec<u8>, TransportFailure> {
    driver.round_trip(&request(TransportHint::Any))
}

#[test]
fn a_proxy_answers_as_a_kdc_does() {
    let post = |request: &HttpsRequest<'_>| {
        assert_eq!(request.url, URL);
        assert!(request.timeout <= quick().attempt);
        let message = decode_proxy_message(REALM, request.body).map_err(|e| e.to_string())?;
        assert_eq!(message, AS_REQ);
        encode_proxy_message(REALM, AS_REP).map_err(|e| e.to_string())
    };
    for mut driver in drivers(&[URL.to_owned()], post) {
        assert_eq!(ask(&mut driver).unwrap(), AS_REP);
    }
}

#[test]
fn what_a_proxy_may_do_wrong_is_told_and_the_next_server_asked() {
    let kdc = Server::udp(|socket, _, from| {
        let _ = socket.send_to(AS_REP, from);
    });
    let count = AtomicUsize::new(0);
    let post = move |_: &HttpsRequest<'_>| match count.fetch_add(1, Ordering::SeqCst) % 4 {
        0 => Err("the certificate is somebody else's".to_owned()),
        1 => panic!("a function of the caller's"),
        2 => Ok(b"<html>".to_vec()),
        _ => encode_proxy_message(REALM, &[0x6d, 0x02, 0x30, 0x00]).map_err(|e| e.to_string()),
    };
    let post = Arc::new(post);
    let shared = Arc::clone(&post);
    for mut driver in drivers(&[URL.to_owned()], move |r: &HttpsRequest<'_>| {
        shared.post(r)
    }) {
        for expected in [
            "somebody else's",
            "panicked",
            "answer is of no use",
            "no answer to the request (first byte 0x6d",
        ] {
            let failure = ask(&mut driver).unwrap_err();
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }
    let both = [vec![URL.to_owned()], addresses(&[kdc.address])].concat();
    for mut driver in drivers(&both, move |r: &HttpsRequest<'_>| post.post(r)) {
        assert_eq!(ask(&mut driver).unwrap(), AS_REP);
    }
}

#[test]
fn a_slow_proxy_is_joined_by_the_next_server_and_remembered() {
    let kdc = Server::udp(|socket, _, from| {
        let _ = socket.send_to(AS_REP, from);
    });
    let both = [vec![URL.to_owned()], addresses(&[kdc.address])].concat();
    let post = |request: &HttpsRequest<'_>| {
        thread::sleep(request.timeout.min(Duration::from_millis(600)));
        encode_proxy_message(REALM, OTHER_AS_REP).map_err(|e| e.to_string())
    };
    for mut driver in drivers(&both, post) {
        for most in [quick().next_server_after * 3, quick().next_server_after] {
            let began = Instant::now();
            assert_eq!(ask(&mut driver).unwrap(), AS_REP);
            assert!(began.elapsed() < most, "{:?}", began.elapsed());
        }
    }
}
