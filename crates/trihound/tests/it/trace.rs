//! What a login tells of itself, and what it keeps to itself.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use trihound::environment::{KeytabName, NamedKeytab, TraceWriter};
use trihound::krb5::{
    AsExchange, AsRequest, ClientSecret, Config, CredentialStore, Environment, KeyMaterial,
    KeytabEntry, MemoryStore, Principal,
};
use trihound::sansio::{Clock, SystemClock, drive};
use trihound::sspi::{AcceptorRequirements, InitiatorRequirements};
use trihound::{Acceptor, Initiator, KerberosCredential, OsRandom};
use trihound_test_realm::TestRealm;

use crate::support::{Directory, REALM, SERVICE, alice, keytab};

const PASSWORD: &str = "Mock-Turtle-4711";

/// Lines as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn traced(&self, run: impl FnOnce()) -> String {
        let dispatch = Dispatch::new(TraceWriter::new(self.clone()));
        tracing::dispatcher::with_default(&dispatch, run);
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn log_in(store: &MemoryStore, realm: &Arc<TestRealm>) {
    let environment = Environment::new(
        Arc::new(SystemClock),
        Arc::new(OsRandom),
        Arc::new(Config::default()),
    );
    let request = AsRequest::new(alice(), ClientSecret::Password(PASSWORD.into()));
    let exchange = AsExchange::begin(request, &environment).unwrap();
    let outcome = drive(exchange, realm.transport()).unwrap();
    store.store(&Arc::new(outcome.credentials)).unwrap();
}

/// A realm where alice has a password that is no word of any sentence.
fn secretive_realm() -> Arc<TestRealm> {
    TestRealm::builder(REALM)
        .principal("alice", PASSWORD)
        .service(SERVICE)
        .build()
        .unwrap()
}

/// A login with a password, a ticket for a service, a handshake, a second one with the ticket of the
/// store, and two failures.
fn whole_login(store: &Arc<MemoryStore>, realm: &Arc<TestRealm>) {
    let mut kdc = realm.transport();
    let mut config = Config::default();
    config.default_realm = Some(REALM.to_owned());
    let package = trihound::kerberos(
        Arc::new(config),
        Arc::clone(store) as Arc<dyn CredentialStore>,
        Arc::new(SystemClock),
        Arc::new(OsRandom),
    );
    let table = trihound::security_function_table(&package).unwrap();
    log_in(store, realm);
    let client =
        KerberosCredential::from_store(alice(), Arc::clone(store) as Arc<dyn CredentialStore>);
    let client = package.adopt(client).unwrap();
    let service = package
        .adopt(KerberosCredential::acceptor(keytab(realm), None))
        .unwrap();
    for _ in 0..2 {
        let asked = InitiatorRequirements::MUTUAL_AUTH;
        let mut initiator = Initiator::new(&table, client, SERVICE, asked);
        let mut acceptor = Acceptor::new(&table, service, AcceptorRequirements::empty());
        let first = initiator.step(None, &mut kdc).unwrap();
        let answer = acceptor.step(&first.token.unwrap()).unwrap();
        let last = initiator.step(answer.token.as_deref(), &mut kdc).unwrap();
        assert!(last.complete);
    }
    let asked = InitiatorRequirements::MUTUAL_AUTH;
    let mut initiator = Initiator::new(&table, client, "HTTP/absent", asked);
    assert!(initiator.step(None, &mut kdc).is_err());
    let mut acceptor = Acceptor::new(&table, service, AcceptorRequirements::empty());
    assert!(acceptor.step(b"nonsense").is_err());
}

