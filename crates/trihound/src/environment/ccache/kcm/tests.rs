//! Daemons that lie, hang, hang up, or know little.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trihound_asn1::TicketFlags;
use trihound_krb5::ccache::kcm::MAX_IDS;
use trihound_krb5::ccache::{marshal_config, marshal_credentials, marshal_principal};
use trihound_krb5::{
    Config, ConfigEntry, CredentialCache, Credentials, KeyMaterial, Principal, StoreError,
};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::super::{Cache, CacheName};

const GEN_NEW: u16 = 3;
const INITIALIZE: u16 = 4;
const STORE: u16 = 6;
const GET_PRINCIPAL: u16 = 8;
const GET_CRED_UUID_LIST: u16 = 9;
const GET_CRED_BY_UUID: u16 = 10;
const REMOVE_CRED: u16 = 11;
const GET_CACHE_UUID_LIST: u16 = 18;
const GET_CACHE_BY_UUID: u16 = 19;
const GET_DEFAULT_CACHE: u16 = 20;
const SET_DEFAULT_CACHE: u16 = 21;
const GET_KDC_OFFSET: u16 = 22;
const GET_CRED_LIST: u16 = 13001;
const REPLACE: u16 = 13002;

const NOT_FOUND: i32 = -1_765_328_243;
const NO_FILE: i32 = -1_765_328_189;
const INTERNAL: i32 = -1_765_328_188;

/// What the daemon does with a request.
enum Answer {
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// A byte every twentieth of a second, for ever.
    Trickle,
    Silence,
    HangUp,
}

/// A reply that says it has gone well.
fn good(body: &[u8]) -> Answer {
    let length = u32::try_from(body.len() + 4).unwrap();
    Answer::Raw([&length.to_be_bytes()[..], &[0; 8], body].concat())
}

fn refused(status: i32) -> Answer {
    Answer::Raw([&[0, 0, 0, 4, 0, 0, 0, 0][..], &status.to_be_bytes()].concat())
}

/// As sssd refuses what it does not know.
fn refused_in_header(status: i32) -> Answer {
    Answer::Raw([&[0; 4][..], &status.to_be_bytes()].concat())
}

/// A daemon that answers as a test says: by operation, and how many requests came before.
struct Fake {
    socket: PathBuf,
    asked: Arc<Mutex<Vec<u16>>>,
}

impl Fake {
    fn new(answer: impl Fn(u16, usize) -> Answer + Send + Sync + 'static) -> Self {
        let fake = Self::nowhere();
        let listener = UnixListener::bind(&fake.socket).unwrap();
        let asked = Arc::clone(&fake.asked);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
                std::thread::spawn(move || serve(stream.unwrap(), answer.as_ref(), &asked));
            }
        });
        fake
    }

    /// A socket that nobody listens at.
    fn nowhere() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("trihound-kcm-{}-{number}", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&socket);
        Self {
            socket,
            asked: Arc::default(),
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::default();
        config.kcm_socket = Some(self.socket.display().to_string());
        config
    }

    fn open(&self) -> Box<dyn Cache> {
        super::open("c", &self.config()).unwrap()
    }

    fn asked(&self, operation: u16) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| **asked == operation).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn serve(
    mut stream: UnixStream,
    answer: &(dyn Fn(u16, usize) -> Answer + Send + Sync),
    asked: &Mutex<Vec<u16>>,
) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut request).unwrap();
        let operation = u16::from_be_bytes([request[2], request[3]]);
        let before = {
            let mut asked = asked.lock().unwrap();
            asked.push(operation);
            asked.len() - 1
        };
        match answer(operation, before) {
            Answer::Raw(bytes) => stream.write_all(&bytes).unwrap(),
            Answer::Trickle => {
                let _ = stream.write_all(&[0, 0, 1, 0, 0, 0, 0, 0]);
                while stream.write_all(&[0]).is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            Answer::Silence => std::thread::sleep(Duration::from_secs(20)),
            Answer::HangUp => return,
        }
    }
}

