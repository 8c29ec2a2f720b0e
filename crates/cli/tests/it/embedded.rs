//! The tools against the embedded KDC of the same program.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use crate::{Done, Scratch};

/// A KDC that ends with the test.
struct Kdc {
    process: Child,
    scratch: Scratch,
}

impl Kdc {
    fn start() -> Self {
        let scratch = Scratch::new();
        let realm = "realm = \"TEST.EXAMPLE\"\nmin_password_length = 6\n\
            password_administrators = [\"bob\"]\n\
            [[principal]]\nname = \"alice\"\npassword = \"secret\"\n\
            [[principal]]\nname = \"bob\"\npassword = \"secret\"\n\
            [[principal]]\nname = \"late\"\npassword = \"secret\"\npassword_expired = true\n\
            [[principal]]\nname = \"host/localhost\"\n";
        fs::write(scratch.path().join("realm.toml"), realm).unwrap();
        let arguments = [
            "kdc",
            "realm.toml",
            "--krb5-conf",
            "krb5.conf",
            "--keytab",
            "keytab",
        ];
        let mut process = scratch
            .program(&arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = |line: &String| line.starts_with("listening ");
        lines.map(Result::unwrap).find(listening).unwrap();
        Self { process, scratch }
    }

    fn run(&self, input: &str, arguments: &[&str]) -> Done {
        let caches = self.scratch.path().join("caches").display().to_string();
        let mut child = self
            .scratch
            .program(arguments)
            .env("KRB5CCNAME", format!("DIR:{caches}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A tool that asks for nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Done::new(child.wait_with_output().unwrap())
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Conformance row 104: an enterprise name becomes the account's own, in the cache too.
#[test]
fn an_enterprise_name_is_logged_in_under_the_accounts_name() {
    let kdc = Kdc::start();
    kdc.run("secret\n", &["kinit", "-E", "alice@test.example"])
        .said();
    let shown = kdc.run("", &["klist"]).said().to_owned();
    assert!(
        shown.contains("Default principal: alice@TEST.EXAMPLE\n"),
        "{shown}"
    );
    let wrong = kdc.run("secret\n", &["kinit", "-E", "alice@other.example"]);
    wrong.refused(
        1,
        "Client not found in Kerberos database while getting initial credentials",
    );
}

/// One line of passwords from standard input; each user has a cache, and -R, -s and -v find it.
#[test]
fn a_whole_session_in_a_collection() {
    let kdc = Kdc::start();
    kdc.run("secret\n", &["kinit", "-r", "2h", "-l", "1h", "alice"])
        .said();
    kdc.run("secret\n", &["kinit", "-s", "1h", "bob"]).said();
    kdc.run("wrong\n", &["kinit", "bob"])
        .refused(1, "Password incorrect while getting initial credentials");
    kdc.run("", &["kvno", "host/localhost"]).refused(
        1,
        "Ticket not yet valid while getting credentials for host/localhost@TEST.EXAMPLE",
    );
    kdc.run("", &["kinit", "-v", "bob"])
        .refused(1, "Ticket not yet valid while validating credentials");
    kdc.run("", &["kinit", "-v", "alice"])
        .refused(1, "is valid already");
    kdc.run("secret\n", &["kinit", "bob"]).said();
    let opened = kdc.run("", &["kvno", "-k", "keytab", "host/localhost"]);
    let opened = opened.said();
    assert!(
        opened.starts_with("host/localhost@TEST.EXAMPLE: kvno = "),
        "{opened}"
    );
    assert!(opened.ends_with(", keytab entry valid\n"), "{opened}");
    kdc.run("", &["kinit", "-R", "alice"]).said();
    // The renewed cache is the primary one now.
    let listed = kdc.run("", &["klist", "-l"]).said().to_owned();
    let users: Vec<&str> = listed
        .lines()
        .skip(2)
        .filter_map(|line| line.split('@').next())
        .collect();
    assert_eq!(users, ["alice", "bob"]);
    let both = kdc.run("", &["klist", "-A", "-f"]).said().to_owned();
    assert_eq!(both.matches("Ticket cache: DIR::").count(), 2, "{both}");
    assert!(
        both.contains("Flags: R") && both.contains("host/localhost@"),
        "{both}"
    );
    let none = kdc.run("", &["kvno", "-q", "no/such"]);
    none.refused(1, "kvno: Server not found in Kerberos database");
    // One service that is not there keeps no other from being asked for.
    let some = kdc.run("", &["kvno", "no/such", "host/localhost"]);
    assert_eq!(some.status, Some(1));
    assert!(
        some.stdout
            .starts_with("host/localhost@TEST.EXAMPLE: kvno = ")
    );
}

/// It failed behind its questions.
#[track_caller]
fn ended_with(done: &Done, text: &str) {
    assert_eq!(done.status, Some(1), "{done:?}");
    assert!(done.stderr.contains(text), "{text}: {done:?}");
}

/// The password service of the embedded KDC: statuses and words are MIT's.
#[test]
fn passwords_are_changed_and_refused() {
    let kdc = Kdc::start();
    let change = |typed: &[&str], arguments: &[&str]| {
        let typed: String = typed.iter().map(|line| format!("{line}\n")).collect();
        kdc.run(&typed, &[&["kpasswd"], arguments].concat())
    };
    let short = change(&["secret", "short", "short"], &["alice"]);
    assert_eq!(short.status, Some(2), "{short:?}");
    assert!(
        short.stdout.contains(
            "Password change rejected: New password is too short. Please choose a password which is at least 6"
        ),
        "{short:?}"
    );
    change(&["wrong", "longer", "longer"], &["alice"]).refused(
        1,
        "kpasswd: Password incorrect while getting initial ticket: ",
    );
    ended_with(
        &change(&["secret", "longer", "other"], &["alice"]),
        "kpasswd: Password mismatch while reading password",
    );
    ended_with(
        &change(&["secret"], &["alice"]),
        "standard input is at its end",
    );
    change(&["secret", "longer", "longer"], &["--no-such-option"]).refused(1, "kpasswd: ");
    let denied = change(
        &["secret", "longer", "longer"],
        &["--admin-principal", "alice", "bob"],
    );
    assert_eq!(denied.status, Some(2), "{denied:?}");
    assert!(denied.stdout.contains("Access denied"), "{denied:?}");
    let done = change(&["secret", "longer", "longer"], &["alice"]);
    assert!(done.said().ends_with("Password changed.\n"), "{done:?}");
    kdc.run("longer\n", &["kinit", "alice"]).said();
    // Without a name it is the cache's principal.
    let done = change(&["longer", "longest", "longest"], &[]);
    assert!(done.said().contains("Password for alice@TEST.EXAMPLE: "));
    change(
        &["secret", "set by bob", "set by bob"],
        &["--admin-principal", "bob", "alice"],
    )
    .said();
    kdc.run("set by bob\n", &["kinit", "alice"]).said();
}

#[test]
fn kinit_changes_a_password_that_has_expired() {
    let kdc = Kdc::start();
    ended_with(
        &kdc.run("secret\n", &["kinit", "late"]),
        "kinit: Password has expired while getting initial credentials: ",
    );
    let three = "secret\na\na\nlonger\nother\nb\nb\n";
    let failed = kdc.run(three, &["kinit", "late"]);
    ended_with(
        &failed,
        "Password change failed: Password change rejected: ",
    );
    assert!(
        failed
            .stdout
            .contains("Password mismatch.  Please try again.")
    );
    let done = kdc.run("secret\nlonger\nlonger\n", &["kinit", "late"]);
    assert!(
        done.said()
            .contains("Password expired.  You must change it now.\n"),
        "{done:?}"
    );
    let shown = kdc.run("", &["klist"]).said().to_owned();
    assert!(
        shown.contains("Default principal: late@TEST.EXAMPLE\n"),
        "{shown}"
    );
    kdc.run("longer\n", &["kinit", "late"]).said();
}
