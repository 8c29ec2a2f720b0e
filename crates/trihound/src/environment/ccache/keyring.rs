//! Caches in the keyrings of the Linux kernel.

use trihound_krb5::StoreError;

#[cfg(not(target_os = "linux"))]
use super::unusable;
use super::{Cache, CacheName, Collection};

#[cfg(target_os = "linux")]
mod cache;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(all(test, target_os = "linux"))]
mod tests;

/// Opens a cache; a collection's name leads to its primary cache at this time.
#[cfg(target_os = "linux")]
pub(super) fn open(residual: &str) -> Result<Box<dyn Cache>, StoreError> {
    Ok(Box::new(cache::KeyringCache::open(residual)?))
}

/// All caches of a collection; with the name of a cache, that one alone.
#[cfg(target_os = "linux")]
pub(super) fn collection(residual: &str) -> Result<Box<dyn Collection>, StoreError> {
    Ok(Box::new(cache::KeyringCollection::new(residual)?))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open(residual: &str) -> Result<Box<dyn Cache>, StoreError> {
    Err(no_keyrings(residual))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn collection(residual: &str) -> Result<Box<dyn Collection>, StoreError> {
    Err(no_keyrings(residual))
}

#[cfg(not(target_os = "linux"))]
fn no_keyrings(residual: &str) -> StoreError {
    unusable(
        &CacheName::Keyring(residual.to_owned()),
        "only the Linux kernel has keyrings; use FILE: or DIR: (KRB5CCNAME, default_ccache_name)",
    )
}

#[cfg(target_os = "linux")]
fn cache_name(name: &trihound_krb5::ccache::keyring::KeyringName) -> CacheName {
    CacheName::Keyring(name.to_string())
}
