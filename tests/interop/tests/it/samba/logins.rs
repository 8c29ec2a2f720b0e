//! kinit in the domain.

use super::{PASSWORD, World};
use crate::world::{BOTH, Make, finished, lines, refused, succeeded};

/// By UDP (whose answer is too big, so that TCP follows), by TCP alone, and with the KDC's address from DNS; the
/// tickets serve the other make.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn a_user_logs_in_over_each_transport() {
    let world = World::new();
    let keytab = world.path("service.keytab");
    for profile in ["krb5.conf", "krb5-tcp.conf", "krb5-dns.conf"] {
        for make in BOTH {
            let mut command = world.tool(make, "cc", "kinit", &["alice"]);
            command.env("KRB5_CONFIG", world.domain.file(profile));
            succeeded(&finished(command, &format!("{PASSWORD}\n")));
            assert_eq!(world.owner("cc"), format!("alice@{}", world.realm()));
            let mut asked = world.tool(
                make.other(),
                "cc",
                "kvno",
                &["-k", &keytab, "HTTP/localhost"],
            );
            asked.env("KRB5_CONFIG", world.domain.file(profile));
            let asked = finished(asked, "");
            succeeded(&asked);
            assert!(asked.stdout.contains("keytab entry valid"), "{asked}");
        }
    }
}

/// The attributes of tickets are the same whichever make asked, and both klists tell them alike.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn tickets_have_the_same_attributes() {
    let world = World::new();
    for options in [
        &["alice"][..],
        &["-F", "alice"],
        &["-r", "2d", "alice"],
        &["-l", "1h", "alice"],
    ] {
        let told = BOTH.map(|make| {
            world.logged_in(make, "cc", options);
            succeeded(&world.run(make, "cc", "kvno", &["-q", "host/aes128.localhost"]));
            let [ours, mit] = BOTH.map(|reader| world.run(reader, "cc", "klist", &["-e", "-f"]));
            assert_eq!(lines(&ours.stdout), lines(&mit.stdout), "{options:?}");
            let flags: Vec<String> = mit
                .stdout
                .lines()
                .filter_map(|line| Some(line.split_once("Flags: ")?.1.trim().to_owned()))
                .collect();
            assert_eq!(flags.len(), 2, "{mit}");
            flags
        });
        assert_eq!(told[0], told[1], "{options:?}");
    }
}

/// A machine's account has a name that ends in a dollar sign, and only a keytab.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn a_machine_logs_in_by_its_keytab() {
    let world = World::new();
    for (keytab, account, service) in [
        ("station.keytab", "STATION$", "host/station.forest.test"),
        ("dc1.keytab", "DC1$", "host/dc1.forest.test"),
    ] {
        let keytab = world.path(keytab);
        for make in BOTH {
            let arguments = ["-k", "-t", &keytab, account];
            succeeded(&world.run(make, "cc", "kinit", &arguments));
            assert_eq!(world.owner("cc"), format!("{account}@{}", world.realm()));
            let itself = world.run(make.other(), "cc", "kvno", &["-k", &keytab, service]);
            succeeded(&itself);
            assert!(itself.stdout.contains("keytab entry valid"), "{itself}");
            // The client's keytab of the environment is the station's, and its first entry the account's name.
            if account == "STATION$" {
                succeeded(&world.run(make, "cc", "kinit", &["-k", "-i"]));
                assert_eq!(world.owner("cc"), format!("{account}@{}", world.realm()));
            }
        }
    }
}

/// Active Directory knows a service's name, but not as a client; both makes are told so.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn a_service_is_no_client() {
    let world = World::new();
    let keytab = world.path("station.keytab");
    for make in BOTH {
        let arguments = ["-k", "-t", &keytab, "host/station.forest.test"];
        let done = world.run(make, "cc", "kinit", &arguments);
        refused(&done, &["not found in Kerberos database"]);
    }
}

