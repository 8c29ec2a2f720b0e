//! What an owner may decide about negotiation. What weakens it is in [`crate::danger`].

use trihound_sspi::SecurityStatus as Status;

/// Whether an initiator goes on to another mechanism than its first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fallback {
    /// Only the preferred mechanism is used and offered: no fallback, and nothing else for an acceptor
    /// to choose.
    Never,
    /// The initiator falls back while no token of the preferred mechanism is on the wire, for the
    /// reasons in one table ([`NegotiatePolicy::falls_back`]). An acceptor may choose another offered
    /// mechanism, which counts with a verified mechListMIC only.
    #[default]
    BeforeFirstToken,
}

/// Whether an acceptor takes a mechanism's own first token, without SPNEGO around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RawTokens {
    /// It does, as Windows: browsers and curl send NTLM and Kerberos tokens as they are (MS-SPNG section
    /// 3.3.5).
    #[default]
    Accept,
    /// It refuses them.
    Refuse,
}

/// What negotiation may do. The default is what `docs/manual/negotiate.md` describes.
///
/// Which mechanisms there are is the table's matter, and whether one may be used (such as NTLM) is that
/// mechanism's own policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NegotiatePolicy {
    pub(crate) fallback: Fallback,
    pub(crate) raw_tokens: RawTokens,
    /// Set by [`crate::danger::allow_unprotected_reselection`] alone.
    pub(crate) unprotected_reselection: bool,
}

/// Failures of a first call that lead to the next mechanism: the mechanism cannot serve this target or
/// this caller, and no authority or peer has *refused* anything.
const NOT_SERVED: [Status; 12] = [
    // The service is unknown to the KDC, or the target is an address.
    Status::SEC_E_TARGET_UNKNOWN,
    // No KDC answers or is known: off the network, a workgroup.
    Status::SEC_E_NO_AUTHENTICATING_AUTHORITY,
    // Nobody is logged in, or not in a way that the mechanism can use.
    Status::SEC_E_NO_CREDENTIALS,
    Status::SEC_E_UNKNOWN_CREDENTIALS,
    Status::SEC_E_INCOMPLETE_CREDENTIALS,
    // No way to the service's realm.
    Status::SEC_E_MAX_REFERRALS_EXCEEDED,
    Status::SEC_E_KDC_UNABLE_TO_REFER,
    // The KDC and the account have no encryption type in common, or the account no key.
    Status::SEC_E_KDC_UNKNOWN_ETYPE,
    Status::SEC_E_NO_KERB_KEY,
    // The KDC asks for a pre-authentication that is not offered here.
    Status::SEC_E_UNSUPPORTED_PREAUTH,
    // The mechanism has no such side or no such shape of context.
    Status::SEC_E_UNSUPPORTED_FUNCTION,
    Status::SEC_E_NO_IP_ADDRESSES,
];

/// What may keep a credential from being acquired beside those: no network was asked then and nothing shown
/// to anybody, so that SEC_E_LOGON_DENIED is the mechanism's own policy, which keeps it out, and the others
/// say that it cannot read such a name, as Kerberos without a realm.
const NOT_ACQUIRED: [Status; 3] = [
    Status::SEC_E_LOGON_DENIED,
    Status::SEC_E_INVALID_PARAMETER,
    Status::SEC_E_INVALID_UPN_NAME,
];

impl NegotiatePolicy {
    /// Whether an initiator may use another mechanism than its first.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Whether an acceptor takes tokens without SPNEGO around them.
    #[must_use]
    pub fn with_raw_tokens(mut self, raw_tokens: RawTokens) -> Self {
        self.raw_tokens = raw_tokens;
        self
    }

    /// Whether an initiator may use another mechanism than its first.
    #[must_use]
    pub fn fallback(&self) -> Fallback {
        self.fallback
    }

    /// Whether an acceptor takes tokens without SPNEGO around them.
    #[must_use]
    pub fn raw_tokens(&self) -> RawTokens {
        self.raw_tokens
    }

    /// Whether a first call that failed with `status` leads to the next mechanism.
    ///
    /// It does where the mechanism *cannot serve* this target or caller: SEC_E_TARGET_UNKNOWN,
    /// SEC_E_NO_AUTHENTICATING_AUTHORITY, SEC_E_NO_CREDENTIALS and their like. It never does where
    /// somebody *refused* (SEC_E_LOGON_DENIED of a wrong password) or where something was wrong with a
    /// proof (SEC_E_MUTUAL_AUTH_FAILED, SEC_E_WRONG_PRINCIPAL, SEC_E_MESSAGE_ALTERED,
    /// SEC_E_DOWNGRADE_DETECTED, SEC_E_TIME_SKEW): conformance row 173.
    #[must_use]
    pub fn falls_back(&self, status: Status) -> bool {
        self.fallback == Fallback::BeforeFirstToken && NOT_SERVED.contains(&status)
    }

    /// Whether a mechanism whose credential could not be acquired may be left out.
    pub(crate) fn goes_without(&self, status: Status) -> bool {
        self.falls_back(status)
            || self.fallback == Fallback::BeforeFirstToken && NOT_ACQUIRED.contains(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Conformance row 173: each status by name, so that none slips in.
    #[test]
    fn refusals_and_failed_proofs_never_lead_to_a_fallback() {
        let policy = NegotiatePolicy::default();
        let never = Status::ALL
            .iter()
            .filter(|status| !NOT_SERVED.contains(status));
        for status in never {
            assert!(!policy.falls_back(*status), "{status}");
        }
        for status in [
            Status::SEC_E_LOGON_DENIED,
            Status::SEC_E_MUTUAL_AUTH_FAILED,
            Status::SEC_E_WRONG_PRINCIPAL,
            Status::SEC_E_MESSAGE_ALTERED,
            Status::SEC_E_DOWNGRADE_DETECTED,
            Status::SEC_E_TIME_SKEW,
            Status::SEC_E_INVALID_TOKEN,
            Status::SEC_E_BUFFER_TOO_SMALL,
        ] {
            assert!(!policy.falls_back(status), "{status}");
        }
    }

    #[test]
    fn what_cannot_be_served_leads_to_a_fallback_where_policy_allows() {
        let never = NegotiatePolicy::default().with_fallback(Fallback::Never);
        for status in NOT_SERVED {
            assert!(NegotiatePolicy::default().falls_back(status), "{status}");
            assert!(!never.falls_back(status), "{status}");
            assert!(!never.goes_without(status), "{status}");
        }
        for status in NOT_ACQUIRED {
            assert!(NegotiatePolicy::default().goes_without(status), "{status}");
            assert!(!never.goes_without(status), "{status}");
        }
        assert!(!NegotiatePolicy::default().goes_without(Status::SEC_E_INTERNAL_ERROR));
    }
}
