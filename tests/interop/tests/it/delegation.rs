//! Delegation between Trihound and MIT's libgssapi: chains of services, each of which goes on as the first
//! client, with either program in every place.

use std::collections::BTreeSet;
use std::fmt;

use trihound_interop::{
    Background, Conversation, Failure, Peers, Realm, Report, Scratch, Side, SideResult, run_to_end,
};

use crate::world::{Make, World, peers};

/// Fewer chains than these are not run.
const PLANNED: usize = 36;
/// The chains' service; its realm trusts it to act for its clients.
const SERVICE: &str = "HTTP/localhost";
const CLIENT: &str = "user=alice,pw=Wonder-Land-7";
const ENCTYPES: [&str; 5] = ["aes256", "aes128", "aes256sha2", "aes128sha2", "rc4"];

/// Who begins, and who follows; the last one has nobody to go on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Chain {
    package: &'static str,
    length: usize,
    /// A bit for each place; set for MIT's program.
    mit: usize,
}

impl Chain {
    fn is_mit(self, place: usize) -> bool {
        self.mit >> place & 1 == 1
    }

    fn all() -> Vec<Self> {
        let of = |package, length: usize| {
            (0..1_usize << length).map(move |mit| Self {
                package,
                length,
                mit,
            })
        };
        of("kerberos", 2)
            .chain(of("kerberos", 3))
            .chain(of("kerberos", 4))
            .chain(of("negotiate", 3))
            .collect()
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delegation by {}:", self.package)?;
        (0..self.length)
            .try_for_each(|place| f.write_str(if self.is_mit(place) { " mit" } else { " ours" }))
    }
}

/// The program at one place, with nobody's credentials but what it is told.
fn program(
    peers: &Peers,
    realm: &Realm,
    scratch: &Scratch,
    is_mit: bool,
    place: usize,
) -> std::process::Command {
    let program = if is_mit {
        &peers.c_peer
    } else {
        &peers.program
    };
    let mut command = realm.command(program, &scratch.cache(&format!("none-{place}")));
    command.env_remove("KRB5_CLIENT_KTNAME");
    if !is_mit {
        command.arg("peer");
    }
    command
}

/// The line of JSON that a peer ends with.
fn told(line: &str, name: &str) -> String {
    let start = format!("\"{name}\":");
    let rest = line
        .split_once(&start)
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    rest.split([',', '}'])
        .next()
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned()
}

fn play(peers: &Peers, realm: &Realm, chain: Chain) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let mut next = String::new();
    let mut port = String::new();
    let mut services = Vec::new();
    for place in (1..chain.length).rev() {
        let mut command = program(peers, realm, &scratch, chain.is_mit(place), place);
        command.args(["accept", "0", "-", chain.package, &next]);
        let mut service = Background::start(command)?;
        port = service.wait_for_line("listening ")?.trim().to_owned();
        next = format!("onward={port}:{SERVICE}");
        services.push(service);
    }
    let mut command = program(peers, realm, &scratch, chain.is_mit(0), 0);
    let flags = format!("deleg,mutual,{CLIENT}");
    command.args(["init", &port, SERVICE, chain.package, &flags]);
    let mut ended = vec![run_to_end(command, "")?];
    for mut service in services.into_iter().rev() {
        ended.push(service.finish()?);
    }
    let client = format!("alice@{}", realm.variable("KDC_REALM"));
    for (place, finished) in ended.iter().enumerate() {
        let line = finished.stdout.lines().last().unwrap_or_default();
        let wrong = if !finished.success() {
            "failed"
        } else if told(line, "src") != client {
            "knows another client"
        } else if told(line, "delegated") != "true" {
            "tells of no delegation"
        } else {
            continue;
        };
        return Err(Failure::new(format!("place {place} {wrong}: {finished}")));
    }
    Ok(())
}

/// Conformance rows 94, 95 and 192: a ticket that either program delegates leads the other one on as the
/// first client, through four places.
#[test]
fn row_192_chains_of_services_go_on_as_the_first_client() {
    let chains = Chain::all();
    assert!(chains.len() >= PLANNED, "{} chains", chains.len());
    let Some(peers) = peers() else {
        return;
    };
    let realm = Realm::start(peers).unwrap_or_else(|failure| panic!("{failure}"));
    let report = Report::of("delegation", &chains, |chain| play(peers, &realm, *chain));
    println!("{report}");
    assert!(report.failed.is_empty(), "{report}");
    assert_eq!(report.ran, report.planned, "{report}");
}

