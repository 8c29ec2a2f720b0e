//! FILE and DIR caches that MIT's tools and ours have in common, one after the other and all at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use trihound::environment::CacheName;
use trihound::environment::ccache::{self, Cache};
use trihound::krb5::{Config, CredentialCache, Credentials, Principal, StoreError};
use trihound_interop::{Background, Finished};

use crate::desk::{self, Desk};
use crate::world::{BOTH, Make, World, report, succeeded};

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
const WRITERS: usize = 4;
/// What a writer waits between two tickets, however long it writes.
const PAUSE: Duration = Duration::from_millis(15);
/// A file grows with each ticket that is replaced; a login begins it anew.
const BETWEEN_LOGINS: Duration = Duration::from_secs(2);

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
    let end = ticket.len() - 4;
    ticket[end..].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
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

pub(crate) fn granting(cache: &CredentialCache) -> Option<Arc<Credentials>> {
    let mut tickets = cache.credentials.iter();
    tickets.find(|ticket| ticket.server.is_krbtgt()).cloned()
}

pub(crate) fn open(path: &Path) -> Box<dyn Cache> {
    ccache::open(&CacheName::File(path.to_owned()), &Config::default()).unwrap()
}

/// The tickets of one server that a cache has: one, if nothing is lost and nothing is left over.
fn is_held_once(cache: &CredentialCache, wanted: &Credentials) -> bool {
    let mut held = cache
        .credentials
        .iter()
        .filter(|held| held.server == wanted.server);
    held.next().is_some_and(|held| held.ticket == wanted.ticket) && held.next().is_none()
}

/// The file whose coming ends the writers of a cache.
fn end_mark(path: &Path) -> PathBuf {
    path.with_extension("end")
}

/// What writers did and saw.
#[derive(Default)]
struct Counts {
    writes: usize,
    /// How many of their tickets were in the file afterwards, and no login in between.
    seen: usize,
    reads: usize,
    lost: usize,
    broken: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.seen += other.seen;
        self.reads += other.reads;
        self.lost += other.lost;
        self.broken += other.broken;
    }
}

/// One that writes tickets and looks for all that it has written since the last login.
struct Writer {
    cache: Box<dyn Cache>,
    id: usize,
    /// The ticket that tells one login from the next.
    login: Vec<u8>,
    /// The number of the last ticket for each name.
    kept: BTreeMap<usize, usize>,
    counts: Counts,
}

impl Writer {
    /// The first ticket of the file, if all is as it should be; `None` between the two steps of a
    /// login of MIT's: there is no cache then, or one without its first ticket.
    fn look(&mut self) -> Option<Arc<Credentials>> {
        self.counts.reads += 1;
        let cache = match self.cache.read() {
            Ok(cache) => cache?,
            Err(error) => {
                eprintln!("the file is broken: {error}");
                self.counts.broken += 1;
                return None;
            }
        };
        let tgt = granting(&cache)?;
        if tgt.ticket != self.login {
            self.login.clone_from(&tgt.ticket);
            self.kept.clear();
        }
        for number in self.kept.values() {
            let wanted = made(&tgt, self.id, *number);
            if !is_held_once(&cache, &wanted) {
                eprintln!("{}, number {number}, is lost", wanted.server);
                self.counts.lost += 1;
            }
        }
        Some(tgt)
    }

    fn write(&mut self, number: usize) {
        let Some(tgt) = self.look() else { return };
        match self.cache.store(&Arc::new(made(&tgt, self.id, number))) {
            Ok(()) => {}
            Err(StoreError::NoCache { .. }) => return,
            Err(error) => {
                eprintln!("nothing can be written: {error}");
                self.counts.broken += 1;
                return;
            }
        }
        self.counts.writes += 1;
        // If somebody has logged in meanwhile, the next look forgets it.
        self.kept.insert(number % NAMES, number);
        self.look();
        self.counts.seen += usize::from(self.kept.get(&(number % NAMES)) == Some(&number));
    }
}

/// Not a test: a process of ours that the tests start, to write into a cache beside others.
#[test]
#[ignore = "the tests start it by itself"]
fn a_writer_of_ours() {
    let Ok(order) = std::env::var(WRITER) else {
        return;
    };
    let mut order = order.splitn(3, ' ');
    let id = order.next().unwrap().parse().unwrap();
    let pause = Duration::from_micros(order.next().unwrap().parse().unwrap());
    let path = Path::new(order.next().unwrap());
    let mut writer = Writer {
        cache: open(path),
        id,
        login: Vec::new(),
        kept: BTreeMap::new(),
        counts: Counts::default(),
    };
    println!("\nbegun");
    // Whoever started this may have been killed, and nobody ends it then.
    let latest = Instant::now() + duration() * 2 + Duration::from_secs(60);
    let end = end_mark(path);
    let mut number = 0;
    while !end.exists() && Instant::now() < latest {
        writer.write(number);
        number += 1;
        std::thread::sleep(pause);
    }
    let counts = &writer.counts;
    print!(
        "\nended {} {} {} {} {}",
        counts.writes, counts.seen, counts.reads, counts.lost, counts.broken
    );
    for number in writer.kept.values() {
        print!(" {number}");
    }
    println!();
}

