//! Credential caches of every type, and the collections that they are in.
//!
//! | type | a cache | its collection |
//! |---|---|---|
//! | `FILE:path` | one file, which MIT's programs and ours append to under one lock | itself alone |
//! | `DIR:directory` | the directory's primary one | all `tkt...` files of the directory |
//! | `DIR::directory/tktX` | that one | itself alone |
//! | `MEMORY:name` | lives as long as the process | all of the process |
//! | `KCM:`, `KCM:name` | held by the KCM daemon | all that it holds for this user |
//! | `KEYRING:...` | in keyrings of the Linux kernel | all in that keyring |
//!
//! API: (macOS) and MSLSA: (Windows) are not served; [`CacheName::parse`] says what to do instead.

mod directory;
mod file;
mod kcm;
mod keyring;
mod memory;
mod owner;

use std::fmt;
use std::sync::Arc;

use trihound_krb5::{Config, CredentialCache, Credentials, Principal, StoreError};

use super::names::{CacheName, DirName};

pub(super) use file::FileCache;

/// What tells one content of a cache from another, without reading it.
///
/// Two equal values mean that nothing has changed in between. There is no order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CacheVersion([u64; 5]);

impl CacheVersion {
    /// From whatever changes with the content: times, sizes, serial numbers.
    #[must_use]
    pub fn new(parts: [u64; 5]) -> Self {
        Self(parts)
    }
}

impl fmt::Debug for CacheVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheVersion")
    }
}

/// One credential cache of any type.
///
/// Nothing is open between two calls. Every method may be called from several threads and processes
/// at once, ours and those of other implementations.
pub trait Cache: Send + Sync + fmt::Debug {
    /// The cache's own name: for a name that stands for a collection, the one that it leads to.
    fn name(&self) -> &CacheName;

    /// A value that differs once the content may have changed; `None` where only reading tells, as
    /// when there is no cache.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`].
    fn version(&self) -> Result<Option<CacheVersion>, StoreError>;

    /// The content; `None` when there is no such cache.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when there is one and it cannot be read, or is damaged.
    fn read(&self) -> Result<Option<CredentialCache>, StoreError>;

    /// Whose cache it is; `None` when there is no such cache.
    ///
    /// # Errors
    ///
    /// Those of [`Self::read`].
    fn principal(&self) -> Result<Option<Principal>, StoreError> {
        Ok(self.read()?.map(|cache| cache.principal))
    }

    /// Puts a new content in the place of all that there was, if anything.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`], and the old content is as it was.
    fn initialize(&self, content: &CredentialCache) -> Result<(), StoreError>;

    /// Adds a ticket, in the place of one that it [replaces](CredentialCache::replaces).
    ///
    /// # Errors
    ///
    /// [`StoreError::NoCache`] when there is no such cache, else [`StoreError::Unusable`].
    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError>;

    /// Removes the tickets of `client` for `server` and tells how many there were.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`]. It is no error if there is no such cache.
    fn remove(&self, client: &Principal, server: &Principal) -> Result<usize, StoreError>;

    /// Sets a setting of the whole cache (`principal` absent) or of one service; `None` removes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoCache`] when there is no such cache, else [`StoreError::Unusable`].
    fn set_config(
        &self,
        key: &str,
        principal: Option<&Principal>,
        data: Option<&[u8]>,
    ) -> Result<(), StoreError>;

    /// Notes how far the KDC's clock is ahead of ours.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoCache`] when there is no such cache, else [`StoreError::Unusable`].
    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError>;

    /// Removes the cache and tells whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when it is still there.
    fn destroy(&self) -> Result<bool, StoreError>;
}

/// The caches of one collection. A name that stands for one cache alone has a collection of one.
pub trait Collection: Send + Sync + fmt::Debug {
    /// The caches that there are, the primary one first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when the collection cannot be read.
    fn list(&self) -> Result<Vec<CacheName>, StoreError>;

    /// The cache that the collection's name leads to at present, whether or not it has a content;
    /// `None` if it leads to none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when the collection cannot be read.
    fn primary(&self) -> Result<Option<CacheName>, StoreError>;

    /// Makes a cache the primary one.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoCache`] when it is none of the collection, [`StoreError::Unusable`] when the
    /// type knows no primary cache or it cannot be noted.
    fn switch_to(&self, name: &CacheName) -> Result<(), StoreError>;

    /// A name that no cache of the collection has; nothing is written yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`] when the collection is of one cache alone.
    fn create(&self) -> Result<CacheName, StoreError>;

    /// Whether the type knows a primary cache: FILE and MEMORY do not.
    fn can_switch(&self) -> bool;
}

