//! The failures that people meet most, each provoked against MIT and held word by word.
//!
//! `docs/manual/errors.md` has the texts: a section for each failure, whose name is the case's and whose
//! first code block is what the person sees. A text that changes is changed there too.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trihound::krb5::{AsExchange, AsRequest, ClientSecret, Environment, Principal};
use trihound::sansio::{Clock, Timestamp, drive};
use trihound::{KdcTransport, OsRandom};
use trihound_interop::{Conversation, Finished, Realm, Scratch, Side, SideResult};

use crate::world::{Make, World, finished, peers, succeeded};

/// Fewer failures than this would mean that some fell out of the list.
const AT_LEAST: usize = 31;
const PASSWORD: &str = "Wonder-Land-7";

/// Every failure by its name in the manual, with what was seen of it.
type Seen = BTreeMap<&'static str, String>;

#[test]
fn the_manual_has_the_text_of_every_failure() {
    let Some(world) = World::new() else { return };
    let mut seen = Seen::new();
    caches(&world, &mut seen);
    logins(&world, &mut seen);
    configurations(&world, &mut seen);
    services(&world, &mut seen);
    keytabs(&world, &mut seen);
    unreadable_keytab(&world, &mut seen);
    acceptors(&world, &mut seen);
    rolled_keys(&mut seen);
    seen.insert("clock-skew", clock_skew(&world));
    seen.insert("clock-skew-at-a-service", clock_skew_at_a_service(&world));
    println!("errors: {AT_LEAST} planned, {} ran, 0 skipped", seen.len());
    assert!(seen.len() >= AT_LEAST, "{}", seen.len());

    let manual = manual();
    let mut wrong = Vec::new();
    for (name, text) in &seen {
        match manual.get(*name) {
            Some(held) if held == text => {}
            held => wrong.push(format!("## {name}\nmanual: {held:?}\nseen:\n{text}\n")),
        }
    }
    for name in manual
        .keys()
        .filter(|name| !seen.contains_key(name.as_str()))
    {
        wrong.push(format!("## {name}: nothing provokes it"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The manual's sections: name and first code block.
fn manual() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/errors.md");
    let text = fs::read_to_string(path).unwrap();
    text.split("\n## ")
        .skip(1)
        .map(|section| {
            let (name, body) = section.split_once('\n').unwrap();
            let block = body.split("```text\n").nth(1).unwrap_or_default();
            let (block, _) = block.split_once("\n```").unwrap_or_default();
            (name.trim().to_owned(), block.to_owned())
        })
        .collect()
}

/// What differs from run to run gets a name: directories, ports, moments.
fn steady(world: &World, text: &str) -> String {
    let text = text
        .replace(&world.scratch.path().display().to_string(), "DIR")
        .replace(&world.realm.directory().display().to_string(), "REALM");
    let mut steady = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, found) = rest.split_at(at);
        let end = found
            .find(|c: char| !(c.is_ascii_digit() || "-:TZ.".contains(c)))
            .unwrap_or(found.len());
        let (word, behind) = found.split_at(end);
        steady.push_str(before);
        steady.push_str(&steady_word(word));
        rest = behind;
    }
    steady.push_str(rest);
    steady.trim_end().to_owned()
}

/// `127.0.0.1:4711` and `2026-11-22T10:00:00Z` without what is chance in them.
fn steady_word(word: &str) -> String {
    if let Some(port) = word.strip_prefix("127.0.0.1:") {
        let behind = port.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("127.0.0.1:PORT{behind}");
    }
    let is_moment = word.len() >= 20
        && word.as_bytes().get(4) == Some(&b'-')
        && word.as_bytes().get(10) == Some(&b'T');
    if is_moment {
        let end = word.find('Z').map_or(word.len(), |end| end + 1);
        return format!("TIME{}", &word[end..]);
    }
    let is_measured = word.split_once('.').is_some_and(|(whole, part)| {
        [whole, part]
            .iter()
            .all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    });
    if is_measured {
        return "N".to_owned();
    }
    word.to_owned()
}

/// Standard error of a program that must fail as MIT's do.
#[track_caller]
fn failed(world: &World, done: &Finished) -> String {
    assert_eq!(done.status.code(), Some(1), "{done}");
    steady(world, &done.stderr)
}

fn ours(world: &World, tool: &str, arguments: &[&str]) -> String {
    failed(world, &world.run(Make::Ours, "cc", tool, arguments))
}

fn login(world: &World, arguments: &[&str], password: &str) -> String {
    failed(world, &world.kinit(Make::Ours, "cc", arguments, password))
}

fn caches(world: &World, seen: &mut Seen) {
    seen.insert("no-ticket", ours(world, "kvno", &["HTTP/localhost"]));
    let with_cache = |name: &str| {
        let mut command = world.tool(Make::Ours, "cc", "klist", &[] as &[&str]);
        command.env("KRB5CCNAME", name);
        failed(world, &finished(command, ""))
    };
    seen.insert("cache-of-unknown-type", with_cache("API:tickets"));
    let junk = world.scratch.join("junk");
    fs::write(&junk, "not a cache\n").unwrap();
    seen.insert(
        "damaged-cache",
        with_cache(&format!("FILE:{}", junk.display())),
    );
    world.logged_in(Make::Ours, "cc", &["-l", "1s", "-r", "0s", "alice"]);
    std::thread::sleep(Duration::from_millis(2100));
    seen.insert("ticket-expired", ours(world, "kvno", &["HTTP/localhost"]));
    seen.insert("ticket-not-renewable", ours(world, "kinit", &["-R"]));
    fs::remove_file(world.scratch.join("cc")).unwrap();
}

fn logins(world: &World, seen: &mut Seen) {
    for (name, user, password) in [
        ("wrong-password", "alice", "Wonder-Land-8"),
        ("unknown-user", "nobody", "x"),
        ("account-locked", "user-locked", "secret-locked"),
        ("account-expired", "user-expired", "secret-expired"),
        ("password-expired", "user-pwexpired", "secret-pwexpired"),
    ] {
        seen.insert(name, login(world, &[user], password));
    }
}

/// The realm's krb5.conf after a change, as a file of this test's own.
fn changed_conf(world: &World, name: &str, change: impl FnOnce(&str) -> String) -> String {
    let text = fs::read_to_string(world.realm.variable("KRB5_CONFIG")).unwrap();
    let path = world.scratch.join(format!("{name}.conf"));
    fs::write(&path, change(&text)).unwrap();
    path.display().to_string()
}

fn login_under(world: &World, conf: &str, user: &str, password: &str) -> String {
    let mut command = world.tool(Make::Ours, "cc", "kinit", &[user]);
    command.env("KRB5_CONFIG", conf);
    failed(world, &finished(command, &format!("{password}\n")))
}

fn configurations(world: &World, seen: &mut Seen) {
    let without_rc4 = changed_conf(world, "no-rc4", |text| {
        text.replace("allow_rc4 = true", "allow_rc4 = false")
    });
    seen.insert(
        "rc4-only-account",
        login_under(world, &without_rc4, "user-rc4", "secret-rc4"),
    );
    let without_realm = changed_conf(world, "no-realm", |text| {
        text.replace("default_realm =", "#")
    });
    seen.insert("no-realm", login_under(world, &without_realm, "alice", "x"));
    seen.insert(
        "no-kdc-known",
        login_under(
            world,
            world.realm.variable("KRB5_CONFIG"),
            "alice@ELSEWHERE.TEST",
            "x",
        ),
    );
    // A port that was free a moment ago, and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let served = format!(
        "{}:{}",
        world.realm.variable("KDC_ADDRESS"),
        world.realm.variable("KDC_PORT")
    );
    let dead = changed_conf(world, "dead", |text| text.replace(&served, &nobody));
    seen.insert("dead-kdc", login_under(world, &dead, "alice", "x"));
    // Both carriers take what comes and never answer.
    let (mute, _datagrams) = loop {
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(datagrams) = std::net::UdpSocket::bind(mute.local_addr().unwrap()) {
            break (mute, datagrams);
        }
    };
    let silent = changed_conf(world, "silent", |text| {
        let mute = mute.local_addr().unwrap().to_string();
        text.replace(&served, &mute).replacen(
            "[libdefaults]\n",
            "[libdefaults]\nrequest_timeout = 3s\n",
            1,
        )
    });
    seen.insert("silent-kdc", login_under(world, &silent, "alice", "x"));
    let broken = world.scratch.join("broken.conf");
    fs::write(&broken, "[libdefaults]\n  default_realm TRIHOUND.TEST\n").unwrap();
    seen.insert(
        "broken-krb5-conf",
        login_under(world, &broken.display().to_string(), "alice", "x"),
    );
}

