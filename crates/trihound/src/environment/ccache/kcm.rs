//! Caches that the KCM daemon holds, over its Unix socket.
//!
//! On macOS the system's own daemon listens on Mach ports, which are not used here; a daemon on a
//! socket serves there too.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trihound_krb5::ccache::Entry;
use trihound_krb5::ccache::kcm::{DEFAULT_SOCKET, Request, Tag, Uuid, offset_in_seconds};
use trihound_krb5::{Config, ConfigEntry, CredentialCache, Credentials, Principal, StoreError};

use super::{Cache, CacheName, CacheVersion, Collection, no_cache, unusable};

mod session;
#[cfg(all(test, unix))]
mod tests;

use session::{CallError, Session};

/// What `kcm_socket` says when the daemon is not to be asked.
const NO_SOCKET: &str = "-";

/// Opens a cache of the daemon; one without a name is the user's default one at this time.
pub(super) fn open(residual: &str, config: &Config) -> Result<Box<dyn Cache>, StoreError> {
    let daemon = Daemon::new(residual, config)?;
    let name = if residual.is_empty() {
        daemon.ask(|session| session.call(&Request::GetDefaultCache, |reply| reply.name()))?
    } else {
        residual.to_owned()
    };
    Ok(Box::new(KcmCache {
        daemon,
        cache: CacheName::Kcm(name.clone()),
        name,
        lists: AtomicBool::new(true),
        replaces: AtomicBool::new(true),
        removes: AtomicBool::new(true),
    }))
}

/// All caches that the daemon holds for this user; with a name, that one alone.
pub(super) fn collection(
    residual: &str,
    config: &Config,
) -> Result<Box<dyn Collection>, StoreError> {
    Ok(Box::new(KcmCollection {
        daemon: Daemon::new(residual, config)?,
        single: (!residual.is_empty()).then(|| residual.to_owned()),
    }))
}

/// Where the daemon is, and which cache errors speak of.
#[derive(Debug)]
struct Daemon {
    socket: PathBuf,
    place: CacheName,
}

impl Daemon {
    fn new(residual: &str, config: &Config) -> Result<Self, StoreError> {
        let place = CacheName::Kcm(residual.to_owned());
        let socket = config.kcm_socket.as_deref().unwrap_or(DEFAULT_SOCKET);
        if socket == NO_SOCKET {
            return Err(unusable(
                &place,
                "kcm_socket = - says not to ask the KCM daemon; remove the relation, or name \
                 another cache (KRB5CCNAME, default_ccache_name)",
            ));
        }
        Ok(Self {
            socket: PathBuf::from(socket),
            place,
        })
    }

    /// Has a conversation with the daemon.
    fn ask<T>(
        &self,
        conversation: impl FnOnce(&mut Session<'_>) -> Result<T, CallError>,
    ) -> Result<T, StoreError> {
        conversation(&mut Session::new(&self.socket)).map_err(|error| {
            tracing::debug!(cache = %self.place, %error, "the KCM daemon was of no use");
            unusable(&self.place, error)
        })
    }

    /// As [`Self::ask`], for what needs a cache that is there.
    fn ask_of_cache<T>(
        &self,
        name: &CacheName,
        conversation: impl FnOnce(&mut Session<'_>) -> Result<T, CallError>,
    ) -> Result<T, StoreError> {
        self.ask(|session| present(conversation(session)))?
            .ok_or_else(|| no_cache(name))
    }
}

/// What the daemon has; `None` where it says that there is nothing of the kind.
fn present<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug)]
struct KcmCache {
    daemon: Daemon,
    cache: CacheName,
    name: String,
    /// What the daemon is not asked for again once it did not know it.
    lists: AtomicBool,
    replaces: AtomicBool,
    removes: AtomicBool,
}

