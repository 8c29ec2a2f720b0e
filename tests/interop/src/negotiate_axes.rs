use std::collections::BTreeSet;
use std::fmt;

use crate::axes::axis;
use crate::{Bindings, Protection, Speaker};

axis! {
    /// What a side offers or takes inside SPNEGO.
    Mechs {
        /// Kerberos alone.
        Kerberos = "krb5",
        /// NTLM alone.
        Ntlm = "ntlm",
        /// Both, Kerberos first.
        Both = "krb5:ntlm",
    }
}

axis! {
    /// Whether the initiator has a ticket-granting ticket.
    Ticket {
        /// It has.
        There = "ticket",
        /// It has none, and can get none.
        Absent = "no-ticket",
    }
}

axis! {
    /// Mutual authentication, and what the order of messages tells.
    Wish {
        /// Nothing is asked for.
        Nothing = "",
        /// Mutual authentication.
        Mutual = "mutual",
        /// That, replays and messages out of sequence.
        All = "mutual,replay,seq",
    }
}

/// One negotiation between two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NegotiateCase {
    /// Who begins; gss-ntlmssp stands for MIT's libgssapi.
    pub initiator: Speaker,
    /// Who answers.
    pub acceptor: Speaker,
    /// What the initiator has to offer.
    pub offered: Mechs,
    /// What the acceptor takes.
    pub taken: Mechs,
    /// Whether Kerberos leads anywhere.
    pub ticket: Ticket,
    /// What is protected.
    pub protection: Protection,
    /// Channel bindings.
    pub channel: Bindings,
    /// More requirements.
    pub wish: Wish,
}

impl fmt::Display for NegotiateCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}>{} offers {} takes {}",
            self.initiator.word(),
            self.acceptor.word(),
            self.offered.word(),
            self.taken.word()
        )?;
        for word in [
            self.ticket.word(),
            self.protection.word(),
            self.channel.word(),
            self.wish.word(),
        ] {
            if !word.is_empty() {
                write!(f, " {word}")?;
            }
        }
        Ok(())
    }
}

/// How a case must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegotiateExpected {
    /// Both sides succeed and agree on this mechanism.
    Agreement(Mechs),
    /// They have no mechanism in common, or pyspnego cannot.
    NoContext,
    /// The acceptor refuses the channel bindings.
    BindingsRefused,
}

impl NegotiateCase {
    /// Everything offered, everything taken, and a ticket.
    #[must_use]
    pub fn plain(initiator: Speaker, acceptor: Speaker) -> Self {
        Self {
            initiator,
            acceptor,
            offered: Mechs::Both,
            taken: Mechs::Both,
            ticket: Ticket::There,
            protection: Protection::Confidentiality,
            channel: Bindings::Neither,
            wish: Wish::Mutual,
        }
    }

    /// What pyspnego does wrong with every other peer and with itself, too.
    fn is_beyond_pyspnego(&self, chosen: Mechs) -> bool {
        let offers_both = self.offered == Mechs::Both && self.ticket == Ticket::There;
        // Its acceptor hands the token of the mechanism that it does not take to the one that it takes.
        let reselects = self.acceptor == Speaker::Python && offers_both && chosen == Mechs::Ntlm;
        // Its initiator forgets the only token of a context that is complete with it.
        let one_leg = self.initiator == Speaker::Python
            && chosen == Mechs::Kerberos
            && self.wish == Wish::Nothing
            && self.protection != Protection::Nothing;
        // Its initiator sends a mechListMIC of a mechanism that has no integrity.
        let no_integrity = self.initiator == Speaker::Python
            && self.acceptor != Speaker::Python
            && chosen == Mechs::Ntlm
            && self.wish != Wish::All
            && self.protection == Protection::Nothing;
        reselects || one_leg || no_integrity
    }

    /// How it must end.
    #[must_use]
    pub fn expected(&self) -> NegotiateExpected {
        let has = |mech: Mechs| {
            [self.offered, self.taken]
                .iter()
                .all(|mechs| matches!(mechs, Mechs::Both) || *mechs == mech)
        };
        let chosen = if has(Mechs::Kerberos) && self.ticket == Ticket::There {
            Mechs::Kerberos
        } else if has(Mechs::Ntlm) {
            Mechs::Ntlm
        } else {
            return NegotiateExpected::NoContext;
        };
        if self.is_beyond_pyspnego(chosen) {
            return NegotiateExpected::NoContext;
        }
        match self.channel {
            Bindings::Wrong => NegotiateExpected::BindingsRefused,
            _ => NegotiateExpected::Agreement(chosen),
        }
    }
}

/// Every case that the axes call for: for every two programs, each offer with each that is taken, with and
/// without a ticket; and with each mechanism each protection, each requirement, and channel bindings that are
/// right, wrong and absent.
#[must_use]
pub fn planned_negotiate_cases() -> Vec<NegotiateCase> {
    let mut cases = BTreeSet::new();
    for &initiator in Speaker::ALL {
        for &acceptor in Speaker::ALL {
            let plain = NegotiateCase::plain(initiator, acceptor);
            for &offered in Mechs::ALL {
                for &taken in Mechs::ALL {
                    cases.extend(Ticket::ALL.iter().map(|&ticket| NegotiateCase {
                        offered,
                        taken,
                        ticket,
                        ..plain
                    }));
                }
            }
            for &ticket in Ticket::ALL {
                for &wish in Wish::ALL {
                    cases.extend(Protection::ALL.iter().map(|&protection| NegotiateCase {
                        ticket,
                        wish,
                        protection,
                        ..plain
                    }));
                }
                let bound = [Bindings::Right, Bindings::Wrong, Bindings::InitiatorOnly];
                cases.extend(bound.map(|channel| NegotiateCase {
                    ticket,
                    channel,
                    ..plain
                }));
            }
        }
    }
    cases.into_iter().collect()
}
