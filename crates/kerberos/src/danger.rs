//! What weakens the package. Nothing outside of this module does.
//!
//! Weak enctypes are a matter of the configuration's `permitted_enctypes`: see
//! [`trihound_crypto::danger`].

use trihound_krb5::{ReplayCache, ReplayEntry, ReplayError};
use trihound_sansio::Timestamp;

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
