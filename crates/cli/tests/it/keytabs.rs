//! `ktutil` and keytabs that were named.

use std::fs;

use crate::Scratch;

const ADD: [&str; 7] = ["ktutil", "-k", "kt", "add", "--random", "-e", "aes256-cts"];

#[test]
fn the_keytab_may_be_named_behind_the_subcommand() {
    let scratch = Scratch::new();
    let mut add = ADD.to_vec();
    add.push("host/a");
    scratch.run(&add).said();
    let listed = scratch.run(&["ktutil", "list", "-k", "kt"]);
    assert!(listed.said().contains("host/a@TEST.EXAMPLE"), "{listed:?}");
    let renamed = scratch.run(&["ktutil", "rename", "-k", "kt", "host/a", "host/b"]);
    assert!(renamed.said().contains("to host/b@"), "{renamed:?}");
    let merged = scratch.run(&["ktutil", "merge", "-k", "other", "kt"]);
    assert!(merged.said().starts_with("Added host/b@"), "{merged:?}");
    let again = scratch.run(&["ktutil", "-k", "other", "merge", "kt"]);
    assert!(again.said().starts_with("Nothing to add: "), "{again:?}");
    assert_eq!(
        scratch
            .run(&["ktutil", "-q", "merge", "-k", "other", "kt"])
            .said(),
        ""
    );
    scratch
        .run(&["ktutil", "-k", "kt", "list", "-k", "other"])
        .refused(1, "named twice");
}

/// Where `-k` is the key version a name gets the hint.
#[test]
fn a_keytab_in_the_place_of_the_version_gets_a_hint() {
    let scratch = Scratch::new();
    for tool in ["add", "remove"] {
        scratch
            .run(&["ktutil", tool, "host/a", "-k", "kt"])
            .refused(2, "ktutil -k KEYTAB");
    }
}

/// Whoever named a keytab looks at the name; whoever did not, at the environment.
#[test]
fn a_keytab_that_is_not_there_is_told_by_who_named_it() {
    let scratch = Scratch::new();
    for (arguments, option) in [
        (&["kinit", "-k", "-t", "no", "alice"][..], "(-t)"),
        (&["kinit", "-t", "no"], "(-t)"),
        (&["kvno", "-k", "no", "x"], "(-k)"),
        (&["ktutil", "-k", "no", "list"], "(-k)"),
        (&["ktutil", "merge", "-k", "kt", "no"], "(SOURCE)"),
        (&["klist", "-k", "no"], "(the last argument)"),
    ] {
        let done = scratch.run(arguments);
        done.refused(
            1,
            &format!("no keytab: there is no file no; check the name {option}"),
        );
        assert!(!done.stderr.contains("KRB5_KTNAME"), "{done:?}");
    }
    let mut unnamed = scratch.program(&["klist", "-k"]);
    unnamed.env("KRB5_KTNAME", "no");
    crate::Done::new(unnamed.output().unwrap())
        .refused(1, "set KRB5_KTNAME or default_keytab_name");
}

#[test]
fn a_password_line_is_taken_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let file = scratch.path().join("password");
    let add = [
        "ktutil",
        "-k",
        "kt",
        "add",
        "-k",
        "1",
        "-e",
        "aes256-cts",
        "--password-file",
        "password",
        "host/a",
    ];
    // Cut somewhere it would be another password.
    fs::write(&file, "x".repeat(70_000)).unwrap();
    let done = scratch.run(&add);
    done.refused(1, "password: the first line cannot be used");
    assert!(!done.stderr.contains("xxx"), "{done:?}");
    assert!(!scratch.path().join("kt").exists());
    fs::write(&file, b"one\n\xff\n").unwrap();
    scratch.run(&add).said();
}
