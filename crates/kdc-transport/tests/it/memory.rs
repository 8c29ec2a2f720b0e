//! Dead servers, cancellation and what is left behind.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use trihound_kdc_transport::{Cancel, KdcTransport, Limits, ServerMemory};
use trihound_sansio::{Transport, TransportHint};

use crate::servers::{AS_REP, Server, addresses, config, quick, request, silent_stream};

/// Requests go by UDP up to this size.
const UDP_FIRST: usize = 1465;

fn silent() -> Server {
    Server::udp(|_, _, _| {})
}

fn answering() -> Server {
    Server::udp(|socket, _, from| {
        let _ = socket.send_to(AS_REP, from);
    })
}

fn over(servers: &[&Server], limits: Limits) -> KdcTransport {
    let kdcs: Vec<_> = servers.iter().map(|server| server.address).collect();
    KdcTransport::with_limits(config(UDP_FIRST, addresses(&kdcs)), limits)
        .with_memory(ServerMemory::new())
}

fn timed(transport: &mut impl Transport) -> Duration {
    let began = Instant::now();
    let reply = transport.round_trip(&request(TransportHint::Any)).unwrap();
    assert_eq!(reply, AS_REP);
    began.elapsed()
}

#[test]
fn a_dead_server_costs_its_time_once_among_all_clones_and_threads() {
    let (dead, kdc) = (silent(), answering());
    let mut first = over(&[&dead, &kdc], quick());
    assert!(timed(&mut first) >= quick().next_server_after);
    let heard = dead.heard();
    thread::scope(|scope| {
        for _ in 0..8 {
            let mut clone = first.clone();
            scope.spawn(move || {
                for _ in 0..5 {
                    assert!(timed(&mut clone) < quick().next_server_after);
                }
            });
        }
    });
    assert_eq!(dead.heard(), heard);
    assert_eq!(kdc.heard(), 41);
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let (dead, kdc) = (silent(), answering());
    let limits = Limits {
        remember_dead: Duration::from_millis(300),
        ..quick()
    };
    let mut transport = over(&[&dead, &kdc], limits);
    timed(&mut transport);
    timed(&mut transport);
    let heard = dead.heard();
    thread::sleep(limits.remember_dead);
    // It is asked again, ahead of the other, and costs a tenth of a second where it is still silent.
    let again = timed(&mut transport);
    assert!(dead.heard() > heard);
    assert!(again < quick().next_server_after, "{again:?}");
}

#[test]
fn cancelling_ends_what_runs_and_what_comes() {
    let dead = silent();
    let stream = silent_stream();
    let kdcs = addresses(&[dead.address, stream.local_addr().unwrap()]);
    let cancel = Cancel::new();
    let mut transport = KdcTransport::with_limits(config(UDP_FIRST, kdcs), Limits::default())
        .with_memory(ServerMemory::new())
        .with_cancel(cancel.clone());
    // While the first is asked alone, and while several are.
    for patience in [50, 1500] {
        let handle = cancel.clone();
        let mut running = transport.clone();
        let began = Instant::now();
        let other = (patience == 50).then(Cancel::new);
        if let Some(own) = &other {
            running = running.with_cancel(own.clone());
        }
        let handle = other.unwrap_or(handle);
        let thread = thread::spawn(move || running.round_trip(&request(TransportHint::Any)));
        thread::sleep(Duration::from_millis(patience));
        handle.cancel();
        let failure = thread.join().unwrap().unwrap_err();
        assert!(failure.to_string().contains("cancelled"), "{failure}");
        let took = began.elapsed();
        let most = Duration::from_millis(patience + 500);
        assert!(took < most, "{took:?}");
    }
    assert!(cancel.is_cancelled());
    let heard = dead.heard();
    transport
        .round_trip(&request(TransportHint::Any))
        .unwrap_err();
    assert_eq!(dead.heard(), heard, "asked although cancelled");
}

/// Threads that are named as ours are, by what the system tells.
#[cfg(target_os = "linux")]
fn attempts_running() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| name.trim() == "kdc-round-trip")
        .count()
}

