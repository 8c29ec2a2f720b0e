//! The machine as Kerberos programs know it: krb5.conf, credential caches, keytabs, and the
//! variables KRB5_CONFIG, KRB5CCNAME, KRB5_KTNAME and KRB5_CLIENT_KTNAME; and what NTLM takes of it:
//! TRIHOUND_NTLM, NTLM_USER_FILE and NTLM_HASH_FILE.
//!
//! Nothing below this crate opens a file or reads a variable; a program that wants neither builds its
//! [`trihound_kerberos::Kerberos`] from values and leaves this module alone.

mod account;
pub mod ccache;
mod context_key;
mod files;
mod keytab;
mod load;
mod lock;
mod names;
mod ntlm;
mod ntlm_change;
mod opener;
mod privilege;
mod store;
mod trace;
mod values;

use std::path::Path;

use trihound_krb5::{CredentialCache, Keytab, StoreError};

use ccache::{Cache, FileCache};

pub use account::{LocalAccountError, LocalAccounts};
pub use context_key::{ContextKeyError, context_keys};
pub use files::FileProfileSource;
pub use keytab::NamedKeytab;
pub use load::{ConfigurationError, load_config, load_config_from, local_addresses};
pub use names::{
    CacheName, DirName, KeytabName, NameError, default_client_keytab_path, default_keytab_path,
    keytab_path,
};
pub(crate) use ntlm::equip;
pub use ntlm::{
    NamedNtlmAccounts, NtlmAccountFiles, NtlmEnvironmentError, ntlm_config, ntlm_config_under,
    ntlm_policy,
};
pub use opener::NamedStores;
pub use privilege::is_privileged;
pub use store::UserStore;
pub use trace::{TraceWriter, install_trace};
pub use values::user_name;

/// Reads a keytab file.
///
/// # Errors
///
/// [`StoreError::NoKeytab`] when there is no such file, [`StoreError::Unusable`] when it is damaged.
pub fn read_keytab(path: &Path) -> Result<Keytab, StoreError> {
    keytab::read_file(path)
}

/// Reads a credential cache file.
///
/// # Errors
///
/// [`StoreError::NoCache`] when there is no such file, [`StoreError::Unusable`] when it is damaged.
pub fn read_cache(path: &Path) -> Result<CredentialCache, StoreError> {
    FileCache::new(path.to_owned())
        .read()?
        .ok_or_else(|| no_file(path))
}

/// Writes a credential cache file, whole or not at all, readable by its owner only.
///
/// # Errors
///
/// [`StoreError::Unusable`], and the old file is as it was.
pub fn write_cache(path: &Path, cache: &CredentialCache) -> Result<(), StoreError> {
    FileCache::new(path.to_owned()).initialize(cache)
}

/// Writes a keytab file, whole or not at all, readable by its owner only.
///
/// # Errors
///
/// [`StoreError::Unusable`], and the old file is as it was.
pub fn write_keytab(path: &Path, keytab: &Keytab) -> Result<(), StoreError> {
    keytab::write_file(path, keytab)
}

/// Overwrites a file with zeros and removes it, as `kdestroy` does.
///
/// # Errors
///
/// [`StoreError::NoCache`] when there is no such file, [`StoreError::Unusable`] when it resists.
pub fn destroy_cache(path: &Path) -> Result<(), StoreError> {
    match FileCache::new(path.to_owned()).destroy()? {
        true => Ok(()),
        false => Err(no_file(path)),
    }
}

fn no_file(path: &Path) -> StoreError {
    StoreError::NoCache {
        reason: format!("there is no file {}", names::shown(path)),
    }
}
