use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use trihound_krb5::ccache::keyring::{
    Anchor, KeyringName, PRIMARY_KEY, PRINCIPAL_KEY, TIME_OFFSETS_KEY, UNIQUE_PREFIX, config_key,
    marshal_primary, marshal_time_offset, ticket_key, timeout, unmarshal_primary,
    unmarshal_time_offset,
};
use trihound_krb5::ccache::{
    Entry, marshal_config, marshal_credentials, marshal_principal, unmarshal_credentials,
    unmarshal_principal,
};
use trihound_krb5::{ConfigEntry, CredentialCache, Credentials, Principal, StoreError};
use trihound_sansio::{Clock, SystemClock};

use super::super::{Cache, CacheName, CacheVersion, Collection, no_cache, random_suffix, unusable};
use super::cache_name;
use super::kernel::{self, Kind, Serial, Special};

/// A keyring is looked up at every call and never remembered: which keys a thread possesses is that
/// thread's own affair, and others remove and make keyrings meanwhile.
#[derive(Debug)]
pub(super) struct KeyringCache {
    name: CacheName,
    keyring: KeyringName,
}

/// Held while keyrings are made, so that threads of this process do not make one twice.
static MAKING: Mutex<()> = Mutex::new(());

/// A cache's keyring, and the collection's that it is in.
#[derive(Clone, Copy)]
struct Place {
    collection: Serial,
    cache: Serial,
}

fn parse(residual: &str) -> Result<KeyringName, StoreError> {
    KeyringName::parse(residual).map_err(|error| StoreError::Unusable {
        place: format!("KEYRING:{residual}"),
        reason: error.to_string(),
    })
}

impl KeyringCache {
    pub(super) fn open(residual: &str) -> Result<Self, StoreError> {
        let mut keyring = parse(residual)?;
        if keyring.subsidiary().is_none() {
            let primary = primary_name(&keyring)?;
            keyring = keyring.with_subsidiary(&primary);
        }
        Ok(Self {
            name: cache_name(&keyring),
            keyring,
        })
    }

    fn subsidiary(&self) -> &str {
        self.keyring.subsidiary().unwrap_or_default()
    }

    fn failed(&self, reason: impl Display) -> StoreError {
        unusable(&self.name, reason)
    }

    fn io<T>(&self, answer: io::Result<T>) -> Result<T, StoreError> {
        answer.map_err(|error| self.failed(advice(&error)))
    }

    fn find(&self) -> Result<Option<Place>, StoreError> {
        self.io(self.find_in_collection().and_then(|found| match found {
            Some(place) => Ok(Some(place)),
            None => self.find_legacy(),
        }))
    }

    fn find_in_collection(&self) -> io::Result<Option<Place>> {
        let Some(collection) = find_collection(&self.keyring)? else {
            return Ok(None);
        };
        let found = kernel::search(collection, Kind::Keyring, self.subsidiary(), None)?;
        Ok(found.map(|cache| Place { collection, cache }))
    }

    /// What a program from before collections has left: a cache in the session's keyring itself.
    fn find_legacy(&self) -> io::Result<Option<Place>> {
        if !self.keyring.is_legacy_cache() {
            return Ok(None);
        }
        let collection = kernel::session();
        let found = kernel::search(collection, Kind::Keyring, self.subsidiary(), None)?;
        Ok(found.map(|cache| Place { collection, cache }))
    }

    fn find_or_make(&self) -> io::Result<Place> {
        let _turn = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let collection = make_collection(&self.keyring)?;
        let name = self.subsidiary();
        if kernel::search(collection, Kind::User, PRIMARY_KEY, None)?.is_none() {
            let primary = marshal_primary(self.keyring.first_primary());
            kernel::add(collection, Kind::User, PRIMARY_KEY, &primary)?;
        }
        let cache = match kernel::search(collection, Kind::Keyring, name, None)? {
            Some(cache) => cache,
            None => match self.find_legacy()? {
                Some(place) => {
                    kernel::link(place.cache, collection)?;
                    place.cache
                }
                None => make_keyring(collection, name)?,
            },
        };
        Ok(Place { collection, cache })
    }

