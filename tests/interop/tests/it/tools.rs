//! The everyday tools of both makes over the same files.

use trihound_interop::Finished;

use crate::world::{BOTH, Make, World, finished, lines, refused, succeeded};

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

/// A tool of either make with this cache or collection as the default one.
fn with_default(
    world: &World,
    make: Make,
    default: &str,
    tool: &str,
    arguments: &[&str],
) -> Finished {
    let mut command = world.tool(make, "unused", tool, arguments);
    command.env("KRB5CCNAME", default);
    finished(command, "")
}

/// Logs a user in by the realm's client keytab.
fn keytab_login(
    world: &World,
    make: Make,
    default: &str,
    options: &[&str],
    user: &str,
) -> Finished {
    let keytab = world.path("client.keytab");
    let arguments: Vec<&str> = ["-k", "-t", &keytab]
        .iter()
        .chain(options)
        .chain([&user])
        .copied()
        .collect();
    with_default(world, make, default, "kinit", &arguments)
}

/// A directory of caches, filled by both makes in turn: each user has one, and the last login is the primary.
#[test]
fn collections_are_filled_listed_switched_and_destroyed_alike() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        let directory = world.scratch.path().join(format!("caches-{make:?}"));
        let default = format!("DIR:{}", directory.display());
        let run =
            |make, tool, arguments: &[&str]| with_default(&world, make, &default, tool, arguments);
        std::fs::create_dir(&directory).unwrap();
        for reader in BOTH {
            let none = run(reader, "klist", &["-l"]);
            assert_eq!(
                (none.status.code(), lines(&none.stdout).len()),
                (Some(1), 1),
                "{none}"
            );
            let none = run(reader, "klist", &["-A"]);
            assert_eq!(
                (none.status.code(), none.stdout.as_str()),
                (Some(1), ""),
                "{none}"
            );
        }
        for (maker, user, options) in [
            (make, "alice", &["-l", "2s"][..]),
            (make.other(), "bob", &[]),
            (make, "user-aes128", &[]),
            (make.other(), "user-aes128", &[]),
        ] {
            succeeded(&keytab_login(&world, maker, &default, options, user));
        }
        std::thread::sleep(std::time::Duration::from_secs(3));
        for options in [&["-l"][..], &["-A"], &["-A", "-e", "-f", "-C"]] {
            let [ours, mit] = BOTH.map(|reader| run(reader, "klist", options));
            succeeded(&ours);
            succeeded(&mit);
            assert_eq!(lines(&ours.stdout), lines(&mit.stdout), "{options:?}");
        }
        let listed = run(Make::Ours, "klist", &["-l"]).stdout;
        assert_eq!(listed.lines().count(), 5, "{listed}");
        assert_eq!(listed.matches("(Expired)").count(), 1, "{listed}");
        assert!(
            listed.lines().nth(2).unwrap().starts_with("user-aes128@"),
            "{listed}"
        );

        succeeded(&run(make, "kswitch", &["-p", "alice"]));
        for reader in BOTH {
            let shown = run(reader, "klist", &[]);
            assert!(
                shown.stdout.contains("Default principal: alice@"),
                "{shown}"
            );
            assert_eq!(run(reader, "klist", &["-s"]).status.code(), Some(1));
            succeeded(&run(reader, "klist", &["-s", "-A"]));
            let nobody = run(reader, "kswitch", &["-p", "nobody"]);
            refused(&nobody, &["Matching credential not found"]);
            let nobody = run(reader, "kdestroy", &["-p", "nobody"]);
            refused(&nobody, &["Matching credential not found"]);
        }
        let bobs = run(make, "klist", &["-l"]).stdout;
        let bobs = bobs.lines().find(|line| line.starts_with("bob@")).unwrap();
        let bobs = bobs.split_whitespace().nth(1).unwrap();
        succeeded(&run(make.other(), "kswitch", &["-c", bobs]));
        succeeded(&run(make, "kvno", &["-q", SERVICE]));
        let shown = run(make.other(), "klist", &[]);
        assert!(shown.stdout.contains(&format!("{SERVICE}@")), "{shown}");

        succeeded(&run(make, "kdestroy", &["-p", "alice"]));
        let destroyed = run(make.other(), "kdestroy", &[]);
        succeeded(&destroyed);
        assert!(
            destroyed.stderr.contains("Other credential caches present"),
            "{destroyed}"
        );
        let left = run(make, "klist", &["-l"]);
        assert_eq!(left.stdout.lines().count(), 3, "{left}");
        succeeded(&run(make, "kdestroy", &["-A"]));
        assert_eq!(run(make.other(), "klist", &["-l"]).status.code(), Some(1));
    }
}

