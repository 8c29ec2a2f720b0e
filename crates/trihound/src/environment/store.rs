use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use trihound_krb5::{
    Config, CredentialCache, CredentialStore, Credentials, Keytab, MemoryStore, Principal,
    StoreError,
};
use trihound_sansio::Timestamp;

use super::files::{read_secret, write_atomically};
use super::keytab::NamedKeytab;
use super::names::{CacheName, KeytabName, NameError};

/// The tickets and keys of the user whom the process runs for, where MIT's programs have them.
///
/// Files are read when they are first needed and again when they have changed, never once per
/// context. Tickets of the cache's own principal are written back; those of others stay in memory.
#[derive(Debug)]
pub struct FileStore {
    cache: Option<Cached<CredentialCache>>,
    keytab: NamedKeytab,
    client_keytab: NamedKeytab,
    /// Tickets that belong in no file: of a MEMORY cache, or of other principals.
    memory: MemoryStore,
    changing: Mutex<()>,
}

/// A file's content as it was parsed, with what told its version.
#[derive(Debug)]
struct Cached<T> {
    path: PathBuf,
    content: Mutex<Option<(FileVersion, Arc<T>)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileVersion {
    length: u64,
    modified: Option<SystemTime>,
    /// A renamed-over file may have the same length and, on a coarse clock, the same time.
    inode: u64,
}

impl FileVersion {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            inode,
        })
    }
}

impl<T> Cached<T> {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            content: Mutex::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(FileVersion, Arc<T>)>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content as it is now; `None` when there is no file.
    fn get<E: std::fmt::Display>(
        &self,
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<Arc<T>>, StoreError> {
        let mut content = self.lock();
        let Some(version) = FileVersion::of(&self.path) else {
            *content = None;
            return Ok(None);
        };
        if let Some((held, parsed)) = &*content
            && *held == version
        {
            return Ok(Some(Arc::clone(parsed)));
        }
        // Read after its version was taken: a change between the two is seen at the next call.
        let bytes = read_secret(&self.path).map_err(|error| self.unusable(&error))?;
        let parsed = Arc::new(parse(bytes.expose()).map_err(|error| self.unusable(&error))?);
        *content = Some((version, Arc::clone(&parsed)));
        Ok(Some(parsed))
    }

    fn unusable(&self, reason: &dyn std::fmt::Display) -> StoreError {
        StoreError::Unusable {
            place: format!("FILE:{}", self.path.display()),
            reason: reason.to_string(),
        }
    }
}

impl FileStore {
    /// The store that the environment names: KRB5CCNAME, KRB5_KTNAME and KRB5_CLIENT_KTNAME, then
    /// krb5.conf, then MIT's defaults.
    ///
    /// # Errors
    ///
    /// [`NameError`] for a cache or keytab of a type that is not served.
    pub fn from_environment(config: &Config) -> Result<Self, NameError> {
        Ok(Self::new(
            CacheName::from_environment(config)?,
            KeytabName::from_environment(config)?,
            KeytabName::client_from_environment(config)?,
        ))
    }

    /// A store over the given places.
    #[must_use]
    pub fn new(
        cache: CacheName,
        keytab: impl Into<KeytabName>,
        client_keytab: impl Into<KeytabName>,
    ) -> Self {
        Self {
            cache: match cache {
                CacheName::File(path) => Some(Cached::new(path)),
                // Those that are no file are opened by name elsewhere.
                _ => None,
            },
            keytab: NamedKeytab::open(keytab.into()),
            client_keytab: NamedKeytab::open(client_keytab.into()),
            memory: MemoryStore::new(),
            changing: Mutex::new(()),
        }
    }

    fn cache(&self) -> Result<Option<Arc<CredentialCache>>, StoreError> {
        match &self.cache {
            Some(file) => file.get(CredentialCache::parse),
            None => Ok(None),
        }
    }

    /// Changes the cache file as it is now, and writes it back whole.
    fn change(
        &self,
        client: &Principal,
        change: impl FnOnce(&mut CredentialCache),
    ) -> Result<bool, StoreError> {
        let Some(file) = &self.cache else {
            return Ok(false);
        };
        // One writer at a time, and what it changes is what is in the file at that time.
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if FileVersion::of(&file.path).is_none() {
            return Ok(false);
        }
        #[cfg(unix)]
        let _lock = super::files::lock(&file.path).map_err(|error| file.unusable(&error))?;
        let bytes = read_secret(&file.path).map_err(|error| file.unusable(&error))?;
        let mut changed =
            CredentialCache::parse(bytes.expose()).map_err(|error| file.unusable(&error))?;
        if changed.principal != *client {
            return Ok(false);
        }
        change(&mut changed);
        let bytes = changed.to_bytes().map_err(|error| file.unusable(&error))?;
        write_atomically(&file.path, bytes.expose()).map_err(|error| file.unusable(&error))?;
        Ok(true)
    }
}

impl CredentialStore for FileStore {
    fn default_principal(&self) -> Result<Option<Principal>, StoreError> {
        match self.cache()? {
            Some(cache) => Ok(Some(cache.principal.clone())),
            None => self.memory.default_principal(),
        }
    }

    fn find(
        &self,
        client: &Principal,
        server: &Principal,
        now: Timestamp,
    ) -> Result<Option<Arc<Credentials>>, StoreError> {
        if let Some(cache) = self.cache()?
            && let Some(found) = cache.find(client, server, now)
        {
            return Ok(Some(Arc::clone(found)));
        }
        self.memory.find(client, server, now)
    }

    fn tickets(&self, client: &Principal) -> Result<Vec<Arc<Credentials>>, StoreError> {
        let mut tickets = self.memory.tickets(client)?;
        if let Some(cache) = self.cache()? {
            tickets.extend(
                cache
                    .credentials
                    .iter()
                    .filter(|credentials| credentials.client == *client)
                    .cloned(),
            );
        }
        Ok(tickets)
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        let written = self.change(&credentials.client, |cache| {
            cache.store(Arc::clone(credentials));
        });
        match written {
            Ok(true) => Ok(()),
            // A ticket that cannot be written (a read-only directory) still serves this process.
            Ok(false) | Err(_) => self.memory.store(credentials),
        }
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<(), StoreError> {
        self.memory.remove(client, server)?;
        self.change(client, |cache| {
            cache.remove(client, server);
        })
        .map(|_| ())
    }

    fn time_offset(&self) -> Result<Option<i64>, StoreError> {
        match self.cache()? {
            Some(cache) if cache.time_offset.is_some() => Ok(cache.time_offset),
            _ => self.memory.time_offset(),
        }
    }

    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        self.memory.set_time_offset(microseconds)
    }

    fn keytab(&self) -> Result<Arc<Keytab>, StoreError> {
        self.keytab.serving()
    }

    fn client_keytab(&self) -> Result<Arc<Keytab>, StoreError> {
        self.client_keytab.read()
    }
}
