//! Where tickets and keys are kept between calls.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use thiserror::Error;
use trihound_sansio::Timestamp;

use crate::credentials::Credentials;
use crate::keytab::Keytab;
use crate::name::Principal;

/// Tickets that [`MemoryStore`] holds before it looks for expired ones to drop.
const PURGE_ABOVE: usize = 64;

/// Why a store could not answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no keytab.
    #[error("no keytab: {reason}; set KRB5_KTNAME or default_keytab_name, or hand in a keytab")]
    NoKeytab {
        /// Where it was looked for, and what was found instead.
        reason: String,
    },
    /// There is no credential cache.
    #[error("no credential cache: {reason}; log in first (kinit), or set KRB5CCNAME")]
    NoCache {
        /// Where it was looked for, and what was found instead.
        reason: String,
    },
    /// A name that leads to no cache or keytab.
    #[error("{reason}")]
    Name {
        /// The name, and what is wrong with it.
        reason: String,
    },
    /// What is there cannot be read or written.
    #[error("{place} cannot be used: {reason}")]
    Unusable {
        /// The file, or what stands for it.
        place: String,
        /// What went wrong.
        reason: String,
    },
}

/// The tickets of clients (outbound) and the keys of services (inbound).
///
/// The core asks it for what it needs and tells it what it got; files, rings and daemons are behind
/// it. Every method may be called from several threads at once.
pub trait CredentialStore: Send + Sync {
    /// Who the client is when none is named.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is something and it cannot be read; with nothing it is `None`.
    fn default_principal(&self) -> Result<Option<Principal>, StoreError>;

    /// A ticket of `client` for `server` that is not expired at `now`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is something and it cannot be read; with nothing it is `None`.
    fn find(
        &self,
        client: &Principal,
        server: &Principal,
        now: Timestamp,
    ) -> Result<Option<Arc<Credentials>>, StoreError>;

    /// All tickets of `client`, expired ones too, in no particular order.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is something and it cannot be read.
    fn tickets(&self, client: &Principal) -> Result<Vec<Arc<Credentials>>, StoreError>;

    /// Keeps a ticket, in the place of an older one for the same client and service.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be written.
    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError>;

    /// Forgets the ticket of `client` for `server`; it is no error if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be written.
    fn remove(&self, client: &Principal, server: &Principal) -> Result<(), StoreError>;

    /// How far the KDC's clock is ahead of ours, in microseconds, if that was kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is something and it cannot be read.
    fn time_offset(&self) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    /// Keeps how far the KDC's clock is ahead of ours, in microseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be written.
    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        let _ = microseconds;
        Ok(())
    }

    /// The keys of services, as they are now.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoKeytab`] when there is none, else what is wrong with it.
    fn keytab(&self) -> Result<Arc<Keytab>, StoreError>;

    /// The keys of clients that log in by themselves.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoKeytab`] when there is none, else what is wrong with it.
    fn client_keytab(&self) -> Result<Arc<Keytab>, StoreError> {
        Err(StoreError::NoKeytab {
            reason: "this store has no client keytab".to_owned(),
        })
    }
}

/// Where the tickets and keys of one credential are, by the names that its owner gave; `None` is where the
/// machine has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorePlaces<'a> {
    /// The credential cache; it is made by the first login where there is none.
    pub cache: Option<&'a str>,
    /// The keytab of services.
    pub keytab: Option<&'a str>,
    /// The keytab of clients.
    pub client_keytab: Option<&'a str>,
}

/// Opens stores for credentials that have places of their own. Names are those of krb5.conf(5):
/// `FILE:/path`, `MEMORY:name` and so on.
pub trait StoreOpener: Send + Sync {
    /// A store over these places. Nothing of them has to be there yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Name`] for a name of a kind that is not served.
    fn open(&self, places: &StorePlaces<'_>) -> Result<Arc<dyn CredentialStore>, StoreError>;
}

/// A store in memory, shared by threads; tickets are found by client and service without a walk.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tickets: RwLock<Tickets>,
    keytab: RwLock<Option<Arc<Keytab>>>,
}

