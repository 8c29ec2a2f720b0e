//! Realms some of whose KDCs are dead or behind, and what a login costs there.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use trihound::environment::load_config_from;
use trihound::krb5::{AsExchange, AsRequest, ClientSecret, Config, Environment, Principal};
use trihound::sansio::{SystemClock, drive};
use trihound::{KdcTransport, OsRandom};
use trihound_interop::{Finished, Realm, run_to_end};

use crate::world::{Make, World, finished, refused, report, succeeded};

/// What a first login may cost with two of three KDCs dead, and one that knows of it.
const FIRST: Duration = Duration::from_millis(3500);
const SECOND: Duration = Duration::from_secs(1);

/// Two KDCs that are dead in two ways, for as long as the value lives.
struct Dead {
    /// Takes datagrams and says nothing; nothing listens for streams.
    silent: UdpSocket,
    /// Takes connections and says nothing; nothing listens for datagrams.
    accepting: TcpListener,
}

impl Dead {
    fn new() -> Self {
        Self {
            silent: UdpSocket::bind("127.0.0.1:0").unwrap(),
            accepting: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [
            self.silent.local_addr().unwrap(),
            self.accepting.local_addr().unwrap(),
        ]
    }
}

/// The realm's krb5.conf with lines of its own in the realm's section, before the living KDC.
fn profile(world: &World, name: &str, in_realm: &[String], in_libdefaults: &[String]) -> PathBuf {
    let base = world.realm.profile(name, in_libdefaults).unwrap();
    let head = format!("{} = {{\n", world.realm.variable("KDC_REALM"));
    let text = fs::read_to_string(base).unwrap();
    assert!(text.contains(&head), "{text}");
    let with = format!("{head}{}\n", in_realm.join("\n"));
    let path = world.scratch.join(format!("{name}.conf"));
    fs::write(&path, text.replacen(&head, &with, 1)).unwrap();
    path
}

fn config_of(path: &Path) -> Arc<Config> {
    Arc::new(load_config_from(path).unwrap())
}

/// A login in this process.
fn log_in(config: &Arc<Config>) -> Duration {
    let environment = Environment::new(
        Arc::new(SystemClock),
        Arc::new(OsRandom),
        Arc::clone(config),
    );
    let client = Principal::parse("alice", config.default_realm.as_deref()).unwrap();
    let secret = ClientSecret::Password("Wonder-Land-7".into());
    let request = AsRequest::new(client, secret);
    let began = Instant::now();
    let exchange = AsExchange::begin(request, &environment).unwrap();
    drive(exchange, KdcTransport::new(Arc::clone(config))).unwrap();
    began.elapsed()
}

fn kinit(
    world: &World,
    make: Make,
    cache: &str,
    profile: &Path,
    password: &str,
) -> (Finished, Duration) {
    let profile_name = profile.file_stem().unwrap_or_default().display();
    let cache = format!("{cache}-{make:?}-{profile_name}");
    let mut command = world.tool(make, &cache, "kinit", &["alice"]);
    command.env("KRB5_CONFIG", profile);
    let began = Instant::now();
    let finished = finished(command, &format!("{password}\n"));
    (finished, began.elapsed())
}

/// Two runs side by side: the two programs share nothing.
fn two_runs(world: &World, make: Make, profile: &Path) -> [Duration; 2] {
    thread::scope(|scope| {
        let run = |cache: &'static str| {
            scope.spawn(move || {
                let (finished, time) = kinit(world, make, cache, profile, "Wonder-Land-7");
                succeeded(&finished);
                time
            })
        };
        [run("one"), run("two")].map(|run| run.join().unwrap())
    })
}

/// The measurement: the first of three KDCs is silent over UDP, the second accepts over TCP and
/// never answers, the third lives.
#[test]
fn a_dead_kdc_costs_a_second_once() {
    let Some(world) = World::new() else { return };
    let world = &world;
    let lines = thread::scope(|scope| {
        let courses = [("UDP first", 1465), ("TCP first", 1)]
            .map(|(name, limit)| scope.spawn(move || login_times(world, name, limit)));
        courses.map(|course| course.join().unwrap())
    });
    let head = "two of three KDCs dead            first login  second login".to_owned();
    report(&[vec![head], lines.concat()].concat());
}