/// Conformance row 103: postdated by either make, validated by the other once its time has come.
#[test]
fn postdated_tickets_are_validated_by_either() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        let name = format!("postdated-{make:?}");
        let default = world.scratch.cache(&name);
        succeeded(&keytab_login(
            &world,
            make,
            &default,
            &["-s", "4s"],
            "alice",
        ));
        let early = with_default(&world, make.other(), &default, "kinit", &["-v"]);
        refused(
            &early,
            &["Ticket not yet valid while validating credentials"],
        );
        for reader in BOTH {
            let shown = world.run(reader, &name, "klist", &["-f"]);
            assert!(shown.stdout.contains("Flags: FDdiRIA"), "{shown}");
        }
        std::thread::sleep(std::time::Duration::from_secs(5));
        succeeded(&with_default(
            &world,
            make.other(),
            &default,
            "kinit",
            &["-v"],
        ));
        for reader in BOTH {
            let shown = world.run(reader, &name, "klist", &["-f"]);
            assert!(shown.stdout.contains("Flags: FDdRIA"), "{shown}");
            let again = world.run(reader, &name, "kinit", &["-v"]);
            assert_eq!(again.status.code(), Some(1), "{again}");
        }
        succeeded(&world.run(make, &name, "kvno", &["-q", SERVICE]));
    }
}

/// `kvno -e` adds a ticket and keeps the others; without `-e` the best of those that are there serves.
#[test]
fn kvno_keeps_tickets_of_several_enctypes() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        for options in [
            &["-e", "rc4-hmac"][..],
            &["-e", "aes128-cts"],
            &[],
            &["-e", "rc4-hmac"],
            &[],
        ] {
            let arguments: Vec<&str> = options.iter().chain(&[SERVICE]).copied().collect();
            succeeded(&world.run(make, "cc", "kvno", &arguments));
        }
        for reader in BOTH {
            let listed = world.run::<&str>(reader, "cc", "klist", &[]);
            assert_eq!(listed.stdout.matches(SERVICE).count(), 2, "{listed}");
        }
        let [ours, mit] = BOTH.map(|reader| world.run(reader, "cc", "klist", &["-e"]));
        assert_eq!(lines(&ours.stdout), lines(&mit.stdout));
    }
}

#[test]
fn kvno_names_services_and_keeps_tickets_as_it_is_told() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        let kvno = |arguments: &[&str]| world.run(make, "cc", "kvno", arguments);
        refused(
            &kvno(&["--cached-only", SERVICE]),
            &["Matching credential not found"],
        );
        succeeded(&kvno(&["--no-store", SERVICE]));
        refused(
            &kvno(&["--cached-only", SERVICE]),
            &["Matching credential not found"],
        );
        let other = world.scratch.cache("out");
        succeeded(&kvno(&["--out-cache", &other, SERVICE, "host/localhost"]));
        refused(
            &kvno(&["--cached-only", SERVICE]),
            &["Matching credential not found"],
        );
        let out = world.run::<&str>(make.other(), "out", "klist", &[]);
        assert!(
            out.stdout.contains(SERVICE) && !out.stdout.contains("krbtgt/"),
            "{out}"
        );
        let named = kvno(&["-S", "host", "localhost"]);
        assert!(named.stdout.starts_with("host/localhost@"), "{named}");
        succeeded(&kvno(&["--cached-only", "-u", "host/localhost"]));
        let keytab = world.path("client.keytab");
        let invalid = kvno(&["-k", &keytab, SERVICE]);
        refused(&invalid, &["kvno = 1, keytab entry invalid"]);
    }
}

/// Settings of MIT's caches and addresses of its tickets, in ours and the other way round.
#[test]
fn settings_and_addresses_are_shown_alike() {
    let Some(world) = World::new() else { return };
    let mut settings = Vec::new();
    for make in BOTH {
        let name = format!("bound-{make:?}");
        let default = world.scratch.cache(&name);
        succeeded(&keytab_login(&world, make, &default, &["-a"], "alice"));
        for options in [
            &["-C"][..],
            &["-d"],
            &["-a", "-n"],
            &["-a", "-n", "-d", "-e", "-f"],
        ] {
            let [ours, mit] = BOTH.map(|reader| world.run(reader, &name, "klist", options));
            succeeded(&ours);
            assert_eq!(lines(&ours.stdout), lines(&mit.stdout), "{options:?}");
        }
        let shown = world
            .run(Make::Ours, &name, "klist", &["-C", "-a", "-n"])
            .stdout;
        let mut lines: Vec<String> = shown
            .lines()
            .filter(|line| line.starts_with("config: ") || line.contains("Addresses: "))
            .map(str::to_owned)
            .collect();
        lines.sort();
        settings.push(lines);
    }
    assert_eq!(settings[0], settings[1]);
    assert!(
        settings[0]
            .iter()
            .any(|line| line.contains("pa_type(") && line.ends_with(" = 2"))
    );
    world.logged_in(Make::Mit, "referred", &["alice"]);
    // Kept under the name that was asked for, which is not the ticket's.
    succeeded(&world.run(Make::Mit, "referred", "kvno", &["host/localhost@"]));
    let [ours, mit] =
        BOTH.map(|reader| world.run(reader, "referred", "klist", &["-e", "-f", "-a", "-n"]));
    assert!(
        mit.stdout.contains("Ticket server: host/localhost@"),
        "{mit}"
    );
    // Everything but the moments, whose years the two write differently.
    let details = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with('\t'));
        lines
            .map(|line| line.split("Flags: ").last().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(details(&ours.stdout), details(&mit.stdout));
}

