//! Keytabs by name: files under the eyes of other writers, keytabs in memory, keys that were replaced.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trihound::environment::{
    CacheName, KeytabName, NamedKeytab, UserStore, read_keytab, write_keytab,
};
use trihound::krb5::{
    Config, CredentialStore, KeyMaterial, Keytab, KeytabEdit, KeytabEntry, Principal, StoreError,
};
use trihound::sansio::{Clock, FixedClock, SystemClock, Timestamp};
use trihound::secret::SecretString;
use trihound::sspi::{AcceptorRequirements, InitiatorRequirements};
use trihound::{Acceptor, Initiator, KerberosCredential, Server};
use trihound_crypto::Enctype;

use crate::support::{Directory, SERVICE, alice, keytab, realm, side};

const AES128: Enctype = Enctype::AES128_CTS_HMAC_SHA1_96;

fn principal(name: &str) -> Principal {
    Principal::parse(name, Some("R")).unwrap()
}

fn entry_at(name: &str, kvno: u32, time: Timestamp) -> KeytabEntry {
    let fill = u8::try_from(kvno & 0xff).unwrap();
    let key = KeyMaterial::new(AES128, vec![fill; 16].into());
    KeytabEntry::new(principal(name), kvno, time, key)
}

fn entry(name: &str, kvno: u32) -> KeytabEntry {
    entry_at(name, kvno, SystemClock.now())
}

fn versions(keytab: &Keytab) -> Vec<u32> {
    keytab.entries().iter().map(|entry| entry.kvno).collect()
}

fn file(path: &Path) -> NamedKeytab {
    NamedKeytab::open(KeytabName::File(path.to_path_buf()))
}

#[test]
fn a_keytab_is_made_by_what_is_put_into_it_and_is_private() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    let keytab = file(&path);
    assert!(matches!(keytab.read(), Err(StoreError::NoKeytab { .. })));
    assert!(matches!(
        keytab.remove(|_| true),
        Err(StoreError::NoKeytab { .. })
    ));
    keytab.add(vec![entry("host/a", 1)]).unwrap();
    keytab.add(vec![entry("host/a", 2)]).unwrap();
    assert_eq!(versions(&keytab.read().unwrap()), [1, 2]);
    assert!(!keytab.create().unwrap(), "it is there");
    assert_eq!(keytab.remove(|entry| entry.kvno == 1).unwrap(), 1);
    assert_eq!(keytab.remove(|entry| entry.kvno == 1).unwrap(), 0);
    assert_eq!(versions(&read_keytab(&path).unwrap()), [2]);
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o777,
        0o600
    );
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
}

/// MIT's programs make an empty file before they lock it, and change a keytab where it lies.
#[test]
fn the_file_stays_the_same_file() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    fs::write(&path, b"").unwrap();
    let held_open = fs::File::open(&path).unwrap();
    let keytab = file(&path);
    keytab.add(vec![entry("host/a", 1)]).unwrap();
    keytab.remove(|_| true).unwrap();
    keytab.add(vec![entry("host/b", 7)]).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut &held_open, &mut bytes).unwrap();
    assert_eq!(versions(&Keytab::parse(&bytes).unwrap()), [7]);
}

#[test]
fn a_damaged_keytab_is_told_and_never_written() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    fs::write(&path, b"[libdefaults]").unwrap();
    let keytab = file(&path);
    for error in [
        keytab.read().unwrap_err(),
        keytab.add(vec![entry("host/a", 1)]).unwrap_err(),
        keytab.remove(|_| true).unwrap_err(),
    ] {
        let StoreError::Unusable { place, reason } = &error else {
            panic!("{error}");
        };
        assert!(place.starts_with("FILE:") && place.ends_with("keytab"));
        assert!(reason.contains("not a keytab"), "{reason}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"[libdefaults]");
}

/// Writers at once, each with a handle of its own, as programs have; readers see whole keytabs only.
#[test]
fn writers_at_once_lose_no_entry() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let path = &path;
            scope.spawn(move || {
                for number in 1..=10 {
                    let name = format!("host/w{writer}");
                    let keytab = file(path);
                    keytab.add(vec![entry(&name, number)]).unwrap();
                    let gone = |entry: &KeytabEntry| {
                        entry.principal == principal(&name) && entry.kvno + 3 < number
                    };
                    keytab.remove(gone).unwrap();
                    assert!(!keytab.read().unwrap().is_empty());
                }
            });
        }
    });
    let keytab = read_keytab(&path).unwrap();
    for writer in 0..6 {
        let name = principal(&format!("host/w{writer}"));
        let own = keytab.of_principal(&name);
        let mut kvnos: Vec<u32> = own.map(|entry| entry.kvno).collect();
        kvnos.sort_unstable();
        assert_eq!(kvnos, [7, 8, 9, 10], "{writer}");
    }
}

