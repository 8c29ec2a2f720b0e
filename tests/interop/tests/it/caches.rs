//! FILE and DIR caches that MIT's tools and ours have in common, one after the other and all at once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use trihound::environment::CacheName;
use trihound::environment::ccache::{self, Cache};
use trihound::krb5::{Config, CredentialCache, Credentials, Principal, StoreError};
use trihound_interop::{Background, run_to_end};

use crate::desk::{self, Desk};
use crate::world::{BOTH, Make, World, succeeded};

fn desk(collection: impl FnOnce(&World) -> String) -> Option<Desk> {
    let world = World::new()?;
    Some(Desk {
        profile: PathBuf::from(world.realm.variable("KRB5_CONFIG")),
        collection: collection(&world),
        world,
    })
}

fn directory() -> Option<Desk> {
    desk(|world| format!("DIR:{}", world.scratch.join("collection").display()))
}

fn file() -> Option<Desk> {
    desk(|world| format!("FILE:{}", world.scratch.join("alone").display()))
}

/// Conformance row 116.
#[test]
fn row_116_mit_reads_our_files_and_the_reverse() {
    let Some(desk) = file() else { return };
    desk::mit_reads_ours(&desk, true);
}

#[test]
fn tickets_and_settings_of_a_file_come_and_go() {
    let Some(desk) = file() else { return };
    desk::changes_one_by_one(&desk, true);
}

#[test]
fn mit_reads_our_directories_and_the_reverse() {
    let Some(desk) = directory() else { return };
    desk::mit_reads_ours(&desk, true);
}

#[test]
fn tickets_and_settings_in_a_directory_come_and_go() {
    let Some(desk) = directory() else { return };
    desk::changes_one_by_one(&desk, true);
}

#[test]
fn a_directory_is_one_collection_for_both() {
    let Some(desk) = directory() else { return };
    desk::collections(&desk);
}

#[test]
fn a_cache_of_a_directory_stands_for_itself() {
    let Some(desk) = directory() else { return };
    desk::one_alone(&desk);
}

#[test]
fn the_tools_of_both_work_in_one_directory() {
    let Some(desk) = directory() else { return };
    desk::tools(&desk);
}

/// A login goes where MIT's kinit would put it: to the client's own cache of the directory, or to a new
/// one beside those of others.
#[test]
fn a_login_finds_its_cache_in_a_directory() {
    let Some(desk) = directory() else { return };
    let name = CacheName::parse(&desk.collection).unwrap();
    let principal = |user: &str| Principal::parse(user, Some("TRIHOUND.TEST")).unwrap();
    let place = |user: &str| ccache::for_login(&name, &desk.config(), &principal(user)).unwrap();
    let primary = desk.collection().primary().unwrap().unwrap();
    assert_eq!(place("alice"), primary, "nobody has it yet");
    desk.login(Make::Mit, &desk.collection, "alice");
    assert_eq!(place("alice"), primary);
    let new = place("bob");
    assert_ne!(new, primary);
    desk.login(Make::Mit, &new.to_string(), "bob");
    assert_eq!(place("bob"), new);
    assert_eq!(place("alice"), primary);
    assert_eq!(
        ccache::for_login(&new, &desk.config(), &principal("alice")).unwrap(),
        new,
        "the name of one cache is taken as it is"
    );
}

/// How many tickets a writer has under way at a time: each of them is replaced again and again.
const NAMES: usize = 40;
/// How often each writer writes.
const WRITES: usize = 160;
const WRITERS: usize = 4;

const WRITER: &str = "TRIHOUND_TEST_CACHE_WRITER";