/// Measures what a login costs, asserts it and tells it.
fn login_times(world: &World, name: &str, udp_preference_limit: usize) -> Vec<String> {
    let dead = Dead::new();
    let kdcs = dead.addresses().map(|address| format!("kdc = {address}"));
    let limit = [format!("udp_preference_limit = {udp_preference_limit}")];
    let profile = profile(world, &format!("dead{udp_preference_limit}"), &kdcs, &limit);
    let config = config_of(&profile);
    let [process, ours, mit] = thread::scope(|scope| {
        let mit = scope.spawn(|| two_runs(world, Make::Mit, &profile));
        let process = [(); 2].map(|()| log_in(&config));
        let ours = two_runs(world, Make::Ours, &profile);
        [process, ours, mit.join().unwrap()]
    });
    assert!(process[0] < FIRST, "{name}: {process:?}");
    assert!(process[1] < SECOND, "{name}: {process:?}");
    // A program that starts anew knows nothing of what the last one met.
    assert!(ours.iter().all(|time| *time < FIRST), "{name}: {ours:?}");
    let courses = [
        ("one process of ours", process),
        ("our kinit, two runs", ours),
        ("MIT's kinit, two runs", mit),
    ];
    courses
        .map(|(what, [first, second])| {
            let (first, second) = (first.as_secs_f64(), second.as_secs_f64());
            format!("{name}, {what:<22} {first:>9.3} s   {second:>9.3} s")
        })
        .to_vec()
}

/// Where nobody lives, the whole is bounded and every KDC is told of.
#[test]
fn a_realm_whose_kdcs_are_all_dead_is_told_in_time() {
    let Some(world) = World::new() else { return };
    let dead = Dead::new();
    let [silent, accepting] = dead.addresses();
    let path = world.scratch.join("all-dead.conf");
    let realm = world.realm.variable("KDC_REALM");
    let text = format!(
        "[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = false\n request_timeout = 3s\n\
         [realms]\n {realm} = {{\n  kdc = {silent}\n  kdc = {accepting}\n }}\n"
    );
    fs::write(&path, text).unwrap();
    let (finished, time) = kinit(&world, Make::Ours, "cc", &path, "Wonder-Land-7");
    refused(&finished, &["Cannot contact any KDC"]);
    for expected in [
        format!("udp {silent}: no reply within"),
        format!("tcp {accepting}: no reply within"),
        format!("udp {accepting}: refused"),
    ] {
        assert!(
            finished.stderr.contains(&expected),
            "{expected}: {finished}"
        );
    }
    assert!(time < Duration::from_secs(5), "{time:?}");
}

/// A replica has an old password still; the primary KDC has the new one.
#[test]
fn a_changed_password_is_known_to_the_primary_kdc_first() {
    let Some(world) = World::new() else { return };
    let primary = Realm::start_at(world.peers, "127.0.0.2").unwrap();
    let mut change = primary.command("kadmin.local", &world.scratch.cache("admin"));
    change.args(["-q", "change_password -pw Looking-Glass-8 alice"]);
    let changed = admin(change);
    succeeded(&changed);
    // kadmin.local ends with 0 whatever came of it.
    assert!(changed.stdout.contains("changed"), "{changed}");
    let address = format!(
        "{}:{}",
        primary.variable("KDC_ADDRESS"),
        primary.variable("KDC_PORT")
    );
    let line = [format!("primary_kdc = {address}")];
    let with_primary = profile(&world, "primary", &line, &[]);
    let without = profile(&world, "no-primary", &[], &[]);
    for make in [Make::Ours, Make::Mit] {
        let (finished, _) = kinit(&world, make, "cc", &with_primary, "Looking-Glass-8");
        succeeded(&finished);
        let (finished, _) = kinit(&world, make, "cc", &without, "Looking-Glass-8");
        refused(&finished, &["Password incorrect"]);
        // Wrong at both: the primary KDC's word counts.
        let (finished, _) = kinit(&world, make, "cc", &with_primary, "Cheshire-9");
        refused(&finished, &["Password incorrect"]);
    }
}

fn admin(mut command: Command) -> Finished {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    run_to_end(command, "").unwrap_or_else(|failure| panic!("{failure}"))
}
