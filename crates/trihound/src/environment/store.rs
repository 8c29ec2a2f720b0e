use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trihound_krb5::{
    Config, CredentialCache, CredentialStore, Credentials, Keytab, MemoryStore, Principal,
    StoreError,
};
use trihound_sansio::Timestamp;
use trihound_sspi::thread_account;

use super::ccache::{self, Cache, CacheVersion};
use super::keytab::NamedKeytab;
use super::names::{CacheName, KeytabName, NameError};

/// How many caches of a collection are kept as they were read.
const MAX_HELD: usize = 32;

/// By how much the KDC's clock must differ from what a cache says before it is written there, in
/// microseconds.
const NOTEWORTHY_OFFSET: u64 = 1_000_000;

/// The tickets and keys of the user whom the process runs for, where MIT's programs have them: in the
/// default credential cache, of whatever type, and in the keytabs.
///
/// Caches and keytabs are read when they are first needed and again when they have changed, never
/// once per context. Tickets are written back into the cache of their client: the default one, or the
/// one of the collection that it is in. Those of clients without a cache stay in memory.
#[derive(Debug)]
pub struct UserStore {
    config: Arc<Config>,
    /// The default cache; `None` where tickets are to stay in this store.
    cache: Option<CacheName>,
    /// The caches as they were read last.
    held: Mutex<HashMap<CacheName, (CacheVersion, Content)>>,
    keytab: NamedKeytab,
    client_keytab: NamedKeytab,
    /// Tickets that belong in no cache, or could not be written to theirs.
    memory: MemoryStore,
    /// Whether the first login makes the default cache.
    makes_cache: bool,
}

/// What is in a cache; `None` when there is none.
type Content = Option<Arc<CredentialCache>>;

/// A cache that there is, and what is in it.
type Opened = (Box<dyn Cache>, Arc<CredentialCache>);

impl UserStore {
    /// The store that the environment names: KRB5CCNAME, KRB5_KTNAME and KRB5_CLIENT_KTNAME, then
    /// krb5.conf, then MIT's defaults.
    ///
    /// # Errors
    ///
    /// [`NameError`] for a cache or keytab of a type that is not served.
    pub fn from_environment(config: &Arc<Config>) -> Result<Self, NameError> {
        let store = Self::new(
            CacheName::from_environment(config)?,
            KeytabName::from_environment(config)?,
            KeytabName::client_from_environment(config)?,
        );
        Ok(store.with_config(Arc::clone(config)))
    }

    /// A store over the given places.
    #[must_use]
    pub fn new(
        cache: CacheName,
        keytab: impl Into<KeytabName>,
        client_keytab: impl Into<KeytabName>,
    ) -> Self {
        Self::build(Some(cache), keytab.into(), client_keytab.into())
    }

    /// A store whose tickets live and end with it, with the keys of the given places.
    #[must_use]
    pub fn without_cache(
        keytab: impl Into<KeytabName>,
        client_keytab: impl Into<KeytabName>,
    ) -> Self {
        Self::build(None, keytab.into(), client_keytab.into())
    }

    fn build(cache: Option<CacheName>, keytab: KeytabName, client_keytab: KeytabName) -> Self {
        Self {
            config: Arc::default(),
            cache,
            held: Mutex::default(),
            keytab: NamedKeytab::open(keytab),
            client_keytab: NamedKeytab::open(client_keytab),
            memory: MemoryStore::new(),
            makes_cache: false,
        }
    }

    /// Where there is no default cache, the first ticket-granting ticket of a client's own realm makes it;
    /// otherwise who is to log in there is `kinit`.
    #[must_use]
    pub fn making_cache(mut self) -> Self {
        self.makes_cache = true;
        self
    }

    /// With the configuration that says where the daemon of KCM caches is.
    #[must_use]
    pub fn with_config(mut self, config: Arc<Config>) -> Self {
        self.config = config;
        self
    }

    /// For how long a key of services that a newer one replaced stays in service, as
    /// [`NamedKeytab::serving_replaced_keys_for`] has it; zero is never.
    #[must_use]
    pub fn serving_replaced_keys_for(mut self, lifetime: Duration) -> Self {
        self.keytab = self.keytab.serving_replaced_keys_for(lifetime);
        self
    }

