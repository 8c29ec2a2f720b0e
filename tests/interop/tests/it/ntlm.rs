//! NTLM between Trihound, gss-ntlmssp and pyspnego, raw and in SPNEGO.

use trihound_interop::{
    Layer, NtlmCase, NtlmStage, Protection, Speaker, find, ntlm_conversation, planned_attacks,
    planned_ntlm_cases, run_attacks, run_ntlm,
};

use crate::world::peers;

/// The fewest cases that the axes may call for: whoever removes a value has to say so here.
const PLANNED: &str = include_str!("../../planned-ntlm.txt");

/// Conformance rows 32 to 39 and 139 to 155: contexts of every two programs, both roles.
#[test]
fn every_ntlm_case_ends_as_it_must() {
    let cases = planned_ntlm_cases();
    let least: usize = PLANNED.trim().parse().unwrap();
    assert!(
        cases.len() >= least,
        "the axes call for {} cases, fewer than the {least} of planned-ntlm.txt",
        cases.len()
    );
    let peers = find().unwrap_or_else(|failure| panic!("{failure}"));
    let report = run_ntlm(peers.as_ref(), &cases).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    assert!(report.failed.is_empty(), "{report}");
    if peers.is_some() {
        assert_eq!(report.ran, report.planned, "{report}");
    } else {
        eprintln!("SKIPPED, TRIHOUND_NO_PEERS=1: {report}");
    }
}

/// The fewest attacks that the axes may call for.
const PLANNED_ATTACKS: &str = include_str!("../../planned-attacks.txt");

/// Conformance rows 32, 37, 140, 148, 152 and 157: a man in the middle between Trihound and each peer.
#[test]
fn every_attack_on_the_wire_is_noticed() {
    let cases = planned_attacks();
    let least: usize = PLANNED_ATTACKS.trim().parse().unwrap();
    assert!(
        cases.len() >= least,
        "the axes call for {} attacks, fewer than the {least} of planned-attacks.txt",
        cases.len()
    );
    let peers = find().unwrap_or_else(|failure| panic!("{failure}"));
    let report = run_attacks(peers.as_ref(), &cases).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    assert!(report.failed.is_empty(), "{report}");
    if peers.is_some() {
        assert_eq!(report.ran, report.planned, "{report}");
    } else {
        eprintln!("SKIPPED, TRIHOUND_NO_PEERS=1: {report}");
    }
}

/// Conformance row 32: gss-ntlmssp has no MIC outside SPNEGO; by default nobody signs or seals without one, and who only
/// logs in may.
#[test]
fn without_a_mic_nobody_signs_unless_the_acceptor_says_so() {
    let Some(peers) = peers() else { return };
    let stage = NtlmStage::new(peers).unwrap();
    for &protection in Protection::ALL {
        let case = NtlmCase {
            protection,
            ..NtlmCase::plain(Speaker::Gss, Speaker::Ours, Layer::Raw)
        };
        let mut conversation = ntlm_conversation(&case);
        conversation.acceptor_flags = conversation.acceptor_flags.replace("nomic", "");
        let (_, accepted) = conversation
            .hold(
                stage.side(Speaker::Gss, case.account.word()),
                stage.side(Speaker::Ours, "accounts"),
            )
            .unwrap();
        assert_eq!(
            accepted.ok(),
            protection == Protection::Nothing,
            "{}",
            accepted.finished
        );
        if !accepted.ok() {
            let told = &accepted.finished.stderr;
            assert!(
                told.contains("MIC") && told.contains("NtlmPolicy::mic"),
                "{told}"
            );
        }
    }
}
