//! Clients that run for long: one request at a time, tickets ahead of need, dead KDCs.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use trihound::environment::{read_keytab, write_keytab};
use trihound::krb5::{
    AsExchange, AsRequest, ClientSecret, CredentialStore, Environment, MemoryStore, Principal,
};
use trihound::sansio::{Clock, FixedClock, SystemClock, Timestamp, drive};
use trihound::sspi::SecurityStatus;
use trihound::{Client, Error, KerberosCredential, OsRandom, Server};
use trihound_test_realm::TestRealm;

use crate::programs::{config, connection};
use crate::support::{Counted, Directory, REALM, SERVICE, alice, realm};

const HOUR: Duration = Duration::from_secs(3600);

/// A realm and its clients by one clock that moves when it is told.
struct Lab {
    clock: Arc<FixedClock>,
    realm: Arc<TestRealm>,
    kdc: Counted,
}

impl Lab {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::new(SystemClock.now()));
        let realm = TestRealm::builder(REALM)
            .principal("alice", "password")
            .service(SERVICE)
            .service("host/localhost")
            .clock(clock.clone())
            .build()
            .unwrap();
        let kdc = Counted::new(&realm);
        Self { clock, realm, kdc }
    }

    fn builder(&self) -> trihound::ClientBuilder {
        let mut config = config();
        config.ticket_lifetime = 10 * HOUR;
        Client::builder()
            .config(config)
            .clock(self.clock.clone())
            .transport(self.kdc.clone())
    }

    fn client(&self) -> Client {
        self.builder()
            .password("alice", "password")
            .build()
            .unwrap()
    }

    fn asked(&self) -> (usize, usize, usize) {
        self.kdc.asked.counts()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// When the client's ticket-granting ticket ends.
fn end_of(store: &MemoryStore, now: Timestamp) -> Timestamp {
    let krbtgt = Principal::krbtgt(&alice().realm);
    store.find(&alice(), &krbtgt, now).unwrap().unwrap().endtime
}

#[test]
fn any_number_of_threads_make_one_login_and_one_request_for_each_service() {
    let realm = realm();
    let kdc = Counted::new(&realm).slow();
    let client = Client::builder()
        .config(config())
        .password("alice", "password")
        .transport(kdc.clone())
        .build()
        .unwrap();
    let together = Barrier::new(16);
    thread::scope(|scope| {
        for number in 0..16 {
            let (client, together) = (client.clone(), &together);
            scope.spawn(move || {
                together.wait();
                let target = [SERVICE, "host/localhost"][number % 2];
                client.get_ticket(target).unwrap();
            });
        }
    });
    // One login: the KDC wants pre-authentication first.
    assert_eq!(kdc.asked.counts(), (2, 2, 0));
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(kdc.asked.counts(), (2, 2, 0));
}

#[test]
fn a_failure_is_that_of_all_who_waited_and_is_rested_after() {
    let lab = Lab::new();
    let mut kdc = lab.kdc.clone();
    kdc.delay = Duration::from_millis(200);
    let client = lab
        .builder()
        .password("alice", "password")
        .transport(kdc.clone())
        .build()
        .unwrap();
    kdc.asked.cut(true);
    let together = Barrier::new(8);
    let errors: Vec<String> = thread::scope(|scope| {
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let (client, together) = (client.clone(), &together);
                scope.spawn(move || {
                    together.wait();
                    client.get_ticket(SERVICE).unwrap_err()
                })
            })
            .collect();
        waiting
            .into_iter()
            .map(|thread| {
                let Error::Security(error) = thread.join().unwrap() else {
                    panic!("SSPI's error is expected");
                };
                assert_eq!(
                    error.status(),
                    SecurityStatus::SEC_E_NO_AUTHENTICATING_AUTHORITY
                );
                assert!(
                    error
                        .find_source::<trihound::sansio::TransportFailure>()
                        .is_some()
                        || error.text().contains("192.0.2.1:88"),
                    "{error}"
                );
                error.to_string()
            })
            .collect()
    });
    assert!(errors.iter().all(|text| text.contains("192.0.2.1:88")));
    assert_eq!(lab.asked().2, 1);
    // A moment later nobody is asked, and the error says for how long.
    lab.advance(Duration::from_millis(500));
    let rested = client.get_ticket(SERVICE).unwrap_err().to_string();
    assert!(rested.contains("the next one may be in 500 ms"), "{rested}");
    assert_eq!(lab.asked().2, 1);
    // The KDC is back: the next attempt heals it.
    lab.kdc.asked.cut(false);
    lab.advance(Duration::from_millis(501));
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (2, 1, 1));
}