/// How long the tools of both work on one file.
fn duration() -> Duration {
    let seconds = std::env::var("TRIHOUND_STRESS_SECONDS").ok();
    let seconds = seconds.map_or(10, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// A ticket for `host/wID-NAME`, the `number`th that the writer writes.
fn made(tgt: &Credentials, writer: usize, number: usize) -> Credentials {
    let name = format!("host/w{writer}-{}", number % NAMES);
    let mut ticket = tgt.ticket.clone();
    let end = ticket.len() - 2;
    ticket[end..].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
    Credentials {
        client: tgt.client.clone(),
        server: Principal::parse(&name, Some("TRIHOUND.TEST")).unwrap(),
        session_key: tgt.session_key.duplicate(),
        ticket,
        flags: tgt.flags,
        authtime: tgt.authtime,
        starttime: tgt.starttime,
        endtime: tgt.endtime,
        renew_till: tgt.renew_till,
        addresses: Vec::new(),
        authdata: Vec::new(),
        is_skey: false,
        second_ticket: Vec::new(),
    }
}

fn granting(cache: &CredentialCache) -> Option<Arc<Credentials>> {
    let mut tickets = cache.credentials.iter();
    tickets.find(|ticket| ticket.server.is_krbtgt()).cloned()
}

fn open(path: &Path) -> Box<dyn Cache> {
    ccache::open(&CacheName::File(path.to_owned()), &Config::default()).unwrap()
}

/// Not a test: a process of ours that the tests start, to write into a cache beside others.
#[test]
#[ignore = "the tests start it by itself"]
fn a_writer_of_ours() {
    let Ok(order) = std::env::var(WRITER) else {
        return;
    };
    let mut order = order.splitn(3, ' ');
    let writer: usize = order.next().unwrap().parse().unwrap();
    let pause = Duration::from_micros(order.next().unwrap().parse().unwrap());
    let cache = open(Path::new(order.next().unwrap()));
    println!("\nbegun");
    let (mut seen, mut next) = (0, Instant::now());
    for number in 0..WRITES {
        seen += usize::from(write_one(cache.as_ref(), writer, number));
        next += pause;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    println!("\nseen {seen}");
}

/// Writes a ticket and sees that it is there; `false` if somebody has logged in meanwhile.
fn write_one(cache: &dyn Cache, writer: usize, number: usize) -> bool {
    // Between the two steps of a login of MIT's there is no cache, or one without its first ticket.
    let Some(tgt) = cache.read().unwrap().as_ref().and_then(granting) else {
        return false;
    };
    let ticket = Arc::new(made(&tgt, writer, number));
    match cache.store(&ticket) {
        Ok(()) => {}
        Err(StoreError::NoCache { .. }) => return false,
        Err(error) => panic!("{error}"),
    }
    let Some(now) = cache.read().unwrap() else {
        return false;
    };
    let same_login = granting(&now).is_some_and(|now| now.ticket == tgt.ticket);
    let mut tickets = now.credentials.iter();
    assert!(
        !same_login || tickets.any(|held| held.ticket == ticket.ticket),
        "{} is lost",
        ticket.server
    );
    same_login
}

fn start_writer(writer: usize, pause: Duration, path: &Path) -> Background {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["caches::a_writer_of_ours", "--exact", "--ignored"])
        .arg("--nocapture")
        .env(
            WRITER,
            format!("{writer} {} {}", pause.as_micros(), path.display()),
        );
    let mut process = Background::start(command).unwrap();
    process.wait_for_line("begun").unwrap();
    process
}

fn writers(path: &Path) -> Vec<Background> {
    let pause = duration() / u32::try_from(WRITES).unwrap();
    (0..WRITERS)
        .map(|writer| start_writer(writer, pause, path))
        .collect()
}

/// How many of each writer's tickets it has seen in the file, the fewest of them.
fn ended(writers: Vec<Background>) -> usize {
    let seen = writers.into_iter().map(|mut writer| {
        let seen = writer.wait_for_line("seen ").unwrap().parse().unwrap();
        succeeded(&writer.finish().unwrap());
        seen
    });
    seen.min().unwrap()
}

/// Four processes of ours replace tickets in one file while the tools of both makes get some, drop
/// some and list them all.
#[test]
fn row_116_processes_of_both_makes_lose_no_ticket_of_one_file() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    let tgt = granting(&open(&path).read().unwrap().unwrap()).unwrap();
    let processes = writers(&path);
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for (make, service) in [
            (Make::Mit, "HTTP/localhost"),
            (Make::Mit, "host/localhost"),
            (Make::Ours, "host/rolled.localhost"),
        ] {
            let (world, stop, rounds, path) = (&world, &stop, &rounds, &path);
            scope.spawn(move || {
                let cache = open(path);
                while !stop.load(Ordering::Relaxed) {
                    get_list_and_drop(world, cache.as_ref(), make, service);
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        assert_eq!(ended(processes), WRITES);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(rounds.load(Ordering::Relaxed) >= 6, "the tools took part");
    let left = open(&path).read().unwrap().unwrap();
    for writer in 0..WRITERS {
        for number in WRITES - NAMES..WRITES {
            let wanted = made(&tgt, writer, number);
            let held: Vec<_> = left
                .credentials
                .iter()
                .filter(|held| held.server == wanted.server)
                .collect();
            assert_eq!(held.len(), 1, "{}", wanted.server);
            assert_eq!(held[0].ticket, wanted.ticket);
        }
    }
    let mit = world.run::<&str>(Make::Mit, "cc", "klist", &[]);
    succeeded(&mit);
    assert_eq!(mit.stdout.matches("host/w").count(), WRITERS * NAMES);
}

/// A tool gets a ticket, which is there then, and stays until this very test drops it.
fn get_list_and_drop(world: &World, cache: &dyn Cache, make: Make, service: &str) {
    let server = Principal::parse(service, Some("TRIHOUND.TEST")).unwrap();
    succeeded(&world.run(make, "cc", "kvno", &["-q", service]));
    for reader in BOTH {
        let listed = world.run::<&str>(reader, "cc", "klist", &[]);
        succeeded(&listed);
        assert!(listed.stdout.contains(service), "{listed}");
    }
    let content = cache.read().unwrap().unwrap();
    assert!(cache.remove(&content.principal, &server).unwrap() > 0);
    let content = cache.read().unwrap().unwrap();
    let mut tickets = content.credentials.iter();
    assert!(!tickets.any(|held| held.server == server));
}

/// The same with logins of both makes in between, each of which begins the file anew: it is whole at
/// any time, and nothing is lost but what was there before a login.
#[test]
fn row_116_a_file_is_whole_while_both_makes_log_in() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    let processes = writers(&path);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for make in BOTH {
            let (world, stop) = (&world, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    world.logged_in(make, "cc", &["alice"]);
                }
            });
        }
        let (world, stop) = (&world, &stop);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let listed = world.run::<&str>(Make::Mit, "cc", "klist", &[]);
                // MIT's own kinit removes the file before it makes another.
                let between = listed.stderr.contains("No credentials cache found");
                assert!(listed.success() || between, "{listed}");
            }
        });
        let seen = ended(processes);
        assert!(seen > WRITES / 10, "{seen} tickets were between two logins");
        stop.store(true, Ordering::Relaxed);
    });
    let mit = world.run::<&str>(Make::Mit, "cc", "klist", &[]);
    succeeded(&mit);
    assert!(mit.stdout.contains("krbtgt/"), "{mit}");
}

