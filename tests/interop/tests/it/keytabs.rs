//! Keytabs of both makes: read, changed, and changed by both at once.

use std::path::PathBuf;
use std::process::Command;

use trihound_interop::Finished;

use crate::world::{BOTH, Make, World, finished, lines, succeeded};

const REALM_SERVICE: &str = "HTTP/localhost";

impl World {
    fn keytab(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Our `ktutil` over a keytab of the test's own.
    fn ours(&self, keytab: &str, arguments: &[&str], input: &str) -> Finished {
        let place = self.keytab(keytab);
        let mut command = self.tool(
            Make::Ours,
            "cc",
            "ktutil",
            &["-k", &place.to_string_lossy()],
        );
        command.args(arguments);
        finished(command, input)
    }

    /// MIT's `ktutil`, whose commands come from standard input.
    fn mits(&self, commands: &str) -> Finished {
        let command = self.realm.command("ktutil", &self.scratch.cache("cc"));
        finished(command, commands)
    }

    fn kadmin(&self, query: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self
            .realm
            .command("kadmin.local", &self.scratch.cache("cc"));
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.args(["-r", self.realm.variable("KDC_REALM"), "-q", query]);
        command
    }

    /// What each make lists of a keytab, which has to be the same.
    fn listed(&self, keytab: &str) -> String {
        let place = self.keytab(keytab).display().to_string();
        let options = ["-k", "-e", "-t", "-K", &place];
        let [ours, mit] = BOTH.map(|make| self.run(make, "cc", "klist", &options));
        succeeded(&ours);
        succeeded(&mit);
        assert_eq!(lines(&ours.stdout), lines(&mit.stdout));
        let own = self.ours(keytab, &["list", "-e", "-t", "-K"], "");
        succeeded(&own);
        assert_eq!(lines(&own.stdout), lines(&mit.stdout));
        mit.stdout
    }
}

/// The same password makes the same keys, with the same default salt and with another.
#[test]
fn both_make_the_same_keys_of_a_password() {
    let Some(world) = World::new() else { return };
    let both = world.keytab("both").display().to_string();
    succeeded(&world.ours(
        "both",
        &["add", "host/a", "-k", "3", "-e", "aes256-cts,aes128-cts"],
        "tea at five\n",
    ));
    let added = world.mits(&format!(
        "addent -password -p host/a -k 3 -e aes256-cts\ntea at five\n\
         addent -password -p host/a -k 3 -e aes128-cts\ntea at five\nwkt {both}\nquit\n"
    ));
    succeeded(&added);
    let listed = world.listed("both");
    let keys: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once("(0x").map(|(_, key)| key))
        .collect();
    assert_eq!(keys.len(), 4, "{listed}");
    assert_eq!(keys[..2], keys[2..], "{listed}");
}

/// Each make's programs delete, fill the holes of the other, and read what is left.
#[test]
fn each_changes_what_the_other_wrote() {
    let Some(world) = World::new() else { return };
    let place = world.keytab("kt").display().to_string();
    succeeded(&world.mits(&format!(
        "addent -password -p host/long.name.of.a.machine -k 1 -e aes256-cts\nx\n\
         addent -password -p host/b -k 300 -e aes128-cts\nx\nwkt {place}\nquit\n"
    )));
    let removed = world.ours("kt", &["remove", "host/long.name.of.a.machine"], "");
    succeeded(&removed);
    let listed = world.listed("kt");
    assert!(
        listed.contains(" 300 ") && !listed.contains("machine"),
        "{listed}"
    );
    let length = std::fs::metadata(&place).unwrap().len();
    // Into the hole that ours left, and what remains of it is a hole again.
    succeeded(&world.mits(&format!(
        "addent -password -p host/c -k 2 -e aes128-cts\nx\nwkt {place}\nquit\n"
    )));
    assert_eq!(std::fs::metadata(&place).unwrap().len(), length);
    succeeded(&world.ours("kt", &["remove", "-k", "2"], ""));
    succeeded(&world.ours("kt", &["add", "d", "--random", "-e", "aes128-cts"], ""));
    assert_eq!(std::fs::metadata(&place).unwrap().len(), length);
    succeeded(&world.ours("kt", &["rename", "d", "host/renamed"], ""));
    succeeded(&world.ours("kt", &["merge", &world.path("service.keytab")], ""));
    let listed = world.listed("kt");
    assert!(listed.contains("host/renamed@") && listed.contains(REALM_SERVICE));
    // MIT's program removes what ours wrote.
    let query = format!("ktremove -k {place} host/renamed all");
    succeeded(&finished(world.kadmin(&query), ""));
    assert!(!world.listed("kt").contains("host/renamed@"));
}