#[test]
fn a_wrong_password_is_not_tried_over_and_over() {
    let lab = Lab::new();
    let client = lab.builder().password("alice", "wrong").build().unwrap();
    for _ in 0..20 {
        let Error::Security(error) = client.log_in().unwrap_err() else {
            panic!("SSPI's error is expected");
        };
        assert_eq!(
            error.status(),
            SecurityStatus::SEC_E_LOGON_DENIED,
            "{error}"
        );
    }
    assert_eq!(lab.asked(), (2, 0, 0));
}

#[test]
fn a_ticket_is_got_anew_when_half_of_its_life_is_over() {
    let lab = Lab::new();
    let client = lab.client();
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (2, 1, 0));
    lab.advance(HOUR * 4);
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (2, 1, 0));
    // Past the half: a new ticket-granting ticket; the service's ticket serves on.
    lab.advance(HOUR * 2);
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (4, 1, 0));
    // Shortly before its end that one is followed too, by one that ends with the new one.
    lab.advance(HOUR * 4 - Duration::from_secs(200));
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (4, 2, 0));
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (4, 2, 0));
}

#[test]
fn an_old_ticket_serves_while_no_kdc_answers_and_heals_when_one_does() {
    let lab = Lab::new();
    let client = lab.client();
    client.get_ticket(SERVICE).unwrap();
    lab.kdc.asked.cut(true);
    lab.advance(HOUR * 6);
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (2, 1, 1));
    // Its rest is kept by everybody.
    for _ in 0..5 {
        client.get_ticket(SERVICE).unwrap();
    }
    assert_eq!(lab.asked(), (2, 1, 1));
    lab.advance(HOUR);
    lab.kdc.asked.cut(false);
    client.get_ticket(SERVICE).unwrap();
    assert_eq!(lab.asked(), (4, 1, 1));
    // Nothing is left of it: without the KDC, past its end, there is an error.
    lab.kdc.asked.cut(true);
    lab.advance(HOUR * 30);
    let error = client.get_ticket(SERVICE).unwrap_err().to_string();
    assert!(error.contains("192.0.2.1:88"), "{error}");
    lab.kdc.asked.cut(false);
    lab.advance(HOUR);
    client.get_ticket(SERVICE).unwrap();
}

/// A store with a renewable ticket-granting ticket, as a cache that somebody filled.
fn filled(lab: &Lab, life: Duration, renewable: Duration) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    fill(lab, &store, life, renewable);
    store
}

fn fill(lab: &Lab, store: &MemoryStore, life: Duration, renewable: Duration) {
    let environment = Environment::new(lab.clock.clone(), Arc::new(OsRandom), Arc::new(config()));
    let mut request = AsRequest::new(alice(), ClientSecret::Password("password".into()));
    request.lifetime = Some(life);
    request.renew_lifetime = (!renewable.is_zero()).then_some(renewable);
    let exchange = AsExchange::begin(request, &environment).unwrap();
    let outcome = drive(exchange, lab.realm.transport()).unwrap();
    store.store(&Arc::new(outcome.credentials)).unwrap();
}

#[test]
fn a_cache_without_a_secret_is_renewed_as_long_as_it_can_be() {
    let lab = Lab::new();
    let store = filled(&lab, HOUR * 10, HOUR * 24);
    let client = lab.builder().store(store.clone()).build().unwrap();
    client.get_ticket(SERVICE).unwrap();
    let first = end_of(&store, lab.clock.now());
    lab.advance(HOUR * 6);
    client.get_ticket(SERVICE).unwrap();
    assert!(end_of(&store, lab.clock.now()) > first);
    // A renewal is a TGS exchange; nobody logged in through this client.
    assert_eq!(lab.asked(), (0, 2, 0));
}

