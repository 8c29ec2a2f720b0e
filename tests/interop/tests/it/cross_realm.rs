//! Services of another realm, by referral and by `[domain_realm]`.

use std::path::Path;
use std::process::Command;

use trihound_interop::{Conversation, Pair, Scratch, Side};

use crate::world::{BOTH, Make, finished, peers, succeeded};

const SERVICE: &str = "host/srv.away.test";

fn command(pair: &Pair, program: impl AsRef<std::ffi::OsStr>, cache: &str, conf: &Path) -> Command {
    let mut command = pair.command(program, cache);
    command.env("KRB5_CONFIG", conf);
    command
}

#[test]
fn a_service_of_another_realm_is_reached() {
    let Some(peers) = peers() else { return };
    let pair = Pair::start(peers).unwrap_or_else(|failure| panic!("{failure}"));
    // With the domain known the client asks for the other realm; without, its own KDC refers it there.
    let known = pair.profile("known", str::to_owned).unwrap();
    let unknown = pair
        .profile("unknown", |text| {
            let without = text
                .lines()
                .filter(|line| !line.starts_with("include "))
                .collect::<Vec<_>>()
                .join("\n");
            let away =
                std::fs::read_to_string(pair.away_keytab().with_file_name("as-peer.conf")).unwrap();
            // Where the other realm's KDC is has to be known either way.
            let realms = away.split("[domain_realm]").next().unwrap_or_default();
            format!("{without}\n{realms}")
        })
        .unwrap();
    let scratch = Scratch::new().unwrap();
    for conf in [&known, &unknown] {
        for make in BOTH {
            let cache = scratch.cache(&format!("{make:?}"));
            let (program, subcommand) = make.tool(peers, "kinit");
            let mut kinit = command(&pair, program, &cache, conf);
            kinit.args(subcommand).arg("alice");
            succeeded(&finished(kinit, "Wonder-Land-7\n"));
            for asker in [make, make.other()] {
                let (program, subcommand) = asker.tool(peers, "kvno");
                let mut kvno = command(&pair, program, &cache, conf);
                kvno.args(subcommand).arg("-k").arg(pair.away_keytab());
                // A bare principal is one of the default realm to MIT's kvno; -S makes it a host's service.
                match asker {
                    Make::Ours => kvno.arg(SERVICE),
                    Make::Mit => kvno.args(["-S", "host", "srv.away.test"]),
                };
                let asked = finished(kvno, "");
                succeeded(&asked);
                assert!(asked.stdout.contains("keytab entry valid"), "{asked}");
            }
        }
        contexts(&pair, conf);
    }
}

/// Both makes as initiator and acceptor across the realms.
fn contexts(pair: &Pair, conf: &Path) {
    let Some(peers) = peers() else { return };
    let scratch = Scratch::new().unwrap();
    let conversation = Conversation {
        package: "kerberos",
        target: SERVICE.to_owned(),
        acceptor: "-".to_owned(),
        initiator_flags: "mutual,seq,iov,user=alice,pw=Wonder-Land-7".to_owned(),
        acceptor_flags: "iov".to_owned(),
    };
    for [initiator, acceptor] in [[Make::Ours, Make::Mit], [Make::Mit, Make::Ours]] {
        let side = |make: Make, cache: &str| {
            let program = match make {
                Make::Ours => &peers.program,
                Make::Mit => &peers.c_peer,
            };
            let mut command = command(pair, program, &scratch.cache(cache), conf);
            command.env(
                "KRB5_KTNAME",
                format!("FILE:{}", pair.away_keytab().display()),
            );
            Side::new(command, program, &peers.program)
        };
        let (initiated, accepted) = conversation
            .hold(side(initiator, "initiator"), side(acceptor, "acceptor"))
            .unwrap_or_else(|failure| panic!("{failure}"));
        for side in [&initiated, &accepted] {
            assert!(side.ok(), "{}\n{}", initiated.finished, accepted.finished);
            assert_eq!(side.text("src"), "alice@HOME.TEST");
        }
        for (make, side) in [(initiator, &initiated), (acceptor, &accepted)] {
            // MIT's initiator keeps to the name that it asked for, which has no realm before a referral.
            let without_realm = make == Make::Mit && side.text("dst") == "host/srv.away.test@";
            assert!(
                without_realm || side.text("dst") == "host/srv.away.test@AWAY.TEST",
                "{}",
                side.finished
            );
        }
        assert_eq!(initiated.text("session_key"), accepted.text("session_key"));
    }
}