/// Accounts and passwords that are no good, in the words that scripts look for.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn refused_users_are_told_why() {
    let world = World::new();
    let incorrect = "Password incorrect while getting initial credentials";
    let revoked = "credentials have been revoked while getting initial credentials";
    for (user, password, phrase) in [
        ("alice", "Wonder-Land-8", incorrect),
        ("alice", "", incorrect),
        ("user-utf8", "grusse-世界", incorrect),
        ("nobody", "x", "not found in Kerberos database"),
        ("user-disabled", "secret-disabled", revoked),
        ("user-expired", "secret-expired", revoked),
    ] {
        for make in BOTH {
            if password.is_empty() && make == Make::Mit {
                // MIT's takes an empty line for a password that it could not read.
                continue;
            }
            let done = world.kinit(make, "none", &[user], password);
            refused(&done, &[phrase]);
            assert!(!world.scratch.join("none").exists(), "{user}");
        }
    }
    let expired = world.kinit(Make::Ours, "none", &["user-pwexpired"], "secret-pwexpired");
    refused(
        &expired,
        &["Password has expired while getting initial credentials"],
    );
    let ours = world.kinit(Make::Ours, "none", &["alice"], "Wonder-Land-8");
    assert!(ours.stderr.contains("KDC_ERR_PREAUTH_FAILED"), "{ours}");
    assert!(!ours.stderr.contains("Wonder-Land-8"), "{ours}");
}

#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn a_password_beyond_ascii_serves() {
    let world = World::new();
    for make in BOTH {
        succeeded(&world.kinit(make, "cc", &["user-utf8"], "grüße-世界"));
        assert_eq!(world.owner("cc"), format!("user-utf8@{}", world.realm()));
    }
}

/// Another kinit's tickets are renewed, and those that cannot be are not.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn tickets_are_renewed_by_either() {
    let world = World::new();
    let text = std::fs::read_to_string(world.path("krb5.conf")).unwrap();
    let brief = world.scratch.join("brief.conf");
    std::fs::write(&brief, text.replace("renew_lifetime", "# ")).unwrap();
    for make in BOTH {
        world.logged_in(make.other(), "cc", &["-r", "2d", "alice"]);
        succeeded(&world.run(make, "cc", "kinit", &["-R"]));
        assert_eq!(world.owner("cc"), format!("alice@{}", world.realm()));
        succeeded(&world.run(make, "cc", "kvno", &["-q", "HTTP/localhost"]));
        let mut command = world.tool(make, "short", "kinit", &["bob"]);
        command.env("KRB5_CONFIG", &brief);
        succeeded(&finished(command, "Builder-Can-8\n"));
        let again = world.run(make, "short", "kinit", &["-R"]);
        assert_eq!(again.status.code(), Some(1), "{again}");
    }
}

/// A client without a PAC in its tickets asked for none, and one that says nothing gets it.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn the_pac_is_left_out_if_it_is_not_wanted() {
    let world = World::new();
    for make in BOTH {
        let [with, asked, without] =
            [None, Some("--request-pac"), Some("--no-request-pac")].map(|option| {
                let arguments: Vec<&str> = option.into_iter().chain(["alice"]).collect();
                world.logged_in(make, "cc", &arguments);
                succeeded(&world.run(make, "cc", "kvno", &["-q", "host/aes128.localhost"]));
                std::fs::metadata(world.scratch.join("cc")).unwrap().len()
            });
        // The names, the groups and the signatures of alice's take more than this.
        assert!(with > without + 400, "{make:?}: {with} and {without} bytes");
        assert!(
            asked.abs_diff(with) < 100,
            "{make:?}: {asked} and {with} bytes"
        );
    }
}

/// A clock that is an hour late: MIT's and ours follow the KDC's, which is their default, and the service's
/// ticket is good by that; with kdc_timesync off it is refused.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn a_skewed_clock_follows_the_kdc() {
    let world = World::new();
    let text = std::fs::read_to_string(world.path("krb5.conf")).unwrap();
    let own = world.scratch.join("own-clock.conf");
    let line = "[libdefaults]\n  kdc_timesync = 0\n";
    std::fs::write(&own, text.replacen("[libdefaults]\n", line, 1)).unwrap();
    for make in BOTH {
        for hours in ["-1h", "+1h"] {
            let late = |tool: &str, arguments: &[&str]| {
                let (program, subcommand) = make.tool(world.peers, tool);
                let mut command = world.domain.command("faketime", &world.scratch.cache("cc"));
                command.args(["-f", hours]).arg(if make == Make::Ours {
                    world.program()
                } else {
                    program
                });
                command.args(subcommand).args(arguments);
                command
            };
            let done = finished(late("kinit", &["alice"]), &format!("{PASSWORD}\n"));
            succeeded(&done);
            succeeded(&finished(late("kvno", &["HTTP/localhost"]), ""));
            if make == Make::Ours {
                let mut strict = late("kinit", &["alice"]);
                strict.env("KRB5_CONFIG", &own);
                let done = finished(strict, &format!("{PASSWORD}\n"));
                refused(&done, &["Clock skew too great"]);
            }
        }
    }
}