/// One context by flags of the initiator's; what each side tells.
fn context(
    world: &World,
    [initiator, acceptor]: [Make; 2],
    target: &str,
    flags: &str,
) -> (SideResult, SideResult) {
    let side = |make: Make, cache: &str| {
        let path = match make {
            Make::Ours => &world.peers.program,
            Make::Mit => &world.peers.c_peer,
        };
        let mut command = world.realm.command(path, &world.scratch.cache(cache));
        command.env_remove("KRB5_CLIENT_KTNAME");
        Side::new(command, path, &world.peers.program)
    };
    let conversation = Conversation {
        package: "kerberos",
        target: target.to_owned(),
        acceptor: "-".to_owned(),
        initiator_flags: flags.to_owned(),
        acceptor_flags: String::new(),
    };
    conversation
        .hold(side(initiator, "initiator"), side(acceptor, "acceptor"))
        .unwrap()
}

const DIRECTIONS: [[Make; 2]; 2] = [[Make::Ours, Make::Mit], [Make::Mit, Make::Ours]];

/// Conformance row 94: MIT's initiator sends its ticket to whoever it is asked to; ours looks for
/// OK-AS-DELEGATE. Both sides know what came of it.
#[test]
fn row_94_a_service_without_ok_as_delegate_gets_nothing_from_us() {
    let Some(world) = World::new() else {
        return;
    };
    for makes in DIRECTIONS {
        let flags = format!("deleg,mutual,{CLIENT}");
        let (ours, theirs) = context(&world, makes, "host/localhost", &flags);
        assert!(
            ours.ok() && theirs.ok(),
            "{} {}",
            ours.finished,
            theirs.finished
        );
        let delegated = makes[0] == Make::Mit;
        for side in [&ours, &theirs] {
            assert_eq!(side.flag("delegated"), Some(delegated), "{}", side.finished);
            assert_eq!(side.flags().contains("deleg"), delegated);
        }
    }
}

/// Conformance row 95: a KRB-CRED under a session key of each type, in each style, both ways.
#[test]
fn row_95_tickets_are_delegated_under_keys_of_each_type_and_in_each_style() {
    let Some(peers) = peers() else {
        return;
    };
    let world = World {
        peers,
        realm: Realm::start(peers).unwrap().into(),
        scratch: Scratch::new().unwrap(),
    };
    for enctype in ENCTYPES {
        let mut command = world
            .realm
            .command("kadmin.local", &world.scratch.cache("none"));
        let service = format!("host/{enctype}.localhost");
        let trust = format!("modify_principal +ok_as_delegate {service}");
        command.args(["-r", world.realm.variable("KDC_REALM"), "-q", &trust]);
        let done = run_to_end(command, "").unwrap();
        assert!(done.stdout.contains("modified"), "{done}");
        for style in ["", "mutual", "dce"] {
            for makes in DIRECTIONS {
                let user = format!("user=user-{enctype},pw=secret-{enctype}");
                let flags = format!("deleg,{style},{user}");
                let (ours, theirs) = context(&world, makes, &service, &flags);
                let expected: BTreeSet<&str> = match style {
                    "" => BTreeSet::from(["deleg", "conf", "integ"]),
                    "mutual" => BTreeSet::from(["deleg", "conf", "integ", "mutual"]),
                    _ => BTreeSet::from(["deleg", "conf", "integ", "mutual", "dce"]),
                };
                // libgssapi takes the credential of the first leg from the mechanism and gives its caller
                // none after the third; so it does between two of its own.
                let lost = style == "dce" && makes[1] == Make::Mit;
                for (side, taken) in [(&ours, true), (&theirs, !lost)] {
                    assert!(side.ok(), "{makes:?} {enctype} {style}: {}", side.finished);
                    assert_eq!(side.flags(), expected, "{makes:?} {enctype}");
                    assert_eq!(side.flag("delegated"), Some(taken), "{}", side.finished);
                }
            }
        }
    }
}
