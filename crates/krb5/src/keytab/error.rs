//! What can be wrong with a keytab, and why a key is not found in one.

use thiserror::Error;
use trihound_crypto::Enctype;

/// Why bytes are not a keytab, or a keytab cannot be written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeytabError {
    /// The first two bytes are not 05 01 or 05 02.
    #[error("not a keytab: it begins with {found:02x?} instead of [05, 02]; export the keys anew")]
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
    /// A name has more components than any has.
    #[error(
        "keytab entry {entry}: the name at offset {offset} has {count} components and at most \
         {limit} are read; the file is damaged, or made to exhaust memory"
    )]
    TooManyComponents {
        /// Index of the entry, deleted ones not counted.
        entry: usize,
        /// Offset of the count in the file.
        offset: usize,
        /// The count, in format 0x0501 without the realm.
        count: u16,
        /// The most that is read.
        limit: u16,
    },
    /// An edit names an entry that the file does not have.
    #[error("the keytab has {entries} entries, none with the index {index}; read it again")]
    NoSuchEntry {
        /// Index of the entry, from 0, deleted ones not counted.
        index: usize,
        /// How many entries there are.
        entries: usize,
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