/// Within one tick of the file system's clock a change may show neither in the time nor in the length.
#[test]
fn a_change_right_after_a_read_is_seen() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    let (reader, writer) = (file(&path), file(&path));
    writer.add(vec![entry("host/a", 1)]).unwrap();
    for kvno in 2..200 {
        assert_eq!(versions(&reader.read().unwrap()), [kvno - 1]);
        // In place and of the same length.
        writer.remove(|_| true).unwrap();
        writer.add(vec![entry("host/a", kvno)]).unwrap();
    }
    let once = reader.read().unwrap();
    assert!(Arc::ptr_eq(&once, &reader.read().unwrap()));
}

/// A keytab that was exchanged for one with the new key alone, under a running service.
#[test]
fn a_replaced_key_stays_in_service_until_its_tickets_have_ended() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    let start = Timestamp::from_seconds(1_700_000_000);
    let clock = Arc::new(FixedClock::new(start));
    let name = KeytabName::File(path.clone());
    let write = |kvno, time| {
        let keytab: Keytab = [entry_at("host/a", kvno, time)].into_iter().collect();
        write_keytab(&path, &keytab).unwrap();
    };
    write(1, start);
    let service = NamedKeytab::with_clock(name.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
    let wary = NamedKeytab::with_clock(name.clone(), Arc::clone(&clock) as Arc<dyn Clock>)
        .serving_replaced_keys_for(Duration::ZERO);
    assert_eq!(versions(&service.serving().unwrap()), [1]);
    assert_eq!(versions(&wary.serving().unwrap()), [1]);
    write(2, start);
    assert_eq!(versions(&service.serving().unwrap()), [2, 1]);
    assert_eq!(
        versions(&service.read().unwrap()),
        [2],
        "a client uses what is there"
    );
    assert_eq!(versions(&wary.serving().unwrap()), [2]);
    assert_eq!(
        versions(&file(&path).serving().unwrap()),
        [2],
        "started anew"
    );
    let serving = service.serving().unwrap();
    assert!(Arc::ptr_eq(&serving, &service.serving().unwrap()));
    clock.set(start.plus(Duration::from_secs(24 * 3600)));
    assert_eq!(versions(&service.serving().unwrap()), [2]);
}

/// `ktadd`, and after a login `ktremove` of the old version; and a keytab exchanged in one piece.
#[test]
fn who_revokes_a_key_has_it_refused() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    let store = || UserStore::without_cache(path.clone(), path.clone());
    file(&path).add(vec![entry("host/a", 1)]).unwrap();
    let service = store();
    assert_eq!(versions(&service.keytab().unwrap()), [1]);
    file(&path).add(vec![entry("host/a", 2)]).unwrap();
    assert_eq!(versions(&service.keytab().unwrap()), [1, 2]);
    file(&path).remove(|entry| entry.kvno == 1).unwrap();
    assert_eq!(versions(&service.keytab().unwrap()), [2]);
    let wary = store().serving_replaced_keys_for(Duration::ZERO);
    assert_eq!(versions(&wary.keytab().unwrap()), [2]);
    let keytab: Keytab = [entry("host/a", 3)].into_iter().collect();
    write_keytab(&path, &keytab).unwrap();
    assert_eq!(versions(&wary.keytab().unwrap()), [3]);
    assert_eq!(versions(&service.keytab().unwrap()), [3, 2]);
}

/// As the one line of a program has it.
#[test]
fn a_server_may_be_built_to_serve_no_replaced_keys() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    let realm = realm();
    let first = keytab(&realm);
    let rotated: Keytab = first
        .entries()
        .iter()
        .map(|entry| {
            let key = KeyMaterial::new(
                entry.key.enctype(),
                vec![9; entry.key.expose().len()].into(),
            );
            KeytabEntry::new(
                entry.principal.clone(),
                entry.kvno + 1,
                SystemClock.now(),
                key,
            )
        })
        .collect();
    let mut kdc = realm.transport();
    for (lifetime, accepted) in [(None, true), (Some(Duration::ZERO), false)] {
        write_keytab(&path, &first).unwrap();
        let mut builder = Server::builder()
            .config(Config::default())
            .keytab(path.as_path());
        if let Some(lifetime) = lifetime {
            builder = builder.serving_replaced_keys_for(lifetime);
        }
        let server = builder.build().unwrap();
        let (initiators, client) = side(KerberosCredential::from_password(
            alice(),
            SecretString::from("password"),
        ));
        let mut handshake = || {
            let asked = InitiatorRequirements::CONFIDENTIALITY
                | InitiatorRequirements::INTEGRITY
                | InitiatorRequirements::REPLAY_DETECT
                | InitiatorRequirements::SEQUENCE_DETECT;
            let mut initiator = Initiator::new(&initiators, client, SERVICE, asked);
            let token = initiator.step(None, &mut kdc).unwrap().token.unwrap();
            server.handshake().step(&token).is_ok()
        };
        assert!(handshake());
        write_keytab(&path, &rotated).unwrap();
        assert_eq!(handshake(), accepted, "{lifetime:?}");
    }
}

