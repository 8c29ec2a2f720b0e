//! What weakens negotiation. Nothing here is reached by a default, an environment variable or a flag.

use crate::NegotiatePolicy;

/// Lets a mechanism other than the preferred one be chosen where its context has no integrity, so that
/// no mechListMIC can protect the choice (RFC 4178 section 5).
///
/// # Security
///
/// Whoever is on the way can then take the stronger mechanisms out of the list, and neither side
/// notices. It is for peers that cannot sign and offer several mechanisms.
#[must_use]
pub fn allow_unprotected_reselection(mut policy: NegotiatePolicy) -> NegotiatePolicy {
    policy.unprotected_reselection = true;
    policy
}
