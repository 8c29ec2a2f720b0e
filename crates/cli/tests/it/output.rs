//! Standard output and standard error that nobody reads, or that are full.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Scratch;

/// The end of a program that must not hang: its status and standard error.
fn end(mut child: Child) -> (Option<i32>, String) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said).unwrap();
    }
    (status.code(), said)
}

fn keytab(scratch: &Scratch) {
    let mut add = scratch.program(&[
        "ktutil",
        "-k",
        "kt",
        "-q",
        "add",
        "--random",
        "-e",
        "aes256-cts",
        "host/a",
    ]);
    assert!(add.status().unwrap().success());
}

/// A reader that goes away ends the output, and no panic is printed.
#[test]
fn a_closed_pipe_is_no_panic() {
    let scratch = Scratch::new();
    keytab(&scratch);
    for arguments in [
        &["man"][..],
        &["completions", "bash"],
        &["klist", "-V"],
        &["klist", "--help"],
        &["ktutil", "list", "-k", "kt"],
        &["demo"],
    ] {
        let mut child = scratch
            .program(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        assert_eq!(end(child), (Some(0), String::new()), "{arguments:?}");
    }
}

/// What could not be written is told, with status 1.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_a_failure() {
    let scratch = Scratch::new();
    keytab(&scratch);
    std::fs::write(scratch.path().join("realm.toml"), "realm = \"R\"\n").unwrap();
    for arguments in [
        &["demo"][..],
        &["kdc", "realm.toml"],
        &["peer", "accept", "0", "-", "kerberos"],
        &["ktutil", "-k", "kt", "list"],
        &["ktutil", "-k", "kt", "rename", "host/a", "host/b"],
        &["klist", "-k", "kt"],
        &["klist", "-V"],
        &["klist", "--help"],
        &["man"],
    ] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let child = scratch
            .program(arguments)
            .env("KRB5_KTNAME", scratch.path().join("kt"))
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (status, said) = end(child);
        assert_eq!(status, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("standard output: "), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}

/// The status still tells how it went.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_error_is_no_panic() {
    let scratch = Scratch::new();
    for (arguments, status) in [
        (&["kinit", "-n"][..], 1),
        (&["kinit", "-V", "-R"], 1),
        (&["klist"], 1),
        (&["kvno", "x/y"], 1),
        (&["kdestroy"], 0),
        (&["kswitch", "-c", "FILE:x"], 0),
        (&["peer", "init", "1", "x", "kerberos"], 1),
        (&["nonsense"], 2),
    ] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let child = scratch
            .program(arguments)
            .stdout(Stdio::null())
            .stderr(full)
            .spawn()
            .unwrap();
        assert_eq!(end(child).0, Some(status), "{arguments:?}");
    }
}
