use crate::{AcceptorAttributes, AcceptorRequirements, InitiatorAttributes, InitiatorRequirements};

/// Whose wish for an attribute counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Askers {
    /// The initiator's only; an acceptor's wish is ignored.
    Initiator,
    /// The acceptor's only; the initiator has no such flag.
    Acceptor,
    /// Either side's is enough.
    Either,
    /// Both sides have to ask.
    Both,
    /// Each side's, for itself; the peer does not learn of it.
    Each,
}

/// What SSPI says about one context attribute. All the rules are one table: [`attribute_rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeRule {
    /// The flag's name without its prefix (`ISC_REQ_`, `ASC_RET_` and so on).
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whose wish counts.
    pub askers: Askers,
    /// The flag by which the initiator asks; empty where it has none.
    pub initiator_asks: InitiatorRequirements,
    /// The flag by which the initiator is told; empty where it has none.
    pub initiator_gets: InitiatorAttributes,
    /// The flag by which the acceptor asks, also where its wish is ignored; empty where it has none.
    pub acceptor_asks: AcceptorRequirements,
    /// The flag by which the acceptor is told; empty where it has none.
    pub acceptor_gets: AcceptorAttributes,
    /// The names of attributes that asking for this one asks for too.
    pub implies: &'static [&'static str],
    /// The names of attributes that are not given beside this one.
    pub excludes: &'static [&'static str],
}

/// The flags of one attribute where every side has one of each.
macro_rules! rule {
    ($name:ident $(-> $returned:ident)?, $askers:ident, $meaning:literal,
     implies $implies:expr, excludes $excludes:expr) => {
        AttributeRule {
            name: stringify!($name),
            meaning: $meaning,
            askers: Askers::$askers,
            initiator_asks: InitiatorRequirements::$name,
            initiator_gets: rule!(@returned InitiatorAttributes, $name $(, $returned)?),
            acceptor_asks: AcceptorRequirements::$name,
            acceptor_gets: rule!(@returned AcceptorAttributes, $name $(, $returned)?),
            implies: &$implies,
            excludes: &$excludes,
        }
    };
    (@returned $type:ident, $name:ident, $returned:ident) => { $type::$returned };
    (@returned $type:ident, $name:ident) => { $type::$name };
}

const fn acceptor_only(
    name: &'static str,
    meaning: &'static str,
    acceptor_asks: AcceptorRequirements,
    excludes: &'static [&'static str],
) -> AttributeRule {
    AttributeRule {
        name,
        meaning,
        askers: Askers::Acceptor,
        initiator_asks: InitiatorRequirements::empty(),
        initiator_gets: InitiatorAttributes::empty(),
        acceptor_asks,
        acceptor_gets: AcceptorAttributes::empty(),
        implies: &[],
        excludes,
    }
}

static RULES: [AttributeRule; 14] = [
    rule!(IDENTIFY, Initiator,
        "the server may learn who the client is, and neither impersonate nor delegate",
        implies [], excludes ["DELEGATE"]),
    rule!(DELEGATE, Initiator,
        "the server may build new contexts as the client, which other servers accept",
        implies [], excludes []),
    rule!(MUTUAL_AUTH, Initiator,
        "the server proves itself too",
        implies [], excludes []),
    rule!(REPLAY_DETECT, Either,
        "replayed messages are noticed",
        implies ["INTEGRITY"], excludes []),
    rule!(SEQUENCE_DETECT, Either,
        "messages out of order are noticed",
        implies ["INTEGRITY"], excludes []),
    rule!(CONFIDENTIALITY, Either,
        "messages can be encrypted",
        implies [], excludes []),
    rule!(INTEGRITY, Either,
        "messages can be signed, without replay or order detection",
        implies [], excludes []),
    rule!(CONNECTION, Both,
        "connection-oriented context",
        implies [], excludes []),
    rule!(DATAGRAM, Either,
        "connectionless context, for datagrams and DCE RPC",
        implies [], excludes []),
    rule!(USE_DCE_STYLE -> USED_DCE_STYLE, Either,
        "three legs, and no GSS framing, as DCE RPC has it",
        implies ["MUTUAL_AUTH"], excludes []),
    rule!(EXTENDED_ERROR, Each,
        "a failure is told to the peer by a token",
        implies [], excludes []),
    rule!(ALLOCATE_MEMORY -> ALLOCATED_MEMORY, Each,
        "the package allocates the output token",
        implies [], excludes []),
    acceptor_only(
        "ALLOW_MISSING_BINDINGS",
        "a client that sends no channel bindings is let in; one that sends wrong ones is not",
        AcceptorRequirements::ALLOW_MISSING_BINDINGS,
        &[],
    ),
    acceptor_only(
        "PROXY_BINDINGS",
        "the channel ends in a proxy: the client has to send channel bindings, and they are not compared",
        AcceptorRequirements::PROXY_BINDINGS,
        &["ALLOW_MISSING_BINDINGS"],
    ),
];

