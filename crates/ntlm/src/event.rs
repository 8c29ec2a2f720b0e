//! Each use of NTLM is told: as an event of `tracing`, and to an observer.

use core::fmt;

use tracing::{info, warn};

/// Which way a context goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// This side is the initiator.
    Outgoing,
    /// This side is the acceptor.
    Incoming,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        })
    }
}

/// What became of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NtlmOutcome {
    /// The policy allows it without further ado.
    Allowed,
    /// The policy allows it, and wants it seen.
    Audited,
    /// The policy denies it.
    Denied,
    /// The policy allowed it, and the acceptor's checks refused the client.
    Refused,
}

impl fmt::Display for NtlmOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Audited => "audited",
            Self::Denied => "denied",
            Self::Refused => "refused",
        })
    }
}

/// One use of NTLM. An initiator's is told when it begins, an acceptor's when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NtlmUse {
    /// Which way the context goes.
    pub direction: Direction,
    /// The service principal name: the caller's on an initiator, the one that the client sent on an
    /// acceptor.
    pub target: Option<String>,
    /// The account's name; empty for an anonymous client, or where it is not known yet.
    pub user: String,
    /// The account's domain.
    pub domain: String,
    /// The client's own name, where it told it. Nothing vouches for it.
    pub workstation: Option<String>,
    /// What became of the use.
    pub outcome: NtlmOutcome,
    /// Under Negotiate: the error of the mechanism before, which led to NTLM.
    pub kerberos_error: Option<String>,
    /// Why the acceptor refused the client.
    pub refusal: Option<String>,
    /// Whether the client runs on this host (the machine identifiers of both are the same; MS-NLMP
    /// section 2.2.2.2). Nothing rests on it.
    pub same_host: bool,
}

impl NtlmUse {
    pub(crate) fn new(direction: Direction, outcome: NtlmOutcome) -> Self {
        Self {
            direction,
            target: None,
            user: String::new(),
            domain: String::new(),
            workstation: None,
            outcome,
            kerberos_error: None,
            refusal: None,
            same_host: false,
        }
    }
}

/// Is told of each use of NTLM, for owners who want it in a log or a counter of their own.
pub trait NtlmObserver: Send + Sync {
    /// One use. It is called from within the handshake: an implementation returns soon.
    fn used(&self, event: &NtlmUse);
}

/// Tells one use: an INFO event where the policy allows it, else a warning.
pub(crate) fn tell(observer: Option<&dyn NtlmObserver>, event: &NtlmUse) {
    let target = event.target.as_deref().unwrap_or_default();
    let kerberos_error = event.kerberos_error.as_deref().unwrap_or_default();
    let refusal = event.refusal.as_deref().unwrap_or_default();
    let NtlmUse {
        direction,
        user,
        domain,
        outcome,
        ..
    } = event;
    macro_rules! told {
        ($level:ident) => {
            $level!(
                target: "trihound::ntlm",
                %direction, target, user, domain, %outcome, kerberos_error, error = refusal,
                "NTLM is used: {direction}, {outcome}"
            )
        };
    }
    if *outcome == NtlmOutcome::Allowed {
        told!(info);
    } else {
        told!(warn);
    }
    if let Some(observer) = observer {
        observer.used(event);
    }
}