#[test]
fn keytabs_in_memory_are_shared_by_name_and_end_with_the_last() {
    let name = KeytabName::parse(&format!("MEMORY:it-{}", std::process::id())).unwrap();
    let one = NamedKeytab::open(name.clone());
    let Err(StoreError::NoKeytab { reason }) = one.read() else {
        panic!("nobody has made it");
    };
    assert!(reason.contains(&name.to_string()), "{reason}");
    let other = NamedKeytab::open(name.clone());
    one.add(vec![entry("host/a", 1)]).unwrap();
    assert_eq!(versions(&other.serving().unwrap()), [1]);
    other
        .edit(|keytab| KeytabEdit {
            add: vec![entry("host/a", 2)],
            remove: (0..keytab.entries().len()).collect(),
        })
        .unwrap();
    assert_eq!(versions(&one.read().unwrap()), [2]);
    assert_eq!(versions(&other.serving().unwrap()), [2, 1]);
    drop((one, other));
    assert!(matches!(
        NamedKeytab::open(name).read(),
        Err(StoreError::NoKeytab { .. })
    ));
}

/// A program that hangs with the lock does not hang this one for ever, and is told of.
#[cfg(target_os = "linux")]
#[test]
fn a_lock_that_nobody_gives_back_is_told() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    file(&path).add(vec![entry("host/a", 1)]).unwrap();
    // Of the open file, as MIT's are: another file of this very process has to wait, too.
    let holder = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let whole = nix::libc::flock {
        l_type: i16::try_from(nix::libc::F_WRLCK).unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&holder, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole)).unwrap();
    let begun = std::time::Instant::now();
    let error = file(&path).add(vec![entry("host/a", 2)]).unwrap_err();
    drop(holder);
    assert!(
        error.to_string().contains("lock for ten seconds"),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
    file(&path).add(vec![entry("host/a", 2)]).unwrap();
}

/// The keytab of a running service is exchanged for one with new keys alone: who has a ticket in the old
/// key is let in, and so it stays for whoever has one in the new key.
#[test]
fn a_running_service_takes_tickets_in_its_replaced_key() {
    let directory = Directory::new();
    let path = directory.0.join("keytab");
    let realm = realm();
    let keytab = keytab(&realm);
    write_keytab(&path, &keytab).unwrap();
    let no_cache = CacheName::Memory(format!("it-rotation-{}", std::process::id()));
    let store = UserStore::new(no_cache, path.clone(), directory.0.join("client"));
    let service = KerberosCredential::acceptor_from_store(Arc::new(store), None);
    let (acceptors, service) = side(service);
    let (initiators, client) = side(KerberosCredential::from_password(
        alice(),
        SecretString::from("password"),
    ));
    let mut kdc = realm.transport();
    let mut handshake = || {
        let asked = InitiatorRequirements::empty();
        let mut initiator = Initiator::new(&initiators, client, SERVICE, asked);
        let token = initiator.step(None, &mut kdc).unwrap().token.unwrap();
        let mut acceptor = Acceptor::new(&acceptors, service, AcceptorRequirements::empty());
        acceptor.step(&token).map(|leg| leg.complete)
    };
    assert!(handshake().unwrap());
    let rotated: Keytab = keytab
        .entries()
        .iter()
        .map(|entry| {
            let length = entry.key.expose().len();
            let key = KeyMaterial::new(entry.key.enctype(), vec![9; length].into());
            let now = SystemClock.now();
            KeytabEntry::new(entry.principal.clone(), entry.kvno + 1, now, key)
        })
        .collect();
    write_keytab(&path, &rotated).unwrap();
    assert!(
        handshake().unwrap(),
        "the client's ticket is in the old key"
    );
    // What was taken away without a successor is not served.
    write_keytab(&path, &Keytab::new()).unwrap();
    assert!(handshake().is_err());
}