fn alice() -> Principal {
    Principal::parse("alice@R", None).unwrap()
}

fn ticket(server: &str, endtime: i64) -> Credentials {
    Credentials {
        client: alice(),
        server: Principal::parse(server, None).unwrap(),
        session_key: KeyMaterial::new(trihound_crypto::Enctype(18), SecretBytes::zeroed(32)),
        ticket: b"ticket".to_vec(),
        flags: TicketFlags::INITIAL,
        authtime: Timestamp::from_seconds(1000),
        starttime: None,
        endtime: Timestamp::from_seconds(endtime),
        renew_till: None,
        addresses: Vec::new(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    }
}

fn marshalled(ticket: &Credentials) -> Vec<u8> {
    marshal_credentials(ticket).unwrap().expose().to_vec()
}

/// A cache of alice's with one ticket, of a daemon that knows what Heimdal's knows.
fn heimdal(operation: u16) -> Answer {
    match operation {
        GET_PRINCIPAL => good(&marshal_principal(&alice()).unwrap()),
        GET_KDC_OFFSET => good(&[0; 4]),
        GET_CRED_UUID_LIST => good(&[[1; 16], [2; 16]].concat()),
        GET_CRED_BY_UUID => good(&marshalled(&ticket("h@R", 2000))),
        GET_DEFAULT_CACHE | GEN_NEW => good(b"0:7\0"),
        GET_CRED_LIST | REPLACE => refused(INTERNAL),
        _ => good(&[]),
    }
}

#[track_caller]
fn unusable(error: &StoreError, reason: &str) {
    assert!(
        matches!(error, StoreError::Unusable { place, reason: text }
            if place.starts_with("KCM:") && text.contains(reason)),
        "{error}"
    );
}

#[test]
fn replies_that_lie_are_refused_by_name() {
    let (huge, cut) = (vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], vec![0, 0, 0, 3]);
    let cut = [&cut[..], &[0; 7]].concat();
    for (operation, answer, reason) in [
        (GET_PRINCIPAL, huge, "announces 4294967295 bytes"),
        (GET_PRINCIPAL, cut, "ends within its status"),
        (
            GET_KDC_OFFSET,
            vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0],
            "within the time offset",
        ),
    ] {
        let fake = Fake::new(move |asked, _| match asked {
            asked if asked == operation => Answer::Raw(answer.clone()),
            asked => heimdal(asked),
        });
        unusable(&fake.open().read().unwrap_err(), reason);
    }
}

#[test]
fn contents_that_are_rubbish_are_refused_by_name() {
    let many = vec![9; (MAX_IDS + 1) * 16];
    for (operation, body, reason) in [
        (
            GET_PRINCIPAL,
            b"rubbish".to_vec(),
            "GET_PRINCIPAL: credential cache:",
        ),
        (GET_CRED_UUID_LIST, vec![0; 15], "no list of identifiers"),
        (GET_CRED_UUID_LIST, many, "at most 8192"),
        (
            GET_CRED_BY_UUID,
            b"rubbish".to_vec(),
            "GET_CRED_BY_UUID: credential cache:",
        ),
        (GET_CRED_LIST, vec![0xff; 4], "lists 4294967295 entries"),
        (
            GET_CRED_LIST,
            vec![0, 0, 0, 2, 0, 0, 0, 9],
            "within a ticket",
        ),
    ] {
        let fake = Fake::new(move |asked, _| match asked {
            asked if asked == operation => good(&body),
            asked => heimdal(asked),
        });
        unusable(&fake.open().read().unwrap_err(), reason);
    }
    for name in [&b"no end"[..], b"\0", b"\xff\xfe\0"] {
        let fake = Fake::new(move |_, _| good(name));
        unusable(&super::open("", &fake.config()).unwrap_err(), "no name");
        let all = super::collection("", &fake.config()).unwrap();
        unusable(&all.create().unwrap_err(), "GEN_NEW has no name");
    }
}

