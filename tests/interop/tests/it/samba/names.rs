//! Names that Active Directory leads to accounts, and those of services.

use super::{PASSWORD, World};
use crate::world::{BOTH, Make, finished, refused, succeeded};

/// A user principal name, the one by default, and an account's name in other letters: whose they are, MIT's kinit and
/// ours are told alike. With an enterprise name ours takes the account's, MIT's only if -C is given, too.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn enterprise_names_lead_to_accounts() {
    let world = World::new();
    for (name, account, password) in [
        ("alice.liddell@trees.example", "alice", PASSWORD),
        ("Alice.Liddell@TREES.example", "alice", PASSWORD),
        ("alice@forest.test", "alice", PASSWORD),
        ("bob@forest.test", "bob", "Builder-Can-8"),
        ("bob@FOREST.TEST", "bob", "Builder-Can-8"),
        ("BOB@forest.test", "bob", "Builder-Can-8"),
    ] {
        let owner = format!("{account}@{}", world.realm());
        for (make, options) in [
            (Make::Ours, &["-E"][..]),
            (Make::Ours, &["--enterprise", "--canonicalize"]),
            (Make::Mit, &["-C", "-E"]),
        ] {
            let arguments: Vec<&str> = options.iter().chain(&[name]).copied().collect();
            succeeded(&world.kinit(make, "cc", &arguments, password));
            assert_eq!(world.owner("cc"), owner, "{make:?}: {name}");
            // The tickets are good for more than to be looked at.
            succeeded(&world.run(make.other(), "cc", "kvno", &["-q", "HTTP/localhost"]));
        }
    }
}

#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn enterprise_names_are_refused_as_they_must() {
    let world = World::new();
    for make in BOTH {
        let unknown = world.kinit(
            make,
            "none",
            &["-C", "-E", "nobody@trees.example"],
            PASSWORD,
        );
        refused(&unknown, &["not found in Kerberos database"]);
        let unknown = world.kinit(
            make,
            "none",
            &["-C", "-E", "alice.liddell@no.example"],
            PASSWORD,
        );
        refused(&unknown, &["not found in Kerberos database"]);
        let wrong = ["-C", "-E", "alice.liddell@trees.example"];
        refused(
            &world.kinit(make, "none", &wrong, "wrong"),
            &["Password incorrect while getting initial credentials"],
        );
        // Without -E what follows the @ is a realm, and there is none of that name.
        let plain = world.kinit(make, "none", &["alice.liddell@trees.example"], PASSWORD);
        refused(&plain, &["trees.example"]);
        assert!(!world.scratch.join("none").exists());
    }
}

/// Active Directory does not tell letters apart; asked for canonical names, it gives the account's.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn canonical_names_are_the_accounts() {
    let world = World::new();
    for make in BOTH {
        for (options, owner) in [(&["-C", "ALICE"][..], "alice"), (&["Alice"], "Alice")] {
            succeeded(&world.kinit(make, "cc", options, PASSWORD));
            assert_eq!(world.owner("cc"), format!("{owner}@{}", world.realm()));
            let asked = world.run(make.other(), "cc", "kvno", &["host/aes256.localhost"]);
            succeeded(&asked);
        }
        let keytab = world.path("station.keytab");
        let arguments = ["-k", "-t", &keytab, "-C", "STATION$"];
        succeeded(&world.run(make, "cc", "kinit", &arguments));
        assert_eq!(world.owner("cc"), format!("STATION$@{}", world.realm()));
    }
}

/// Everything that leads to an account is a service, in any letters: registered names, those that the directory
/// derives from `host`, accounts, and the second names of the domain. Both makes get the same answers.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn services_are_found_by_each_of_their_names() {
    let world = World::new();
    for make in BOTH {
        world.logged_in(make, cache_of(make), &["alice"]);
    }
    for (service, kvno) in [
        ("HTTP/localhost", 3),
        ("http/LOCALHOST", 3),
        ("host/rc4.localhost", 3),
        ("cifs/dc1.forest.test", 1),
        ("HTTP/DC1.FOREST.TEST", 1),
        ("host/DC1", 1),
        ("ldap/dc1.forest.test/forest.test", 1),
        ("DC1$", 1),
        ("STATION$", 2),
        ("station", 2),
        ("web", 3),
        ("cifs/STATION", 2),
        ("HTTP/station.forest.test", 2),
        ("krbtgt/WOODS", 1),
        ("krbtgt/forest.test", 1),
        ("krbtgt/FOREST.TEST", 1),
        ("kadmin/changepw", 1),
    ] {
        for make in BOTH {
            let asked = world.run(make, cache_of(make), "kvno", &[service]);
            succeeded(&asked);
            let line = format!("{service}@{}: kvno = {kvno}\n", world.realm());
            assert_eq!(asked.stdout, line, "{make:?}");
            let kept = world.run(
                make.other(),
                cache_of(make),
                "kvno",
                &["--cached-only", service],
            );
            succeeded(&kept);
        }
    }
}

fn cache_of(make: Make) -> &'static str {
    match make {
        Make::Ours => "ours",
        Make::Mit => "mit",
    }
}

#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn what_is_no_service_is_refused() {
    let world = World::new();
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        for name in ["no/such", "bob", "alice", "host/nowhere.forest.test"] {
            let asked = world.run(make, "cc", "kvno", &[name]);
            let phrase = format!(
                "kvno: Server not found in Kerberos database while getting credentials for {name}@{}",
                world.realm()
            );
            refused(&asked, &[&phrase]);
        }
        let keytab = world.path("service.keytab");
        let absent = world.run(
            make,
            "cc",
            "kvno",
            &["-k", &keytab, "host/absent.localhost"],
        );
        refused(&absent, &["host/absent.localhost"]);
    }
}

/// The keytab of an account opens the tickets for each name of its services, whichever make asks and opens.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn tickets_of_each_enctype_open_with_the_keytab() {
    let world = World::new();
    let keytab = world.path("service.keytab");
    for make in BOTH {
        world.logged_in(make, "cc", &["alice"]);
        for (service, enctype) in [
            ("host/aes256.localhost", "aes256-cts-hmac-sha1-96"),
            ("host/aes128.localhost", "aes128-cts-hmac-sha1-96"),
            ("host/rc4.localhost", "DEPRECATED:arcfour-hmac"),
        ] {
            for reader in BOTH {
                let opened = world.run(reader, "cc", "kvno", &["-k", &keytab, service]);
                succeeded(&opened);
                assert!(opened.stdout.contains("keytab entry valid"), "{opened}");
            }
            let listed = world.run(Make::Mit, "cc", "klist", &["-e"]);
            let line = format!("Etype (skey, tkt): {enctype}, {enctype}");
            assert!(listed.stdout.contains(&line), "{service}: {listed}");
        }
    }
}

/// `kinit -S` gets a ticket to a service with the AS exchange alone.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn a_ticket_is_got_from_the_as_straight() {
    let world = World::new();
    for make in BOTH {
        let mut command = world.tool(
            make,
            "cc",
            "kinit",
            &["-S", "host/aes256.localhost", "alice"],
        );
        command.env("KRB5_CONFIG", world.domain.file("krb5-tcp.conf"));
        succeeded(&finished(command, &format!("{PASSWORD}\n")));
        let keytab = world.path("service.keytab");
        let arguments = ["-k", &keytab, "host/aes256.localhost"];
        succeeded(&world.run(make.other(), "cc", "kvno", &arguments));
    }
}
