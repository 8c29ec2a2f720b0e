use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trihound_krb5::{CredentialCache, Credentials, Principal, StoreError};

use super::{Cache, CacheName, CacheVersion, Collection, cannot_switch, no_cache, random_suffix};

/// The MEMORY caches of the process, by name. They are shared by name, as files are.
static CACHES: Mutex<Caches> = Mutex::new(Caches {
    by_name: BTreeMap::new(),
    changes: 0,
});

struct Caches {
    by_name: BTreeMap<String, Held>,
    /// How often anything was changed, ever.
    changes: u64,
}

struct Held {
    content: CredentialCache,
    /// The number of the last change.
    changed: u64,
}

fn caches() -> MutexGuard<'static, Caches> {
    // Each change leaves the map whole, so a panic elsewhere does not matter.
    CACHES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct MemoryCache {
    key: String,
    name: CacheName,
}

impl MemoryCache {
    pub(super) fn new(name: &str) -> Self {
        Self {
            key: name.to_owned(),
            name: CacheName::Memory(name.to_owned()),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut CredentialCache) -> T) -> Result<T, StoreError> {
        let mut caches = caches();
        let number = caches.changes.wrapping_add(1);
        let held = caches.by_name.get_mut(&self.key);
        let held = held.ok_or_else(|| no_cache(&self.name))?;
        held.changed = number;
        let result = change(&mut held.content);
        caches.changes = number;
        Ok(result)
    }
}

impl Cache for MemoryCache {
    fn name(&self) -> &CacheName {
        &self.name
    }

    fn version(&self) -> Result<Option<CacheVersion>, StoreError> {
        let caches = caches();
        let changed = caches.by_name.get(&self.key).map(|held| held.changed);
        Ok(changed.map(|changed| CacheVersion::new([changed, 0, 0, 0, 0])))
    }

    fn read(&self) -> Result<Option<CredentialCache>, StoreError> {
        let caches = caches();
        Ok(caches
            .by_name
            .get(&self.key)
            .map(|held| held.content.clone()))
    }

    fn initialize(&self, content: &CredentialCache) -> Result<(), StoreError> {
        let mut caches = caches();
        let changed = caches.changes.wrapping_add(1);
        caches.changes = changed;
        let content = content.clone();
        let held = Held { content, changed };
        caches.by_name.insert(self.key.clone(), held);
        Ok(())
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        self.change(|cache| cache.store(Arc::clone(credentials)))
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<usize, StoreError> {
        Ok(self
            .change(|cache| cache.remove(client, server))
            .unwrap_or_default())
    }

    fn set_config(
        &self,
        key: &str,
        principal: Option<&Principal>,
        data: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.change(|cache| cache.set_config(key, principal, data))
    }

    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        self.change(|cache| cache.time_offset = Some(microseconds))
    }

    fn destroy(&self) -> Result<bool, StoreError> {
        Ok(caches().by_name.remove(&self.key).is_some())
    }
}

#[derive(Debug)]
pub(super) struct MemoryCollection {
    name: CacheName,
    key: String,
}

impl MemoryCollection {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: CacheName::Memory(name.to_owned()),
            key: name.to_owned(),
        }
    }
}

impl Collection for MemoryCollection {
    fn list(&self) -> Result<Vec<CacheName>, StoreError> {
        let caches = caches();
        let first = caches.by_name.get_key_value(&self.key).map(|(key, _)| key);
        let others = caches.by_name.keys().filter(|key| **key != self.key);
        Ok(first
            .into_iter()
            .chain(others)
            .map(|key| CacheName::Memory(key.clone()))
            .collect())
    }

    fn primary(&self) -> Result<Option<CacheName>, StoreError> {
        Ok(Some(self.name.clone()))
    }

    fn switch_to(&self, name: &CacheName) -> Result<(), StoreError> {
        Err(cannot_switch(name))
    }

    fn create(&self) -> Result<CacheName, StoreError> {
        loop {
            let key = random_suffix(&self.name)?;
            if !caches().by_name.contains_key(&key) {
                return Ok(CacheName::Memory(key));
            }
        }
    }

    fn can_switch(&self) -> bool {
        false
    }
}
