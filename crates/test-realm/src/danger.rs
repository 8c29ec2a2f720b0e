//! What makes a realm weaker than it should be.

use trihound_crypto::{Enctype, EnctypePolicy};

/// A realm's enctypes with weak ones among them, such as rc4-hmac, in this order.
///
/// # Security
///
/// RC4's keys are a password's MD4 without salt or iterations (RFC 4757 section 2), and RFC 8429
/// says not to use it. For tests of peers that still do.
#[must_use]
pub fn enctypes(base: EnctypePolicy, weak: &[Enctype]) -> EnctypePolicy {
    trihound_crypto::danger::permit_weak_enctypes(base, weak)
}

/// A realm in which iteration counts below the usual minimum are used when asked for.
#[must_use]
pub fn weak_iteration_counts(base: EnctypePolicy) -> EnctypePolicy {
    trihound_crypto::danger::permit_weak_iteration_counts(base)
}
