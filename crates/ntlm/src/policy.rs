//! Whether NTLM may be used at all, and how strictly a client is checked.

use std::borrow::Cow;
use std::time::Duration;

use trihound_sspi::ServicePrincipalName;

/// The largest difference between a client's time and the acceptor's, unless the policy says
/// otherwise: 36 hours, the MaxLifetime of today's Windows (MS-NLMP section 3.1.1.1, appendix A).
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(36 * 60 * 60);

/// Whether NTLM may be used in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NtlmRule {
    /// Never: the default.
    #[default]
    Deny,
    /// Always, and each use is a warning.
    Audit,
    /// Always.
    Allow,
    /// Towards these targets only; a context with any other is denied.
    AllowTargets(TargetList),
}

/// The hosts of service principal names towards which NTLM may be used: MS-NLMP's
/// ClientBlockExceptions.
///
/// An entry is a host name, compared without regard to ASCII case. `*.example.com` is every host
/// below `example.com`, and not that name itself: what stands for the `*` has letters, digits, `-`, `_`
/// and `.` only. `*` is every host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetList(Vec<String>);

impl TargetList {
    /// A list of these entries.
    #[must_use]
    pub fn new<I>(entries: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self(entries.into_iter().map(Into::into).collect())
    }

    /// The entries, in their order.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        &self.0
    }

    /// Whether the host of a target name is on the list. A target that is no service principal name
    /// is compared as a host; one with marshalled target information names another host than it says, and
    /// is on no list.
    #[must_use]
    pub fn allows(&self, target: &str) -> bool {
        if ServicePrincipalName::carries_target_information(target) {
            return false;
        }
        let host = match ServicePrincipalName::parse(target) {
            Ok(name) => Cow::Owned(name.host),
            Err(_) => Cow::Borrowed(target),
        };
        self.0.iter().any(|entry| matches_host(entry, &host))
    }
}

fn matches_host(entry: &str, host: &str) -> bool {
    let Some(suffix) = entry.strip_prefix('*') else {
        return entry.eq_ignore_ascii_case(host);
    };
    let Some(cut) = host.len().checked_sub(suffix.len()) else {
        return false;
    };
    let Some((head, tail)) = host.split_at_checked(cut) else {
        return false;
    };
    // Of `evil.test/x/y.example.com` or `evil.test?.example.com` the host is whatever others read in it.
    let is_label = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    suffix.is_empty()
        || (tail.eq_ignore_ascii_case(suffix) && !head.is_empty() && head.chars().all(is_label))
}

/// What a rule says of one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Audit,
    Deny,
}

impl NtlmRule {
    /// What the rule says, for a context with `target`.
    pub(crate) fn judge(&self, target: Option<&str>) -> Verdict {
        match self {
            Self::Deny => Verdict::Deny,
            Self::Audit => Verdict::Audit,
            Self::Allow => Verdict::Allow,
            Self::AllowTargets(list) => match target {
                Some(target) if list.allows(target) => Verdict::Allow,
                _ => Verdict::Deny,
            },
        }
    }

    /// Whether there is any use that the rule permits.
    #[must_use]
    pub fn permits_any(&self) -> bool {
        match self {
            Self::Deny => false,
            Self::Audit | Self::Allow => true,
            Self::AllowTargets(list) => !list.0.is_empty(),
        }
    }
}

/// How much of a protection a client has to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// It is not looked at.
    Off,
    /// It has to be right where the client sends it: the default. An old client that knows nothing of
    /// it is let in; one that knows it and leaves it empty is not.
    #[default]
    WhenSupported,
    /// It has to be there and right.
    Always,
}

/// Of which clients a MIC over the three messages is demanded. Where a client promised one, it is
/// checked in any case (MS-NLMP section 3.2.5.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MicRequirement {
    /// Of those who promised it.
    WhenPromised,
    /// Of those too who want to sign or seal: the default. A client that only logs in, as curl does
    /// over HTTP, may do without.
    #[default]
    WithProtection,
    /// Of all.
    Always,
}

/// What may be done with NTLM, for a whole table or for one credential.
///
/// The default denies both directions: NTLM is used where its owner said so, and nowhere else. What
/// is stricter than the default is set here; what weakens NTLM itself is in [`crate::danger`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NtlmPolicy {
    pub(crate) outgoing: NtlmRule,
    pub(crate) incoming: NtlmRule,
    pub(crate) channel_bindings: Requirement,
    pub(crate) target_name: Requirement,
    pub(crate) mic: MicRequirement,
    pub(crate) max_age: Duration,
    pub(crate) send_v1: bool,
    pub(crate) accept_v1: bool,
    pub(crate) guests: bool,
}

impl Default for NtlmPolicy {
    fn default() -> Self {
        Self {
            outgoing: NtlmRule::Deny,
            incoming: NtlmRule::Deny,
            channel_bindings: Requirement::WhenSupported,
            target_name: Requirement::WhenSupported,
            mic: MicRequirement::WithProtection,
            max_age: DEFAULT_MAX_AGE,
            send_v1: false,
            accept_v1: false,
            guests: false,
        }
    }
}

impl NtlmPolicy {
    /// The default, with this rule for both directions.
    #[must_use]
    pub fn both(rule: NtlmRule) -> Self {
        Self::default().outgoing(rule.clone()).incoming(rule)
    }

    /// Sets the rule for initiators.
    #[must_use]
    pub fn outgoing(mut self, rule: NtlmRule) -> Self {
        self.outgoing = rule;
        self
    }

    /// Sets the rule for acceptors. They know no target, so a list of targets denies all.
    #[must_use]
    pub fn incoming(mut self, rule: NtlmRule) -> Self {
        self.incoming = rule;
        self
    }

    /// Sets how strictly an acceptor checks channel bindings, where its caller gives any.
    #[must_use]
    pub fn channel_bindings(mut self, requirement: Requirement) -> Self {
        self.channel_bindings = requirement;
        self
    }

    /// Sets how strictly an acceptor checks the target name that the client sends, where the
    /// configuration says which names are the acceptor's.
    #[must_use]
    pub fn target_name(mut self, requirement: Requirement) -> Self {
        self.target_name = requirement;
        self
    }

    /// Sets of which clients an acceptor demands a MIC.
    #[must_use]
    pub fn mic(mut self, requirement: MicRequirement) -> Self {
        self.mic = requirement;
        self
    }

    /// Sets how far a client's time may be from the acceptor's.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// The rule for initiators.
    #[must_use]
    pub fn outgoing_rule(&self) -> &NtlmRule {
        &self.outgoing
    }

    /// The rule for acceptors.
    #[must_use]
    pub fn incoming_rule(&self) -> &NtlmRule {
        &self.incoming
    }
}
