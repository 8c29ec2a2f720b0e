use trihound_interop::{find, planned_cases, run};

/// The fewest cases that the axes may call for: whoever removes a value has to say so here.
const PLANNED: &str = include_str!("../../planned.txt");

/// Conformance rows 126 to 128, 133 and 192: contexts between Trihound and MIT, both roles.
#[test]
fn every_case_of_the_matrix_ends_as_it_must() {
    let cases = planned_cases();
    let least: usize = PLANNED.trim().parse().unwrap();
    assert!(
        cases.len() >= least,
        "the axes call for {} cases, fewer than the {least} of planned.txt",
        cases.len()
    );
    let peers = find().unwrap_or_else(|failure| panic!("{failure}"));
    let report = run(peers.as_ref(), &cases).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    assert!(report.failed.is_empty(), "{report}");
    if peers.is_some() {
        assert_eq!(report.ran, report.planned, "{report}");
    } else {
        eprintln!("SKIPPED, TRIHOUND_NO_PEERS=1: {report}");
    }
}