fn start_writer(id: usize, pause: Duration, path: &Path) -> Background {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["caches::a_writer_of_ours", "--exact", "--ignored"])
        .arg("--nocapture")
        .env(
            WRITER,
            format!("{id} {} {}", pause.as_micros(), path.display()),
        );
    let mut process = Background::start(command).unwrap();
    process.wait_for_line("begun").unwrap();
    process
}

fn writers(path: &Path) -> Vec<Background> {
    (0..WRITERS)
        .map(|id| start_writer(id, PAUSE, path))
        .collect()
}

/// Ends the writers of a cache: what they counted, and which tickets each of them left in the file.
fn ended(path: &Path, writers: Vec<Background>) -> (Counts, Vec<Vec<usize>>) {
    std::fs::write(end_mark(path), "").unwrap();
    let mut sum = Counts::default();
    let mut kept = Vec::new();
    for mut writer in writers {
        let line = writer.wait_for_line("ended ").unwrap();
        let finished = writer.finish().unwrap();
        succeeded(&finished);
        // What was lost or broken, if anything was.
        eprint!("{}", finished.stderr);
        let numbers = line.split(' ').map(|word| word.parse().unwrap());
        let numbers: Vec<usize> = numbers.collect();
        let [writes, seen, reads, lost, broken, left @ ..] = &numbers[..] else {
            panic!("{line}");
        };
        sum += Counts {
            writes: *writes,
            seen: *seen,
            reads: *reads,
            lost: *lost,
            broken: *broken,
        };
        kept.push(left.to_vec());
    }
    (sum, kept)
}

/// Tells the threads of a test to end, also when it fails: they are waited for.
struct Stop(AtomicBool);

impl Stop {
    fn is_due(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Stopping<'a>(&'a Stop);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// The logins of a test, and whether there was one while something else was done.
#[derive(Default)]
struct Logins {
    begun: AtomicUsize,
    over: AtomicUsize,
}

impl Logins {
    fn log_in(&self, world: &World, make: Make) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        world.logged_in(make, "cc", &["alice"]);
        self.over.fetch_add(1, Ordering::SeqCst);
    }

    /// How many are over.
    fn count(&self) -> usize {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether none was under way since `count` were over.
    fn none_since(&self, count: usize) -> bool {
        self.begun.load(Ordering::SeqCst) == count
    }
}

/// Four processes of ours replace tickets in one file, each looking for all of its own at every
/// step, while MIT's kinit, kvno and klist and ours get some, drop some, list them all, and begin the
/// file anew now and then.
#[test]
fn row_116_processes_of_both_makes_lose_no_ticket_of_one_file() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    let stop = Stop(AtomicBool::new(false));
    let (rounds, logins) = (AtomicUsize::new(0), Logins::default());
    let begun = Instant::now();
    let processes = writers(&path);
    let (counts, kept) = std::thread::scope(|scope| {
        let stopping = Stopping(&stop);
        for (make, service) in [
            (Make::Mit, "HTTP/localhost"),
            (Make::Mit, "host/localhost"),
            (Make::Ours, "host/rolled.localhost"),
        ] {
            let (world, stop, rounds, logins, path) = (&world, &stop, &rounds, &logins, &path);
            scope.spawn(move || {
                let cache = open(path);
                while !stop.is_due() {
                    let whole = get_list_and_drop(world, cache.as_ref(), make, service, logins);
                    rounds.fetch_add(usize::from(whole), Ordering::Relaxed);
                }
            });
        }
        while begun.elapsed() + BETWEEN_LOGINS < duration() {
            std::thread::sleep(BETWEEN_LOGINS);
            logins.log_in(&world, Make::Mit);
        }
        // Some time is left for the tickets that are looked for at the end.
        std::thread::sleep(BETWEEN_LOGINS);
        let ended = ended(&path, processes);
        drop(stopping);
        ended
    });
    let rounds = rounds.into_inner();
    report(&[format!(
        "one FILE cache, {:.0} s: {} tickets written and {} reads by {WRITERS} processes, {rounds} rounds of \
         kvno and klist of both makes, {} logins of MIT's kinit; lost {}, broken {}",
        begun.elapsed().as_secs_f64(),
        counts.writes,
        counts.reads,
        logins.count(),
        counts.lost,
        counts.broken
    )]);
    assert_eq!((counts.lost, counts.broken), (0, 0));
    assert!(counts.seen * 2 > counts.writes, "few were looked for");
    assert!(rounds >= 6, "the tools took part: {rounds}");
    what_is_left(&world, &path, &kept);
}