#[derive(Debug, Default)]
struct Tickets {
    default_principal: Option<Principal>,
    time_offset: Option<i64>,
    by_client: HashMap<Principal, HashMap<Principal, Arc<Credentials>>>,
    count: usize,
    purge_at: usize,
}

impl Tickets {
    /// Drops what ended before `now`, whenever the number has doubled since the last time.
    fn purge(&mut self, now: Timestamp) {
        if self.count <= self.purge_at.max(PURGE_ABOVE) {
            return;
        }
        for by_server in self.by_client.values_mut() {
            by_server.retain(|_, credentials| credentials.is_valid_at(now));
        }
        self.by_client.retain(|_, by_server| !by_server.is_empty());
        self.count = self.by_client.values().map(HashMap::len).sum();
        self.purge_at = self.count.saturating_mul(2);
    }
}

impl MemoryStore {
    /// A store without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with the keys of services.
    #[must_use]
    pub fn with_keytab(keytab: Arc<Keytab>) -> Self {
        Self {
            keytab: RwLock::new(Some(keytab)),
            ..Self::default()
        }
    }

    /// Says who the client is when none is named.
    pub fn set_default_principal(&self, principal: Option<Principal>) {
        self.write().default_principal = principal;
    }

    /// Puts another keytab in the place of the one there.
    pub fn set_keytab(&self, keytab: Option<Arc<Keytab>>) {
        *self.keytab.write().unwrap_or_else(PoisonError::into_inner) = keytab;
    }

    // A panic elsewhere leaves the maps as whole as they were: each change is one insertion.
    fn read(&self) -> RwLockReadGuard<'_, Tickets> {
        self.tickets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tickets> {
        self.tickets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialStore for MemoryStore {
    fn default_principal(&self) -> Result<Option<Principal>, StoreError> {
        Ok(self.read().default_principal.clone())
    }

    fn find(
        &self,
        client: &Principal,
        server: &Principal,
        now: Timestamp,
    ) -> Result<Option<Arc<Credentials>>, StoreError> {
        let tickets = self.read();
        let found = tickets
            .by_client
            .get(client)
            .and_then(|by_server| by_server.get(server));
        Ok(found
            .filter(|credentials| credentials.is_valid_at(now))
            .map(Arc::clone))
    }

    fn tickets(&self, client: &Principal) -> Result<Vec<Arc<Credentials>>, StoreError> {
        let tickets = self.read();
        let by_server = tickets.by_client.get(client);
        Ok(by_server
            .into_iter()
            .flat_map(HashMap::values)
            .map(Arc::clone)
            .collect())
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        let mut tickets = self.write();
        let before = tickets
            .by_client
            .entry(credentials.client.clone())
            .or_default()
            .insert(credentials.server.clone(), Arc::clone(credentials));
        if tickets.default_principal.is_none() {
            tickets.default_principal = Some(credentials.client.clone());
        }
        if before.is_none() {
            tickets.count = tickets.count.saturating_add(1);
            // The newest ticket's own beginning is the time, as far as a store knows it.
            tickets.purge(credentials.valid_from());
        }
        Ok(())
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<(), StoreError> {
        let mut tickets = self.write();
        let removed = tickets
            .by_client
            .get_mut(client)
            .and_then(|by_server| by_server.remove(server));
        if removed.is_some() {
            tickets.count = tickets.count.saturating_sub(1);
        }
        Ok(())
    }

    fn time_offset(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.read().time_offset)
    }

    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        self.write().time_offset = Some(microseconds);
        Ok(())
    }

    fn keytab(&self) -> Result<Arc<Keytab>, StoreError> {
        self.keytab
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| StoreError::NoKeytab {
                reason: "this store in memory was given none".to_owned(),
            })
    }
}