#[test]
fn a_daemon_that_hangs_is_left_in_time() {
    for (hang, name) in [(true, "silent"), (false, "trickling")] {
        let fake = Fake::new(move |_, _| {
            if hang {
                Answer::Silence
            } else {
                Answer::Trickle
            }
        });
        let start = Instant::now();
        let error = fake.open().read().unwrap_err();
        unusable(&error, "has not answered GET_PRINCIPAL within");
        assert!(start.elapsed() < Duration::from_secs(8), "{name}");
    }
}

/// One whose queue is full does not even accept.
#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_accepts_nobody_is_left_in_time() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let fake = Fake::nowhere();
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&fake.socket).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let waiting = UnixStream::connect(&fake.socket).unwrap();
    let start = Instant::now();
    unusable(&fake.open().read().unwrap_err(), "has not answered");
    assert!(start.elapsed() < Duration::from_secs(8));
    drop(waiting);
}

#[test]
fn nobody_listens() {
    let fake = Fake::nowhere();
    let nobody = super::open("", &fake.config()).unwrap_err();
    unusable(&nobody, "nobody listens at");
    unusable(&nobody, "kcm_socket");
    let mut config = fake.config();
    config.kcm_socket = Some("-".to_owned());
    unusable(&super::open("", &config).unwrap_err(), "kcm_socket = -");
}

#[test]
fn a_dropped_connection_is_made_once_more() {
    let fake = Fake::new(|operation, before| match before {
        0 | 3 => Answer::HangUp,
        _ => heimdal(operation),
    });
    let cache = fake.open();
    assert_eq!(cache.principal().unwrap(), Some(alice()));
    assert_eq!(fake.asked(GET_PRINCIPAL), 2);
    assert_eq!(cache.read().unwrap().unwrap().credentials.len(), 1);

    let never = Fake::new(|_, _| Answer::HangUp);
    let error = never.open().principal().unwrap_err();
    unusable(&error, "hung up when it was asked to GET_PRINCIPAL");
    assert_eq!(never.asked(GET_PRINCIPAL), 2);

    // Half a reply is no reply.
    let half = Fake::new(|_, _| Answer::Raw([&[0, 0, 0, 9][..], &[0; 8]].concat()));
    unusable(&half.open().principal().unwrap_err(), "has not answered");
}

/// Three ways of not knowing MIT's additions, asked for once and then no more.
#[test]
fn what_a_daemon_does_not_know_is_done_without() {
    for way in 0..3 {
        let fake = Fake::new(move |operation, _| match operation {
            GET_CRED_LIST | REPLACE if way == 0 => refused(INTERNAL),
            GET_CRED_LIST | REPLACE if way == 1 => refused_in_header(INTERNAL),
            GET_CRED_LIST | REPLACE => Answer::HangUp,
            operation => heimdal(operation),
        });
        let cache = fake.open();
        let mut content = cache.read().unwrap().unwrap();
        assert_eq!(cache.read().unwrap().unwrap().principal, alice());
        assert_eq!(fake.asked(GET_CRED_LIST), 1);
        assert_eq!(fake.asked(GET_CRED_BY_UUID), 4);

        content.set_config("a", None, Some(b"1"));
        cache.initialize(&content).unwrap();
        cache.initialize(&content).unwrap();
        assert_eq!(fake.asked(REPLACE), 1);
        assert_eq!((fake.asked(INITIALIZE), fake.asked(STORE)), (2, 4));
    }
    let fake = Fake::new(|operation, _| match operation {
        REPLACE => good(&[]),
        operation => heimdal(operation),
    });
    fake.open()
        .initialize(&CredentialCache::new(alice()))
        .unwrap();
    assert_eq!((fake.asked(REPLACE), fake.asked(INITIALIZE)), (1, 0));
}

