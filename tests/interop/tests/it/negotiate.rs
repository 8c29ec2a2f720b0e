//! Negotiate between Trihound, MIT's libgssapi with gss-ntlmssp, and pyspnego: Kerberos and NTLM inside.

use trihound_interop::{find, planned_negotiate_cases, run_negotiate};

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
