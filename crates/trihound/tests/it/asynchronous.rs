//! Clients and servers on tokio.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use trihound::sspi::{InitiatorRequirements, SecurityStatus};
use trihound::tokio::{Client, SecureStream, Server};
use trihound::{Error, KerberosCredential};
use trihound_test_realm::TestRealm;

use crate::programs::{self, config};
use crate::support::{Counted, SERVICE, alice, keytab, realm};

fn server(realm: &TestRealm) -> Server {
    Server::from(programs::server(realm))
}

fn client(kdc: &Counted) -> Client {
    let blocking = trihound::Client::builder()
        .config(config())
        .password("alice", "password")
        .build()
        .unwrap();
    Client::from(blocking).with_transport(kdc.clone())
}

/// Both ends of a context over memory.
async fn pair(realm: &Arc<TestRealm>) -> (SecureStream<DuplexStream>, SecureStream<DuplexStream>) {
    let (near, far) = duplex(1000);
    let (client, server) = (client(&Counted::new(realm)), server(realm));
    let (near, far) = tokio::join!(client.connect(SERVICE, near), server.accept(far));
    (near.unwrap(), far.unwrap())
}

/// Every future may move between threads.
#[test]
fn futures_are_send() {
    fn is_send<T: Send>(_: &T) {}
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Client>();
    is_shared::<Server>();
    is_shared::<trihound::Client>();
    is_shared::<trihound::Server>();
    is_shared::<trihound::tokio::Keeper>();
    #[allow(dead_code, reason = "it is enough that it compiles")]
    fn never(
        client: &Client,
        server: &Server,
        mut secure: SecureStream<TcpStream>,
        mut initiator: trihound::Initiator,
        kdc: Counted,
        stream: fn() -> TcpStream,
    ) {
        is_send(&secure);
        is_send(&client.connect("", stream()));
        is_send(&client.connector("").connect(stream()));
        is_send(&client.log_in());
        is_send(&client.get_ticket(""));
        is_send(&client.connector("").handshake().step(None));
        is_send(&server.accept(stream()));
        is_send(&server.handshake().accept(stream()));
        is_send(&secure.send(b""));
        is_send(&secure.receive());
        is_send(&secure.close());
        is_send(&initiator.step_async(None, kdc));
    }
}

#[tokio::test]
async fn messages_go_both_ways_over_tcp_and_end() {
    let realm = realm();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server(&realm);
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut secure = server.accept(stream).await.unwrap();
        while let Some(message) = secure.receive().await.unwrap() {
            secure.send(&message).await.unwrap();
        }
        secure.close().await.unwrap();
        secure.peer().to_owned()
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let client = client(&Counted::new(&realm));
    let mut secure = client.connect(SERVICE, stream).await.unwrap();
    assert_eq!(secure.peer(), "HTTP/localhost@EXAMPLE.TEST");
    let long = vec![7; 300_000];
    for message in [b"hello".as_slice(), b"x", &long] {
        secure.send(message).await.unwrap();
        assert_eq!(secure.receive().await.unwrap().unwrap(), message);
    }
    secure.close().await.unwrap();
    assert!(secure.receive().await.unwrap().is_none());
    assert!(secure.send(b"more").await.is_err());
    assert_eq!(serving.await.unwrap(), "alice@EXAMPLE.TEST");
}

