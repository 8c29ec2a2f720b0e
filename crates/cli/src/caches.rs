use std::sync::Arc;

use trihound::environment::ccache::{self, Cache, Collection};
use trihound::environment::{CacheName, KeytabName, NamedKeytab};
use trihound_krb5::{Config, CredentialCache, Keytab, Principal, StoreError};

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

/// The content of a cache that was opened as `chosen`, which may be the name of its collection; without one,
/// the words of MIT's tools, which scripts look for.
pub(crate) fn read(
    cache: &dyn Cache,
    chosen: &CacheName,
    config: &Config,
) -> Result<CredentialCache, Failure> {
    if let Some(content) = cache.read()? {
        return Ok(content);
    }
    let name = cache.name();
    // One that cannot be listed has nothing to offer.
    let has_others = collection(chosen, config)
        .and_then(|collection| Ok(collection.list()?))
        .is_ok_and(|others| !others.is_empty());
    let advice = if has_others {
        "its collection has other caches: `klist -l` lists them, and `kswitch -p PRINCIPAL` makes one the primary; \
         or log in with kinit"
    } else {
        "log in with kinit, or name another cache (-c, KRB5CCNAME)"
    };
    Err(Failure::new(format!(
        "No credentials cache found ({name}); {advice}"
    )))
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

/// The content of a keytab, which the person has named with `option` or left to the environment.
pub(crate) fn read_keytab(
    keytab: &NamedKeytab,
    option: Option<&str>,
) -> Result<Arc<Keytab>, Failure> {
    keytab.read().map_err(|error| match (error, option) {
        (StoreError::NoKeytab { reason }, Some(option)) => {
            Failure::new(format!("no keytab: {reason}; check the name ({option})"))
        }
        (error, _) => Failure::from(error),
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