/// An answer to an operation that not every daemon knows; `None` where this one does not.
fn supported<T>(
    knows: &AtomicBool,
    ask: impl FnOnce() -> Result<T, CallError>,
) -> Result<Option<T>, CallError> {
    if !knows.load(Ordering::Relaxed) {
        return Ok(None);
    }
    match ask() {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_unsupported() => {
            knows.store(false, Ordering::Relaxed);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl KcmCache {
    fn principal_in(&self, session: &mut Session<'_>) -> Result<Option<Principal>, CallError> {
        principal_of(session, &self.name)
    }

    fn read_in(&self, session: &mut Session<'_>) -> Result<Option<CredentialCache>, CallError> {
        let Some(principal) = self.principal_in(session)? else {
            return Ok(None);
        };
        let mut cache = CredentialCache::new(principal);
        let offset = session.call(&Request::GetKdcOffset(&self.name), |reply| reply.offset());
        // A daemon without an offset says zero, and so does one to which it was told.
        cache.time_offset = match offset {
            Ok(0) => None,
            Ok(seconds) => Some(i64::from(seconds).saturating_mul(1_000_000)),
            Err(error) if error.is_absent() || error.is_unsupported() => None,
            Err(error) => return Err(error),
        };
        for entry in self.entries(session)? {
            match entry {
                Entry::Ticket(ticket) => keep(&mut cache, Arc::new(*ticket)),
                Entry::Config(entry) => cache.config.push(entry),
                Entry::Removed => {}
            }
        }
        Ok(Some(cache))
    }

    /// All at once, or one by one from a daemon that knows no better.
    fn entries(&self, session: &mut Session<'_>) -> Result<Vec<Entry>, CallError> {
        let listed = supported(&self.lists, || {
            present(session.call(&Request::GetCredList(&self.name), |reply| reply.entries()))
        })?;
        if let Some(entries) = listed {
            return Ok(entries.unwrap_or_default());
        }
        let mut entries = Vec::new();
        for id in self.ids(session)? {
            let request = Request::GetCredByUuid(&self.name, id);
            // Removed by somebody else since the list was made.
            entries.extend(present(session.call(&request, |reply| reply.entry()))?);
        }
        Ok(entries)
    }

    fn ids(&self, session: &mut Session<'_>) -> Result<Vec<Uuid>, CallError> {
        let request = Request::GetCredUuidList(&self.name);
        Ok(present(session.call(&request, |reply| reply.ids()))?.unwrap_or_default())
    }

    fn initialize_in(
        &self,
        session: &mut Session<'_>,
        content: &CredentialCache,
    ) -> Result<(), CallError> {
        let replaced = supported(&self.replaces, || {
            session.call(&Request::Replace(&self.name, content), |_| Ok(()))
        })?;
        if replaced.is_some() {
            return Ok(());
        }
        session.call(&Request::Initialize(&self.name, &content.principal), |_| {
            Ok(())
        })?;
        if let Some(offset) = content.time_offset {
            self.set_offset_in(session, offset)?;
        }
        for entry in &content.config {
            self.store_config_in(session, &content.principal, entry)?;
        }
        for credentials in &content.credentials {
            session.call(&Request::Store(&self.name, credentials), |_| Ok(()))?;
        }
        Ok(())
    }

    fn set_offset_in(&self, session: &mut Session<'_>, offset: i64) -> Result<(), CallError> {
        let seconds = offset_in_seconds(offset);
        session.call(&Request::SetKdcOffset(&self.name, seconds), |_| Ok(()))
    }

    fn store_config_in(
        &self,
        session: &mut Session<'_>,
        client: &Principal,
        entry: &ConfigEntry,
    ) -> Result<(), CallError> {
        let request = Request::StoreConfig(&self.name, client, entry);
        session.call(&request, |_| Ok(()))
    }

    /// Whether the daemon removed what the tag names, or had nothing of the kind; sssd's daemon
    /// cannot.
    fn remove_in(&self, session: &mut Session<'_>, tag: Tag<'_>) -> Result<bool, CallError> {
        let removed = supported(&self.removes, || {
            present(session.call(&Request::RemoveCred(&self.name, tag), |_| Ok(())))
        })?;
        Ok(removed.is_some())
    }
}

fn principal_of(session: &mut Session<'_>, name: &str) -> Result<Option<Principal>, CallError> {
    let answer = session.call(&Request::GetPrincipal(name), |reply| reply.principal());
    Ok(present(answer)?.flatten())
}

/// A daemon that cannot remove a ticket still has the one that a newer one replaced.
fn keep(cache: &mut CredentialCache, ticket: Arc<Credentials>) {
    let newer_is_there = cache
        .credentials
        .iter()
        .any(|held| CredentialCache::replaces(&ticket, held) && held.endtime > ticket.endtime);
    if !newer_is_there {
        cache.store(ticket);
    }
}

impl Cache for KcmCache {
    fn name(&self) -> &CacheName {
        &self.cache
    }

    /// A ticket has another identifier once it is stored anew, so that the identifiers tell the
    /// content; the time offset and the principal of an empty cache they do not tell.
    fn version(&self) -> Result<Option<CacheVersion>, StoreError> {
        let ids = self.daemon.ask(|session| self.ids(session))?;
        Ok(version_of(&ids))
    }

    fn read(&self) -> Result<Option<CredentialCache>, StoreError> {
        self.daemon.ask(|session| self.read_in(session))
    }

    fn principal(&self) -> Result<Option<Principal>, StoreError> {
        self.daemon.ask(|session| self.principal_in(session))
    }

    /// A daemon that does not know REPLACE gets the content piece by piece, and what it refuses
    /// midway is missing then.
    fn initialize(&self, content: &CredentialCache) -> Result<(), StoreError> {
        self.daemon
            .ask(|session| self.initialize_in(session, content))
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        self.daemon.ask_of_cache(&self.cache, |session| {
            // Where that cannot be done both stay, and the one that ends later counts: to write the
            // whole cache anew could lose what others store meanwhile.
            self.remove_in(session, Tag::replaced_by(credentials))?;
            session.call(&Request::Store(&self.name, credentials), |_| Ok(()))
        })
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<usize, StoreError> {
        self.daemon.ask(|session| {
            let Some(mut cache) = self.read_in(session)? else {
                return Ok(0);
            };
            let count = cache.remove(client, server);
            if count > 0 {
                let tag = Tag {
                    client,
                    server,
                    kind: None,
                };
                if !self.remove_in(session, tag)? {
                    self.initialize_in(session, &cache)?;
                }
            }
            Ok(count)
        })
    }

    fn set_config(
        &self,
        key: &str,
        principal: Option<&Principal>,
        data: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let done = self.daemon.ask(|session| {
            let Some(mut cache) = self.read_in(session)? else {
                return Ok(None);
            };
            let held = cache.config(key, principal);
            if held == data {
                return Ok(Some(()));
            }
            let entry = ConfigEntry::new(key, principal, data.unwrap_or_default().to_vec());
            let client = cache.principal.clone();
            let tag = Tag::of_config(&client, &entry);
            if held.is_some() && !self.remove_in(session, tag)? {
                cache.set_config(key, principal, data);
                return self.initialize_in(session, &cache).map(Some);
            }
            if data.is_some() {
                self.store_config_in(session, &client, &entry)?;
            }
            Ok(Some(()))
        })?;
        done.ok_or_else(|| no_cache(&self.cache))
    }

    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        self.daemon.ask_of_cache(&self.cache, |session| {
            self.set_offset_in(session, microseconds)
        })
    }

    fn destroy(&self) -> Result<bool, StoreError> {
        self.daemon.ask(|session| {
            // Heimdal's daemon has names without a content, which are no caches yet.
            let there = self.principal_in(session)?.is_some();
            let gone = present(session.call(&Request::Destroy(&self.name), |_| Ok(())))?;
            Ok(there && gone.is_some())
        })
    }
}

fn version_of(ids: &[Uuid]) -> Option<CacheVersion> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    if ids.is_empty() {
        return None;
    }
    // Identifiers are random, so that sums of them hardly meet; their order counts too.
    let mut hasher = DefaultHasher::new();
    let (mut high, mut low) = (0_u64, 0_u64);
    for id in ids {
        id.hash(&mut hasher);
        let (upper, lower) = id.halves();
        high = high.wrapping_mul(3).wrapping_add(upper);
        low = low.wrapping_mul(5).wrapping_add(lower);
    }
    let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    Some(CacheVersion::new([count, hasher.finish(), high, low, 0]))
}

#[derive(Debug)]
struct KcmCollection {
    daemon: Daemon,
    /// The one cache that the name is of.
    single: Option<String>,
}

impl KcmCollection {
    fn default_in(&self, session: &mut Session<'_>) -> Result<String, CallError> {
        match &self.single {
            Some(name) => Ok(name.clone()),
            None => session.call(&Request::GetDefaultCache, |reply| reply.name()),
        }
    }

    fn others(session: &mut Session<'_>, primary: &str) -> Result<Vec<String>, CallError> {
        let ids = present(session.call(&Request::GetCacheUuidList, |reply| reply.ids()))?;
        let mut names = Vec::new();
        for id in ids.unwrap_or_default() {
            let request = Request::GetCacheByUuid(id);
            // Gone since the list was made.
            let Some(name) = present(session.call(&request, |reply| reply.name()))? else {
                continue;
            };
            if name != primary {
                names.push(name);
            }
        }
        Ok(names)
    }
}

impl Collection for KcmCollection {
    fn list(&self) -> Result<Vec<CacheName>, StoreError> {
        self.daemon.ask(|session| {
            let primary = self.default_in(session)?;
            let mut names = match &self.single {
                Some(_) => Vec::new(),
                None => Self::others(session, &primary)?,
            };
            names.insert(0, primary);
            let mut caches = Vec::new();
            for name in names {
                // Heimdal's daemon has names without a content.
                if principal_of(session, &name)?.is_some() {
                    caches.push(CacheName::Kcm(name));
                }
            }
            Ok(caches)
        })
    }

    fn primary(&self) -> Result<Option<CacheName>, StoreError> {
        let name = self.daemon.ask(|session| self.default_in(session))?;
        Ok(Some(CacheName::Kcm(name)))
    }

    fn switch_to(&self, name: &CacheName) -> Result<(), StoreError> {
        let CacheName::Kcm(residual) = name else {
            return Err(no_cache(name));
        };
        let there = self.daemon.ask(|session| {
            // No daemon looks whether there is one.
            if residual.is_empty() || principal_of(session, residual)?.is_none() {
                return Ok(false);
            }
            session.call(&Request::SetDefaultCache(residual), |_| Ok(()))?;
            Ok(true)
        })?;
        if there { Ok(()) } else { Err(no_cache(name)) }
    }

    fn create(&self) -> Result<CacheName, StoreError> {
        if self.single.is_some() {
            return Err(unusable(
                &self.daemon.place,
                "it is one cache and not a collection; write KCM: for a new one",
            ));
        }
        let name = self
            .daemon
            .ask(|session| session.call(&Request::GenNew, |reply| reply.name()))?;
        Ok(CacheName::Kcm(name))
    }

    fn can_switch(&self) -> bool {
        true
    }
}

impl CallError {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Protocol(error) if error.is_absent())
    }

    /// sssd's daemon hangs up on an operation that is not in its table.
    fn is_unsupported(&self) -> bool {
        match self {
            Self::Protocol(error) => error.is_unsupported(),
            Self::HungUp { operation } => operation.is_extension(),
            _ => false,
        }
    }
}
