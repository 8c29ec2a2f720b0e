//! The library's clients and servers at home in an MIT realm: many threads, tickets kept fresh beside
//! MIT's tools, keys that MIT changes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use trihound::environment::{CacheName, UserStore, load_config_from};
use trihound::krb5::Config;
use trihound::sansio::{ExchangeRequest, Transport, TransportFailure};
use trihound::{Client, KdcTransport, SecureStream, Server};
use trihound_interop::Realm;

use crate::world::{Make, World, finished, lines, peers, report, succeeded};

/// The way to the realm's KDC, counting.
#[derive(Clone)]
struct Counted {
    kdc: KdcTransport,
    logins: Arc<AtomicUsize>,
    tickets: Arc<AtomicUsize>,
}

impl Counted {
    fn new(config: &Arc<Config>) -> Self {
        Self {
            kdc: KdcTransport::new(Arc::clone(config)),
            logins: Arc::default(),
            tickets: Arc::default(),
        }
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.logins.load(Ordering::SeqCst),
            self.tickets.load(Ordering::SeqCst),
        )
    }
}

impl Transport for Counted {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        // [APPLICATION 10] is an AS-REQ (RFC 4120 section 5.10).
        match request.message.first() {
            Some(0x6a) => &self.logins,
            _ => &self.tickets,
        }
        .fetch_add(1, Ordering::SeqCst);
        self.kdc.round_trip(request)
    }
}

fn config(world: &World) -> Arc<Config> {
    let path = world.realm.variable("KRB5_CONFIG").to_owned();
    Arc::new(load_config_from(path.as_ref()).unwrap())
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Both ends of a context, made by the library's loops.
fn pair(
    client: &Client,
    target: &str,
    server: &Server,
) -> (SecureStream<TcpStream>, SecureStream<TcpStream>) {
    let (near, far) = connection();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.accept(far).unwrap());
        let near = client.connect(target, near).unwrap();
        (near, serving.join().unwrap())
    })
}

#[test]
fn many_threads_make_one_login_at_an_mit_kdc_and_talk_over_their_contexts() {
    let Some(world) = World::new() else { return };
    let config = config(&world);
    let kdc = Counted::new(&config);
    let client = Client::builder()
        .config(Arc::clone(&config))
        .keytab("alice", world.path("client.keytab"))
        .transport(kdc.clone())
        .build()
        .unwrap();
    let server = Server::builder()
        .config(config)
        .keytab(world.path("service.keytab"))
        .build()
        .unwrap();
    let together = Barrier::new(16);
    thread::scope(|scope| {
        for number in 0..16 {
            let (client, server, together) = (&client, &server, &together);
            scope.spawn(move || {
                together.wait();
                let target = ["HTTP/localhost", "host/localhost"][number % 2];
                let (mut near, mut far) = pair(client, target, server);
                let text: Vec<u8> = (0..=255).cycle().take(100_000).collect();
                thread::scope(|scope| {
                    scope.spawn(|| {
                        near.write_all(&text).unwrap();
                        near.close().unwrap();
                    });
                    let mut heard = Vec::new();
                    far.read_to_end(&mut heard).unwrap();
                    assert_eq!(heard, text);
                });
                assert!(far.peer().starts_with("alice@"), "{}", far.peer());
                assert!(near.peer().starts_with(target), "{}", near.peer());
            });
        }
    });
    // MIT's KDC asks for pre-authentication first: two AS-REQs are one login.
    let (logins, tickets) = kdc.counts();
    assert!(logins <= 2, "{logins} AS-REQs");
    assert_eq!(tickets, 2);
}

/// A cache that MIT's kinit filled with a ticket of six seconds lives on, by renewal, and MIT's tools
/// use what is renewed.
#[test]
fn a_cache_of_mits_is_kept_alive_by_renewal() {
    let Some(world) = World::new() else { return };
    let config = config(&world);
    world.logged_in(Make::Mit, "kept", &["-l", "6s", "-r", "60s", "alice"]);
    let name = CacheName::parse(&world.scratch.cache("kept")).unwrap();
    let nowhere = std::path::PathBuf::from("/nonexistent/keytab");
    let kdc = Counted::new(&config);
    let client = Client::builder()
        .config(config)
        .store(Arc::new(UserStore::new(name, nowhere.clone(), nowhere)))
        .transport(kdc.clone())
        .build()
        .unwrap();
    let _keeper = client.keep_fresh().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(11) {
        thread::sleep(Duration::from_secs(1));
        succeeded(&world.run(Make::Mit, "kept", "klist", &["-s"]));
    }
    let (logins, renewals) = kdc.counts();
    assert_eq!(logins, 0, "there is no secret to log in with");
    assert!((2..=8).contains(&renewals), "{renewals} TGS-REQs in 11 s");
    succeeded(&world.run(Make::Mit, "kept", "kvno", &["host/localhost"]));
    client.get_ticket("host/localhost").unwrap();
    let listed = world.run(Make::Mit, "kept", "klist", &[] as &[&str]);
    let shown = lines(&listed.stdout).into_iter().collect::<Vec<_>>();
    assert!(
        shown.iter().any(|line| line.contains("host/localhost")),
        "{listed}"
    );
}

