use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trihound_krb5::ccache::{CacheFile, Patch};
use trihound_krb5::{CacheError, CredentialCache, Credentials, Principal, StoreError};

use super::owner::{self, Chosen};
use super::{
    Cache, CacheName, CacheVersion, Collection, cannot_switch, no_cache, random_suffix, unusable,
};
use crate::environment::files;
use crate::environment::lock::{LockMode, LockedFile};

/// A cache in a file of its own, or in one of a directory.
///
/// It comes into being whole, by being renamed to its name, and is then changed where it lies, under
/// the lock that MIT's programs take: what another program appends meanwhile stays.
#[derive(Debug)]
pub(crate) struct FileCache {
    name: CacheName,
    path: PathBuf,
    /// The collection's directory, which is made when it is first needed.
    directory: Option<PathBuf>,
    chosen: Chosen,
}

impl FileCache {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self::chosen(path, Chosen::ByUser)
    }

    pub(super) fn chosen(path: PathBuf, chosen: Chosen) -> Self {
        Self {
            name: CacheName::File(path.clone()),
            path,
            directory: None,
            chosen,
        }
    }

    pub(super) fn in_directory(
        name: CacheName,
        directory: &Path,
        file: &str,
        chosen: Chosen,
    ) -> Self {
        Self {
            name,
            path: directory.join(file),
            directory: Some(directory.to_owned()),
            chosen,
        }
    }

    fn unusable(&self, reason: impl std::fmt::Display) -> StoreError {
        unusable(&self.name, reason)
    }

    /// The file's content under its lock; `None` when there is no file, or a blank one.
    fn locked(&self, mode: LockMode) -> Result<Option<(LockedFile, CacheFile)>, StoreError> {
        let mut file = match LockedFile::open_with(&self.path, mode, || {
            owner::open(&self.path, mode, self.chosen)
        }) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(error)),
        };
        let bytes = file.read().map_err(|error| self.unusable(error))?;
        let content = CacheFile::parse(bytes.expose()).map_err(|error| self.unusable(error))?;
        let Some(content) = content else {
            return Ok(None);
        };
        if mode == LockMode::Shared {
            owner::warn_if_open_to_others(&self.name, file.file());
        }
        if content.cut() > 0 {
            tracing::warn!(
                cache = %self.name,
                bytes = content.cut(),
                "the last ticket of the cache is cut short and left away; a program was stopped \
                 while it wrote"
            );
        }
        Ok(Some((file, content)))
    }

    /// Changes the file where it lies; tells how many patches there were.
    fn change(
        &self,
        change: impl FnOnce(&CacheFile) -> Result<Vec<Patch>, CacheError>,
    ) -> Result<usize, StoreError> {
        let Some((mut file, content)) = self.locked(LockMode::Exclusive)? else {
            return Err(no_cache(&self.name));
        };
        let patches = change(&content).map_err(|error| self.unusable(error))?;
        write_patches(&mut file, &content, &patches).map_err(|error| self.unusable(error))?;
        Ok(patches.len())
    }
}

fn write_patches(file: &mut LockedFile, content: &CacheFile, patches: &[Patch]) -> io::Result<()> {
    let end = content.end();
    if content.cut() > 0 && patches.iter().any(|patch| patch.offset == end) {
        file.set_length(end)?;
    }
    for patch in patches {
        let written = file.write_at(patch.offset, patch.bytes.expose());
        if written.is_err() && patch.offset == end {
            // Half a ticket, on a full disk, must not stay; the error that led here is what is told.
            let _ = file.set_length(end);
        }
        written?;
    }
    Ok(())
}

impl Cache for FileCache {
    fn name(&self) -> &CacheName {
        &self.name
    }

    fn version(&self) -> Result<Option<CacheVersion>, StoreError> {
        files::version(&self.path).map_err(|error| self.unusable(error))
    }

    fn read(&self) -> Result<Option<CredentialCache>, StoreError> {
        let content = self.locked(LockMode::Shared)?;
        Ok(content.map(|(_, content)| content.into_cache()))
    }

    fn initialize(&self, content: &CredentialCache) -> Result<(), StoreError> {
        let bytes = content.to_bytes().map_err(|error| self.unusable(error))?;
        let made = match &self.directory {
            Some(directory) => files::make_directory(directory),
            None => Ok(()),
        };
        made.and_then(|()| files::write_atomically(&self.path, bytes.expose()))
            .map_err(|error| self.unusable(error))
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        self.change(|file| file.store(credentials)).map(|_| ())
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<usize, StoreError> {
        match self.change(|file| Ok(file.remove(client, server))) {
            Err(StoreError::NoCache { .. }) => Ok(0),
            result => result,
        }
    }

    fn set_config(
        &self,
        key: &str,
        principal: Option<&Principal>,
        data: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.change(|file| file.set_config(key, principal, data))
            .map(|_| ())
    }

    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        let Some((mut file, content)) = self.locked(LockMode::Exclusive)? else {
            return Err(no_cache(&self.name));
        };
        let patch = content
            .set_time_offset(microseconds)
            .map_err(|error| self.unusable(error))?;
        if let Some(patch) = patch {
            return write_patches(&mut file, &content, &[patch])
                .map_err(|error| self.unusable(error));
        }
        // The header has no room: another file takes this one's place while its lock is held, so
        // that ours that wait for it see the new one.
        let mut cache = content.into_cache();
        cache.time_offset = Some(microseconds);
        self.initialize(&cache)
    }

    fn destroy(&self) -> Result<bool, StoreError> {
        match files::destroy(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.unusable(error)),
        }
    }
}

/// A file has no neighbours.
#[derive(Debug)]
pub(super) struct FileCollection {
    path: PathBuf,
    name: CacheName,
}

impl FileCollection {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            name: CacheName::File(path.clone()),
            path,
        }
    }
}

impl Collection for FileCollection {
    fn list(&self) -> Result<Vec<CacheName>, StoreError> {
        let there = self.path.exists();
        Ok(there.then(|| self.name.clone()).into_iter().collect())
    }

    fn primary(&self) -> Result<Option<CacheName>, StoreError> {
        Ok(Some(self.name.clone()))
    }

    fn switch_to(&self, name: &CacheName) -> Result<(), StoreError> {
        Err(cannot_switch(name))
    }

    fn create(&self) -> Result<CacheName, StoreError> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        loop {
            let path = directory.join(format!("krb5cc_{}", random_suffix(&self.name)?));
            if std::fs::symlink_metadata(&path).is_err() {
                return Ok(CacheName::File(path));
            }
        }
    }

    fn can_switch(&self) -> bool {
        false
    }
}
