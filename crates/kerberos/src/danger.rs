//! What weakens the package. Nothing outside of this module does.
//!
//! Weak enctypes are a matter of the configuration's `permitted_enctypes`: see
//! [`trihound_crypto::danger`].

use trihound_krb5::{ReplayCache, ReplayEntry, ReplayError};
use trihound_sansio::Timestamp;

pub use trihound_krb5::ap::danger::take_plain_credentials;

use crate::DelegationPolicy;

/// A replay cache that remembers nothing.
///
/// # Security
///
/// Whoever records an AP-REQ can present it again for as long as its authenticator is fresh. Where
/// mutual authentication is always asked for, and nothing is done before the context's first
/// message verifies, a replay gains nothing: the replayer has no key. Nowhere else.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReplayCache;

impl ReplayCache for NoReplayCache {
    fn check_and_store(&self, _entry: &ReplayEntry, _now: Timestamp) -> Result<(), ReplayError> {
        Ok(())
    }
}

/// Forwards the client's ticket-granting ticket to every service that DELEGATE is asked for, whether or
/// not its realm trusts it (OK-AS-DELEGATE). `enforce_ok_as_delegate` in krb5.conf goes first.
///
/// # Security
///
/// Whoever has the ticket acts as the client towards every service of the realm until it ends: a
/// service that was taken over, too, and one whose administrator is not to be trusted so far.
#[must_use]
pub const fn delegate_to_any_service() -> DelegationPolicy {
    DelegationPolicy::to_anyone()
}

/// Forwards the client's ticket-granting ticket to these services, named as their tickets name them
/// (`HTTP/web.example.com@EXAMPLE.COM`, or without a realm to mean any), besides those that their realm
/// trusts. `enforce_ok_as_delegate` in krb5.conf goes first.
///
/// # Security
///
/// As [`delegate_to_any_service`], for these services.
#[must_use]
pub fn delegate_to<S: Into<String>>(services: impl IntoIterator<Item = S>) -> DelegationPolicy {
    DelegationPolicy::to_named(services.into_iter().map(Into::into).collect())
}
