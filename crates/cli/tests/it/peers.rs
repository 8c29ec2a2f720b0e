//! `trihound peer` and `trihound demo` over NTLM and Negotiate.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::{Done, Scratch};

const ACCOUNTS: &str = "DEMO:alice:secret\nDEMO:bob:other\n";
const TARGET: &str = "HTTP/localhost";

/// An acceptor that ends with the test.
struct Acceptor {
    process: Child,
    output: BufReader<ChildStdout>,
    port: String,
}

impl Acceptor {
    fn start(scratch: &Scratch, package: &str, flags: &str) -> Self {
        let arguments = [
            "peer",
            "accept",
            "0",
            "-",
            package,
            flags,
            "--show-session-key",
        ];
        let mut process = scratch
            .program(&arguments)
            .env("NTLM_USER_FILE", scratch.path().join("users"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening ").unwrap().to_owned();
        Self {
            process,
            output,
            port,
        }
    }

    fn end(mut self) -> Value {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        self.process.wait().unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let users = scratch.path().join("users");
    fs::write(&users, ACCOUNTS).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).unwrap();
    }
    scratch
}

fn initiate(scratch: &Scratch, port: &str, target: &str, package: &str, flags: &str) -> Done {
    let arguments = [
        "peer",
        "init",
        port,
        target,
        package,
        flags,
        "--show-session-key",
    ];
    let mut command = scratch.program(&arguments);
    command.env("NTLM_USER_FILE", scratch.path().join("users"));
    Done::new(command.output().unwrap())
}

/// The reports of both sides.
fn pair(scratch: &Scratch, package: &str, ours: &str, theirs: &str) -> (Value, Value) {
    let acceptor = Acceptor::start(scratch, package, theirs);
    let done = initiate(scratch, &acceptor.port, TARGET, package, ours);
    let line = done.stdout.lines().last().unwrap_or_default();
    let report = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (report, acceptor.end())
}

fn words(report: &Value) -> Vec<&str> {
    let flags = report["flags"].as_array().unwrap();
    flags.iter().map(|word| word.as_str().unwrap()).collect()
}

/// The first account of the file is the initiator's; every kind of message goes both ways.
#[test]
fn two_peers_speak_ntlm() {
    let scratch = scratch();
    for (flags, service) in [
        ("replay,seq,iov,big=100000", "iov"),
        ("user=alice,domain=DEMO,pw=secret", ""),
    ] {
        let (ours, theirs) = pair(&scratch, "ntlm", flags, service);
        assert_eq!((&ours["ok"], &theirs["ok"]), (&true.into(), &true.into()));
        assert_eq!(
            (&ours["mech"], &theirs["mech"]),
            (&"ntlm".into(), &"ntlm".into())
        );
        assert_eq!(theirs["src"], "DEMO\\alice");
        assert_eq!(ours["session_key"].as_str().unwrap().len(), 32);
        assert_eq!(ours["session_key"], theirs["session_key"]);
        assert!(words(&ours).contains(&"conf") && !words(&ours).contains(&"mutual"));
    }
}

#[test]
fn two_peers_negotiate_ntlm_where_there_is_no_kerberos() {
    let scratch = scratch();
    for (ours, theirs) in [
        ("user=DEMO\\bob,pw=other", ""),
        ("user=bob", ""),
        ("user=DEMO\\bob,pw=other,mechs=ntlm", "mechs=krb5:ntlm"),
        ("user=DEMO\\bob,pw=other,nowrap", "nowrap"),
    ] {
        let (mine, served) = pair(&scratch, "negotiate", ours, theirs);
        assert_eq!(mine["ok"], true, "{mine} {served}");
        assert_eq!(
            (&mine["mech"], &served["mech"]),
            (&"ntlm".into(), &"ntlm".into())
        );
        assert_eq!(served["src"], "DEMO\\bob", "{ours}");
        assert_eq!(mine["session_key"], served["session_key"]);
    }
}

#[test]
fn a_wrong_password_is_refused_by_the_acceptor() {
    let scratch = scratch();
    for flags in [
        "user=alice,domain=DEMO,pw=other",
        "user=carol,domain=DEMO,pw=secret",
        "user=alice,domain=OTHER,pw=secret",
    ] {
        let (ours, theirs) = pair(&scratch, "ntlm", flags, "");
        assert_eq!((&ours["ok"], &theirs["ok"]), (&false.into(), &false.into()));
        let error = theirs["error"].as_str().unwrap();
        assert!(error.contains("SEC_E_LOGON_DENIED"), "{flags}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn other_channel_bindings_are_refused() {
    let scratch = scratch();
    let (ours, theirs) = pair(&scratch, "ntlm", "cb=00ff", "cb=00ff");
    assert_eq!((&ours["ok"], &theirs["ok"]), (&true.into(), &true.into()));
    let (_, theirs) = pair(&scratch, "ntlm", "cb=00fe", "cb=00ff");
    let error = theirs["error"].as_str().unwrap();
    assert!(error.contains("SEC_E_BAD_BINDINGS"), "{error}");
}

/// A list that leaves nothing over, and a file of accounts that is broken.
#[test]
fn what_cannot_be_served_is_told_at_the_start() {
    let scratch = scratch();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let done = initiate(
        &scratch,
        &port,
        TARGET,
        "negotiate",
        "user=DEMO\\bob,pw=other,mechs=krb5:!krb5",
    );
    assert_eq!(done.status, Some(1), "{done:?}");
    fs::write(scratch.path().join("users"), "DEMO:alice:one\nhunter2\n").unwrap();
    let done = initiate(&scratch, &port, TARGET, "ntlm", "");
    assert_eq!(done.status, Some(1), "{done:?}");
    assert!(done.stderr.contains("line 2 "), "{done:?}");
    assert!(!done.stderr.contains("hunter2"), "{done:?}");
    fs::remove_file(scratch.path().join("users")).unwrap();
    let done = initiate(&scratch, &port, TARGET, "ntlm", "");
    assert_eq!(done.status, Some(1), "{done:?}");
    assert!(done.stderr.contains("NTLM_USER_FILE"), "{done:?}");
}

/// NTLM's client hears nothing of a refusal: it is told where to look.
#[test]
fn a_wrong_password_is_told_to_both() {
    let scratch = scratch();
    let (ours, theirs) = pair(&scratch, "ntlm", "user=DEMO\\bob,pw=wrong", "");
    let (ours, theirs) = (ours["error"].as_str(), theirs["error"].as_str());
    assert!(theirs.unwrap().contains("SEC_E_LOGON_DENIED"), "{theirs:?}");
    assert!(
        ours.unwrap().contains("its own output says why"),
        "{ours:?}"
    );
}

/// Each package from its beginning to its end, with the attacks refused.
#[test]
fn the_demo_runs_over_each_package() {
    let scratch = Scratch::new();
    for (package, shown) in [
        (
            "kerberos",
            &["AS-REQ", "SEC_E_OUT_OF_SEQUENCE", "SEC_E_MESSAGE_ALTERED"][..],
        ),
        (
            "ntlm",
            &[
                "TRIHOUND_NTLM",
                "SEC_E_OUT_OF_SEQUENCE",
                "SEC_E_MESSAGE_ALTERED",
                "SEC_E_LOGON_DENIED",
                "outgoing HTTP/localhost: audited",
            ],
        ),
        (
            "negotiate",
            &[
                "Chosen: Kerberos",
                "Chosen: NTLM",
                "outgoing HTTP/127.0.0.1: audited, because of SEC_E_TARGET_UNKNOWN",
                "SEC_E_LOGON_DENIED",
                "SEC_E_DOWNGRADE_DETECTED",
            ],
        ),
    ] {
        let done = scratch.run(&["demo", "--package", package]);
        let told = done.said();
        for wanted in shown {
            assert!(told.contains(wanted), "{wanted}: {told}");
        }
        assert!(told.ends_with("Everything held.\n"), "{told}");
    }
    for alien in [
        "--kdc-config",
        "--keytab",
        "--client-keytab",
        "--client",
        "--service",
    ] {
        let done = scratch.run(&["demo", "--package", "ntlm", alien, "x"]);
        assert_eq!(done.status, Some(2), "{alien}: {done:?}");
    }
}
