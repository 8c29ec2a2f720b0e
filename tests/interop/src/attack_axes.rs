use std::fmt;

use crate::axes::axis;
use crate::{Layer, Speaker};

axis! {
    /// What a man in the middle does to one context.
    Attack {
        /// The NEGOTIATE message asks for no protection any more.
        NegotiateFlags = "negotiate-flags",
        /// The CHALLENGE message offers none any more.
        ChallengeFlags = "challenge-flags",
        /// The AUTHENTICATE message has none any more.
        AuthenticateFlags = "authenticate-flags",
        /// The server's challenge is another.
        ServerChallenge = "server-challenge",
        /// The MIC of the AUTHENTICATE message is zero.
        MicStripped = "mic-stripped",
        /// The session key that travels in it is another.
        SessionKey = "session-key",
        /// The user's proof is another.
        Proof = "proof",
        /// One bit of a sealed message.
        Sealed = "sealed-bit",
        /// One bit of a message that has a MIC beside it.
        Signed = "signed-bit",
        /// A sealed message comes twice.
        Twice = "twice",
        /// An old message comes in place of the next.
        Old = "old-for-new",
        /// The initiator's message comes back to it.
        Reflected = "reflected",
    }
}

/// One attack on two programs, of which Trihound is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttackCase {
    /// Who begins.
    pub initiator: Speaker,
    /// Who answers.
    pub acceptor: Speaker,
    /// Raw or inside SPNEGO.
    pub layer: Layer,
    /// What is done.
    pub attack: Attack,
}

impl fmt::Display for AttackCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}>{} {} {}",
            self.initiator.word(),
            self.acceptor.word(),
            self.layer.word(),
            self.attack.word()
        )
    }
}

impl AttackCase {
    /// Whether there is anything to attack: gss-ntlmssp has no MIC outside SPNEGO, and what it then does not
    /// promise nobody misses.
    fn is_possible(&self) -> bool {
        let unprotected = matches!(
            self.attack,
            Attack::NegotiateFlags
                | Attack::ChallengeFlags
                | Attack::AuthenticateFlags
                | Attack::MicStripped
                | Attack::SessionKey
        );
        !(unprotected && self.initiator == Speaker::Gss && self.layer == Layer::Raw)
    }

    /// Whether it is the acceptor that has to notice; else it is the initiator.
    #[must_use]
    pub fn victim_accepts(&self) -> bool {
        !matches!(self.attack, Attack::Reflected | Attack::ChallengeFlags)
    }

    /// What Trihound says of it, one of these, where it is the one to notice.
    #[must_use]
    pub fn reasons(&self) -> &'static [&'static str] {
        match self.attack {
            Attack::NegotiateFlags | Attack::ChallengeFlags | Attack::AuthenticateFlags => {
                &["INTEGRITY", "CONFIDENTIALITY", "MIC"]
            }
            Attack::ServerChallenge | Attack::Proof => &["SEC_E_LOGON_DENIED"],
            Attack::MicStripped | Attack::SessionKey => &["MIC"],
            Attack::Sealed | Attack::Signed | Attack::Twice | Attack::Old | Attack::Reflected => {
                &["SEC_E_MESSAGE_ALTERED", "SEC_E_OUT_OF_SEQUENCE"]
            }
        }
    }
}

/// Every attack on every two programs of which Trihound is one, raw and in SPNEGO.
#[must_use]
pub fn planned_attacks() -> Vec<AttackCase> {
    let mut cases = Vec::new();
    for &initiator in Speaker::ALL {
        for &acceptor in Speaker::ALL {
            for &layer in Layer::ALL {
                cases.extend(Attack::ALL.iter().map(|&attack| AttackCase {
                    initiator,
                    acceptor,
                    layer,
                    attack,
                }));
            }
        }
    }
    cases.retain(|case| {
        [case.initiator, case.acceptor].contains(&Speaker::Ours) && case.is_possible()
    });
    cases
}