fn services(world: &World, seen: &mut Seen) {
    world.logged_in(Make::Ours, "cc", &["alice"]);
    seen.insert(
        "unknown-service",
        ours(world, "kvno", &["HTTP/web.localhost"]),
    );
    seen.insert(
        "no-tickets-for-this-name",
        ours(world, "kvno", &["host/refused.localhost"]),
    );
    seen.insert(
        "no-way-to-the-realm",
        ours(world, "kvno", &["HTTP/web@ELSEWHERE.TEST"]),
    );
}

fn keytabs(world: &World, seen: &mut Seen) {
    let absent = world.scratch.join("absent.keytab").display().to_string();
    let login = |keytab: &str| ours(world, "kinit", &["-k", "-t", keytab, "alice"]);
    seen.insert("no-keytab", login(&absent));
    let junk = world.scratch.join("junk").display().to_string();
    seen.insert("damaged-keytab", login(&junk));
    seen.insert("user-not-in-keytab", login(&world.path("service.keytab")));
}

/// A keytab that only its owner may read. Root may read everything, so that the program then runs as nobody.
fn unreadable_keytab(world: &World, seen: &mut Seen) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let open = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let keytab = world.scratch.join("private.keytab");
    fs::copy(world.path("client.keytab"), &keytab).unwrap();
    let conf = changed_conf(world, "public", str::to_owned);
    let is_root = fs::metadata(&keytab).unwrap().uid() == 0;
    let arguments =
        ["kinit", "-k", "-t", &keytab.display().to_string(), "alice"].map(str::to_owned);
    let mut command = if is_root {
        // Where nobody can reach the build's own directory, a copy is reached.
        let program = world.scratch.join("trihound");
        fs::copy(&world.peers.program, &program).unwrap();
        open(world.scratch.path(), 0o755);
        open(&program, 0o755);
        let mut command = world
            .realm
            .command("setpriv", &world.scratch.cache("nobody"));
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(program);
        command
    } else {
        world
            .realm
            .command(&world.peers.program, &world.scratch.cache("nobody"))
    };
    open(&keytab, if is_root { 0o600 } else { 0o000 });
    command.args(&arguments).env("KRB5_CONFIG", &conf);
    seen.insert("unreadable-keytab", failed(world, &finished(command, "")));
}

