use std::fs;
use std::sync::Arc;

use trihound::environment::{
    CacheName, UserStore, destroy_cache, load_config_from, read_cache, read_keytab, write_cache,
    write_keytab,
};
use trihound::krb5::{
    AsExchange, AsRequest, ClientSecret, Config, CredentialCache, CredentialStore, Credentials,
    Environment, Principal, StoreError,
};
use trihound::sansio::{Clock, SystemClock, drive};
use trihound::secret::SecretString;
use trihound_crypto::OsRandom;

use crate::support::{Directory, REALM, alice, realm};

pub(crate) fn login(service: Option<&str>) -> Arc<Credentials> {
    let realm = realm();
    let environment = Environment::new(
        Arc::new(SystemClock),
        Arc::new(OsRandom),
        Arc::new(Config::default()),
    );
    let mut request = AsRequest::new(
        alice(),
        ClientSecret::Password(SecretString::from("password")),
    );
    request.service = service.map(|name| Principal::parse(name, Some(REALM)).unwrap());
    let exchange = AsExchange::begin(request, &environment).unwrap();
    Arc::new(drive(exchange, realm.transport()).unwrap().credentials)
}

fn store(directory: &Directory) -> UserStore {
    UserStore::new(
        CacheName::File(directory.0.join("cc")),
        directory.0.join("keytab"),
        directory.0.join("client.keytab"),
    )
}

#[test]
fn tickets_of_the_caches_principal_are_written_back() {
    let directory = Directory::new();
    let tgt = login(None);
    let mut cache = CredentialCache::new(alice());
    cache.store(Arc::clone(&tgt));
    write_cache(&directory.0.join("cc"), &cache).unwrap();
    let store = store(&directory);
    assert_eq!(store.default_principal().unwrap(), Some(alice()));
    let now = SystemClock.now();
    assert!(store.find(&alice(), &tgt.server, now).unwrap().is_some());
    let ticket = login(Some("host/localhost"));
    store.store(&ticket).unwrap();
    let written = read_cache(&directory.0.join("cc")).unwrap();
    assert_eq!(written.credentials.len(), 2);
    store.remove(&alice(), &ticket.server).unwrap();
    assert_eq!(
        read_cache(&directory.0.join("cc"))
            .unwrap()
            .credentials
            .len(),
        1
    );
}

fn for_service(ticket: &Credentials, name: &str) -> Credentials {
    Credentials {
        client: ticket.client.clone(),
        server: Principal::parse(name, Some(REALM)).unwrap(),
        session_key: ticket.session_key.duplicate(),
        ticket: ticket.ticket.clone(),
        flags: ticket.flags,
        authtime: ticket.authtime,
        starttime: ticket.starttime,
        endtime: ticket.endtime,
        renew_till: ticket.renew_till,
        addresses: Vec::new(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    }
}

/// Conformance row 116: several writers at once, within a process and as if in several, lose
/// nothing of each other's.
#[test]
fn row_116_writers_at_once_lose_no_ticket() {
    let directory = Directory::new();
    let tgt = login(None);
    let mut cache = CredentialCache::new(alice());
    cache.store(Arc::clone(&tgt));
    write_cache(&directory.0.join("cc"), &cache).unwrap();
    let stores = [store(&directory), store(&directory)];
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (stores, tgt) = (&stores, &tgt);
            scope.spawn(move || {
                for number in 0..8 {
                    let name = format!("host/h{writer}-{number}");
                    let ticket = Arc::new(for_service(tgt, &name));
                    stores[writer % 2].store(&ticket).unwrap();
                }
            });
        }
    });
    let written = read_cache(&directory.0.join("cc")).unwrap();
    assert_eq!(written.credentials.len(), 65);
}

#[test]
fn tickets_of_others_stay_out_of_the_file() {
    let directory = Directory::new();
    let bob = Principal::parse("bob", Some(REALM)).unwrap();
    write_cache(&directory.0.join("cc"), &CredentialCache::new(bob)).unwrap();
    let store = store(&directory);
    let tgt = login(None);
    store.store(&tgt).unwrap();
    assert!(
        store
            .find(&alice(), &tgt.server, SystemClock.now())
            .unwrap()
            .is_some()
    );
    assert!(
        read_cache(&directory.0.join("cc"))
            .unwrap()
            .credentials
            .is_empty()
    );
}

#[test]
fn a_file_that_another_process_changed_is_read_again() {
    let directory = Directory::new();
    let path = directory.0.join("cc");
    let store = store(&directory);
    assert_eq!(store.default_principal().unwrap(), None);
    write_cache(&path, &CredentialCache::new(alice())).unwrap();
    assert_eq!(store.default_principal().unwrap(), Some(alice()));
    destroy_cache(&path).unwrap();
    assert_eq!(store.default_principal().unwrap(), None);
    assert!(matches!(
        destroy_cache(&path),
        Err(StoreError::NoCache { .. })
    ));
}

#[test]
fn a_keytab_is_picked_up_when_it_appears_and_when_it_changes() {
    let directory = Directory::new();
    let realm = realm();
    let store = store(&directory);
    assert!(matches!(store.keytab(), Err(StoreError::NoKeytab { .. })));
    let path = directory.0.join("keytab");
    write_keytab(&path, &realm.keytab(&["host/localhost"]).unwrap()).unwrap();
    let before = store.keytab().unwrap().entries().len();
    write_keytab(
        &path,
        &realm.keytab(&["host/localhost", "HTTP/localhost"]).unwrap(),
    )
    .unwrap();
    assert_eq!(store.keytab().unwrap().entries().len(), 2 * before);
    assert!(Arc::ptr_eq(
        &store.keytab().unwrap(),
        &store.keytab().unwrap()
    ));
}

#[test]
fn a_damaged_file_is_told_with_its_name_and_never_overwritten() {
    let directory = Directory::new();
    for name in ["cc", "keytab"] {
        fs::write(directory.0.join(name), b"\x05\x09nonsense").unwrap();
    }
    let store = store(&directory);
    let Err(StoreError::Unusable { place, .. }) = store.default_principal() else {
        panic!("a damaged cache must be told");
    };
    assert!(place.ends_with("cc"), "{place}");
    assert!(matches!(store.keytab(), Err(StoreError::Unusable { .. })));
    assert!(matches!(
        read_keytab(&directory.0.join("keytab")),
        Err(StoreError::Unusable { .. })
    ));
    store.store(&login(None)).unwrap();
    assert_eq!(
        fs::read(directory.0.join("cc")).unwrap(),
        b"\x05\x09nonsense"
    );
}

#[test]
fn a_broken_krb5_conf_is_told_with_its_line() {
    let directory = Directory::new();
    let path = directory.0.join("krb5.conf");
    fs::write(&path, "[libdefaults]\n default_realm = A\n[realms\n").unwrap();
    let error = load_config_from(&path).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    assert!(load_config_from(&directory.0.join("none")).is_err());
}