#[test]
fn a_cache_that_ended_is_told_at_once_and_serves_when_it_was_filled_again() {
    let lab = Lab::new();
    let store = filled(&lab, HOUR, Duration::ZERO);
    let client = lab.builder().store(store.clone()).build().unwrap();
    client.get_ticket(SERVICE).unwrap();
    lab.advance(HOUR * 2);
    for _ in 0..3 {
        let Error::Security(error) = client.get_ticket(SERVICE).unwrap_err() else {
            panic!("SSPI's error is expected");
        };
        assert_eq!(error.status(), SecurityStatus::SEC_E_NO_CREDENTIALS);
        assert!(error.text().contains("alice@EXAMPLE.TEST"), "{error}");
    }
    fill(&lab, &store, HOUR, Duration::ZERO);
    client.get_ticket(SERVICE).unwrap();
}

#[test]
fn a_key_that_was_changed_in_the_client_keytab_is_used_from_the_next_login_on() {
    let lab = Lab::new();
    let directory = Directory::new();
    let path = directory.0.join("client.keytab");
    write_keytab(&path, &lab.realm.keytab(&["alice"]).unwrap()).unwrap();
    let client = lab.builder().keytab("alice", path.clone()).build().unwrap();
    client.log_in().unwrap();
    lab.realm.rotate_keys("alice").unwrap();
    lab.advance(HOUR * 11);
    assert!(client.log_in().is_err());
    write_keytab(&path, &lab.realm.keytab(&["alice"]).unwrap()).unwrap();
    lab.advance(HOUR);
    client.log_in().unwrap();
}

#[test]
fn a_service_whose_keytab_changes_takes_old_and_new_tickets() {
    let realm = realm();
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    write_keytab(&path, &realm.keytab(&[SERVICE]).unwrap()).unwrap();
    let server = Server::builder()
        .config(config())
        .keytab(path.clone())
        .build()
        .unwrap();
    let before = crate::programs::client(&realm);
    let greet = |client: &Client| {
        let (near, far) = connection();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.accept(far).map(|secure| secure.peer().to_owned()));
            let connected = client.connect(SERVICE, near).map(|_| ());
            (connected, serving.join().unwrap())
        })
    };
    assert!(greet(&before).1.is_ok());
    realm.rotate_keys(SERVICE).unwrap();
    let after = crate::programs::client(&realm);
    // The key is changed at the KDC before the file is: who has a new ticket is refused.
    assert!(greet(&after).1.is_err());
    write_keytab(&path, &realm.keytab(&[SERVICE]).unwrap()).unwrap();
    let versions = |path| read_keytab(path).unwrap().entries().len();
    assert!(versions(&path) > 0);
    assert!(greet(&after).1.is_ok());
    assert!(greet(&before).1.is_ok(), "the old key is served on");
}

/// With the machine's clock: several lives of a ticket pass, and at no moment is there none.
#[test]
fn a_keeper_keeps_a_ticket_alive_that_nobody_uses() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    let mut config = config();
    config.ticket_lifetime = Duration::from_secs(2);
    let store = Arc::new(MemoryStore::new());
    let keys = Arc::new(realm.keytab(&["alice"]).unwrap());
    let client = Client::builder()
        .config(config)
        .credential(KerberosCredential::from_keytab_in_store(
            alice(),
            keys,
            store.clone(),
        ))
        .transport(kdc.clone())
        .build()
        .unwrap();
    let keeper = client.keep_fresh().unwrap();
    let begun = Instant::now();
    let has_ticket = || {
        let krbtgt = Principal::krbtgt(&alice().realm);
        let found = store.find(&alice(), &krbtgt, SystemClock.now());
        found.unwrap().is_some()
    };
    while !has_ticket() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no first ticket");
        thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        assert!(has_ticket(), "after {:?}", begun.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    let (logins, ..) = kdc.asked.counts();
    assert!((6..=20).contains(&logins), "{logins} AS-REQs in 5 s");
    drop(keeper);
    thread::sleep(Duration::from_millis(300));
    let (logins, ..) = kdc.asked.counts();
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(kdc.asked.counts().0, logins, "it went on after its end");
}