#[cfg(target_os = "linux")]
#[test]
fn no_thread_outlives_its_round_trip_for_long() {
    let (dead, kdc) = (silent(), answering());
    for _ in 0..3 {
        timed(&mut over(&[&dead, &dead, &kdc], quick()));
    }
    // Other tests have such threads of their own for a while; none lasts longer than they do.
    let until = Instant::now() + quick().total + Duration::from_secs(8);
    while attempts_running() > 0 {
        assert!(Instant::now() < until, "{} are left", attempts_running());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_answer_needs_no_thread() {
    let kdc = answering();
    let config = config(UDP_FIRST, addresses(&[kdc.address]));
    let transport = KdcTransport::with_limits(config, quick()).with_memory(ServerMemory::new());
    // A resolver that would be asked on a thread of its own is not asked for an address.
    let mut transport = transport.with_resolver(Arc::new(Untouched));
    timed(&mut transport);
}

#[derive(Debug)]
struct Untouched;

impl trihound_kdc_transport::Resolve for Untouched {
    fn query(
        &self,
        _: &str,
        _: trihound_kdc_transport::RecordType,
    ) -> Result<trihound_kdc_transport::Answer, trihound_kdc_transport::ResolveError> {
        panic!("DNS was asked")
    }

    fn addresses(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        panic!("the system was asked")
    }
}

#[test]
fn a_resolver_that_panics_is_a_failure_and_no_hang() {
    let config = config(UDP_FIRST, vec!["kdc.example".into()]);
    let mut transport = KdcTransport::with_limits(config, quick())
        .with_memory(ServerMemory::new())
        .with_resolver(Arc::new(Untouched));
    let began = Instant::now();
    let failure = transport
        .round_trip(&request(TransportHint::Any))
        .unwrap_err();
    assert!(failure.to_string().contains("panicked"), "{failure}");
    assert!(began.elapsed() < quick().next_server_after);
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use super::*;
    use crate::servers::Driver;
    use trihound_sansio::AsyncTransport;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    }

    #[test]
    fn blocking_and_asynchronous_transports_share_their_memory() {
        let (dead, kdc) = (silent(), answering());
        let mut blocking = over(&[&dead, &kdc], quick());
        timed(&mut blocking);
        let mut asynchronous = Driver::asynchronous(&blocking);
        assert!(timed(&mut asynchronous) < quick().next_server_after);
    }

    #[test]
    fn many_tasks_pay_for_a_dead_server_once() {
        let (dead, kdc) = (silent(), answering());
        let mut transport = over(&[&dead, &kdc], quick()).to_async();
        runtime().block_on(async {
            let request = request(TransportHint::Any);
            transport.round_trip(&request).await.unwrap();
            let heard = dead.heard();
            let began = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..50 {
                let (mut transport, request) = (transport.clone(), request.clone());
                tasks.spawn(async move { transport.round_trip(&request).await.unwrap() });
            }
            while let Some(reply) = tasks.join_next().await {
                assert_eq!(reply.unwrap(), AS_REP);
            }
            assert!(began.elapsed() < quick().next_server_after * 4);
            assert_eq!(dead.heard(), heard);
        });
    }

    #[test]
    fn a_dropped_future_leaves_nothing_behind() {
        let dead = silent();
        let stream = silent_stream();
        stream.set_nonblocking(true).unwrap();
        let address = stream.local_addr().unwrap();
        let kdcs = addresses(&[address, dead.address]);
        let mut transport = KdcTransport::with_limits(config(0, kdcs), Limits::default())
            .with_memory(ServerMemory::new())
            .to_async();
        runtime().block_on(async {
            let request = request(TransportHint::Any);
            let patience = Duration::from_millis(200);
            tokio::time::timeout(patience, transport.round_trip(&request))
                .await
                .unwrap_err();
            // The task that held the socket is gone with its set; the peer sees the end.
            tokio::time::sleep(Duration::from_millis(50)).await;
        });
        let (mut peer, _) = stream.accept().unwrap();
        peer.set_nonblocking(false).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut peer, &mut all).unwrap();
        assert_eq!(all, crate::servers::framed(crate::servers::AS_REQ));
    }

    #[test]
    fn its_futures_may_move_between_threads() {
        fn is_send<T: Send>(value: T) -> T {
            value
        }
        let kdc = answering();
        let mut transport = over(&[&kdc], quick()).to_async();
        let request = request(TransportHint::Any);
        let future = is_send(transport.round_trip(&request));
        assert_eq!(runtime().block_on(future).unwrap(), AS_REP);
    }
}