/// What the two sides of a context say, the acceptor with a realm's file of its own.
fn context(
    world: &World,
    realm: &Realm,
    target: &str,
    acceptor: [(&str, &str); 1],
) -> (SideResult, SideResult) {
    let side = |cache: &str| realm.command(&world.peers.program, &world.scratch.cache(cache));
    let [(name, value)] = acceptor;
    let mut accepting = side("acceptor");
    accepting.env(name, value);
    let made = |command| Side::new(command, &world.peers.program, &world.peers.program);
    Conversation {
        package: "kerberos",
        target: target.to_owned(),
        acceptor: "-".to_owned(),
        initiator_flags: format!("mutual,user=alice,pw={PASSWORD}"),
        acceptor_flags: String::new(),
    }
    .hold(made(side("initiator")), made(accepting))
    .unwrap_or_else(|failure| panic!("{failure}"))
}

fn acceptors(world: &World, seen: &mut Seen) {
    let keytab = world.path("service.keytab");
    let same = [("KRB5_KTNAME", keytab.as_str())];
    let (initiator, acceptor) = context(world, &world.realm, "host/absent.localhost", same);
    seen.insert("service-not-in-keytab", failed(world, &acceptor.finished));
    seen.insert("service-refused", failed(world, &initiator.finished));
    let (initiator, _) = context(world, &world.realm, "HTTP/web.localhost", same);
    seen.insert("how-a-name-was-built", failed(world, &initiator.finished));
    let only_aes128 = world.path("krb5-aes128.conf");
    let (_, acceptor) = context(
        world,
        &world.realm,
        "host/aes256.localhost",
        [("KRB5_CONFIG", &only_aes128)],
    );
    seen.insert("enctype-not-permitted", failed(world, &acceptor.finished));
}

