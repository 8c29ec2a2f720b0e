//! Options that cannot be served, contradict each other, or make no sense.

use crate::Scratch;

/// Whoever asks for what is not built gets the reason, never another login than was asked for.
#[test]
fn what_is_not_built_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    for (options, reason) in [
        (&["-n"][..], "PKINIT, which is not built"),
        (&["-T", "cc"], "FAST, whose armor"),
        (&["-X", "X509_user_identity=FILE:x"], "encrypted timestamps"),
    ] {
        let arguments: Vec<&str> = ["kinit"].iter().chain(options).copied().collect();
        let done = scratch.run(&arguments);
        done.refused(1, &format!("kinit: {} cannot be served: ", options[0]));
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
        assert!(done.stderr.starts_with("error: "), "{done:?}");
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
