use std::collections::BTreeSet;
use std::fmt;

use crate::Bindings;
use crate::axes::axis;
use crate::pairwise::pairwise;

axis! {
    /// The programs that speak NTLM.
    Speaker {
        /// `trihound peer`.
        Ours = "ours",
        /// gss-ntlmssp, through MIT's libgssapi.
        Gss = "gss-ntlmssp",
        /// pyspnego's NTLM and SPNEGO, written in Python.
        Python = "pyspnego",
    }
}

axis! {
    /// What the tokens travel in.
    Layer {
        /// NTLMSSP alone.
        Raw = "raw",
        /// SPNEGO with NTLM as its only mechanism.
        Spnego = "spnego",
    }
}

axis! {
    /// The protection that the initiator asks for, and what is then said.
    Protection {
        /// None, and nothing is said.
        Nothing = "bare",
        /// Integrity: a message with its MIC, both ways.
        Integrity = "integ",
        /// Confidentiality too: sealed messages as well.
        Confidentiality = "conf",
    }
}

axis! {
    /// Whether the acceptor has the account.
    Account {
        /// It has.
        Good = "known",
        /// With another password.
        WrongPassword = "wrong-password",
        /// It has none of that name.
        WrongUser = "wrong-user",
        /// It has one of that name in another domain.
        WrongDomain = "wrong-domain",
    }
}

axis! {
    /// Where the initiator has its credentials from.
    Source {
        /// The command line.
        Password = "password",
        /// The file that `NTLM_USER_FILE` names.
        File = "user-file",
    }
}

axis! {
    /// What is said beside the messages of the protection.
    Extra {
        /// Nothing.
        Nothing = "",
        /// A message whose signature and data travel apart; gss-ntlmssp cannot.
        Iov = "iov",
        /// An empty sealed message; gss-ntlmssp cannot.
        Big0 = "big=0",
        /// One byte.
        Big1 = "big=1",
        /// More than a 16-bit length.
        Big70000 = "big=70000",
    }
}

axis! {
    /// What else the initiator asks for.
    Asked {
        /// Nothing.
        Nothing = "",
        /// Mutual authentication, which NTLM has not.
        Mutual = "mutual",
        /// Replays and messages out of sequence.
        Order = "replay,seq",
        /// That the acceptor may only learn who it is.
        Identify = "identify",
    }
}

impl Protection {
    /// The initiator's flags that ask for it, and those that tell both sides what is said.
    #[must_use]
    pub fn flags(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => ("", "nodata"),
            Self::Integrity => ("integ", "nowrap"),
            Self::Confidentiality => ("conf,integ", ""),
        }
    }
}

/// One NTLM context between two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtlmCase {
    /// Who begins.
    pub initiator: Speaker,
    /// Who answers.
    pub acceptor: Speaker,
    /// Raw or inside SPNEGO.
    pub layer: Layer,
    /// What is protected.
    pub protection: Protection,
    /// Channel bindings.
    pub channel: Bindings,
    /// The acceptor's account.
    pub account: Account,
    /// The initiator's credentials.
    pub source: Source,
    /// More messages.
    pub extra: Extra,
    /// More requirements.
    pub asked: Asked,
}