/// A realm of its own, whose service gets new keys that the keytab lacks.
fn rolled_keys(seen: &mut Seen) {
    let Some(peers) = peers() else { return };
    let realm = Arc::new(Realm::start(peers).unwrap());
    let world = World {
        peers,
        realm: Arc::clone(&realm),
        scratch: Scratch::new().unwrap(),
    };
    let keytab = world.path("service.keytab");
    let kadmin = |queries: &[&str]| {
        for query in queries {
            let mut command = realm.command("kadmin.local", &world.scratch.cache("admin"));
            command.args(["-r", realm.variable("KDC_REALM"), "-q", query]);
            succeeded(&finished(command, ""));
        }
    };
    let refused = |target: &str| {
        let (_, acceptor) = context(&world, &realm, target, [("KRB5_KTNAME", &keytab)]);
        failed(&world, &acceptor.finished)
    };
    kadmin(&["change_password -randkey host/localhost"]);
    seen.insert("old-key-version", refused("host/localhost"));
    kadmin(&[
        "change_password -randkey HTTP/localhost",
        "modify_principal -kvno 1 HTTP/localhost",
    ]);
    seen.insert("wrong-key", refused("HTTP/localhost"));
}

/// A clock that is ten minutes fast.
struct Fast;

impl Clock for Fast {
    fn now(&self) -> Timestamp {
        trihound::sansio::SystemClock.now().shifted(600_000_000)
    }
}

/// The KDC's clock is followed by default, so that a login with a wrong clock fails only where that is off.
fn clock_skew(world: &World) -> String {
    let conf = changed_conf(world, "no-timesync", |text| {
        text.replacen(
            "[libdefaults]\n",
            "[libdefaults]\nkdc_timesync = false\n",
            1,
        )
    });
    let config = Arc::new(trihound::environment::load_config_from(Path::new(&conf)).unwrap());
    let environment = Environment::new(Arc::new(Fast), Arc::new(OsRandom), Arc::clone(&config));
    let alice = Principal::parse("alice", config.default_realm.as_deref()).unwrap();
    let request = AsRequest::new(alice, ClientSecret::Password(PASSWORD.into()));
    let exchange = AsExchange::begin(request, &environment).unwrap();
    let error = drive(exchange, KdcTransport::new(config)).unwrap_err();
    steady(world, &error.to_string())
}

/// The client's clock is right, the service's is not.
fn clock_skew_at_a_service(world: &World) -> String {
    let conf = world.realm.variable("KRB5_CONFIG").to_owned();
    let config = Arc::new(trihound::environment::load_config_from(Path::new(&conf)).unwrap());
    let client = trihound::Client::builder()
        .config(Arc::clone(&config))
        .password("alice", PASSWORD)
        .build()
        .unwrap();
    let server = trihound::Server::builder()
        .config(config)
        .keytab(world.path("service.keytab"))
        .clock(Arc::new(Fast))
        .build()
        .unwrap();
    let mut handshake = client.connector("HTTP/localhost").handshake();
    let token = handshake.step(None).unwrap().token.unwrap();
    let rejected = server.handshake().step(&token).unwrap_err();
    steady(world, &rejected.error.to_string())
}

#[test]
fn what_differs_from_run_to_run_is_named() {
    assert_eq!(steady_word("127.0.0.1:4711"), "127.0.0.1:PORT");
    assert_eq!(steady_word("127.0.0.1:4711:"), "127.0.0.1:PORT:");
    assert_eq!(steady_word("2026-11-22T10:00:00Z"), "TIME");
    assert_eq!(steady_word("2026-11-22T10:00:00.123456Z."), "TIME.");
    assert_eq!(steady_word("24"), "24");
    assert_eq!(steady_word("3.0012"), "N");
    assert_eq!(steady_word("5."), "5.");
}
