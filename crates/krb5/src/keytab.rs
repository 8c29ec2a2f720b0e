//! Keytab files: the long-term keys of services and clients (MIT, "Keytab file format").
//!
//! Read are 0x0501 (integers in the machine's byte order) and 0x0502 (big-endian); written is
//! 0x0502. The file is a list of entries behind their 32-bit sizes, without a count: a file that
//! ends right behind an entry is whole. A negative size is a deleted entry.

mod edit;
mod error;
mod format;
mod rotation;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use trihound_crypto::{Enctype, EnctypePolicy, Key};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use crate::credentials::KeyMaterial;
use crate::name::Principal;

pub use edit::{KeytabEdit, KeytabWrite};
pub use error::{KeyNotFound, KeytabError};
pub use rotation::ReplacedKeys;

use format::{Layout, Version, write_entry};

/// A long-term key of a principal.
#[derive(Debug)]
pub struct KeytabEntry {
    /// Whose key it is.
    pub principal: Principal,
    /// When the entry was written.
    pub timestamp: Timestamp,
    /// Version of the key; its low byte only if [`Self::kvno_is_8_bit`]; zero if not known.
    pub kvno: u32,
    /// Whether the file had no more than the low 8 bits of the version.
    pub kvno_is_8_bit: bool,
    /// The key and its encryption type.
    pub key: KeyMaterial,
}

/// A long-term key ready for use, with its version.
#[derive(Clone, Debug)]
pub struct KeytabKey {
    /// Version of the key.
    pub kvno: u32,
    /// The key.
    pub key: Arc<Key>,
}

impl KeytabEntry {
    /// A new entry with a key of known version.
    #[must_use]
    pub fn new(principal: Principal, kvno: u32, timestamp: Timestamp, key: KeyMaterial) -> Self {
        Self {
            principal,
            timestamp,
            kvno,
            kvno_is_8_bit: false,
            key,
        }
    }

    /// Whether the entry may hold version `kvno`. `None` and 0 stand for any version, on either
    /// side; an entry with 8 bits is compared in these (MIT's rules; conformance row 115).
    #[must_use]
    pub fn matches_kvno(&self, kvno: Option<u32>) -> bool {
        match kvno {
            None | Some(0) => true,
            Some(_) if self.kvno == 0 => true,
            Some(kvno) if self.kvno_is_8_bit => self.kvno == kvno & 0xff,
            Some(kvno) => self.kvno == kvno,
        }
    }

    /// Order of preference among entries that match `kvno`, best last.
    fn rank(&self, kvno: Option<u32>) -> (bool, u32, Timestamp) {
        let exact = kvno.is_some_and(|kvno| kvno != 0 && self.kvno == kvno && !self.kvno_is_8_bit);
        (exact, self.kvno, self.timestamp)
    }

    /// Whether this is the better of two entries that match `kvno`.
    fn is_better_than(&self, other: &Self, kvno: Option<u32>) -> bool {
        if self.kvno_is_8_bit && other.kvno_is_8_bit {
            // Versions of 8 bits wrap, so that only the times tell which is newer.
            return (self.timestamp, self.kvno) > (other.timestamp, other.kvno);
        }
        self.rank(kvno) > other.rank(kvno)
    }
}

/// The keys of a keytab, found by principal without a walk.
#[derive(Debug, Default)]
pub struct Keytab {
    entries: Vec<Arc<KeytabEntry>>,
    by_principal: HashMap<Principal, Vec<usize>>,
}

