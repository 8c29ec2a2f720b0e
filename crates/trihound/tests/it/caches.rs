//! Credential caches of the types that need no daemon and no kernel, and the collections they are in.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use trihound::environment::ccache::{self, Cache, Collection};
use trihound::environment::{CacheName, UserStore};
use trihound::krb5::{
    Config, CredentialCache, CredentialStore, Credentials, KeyMaterial, Principal, StoreError,
};
use trihound::sansio::{Clock, SystemClock, Timestamp};
use trihound_crypto::Enctype;

use crate::support::{Directory, REALM, alice};

fn principal(name: &str) -> Principal {
    Principal::parse(name, Some(REALM)).unwrap()
}

fn bob() -> Principal {
    principal("bob")
}

/// A ticket that looks like one.
fn ticket(client: &Principal, server: &str, mark: u8) -> Arc<Credentials> {
    let now = SystemClock.now();
    Arc::new(Credentials {
        client: client.clone(),
        server: principal(server),
        session_key: KeyMaterial::new(Enctype::AES128_CTS_HMAC_SHA1_96, vec![7; 16].into()),
        ticket: vec![mark; 100],
        flags: trihound_asn1::TicketFlags::empty(),
        authtime: now,
        starttime: None,
        endtime: Timestamp::from_seconds(now.seconds() + 3600),
        renew_till: None,
        addresses: Vec::new(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    })
}

fn filled(client: &Principal) -> CredentialCache {
    let mut cache = CredentialCache::new(client.clone());
    cache.store(ticket(client, &format!("krbtgt/{REALM}"), 1));
    cache
}

fn open(name: &CacheName) -> Box<dyn Cache> {
    ccache::open(name, &Config::default()).unwrap()
}

fn collection(name: &CacheName) -> Box<dyn Collection> {
    ccache::collection(name, &Config::default()).unwrap()
}

fn for_login(name: &CacheName, client: &Principal) -> CacheName {
    ccache::for_login(name, &Config::default(), client).unwrap()
}

fn file(directory: &Directory) -> CacheName {
    CacheName::File(directory.0.join("cc"))
}

fn memory() -> CacheName {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    CacheName::Memory(format!("caches-{}-{count}", std::process::id()))
}

/// A directory that is not there yet.
fn dir(directory: &Directory) -> CacheName {
    let path = directory.0.join("collection");
    CacheName::parse(&format!("DIR:{}", path.display())).unwrap()
}

fn tickets(cache: &dyn Cache) -> Vec<u8> {
    let content = cache.read().unwrap().unwrap();
    let mut marks: Vec<_> = content
        .credentials
        .iter()
        .map(|held| held.ticket[0])
        .collect();
    marks.sort_unstable();
    marks
}

/// What holds of every type.
fn comes_and_goes(name: &CacheName) {
    let cache = open(name);
    assert!(cache.read().unwrap().is_none());
    assert!(cache.principal().unwrap().is_none());
    assert!(cache.version().unwrap().is_none());
    assert!(!cache.destroy().unwrap());
    let web = ticket(&alice(), "HTTP/web", 2);
    let no_cache = |result| matches!(result, Err(StoreError::NoCache { .. }));
    assert!(no_cache(cache.store(&web)));
    assert!(no_cache(cache.set_config("key", None, Some(b"1"))));
    assert!(no_cache(cache.set_time_offset(1)));
    assert_eq!(cache.remove(&alice(), &web.server).unwrap(), 0);

    cache.initialize(&filled(&alice())).unwrap();
    assert_eq!(cache.principal().unwrap(), Some(alice()));
    cache.store(&web).unwrap();
    cache.store(&ticket(&alice(), "HTTP/web", 3)).unwrap();
    cache.store(&ticket(&alice(), "HTTP/other", 4)).unwrap();
    assert_eq!(tickets(cache.as_ref()), [1, 3, 4]);
    assert_eq!(cache.remove(&bob(), &web.server).unwrap(), 0);
    assert_eq!(cache.remove(&alice(), &web.server).unwrap(), 1);
    assert_eq!(tickets(cache.as_ref()), [1, 4]);

    // First where the header has no room for it, then where it has.
    for offset in [3_000_000, -2_500_000] {
        cache.set_time_offset(offset).unwrap();
        let content = cache.read().unwrap().unwrap();
        assert_eq!(content.time_offset, Some(offset));
    }
    for value in [Some(&b"yes"[..]), Some(b"no"), None] {
        cache.set_config("fast_avail", None, value).unwrap();
        let content = cache.read().unwrap().unwrap();
        assert_eq!(content.config("fast_avail", None), value);
    }
    assert_eq!(tickets(cache.as_ref()), [1, 4]);

    cache.initialize(&filled(&bob())).unwrap();
    assert_eq!(cache.principal().unwrap(), Some(bob()));
    assert_eq!(tickets(cache.as_ref()), [1]);
    assert_eq!(collection(name).list().unwrap()[0], *cache.name());
    assert!(cache.destroy().unwrap());
    assert!(cache.read().unwrap().is_none());
}

#[test]
fn caches_of_each_type_come_and_go() {
    let directory = Directory::new();
    comes_and_goes(&file(&directory));
    comes_and_goes(&dir(&directory));
    comes_and_goes(&memory());
}

/// Conformance row 116: whoever waits for the lock of a file must find the same file when its turn has
/// come, so tickets come and go in the file, and only a login makes a new one; 0600 at any time.
#[cfg(unix)]
#[test]
fn row_116_a_file_stays_the_same_file_until_the_next_login() {
    use std::os::unix::fs::MetadataExt;

    let directory = Directory::new();
    let cache = open(&file(&directory));
    let state = || {
        let metadata = fs::metadata(directory.0.join("cc")).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o600);
        metadata.ino()
    };
    let mut content = filled(&alice());
    content.time_offset = Some(0);
    cache.initialize(&content).unwrap();
    let first = state();
    // Keeps the number of the file from being used again.
    let _held = fs::File::open(directory.0.join("cc")).unwrap();
    for mark in 2..10 {
        cache.store(&ticket(&alice(), "HTTP/web", mark)).unwrap();
    }
    cache.remove(&alice(), &principal("HTTP/web")).unwrap();
    cache.set_config("key", None, Some(b"1")).unwrap();
    cache.set_time_offset(5_000_000).unwrap();
    assert_eq!(state(), first);
    cache.initialize(&content).unwrap();
    assert_ne!(state(), first);
}