/// sssd's daemon knows no REMOVE_CRED, and lists what a newer ticket replaced.
#[test]
fn a_daemon_that_removes_nothing() {
    let (old, new) = (ticket("h@R", 2000), ticket("h@R", 3000));
    let setting = ConfigEntry::new("a", None, b"1".to_vec());
    let entries = [
        marshalled(&new),
        marshalled(&old),
        marshal_config(&alice(), &setting)
            .unwrap()
            .expose()
            .to_vec(),
    ];
    let mut list = 3_u32.to_be_bytes().to_vec();
    for entry in &entries {
        list.extend_from_slice(&u32::try_from(entry.len()).unwrap().to_be_bytes());
        list.extend_from_slice(entry);
    }
    let fake = Fake::new(move |operation, _| match operation {
        GET_CRED_LIST => good(&list),
        REMOVE_CRED => refused(INTERNAL),
        operation => heimdal(operation),
    });
    let cache = fake.open();
    let read = cache.read().unwrap().unwrap();
    let ends: Vec<_> = read
        .credentials
        .iter()
        .map(|ticket| ticket.endtime)
        .collect();
    assert_eq!(ends, [new.endtime]);

    // A ticket is added, never at the price of the others.
    cache.store(&Arc::new(old)).unwrap();
    assert_eq!((fake.asked(REMOVE_CRED), fake.asked(STORE)), (1, 1));
    // A setting stays as it is, or all is written anew: the ticket and the setting.
    cache.set_config("a", None, Some(b"1")).unwrap();
    assert_eq!((fake.asked(INITIALIZE), fake.asked(STORE)), (0, 1));
    cache.set_config("a", None, Some(b"2")).unwrap();
    assert_eq!((fake.asked(INITIALIZE), fake.asked(STORE)), (1, 3));
    // The same without the ticket.
    assert_eq!(cache.remove(&alice(), &new.server).unwrap(), 1);
    assert_eq!((fake.asked(INITIALIZE), fake.asked(STORE)), (2, 4));
    assert_eq!(fake.asked(REMOVE_CRED), 1);
}

#[test]
fn what_is_gone_meanwhile_is_passed_over() {
    let fake = Fake::new(|operation, before| match operation {
        GET_CRED_BY_UUID | GET_CACHE_BY_UUID if before % 2 == 0 => refused(NOT_FOUND),
        GET_CACHE_BY_UUID => good(b"0:8\0"),
        GET_CACHE_UUID_LIST => good(&[[1; 16], [2; 16]].concat()),
        operation => heimdal(operation),
    });
    assert_eq!(fake.open().read().unwrap().unwrap().credentials.len(), 1);
    let all = super::collection("", &fake.config()).unwrap();
    let names = all.list().unwrap();
    let expected = ["0:7", "0:8"].map(|name| CacheName::Kcm(name.to_owned()));
    assert_eq!(names, expected);
}

#[test]
fn no_cache_is_told_from_a_refusal() {
    let fake = Fake::new(|_, _| refused(NO_FILE));
    let cache = fake.open();
    let ticket = Arc::new(ticket("h@R", 2000));
    assert!(cache.read().unwrap().is_none());
    assert!(!cache.destroy().unwrap());
    assert_eq!(cache.remove(&ticket.client, &ticket.server), Ok(0));
    for answer in [
        cache.store(&ticket),
        cache.set_config("a", None, Some(b"1")),
        cache.set_time_offset(1),
        super::collection("", &fake.config())
            .unwrap()
            .switch_to(cache.name()),
    ] {
        assert!(
            matches!(answer, Err(StoreError::NoCache { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(fake.asked(SET_DEFAULT_CACHE), 0);

    let quota = Fake::new(|_, _| refused(122));
    unusable(&quota.open().store(&ticket).unwrap_err(), "quota");
    let permission = Fake::new(|_, _| refused(-1_765_328_190));
    unusable(&permission.open().read().unwrap_err(), "no permission");
    let zero = super::open("a\0b", &fake.config()).unwrap();
    unusable(&zero.read().unwrap_err(), "zero byte");
}