/// The phrases of MIT's tools that scripts look for stand in our tools' texts, too, and the statuses agree.
#[test]
fn failures_have_mits_phrases() {
    let Some(world) = World::new() else { return };
    let login = |make, user: &str, password: &str| world.kinit(make, "none", &[user], password);
    for (user, password, phrase) in [
        (
            "alice",
            "wrong",
            "Password incorrect while getting initial credentials",
        ),
        (
            "nobody",
            "x",
            "not found in Kerberos database while getting initial credentials",
        ),
        (
            "user-locked",
            "secret-locked",
            "credentials have been revoked while getting initial credentials",
        ),
        (
            "user-expired",
            "secret-expired",
            "entry in database has expired while getting initial credentials",
        ),
    ] {
        for make in BOTH {
            refused(&login(make, user, password), &[phrase]);
        }
    }
    for make in BOTH {
        let klist = world.run::<&str>(make, "none", "klist", &[]);
        refused(&klist, &["klist: No credentials cache found"]);
        let kvno = world.run(make, "none", "kvno", &[SERVICE]);
        refused(&kvno, &["kvno: No credentials cache found"]);
        let renewal = world.run(make, "none", "kinit", &["-R"]);
        refused(&renewal, &["kinit: No credentials cache found"]);
        world.logged_in(make, "cc", &["alice"]);
        let unknown = world.run(make, "cc", "kvno", &["no/such"]);
        refused(
            &unknown,
            &["not found in Kerberos database while getting credentials for no/such@"],
        );
        let keytab = world.path("client.keytab");
        let unknown = world.run(
            make,
            "cc",
            "kinit",
            &["-E", "-k", "-t", &keytab, "alice@suffix.example"],
        );
        assert_eq!(unknown.status.code(), Some(1), "{unknown}");
        let unknown = world.kinit(make, "cc", &["-E", "alice@suffix.example"], "x");
        refused(&unknown, &["not found in Kerberos database"]);
    }
}

/// MIT's long options, and what asks for a canonical name.
#[test]
fn long_options_are_taken_alike() {
    let Some(world) = World::new() else { return };
    for make in BOTH {
        let name = format!("long-{make:?}");
        let default = world.scratch.cache(&name);
        let options = [
            "--noforwardable",
            "--proxiable",
            "--noaddresses",
            "--canonicalize",
        ];
        succeeded(&keytab_login(&world, make, &default, &options, "alice"));
        let shown = world.run(make.other(), &name, "klist", &["-f"]);
        assert!(shown.stdout.contains("Flags: PRIA"), "{shown}");
        succeeded(&world.run(make, &name, "kinit", &["-R"]));
        for pac in ["--request-pac", "--no-request-pac"] {
            succeeded(&keytab_login(&world, make, &default, &[pac], "alice"));
        }
        let again = world.scratch.cache("again");
        succeeded(&keytab_login(
            &world,
            make.other(),
            &again,
            &["-I", &default],
            "alice",
        ));
    }
}

/// A TMPDIR of the session's own parts nobody from the tickets that are there.
#[test]
fn the_default_cache_is_the_same_whatever_the_temporary_directory() {
    let Some(world) = World::new() else { return };
    let conf = std::fs::read_to_string(world.realm.variable("KRB5_CONFIG")).unwrap();
    let path = world.scratch.join("no-default-cache.conf");
    std::fs::write(&path, conf.replace("default_ccache_name", "#")).unwrap();
    let [ours, mit] = BOTH.map(|make| {
        let mut command = world.tool(make, "cc", "klist", &[] as &[&str]);
        command
            .env_remove("KRB5CCNAME")
            .env("KRB5_CONFIG", &path)
            .env("TMPDIR", world.scratch.path());
        let done = finished(command, "");
        let text = format!("{} {}", done.stdout, done.stderr);
        let at = text.find("/tmp/krb5cc_").unwrap_or(text.len());
        let is_end = |c: char| c.is_whitespace() || ")':".contains(c);
        text[at..]
            .split(is_end)
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    assert!(ours.starts_with("/tmp/krb5cc_"), "{ours}");
    assert_eq!(ours, mit);
}
