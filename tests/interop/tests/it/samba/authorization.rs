//! What the controller vouches for about a client, at an acceptor of ours.

use std::collections::BTreeSet;

use trihound_interop::{Conversation, Side};

use super::{PASSWORD, World};
use crate::world::{Make, finished, succeeded};

impl World {
    /// What the directory says of an account, by `samba-tool`.
    #[track_caller]
    fn shown(&self, kind: &str, account: &str, attribute: &str) -> String {
        let mut command = self
            .domain
            .command("samba-tool", &self.scratch.cache("none"));
        command.args([kind, "show", account, "--attributes", attribute]);
        command.arg(format!(
            "--configfile={}",
            self.domain.variable("SAMBA_CONF")
        ));
        let shown = finished(command, "");
        succeeded(&shown);
        let start = format!("{attribute}: ");
        let value = shown
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        value.unwrap_or_else(|| panic!("{shown}")).to_owned()
    }
}

/// Conformance row 44: the client's own SID and its groups' are those that the directory has, under service keys of every
/// enctype, for a user and a machine, with tickets of our own getting, of MIT's and of Samba's.
#[test]
#[ignore = "needs a Samba domain: tests/run.sh --all"]
fn row_44_the_sids_of_a_client_are_the_directorys() {
    let world = World::new();
    let alice = world.shown("user", "alice", "objectSid");
    let (domain, _) = alice.rsplit_once('-').unwrap();
    let testers = world.shown("group", "testers", "objectSid");
    let domain_users = format!("{domain}-513");
    let station = world.shown("computer", "STATION$", "objectSid");
    let keytab = world.path("station.keytab");
    for target in [
        "HTTP/localhost",
        "host/aes256.localhost",
        "host/aes128.localhost",
        "host/rc4.localhost",
    ] {
        for make in [Make::Ours, Make::Mit] {
            world.logged_in(make, "cc", &["alice"]);
            succeeded(&world.run(make, "cc", "kvno", &[target]));
            let sids = world.accepted(target, "nodata", None);
            assert_eq!(sids.first(), Some(&alice), "{target}");
            let groups: BTreeSet<&String> = sids.iter().skip(1).collect();
            assert!(groups.contains(&testers) && groups.contains(&domain_users));
        }
        succeeded(&world.run(
            Make::Ours,
            "cc",
            "kinit",
            &["-k", "-t", &keytab, "STATION$"],
        ));
        succeeded(&world.run(Make::Ours, "cc", "kvno", &[target]));
        let sids = world.accepted(target, "nodata", None);
        assert_eq!(sids.first(), Some(&station), "{target}");
        // Samba's library gets no Kerberos ticket for localhost.
        if target == "HTTP/localhost" {
            continue;
        }
        let told = format!("nodata,user=alice,domain={},pw={PASSWORD}", world.realm());
        let sids = world.accepted(target, &told, Some("gensec"));
        assert_eq!(sids.first(), Some(&alice), "{target}");
    }
}

impl World {
    /// The SIDs that our acceptor has of a client with the tickets of the cache `cc`, or of Samba's.
    #[track_caller]
    fn accepted(&self, target: &str, flags: &str, engine: Option<&str>) -> Vec<String> {
        let initiator = match engine {
            Some(engine) => self
                .domain
                .samba_peer(engine, &self.scratch.cache("none"))
                .unwrap(),
            None => self
                .domain
                .command(self.program(), &self.scratch.cache("cc")),
        };
        let acceptor = self
            .domain
            .command(self.program(), &self.scratch.cache("none"));
        let conversation = Conversation {
            package: "kerberos",
            target: target.to_owned(),
            acceptor: "-".to_owned(),
            initiator_flags: flags.to_owned(),
            acceptor_flags: "nodata".to_owned(),
        };
        let sides = (
            Side {
                command: initiator,
                ours: engine.is_none(),
            },
            Side {
                command: acceptor,
                ours: true,
            },
        );
        let (initiated, accepted) = conversation.hold(sides.0, sides.1).unwrap();
        assert!(
            initiated.ok() && accepted.ok(),
            "{}\n{}",
            initiated.finished,
            accepted.finished
        );
        accepted.texts("sids")
    }
}