    /// The entries with their keys; those that end or are removed meanwhile are passed over.
    fn entries(&self, cache: Serial) -> Result<Vec<(Serial, Entry)>, StoreError> {
        let special = |name| self.io(kernel::search(cache, Kind::User, name, None));
        let (principal, offsets) = (special(PRINCIPAL_KEY)?, special(TIME_OFFSETS_KEY)?);
        let mut entries = Vec::new();
        for key in self.io(kernel::keys(cache))? {
            if Some(key) == principal || Some(key) == offsets {
                continue;
            }
            let payload = match kernel::read(key) {
                Err(error) if kernel::is_gone(&error) => continue,
                payload => self.io(payload)?,
            };
            let entry = unmarshal_credentials(payload.expose());
            entries.push((key, entry.map_err(|error| self.failed(error))?));
        }
        Ok(entries)
    }

    fn principal_in(&self, cache: Serial) -> Result<Option<Principal>, StoreError> {
        let Some(payload) = self.payload(cache, PRINCIPAL_KEY)? else {
            return Ok(None);
        };
        let principal = unmarshal_principal(payload.expose());
        principal.map(Some).map_err(|error| self.failed(error))
    }

    fn payload(
        &self,
        cache: Serial,
        name: &str,
    ) -> Result<Option<trihound_secret::SecretBytes>, StoreError> {
        let Some(key) = self.io(kernel::search(cache, Kind::User, name, None))? else {
            return Ok(None);
        };
        match kernel::read(key) {
            Err(error) if kernel::is_gone(&error) => Ok(None),
            payload => self.io(payload).map(Some),
        }
    }

    /// The cache that is there, with its principal.
    fn present(&self) -> Result<(Place, Principal), StoreError> {
        let place = self.find()?.ok_or_else(|| no_cache(&self.name))?;
        let principal = self.principal_in(place.cache)?;
        Ok((place, principal.ok_or_else(|| no_cache(&self.name))?))
    }

    fn add_ticket(&self, cache: Serial, credentials: &Credentials) -> Result<(), StoreError> {
        let payload = marshal_credentials(credentials).map_err(|error| self.failed(error))?;
        let name = ticket_key(&credentials.server);
        let is_legacy = self.keyring.anchor() == Anchor::Legacy;
        let key = self.io(kernel::add_ticket(
            cache,
            &name,
            payload.expose(),
            is_legacy,
        ))?;
        let now = SystemClock.now();
        // As MIT: an expired ticket stays until its keyring ends.
        if credentials.endtime > now {
            // A key that lives longer than its ticket does no harm.
            let _ = kernel::set_timeout(key, timeout(credentials.endtime, now));
        }
        Ok(())
    }

    fn add_config(
        &self,
        cache: Serial,
        client: &Principal,
        entry: &ConfigEntry,
    ) -> Result<(), StoreError> {
        let payload = marshal_config(client, entry).map_err(|error| self.failed(error))?;
        let is_legacy = self.keyring.anchor() == Anchor::Legacy;
        let added = kernel::add_ticket(cache, &config_key(entry), payload.expose(), is_legacy);
        self.io(added).map(drop)
    }

