//! What is not asked for again, and who does not wait for ever.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use trihound::environment::write_keytab;
use trihound::krb5::{Config, MemoryStore};
use trihound::sansio::{Clock, ExchangeRequest, Transport, TransportFailure};
use trihound::sansio::{FixedClock, SystemClock};
use trihound::sspi::SecurityStatus;
use trihound::{Client, Error, KerberosCredential};
use trihound_asn1::error_code;
use trihound_test_realm::{Fault, Repeat, RequestKind, TestRealm};

use crate::programs::config;
use crate::support::{Counted, Directory, SERVICE, alice, realm};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Nobody's account is in order.
fn refuse(realm: &TestRealm, code: i32) {
    let fault = Fault::Error {
        code,
        text: "no".to_owned(),
    };
    realm.set_fault_for(RequestKind::As, fault, Repeat::Always);
}

fn refusal(outcome: Result<(), Error>) -> String {
    let Err(Error::Security(error)) = outcome else {
        panic!("SSPI's error is expected, not {outcome:?}");
    };
    assert_eq!(
        error.status(),
        SecurityStatus::SEC_E_LOGON_DENIED,
        "{error}"
    );
    error.to_string()
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::new(SystemClock.now()))
}

/// A client of the realm by a clock that moves when it is told.
fn builder(kdc: &Counted, clock: &Arc<FixedClock>) -> trihound::ClientBuilder {
    Client::builder()
        .config(config())
        .clock(clock.clone())
        .transport(kdc.clone())
}

#[test]
fn a_password_that_was_refused_is_not_sent_again_for_an_hour() {
    for (code, name) in [
        (error_code::KDC_ERR_PREAUTH_FAILED, "PREAUTH_FAILED"),
        (error_code::KDC_ERR_KEY_EXPIRED, "KEY_EXPIRED"),
        (error_code::KDC_ERR_CLIENT_REVOKED, "CLIENT_REVOKED"),
        (error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN, "PRINCIPAL_UNKNOWN"),
        (error_code::KDC_ERR_NAME_EXP, "NAME_EXP"),
    ] {
        let (realm, clock) = (realm(), clock());
        let kdc = Counted::new(&realm);
        refuse(&realm, code);
        let client = builder(&kdc, &clock)
            .password("alice", "password")
            .build()
            .unwrap();
        refusal(client.log_in());
        let (once, ..) = kdc.asked.counts();
        let refused_at = clock.now().to_string();
        for _ in 0..59 {
            clock.advance(MINUTE);
            let text = refusal(client.log_in());
            assert!(text.contains(name), "{text}");
            assert!(text.contains(&format!("refused at {refused_at}")), "{text}");
            assert!(text.contains("password"), "{text}");
            refusal(client.get_ticket(SERVICE));
        }
        assert_eq!(kdc.asked.counts(), (once, 0, 0), "{name}");
        clock.advance(MINUTE);
        refusal(client.log_in());
        assert_eq!(kdc.asked.counts(), (2 * once, 0, 0), "{name}");
        // Built anew it is another client, and a login heals the account's troubles at once.
        realm.clear_faults();
        let anew = builder(&kdc, &clock).password("alice", "password");
        anew.build().unwrap().log_in().unwrap();
    }
}

#[test]
fn a_handshake_that_goes_on_past_its_error_sends_no_refused_password() {
    let (realm, clock) = (realm(), clock());
    let kdc = Counted::new(&realm);
    let client = builder(&kdc, &clock)
        .password("alice", "wrong")
        .build()
        .unwrap();
    let mut handshake = client.connector(SERVICE).handshake();
    for _ in 0..3 {
        refusal(handshake.step(None).map(drop).map_err(Error::from));
    }
    assert_eq!(kdc.asked.counts(), (2, 0, 0));
}

#[test]
fn other_refusals_are_rested_after_as_silence_is() {
    let (realm, clock) = (realm(), clock());
    let kdc = Counted::new(&realm);
    refuse(&realm, error_code::KDC_ERR_SVC_UNAVAILABLE);
    let client = builder(&kdc, &clock)
        .password("alice", "password")
        .build()
        .unwrap();
    client.log_in().unwrap_err();
    realm.clear_faults();
    clock.advance(Duration::from_secs(1));
    client.log_in().unwrap();
}

