use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use trihound::KerberosCredential;
use trihound::krb5::{Config, Keytab, MemoryStore, Principal};
use trihound::sansio::SystemClock;
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