/// `KRB5CCNAME=$(mktemp)` is no damaged cache, but none yet.
#[test]
fn a_blank_file_is_no_cache_yet() {
    let directory = Directory::new();
    let path = directory.0.join("cc");
    let cache = open(&file(&directory));
    fs::write(&path, b"").unwrap();
    assert!(cache.read().unwrap().is_none());
    assert!(matches!(
        cache.store(&ticket(&alice(), "HTTP/web", 2)),
        Err(StoreError::NoCache { .. })
    ));
    cache.initialize(&filled(&alice())).unwrap();
    assert_eq!(tickets(cache.as_ref()), [1]);
}

/// A damaged file is told with its name, and neither written nor removed by accident.
#[test]
fn a_damaged_file_is_told_and_left_alone() {
    let directory = Directory::new();
    let path = directory.0.join("cc");
    let cache = open(&file(&directory));
    fs::write(&path, b"\x05\x04\0\0\0\0").unwrap();
    let told = |error: StoreError| {
        let text = error.to_string();
        assert!(matches!(error, StoreError::Unusable { .. }), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    };
    told(cache.read().unwrap_err());
    told(cache.store(&ticket(&alice(), "HTTP/web", 2)).unwrap_err());
    told(cache.remove(&alice(), &bob()).unwrap_err());
    assert_eq!(fs::read(&path).unwrap(), b"\x05\x04\0\0\0\0");
    fs::write(&path, b"a letter").unwrap();
    told(cache.destroy().unwrap_err());
    assert_eq!(fs::read(&path).unwrap(), b"a letter");
}

/// A directory for all may have anything of that name in it: what is no file is refused at once.
#[cfg(unix)]
#[test]
fn a_pipe_or_a_directory_is_no_cache_and_nobody_waits_for_it() {
    let directory = Directory::new();
    let pipe = directory.0.join("cc");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [pipe.as_path(), directory.0.as_path()] {
        let cache = open(&CacheName::File(path.to_owned()));
        for result in [
            cache.read().map(drop),
            cache.store(&ticket(&alice(), "HTTP/web", 2)),
            cache.destroy().map(drop),
        ] {
            assert!(matches!(result, Err(StoreError::Unusable { .. })));
        }
    }
    assert!(pipe.exists());
}

/// The tests run as root where these are shown: only root makes another user's files.
#[cfg(unix)]
fn is_root(directory: &Directory) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(&directory.0).unwrap().uid() == 0
}