#[test]
fn a_clock_that_is_set_back_a_little_sends_no_refused_password() {
    let (realm, clock) = (realm(), clock());
    let kdc = Counted::new(&realm);
    let client = builder(&kdc, &clock)
        .password("alice", "wrong")
        .build()
        .unwrap();
    refusal(client.log_in());
    clock.set(clock.now().minus(MINUTE));
    refusal(client.log_in());
    assert_eq!(kdc.asked.counts(), (2, 0, 0));
}

#[test]
fn refused_keys_are_sent_again_when_the_keytab_has_others() {
    let (realm, clock) = (realm(), clock());
    let kdc = Counted::new(&realm);
    let directory = Directory::new();
    let path = directory.0.join("client.keytab");
    let old = realm.keytab(&["alice"]).unwrap();
    write_keytab(&path, &old).unwrap();
    let client = builder(&kdc, &clock)
        .keytab("alice", path.clone())
        .build()
        .unwrap();
    realm.rotate_keys("alice").unwrap();
    refusal(client.log_in());
    let (once, ..) = kdc.asked.counts();
    clock.advance(MINUTE);
    let text = refusal(client.log_in());
    assert!(text.contains("keytab"), "{text}");
    // The same keys, written again, are still the refused ones.
    write_keytab(&path, &old).unwrap();
    refusal(client.log_in());
    assert_eq!(kdc.asked.counts(), (once, 0, 0));
    write_keytab(&path, &realm.keytab(&["alice"]).unwrap()).unwrap();
    client.log_in().unwrap();
}

#[test]
fn refused_keys_in_memory_are_sent_again_after_an_hour() {
    let (realm, clock) = (realm(), clock());
    let kdc = Counted::new(&realm);
    let keys = Arc::new(realm.keytab(&["alice"]).unwrap());
    let store = Arc::new(MemoryStore::new());
    let credential = KerberosCredential::from_keytab_in_store(alice(), keys, store);
    let client = builder(&kdc, &clock)
        .credential(credential)
        .build()
        .unwrap();
    refuse(&realm, error_code::KDC_ERR_CLIENT_REVOKED);
    refusal(client.log_in());
    realm.clear_faults();
    clock.advance(HOUR - MINUTE);
    refusal(client.log_in());
    clock.advance(MINUTE);
    client.log_in().unwrap();
}

#[test]
fn a_ticket_that_is_valid_serves_while_the_new_password_is_missing() {
    let (realm, clock) = (
        TestRealm::builder(crate::support::REALM).principal("alice", "password"),
        clock(),
    );
    let realm = realm.service(SERVICE).clock(clock.clone()).build().unwrap();
    let kdc = Counted::new(&realm);
    let client = builder(&kdc, &clock)
        .password("alice", "password")
        .build()
        .unwrap();
    client.log_in().unwrap();
    realm.set_password("alice", "another").unwrap();
    let (before, ..) = kdc.asked.counts();
    clock.advance(13 * HOUR);
    for _ in 0..30 {
        client.get_ticket(SERVICE).unwrap();
        clock.advance(MINUTE);
    }
    assert_eq!(kdc.asked.counts(), (before + 2, 1, 0));
}

/// With the machine's clock: before the third second is over there would be three attempts.
#[test]
fn a_keeper_sends_a_wrong_password_once() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    let client = Client::builder()
        .config(config())
        .password("alice", "wrong")
        .transport(kdc.clone())
        .build()
        .unwrap();
    let keeper = client.keep_fresh().unwrap();
    thread::sleep(Duration::from_millis(3500));
    assert_eq!(kdc.asked.counts(), (2, 0, 0));
    drop(keeper);
}

/// Limits of a round trip that a test can wait for.
fn hasty() -> Config {
    let mut config = config();
    config.request_timeout = Some(Duration::from_millis(200));
    config
}

