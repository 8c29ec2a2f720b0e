//! Contexts in the domain.

use std::fs;

use trihound_interop::{Conversation, Side, SideResult, planned_domain_cases, run_domain};

use super::{PASSWORD, World};
use crate::world::{Make, report, succeeded};

/// The least number of cases there must be; a change of the axes that loses some has to change it, too.
const PLANNED: &str = include_str!("../../../samba/planned.txt");

/// Kerberos with PACs and NTLM, raw and in SPNEGO, ours with ours, with MIT's libgssapi, with Samba's library and with
/// `ntlm_auth`, in both roles.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn every_planned_context_ends_as_it_must() {
    let world = World::new();
    let cases = planned_domain_cases();
    let result = run_domain(world.peers, &world.domain, &cases).unwrap();
    report(&[result.to_string()]);
    let least: usize = PLANNED.trim().parse().unwrap();
    assert!(
        result.planned >= least,
        "{} planned, {least} at least",
        result.planned
    );
    assert!(result.failed.is_empty() && result.skipped == 0, "{result}");
}

/// What our side of a context with Samba's is told: package, target and flags.
struct Told<'a> {
    package: &'static str,
    target: &'a str,
    flags: String,
}

/// Ours, with the tickets of the cache `cc`, against Samba's library as the domain controller.
fn ours_to_the_controller(world: &World, told: &Told<'_>) -> (SideResult, SideResult) {
    let ours = world
        .domain
        .command(world.program(), &world.scratch.cache("cc"));
    let controller = world
        .domain
        .samba_peer("gensec", &world.scratch.cache("none"))
        .unwrap();
    let conversation = Conversation {
        package: told.package,
        target: told.target.to_owned(),
        acceptor: "-".to_owned(),
        initiator_flags: told.flags.clone(),
        acceptor_flags: "nodata".to_owned(),
    };
    conversation
        .hold(
            Side {
                command: ours,
                ours: true,
            },
            Side {
                command: controller,
                ours: false,
            },
        )
        .unwrap_or_else(|failure| panic!("{failure}"))
}

#[track_caller]
fn agreed((initiated, accepted): &(SideResult, SideResult), mechanism: &str, user: &str) {
    for side in [initiated, accepted] {
        assert!(side.ok(), "{}\n{}", initiated.finished, accepted.finished);
    }
    assert_eq!(initiated.text("mech"), mechanism, "{}", initiated.finished);
    assert_eq!(accepted.text("src"), user, "{}", accepted.finished);
    assert_eq!(initiated.text("session_key"), accepted.text("session_key"));
    assert!(!initiated.text("session_key").is_empty());
}

/// Negotiate takes Kerberos where the directory knows the service, and falls back to NTLM where it does not and where
/// the target is an address; without NTLM in the list it fails and says so of Kerberos.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn negotiate_falls_back_where_windows_does() {
    let world = World::new();
    let host = format!("host/{}", world.domain.variable("SAMBA_HOST"));
    let flags = |more: &str| {
        format!(
            "nodata,user=alice,domain={},pw={PASSWORD}{more}",
            world.domain.variable("SAMBA_REALM")
        )
    };
    for (target, mechanism) in [
        (host.as_str(), "krb5"),
        ("cifs/DC1", "krb5"),
        ("host/nowhere.forest.test", "ntlm"),
        ("host/127.0.0.10", "ntlm"),
    ] {
        let told = Told {
            package: "negotiate",
            target,
            flags: flags(""),
        };
        agreed(
            &ours_to_the_controller(&world, &told),
            mechanism,
            "WOODS\\alice",
        );
        let kerberos_alone = Told {
            flags: flags(",mechs=krb5"),
            ..told
        };
        let ended = ours_to_the_controller(&world, &kerberos_alone);
        if mechanism == "krb5" {
            agreed(&ended, "krb5", "WOODS\\alice");
        } else {
            let said = &ended.0.finished.stderr;
            assert!(!ended.0.ok() && !ended.1.ok(), "{target}");
            assert!(said.contains("Kerberos"), "{said}");
            assert!(!said.contains("NTLM failed"), "{said}");
        }
    }
    // A wrong password is no reason to try another mechanism.
    let wrong = Told {
        package: "negotiate",
        target: &host,
        flags: "nodata,user=alice,domain=FOREST.TEST,pw=Wonder-Land-8".to_owned(),
    };
    let ended = ours_to_the_controller(&world, &wrong);
    let said = &ended.0.finished.stderr;
    assert!(!ended.0.ok() && !ended.1.ok());
    assert!(said.contains("KDC_ERR_PREAUTH_FAILED"), "{said}");
}

