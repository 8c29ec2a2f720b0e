use std::path::PathBuf;

use trihound::environment::{self, load_config};
use trihound_krb5::{Config, CredentialCache, StoreError};

use crate::outcome::Failure;

/// The cache that a tool works on: a file, since a MEMORY cache would end with the tool.
#[derive(Debug)]
pub(crate) struct CacheFile(PathBuf);

impl CacheFile {
    /// What `-c` names, else what the environment names.
    pub(crate) fn choose(option: Option<&str>) -> Result<Self, Failure> {
        let name = match option {
            Some(name) => environment::CacheName::parse(name)?,
            None => environment::CacheName::from_environment(&load_config()?)?,
        };
        match name {
            environment::CacheName::File(path) => Ok(Self(path)),
            other @ (environment::CacheName::Dir(_)
            | environment::CacheName::Kcm(_)
            | environment::CacheName::Keyring(_)) => Err(Failure::new(format!(
                "{other}: a cache of this type cannot be used here; use FILE:/path (-c or KRB5CCNAME)"
            ))),
            memory @ environment::CacheName::Memory(_) => Err(Failure::new(format!(
                "{memory} would be gone when this program ends; use FILE:/path (-c or KRB5CCNAME)"
            ))),
        }
    }

    pub(crate) fn read(&self) -> Result<CredentialCache, Failure> {
        Ok(environment::read_cache(&self.0)?)
    }

    pub(crate) fn write(&self, cache: &CredentialCache) -> Result<(), Failure> {
        Ok(environment::write_cache(&self.0, cache)?)
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Whether there was a cache to destroy.
    pub(crate) fn destroy(&self) -> Result<bool, Failure> {
        match environment::destroy_cache(&self.0) {
            Ok(()) => Ok(true),
            Err(StoreError::NoCache { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl std::fmt::Display for CacheFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FILE:{}", self.0.display())
    }
}

/// The keytab that `-t` names, else what the environment names.
pub(crate) fn keytab_path(option: Option<&str>, config: &Config) -> Result<PathBuf, Failure> {
    Ok(match option {
        Some(name) => environment::keytab_path(name)?,
        None => environment::default_keytab_path(config)?,
    })
}