/// The key that is made with the KDC's own salt logs in, and the one that is not does not.
#[test]
fn a_key_of_a_password_and_the_kdcs_salt_logs_in() {
    let Some(world) = World::new() else { return };
    let place = world.keytab("alice").display().to_string();
    let add = ["add", "alice", "-k", "1", "-f"];
    succeeded(&world.ours("alice", &add, "Wonder-Land-7\n"));
    for make in BOTH {
        succeeded(&world.run(make, "cc", "kinit", &["-k", "-t", &place, "alice"]));
    }
    let add = ["add", "alice", "-k", "1", "-s", "wrong", "-e", "aes256-cts"];
    succeeded(&world.ours("wrong", &add, "Wonder-Land-7\n"));
    let place = world.keytab("wrong").display().to_string();
    for make in BOTH {
        let refused = world.run(make, "cc", "kinit", &["-k", "-t", &place, "alice"]);
        assert!(!refused.success(), "{refused}");
    }
}

/// MIT's ktadd and our ktutil write into one keytab at once, while both read it: no entry is lost.
#[test]
fn writers_of_both_makes_at_once_lose_no_entry() {
    const ROUNDS: u32 = 8;
    let Some(world) = World::new() else { return };
    let place = world.keytab("shared").display().to_string();
    let principal = format!("host/rotated-{}", std::process::id());
    let made = finished(world.kadmin(&format!("addprinc -randkey {principal}")), "");
    succeeded(&made);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each ktadd makes a new version of the key, and adds it.
            for _ in 0..ROUNDS {
                let query = format!("ktadd -k {place} -e aes256-cts,aes128-cts {principal}");
                succeeded(&finished(world.kadmin(&query), ""));
            }
        });
        for writer in ["host/w1", "host/w2"] {
            let world = &world;
            scope.spawn(move || {
                for kvno in 1..=ROUNDS {
                    let kvno = kvno.to_string();
                    let add = ["add", writer, "-k", &kvno, "--random", "-e", "aes128-cts"];
                    succeeded(&world.ours("shared", &add, ""));
                    succeeded(&world.ours("shared", &["list"], ""));
                }
                succeeded(&world.ours("shared", &["remove", writer, "--old"], ""));
            });
        }
    });
    let listed = world.listed("shared");
    let count = |name: &str| listed.matches(name).count();
    assert_eq!(
        count(&format!("{principal}@")),
        2 * ROUNDS as usize,
        "{listed}"
    );
    assert_eq!((count("host/w1@"), count("host/w2@")), (1, 1), "{listed}");
    // What the keytab has is what the KDC has: its tickets open.
    world.logged_in(Make::Ours, "cc", &["alice"]);
    for make in BOTH {
        let opened = world.run(make, "cc", "kvno", &["-k", &place, &principal]);
        succeeded(&opened);
    }
    let gone = finished(world.kadmin(&format!("delprinc -force {principal}")), "");
    succeeded(&gone);
}

/// KRB5_TRACE names a file for both makes, and ours tells the same steps without a secret.
#[test]
fn a_trace_of_a_login_has_its_steps() {
    let Some(world) = World::new() else { return };
    let realm = world.realm.variable("KDC_REALM").to_owned();
    for make in BOTH {
        let trace = world.keytab(&format!("trace-{make:?}"));
        for (tool, arguments) in [("kinit", ["alice"]), ("kvno", [REALM_SERVICE])] {
            let mut command = world.tool(make, "traced", tool, &arguments);
            command.env("KRB5_TRACE", &trace);
            succeeded(&finished(command, "Wonder-Land-7\n"));
        }
        let text = std::fs::read_to_string(&trace).unwrap();
        assert!(!text.contains("Wonder-Land-7"), "{text}");
        for step in [
            format!("Getting initial credentials for alice@{realm}"),
            format!("{REALM_SERVICE}@{realm}"),
            "127.0.0.1:".to_owned(),
        ] {
            assert!(text.contains(&step), "{make:?}: {step} is not in\n{text}");
        }
        let line = text.lines().next().unwrap();
        assert!(line.starts_with('[') && line.contains("] "), "{line}");
    }
}
