use std::fmt::Write;

use trihound_sspi::{
    AcceptorRequirements as Acceptor, Askers, AttributeRule, InitiatorRequirements as Initiator,
    attribute_rules,
};

fn rule(name: &str) -> &'static AttributeRule {
    attribute_rules()
        .iter()
        .find(|rule| rule.name == name)
        .unwrap()
}

#[test]
fn with_nothing_asked_nothing_is_implied() {
    assert_eq!(Initiator::empty().normalized(), Initiator::empty());
    assert_eq!(Acceptor::empty().normalized(), Acceptor::empty());
}

#[test]
fn replay_and_sequence_detection_imply_integrity_on_both_sides() {
    for flag in [Initiator::REPLAY_DETECT, Initiator::SEQUENCE_DETECT] {
        assert_eq!(flag.normalized(), flag | Initiator::INTEGRITY);
    }
    for flag in [Acceptor::REPLAY_DETECT, Acceptor::SEQUENCE_DETECT] {
        assert_eq!(flag.normalized(), flag | Acceptor::INTEGRITY);
    }
    // The bits differ: what is INTEGRITY to the one is STREAM or IDENTIFY to the other.
    assert_eq!(Initiator::INTEGRITY.bits(), Acceptor::STREAM.bits());
}

#[test]
fn confidentiality_implies_nothing() {
    assert_eq!(
        Initiator::CONFIDENTIALITY.normalized(),
        Initiator::CONFIDENTIALITY
    );
}

#[test]
fn dce_style_implies_mutual_authentication_where_the_initiator_asks() {
    assert_eq!(
        Initiator::USE_DCE_STYLE.normalized(),
        Initiator::USE_DCE_STYLE | Initiator::MUTUAL_AUTH
    );
    assert_eq!(
        Acceptor::USE_DCE_STYLE.normalized(),
        Acceptor::USE_DCE_STYLE
    );
}

#[test]
fn an_acceptors_wish_for_what_only_the_initiator_may_ask_is_ignored() {
    let wish = Acceptor::DELEGATE | Acceptor::MUTUAL_AUTH | Acceptor::IDENTIFY;
    assert_eq!(wish.normalized(), Acceptor::empty());
    let initiators: Vec<_> = attribute_rules()
        .iter()
        .filter(|rule| rule.askers == Askers::Initiator)
        .map(|rule| rule.name)
        .collect();
    assert_eq!(initiators, ["IDENTIFY", "DELEGATE", "MUTUAL_AUTH"]);
}

#[test]
fn identification_leaves_no_delegation() {
    let both = Initiator::IDENTIFY | Initiator::DELEGATE | Initiator::MUTUAL_AUTH;
    assert_eq!(
        both.normalized(),
        Initiator::IDENTIFY | Initiator::MUTUAL_AUTH
    );
}

#[test]
fn proxy_bindings_do_not_let_a_client_without_bindings_in() {
    let both = Acceptor::PROXY_BINDINGS | Acceptor::ALLOW_MISSING_BINDINGS;
    assert_eq!(both.normalized(), Acceptor::PROXY_BINDINGS);
}

#[test]
fn normalizing_twice_changes_nothing_more() {
    for bits in 0..=0x3FFFF_u32 {
        let once = Initiator::from_bits_retain(bits).normalized();
        assert_eq!(once.normalized(), once);
        let once = Acceptor::from_bits_retain(bits).normalized();
        assert_eq!(once.normalized(), once);
    }
}

#[test]
fn flags_without_a_rule_pass_through() {
    let flags = Initiator::PROMPT_FOR_CREDS | Initiator::from_bits_retain(0x8000_0000);
    assert_eq!(flags.normalized(), flags);
}

#[test]
fn connection_needs_both_sides() {
    let both: Vec<_> = attribute_rules()
        .iter()
        .filter(|rule| rule.askers == Askers::Both)
        .map(|rule| rule.name)
        .collect();
    assert_eq!(both, ["CONNECTION"]);
    assert!(rule("CONNECTION").acceptor_asks == Acceptor::CONNECTION);
}

fn hex(bits: u32) -> String {
    if bits == 0 {
        "-".into()
    } else {
        format!("0x{bits:X}")
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "-".into()
    } else {
        names.join(", ")
    }
}

fn table() -> String {
    let mut text = String::from(
        "| attribute | meaning | who asks | implies | excludes | ISC_REQ_ | ISC_RET_ | ASC_REQ_ | ASC_RET_ |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for rule in attribute_rules() {
        let askers = match rule.askers {
            Askers::Initiator => "the initiator only",
            Askers::Acceptor => "the acceptor only",
            Askers::Either => "either side",
            Askers::Both => "both sides",
            Askers::Each => "each side for itself",
        };
        writeln!(
            text,
            "| {} | {} | {askers} | {} | {} | {} | {} | {} | {} |",
            rule.name,
            rule.meaning,
            list(rule.implies),
            list(rule.excludes),
            hex(rule.initiator_asks.bits()),
            hex(rule.initiator_gets.bits()),
            hex(rule.acceptor_asks.bits()),
            hex(rule.acceptor_gets.bits()),
        )
        .unwrap();
    }
    text
}

#[test]
fn the_manual_has_the_same_table() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/manual/attributes.md"
    );
    let manual = std::fs::read_to_string(path).unwrap_or_default();
    let table = table();
    assert!(
        manual.contains(&table),
        "docs/manual/attributes.md has to contain this table:\n{table}"
    );
}
