//! Keytab files: the long-term keys of services and clients (MIT, "Keytab file format").
//!
//! Read are 0x0501 (integers in the machine's byte order) and 0x0502 (big-endian); written is
//! 0x0502. The file is a list of entries behind their 32-bit sizes, without a count: a file that
//! ends right behind an entry is whole. A negative size is a deleted entry.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;
use trihound_asn1::name_type;
use trihound_crypto::{Enctype, EnctypePolicy, Key};
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use crate::credentials::KeyMaterial;
use crate::name::Principal;
use crate::reader::{Order, Reader, Short};

const FORMAT: u8 = 5;
const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;

/// Why bytes are not a keytab, or a keytab cannot be written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeytabError {
    /// The first two bytes are not 05 01 or 05 02.
    #[error("not a keytab: it begins with {found:02x?} instead of [05, 02]")]
    UnknownVersion {
        /// What the file begins with, two bytes at most.
        found: Vec<u8>,
    },
    /// Something is longer than what is left of its entry or of the file.
    #[error(
        "keytab entry {entry}: {needed} bytes are needed at offset {offset} and the entry or \
         file ends before; the file is cut short or damaged"
    )]
    Truncated {
        /// Index of the entry, deleted ones not counted.
        entry: usize,
        /// Offset in the file.
        offset: usize,
        /// Number of bytes that should be there.
        needed: usize,
    },
    /// The size of an entry is the one negative number that has no counterpart.
    #[error(
        "keytab entry {entry}: the size at offset {offset} is -2147483648; the file is damaged"
    )]
    HoleSize {
        /// Index of the entry, deleted ones not counted.
        entry: usize,
        /// Offset of the size in the file.
        offset: usize,
    },
    /// In format 0x0501 the count includes the realm, so zero cannot be.
    #[error("keytab entry {entry}: the name at offset {offset} has no realm; the file is damaged")]
    NoRealm {
        /// Index of the entry, deleted ones not counted.
        entry: usize,
        /// Offset of the count in the file.
        offset: usize,
    },
    /// A part of an entry does not fit the format's length fields.
    #[error("keytab entry {entry}: {what} does not fit the file format")]
    TooLong {
        /// Index of the entry.
        entry: usize,
        /// The part in question.
        what: &'static str,
    },
}