/// The KDC of a service that runs for long is stopped and comes back: what is valid serves meanwhile,
/// what is wanted anew is an error that says where it was tried, and the first attempt after the rest
/// heals it.
#[test]
fn a_credential_heals_itself_when_the_kdc_is_back() {
    const LIFE: Duration = Duration::from_secs(8);
    let Some(peers) = peers() else { return };
    let realm = Realm::start(peers).unwrap();
    let life = [format!("ticket_lifetime = {}s", LIFE.as_secs())];
    let profile = realm.profile("short", &life).unwrap();
    let config = Arc::new(load_config_from(&profile).unwrap());
    let kdc = Counted::new(&config);
    let client = Client::builder()
        .config(Arc::clone(&config))
        .keytab("alice", realm.directory().join("client.keytab"))
        .transport(kdc.clone())
        .build()
        .unwrap();
    let server = Server::builder()
        .config(config)
        .keytab(realm.directory().join("service.keytab"))
        .build()
        .unwrap();
    let address = format!(
        "{}:{}",
        realm.variable("KDC_ADDRESS"),
        realm.variable("KDC_PORT")
    );
    let asked = Instant::now();
    client.get_ticket("HTTP/localhost").unwrap();
    let got = Instant::now();
    let before = kdc.counts();

    realm.pause().unwrap();
    drop(pair(&client, "HTTP/localhost", &server));
    assert_eq!(kdc.counts(), before, "a young ticket needs no KDC");
    let error = client.get_ticket("host/localhost").unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
    assert_eq!(kdc.counts(), (before.0, before.1 + 1));
    // Past half of its life a better one is tried for, once; the old one serves.
    thread::sleep((asked + LIFE * 5 / 8).saturating_duration_since(Instant::now()));
    drop(pair(&client, "HTTP/localhost", &server));
    drop(pair(&client, "HTTP/localhost", &server));
    assert_eq!(kdc.counts(), (before.0 + 1, before.1 + 1));
    // Past its end there is nothing left.
    thread::sleep((got + LIFE + Duration::from_secs(1)).saturating_duration_since(Instant::now()));
    let error = client.get_ticket("HTTP/localhost").unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
    let failed = Instant::now();
    let resting = client.get_ticket("HTTP/localhost").unwrap_err().to_string();
    assert!(resting.contains("the next one may be in"), "{resting}");
    let during = kdc.counts();
    assert_eq!(during, (before.0 + 2, before.1 + 1));

    realm.resume().unwrap();
    let back = Instant::now();
    let healed = loop {
        match client.get_ticket("HTTP/localhost") {
            Ok(()) => break Instant::now(),
            Err(error) => assert!(back.elapsed() < Duration::from_secs(5), "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    // Two failures in a row: a rest of two seconds, and nobody asked before it was over.
    assert!(healed - failed >= Duration::from_millis(1900));
    // MIT's KDC asks for pre-authentication first, or that is remembered.
    let after = kdc.counts();
    assert!((1..=2).contains(&(after.0 - during.0)), "{after:?}");
    assert_eq!(after.1, during.1 + 1);
    for target in ["HTTP/localhost", "host/localhost"] {
        drop(pair(&client, target, &server));
    }
    report(&[format!(
        "a KDC that was away: healed {:.1} s after it was back, {:.1} s after the last failure",
        (healed - back).as_secs_f64(),
        (healed - failed).as_secs_f64()
    )]);
}

/// `kadmin.local` changes a service's key and adds it to the keytab: who has an old ticket and who
/// gets a new one are both served, by the server that has run all along.
#[test]
fn a_key_that_mits_administrator_changes_is_picked_up() {
    let Some(world) = World::new() else { return };
    let config = config(&world);
    let keytab = world.scratch.join("changing.keytab");
    let service = format!("changing{}/localhost", std::process::id());
    let kadmin = |query: &str| {
        let mut command: Command = world.realm.command("kadmin.local", "MEMORY:none");
        command.args(["-q", query]).stdin(Stdio::null());
        succeeded(&finished(command, ""));
    };
    let export = format!("ktadd -k {} {service}", keytab.display());
    kadmin(&format!("add_principal -randkey {service}"));
    kadmin(&export);
    let server = Server::builder()
        .config(Arc::clone(&config))
        .keytab(keytab.clone())
        .build()
        .unwrap();
    let client = || {
        Client::builder()
            .config(Arc::clone(&config))
            .keytab("alice", world.path("client.keytab"))
            .build()
            .unwrap()
    };
    let before = client();
    drop(pair(&before, &service, &server));
    // ktadd makes a new random key, and the file has both versions then.
    kadmin(&export);
    let after = client();
    drop(pair(&after, &service, &server));
    drop(pair(&before, &service, &server));
}