#[cfg(unix)]
fn refused_as_of_65534<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    match result {
        Err(StoreError::Unusable { reason, .. }) => {
            assert!(reason.contains("belongs to user 65534"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

/// Whoever puts a file of his under the name of a cache would read the tickets that are written there.
/// What bears a name that nobody chose is not even read.
#[cfg(unix)]
#[test]
fn no_ticket_is_written_into_another_users_file() {
    let directory = Directory::new();
    if !is_root(&directory) {
        return;
    }
    let path = directory.0.join("cc");
    let name = file(&directory);
    open(&name).initialize(&filled(&alice())).unwrap();
    let mut config = Config::default();
    config.default_ccache_name = Some(name.to_string());
    let store = store_over(&name, &directory.0).with_config(Arc::new(config.clone()));
    assert_eq!(store.default_principal().unwrap(), Some(alice()));
    std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
    let before = fs::read(&path).unwrap();
    // Root may look at a user's cache.
    let cache = open(&name);
    assert_eq!(cache.principal().unwrap(), Some(alice()));
    let web = ticket(&alice(), "HTTP/web", 2);
    refused_as_of_65534(cache.store(&web));
    refused_as_of_65534(cache.set_config("key", None, Some(b"1")));
    refused_as_of_65534(cache.set_time_offset(5_000_000));
    refused_as_of_65534(ccache::open(&name, &config).unwrap().read());
    // After the start as well: the store of a running program.
    refused_as_of_65534(store.default_principal());
    store.store(&web).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    // A login puts a file of its own in the place.
    cache.initialize(&filled(&alice())).unwrap();
    cache.store(&web).unwrap();
}

#[cfg(unix)]
#[test]
fn a_directorys_files_must_be_the_users_own_too() {
    let directory = Directory::new();
    if !is_root(&directory) {
        return;
    }
    let name = dir(&directory);
    open(&name).initialize(&filled(&alice())).unwrap();
    let path = directory.0.join("collection/tkt");
    std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
    refused_as_of_65534(open(&name).store(&ticket(&alice(), "HTTP/web", 2)));
    let mut config = Config::default();
    config.default_ccache_name = Some(name.to_string());
    refused_as_of_65534(ccache::open(&name, &config).unwrap().read());
    let primary = directory.0.join("collection/primary");
    fs::write(&primary, "tkt\n").unwrap();
    std::os::unix::fs::chown(&primary, Some(65_534), None).unwrap();
    refused_as_of_65534(ccache::open(&name, &config));
}

/// A link is as good as whoever made it; in a directory for all none is, for a name that nobody chose.
#[cfg(unix)]
#[test]
fn links_of_others_and_in_directories_for_all_are_not_followed() {
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    let directory = Directory::new();
    open(&file(&directory))
        .initialize(&filled(&alice()))
        .unwrap();
    let link = directory.0.join("link");
    symlink(directory.0.join("cc"), &link).unwrap();
    let name = CacheName::File(link.clone());
    assert_eq!(open(&name).principal().unwrap(), Some(alice()));
    let mut config = Config::default();
    config.default_ccache_name = Some(name.to_string());
    let read = || ccache::open(&name, &config).unwrap().read();
    assert!(read().unwrap().is_some());
    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(matches!(read(), Err(StoreError::Unusable { reason, .. }) if reason.contains("link")));
    assert_eq!(open(&name).principal().unwrap(), Some(alice()));
    if is_root(&directory) {
        lchown(&link, Some(65_534), None).unwrap();
        refused_as_of_65534(open(&name).read());
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_as_primary_is_refused_and_nobody_waits_for_it() {
    let directory = Directory::new();
    let name = dir(&directory);
    open(&name).initialize(&filled(&alice())).unwrap();
    let pipe = directory.0.join("collection/primary");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let result = ccache::open(&name, &Config::default());
    assert!(matches!(result, Err(StoreError::Unusable { .. })));
}

#[test]
fn a_name_steers_no_terminal() {
    let name = CacheName::File("/d/tkt\u{1b}[2J\u{202e}\n\u{2028}x".into());
    let shown = "FILE:/d/tkt\\u{1b}[2J\\u{202e}\\u{a}\\u{2028}x";
    assert_eq!(name.to_string(), shown);
}

#[test]
fn caches_in_memory_are_shared_by_name_in_the_process() {
    let name = memory();
    open(&name).initialize(&filled(&alice())).unwrap();
    let cache = open(&name);
    assert_eq!(cache.principal().unwrap(), Some(alice()));
    let before = cache.version().unwrap();
    assert!(before.is_some() && before == open(&name).version().unwrap());
    open(&name).store(&ticket(&alice(), "HTTP/web", 2)).unwrap();
    assert!(cache.version().unwrap() != before);
    let all = collection(&name);
    assert!(!all.can_switch());
    assert!(matches!(
        all.switch_to(&name),
        Err(StoreError::Unusable { .. })
    ));
    let fresh = all.create().unwrap();
    assert!(open(&fresh).read().unwrap().is_none());
    assert!(all.list().unwrap().contains(&name));
    assert!(open(&name).destroy().unwrap());
    assert!(!all.list().unwrap().contains(&name));
}

fn subsidiary(directory: &Directory, file: &str) -> CacheName {
    let path = directory.0.join("collection").join(file);
    CacheName::parse(&format!("DIR::{}", path.display())).unwrap()
}

#[test]
fn a_directory_has_a_primary_cache_and_others() {
    let directory = Directory::new();
    let name = dir(&directory);
    let all = collection(&name);
    assert!(all.can_switch());
    assert!(all.list().unwrap().is_empty(), "there is no directory yet");
    let first = subsidiary(&directory, "tkt");
    assert_eq!(all.primary().unwrap(), Some(first.clone()));
    assert_eq!(*open(&name).name(), first);
    assert!(!directory.0.join("collection").exists());

    open(&name).initialize(&filled(&alice())).unwrap();
    let second = all.create().unwrap();
    assert!(matches!(
        all.switch_to(&second),
        Err(StoreError::NoCache { .. })
    ));
    open(&second).initialize(&filled(&bob())).unwrap();
    fs::write(directory.0.join("collection/other"), b"no cache").unwrap();
    assert_eq!(all.list().unwrap(), [first.clone(), second.clone()]);

    all.switch_to(&second).unwrap();
    assert_eq!(all.list().unwrap(), [second.clone(), first.clone()]);
    assert_eq!(*open(&name).name(), second);
    let line = fs::read_to_string(directory.0.join("collection/primary")).unwrap();
    assert_eq!(
        second,
        subsidiary(&directory, line.strip_suffix('\n').unwrap())
    );
    for elsewhere in [
        file(&directory),
        CacheName::parse("DIR::/nonexistent/tkt").unwrap(),
        name.clone(),
    ] {
        assert!(matches!(
            all.switch_to(&elsewhere),
            Err(StoreError::NoCache { .. })
        ));
    }
    #[cfg(unix)]
    {
        let metadata = fs::metadata(directory.0.join("collection")).unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata);
        assert_eq!(mode & 0o7777, 0o700);
    }
}

/// `kdestroy -A` with the name of one cache must not end the others'.
#[test]
fn the_name_of_one_cache_of_a_directory_stands_for_that_one() {
    let directory = Directory::new();
    open(&dir(&directory))
        .initialize(&filled(&alice()))
        .unwrap();
    let one = subsidiary(&directory, "tktbob");
    let alone = collection(&one);
    assert!(alone.list().unwrap().is_empty());
    open(&one).initialize(&filled(&bob())).unwrap();
    assert_eq!(alone.list().unwrap(), std::slice::from_ref(&one));
    assert_eq!(alone.primary().unwrap(), Some(one.clone()));
    assert!(matches!(alone.create(), Err(StoreError::Unusable { .. })));
    alone.switch_to(&one).unwrap();
    assert_eq!(*open(&dir(&directory)).name(), one);
}

/// The file that names the primary cache leads nowhere but into the directory.
#[test]
fn a_primary_line_that_leads_out_of_the_directory_is_refused() {
    let directory = Directory::new();
    let name = dir(&directory);
    open(&name).initialize(&filled(&alice())).unwrap();
    let long = format!("tkt{}\n", "x".repeat(100));
    for line in ["", "\n", "cache\n", "tkt/../../cc\n", "../tkt\n", &long] {
        fs::write(directory.0.join("collection/primary"), line).unwrap();
        let Err(StoreError::Unusable { reason, .. }) = ccache::open(&name, &Config::default())
        else {
            panic!("{line:?}");
        };
        assert!(reason.contains("kswitch"), "{reason}");
        let all = collection(&name);
        assert!(all.primary().is_err());
        assert_eq!(all.list().unwrap().len(), 1, "the caches are there");
        all.switch_to(&subsidiary(&directory, "tkt")).unwrap();
        assert_eq!(open(&name).principal().unwrap(), Some(alice()));
    }
}

#[test]
fn a_login_goes_to_its_own_cache_of_a_collection() {
    let directory = Directory::new();
    let name = dir(&directory);
    let first = subsidiary(&directory, "tkt");
    assert_eq!(for_login(&name, &alice()), first, "nobody has it");
    open(&first).initialize(&filled(&alice())).unwrap();
    assert_eq!(for_login(&name, &alice()), first);
    let second = for_login(&name, &bob());
    assert_ne!(second, first);
    open(&second).initialize(&filled(&bob())).unwrap();
    assert_eq!(for_login(&name, &bob()), second);
    // One that is broken hides no other, and is what a new login may take when it is the primary one.
    fs::write(directory.0.join("collection/tkt"), b"broken").unwrap();
    assert_eq!(for_login(&name, &bob()), second);
    assert_eq!(for_login(&name, &alice()), first);
    for alone in [file(&directory), memory(), second] {
        assert_eq!(for_login(&alone, &alice()), alone);
    }
}

fn store_over(name: &CacheName, directory: &Path) -> UserStore {
    let keytab = directory.join("keytab");
    UserStore::new(name.clone(), keytab.clone(), keytab)
}

/// As MIT's `krb5_cc_cache_match`: whoever is not the primary cache's client has a cache too.
#[test]
fn a_store_uses_the_cache_of_each_client_of_a_collection() {
    let directory = Directory::new();
    let name = dir(&directory);
    open(&name).initialize(&filled(&alice())).unwrap();
    let second = for_login(&name, &bob());
    open(&second).initialize(&filled(&bob())).unwrap();
    let store = store_over(&name, &directory.0);
    assert_eq!(store.default_principal().unwrap(), Some(alice()));
    store.store(&ticket(&bob(), "HTTP/web", 5)).unwrap();
    store.store(&ticket(&alice(), "HTTP/web", 6)).unwrap();
    let carol = principal("carol");
    store.store(&ticket(&carol, "HTTP/web", 7)).unwrap();
    assert_eq!(tickets(open(&second).as_ref()), [1, 5]);
    assert_eq!(tickets(open(&name).as_ref()), [1, 6]);
    let now = SystemClock.now();
    for (client, mark) in [(&bob(), 5), (&alice(), 6), (&carol, 7)] {
        let found = store.find(client, &principal("HTTP/web"), now).unwrap();
        assert_eq!(found.unwrap().ticket[0], mark);
    }
    store.remove(&bob(), &principal("HTTP/web")).unwrap();
    assert_eq!(tickets(open(&second).as_ref()), [1]);
    assert_eq!(store.tickets(&bob()).unwrap().len(), 1);
    collection(&name).switch_to(&second).unwrap();
    assert_eq!(store.default_principal().unwrap(), Some(bob()));
    assert_eq!(
        collection(&name).list().unwrap().len(),
        2,
        "who has no cache gets none unasked"
    );
}

#[test]
fn stores_over_a_cache_in_memory_share_it_and_one_without_is_alone() {
    let directory = Directory::new();
    let name = memory();
    open(&name).initialize(&filled(&alice())).unwrap();
    let stores = [
        store_over(&name, &directory.0),
        store_over(&name, &directory.0),
    ];
    let web = ticket(&alice(), "HTTP/web", 2);
    stores[0].store(&web).unwrap();
    let now = SystemClock.now();
    let found = stores[1].find(&alice(), &web.server, now).unwrap().unwrap();
    assert_eq!(found.ticket, web.ticket);
    let keytab = directory.0.join("keytab");
    let alone = UserStore::without_cache(keytab.clone(), keytab);
    assert_eq!(alone.cache_name(), None);
    assert_eq!(alone.default_principal().unwrap(), None);
    alone.store(&web).unwrap();
    assert!(alone.find(&alice(), &web.server, now).unwrap().is_some());
    open(&name).destroy().unwrap();
    assert_eq!(stores[1].default_principal().unwrap(), None);
}

/// A session key is derived from once: as long as nothing changed, the very same ticket is given out.
#[test]
fn an_unchanged_cache_is_read_once() {
    let directory = Directory::new();
    open(&file(&directory))
        .initialize(&filled(&alice()))
        .unwrap();
    let store = store_over(&file(&directory), &directory.0);
    // A file is told from its next version once the file system's clock has gone on.
    std::thread::sleep(Duration::from_millis(if cfg!(unix) { 250 } else { 3_000 }));
    let find = || {
        let krbtgt = principal(&format!("krbtgt/{REALM}"));
        let found = store.find(&alice(), &krbtgt, SystemClock.now());
        found.unwrap().unwrap()
    };
    let first = find();
    assert!(Arc::ptr_eq(&first, &find()));
    let web = ticket(&alice(), "HTTP/web", 2);
    open(&file(&directory)).store(&web).unwrap();
    let found = store.find(&alice(), &web.server, SystemClock.now());
    assert!(found.unwrap().is_some(), "a change is seen at once");
}

#[test]
fn the_kdcs_time_is_noted_in_the_cache() {
    let directory = Directory::new();
    let store = store_over(&file(&directory), &directory.0);
    store.set_time_offset(9_000_000).unwrap();
    assert_eq!(store.time_offset().unwrap(), Some(9_000_000));
    assert!(!directory.0.join("cc").exists(), "no cache comes of it");
    let cache = open(&file(&directory));
    let mut content = filled(&alice());
    content.time_offset = Some(-4_000_000);
    cache.initialize(&content).unwrap();
    assert_eq!(store.time_offset().unwrap(), Some(-4_000_000));
    store.set_time_offset(-4_500_000).unwrap();
    let noted = |cache: &dyn Cache| cache.read().unwrap().unwrap().time_offset;
    assert_eq!(noted(cache.as_ref()), Some(-4_000_000), "not worth a write");
    store.set_time_offset(60_000_000).unwrap();
    assert_eq!(noted(cache.as_ref()), Some(60_000_000));
    assert_eq!(tickets(cache.as_ref()), [1]);
}