    /// A cache ends with the last of its tickets.
    fn set_end<'a>(&self, cache: Serial, tickets: impl Iterator<Item = &'a Credentials>) {
        if let Some(end) = tickets.map(|ticket| ticket.endtime).max() {
            // As MIT: a cache without an end does no harm.
            let _ = kernel::set_timeout(cache, timeout(end, SystemClock.now()));
        }
    }

    fn fill(&self, place: Place, content: &CredentialCache) -> Result<(), StoreError> {
        let principal =
            marshal_principal(&content.principal).map_err(|error| self.failed(error))?;
        self.io(kernel::clear(place.cache))?;
        self.io(kernel::add(
            place.cache,
            Kind::User,
            PRINCIPAL_KEY,
            &principal,
        ))?;
        if let Some(offset) = content.time_offset {
            self.add_offset(place.cache, offset)?;
        }
        for entry in &content.config {
            self.add_config(place.cache, &content.principal, entry)?;
        }
        for credentials in &content.credentials {
            self.add_ticket(place.cache, credentials)?;
        }
        self.set_end(place.cache, content.credentials.iter().map(Arc::as_ref));
        Ok(())
    }

    fn add_offset(&self, cache: Serial, microseconds: i64) -> Result<(), StoreError> {
        // A program from before collections would take the key for a ticket.
        if self.keyring.is_legacy_cache() {
            return Ok(());
        }
        let payload = marshal_time_offset(microseconds);
        self.io(kernel::add(cache, Kind::User, TIME_OFFSETS_KEY, &payload))
            .map(drop)
    }
}

impl Cache for KeyringCache {
    fn name(&self) -> &CacheName {
        &self.name
    }

    /// Keys change in place, and only their contents tell.
    fn version(&self) -> Result<Option<CacheVersion>, StoreError> {
        Ok(None)
    }

    fn read(&self) -> Result<Option<CredentialCache>, StoreError> {
        let Some(place) = self.find()? else {
            return Ok(None);
        };
        let Some(principal) = self.principal_in(place.cache)? else {
            return Ok(None);
        };
        let mut content = CredentialCache::new(principal);
        content.time_offset = match self.payload(place.cache, TIME_OFFSETS_KEY)? {
            Some(payload) => {
                Some(unmarshal_time_offset(payload.expose()).map_err(|error| self.failed(error))?)
                    // MIT writes the key in any case.
                    .filter(|offset| *offset != 0)
            }
            None => None,
        };
        for (_, entry) in self.entries(place.cache)? {
            match entry {
                Entry::Ticket(ticket) => content.credentials.push(Arc::new(*ticket)),
                Entry::Config(entry) => content.config.push(entry),
                Entry::Removed => {}
            }
        }
        Ok(Some(content))
    }

    fn principal(&self) -> Result<Option<Principal>, StoreError> {
        match self.find()? {
            Some(place) => self.principal_in(place.cache),
            None => Ok(None),
        }
    }

    /// The keyring stays the same one, as with MIT, so that whoever has it at hand sees the new
    /// content; what the kernel refuses midway, such as for want of quota, is missing then.
    fn initialize(&self, content: &CredentialCache) -> Result<(), StoreError> {
        let place = self.io(self.find_or_make())?;
        if self.keyring.is_legacy_cache() {
            // As MIT: without the link only programs from before collections go without.
            let _ = kernel::link(place.cache, kernel::session());
        }
        self.fill(place, content)
    }

