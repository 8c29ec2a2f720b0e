//! Changing a cache file where it lies.

use core::fmt;

use trihound_secret::SecretBytes;

use super::format::{self, Content, CutRecord, FORMAT, Place, VERSION_4};
use super::write::{self, delta_time};
use super::{CacheError, ConfigEntry, CredentialCache, REMOVED_CONFIG_REALM};
use crate::credentials::Credentials;
use crate::name::Principal;

/// The authentication time of what is removed, beside an end at 0 (MIT krb5).
const REMOVED_AUTHTIME: [u8; 4] = u32::MAX.to_be_bytes();

/// A cache file as it was read, with what it takes to change it without moving anything: other
/// programs append to the same file under its lock, and a file put in its place would lose what
/// those that wait for the lock have to say.
#[derive(Debug)]
pub struct CacheFile {
    content: Content,
    length: usize,
}

/// Bytes to be written over others, or behind the last ones, in one piece.
pub struct Patch {
    /// Where in the file.
    pub offset: u64,
    /// What is to stand there.
    pub bytes: SecretBytes,
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patch({}, {:?})", self.offset, self.bytes)
    }
}

impl Patch {
    fn new(offset: usize, bytes: SecretBytes) -> Self {
        Self {
            // No target has addresses of more than 64 bits.
            offset: u64::try_from(offset).unwrap_or(u64::MAX),
            bytes,
        }
    }
}

impl CacheFile {
    /// Reads a cache file of any version; `None` when it is blank, as `mktemp` or a program that
    /// only wanted the name leaves it: no byte, or no more than the header.
    ///
    /// Unlike [`CredentialCache::parse`] it leaves a last record away that is cut short: a writer was
    /// killed there, as long as the caller holds the file's lock. The next [`Self::store`] writes
    /// over it. A record whose lengths lead past the end of the file although others stand behind it,
    /// or that would be larger than any ticket, is none of those.
    ///
    /// # Errors
    ///
    /// [`CacheError`] with what is damaged and where.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, CacheError> {
        let blank = match bytes {
            [] => true,
            [FORMAT, VERSION_4, high, low, header @ ..] => {
                header.len() == usize::from(u16::from_be_bytes([*high, *low]))
            }
            _ => false,
        };
        if blank {
            return Ok(None);
        }
        Ok(Some(Self {
            content: format::parse(bytes, CutRecord::Leave)?,
            length: bytes.len(),
        }))
    }

    /// What the file holds.
    #[must_use]
    pub fn cache(&self) -> &CredentialCache {
        &self.content.cache
    }

    /// What the file holds.
    #[must_use]
    pub fn into_cache(self) -> CredentialCache {
        self.content.cache
    }

    /// How many bytes at the end of the file are no whole record.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.length.saturating_sub(self.content.end)
    }

    /// Where the last whole record ends. The file must be cut there before anything is appended.
    #[must_use]
    pub fn end(&self) -> u64 {
        u64::try_from(self.content.end).unwrap_or(u64::MAX)
    }

    /// Adds a ticket, and removes those that it replaces: the ticket's own patch is the first, so
    /// that whoever is stopped in between leaves one too many and not one too few. A ticket that is
    /// there already takes no patch.
    ///
    /// # Errors
    ///
    /// [`CacheError::TooLong`] when a name, a key or an address does not fit.
    pub fn store(&self, credentials: &Credentials) -> Result<Vec<Patch>, CacheError> {
        let mut held = self.content.cache.credentials.iter();
        if held.any(|held| {
            CredentialCache::replaces(credentials, held) && held.ticket == credentials.ticket
        }) {
            return Ok(Vec::new());
        }
        let bytes = write::to_secret(self.content.encoding, |out| out.credential(credentials))?;
        let mut patches = vec![Patch::new(self.content.end, bytes)];
        patches.extend(self.removals(|held| CredentialCache::replaces(credentials, held)));
        Ok(patches)
    }

    /// Removes the tickets of `client` for `server`, a patch for each.
    #[must_use]
    pub fn remove(&self, client: &Principal, server: &Principal) -> Vec<Patch> {
        self.removals(|held| held.client == *client && held.server == *server)
            .collect()
    }

    fn removals(&self, which: impl Fn(&Credentials) -> bool) -> impl Iterator<Item = Patch> {
        let tickets = self.content.cache.credentials.iter();
        tickets
            .zip(&self.content.tickets)
            .filter(move |(held, _)| which(held))
            .map(|(_, place)| mark_removed(place))
    }

    /// Sets a setting of the whole cache (`principal` absent) or of one service; `None` removes it.
    ///
    /// # Errors
    ///
    /// [`CacheError::TooLong`] when the value does not fit.
    pub fn set_config(
        &self,
        key: &str,
        principal: Option<&Principal>,
        data: Option<&[u8]>,
    ) -> Result<Vec<Patch>, CacheError> {
        let new = ConfigEntry::new(key, principal, data.unwrap_or_default().to_vec());
        let mut patches = Vec::new();
        if data.is_some() {
            let client = &self.content.cache.principal;
            let bytes = write::to_secret(self.content.encoding, |out| out.config(client, &new))?;
            patches.push(Patch::new(self.content.end, bytes));
        }
        let config = self.content.cache.config.iter();
        for (held, place) in config.zip(&self.content.config) {
            if held.server == new.server {
                patches.push(Patch::new(
                    place.server_realm,
                    SecretBytes::from(REMOVED_CONFIG_REALM.as_bytes()),
                ));
                patches.push(mark_removed(place));
            }
        }
        Ok(patches)
    }

    /// Sets the time offset, in microseconds; `None` when the file has no place for it.
    ///
    /// # Errors
    ///
    /// [`CacheError::TooLong`] when the offset is one of more than 68 years.
    pub fn set_time_offset(&self, microseconds: i64) -> Result<Option<Patch>, CacheError> {
        let value = delta_time(microseconds)?;
        let place = self.content.time_offset;
        Ok(place.map(|offset| Patch::new(offset, SecretBytes::from(&value[..]))))
    }
}

/// The start between the two times is written as it was, so that it is one piece.
fn mark_removed(place: &Place) -> Patch {
    let endtime = [0; 4];
    let times = [REMOVED_AUTHTIME, place.starttime, endtime].concat();
    Patch::new(place.times, SecretBytes::from(times))
}