/// A transport whose first round trip ends when the test says so.
#[derive(Clone)]
struct Stuck(Counted, Arc<Mutex<Option<mpsc::Receiver<()>>>>);

impl Transport for Stuck {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        let first = self.1.lock().unwrap().take();
        if let Some(end) = first {
            end.recv().ok();
        }
        self.0.round_trip(request)
    }
}

#[test]
fn a_transport_that_never_answers_holds_up_only_who_asked_first() {
    let realm = realm();
    let kdc = Counted::new(&realm);
    let (end, ended) = mpsc::channel();
    let client = Client::builder()
        .config(hasty())
        .password("alice", "password")
        .transport(Stuck(kdc.clone(), Arc::new(Mutex::new(Some(ended)))))
        .build()
        .unwrap();
    let first = client.clone();
    let first = thread::spawn(move || first.log_in());
    thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    let (tell, told) = mpsc::channel();
    for _ in 0..4 {
        let (client, tell) = (client.clone(), tell.clone());
        thread::spawn(move || tell.send(client.log_in()));
    }
    for _ in 0..4 {
        told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    }
    assert!(begun.elapsed() > Duration::from_secs(2), "not at once");
    assert_eq!(kdc.asked.counts().0, 2, "one of the four took the lead");
    // The late one harms nobody.
    end.send(()).unwrap();
    first.join().unwrap().unwrap();
    client.get_ticket(SERVICE).unwrap();
}

#[cfg(feature = "tokio")]
mod asynchronous {
    use tokio::runtime::{Builder, Runtime};
    use tokio::time::timeout;
    use trihound::environment::TraceWriter;

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// A program gives a request a moment, and does something else then: its runtime lives on, and
    /// nobody polls it.
    #[test]
    fn a_runtime_that_is_polled_no_more_holds_up_no_thread_and_no_other_runtime() {
        let realm = realm();
        let mut kdc = Counted::new(&realm);
        kdc.delay = Duration::from_millis(300);
        let blocking = Client::builder()
            .config(hasty())
            .password("alice", "password")
            .transport(kdc.clone())
            .build()
            .unwrap();
        let client = trihound::tokio::Client::from(blocking.clone()).with_transport(kdc.clone());
        let left = runtime();
        left.block_on(async {
            let asked = client.get_ticket(SERVICE);
            assert!(timeout(Duration::from_millis(50), asked).await.is_err());
        });
        let (tell, told) = mpsc::channel();
        let tell_too = tell.clone();
        thread::spawn(move || tell.send(blocking.get_ticket(SERVICE)));
        let elsewhere = client.clone();
        thread::spawn(move || {
            let outcome = runtime().block_on(elsewhere.get_ticket(SERVICE));
            tell_too.send(outcome)
        });
        for _ in 0..2 {
            told.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
        }
        let (logins, tickets, _) = kdc.asked.counts();
        assert_eq!((logins, tickets), (2, 1), "one of the two took the lead");
        // What was left comes late, and harms nobody.
        left.block_on(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.get_ticket(SERVICE).await.unwrap();
        });
    }

    /// What a keeper warns of.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_keeper_in_a_task_sends_a_wrong_password_once_and_warns_once() {
        let (realm, lines) = (realm(), Lines::default());
        let kdc = Counted::new(&realm);
        // Its looks at the clock are its own: minutes pass while it sleeps.
        let blocking = Client::builder()
            .config(config())
            .password("alice", "wrong")
            .build()
            .unwrap();
        let client = trihound::tokio::Client::from(blocking).with_transport(kdc.clone());
        let dispatch = tracing::Dispatch::new(TraceWriter::new(lines.clone()));
        let _guard = tracing::dispatcher::set_default(&dispatch);
        runtime().block_on(async {
            let keeper = client.keep_fresh();
            tokio::time::sleep(Duration::from_millis(3500)).await;
            drop(keeper);
            // Another one learns of the same refusal.
            let another = client.keep_fresh();
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(another);
        });
        assert_eq!(kdc.asked.counts(), (2, 0, 0));
        let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let warnings = told.matches("There is no ticket-granting ticket").count();
        assert_eq!(warnings, 2, "{told}");
    }
}