#[tokio::test]
async fn a_secure_stream_is_a_stream_of_bytes() {
    let realm = realm();
    let (near, far) = pair(&realm).await;
    let text: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let (mut reading, mut writing) = tokio::io::split(near);
    let (mut from, mut to) = tokio::io::split(far);
    let echo = async {
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let write = async {
        writing.write_all(&text).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let (_, (), ()) = tokio::join!(reading.read_to_end(&mut heard), write, echo);
    assert_eq!(heard, text);
}

#[tokio::test]
async fn a_connection_that_was_cut_is_not_one_that_ended() {
    let realm = realm();
    for part in [0, 2, 6] {
        let (mut near, mut far) = pair(&realm).await;
        near.get_mut()
            .write_all(&[0, 0, 0, 9, 1, 2][..part])
            .await
            .unwrap();
        drop(near);
        let error = far.receive().await.unwrap_err();
        assert!(matches!(error, Error::CutOff), "{part}: {error}");
    }
}

#[tokio::test]
async fn altered_overlong_and_merely_signed_frames_are_refused() {
    let realm = realm();
    let (mut near, mut far) = pair(&realm).await;
    near.get_mut()
        .write_all(&[0, 0, 0, 4, 5, 4, 0, 0])
        .await
        .unwrap();
    assert!(matches!(far.receive().await, Err(Error::Security(_))));
    let (mut near, mut far) = pair(&realm).await;
    near.get_mut().write_all(&[0xff; 4]).await.unwrap();
    assert!(matches!(
        far.receive().await,
        Err(Error::FrameTooLong { .. })
    ));
    let (near, mut far) = pair(&realm).await;
    let (mut stream, context) = near.into_parts();
    let signed = context.sign(b"signed").unwrap();
    let length = u32::try_from(signed.len()).unwrap().to_be_bytes();
    stream.write_all(&length).await.unwrap();
    stream.write_all(&signed).await.unwrap();
    let Err(Error::Security(error)) = far.receive().await else {
        panic!("privacy was agreed on");
    };
    assert_eq!(error.status(), SecurityStatus::SEC_E_QOP_NOT_SUPPORTED);
}

/// The pipe takes a thousand bytes at a time, so that every wait is cut in two.
#[tokio::test]
async fn a_receive_that_was_dropped_loses_nothing() {
    let realm = realm();
    let (mut near, mut far) = pair(&realm).await;
    let message: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    let sending = async {
        for _ in 0..3 {
            near.send(&message).await.unwrap();
            sleep(Duration::from_millis(3)).await;
        }
        near.close().await.unwrap();
    };
    let receiving = async {
        let (mut heard, mut dropped) = (0, 0);
        loop {
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => dropped += 1,
                received = far.receive() => match received.unwrap() {
                    Some(received) => {
                        assert_eq!(received, message);
                        heard += 1;
                    }
                    None => return (heard, dropped),
                },
            }
        }
    };
    let ((), (heard, dropped)) = tokio::join!(sending, receiving);
    assert_eq!(heard, 3);
    assert!(dropped > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_number_of_tasks_and_threads_make_one_login_and_one_request_for_each_service() {
    let realm = realm();
    let kdc = Counted::new(&realm).slow();
    let blocking = trihound::Client::builder()
        .config(config())
        .password("alice", "password")
        .transport(kdc.clone())
        .build()
        .unwrap();
    let client = Client::from(blocking.clone()).with_transport(kdc.clone());
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        let target = [SERVICE, "host/localhost"][number % 2];
        if number % 8 == 0 {
            let blocking = blocking.clone();
            tasks.spawn_blocking(move || blocking.get_ticket(target));
        } else {
            let client = client.clone();
            tasks.spawn(async move { client.get_ticket(target).await });
        }
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(kdc.asked.counts(), (2, 2, 0));
}

#[tokio::test]
async fn a_failure_is_that_of_all_tasks_that_waited() {
    let realm = realm();
    let kdc = Counted::new(&realm).slow();
    kdc.asked.cut(true);
    let client = client(&kdc);
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let client = client.clone();
        tasks.spawn(async move { client.get_ticket(SERVICE).await });
    }
    while let Some(outcome) = tasks.join_next().await {
        let error = outcome.unwrap().unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:88"), "{error}");
    }
    assert_eq!(kdc.asked.counts().2, 1);
    // The rest after a first failure is a second; then the KDC that is back heals it.
    kdc.asked.cut(false);
    sleep(Duration::from_millis(1100)).await;
    client.get_ticket(SERVICE).await.unwrap();
}

#[tokio::test]
async fn a_task_that_is_dropped_on_the_way_fails_nobody() {
    let realm = realm();
    let kdc = Counted::new(&realm).slow();
    let client = client(&kdc);
    // It leads, and is given up in its first round trip.
    let leader = timeout(Duration::from_millis(50), client.get_ticket(SERVICE));
    let waiter = async {
        sleep(Duration::from_millis(20)).await;
        client.get_ticket(SERVICE).await
    };
    let (leader, waiter) = tokio::join!(leader, waiter);
    assert!(leader.is_err());
    waiter.unwrap();
}

#[tokio::test]
async fn a_task_that_is_not_polled_holds_up_nobody() {
    let realm = realm();
    let kdc = Counted::new(&realm).slow();
    let client = client(&kdc);
    let mut idle = Box::pin(client.get_ticket(SERVICE));
    // It leads, and is left alone before its first answer.
    assert!(timeout(Duration::from_millis(50), &mut idle).await.is_err());
    client.get_ticket(SERVICE).await.unwrap();
    assert_eq!(kdc.asked.counts(), (2, 1, 0));
    idle.await.unwrap();
    assert_eq!(kdc.asked.counts(), (2, 1, 0));
}

/// A transport with a fault of its own.
#[derive(Clone)]
struct Panicking;

impl trihound::sansio::AsyncTransport for Panicking {
    async fn round_trip(
        &mut self,
        _: &trihound::sansio::ExchangeRequest,
    ) -> Result<Vec<u8>, trihound::sansio::TransportFailure> {
        panic!("a fault of the transport's own")
    }
}

#[tokio::test]
async fn a_panic_of_a_transport_is_that_of_whoever_asked() {
    let realm = realm();
    let client = client(&Counted::new(&realm)).with_transport(Panicking);
    let panicked = tokio::spawn(async move { client.get_ticket(SERVICE).await }).await;
    assert!(panicked.unwrap_err().is_panic());
}

#[tokio::test]
async fn a_blocking_clients_own_transport_serves_on_other_threads() {
    let realm = realm();
    let blocking = programs::client(&realm);
    let (near, far) = duplex(100_000);
    let (client, server) = (Client::from(blocking), server(&realm));
    let (near, far) = tokio::join!(client.connect(SERVICE, near), server.accept(far));
    drop((near.unwrap(), far.unwrap()));
}

#[tokio::test]
async fn refusals_reach_both_ends() {
    let realm = realm();
    let (near, far) = duplex(100_000);
    let client = client(&Counted::new(&realm));
    let weak = client
        .connector(SERVICE)
        .requirements(InitiatorRequirements::MUTUAL_AUTH);
    let server = server(&realm);
    let serving = async { server.accept(far).await.map(|_| ()) };
    let (near, far) = tokio::join!(weak.connect(near), serving);
    assert!(matches!(near, Err(Error::ClosedInHandshake)));
    assert!(matches!(far, Err(Error::AttributesMissing { .. })));
    // A key that the service does not have.
    let other = trihound::Server::builder()
        .config(config())
        .keytab(realm.keytab(&["host/localhost"]).unwrap())
        .build()
        .unwrap();
    let other = Server::from(other);
    let (near, far) = duplex(100_000);
    let serving = async { other.accept(far).await.map(|_| ()) };
    let (near, far) = tokio::join!(client.connect(SERVICE, near), serving);
    let error = near.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("KRB_AP_ERR"), "{error}");
    assert!(matches!(far, Err(Error::Security(_))));
}

#[tokio::test]
async fn a_keeper_keeps_a_ticket_alive_and_ends_with_its_handle() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    let mut config = config();
    config.ticket_lifetime = Duration::from_secs(2);
    let blocking = trihound::Client::builder()
        .config(config)
        .credential(KerberosCredential::from_keytab(
            alice(),
            Arc::new(realm.keytab(&["alice"]).unwrap()),
        ))
        .build()
        .unwrap();
    let client = Client::from(blocking).with_transport(kdc.clone());
    let keeper = client.keep_fresh();
    sleep(Duration::from_secs(5)).await;
    let (logins, ..) = kdc.asked.counts();
    assert!((6..=20).contains(&logins), "{logins} AS-REQs in 5 s");
    drop(keeper);
    sleep(Duration::from_millis(300)).await;
    let (logins, ..) = kdc.asked.counts();
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(kdc.asked.counts().0, logins, "it went on after its end");
}

/// A program with neither tokio's client nor its transport writes the same with the handshake alone.
#[tokio::test]
async fn an_initiator_steps_over_any_asynchronous_transport() {
    let realm = realm();
    let (table, credential) = crate::support::side(KerberosCredential::from_password(
        alice(),
        "password".into(),
    ));
    let asked = InitiatorRequirements::MUTUAL_AUTH;
    let mut initiator = trihound::Initiator::new(&table, credential, SERVICE, asked);
    let kdc = Counted::new(&realm);
    let leg = initiator.step_async(None, kdc.clone()).await.unwrap();
    assert_eq!(kdc.asked.counts(), (2, 1, 0));
    let (table, credential) =
        crate::support::side(KerberosCredential::acceptor(keytab(&realm), None));
    let mut acceptor = trihound::Acceptor::new(
        &table,
        credential,
        trihound::sspi::AcceptorRequirements::empty(),
    );
    let answer = acceptor.step(&leg.token.unwrap()).unwrap();
    let leg = initiator
        .step_async(answer.token.as_deref(), kdc)
        .await
        .unwrap();
    assert!(leg.complete);
}