/// Each of the tickets that the writers left is there, once, for both makes.
fn what_is_left(world: &World, path: &Path, kept: &[Vec<usize>]) {
    let left = open(path).read().unwrap().unwrap();
    let tgt = granting(&left).unwrap();
    let mit = world.run::<&str>(Make::Mit, "cc", "klist", &[]);
    succeeded(&mit);
    for (id, kept) in kept.iter().enumerate() {
        assert!(!kept.is_empty(), "writer {id} has written at the end");
        for number in kept {
            let wanted = made(&tgt, id, *number);
            assert!(is_held_once(&left, &wanted), "{}", wanted.server);
            let shown = format!("host/w{id}-{}@", number % NAMES);
            assert_eq!(mit.stdout.matches(&shown).count(), 1, "{shown}: {mit}");
        }
    }
}

/// A tool gets a ticket, which is there then, and stays until this very test drops it. `false` if
/// there was a login meanwhile, which begins the file anew.
fn get_list_and_drop(
    world: &World,
    cache: &dyn Cache,
    make: Make,
    service: &str,
    logins: &Logins,
) -> bool {
    let server = Principal::parse(service, Some("TRIHOUND.TEST")).unwrap();
    let before = logins.count();
    let got = world.run(make, "cc", "kvno", &["-q", service]);
    if !logins.none_since(before) {
        assert!(got.success() || is_between_logins(&got), "{got}");
        return false;
    }
    succeeded(&got);
    for reader in BOTH {
        let listed = world.run::<&str>(reader, "cc", "klist", &[]);
        if !logins.none_since(before) {
            assert!(listed.success() || is_between_logins(&listed), "{listed}");
            return false;
        }
        succeeded(&listed);
        assert!(listed.stdout.contains(service), "{listed}");
    }
    let client = Principal::parse("alice", Some("TRIHOUND.TEST")).unwrap();
    let removed = cache.remove(&client, &server);
    let content = cache.read().unwrap();
    if !logins.none_since(before) {
        return false;
    }
    assert!(removed.unwrap() > 0);
    let content = content.unwrap();
    let mut tickets = content.credentials.iter();
    assert!(!tickets.any(|held| held.server == server));
    true
}

/// MIT's own kinit removes the file before it makes another, which has no ticket yet.
fn is_between_logins(finished: &Finished) -> bool {
    ["No credentials cache", "Matching credential not found"]
        .iter()
        .any(|text| finished.stderr.contains(text))
}

/// The same with logins of both makes all the time: the file is whole at any time, and nothing is lost
/// but what was there before a login.
#[test]
fn row_116_a_file_is_whole_while_both_makes_log_in() {
    let Some(world) = World::new() else { return };
    world.logged_in(Make::Mit, "cc", &["alice"]);
    let path = world.scratch.join("cc");
    let stop = Stop(AtomicBool::new(false));
    let (lists, logins) = (AtomicUsize::new(0), Logins::default());
    let begun = Instant::now();
    let processes = writers(&path);
    let (counts, _) = std::thread::scope(|scope| {
        let stopping = Stopping(&stop);
        for make in BOTH {
            let (world, stop, logins) = (&world, &stop, &logins);
            scope.spawn(move || {
                while !stop.is_due() {
                    logins.log_in(world, make);
                }
            });
        }
        let (world, stop, lists) = (&world, &stop, &lists);
        scope.spawn(move || {
            while !stop.is_due() {
                let listed = world.run::<&str>(Make::Mit, "cc", "klist", &[]);
                // MIT's own kinit removes the file before it makes another.
                let between = listed.stderr.contains("No credentials cache found");
                assert!(listed.success() || between, "{listed}");
                lists.fetch_add(1, Ordering::Relaxed);
            }
        });
        std::thread::sleep(duration());
        let ended = ended(&path, processes);
        drop(stopping);
        ended
    });
    report(&[format!(
        "one FILE cache, {:.0} s: {} tickets written and {} reads by {WRITERS} processes, {} times MIT's klist, \
         {} logins of both makes; lost {}, broken {}",
        begun.elapsed().as_secs_f64(),
        counts.writes,
        counts.reads,
        lists.into_inner(),
        logins.count(),
        counts.lost,
        counts.broken
    )]);
    assert_eq!((counts.lost, counts.broken), (0, 0));
    assert!(
        counts.seen > counts.writes / 10,
        "{} of {} tickets were between two logins",
        counts.seen,
        counts.writes
    );
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