/// Why no key was found, with what there is instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyNotFound {
    /// No entry is of this principal.
    #[error(
        "the keytab has no key of {principal} among its {entries} entries; \
         add one, or accept for a principal that it has"
    )]
    Principal {
        /// Whose key was looked for.
        principal: String,
        /// How many entries the keytab has.
        entries: usize,
    },
    /// The principal has keys, of other encryption types.
    #[error(
        "the keytab has no {enctype} key of {principal}, only {available:?}; \
         export the keytab again with the types that the KDC uses for this principal"
    )]
    Enctype {
        /// Whose key was looked for.
        principal: String,
        /// Of which type.
        enctype: Enctype,
        /// Types of the keys that there are.
        available: Vec<Enctype>,
    },
    /// The principal has keys of the type, of other versions.
    #[error(
        "the ticket is encrypted in version {kvno} of the {enctype} key of {principal}; the \
         keytab has {available:?}; export the keytab again, or get a fresh ticket"
    )]
    KeyVersion {
        /// Whose key was looked for.
        principal: String,
        /// Of which type.
        enctype: Enctype,
        /// Of which version.
        kvno: u32,
        /// Versions that there are.
        available: Vec<u32>,
    },
}

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
        let (version, body) = match bytes {
            [FORMAT, version @ (VERSION_1 | VERSION_2), body @ ..] => (*version, body),
            _ => {
                return Err(KeytabError::UnknownVersion {
                    found: bytes.iter().take(2).copied().collect(),
                });
            }
        };
        let order = if version == VERSION_1 {
            Order::NATIVE
        } else {
            Order::Big
        };
        let mut reader = Reader::new(body, order);
        let mut keytab = Self::new();
        while !reader.is_empty() {
            let entry = keytab.entries.len();
            let at = reader.offset();
            match reader.i32().map_err(|short| truncated(entry, short))? {
                // Room that was set aside and never used: there is nothing behind it.
                0 => break,
                // MIT doc formats/keytab: a negative size is a hole to skip, and this one's
                // absolute value is not a 32-bit integer.
                i32::MIN => {
                    return Err(KeytabError::HoleSize {
                        entry,
                        offset: at.saturating_add(2),
                    });
                }
                size => {
                    let length = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
                    let record = reader
                        .sub(length)
                        .map_err(|short| truncated(entry, short))?;
                    if size > 0 {
                        keytab.push(parse_entry(record, version, entry)?);
                    }
                }
            }
        }
        Ok(keytab)
    }

    /// Writes the keytab in format 0x0502, every version number in 8 and in 32 bits.
    ///
    /// # Errors
    ///
    /// [`KeytabError::TooLong`] when a name, a key or an encryption type does not fit.
    pub fn to_bytes(&self) -> Result<SecretBytes, KeytabError> {
        let mut out = vec![FORMAT, VERSION_2];
        for (index, entry) in self.entries.iter().enumerate() {
            let record = write_entry(entry, index)?;
            let size = i32::try_from(record.len()).map_err(|_| KeytabError::TooLong {
                entry: index,
                what: "the entry",
            })?;
            out.extend_from_slice(&size.to_be_bytes());
            out.extend_from_slice(record.expose());
        }
        Ok(SecretBytes::from(out))
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: KeytabEntry) {
        let index = self.entries.len();
        self.by_principal
            .entry(entry.principal.clone())
            .or_default()
            .push(index);
        self.entries.push(Arc::new(entry));
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
        let best = self
            .of_principal(principal)
            .filter(|entry| entry.key.enctype() == enctype && entry.matches_kvno(kvno))
            .reduce(|best, entry| {
                if entry.is_better_than(best, kvno) {
                    entry
                } else {
                    best
                }
            });
        best.ok_or_else(|| self.why_not(principal, kvno, enctype))
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

impl FromIterator<KeytabEntry> for Keytab {
    fn from_iter<I: IntoIterator<Item = KeytabEntry>>(entries: I) -> Self {
        let mut keytab = Self::new();
        for entry in entries {
            keytab.push(entry);
        }
        keytab
    }
}

fn truncated(entry: usize, short: Short) -> KeytabError {
    KeytabError::Truncated {
        entry,
        // The reader begins behind the two bytes of the version.
        offset: short.offset.saturating_add(2),
        needed: short.needed,
    }
}

fn parse_entry(
    mut record: Reader<'_>,
    version: u8,
    entry: usize,
) -> Result<KeytabEntry, KeytabError> {
    let short = |short| truncated(entry, short);
    let at = record.offset();
    let mut count = record.u16().map_err(short)?;
    if version == VERSION_1 {
        // MIT doc formats/keytab: version 1 counts the realm among the components.
        count = count.checked_sub(1).ok_or(KeytabError::NoRealm {
            entry,
            offset: at.saturating_add(2),
        })?;
    }
    let realm = record.counted16().map_err(short)?;
    let mut components = Vec::new();
    for _ in 0..count {
        components.push(record.counted16().map_err(short)?);
    }
    let name_type = if version == VERSION_1 {
        name_type::NT_PRINCIPAL
    } else {
        record.i32().map_err(short)?
    };
    let timestamp = Timestamp::from_seconds(i64::from(record.u32().map_err(short)?));
    let low_byte = u32::from(record.u8().map_err(short)?);
    let enctype = Enctype(i32::from(record.i16().map_err(short)?));
    let key = SecretBytes::from(record.counted16().map_err(short)?);
    // MIT doc formats/keytab: the 32-bit version is there if four bytes are, and counts if it is
    // not zero (conformance row 114). What else follows belongs to other implementations.
    let wide = if record.remaining() >= 4 {
        record.u32().map_err(short)?
    } else {
        0
    };
    Ok(KeytabEntry {
        principal: Principal::new(realm, name_type, components),
        timestamp,
        kvno: if wide == 0 { low_byte } else { wide },
        kvno_is_8_bit: wide == 0,
        key: KeyMaterial::new(enctype, key),
    })
}

fn write_entry(entry: &KeytabEntry, index: usize) -> Result<SecretBytes, KeytabError> {
    let too_long = |what| KeytabError::TooLong { entry: index, what };
    let principal = &entry.principal;
    let count = u16::try_from(principal.components().count())
        .map_err(|_| too_long("the number of name components"))?;
    let enctype = i16::try_from(entry.key.enctype().0)
        .map_err(|_| too_long("the number of the encryption type"))?;
    let low_byte = u8::try_from(entry.kvno & 0xff).unwrap_or_default();
    // The size is known beforehand so that no half-written key is left behind by growth.
    let names = principal
        .components()
        .map(|component| component.len().saturating_add(2))
        .fold(principal.realm.as_bytes().len(), usize::saturating_add);
    let key = entry.key.expose();
    let capacity = names.saturating_add(key.len()).saturating_add(21);

    let mut out = Vec::with_capacity(capacity);
    out.extend_from_slice(&count.to_be_bytes());
    write_counted(&mut out, principal.realm.as_bytes()).ok_or_else(|| too_long("the realm"))?;
    for component in principal.components() {
        write_counted(&mut out, component).ok_or_else(|| too_long("a name component"))?;
    }
    out.extend_from_slice(&principal.name.name_type.to_be_bytes());
    let seconds = u32::try_from(entry.timestamp.seconds()).unwrap_or_default();
    out.extend_from_slice(&seconds.to_be_bytes());
    out.push(low_byte);
    out.extend_from_slice(&enctype.to_be_bytes());
    write_counted(&mut out, key).ok_or_else(|| too_long("the key"))?;
    let wide = if entry.kvno_is_8_bit { 0 } else { entry.kvno };
    out.extend_from_slice(&wide.to_be_bytes());
    Ok(SecretBytes::from(out))
}

fn write_counted(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend_from_slice(bytes);
    Some(())
}