/// A writer that is killed at any moment leaves a cache for everybody.
#[test]
fn a_killed_writer_leaves_a_cache_that_both_read() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    let cache = open(&path);
    let mut most = 0;
    for round in 0..12u64 {
        let process = start_writer(0, Duration::ZERO, &path);
        std::thread::sleep(Duration::from_millis(3 + 7 * round));
        drop(process);
        let content = cache.read().unwrap().unwrap();
        let tgt = granting(&content).unwrap();
        most = most.max(content.credentials.len());
        cache.store(&Arc::new(made(&tgt, 1, 0))).unwrap();
        let listed = world.run::<&str>(Make::Mit, "cc", "klist", &[]);
        succeeded(&listed);
        assert!(listed.stdout.contains("host/w1-0"), "{listed}");
    }
    assert!(most > 1, "a writer came to write");
}

/// What is left of a ticket whose writer was stopped in the middle hides no other, and is written over.
#[test]
fn half_a_ticket_is_mended_for_both() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    let cache = open(&path);
    let tgt = granting(&cache.read().unwrap().unwrap()).unwrap();
    cache.store(&Arc::new(made(&tgt, 0, 1))).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    assert!(granting(&cache.read().unwrap().unwrap()).is_some());
    cache.store(&Arc::new(made(&tgt, 0, 2))).unwrap();
    let listed = world.run::<&str>(Make::Mit, "cc", "klist", &[]);
    succeeded(&listed);
    assert!(listed.stdout.contains("host/w0-2"), "{listed}");
    assert!(!listed.stdout.contains("host/w0-1@"), "{listed}");
}

/// The lock is one that MIT's programs wait for, and the reverse.
#[test]
fn a_locked_file_is_waited_for() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    // Python's fcntl has the lock of processes, which those of open files respect.
    let mut command = Command::new("python3");
    command.arg("-c").arg(format!(
        "import fcntl,time\nf=open({:?},'r+b')\nfcntl.lockf(f,fcntl.LOCK_EX)\n\
         print('begun',flush=True)\ntime.sleep(1.5)",
        path.display().to_string()
    ));
    let mut holder = Background::start(command).unwrap();
    holder.wait_for_line("begun").unwrap();
    let begun = Instant::now();
    let content = open(&path).read().unwrap().unwrap();
    assert!(begun.elapsed() > Duration::from_millis(500), "it waited");
    assert!(granting(&content).is_some());
    succeeded(&holder.finish().unwrap());
    let mut command = Command::new("klist");
    command.env("KRB5CCNAME", &path);
    succeeded(&run_to_end(command, "").unwrap());
}
