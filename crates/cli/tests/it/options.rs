//! Options that cannot be served, contradict each other, or make no sense.

use crate::Scratch;

/// Whoever asks for what is not built gets the reason, never another login than was asked for.
#[test]
fn what_is_not_built_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    for (arguments, reason) in [
        (&["kinit", "-n"][..], "PKINIT, which is not built"),
        (&["kinit", "-T", "cc"], "FAST, whose armor"),
        (
            &["kinit", "-X", "X509_user_identity=FILE:x"],
            "encrypted timestamps",
        ),
        (&["kvno", "-U", "bob", "x"], "S4U2Self"),
        (&["kvno", "-I", "bob@x.example", "x"], "S4U2Self"),
        (&["kvno", "-F", "bob.pem", "x"], "S4U2Self"),
        (&["kvno", "-P", "x"], "S4U2Proxy"),
        (&["kvno", "-k", "kt", "-U", "bob", "-P", "x"], "S4U2Self"),
        (&["kvno", "--u2u", "cc", "x"], "between two users"),
    ] {
        let done = scratch.run(arguments);
        let tool = arguments[0];
        done.refused(1, &format!("{tool}: -"));
        done.refused(1, " cannot be served: ");
        done.refused(1, reason);
    }
}

#[test]
fn contradictions_are_wrong_uses() {
    let scratch = Scratch::new();
    for (arguments, status) in [
        (&["kinit", "-f", "-F", "a"][..], 2),
        (&["kinit", "-p", "-P", "a"], 2),
        (&["kinit", "-a", "-A", "a"], 2),
        (&["kinit", "-R", "-v"], 2),
        (&["kinit", "-R", "-s", "10m"], 2),
        (&["kinit", "-v", "-k"], 2),
        (&["kinit", "-k", "-i", "-t", "x"], 2),
        (&["kinit", "--request-pac", "--no-request-pac", "a"], 2),
        (&["kinit", "-s", "soon", "a"], 2),
        (&["kinit", "-l", "soon", "a"], 2),
        (&["kinit", "-l", "0", "a"], 2),
        (&["klist", "-l", "-A"], 1),
        (&["klist", "-l", "-s"], 1),
        (&["klist", "-n"], 1),
        (&["klist", "-k", "-f"], 1),
        (&["klist", "-k", "-a"], 1),
        (&["klist", "-k", "-l"], 1),
        (&["klist", "-k", "-A"], 1),
        (&["klist", "-k", "-s"], 1),
        (&["klist", "-k", "-c"], 1),
        (&["klist", "-t"], 1),
        (&["klist", "-K"], 1),
        (&["klist", "a", "b"], 1),
        (&["kvno", "-u", "-S", "host", "x"], 1),
        (&["kvno", "-e", "rot13", "x"], 1),
        (&["kdestroy", "-A", "-p", "a"], 2),
        (&["kdestroy", "a"], 2),
        (&["kswitch"], 2),
        (&["kswitch", "-c", "a", "-p", "b"], 2),
        (&["completions", "csh"], 2),
        (&["nonsense"], 2),
    ] {
        let done = scratch.run(arguments);
        assert_eq!(done.status, Some(status), "{arguments:?}: {done:?}");
        let tool = if arguments == ["nonsense"] {
            "trihound"
        } else {
            arguments[0]
        };
        assert!(done.stderr.starts_with(&format!("{tool}: ")), "{done:?}");
        assert!(!done.stderr.contains("error:"), "{done:?}");
    }
}

#[test]
fn a_start_that_is_past_is_refused() {
    let scratch = Scratch::new();
    scratch
        .run(&["kinit", "-s", "20200101000000", "alice"])
        .refused(1, "kinit: -s 2020-01-01T00:00:00Z is past");
}

#[test]
fn a_cache_of_the_process_is_no_place_for_a_login() {
    let scratch = Scratch::new();
    scratch
        .run(&["kinit", "-c", "MEMORY:x", "alice"])
        .refused(1, "would be gone when this program ends");
}

/// Before a password is asked for: standard input has none.
#[test]
fn a_daemon_that_is_not_there_is_told_of_first() {
    let scratch = Scratch::new();
    let config = "[libdefaults]\n default_realm = TEST.EXAMPLE\n kcm_socket = nobody-listens\n";
    std::fs::write(scratch.path().join("krb5.conf"), config).unwrap();
    for arguments in [
        &["kinit", "-c", "KCM:", "alice"][..],
        &["klist", "KCM:"],
        &["klist", "-l", "KCM:"],
        &["kswitch", "-c", "KCM:"],
        &["kvno", "-c", "KCM:", "x/y"],
    ] {
        scratch
            .run(arguments)
            .refused(1, "nobody listens at nobody-listens");
    }
    let silent = scratch.run(&["klist", "-s", "KCM:"]);
    assert_eq!((silent.status, silent.stderr.as_str()), (Some(1), ""));
}

#[test]
fn types_that_are_not_served_say_what_to_do() {
    let scratch = Scratch::new();
    for (name, advice) in [
        ("API:x", "FILE:/path"),
        ("MSLSA:", "FILE:C:\\path"),
        ("BAD:x", "KRB5CCNAME"),
    ] {
        for arguments in [
            &["klist", name][..],
            &["klist", "-l", name],
            &["kdestroy", "-c", name],
            &["kswitch", "-c", name],
            &["kvno", "-c", name, "x"],
            &["kinit", "-c", name, "x"],
        ] {
            scratch.run(arguments).refused(1, advice);
        }
    }
}

/// The version is told on standard output, as MIT's klist does.
#[test]
fn klist_tells_the_version() {
    let done = Scratch::new().run(&["klist", "-V"]);
    assert_eq!(
        done.said(),
        format!("Trihound {}\n", env!("CARGO_PKG_VERSION"))
    );
}

/// Scripts of the days of Kerberos 4 say so.
#[test]
fn version_5_may_be_asked_for() {
    let scratch = Scratch::new();
    scratch
        .run(&["klist", "-5"])
        .refused(1, "klist: No credentials cache found");
    scratch
        .run(&["kinit", "-5", "-R"])
        .refused(1, "kinit: No credentials cache found");
}

#[test]
fn a_lifetime_of_nothing_is_told_in_mits_words() {
    let scratch = Scratch::new();
    for length in ["0", "0s", "0:00"] {
        let done = scratch.run(&["kinit", "-l", length, "alice"]);
        done.refused(2, &format!("Bad lifetime value {length}"));
    }
}

/// On standard output, as MIT's; here nobody answers.
#[test]
fn without_a_terminal_the_password_is_asked_for_too() {
    let done = Scratch::new().run(&["kinit", "alice"]);
    done.refused(1, "no password");
    assert_eq!(done.stdout, "Password for alice@TEST.EXAMPLE: \n");
}

/// The keyrings of a process and of a thread end with the program.
#[cfg(target_os = "linux")]
#[test]
fn a_keyring_that_ends_with_the_program_is_warned_of() {
    let scratch = Scratch::new();
    for anchor in ["process", "thread"] {
        let done = scratch.run(&["kinit", "-c", &format!("KEYRING:{anchor}:x"), "alice"]);
        assert!(done.stderr.contains("ends with this program"), "{done:?}");
        assert!(done.stderr.contains("KEYRING:session:x"), "{done:?}");
    }
}
