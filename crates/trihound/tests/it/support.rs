use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use trihound::KerberosCredential;
use trihound::krb5::{Config, Keytab, MemoryStore, Principal};
use trihound::sansio::{ExchangeRequest, SystemClock, Transport, TransportFailure};
use trihound::secret::SecretString;
use trihound::sspi::{CredHandle, SecurityFunctionTable};
use trihound_crypto::OsRandom;
use trihound_test_realm::TestRealm;

pub(crate) const REALM: &str = "EXAMPLE.TEST";
pub(crate) const SERVICE: &str = "HTTP/localhost";

/// A realm, a client who knows alice's password, and a service with its keytab.
pub(crate) struct World {
    pub(crate) realm: Arc<TestRealm>,
    pub(crate) client: (SecurityFunctionTable, CredHandle),
    pub(crate) service: (SecurityFunctionTable, CredHandle),
}

pub(crate) fn alice() -> Principal {
    Principal::parse("alice", Some(REALM)).unwrap()
}

pub(crate) fn realm() -> Arc<TestRealm> {
    TestRealm::builder(REALM)
        .principal("alice", "password")
        .service(SERVICE)
        .service("host/localhost")
        .build()
        .unwrap()
}

pub(crate) fn keytab(realm: &TestRealm) -> Arc<Keytab> {
    Arc::new(realm.keytab(&[SERVICE]).unwrap())
}

impl World {
    pub(crate) fn new() -> Self {
        let realm = realm();
        let keytab = keytab(&realm);
        Self {
            client: side(KerberosCredential::from_password(
                alice(),
                SecretString::from("password"),
            )),
            service: side(KerberosCredential::acceptor(keytab, None)),
            realm,
        }
    }
}

pub(crate) fn side(credential: KerberosCredential) -> (SecurityFunctionTable, CredHandle) {
    let mut config = Config::default();
    config.default_realm = Some(REALM.to_owned());
    let package = trihound::kerberos(
        Arc::new(config),
        Arc::new(MemoryStore::new()),
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let table = trihound::security_function_table(&package).unwrap();
    let handle = package.adopt(credential).unwrap();
    (table, handle)
}

/// A directory of one test's own, removed at its end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let path =
            std::env::temp_dir().join(format!("trihound-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A way to the realm's KDC that counts what is asked, takes its time, and can be cut.
#[derive(Clone)]
pub(crate) struct Counted {
    realm: Arc<TestRealm>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) delay: Duration,
}

/// What was asked, through any clone.
#[derive(Default)]
pub(crate) struct Asked {
    logins: AtomicUsize,
    tickets: AtomicUsize,
    failed: AtomicUsize,
    pub(crate) is_cut: AtomicBool,
}

impl Asked {
    /// AS-REQs and TGS-REQs that were answered, and requests that were not.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (read(&self.logins), read(&self.tickets), read(&self.failed))
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

impl Counted {
    pub(crate) fn new(realm: &Arc<TestRealm>) -> Self {
        Self {
            realm: Arc::clone(realm),
            asked: Arc::default(),
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn slow(mut self) -> Self {
        self.delay = Duration::from_millis(100);
        self
    }

    fn answer(&self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        // One KDC is all that there is, and asking it as the primary would be asking it again.
        if request.hint.is_primary_only() {
            return Err(TransportFailure::no_primary(&request.realm));
        }
        let asked = &self.asked;
        if asked.is_cut.load(Ordering::SeqCst) {
            asked.failed.fetch_add(1, Ordering::SeqCst);
            return Err(TransportFailure {
                realm: request.realm.clone(),
                attempts: vec!["udp 192.0.2.1:88: no answer".to_owned()],
                advice: "plug the cable in".to_owned(),
            });
        }
        // [APPLICATION 10] is an AS-REQ (RFC 4120 section 5.10).
        let count = match request.message.first() {
            Some(0x6a) => &asked.logins,
            _ => &asked.tickets,
        };
        count.fetch_add(1, Ordering::SeqCst);
        self.realm.transport().round_trip(request)
    }
}

impl Transport for Counted {
    fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        std::thread::sleep(self.delay);
        self.answer(request)
    }
}

#[cfg(feature = "tokio")]
impl trihound::sansio::AsyncTransport for Counted {
    async fn round_trip(&mut self, request: &ExchangeRequest) -> Result<Vec<u8>, TransportFailure> {
        tokio::time::sleep(self.delay).await;
        self.answer(request)
    }
}