impl Keytab {
    /// A keytab without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a keytab file (conformance row 114).
    ///
    /// # Errors
    ///
    /// [`KeytabError`] with the index and offset of what is damaged. Nothing of a damaged file is
    /// used.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeytabError> {
        Layout::of(bytes)?.entries()
    }

    /// Writes the keytab in format 0x0502, every version number in 8 and in 32 bits.
    ///
    /// # Errors
    ///
    /// [`KeytabError::TooLong`] when a name, a key or an encryption type does not fit.
    pub fn to_bytes(&self) -> Result<SecretBytes, KeytabError> {
        let mut records = Vec::with_capacity(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            records.push(write_entry(entry, index, Version::WRITTEN)?);
        }
        // In one piece: growth would leave halves of keys behind.
        let length = records
            .iter()
            .map(|record| record.len().saturating_add(4))
            .fold(2, usize::saturating_add);
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&Version::WRITTEN.header());
        for (index, record) in records.iter().enumerate() {
            out.extend_from_slice(&Version::WRITTEN.size(record.len(), index)?);
            out.extend_from_slice(record.expose());
        }
        Ok(SecretBytes::from(out))
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: KeytabEntry) {
        self.push_shared(Arc::new(entry));
    }

    /// Adds an entry that another keytab has too, with what was made of its key.
    pub fn push_shared(&mut self, entry: Arc<KeytabEntry>) {
        let index = self.entries.len();
        self.by_principal
            .entry(entry.principal.clone())
            .or_default()
            .push(index);
        self.entries.push(entry);
    }

    /// All entries, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[Arc<KeytabEntry>] {
        &self.entries
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries of one principal, in the file's order.
    pub fn of_principal(&self, principal: &Principal) -> impl Iterator<Item = &Arc<KeytabEntry>> {
        self.by_principal
            .get(principal)
            .into_iter()
            .flatten()
            .filter_map(|&index| self.entries.get(index))
    }

    /// The key of `principal` that a ticket of this type and version needs (conformance rows 7
    /// and 115).
    ///
    /// With `kvno` absent or 0 the newest key; else an entry of that version, before one whose
    /// version is stored in 8 bits and has the same low byte, before one of unknown version.
    ///
    /// # Errors
    ///
    /// [`KeyNotFound`], which tells what the keytab has instead.
    pub fn find(
        &self,
        principal: &Principal,
        kvno: Option<u32>,
        enctype: Enctype,
    ) -> Result<&Arc<KeytabEntry>, KeyNotFound> {
        best(self.matching(principal, kvno, enctype), kvno)
            .ok_or_else(|| self.why_not(principal, kvno, enctype))
    }

    /// Every key of `principal` that a ticket of this type and version could be encrypted in, the one
    /// of [`Self::find`] first: a KDC that names no version may have used an older key, and a key may
    /// have been exchanged without a new version.
    #[must_use]
    pub fn candidates(
        &self,
        principal: &Principal,
        kvno: Option<u32>,
        enctype: Enctype,
    ) -> Vec<&Arc<KeytabEntry>> {
        let mut found: Vec<_> = self.matching(principal, kvno, enctype).collect();
        let first = best(found.iter().copied(), kvno).map(Arc::as_ptr);
        // Of three keys, some with 8 bits of their version and some with all, each may be better than
        // the next: no order to sort by. Among those behind the best one a whole order is enough.
        let is_by_time = found.iter().all(|entry| entry.kvno_is_8_bit);
        // Stable: of two that are alike, the first of the file.
        found.sort_by_key(|entry| {
            let (exact, version, time) = entry.rank(kvno);
            let by_time = is_by_time.then_some((time, version));
            let is_first = first == Some(Arc::as_ptr(entry));
            Reverse((is_first, by_time, exact, version, time))
        });
        found
    }

    fn matching(
        &self,
        principal: &Principal,
        kvno: Option<u32>,
        enctype: Enctype,
    ) -> impl Iterator<Item = &Arc<KeytabEntry>> {
        self.of_principal(principal)
            .filter(move |entry| entry.key.enctype() == enctype && entry.matches_kvno(kvno))
    }

    /// Every entry of other principals that a ticket of this type and version could be for, in
    /// the file's order. Whether an acceptor may use them is its policy (conformance row 7).
    pub fn others<'a>(
        &'a self,
        principal: &'a Principal,
        kvno: Option<u32>,
        enctype: Enctype,
    ) -> impl Iterator<Item = &'a Arc<KeytabEntry>> {
        self.entries.iter().filter(move |entry| {
            entry.key.enctype() == enctype
                && entry.matches_kvno(kvno)
                && entry.principal != *principal
        })
    }

    /// The newest key of `principal` for each type that `policy` permits, in the policy's order:
    /// what a client that logs in with a keytab uses. Keys of a wrong length are left out.
    #[must_use]
    pub fn client_keys(&self, principal: &Principal, policy: &EnctypePolicy) -> Vec<KeytabKey> {
        policy
            .enctypes()
            .iter()
            .filter_map(|&enctype| {
                let entry = self.find(principal, None, enctype).ok()?;
                Some(KeytabKey {
                    kvno: entry.kvno,
                    key: entry.key.key(policy).ok()?,
                })
            })
            .collect()
    }

    fn why_not(&self, principal: &Principal, kvno: Option<u32>, enctype: Enctype) -> KeyNotFound {
        let mut enctypes = Vec::new();
        let mut versions = Vec::new();
        for entry in self.of_principal(principal) {
            let found = entry.key.enctype();
            if !enctypes.contains(&found) {
                enctypes.push(found);
            }
            if found == enctype && !versions.contains(&entry.kvno) {
                versions.push(entry.kvno);
            }
        }
        let name = principal.to_string();
        if enctypes.is_empty() {
            return KeyNotFound::Principal {
                principal: name,
                entries: self.entries.len(),
            };
        }
        if versions.is_empty() {
            return KeyNotFound::Enctype {
                principal: name,
                enctype,
                available: enctypes,
            };
        }
        KeyNotFound::KeyVersion {
            principal: name,
            enctype,
            kvno: kvno.unwrap_or_default(),
            available: versions,
        }
    }
}

fn best<'a>(
    entries: impl Iterator<Item = &'a Arc<KeytabEntry>>,
    kvno: Option<u32>,
) -> Option<&'a Arc<KeytabEntry>> {
    entries.reduce(|best, entry| {
        if entry.is_better_than(best, kvno) {
            entry
        } else {
            best
        }
    })
}

impl FromIterator<KeytabEntry> for Keytab {
    fn from_iter<I: IntoIterator<Item = KeytabEntry>>(entries: I) -> Self {
        let mut keytab = Self::new();
        for entry in entries {
            keytab.push(entry);
        }
        keytab
    }
}