/// SSPI's rules for the context attributes: who may ask, what implies what, what excludes what.
///
/// With nothing asked there is authentication and impersonation only. Flags that are not in the
/// table have no rule: they pass through [`InitiatorRequirements::normalized`] unchanged.
#[must_use]
pub fn attribute_rules() -> &'static [AttributeRule] {
    &RULES
}

fn named(name: &str) -> Option<&'static AttributeRule> {
    RULES.iter().find(|rule| rule.name == name)
}

impl InitiatorRequirements {
    /// What is really asked for: with what it implies and without what it excludes.
    #[must_use]
    pub fn normalized(self) -> Self {
        let asked = || {
            RULES
                .iter()
                .filter(move |rule| self.intersects(rule.initiator_asks))
        };
        let implied: Self = asked()
            .flat_map(|rule| rule.implies)
            .filter_map(|name| named(name))
            .map(|rule| rule.initiator_asks)
            .collect();
        let excluded: Self = asked()
            .flat_map(|rule| rule.excludes)
            .filter_map(|name| named(name))
            .map(|rule| rule.initiator_asks)
            .collect();
        (self | implied) - excluded
    }
}

impl AcceptorRequirements {
    /// What is really asked for: with what it implies, and without what it excludes or what only an
    /// initiator may ask.
    #[must_use]
    pub fn normalized(self) -> Self {
        let asked = || {
            RULES
                .iter()
                .filter(move |rule| self.intersects(rule.acceptor_asks))
        };
        let implied: Self = asked()
            .flat_map(|rule| rule.implies)
            .filter_map(|name| named(name))
            .map(|rule| rule.acceptor_asks)
            .collect();
        let excluded: Self = asked()
            .flat_map(|rule| rule.excludes)
            .filter_map(|name| named(name))
            .map(|rule| rule.acceptor_asks)
            .collect();
        let ignored: Self = RULES
            .iter()
            .filter(|rule| rule.askers == Askers::Initiator)
            .map(|rule| rule.acceptor_asks)
            .collect();
        (self | implied) - excluded - ignored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_a_rule_mentions_is_in_the_table() {
        for rule in attribute_rules() {
            for name in rule.implies.iter().chain(rule.excludes) {
                assert!(named(name).is_some(), "{} names {name}", rule.name);
            }
        }
    }

    #[test]
    fn flags_of_one_attribute_are_single_bits_and_no_two_share_one() {
        let mut seen = (0, 0, 0, 0);
        for rule in attribute_rules() {
            let bits = (
                rule.initiator_asks.bits(),
                rule.initiator_gets.bits(),
                rule.acceptor_asks.bits(),
                rule.acceptor_gets.bits(),
            );
            for (bit, seen) in [
                (bits.0, &mut seen.0),
                (bits.1, &mut seen.1),
                (bits.2, &mut seen.2),
                (bits.3, &mut seen.3),
            ] {
                assert!(bit.count_ones() <= 1, "{}", rule.name);
                assert_eq!(*seen & bit, 0, "{}", rule.name);
                *seen |= bit;
            }
        }
    }
}
