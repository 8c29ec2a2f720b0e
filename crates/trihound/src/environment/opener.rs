use std::sync::Arc;

use trihound_krb5::{Config, CredentialStore, StoreError, StoreOpener, StorePlaces};

use super::names::{CacheName, KeytabName, NameError};
use super::store::UserStore;

/// Opens the credential caches and keytabs that a credential's settings name
/// ([`trihound_kerberos::KerberosConfig::stores`]). What is not named is the environment's.
///
/// The settings are the program's own, so they hold also where the variables of the environment are not
/// followed since the program has more rights than its user.
#[derive(Clone, Debug)]
pub struct NamedStores {
    config: Arc<Config>,
}

impl NamedStores {
    /// With the configuration that has the defaults, and where the daemon of KCM caches is.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }
}

fn name_error(error: &NameError) -> StoreError {
    StoreError::Name {
        reason: error.to_string(),
    }
}

impl StoreOpener for NamedStores {
    fn open(&self, places: &StorePlaces<'_>) -> Result<Arc<dyn CredentialStore>, StoreError> {
        let keytab = match places.keytab {
            Some(name) => KeytabName::parse(name),
            None => KeytabName::from_environment(&self.config),
        }
        .map_err(|error| name_error(&error))?;
        let client_keytab = match places.client_keytab {
            Some(name) => KeytabName::parse(name),
            None => KeytabName::client_from_environment(&self.config),
        }
        .map_err(|error| name_error(&error))?;
        let store = match places.cache {
            Some(name) => {
                let cache = CacheName::parse(name).map_err(|error| name_error(&error))?;
                UserStore::new(cache, keytab, client_keytab).making_cache()
            }
            // A cache that nobody named has no say in whether a keytab can be used.
            None => match CacheName::from_environment(&self.config) {
                Ok(cache) => UserStore::new(cache, keytab, client_keytab),
                Err(error) => {
                    tracing::debug!(%error, "Tickets stay in memory: {error}");
                    UserStore::without_cache(keytab, client_keytab)
                }
            },
        };
        Ok(Arc::new(store.with_config(Arc::clone(&self.config))))
    }
}