impl fmt::Display for NtlmCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.initiator.word(), self.acceptor.word())?;
        for word in [
            self.layer.word(),
            self.protection.word(),
            self.channel.word(),
            self.account.word(),
            self.source.word(),
            self.extra.word(),
            self.asked.word(),
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
pub enum NtlmExpected {
    /// Both sides succeed and agree.
    Agreement,
    /// The acceptor refuses the channel bindings.
    BindingsRefused,
    /// The acceptor refuses the user.
    LogonDenied,
    /// The acceptor refuses a mechListMIC that is none.
    MechListMicRefused,
}

impl NtlmCase {
    /// The plainest case of two programs.
    #[must_use]
    pub fn plain(initiator: Speaker, acceptor: Speaker, layer: Layer) -> Self {
        Self {
            initiator,
            acceptor,
            layer,
            protection: Protection::Confidentiality,
            channel: Bindings::Neither,
            account: Account::Good,
            source: Source::Password,
            extra: Extra::Nothing,
            asked: Asked::Nothing,
        }
    }

    /// Whether Trihound plays a part; the others show that the peers agree with each other.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.initiator == Speaker::Ours || self.acceptor == Speaker::Ours
    }

    /// How it must end.
    #[must_use]
    pub fn expected(&self) -> NtlmExpected {
        // The account comes first: who is unknown learns nothing of the channel.
        if self.account != Account::Good {
            return NtlmExpected::LogonDenied;
        }
        use Speaker::{Gss, Ours, Python};
        if self.protection == Protection::Nothing && self.initiator == Python {
            match (self.acceptor, self.layer) {
                // One byte stands for the key where none is exchanged, which gss-ntlmssp does not take.
                (Gss, _) => return NtlmExpected::LogonDenied,
                // A mechListMIC without integrity is sixteen bytes that anybody can write (RFC 4178 section 5).
                (Ours, Layer::Spnego) if self.channel != Bindings::Wrong => {
                    return NtlmExpected::MechListMicRefused;
                }
                _ => {}
            }
        }
        match (self.channel, self.initiator, self.acceptor) {
            (Bindings::Wrong, ..) => NtlmExpected::BindingsRefused,
            // The two of them send no bindings at all then, which pyspnego alone refuses.
            (Bindings::AcceptorOnly, Gss | Python, Python) => NtlmExpected::BindingsRefused,
            // Trihound's says that it knows of bindings and has none, which is worse than to know of none.
            (Bindings::AcceptorOnly, Ours, Ours) => NtlmExpected::BindingsRefused,
            _ => NtlmExpected::Agreement,
        }
    }

    /// What the programs cannot do is replaced by what is next to it.
    fn possible(mut self) -> Self {
        let speakers = [self.initiator, self.acceptor];
        if self.protection != Protection::Confidentiality
            || (matches!(self.extra, Extra::Iov | Extra::Big0) && speakers.contains(&Speaker::Gss))
        {
            self.extra = Extra::Nothing;
        }
        self
    }

    fn from_row(row: &[usize]) -> Option<Self> {
        let [
            initiator,
            acceptor,
            layer,
            protection,
            channel,
            account,
            source,
            extra,
            asked,
        ] = *row
        else {
            return None;
        };
        Some(Self {
            initiator: *Speaker::ALL.get(initiator)?,
            acceptor: *Speaker::ALL.get(acceptor)?,
            layer: *Layer::ALL.get(layer)?,
            protection: *Protection::ALL.get(protection)?,
            channel: *Bindings::ALL.get(channel)?,
            account: *Account::ALL.get(account)?,
            source: *Source::ALL.get(source)?,
            extra: *Extra::ALL.get(extra)?,
            asked: *Asked::ALL.get(asked)?,
        })
    }
}

/// Every case that the axes call for. For every two programs, raw and in SPNEGO: each protection with each
/// kind of channel bindings, and each wrong account; for those of which Trihound is one, each extra message
/// and each requirement with either source of credentials too. Beyond that, every two values of two axes.
#[must_use]
pub fn planned_ntlm_cases() -> Vec<NtlmCase> {
    let mut cases = BTreeSet::new();
    for &initiator in Speaker::ALL {
        for &acceptor in Speaker::ALL {
            for &layer in Layer::ALL {
                let plain = NtlmCase::plain(initiator, acceptor, layer);
                cases.extend(protections(plain));
                cases.extend(
                    Account::ALL
                        .iter()
                        .map(|&account| NtlmCase { account, ..plain }),
                );
                if plain.is_ours() {
                    cases.extend(extras(plain));
                }
            }
        }
    }
    let sizes = [
        Speaker::ALL.len(),
        Speaker::ALL.len(),
        Layer::ALL.len(),
        Protection::ALL.len(),
        Bindings::ALL.len(),
        // A wrong account hides what the other axes do; it is crossed above.
        1,
        Source::ALL.len(),
        Extra::ALL.len(),
        Asked::ALL.len(),
    ];
    cases.extend(
        pairwise(&sizes)
            .iter()
            .filter_map(|row| NtlmCase::from_row(row)),
    );
    let cases: BTreeSet<NtlmCase> = cases.into_iter().map(NtlmCase::possible).collect();
    cases.into_iter().collect()
}

fn protections(plain: NtlmCase) -> impl Iterator<Item = NtlmCase> {
    Protection::ALL.iter().flat_map(move |&protection| {
        Bindings::ALL.iter().map(move |&channel| NtlmCase {
            protection,
            channel,
            ..plain
        })
    })
}

fn extras(plain: NtlmCase) -> impl Iterator<Item = NtlmCase> {
    Source::ALL.iter().flat_map(move |&source| {
        let extras = Extra::ALL.iter().map(move |&extra| NtlmCase {
            source,
            extra,
            ..plain
        });
        let asked = Asked::ALL.iter().map(move |&asked| NtlmCase {
            source,
            asked,
            ..plain
        });
        extras.chain(asked)
    })
}
