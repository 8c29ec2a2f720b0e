//! The everyday tools of both makes over the same files.

use crate::world::{BOTH, Make, World, lines, refused, succeeded};

const SERVICE: &str = "HTTP/localhost";

/// Either kinit, then both klists and both kvnos.
#[test]
fn each_reads_and_uses_the_others_cache() {
    let Some(world) = World::new() else { return };
    let realm = world.realm.variable("KDC_REALM");
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        for reader in BOTH {
            let listed = world.run(reader, "cc", "klist", &["-s"]);
            succeeded(&listed);
            let asked = world.run(reader, "cc", "kvno", &[SERVICE, "host/localhost"]);
            succeeded(&asked);
            for service in [SERVICE, "host/localhost"] {
                let line = format!("{service}@{realm}: kvno = ");
                assert!(asked.stdout.contains(&line), "{asked}");
            }
        }
        for options in [&["-e"][..], &["-f"], &[]] {
            let [ours, mit] = BOTH.map(|reader| world.run(reader, "cc", "klist", options));
            assert_eq!(lines(&ours.stdout), lines(&mit.stdout), "{options:?}");
        }
        let [ours, mit] = BOTH.map(|reader| world.run(reader, "cc", "klist", &["-e", "-f"]));
        succeeded(&ours);
        succeeded(&mit);
        // Two services and the ticket-granting ticket: kvno of the other make found them in the cache.
        assert_eq!(mit.stdout.matches("Etype (skey, tkt)").count(), 3, "{mit}");
        assert_eq!(lines(&ours.stdout), lines(&mit.stdout));
    }
}

/// Either kvno gets the tickets that the other opens with the keytab.
#[test]
fn each_opens_the_others_tickets_with_the_keytab() {
    let Some(world) = World::new() else { return };
    let keytab = world.path("service.keytab");
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        succeeded(&world.run(make, "cc", "kvno", &["-q", "host/aes128sha2.localhost"]));
        for reader in BOTH {
            for service in [
                "host/aes128sha2.localhost",
                "host/rc4.localhost",
                "host/rolled.localhost",
            ] {
                let opened = world.run(reader, "cc", "kvno", &["-k", &keytab, service]);
                succeeded(&opened);
                assert!(opened.stdout.contains("keytab entry valid"), "{opened}");
            }
            let absent = world.run(
                reader,
                "cc",
                "kvno",
                &["-k", &keytab, "host/absent.localhost"],
            );
            refused(&absent, &["host/absent.localhost", "keytab"]);
        }
    }
}

/// The session key's type is the one that `kvno -e` names.
#[test]
fn kvno_chooses_the_session_key() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        let name = "aes128-cts-hmac-sha1-96";
        succeeded(&world.run(make, "cc", "kvno", &["-q", "-e", name, SERVICE]));
        let listed = world.run(make.other(), "cc", "klist", &["-e"]);
        assert!(
            listed
                .stdout
                .contains(&format!("Etype (skey, tkt): {name}, ")),
            "{listed}"
        );
    }
}

/// One that is weak only where krb5.conf allows it, which this realm's does.
#[test]
fn kvno_chooses_a_weak_session_key_that_is_allowed() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        succeeded(&world.run(make, "cc", "kvno", &["-q", "-e", "rc4-hmac", SERVICE]));
        let listed = world.run(make.other(), "cc", "klist", &["-e"]);
        let weak = "Etype (skey, tkt): DEPRECATED:arcfour-hmac, ";
        assert!(listed.stdout.contains(weak), "{listed}");
    }
}