/// The forms in which people give their name, with the mechanism that each leads to.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn users_are_known_by_each_of_their_names() {
    let world = World::new();
    let host = format!("host/{}", world.domain.variable("SAMBA_HOST"));
    for (package, user) in [
        ("kerberos", "user=alice"),
        ("kerberos", "user=alice@FOREST.TEST"),
        ("kerberos", "user=alice,domain=FOREST.TEST"),
        ("kerberos", "user=alice.liddell@trees.example"),
        ("negotiate", "user=alice"),
        ("negotiate", "user=alice.liddell@trees.example"),
        ("negotiate", "user=alice@FOREST.TEST"),
        ("negotiate", "user=FOREST.TEST\\alice"),
        ("ntlm", "user=alice,domain=WOODS"),
        ("ntlm", "user=WOODS\\alice"),
        ("ntlm", "user=ALICE,domain=woods"),
        ("ntlm", "user=alice,domain=forest.test"),
        ("ntlm", "user=alice@forest.test"),
        ("ntlm", "user=alice.liddell@trees.example"),
    ] {
        let told = Told {
            package,
            target: &host,
            flags: format!("nodata,{user},pw={PASSWORD}"),
        };
        let mechanism = if package == "ntlm" { "ntlm" } else { "krb5" };
        agreed(
            &ours_to_the_controller(&world, &told),
            mechanism,
            "WOODS\\alice",
        );
    }
}

/// Tickets of a cache that either kinit filled, of a user and of a machine.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn tickets_of_a_cache_serve_at_the_controller() {
    let world = World::new();
    let host = format!("host/{}", world.domain.variable("SAMBA_HOST"));
    let keytab = world.path("station.keytab");
    for make in [Make::Ours, Make::Mit] {
        for package in ["kerberos", "negotiate"] {
            let told = Told {
                package,
                target: &host,
                flags: "nodata,mutual".to_owned(),
            };
            world.logged_in(make, "cc", &["alice"]);
            agreed(
                &ours_to_the_controller(&world, &told),
                "krb5",
                "WOODS\\alice",
            );
            let machine = ["-k", "-t", &keytab, "STATION$"];
            succeeded(&world.run(make, "cc", "kinit", &machine));
            agreed(
                &ours_to_the_controller(&world, &told),
                "krb5",
                "WOODS\\STATION$",
            );
        }
    }
}

/// The acceptor of Samba, which takes clients of Kerberos and of NTLM alike, is led by neither where the ticket is for
/// somebody else.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn a_ticket_for_another_is_refused_by_the_controller() {
    let world = World::new();
    for package in ["kerberos", "negotiate"] {
        let told = Told {
            package,
            target: "host/station.forest.test",
            flags: format!("nodata,mutual,user=alice,pw={PASSWORD}"),
        };
        let ended = ours_to_the_controller(&world, &told);
        assert!(!ended.0.ok() && !ended.1.ok(), "{}", ended.0.finished);
    }
}

/// The accounts of the acceptor, as `NTLM_USER_FILE` has them, against clients of Samba: one answer for a wrong password,
/// a wrong name and a wrong domain.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn sambas_clients_get_one_answer() {
    let world = World::new();
    let accounts = world.scratch.join("accounts");
    fs::write(&accounts, format!("WOODS:alice:{PASSWORD}\n")).unwrap();
    let mut answers = Vec::new();
    for engine in ["gensec", "ntlm_auth"] {
        for (package, mechs) in [("ntlm", ""), ("negotiate", ",mechs=ntlm")] {
            for (domain, user, password) in [
                ("WOODS", "alice", "Wonder-Land-8"),
                ("WOODS", "alicia", PASSWORD),
                ("MEADOWS", "alice", PASSWORD),
            ] {
                let conversation = Conversation {
                    package,
                    target: "host/localhost".to_owned(),
                    acceptor: "-".to_owned(),
                    initiator_flags: format!(
                        "nodata,user={user},domain={domain},pw={password}{mechs}"
                    ),
                    acceptor_flags: format!("nodata{mechs}"),
                };
                let client = world
                    .domain
                    .samba_peer(engine, &world.scratch.cache("none"))
                    .unwrap();
                let mut ours = world
                    .domain
                    .command(world.program(), &world.scratch.cache("none"));
                ours.env("NTLM_USER_FILE", &accounts);
                let (_, accepted) = conversation
                    .hold(
                        Side {
                            command: client,
                            ours: false,
                        },
                        Side {
                            command: ours,
                            ours: true,
                        },
                    )
                    .unwrap();
                assert!(!accepted.ok(), "{}", accepted.finished);
                answers.push((package, accepted.text("error").to_owned()));
            }
        }
    }
    for package in ["ntlm", "negotiate"] {
        let mut told = answers.iter().filter(|(name, _)| *name == package);
        let first = told.next().unwrap();
        assert!(first.1.contains("SEC_E_LOGON_DENIED"), "{first:?}");
        assert!(told.all(|answer| answer == first), "{answers:?}");
    }
}
