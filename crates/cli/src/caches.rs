use trihound::environment::ccache::{self, Cache, Collection};
use trihound::environment::{CacheName, KeytabName, NamedKeytab};
use trihound_krb5::{Config, CredentialCache, Principal};

use crate::outcome::Failure;

/// What `-c` names, else what the environment names.
pub(crate) fn choose(option: Option<&str>, config: &Config) -> Result<CacheName, Failure> {
    Ok(match option {
        Some(name) => CacheName::parse(name)?,
        None => CacheName::from_environment(config)?,
    })
}

pub(crate) fn open(name: &CacheName, config: &Config) -> Result<Box<dyn Cache>, Failure> {
    Ok(ccache::open(name, config)?)
}

/// The collection that a cache is in.
pub(crate) fn collection(
    name: &CacheName,
    config: &Config,
) -> Result<Box<dyn Collection>, Failure> {
    Ok(ccache::collection(name, config)?)
}

/// The content of a cache; without one, the words of MIT's tools, which scripts look for.
pub(crate) fn read(cache: &dyn Cache) -> Result<CredentialCache, Failure> {
    cache.read()?.ok_or_else(|| {
        Failure::new(format!(
            "No credentials cache found ({}); log in with kinit, or name another cache (-c, KRB5CCNAME)",
            cache.name()
        ))
    })
}

/// The cache of a collection whose client is `principal`.
pub(crate) fn of_principal(
    name: &CacheName,
    config: &Config,
    principal: &Principal,
) -> Result<CacheName, Failure> {
    let collection = collection(name, config)?;
    ccache::find_by_principal(&*collection, config, principal)?.ok_or_else(|| {
        Failure::new(format!(
            "Matching credential not found: no cache of the collection of {name} is {principal}'s; \
             `klist -l` lists them"
        ))
    })
}

/// The keytab that `-t` names, else what the environment names.
pub(crate) fn keytab(option: Option<&str>, config: &Config) -> Result<NamedKeytab, Failure> {
    Ok(NamedKeytab::open(match option {
        Some(name) => KeytabName::parse(name)?,
        None => KeytabName::from_environment(config)?,
    }))
}

/// The client keytab that the environment names.
pub(crate) fn client_keytab(config: &Config) -> Result<NamedKeytab, Failure> {
    Ok(NamedKeytab::open(KeytabName::client_from_environment(
        config,
    )?))
}