    fn store(&self, credentials: &Arc<Credentials>) -> Result<(), StoreError> {
        let (place, _) = self.present()?;
        self.add_ticket(place.cache, credentials)?;
        let entries = self.entries(place.cache)?;
        let tickets = entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Ticket(ticket) => Some(ticket.as_ref()),
            _ => None,
        });
        self.set_end(place.cache, tickets);
        Ok(())
    }

    fn remove(&self, client: &Principal, server: &Principal) -> Result<usize, StoreError> {
        let Some(place) = self.find()? else {
            return Ok(0);
        };
        let mut count = 0;
        for (key, entry) in self.entries(place.cache)? {
            if matches!(&entry, Entry::Ticket(ticket)
                if ticket.client == *client && ticket.server == *server)
            {
                self.unlink(key, place.cache)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn set_config(
        &self,
        key: &str,
        principal: Option<&Principal>,
        data: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (place, client) = self.present()?;
        let entry = ConfigEntry::new(key, principal, data.unwrap_or_default().to_vec());
        if data.is_some() {
            return self.add_config(place.cache, &client, &entry);
        }
        for kind in [Kind::BigKey, Kind::User] {
            let held = kernel::search(place.cache, kind, &config_key(&entry), None);
            if let Some(held) = held.ok().flatten() {
                self.unlink(held, place.cache)?;
            }
        }
        Ok(())
    }

    fn set_time_offset(&self, microseconds: i64) -> Result<(), StoreError> {
        let (place, _) = self.present()?;
        self.add_offset(place.cache, microseconds)
    }

    fn destroy(&self) -> Result<bool, StoreError> {
        let Some(place) = self.find()? else {
            return Ok(false);
        };
        let there = self.io(kernel::search(place.cache, Kind::User, PRINCIPAL_KEY, None))?;
        self.io(kernel::clear(place.cache))?;
        self.unlink(place.cache, place.collection)?;
        if self.keyring.is_legacy_cache() {
            // Only there if it was made there.
            let _ = kernel::unlink(place.cache, kernel::session());
        }
        Ok(there.is_some())
    }
}

impl KeyringCache {
    /// Somebody else may have been faster.
    fn unlink(&self, key: Serial, ring: Serial) -> Result<(), StoreError> {
        match kernel::unlink(key, ring) {
            Err(error) if kernel::is_gone(&error) || error.kind() == io::ErrorKind::NotFound => {
                Ok(())
            }
            answer => self.io(answer),
        }
    }
}

/// The kernel's reason, with what can be done about it.
fn advice(error: &io::Error) -> String {
    match error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error)
    {
        Some(rustix::io::Errno::DQUOT) => format!(
            "the user's quota of keys is used up ({error}); destroy caches that nobody needs, or \
             raise kernel.keys.maxkeys and kernel.keys.maxbytes"
        ),
        Some(rustix::io::Errno::NOSYS) => format!(
            "the kernel, or the sandbox around this program, has no keyrings ({error}); use FILE: \
             or DIR:"
        ),
        Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => format!(
            "{error}; it is the keyring of another user, or a container keeps programs from keyrings"
        ),
        _ => error.to_string(),
    }
}

/// Where a collection hangs, and through what its keys are to be possessed: the user's keyrings do
/// not give possession.
fn anchor(name: &KeyringName) -> io::Result<(Serial, Option<Special>)> {
    Ok(match name.anchor() {
        Anchor::Process => (Special::Process.serial(), None),
        Anchor::Thread => (Special::Thread.serial(), None),
        Anchor::Session | Anchor::Legacy => (kernel::session(), None),
        Anchor::User => (Special::User.serial(), Some(Special::Process)),
        Anchor::Persistent => (kernel::persistent(name.uid())?, Some(Special::Process)),
    })
}

fn find_collection(name: &KeyringName) -> io::Result<Option<Serial>> {
    let (ring, possess) = anchor(name)?;
    kernel::search(ring, Kind::Keyring, &name.collection_key(), possess)
}

fn make_collection(name: &KeyringName) -> io::Result<Serial> {
    if let Some(found) = find_collection(name)? {
        return Ok(found);
    }
    let (ring, possess) = anchor(name)?;
    let key = name.collection_key();
    match possess {
        None => make_keyring(ring, &key),
        Some(possess) => {
            let made = kernel::add(possess.serial(), Kind::Keyring, &key, &[])?;
            kernel::link(made, ring)?;
            Ok(find_collection(name)?.unwrap_or(made))
        }
    }
}

/// A new keyring takes the place of one of its name, and the kernel has no way to make one only if
/// there is none: of two programs that made it at once, both go on with the one that is there now.
fn make_keyring(ring: Serial, name: &str) -> io::Result<Serial> {
    let made = kernel::add(ring, Kind::Keyring, name, &[])?;
    Ok(kernel::search(ring, Kind::Keyring, name, None)?.unwrap_or(made))
}

/// The name of a collection's primary cache, whether or not there is one.
fn primary_name(name: &KeyringName) -> Result<String, StoreError> {
    let place = cache_name(name);
    let failed = |error: io::Error| unusable(&place, advice(&error));
    let Some(collection) = find_collection(name).map_err(failed)? else {
        return Ok(name.first_primary().to_owned());
    };
    let key = kernel::search(collection, Kind::User, PRIMARY_KEY, None).map_err(failed)?;
    match key.map(kernel::read) {
        None => Ok(name.first_primary().to_owned()),
        Some(Err(error)) if kernel::is_gone(&error) => Ok(name.first_primary().to_owned()),
        Some(Err(error)) => Err(failed(error)),
        Some(Ok(payload)) => {
            unmarshal_primary(payload.expose()).map_err(|error| unusable(&place, error))
        }
    }
}

#[derive(Debug)]
pub(super) struct KeyringCollection {
    keyring: KeyringName,
}

impl KeyringCollection {
    pub(super) fn new(residual: &str) -> Result<Self, StoreError> {
        Ok(Self {
            keyring: parse(residual)?,
        })
    }

    fn name(&self) -> CacheName {
        cache_name(&self.keyring)
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        unusable(&self.name(), advice(error))
    }

    fn cache(&self, subsidiary: &str) -> KeyringCache {
        let keyring = self.keyring.with_subsidiary(subsidiary);
        KeyringCache {
            name: cache_name(&keyring),
            keyring,
        }
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        if let Some(name) = self.keyring.subsidiary() {
            return Ok(vec![name.to_owned()]);
        }
        let primary = primary_name(&self.keyring)?;
        let mut names = Vec::new();
        let collection = find_collection(&self.keyring).map_err(|error| self.failed(&error))?;
        if let Some(collection) = collection {
            for key in kernel::keys(collection).map_err(|error| self.failed(&error))? {
                // Gone meanwhile, or not for us to see.
                if let Ok(Some(name)) = kernel::keyring_description(key)
                    && name != primary
                {
                    names.push(name);
                }
            }
        }
        names.insert(0, primary);
        Ok(names)
    }
}

impl Collection for KeyringCollection {
    fn list(&self) -> Result<Vec<CacheName>, StoreError> {
        let mut caches = Vec::new();
        for name in self.names()? {
            let cache = self.cache(&name);
            // A name that is reserved and not used yet has no principal.
            if let Some(place) = cache.find()?
                && cache.payload(place.cache, PRINCIPAL_KEY)?.is_some()
            {
                caches.push(cache.name);
            }
        }
        Ok(caches)
    }

    fn primary(&self) -> Result<Option<CacheName>, StoreError> {
        let name = match self.keyring.subsidiary() {
            Some(name) => name.to_owned(),
            None => primary_name(&self.keyring)?,
        };
        Ok(Some(self.cache(&name).name))
    }

    fn switch_to(&self, name: &CacheName) -> Result<(), StoreError> {
        let CacheName::Keyring(residual) = name else {
            return Err(no_cache(name));
        };
        let wanted = parse(residual)?;
        let Some(subsidiary) = wanted.subsidiary() else {
            return Err(no_cache(name));
        };
        // Neighbours are those of the same collection, however it is spelled.
        if self.keyring.with_subsidiary(subsidiary) != wanted {
            return Err(no_cache(name));
        }
        self.cache(subsidiary).present()?;
        let payload = marshal_primary(subsidiary);
        make_collection(&self.keyring)
            .and_then(|collection| kernel::add(collection, Kind::User, PRIMARY_KEY, &payload))
            .map(drop)
            .map_err(|error| self.failed(&error))
    }

    fn create(&self) -> Result<CacheName, StoreError> {
        if self.keyring.subsidiary().is_some() {
            return Err(unusable(
                &self.name(),
                "it is one cache and not a collection; leave out what follows the last colon",
            ));
        }
        loop {
            let suffix = random_suffix(&self.name())?;
            let cache = self.cache(&format!("{UNIQUE_PREFIX}{suffix}"));
            if cache.find()?.is_none() {
                return Ok(cache.name);
            }
        }
    }

    fn can_switch(&self) -> bool {
        true
    }
}