/// What a wrong command line ends with, and what naming a keytab implies.
#[test]
fn wrong_uses_end_alike() {
    let Some(world) = World::new() else { return };
    for (tool, arguments, status) in [
        ("kinit", &["-Z"][..], 2),
        ("kinit", &["-l", "banana", "alice"], 2),
        ("kinit", &["alice", "bob"], 2),
        ("klist", &["-Z"], 1),
        ("klist", &["-t"], 1),
        ("kvno", &[], 1),
        ("kvno", &["-Z"], 1),
        ("kdestroy", &["-Z"], 2),
    ] {
        for make in BOTH {
            let said = world.run(make, "cc", tool, arguments);
            assert_eq!(said.status.code(), Some(status), "{arguments:?}: {said}");
            assert!(!said.stderr.is_empty(), "{said}");
        }
    }
    let keytab = world.path("client.keytab");
    for make in BOTH {
        succeeded(&world.run(make, "cc", "kinit", &["-t", &keytab, "alice"]));
    }
}

#[test]
fn keytabs_are_listed_alike() {
    let Some(world) = World::new() else { return };
    for file in ["service.keytab", "client.keytab"] {
        let keytab = world.path(file);
        for options in [&["-k"][..], &["-k", "-e", "-t"], &["-k", "-e", "-K"]] {
            let arguments: Vec<&str> = options.iter().copied().chain([keytab.as_str()]).collect();
            let [ours, mit] = BOTH.map(|make| world.run(make, "cc", "klist", &arguments));
            succeeded(&ours);
            succeeded(&mit);
            assert_eq!(lines(&ours.stdout), lines(&mit.stdout), "{options:?}");
        }
    }
}

/// Conformance of `klist -s`: 0 with a ticket to use, 1 without or with none that has not ended.
#[test]
fn klist_answers_by_its_status() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        assert_eq!(
            world.run(make, "none", "klist", &["-s"]).status.code(),
            Some(1)
        );
        refused(&world.run::<&str>(make, "none", "klist", &[]), &["klist:"]);
        world.logged_in(make.other(), "cc", &["-l", "2s", "alice"]);
        succeeded(&world.run(make, "cc", "klist", &["-s"]));
    }
    std::thread::sleep(std::time::Duration::from_secs(3));
    for make in BOTH {
        assert_eq!(
            world.run(make, "cc", "klist", &["-s"]).status.code(),
            Some(1)
        );
    }
}

#[test]
fn each_destroys_the_others_cache() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        world.logged_in(make.other(), "cc", &["alice"]);
        succeeded(&world.run::<&str>(make, "cc", "kdestroy", &[]));
        assert!(!world.scratch.join("cc").exists());
        assert_eq!(
            world
                .run(make.other(), "cc", "klist", &["-s"])
                .status
                .code(),
            Some(1)
        );
    }
    for make in BOTH {
        let none = world.run::<&str>(make, "cc", "kdestroy", &[]);
        succeeded(&none);
        assert!(none.stderr.contains("kdestroy:"), "{none}");
        succeeded(&world.run(make, "cc", "kdestroy", &["-A"]));
    }
    let quiet = world.run(Make::Ours, "cc", "kdestroy", &["-q"]);
    succeeded(&quiet);
    assert_eq!(quiet.stderr, "", "{quiet}");
}

/// Tickets of either kinit are renewed by either `kinit -R`.
#[test]
fn each_renews_the_others_ticket() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        for renewer in BOTH {
            world.logged_in(make, "cc", &["-r", "2d", "-l", "1h", "alice"]);
            let before = std::fs::read(world.scratch.join("cc")).unwrap();
            succeeded(&world.run(renewer, "cc", "kinit", &["-R"]));
            assert_ne!(std::fs::read(world.scratch.join("cc")).unwrap(), before);
            let listed = world.run(make, "cc", "klist", &["-f"]);
            assert!(listed.stdout.contains("renew until"), "{listed}");
            succeeded(&world.run(make, "cc", "kvno", &["-q", SERVICE]));
        }
    }
    world.logged_in(Make::Ours, "cc", &["-r", "0", "alice"]);
    refused(
        &world.run(Make::Ours, "cc", "kinit", &["-R"]),
        &["KDC_ERR_BADOPTION", "BADOPTION", "renewable"],
    );
}