    /// The name of the default cache.
    #[must_use]
    pub fn cache_name(&self) -> Option<&CacheName> {
        self.cache.as_ref()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<CacheName, (CacheVersion, Content)>> {
        // Each change is one insertion, so a panic elsewhere leaves the map whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The default cache. A collection's name is followed anew each time: somebody may have switched.
    fn default_cache(&self) -> Result<Option<Box<dyn Cache>>, StoreError> {
        let name = self.cache.as_ref();
        name.map(|name| ccache::open(name, &self.config))
            .transpose()
    }

    /// The default cache and its content.
    fn default_content(&self) -> Result<Option<Opened>, StoreError> {
        let Some(cache) = self.default_cache()? else {
            return Ok(None);
        };
        let content = self.content(cache.as_ref())?;
        Ok(content.map(|content| (cache, content)))
    }

    /// What is in a cache now, read only if it changed.
    fn content(&self, cache: &dyn Cache) -> Result<Content, StoreError> {
        let version = cache.version()?;
        if let Some(version) = version
            && let Some((held, content)) = self.held().get(cache.name())
            && *held == version
        {
            return Ok(content.clone());
        }
        // Read after its version was taken: a change between the two is seen at the next call.
        let content = cache.read()?.map(Arc::new);
        // What a client let the thread read that acts for it is not the process's: it may be the client's own file.
        if thread_account().is_some() {
            return Ok(content);
        }
        let mut held = self.held();
        match version {
            Some(version) => {
                if held.len() >= MAX_HELD {
                    held.clear();
                }
                held.insert(cache.name().clone(), (version, content.clone()));
            }
            None => drop(held.remove(cache.name())),
        }
        Ok(content)
    }

    /// The cache of a client: the default one, or another of its collection (as MIT's
    /// `krb5_cc_cache_match` finds it).
    fn cache_of(&self, client: &Principal) -> Result<Option<Opened>, StoreError> {
        let (Some(name), Some(default)) = (&self.cache, self.default_cache()?) else {
            return Ok(None);
        };
        if let Some(content) = self.content(default.as_ref())?
            && content.principal == *client
        {
            return Ok(Some((default, content)));
        }
        // A name that leads to itself is no collection's.
        if default.name() == name {
            return Ok(None);
        }
        for name in ccache::collection(name, &self.config)?.list()? {
            if name == *default.name() {
                continue;
            }
            let cache = ccache::open(&name, &self.config)?;
            match self.content(cache.as_ref()) {
                Ok(Some(content)) if content.principal == *client => {
                    return Ok(Some((cache, content)));
                }
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
}

/// Whether it is the ticket-granting ticket of the client's own realm.
fn is_initial(credentials: &Credentials) -> bool {
    credentials.server == Principal::krbtgt(&credentials.client.realm)
}

impl UserStore {
    /// Makes the default cache with its first ticket, unless there is one, or the thread acts as a client.
    fn make_cache(&self, first: &Arc<Credentials>) -> Result<bool, StoreError> {
        // What the thread made now would be the file of the client that it acts for, with tickets of the process.
        if thread_account().is_some() {
            return Ok(false);
        }
        let Some(cache) = self.default_cache()? else {
            return Ok(false);
        };
        if self.content(cache.as_ref())?.is_some() {
            return Ok(false);
        }
        let mut content = CredentialCache::new(first.client.clone());
        content.credentials.push(Arc::clone(first));
        content.time_offset = self.memory.time_offset()?;
        cache.initialize(&content)?;
        tracing::debug!(cache = %cache.name(), client = %first.client, "Made {}", cache.name());
        Ok(true)
    }
}

impl CredentialStore for UserStore {
    fn default_principal(&self) -> Result<Option<Principal>, StoreError> {
        match self.default_content()? {
            Some((_, content)) => Ok(Some(content.principal.clone())),
            None => self.memory.default_principal(),
        }
    }

    fn find(
        &self,
        client: &Principal,
        server: &Principal,
        now: Timestamp,
    ) -> Result<Option<Arc<Credentials>>, StoreError> {
        if let Some((cache, content)) = self.cache_of(client)? {
            let (found, cache) = (content.find(client, server, now), cache.name());
            match found {
                Some(found) => tracing::debug!(
                    %cache, %client, spn = %server,
                    "Found ticket of {client} for {server} in {cache}, valid until {}",
                    found.endtime
                ),
                None => tracing::debug!(
                    %cache, %client, spn = %server,
                    "There is no ticket of {client} for {server} in {cache}"
                ),
            }
            if let Some(found) = found {
                return Ok(Some(Arc::clone(found)));
            }
        }
        self.memory.find(client, server, now)
    }

    fn tickets(&self, client: &Principal) -> Result<Vec<Arc<Credentials>>, StoreError> {
        let mut tickets = self.memory.tickets(client)?;
        if let Some((_, content)) = self.cache_of(client)? {
            let own = content.credentials.iter();
            tickets.extend(own.filter(|held| held.client == *client).cloned());
        }
        Ok(tickets)
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        let written = match self.cache_of(&credentials.client) {
            Ok(Some((cache, _))) => cache.store(credentials).inspect(|()| {
                let (client, spn, cache) = (&credentials.client, &credentials.server, cache.name());
                tracing::debug!(
                    %cache, %client, %spn,
                    "Kept ticket of {client} for {spn} in {cache}"
                );
            }),
            Ok(None) if self.makes_cache && is_initial(credentials) => {
                match self.make_cache(credentials) {
                    Ok(false) => return self.memory.store(credentials),
                    made => made.map(|_| ()),
                }
            }
            Ok(None) => return self.memory.store(credentials),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => Ok(()),
            // A ticket that cannot be written (a read-only directory) still serves this process.
            Err(error) => {
                tracing::warn!(
                    cache = self.cache.as_ref().map(tracing::field::display),
                    spn = %credentials.server,
                    %error,
                    "a ticket cannot be written to the cache and serves this process only"
                );
                self.memory.store(credentials)
            }
        }
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<(), StoreError> {
        self.memory.remove(client, server)?;
        match self.cache_of(client)? {
            Some((cache, _)) => cache.remove(client, server).map(|_| ()),
            None => Ok(()),
        }
    }

    fn time_offset(&self) -> Result<Option<i64>, StoreError> {
        match self.default_content()? {
            Some((_, content)) if content.time_offset.is_some() => Ok(content.time_offset),
            _ => self.memory.time_offset(),
        }
    }

    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        self.memory.set_time_offset(microseconds)?;
        let Some((cache, content)) = self.default_content()? else {
            return Ok(());
        };
        let known = content.time_offset.unwrap_or_default();
        if known.abs_diff(microseconds) < NOTEWORTHY_OFFSET {
            return Ok(());
        }
        // The cache's own is believed first, since whoever logs in next may know better.
        if let Err(error) = cache.set_time_offset(microseconds) {
            tracing::warn!(
                cache = %cache.name(),
                %error,
                "the KDC's time cannot be noted in the cache"
            );
        }
        Ok(())
    }

    fn keytab(&self) -> Result<Arc<Keytab>, StoreError> {
        self.keytab.serving()
    }

    fn client_keytab(&self) -> Result<Arc<Keytab>, StoreError> {
        self.client_keytab.read()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use trihound_sspi::{
        AccessToken, AssumedIdentity, Error, ImpersonationLevel, SecurityFunctionTable,
        ThreadIdentity,
    };

    use super::*;

    struct Somebody;

    impl AssumedIdentity for Somebody {
        fn account(&self) -> &'static str {
            "somebody"
        }

        fn revert(&self) {}

        fn resume(&self) {}
    }

    struct Everybody;

    impl ThreadIdentity for Everybody {
        fn assume(&self, _: &AccessToken) -> Result<Option<Box<dyn AssumedIdentity>>, Error> {
            Ok(Some(Box::new(Somebody)))
        }
    }

    #[test]
    fn what_is_read_as_a_client_is_not_kept_for_the_process() {
        let path = std::env::temp_dir().join(format!("trihound-held-{}", std::process::id()));
        let client = Principal::parse("service@EXAMPLE.TEST", None).unwrap();
        let content = CredentialCache::new(client.clone()).to_bytes().unwrap();
        fs::write(&path, content.expose()).unwrap();
        // Until the next change would show in the file's times.
        std::thread::sleep(Duration::from_millis(if cfg!(unix) { 150 } else { 2_600 }));
        let none = path.with_extension("keytab");
        let store = UserStore::new(CacheName::File(path.clone()), none.clone(), none);
        let table = SecurityFunctionTable::builder().thread_identity(Arc::new(Everybody));
        let table = table.build().unwrap();
        let level = ImpersonationLevel::Impersonation;
        let token = AccessToken::new("Kerberos", "somebody@EXAMPLE.TEST", "EXAMPLE.TEST", level);
        let acting = table.impersonate_token(&Arc::new(token)).unwrap();
        assert_eq!(store.default_principal().unwrap(), Some(client.clone()));
        assert!(store.held().is_empty());
        drop(acting);
        assert_eq!(store.default_principal().unwrap(), Some(client));
        assert_eq!(store.held().len(), 1);
        fs::remove_file(&path).unwrap();
    }
}
