//! Negotiate between Trihound, MIT's libgssapi with gss-ntlmssp, and pyspnego: Kerberos and NTLM inside.

use trihound_interop::{
    NegotiateCase, NegotiateStage, Sender, Speaker, Wish, find, negotiate_conversation,
    planned_negotiate_cases, run_negotiate,
};

use crate::world::{Make, World};

/// The fewest cases that the axes may call for: whoever removes a value has to say so here.
const PLANNED: &str = include_str!("../../planned-negotiate.txt");

/// Conformance rows 28 to 31 and 162 to 170: negotiations of every two programs, both roles.
#[test]
fn every_negotiation_ends_as_it_must() {
    let cases = planned_negotiate_cases();
    let least: usize = PLANNED.trim().parse().unwrap();
    assert!(
        cases.len() >= least,
        "the axes call for {} cases, fewer than the {least} of planned-negotiate.txt",
        cases.len()
    );
    let peers = find().unwrap_or_else(|failure| panic!("{failure}"));
    let report =
        run_negotiate(peers.as_ref(), &cases).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    assert!(report.failed.is_empty(), "{report}");
    if peers.is_some() {
        assert_eq!(report.ran, report.planned, "{report}");
    } else {
        eprintln!("SKIPPED, TRIHOUND_NO_PEERS=1: {report}");
    }
}

/// Kerberos in a MechTypeList, as RFC 4121 and as old Windows have it, after the length of the OID.
const KERBEROS: [&[u8]; 2] = [
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02",
    b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02",
];

/// Takes Kerberos out of the list of the first token: an arc that nobody has is in its place.
fn without_kerberos(sender: Sender, index: usize, mut frame: Vec<u8>) -> Vec<Vec<u8>> {
    // The list is at the token's head, and the optimistic token with its own OIDs behind it.
    let head = 96.min(frame.len());
    if (sender, index) == (Sender::Initiator, 0) {
        for oid in KERBEROS {
            let found = frame[..head]
                .windows(oid.len())
                .position(|window| window == oid);
            if let Some(at) = found {
                frame[at + oid.len() - 1] = 0x7e;
            }
        }
    }
    vec![frame]
}

/// Conformance rows 28, 29 and 173: an acceptor that sees only NTLM chooses it, and the mechListMIC tells on whoever
/// took Kerberos away.
#[test]
fn a_list_without_kerberos_leads_to_no_context() {
    let Some(world) = World::new() else { return };
    let stage = NegotiateStage::new(world.peers, &world.realm).unwrap();
    world.logged_in(Make::Mit, "cc", &["alice"]);
    for [initiator, acceptor] in [
        [Speaker::Ours, Speaker::Ours],
        [Speaker::Ours, Speaker::Gss],
        [Speaker::Gss, Speaker::Ours],
    ] {
        for wish in Wish::ALL {
            let case = NegotiateCase {
                wish: *wish,
                ..NegotiateCase::plain(initiator, acceptor)
            };
            let held = negotiate_conversation(&case)
                .hold_through(
                    Some(Box::new(without_kerberos)),
                    stage.side(initiator, &world.scratch.cache("cc")),
                    stage.side(acceptor, &world.scratch.cache("none")),
                )
                .unwrap();
            for side in [&held.initiated, &held.accepted] {
                assert!(
                    !side.ok(),
                    "{case}: {}\n{}",
                    held.initiated.finished,
                    held.accepted.finished
                );
            }
            let told = [&held.initiated, &held.accepted].map(|side| &side.finished.stderr);
            assert!(
                told.iter()
                    .any(|text| text.contains("mechListMIC") || text.contains("(MIC)")),
                "{case}: {told:?}"
            );
        }
    }
}