/// Opens the cache that a name leads to. Nothing is written, and there need not be one yet.
///
/// # Errors
///
/// [`StoreError::Unusable`] when the name makes no sense, or nobody answers for it.
pub fn open(name: &CacheName, config: &Config) -> Result<Box<dyn Cache>, StoreError> {
    let chosen = chosen(name, config);
    Ok(match name {
        CacheName::File(path) => Box::new(FileCache::chosen(path.clone(), chosen)),
        CacheName::Memory(name) => Box::new(memory::MemoryCache::new(name)),
        CacheName::Dir(name) => Box::new(directory::open(name, chosen)?),
        CacheName::Kcm(residual) => kcm::open(residual, config)?,
        CacheName::Keyring(residual) => keyring::open(residual)?,
    })
}

/// The collection that a name is in.
///
/// As with MIT krb5, a name that is of one cache (`FILE:`, `DIR::directory/tktX`, `KCM:name`) has a
/// collection of that one, so that nothing happens to others that were not meant; but
/// [`Collection::switch_to`] makes it the primary one among its neighbours.
///
/// # Errors
///
/// Those of [`open`].
pub fn collection(name: &CacheName, config: &Config) -> Result<Box<dyn Collection>, StoreError> {
    Ok(match name {
        CacheName::File(path) => Box::new(file::FileCollection::new(path.clone())),
        CacheName::Memory(name) => Box::new(memory::MemoryCollection::new(name)),
        CacheName::Dir(name) => Box::new(directory::DirCollection::new(
            name.clone(),
            chosen(&CacheName::Dir(name.clone()), config),
        )),
        CacheName::Kcm(residual) => kcm::collection(residual, config)?,
        CacheName::Keyring(residual) => keyring::collection(residual)?,
    })
}

/// Whether a name is one that everybody can foresee: what it is named by does not matter then.
fn chosen(name: &CacheName, config: &Config) -> owner::Chosen {
    match (name, CacheName::by_default(config)) {
        (CacheName::File(path), Ok(CacheName::File(default))) if *path == default => {
            owner::Chosen::ByDefault
        }
        (CacheName::Dir(dir), Ok(CacheName::Dir(default)))
            if dir.directory == default.directory =>
        {
            owner::Chosen::ByDefault
        }
        _ => owner::Chosen::ByUser,
    }
}

/// The first cache of a collection whose client is `principal`. Caches that cannot be read are
/// passed over: one broken file must not hide the others.
///
/// # Errors
///
/// [`StoreError::Unusable`] when the collection cannot be read.
pub fn find_by_principal(
    collection: &dyn Collection,
    config: &Config,
    principal: &Principal,
) -> Result<Option<CacheName>, StoreError> {
    for name in collection.list()? {
        match open(&name, config).and_then(|cache| cache.principal()) {
            Ok(Some(found)) if found == *principal => return Ok(Some(name)),
            Ok(_) => {}
            Err(error) => tracing::debug!(
                cache = %name,
                %error,
                "this cache of the collection is passed over"
            ),
        }
    }
    Ok(None)
}

/// The cache that a login of `principal` belongs in, when `name` is the default one: in a collection
/// the one that is the principal's already, else the primary one if it is nobody's, else a new one.
/// A name of one cache is taken as it is. This is what MIT's `kinit` does without `-c`.
///
/// Whoever has filled the cache makes it the primary one with [`Collection::switch_to`], if the
/// collection [can](Collection::can_switch).
///
/// # Errors
///
/// [`StoreError::Unusable`] when the collection cannot be read.
pub fn for_login(
    name: &CacheName,
    config: &Config,
    principal: &Principal,
) -> Result<CacheName, StoreError> {
    let default = open(name, config)?;
    // A name that leads to itself is no collection's.
    if default.name() == name {
        return Ok(name.clone());
    }
    let collection = collection(name, config)?;
    if let Some(found) = find_by_principal(collection.as_ref(), config, principal)? {
        return Ok(found);
    }
    match default.principal() {
        Ok(Some(_)) => collection.create(),
        // What is damaged helps nobody.
        Ok(None) | Err(_) => Ok(default.name().clone()),
    }
}

/// As [`StoreError::Unusable`] with a cache's name.
fn unusable(name: &CacheName, reason: impl fmt::Display) -> StoreError {
    StoreError::Unusable {
        place: name.to_string(),
        reason: reason.to_string(),
    }
}

fn no_cache(name: &CacheName) -> StoreError {
    StoreError::NoCache {
        reason: format!("there is no {name}"),
    }
}

/// A collection of one cache, of a type that has no primary one.
fn cannot_switch(name: &CacheName) -> StoreError {
    unusable(
        name,
        "caches of this type have no primary one; name the cache with KRB5CCNAME",
    )
}

/// Six characters that nobody guesses, as `mkstemp` has them.
fn random_suffix(name: &CacheName) -> Result<String, StoreError> {
    use trihound_sansio::RandomSource;
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyzABCDEFGH";
    let mut bytes = [0; 6];
    trihound_crypto::OsRandom
        .fill(&mut bytes)
        .map_err(|error| unusable(name, error))?;
    let letters = bytes.iter().map(|byte| usize::from(byte % 32));
    Ok(letters
        .filter_map(|index| ALPHABET.get(index))
        .map(|letter| char::from(*letter))
        .collect())
}