#[test]
fn a_whole_login_tells_its_steps_and_none_of_its_secrets() {
    let store = Arc::new(MemoryStore::new());
    let realm = secretive_realm();
    let trace = Lines::default().traced(|| whole_login(&store, &realm));
    let krbtgt = format!("krbtgt/{REALM}@{REALM}");
    let service = format!("{SERVICE}@{REALM}");
    let alice = format!("alice@{REALM}");
    let expected = [
        format!("Getting initial credentials for {alice}, a ticket for {krbtgt}"),
        format!("Asking realm {REALM} without pre-authentication"),
        format!("from realm {REALM}: KDC_ERR_PREAUTH_REQUIRED"),
        "Making the aes256-cts-hmac-sha1-96 key of the password with salt \"".to_owned(),
        "with a timestamp encrypted in the aes256-cts-hmac-sha1-96 key".to_owned(),
        format!("Received ticket of {alice} for {krbtgt}, valid until "),
        format!("Asking realm {REALM} for a ticket for {service}, with {krbtgt}"),
        format!("Received ticket of {alice} for {service}, valid until "),
        format!("Creating authenticator of {alice} for {service}, sub-key "),
        format!("Received ticket for {service}, in version "),
        "Decrypted the ticket with version ".to_owned(),
        format!("Accepted {alice} at {service}, ticket valid until "),
        format!("Read answer of {service}, sub-key "),
        format!("The security context of {alice} with {service} is established"),
        format!("Found ticket of {alice} for {service} in the cache"),
        format!("Asking realm {REALM} for a ticket for HTTP/absent@{REALM}"),
        format!("from realm {REALM}: KDC_ERR_S_PRINCIPAL_UNKNOWN"),
    ];
    let mut rest = trace.as_str();
    for sentence in &expected {
        let Some((_, behind)) = rest.split_once(sentence.as_str()) else {
            panic!("{sentence} is not told, or not in its turn, in\n{trace}");
        };
        rest = behind;
    }
    // The form of MIT's lines.
    for line in trace.lines() {
        let (head, text) = line.split_once(": ").unwrap();
        let (process, time) = head.split_once("] ").unwrap();
        assert_eq!(process, format!("[{}", std::process::id()));
        let (seconds, fraction) = time.split_once('.').unwrap();
        assert!(seconds.parse::<u64>().is_ok() && fraction.len() == 6);
        assert!(!text.is_empty());
    }
    assert_tells_no_secret(&trace, &store, &realm);
}

fn assert_tells_no_secret(trace: &str, store: &MemoryStore, realm: &Arc<TestRealm>) {
    let told = trace.to_ascii_lowercase();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for ticket in store.tickets(&alice()).unwrap() {
        secrets.push(ticket.session_key.expose().to_vec());
        secrets.push(ticket.ticket.clone());
    }
    assert_eq!(secrets.len(), 4, "there are two tickets");
    secrets.extend(
        keytab(realm)
            .entries()
            .iter()
            .map(|entry| entry.key.expose().to_vec()),
    );
    for secret in secrets {
        for window in secret.windows(4) {
            let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!told.contains(&hex), "bytes of a secret");
            let list = format!("{window:?}");
            assert!(
                !told.contains(list.trim_matches(['[', ']'])),
                "bytes of a secret"
            );
        }
    }
    assert!(!trace.contains(PASSWORD));
}

/// Configurations side by side: each its own trace, without anything global.
#[test]
fn two_parts_of_a_program_have_traces_of_their_own() {
    let (one, other) = (Lines::default(), Lines::default());
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    let keytab = NamedKeytab::open(KeytabName::File(path.clone()));
    let key = KeyMaterial::new(
        trihound_crypto::Enctype::AES128_CTS_HMAC_SHA1_96,
        vec![7; 16].into(),
    );
    let host = Principal::parse("host/a", Some(REALM)).unwrap();
    let entry = KeytabEntry::new(host, 1, SystemClock.now(), key);
    let told = one.traced(|| {
        keytab.add(vec![entry]).unwrap();
        keytab.read().unwrap();
    });
    assert!(told.contains(&format!("Read 1 entries of keytab FILE:{}", path.display())));
    assert_eq!(other.traced(|| {}), "");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let told = other.traced(|| {
            trihound::environment::read_keytab(&path).unwrap();
        });
        assert!(
            told.contains("Warning: ") && told.contains("chmod o="),
            "{told}"
        );
    }
}

#[test]
fn a_trace_file_is_made_private_and_written_at_its_end() {
    let directory = Directory::new();
    let path = directory.0.join("trace");
    for count in 1..=2 {
        let dispatch = Dispatch::new(TraceWriter::append_to(&path).unwrap());
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::debug!(target: "trihound_krb5", "A sentence\nof two lines");
            tracing::debug!(target: "another_program", "is none of this library's");
            tracing::trace!(target: "trihound_krb5", "is too fine");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), count);
        assert!(text.ends_with(": A sentence\\nof two lines\n"), "{text}");
    }
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777,
        0o600
    );
    assert!(TraceWriter::append_to(&directory.0.join("none/trace")).is_err());
}
