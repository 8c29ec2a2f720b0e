//! The file format, read and written (MIT, "Keytab file format").

use trihound_asn1::name_type;
use trihound_crypto::Enctype;
use trihound_sansio::Timestamp;
use trihound_secret::SecretBytes;

use super::{Keytab, KeytabEntry, KeytabError};
use crate::credentials::KeyMaterial;
use crate::name::Principal;
use crate::reader::{Order, Reader, Short};

const FORMAT: u8 = 5;

/// Bytes of the version in front of the entries.
pub(super) const HEADER: usize = 2;

/// One of the two versions of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 0x0501: integers in the machine's byte order, the realm counted as a component.
    One,
    /// 0x0502: integers big-endian, names with a type.
    Two,
}

impl Version {
    /// What a new file has.
    pub(super) const WRITTEN: Self = Self::Two;

    pub(super) fn header(self) -> [u8; HEADER] {
        match self {
            Self::One => [FORMAT, 1],
            Self::Two => [FORMAT, 2],
        }
    }

    fn order(self) -> Order {
        match self {
            Self::One => Order::NATIVE,
            Self::Two => Order::Big,
        }
    }

    fn u16(self, value: u16) -> [u8; 2] {
        match self.order() {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self.order() {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        }
    }

    /// The size field of an entry of `length` bytes.
    pub(super) fn size(self, length: usize, entry: usize) -> Result<[u8; 4], KeytabError> {
        let size = i32::try_from(length).map_err(|_| too_long(entry, "the entry"))?;
        Ok(self.u32(size.cast_unsigned()))
    }

    /// The size field of a hole of `length` bytes.
    pub(super) fn hole(self, length: usize, entry: usize) -> Result<[u8; 4], KeytabError> {
        let size = i32::try_from(length).map_err(|_| too_long(entry, "the hole"))?;
        Ok(self.u32(size.wrapping_neg().cast_unsigned()))
    }
}

/// A stretch of the file behind a size field: an entry, or a hole where one was deleted.
pub(super) struct Block<'a> {
    /// Offset of the size field in the file.
    pub(super) offset: usize,
    /// Bytes behind the size field.
    pub(super) length: usize,
    /// The entry; `None` in a hole.
    record: Option<Reader<'a>>,
}

impl Block<'_> {
    pub(super) fn is_hole(&self) -> bool {
        self.record.is_none()
    }

    /// Offset of what follows.
    pub(super) fn end(&self) -> usize {
        self.offset.saturating_add(4).saturating_add(self.length)
    }
}

/// Where what is in a keytab file.
pub(super) struct Layout<'a> {
    pub(super) version: Version,
    pub(super) blocks: Vec<Block<'a>>,
    /// Offset at which the entries end: of a size of zero, or the length of the file.
    pub(super) end: usize,
}

impl<'a> Layout<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, KeytabError> {
        let (version, body) = match bytes {
            [FORMAT, 1, body @ ..] => (Version::One, body),
            [FORMAT, 2, body @ ..] => (Version::Two, body),
            _ => {
                return Err(KeytabError::UnknownVersion {
                    found: bytes.iter().take(HEADER).copied().collect(),
                });
            }
        };
        let mut reader = Reader::new(body, version.order());
        let mut blocks = Vec::new();
        let mut entry: usize = 0;
        let mut end = HEADER;
        while !reader.is_empty() {
            let offset = reader.offset().saturating_add(HEADER);
            // A writer that was killed while it set room aside: zeros, fewer than a size has.
            if reader.remaining() < 4 && reader.rest().iter().all(|byte| *byte == 0) {
                break;
            }
            let size = reader.i32().map_err(|short| truncated(entry, short))?;
            // Room that was set aside and never used: there is nothing behind it.
            if size == 0 {
                break;
            }
            // MIT doc formats/keytab: a negative size is a hole to skip, and the absolute value of
            // this one is not a 32-bit integer.
            if size == i32::MIN {
                return Err(KeytabError::HoleSize { entry, offset });
            }
            let length = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
            let record = reader
                .sub(length)
                .map_err(|short| truncated(entry, short))?;
            let record = (size > 0).then_some(record);
            entry = entry.saturating_add(usize::from(record.is_some()));
            let block = Block {
                offset,
                length,
                record,
            };
            end = block.end();
            blocks.push(block);
        }
        Ok(Self {
            version,
            blocks,
            end,
        })
    }

    /// The blocks that are entries, in the file's order.
    pub(super) fn live(&self) -> impl Iterator<Item = &Block<'a>> {
        self.blocks.iter().filter(|block| !block.is_hole())
    }

    pub(super) fn entries(&self) -> Result<Keytab, KeytabError> {
        let mut keytab = Keytab::new();
        for record in self.blocks.iter().filter_map(|block| block.record) {
            let entry = keytab.entries().len();
            keytab.push(parse_entry(record, self.version, entry)?);
        }
        Ok(keytab)
    }
}

fn truncated(entry: usize, short: Short) -> KeytabError {
    KeytabError::Truncated {
        entry,
        // The reader begins behind the version.
        offset: short.offset.saturating_add(HEADER),
        needed: short.needed,
    }
}

fn too_long(entry: usize, what: &'static str) -> KeytabError {
    KeytabError::TooLong { entry, what }
}

/// The most components that a name in a file may have. Those of people and services have one to three;
/// without a bound, two bytes of a file would take sixteen times as many of memory.
const MAX_NAME_COMPONENTS: u16 = 32;

fn parse_entry(
    mut record: Reader<'_>,
    version: Version,
    entry: usize,
) -> Result<KeytabEntry, KeytabError> {
    let short = |short| truncated(entry, short);
    let at = record.offset();
    let mut count = record.u16().map_err(short)?;
    if version == Version::One {
        // MIT doc formats/keytab: version 1 counts the realm among the components.
        count = count.checked_sub(1).ok_or(KeytabError::NoRealm {
            entry,
            offset: at.saturating_add(HEADER),
        })?;
    }
    if count > MAX_NAME_COMPONENTS {
        return Err(KeytabError::TooManyComponents {
            entry,
            offset: at.saturating_add(HEADER),
            count,
            limit: MAX_NAME_COMPONENTS,
        });
    }
    let realm = record.counted16().map_err(short)?;
    let mut components = Vec::new();
    for _ in 0..count {
        components.push(record.counted16().map_err(short)?);
    }
    let name_type = match version {
        Version::One => name_type::NT_PRINCIPAL,
        Version::Two => record.i32().map_err(short)?,
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

/// An entry without its size.
pub(super) fn write_entry(
    entry: &KeytabEntry,
    index: usize,
    version: Version,
) -> Result<SecretBytes, KeytabError> {
    let too_long = |what| too_long(index, what);
    let principal = &entry.principal;
    let in_count = match version {
        Version::One => principal.components().count().saturating_add(1),
        Version::Two => principal.components().count(),
    };
    if principal.components().count() > usize::from(MAX_NAME_COMPONENTS) {
        return Err(too_long("the number of name components"));
    }
    let count = u16::try_from(in_count).map_err(|_| too_long("the number of name components"))?;
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
    let counted = |out: &mut Vec<u8>, bytes: &[u8], what| {
        let length = u16::try_from(bytes.len()).map_err(|_| too_long(what))?;
        out.extend_from_slice(&version.u16(length));
        out.extend_from_slice(bytes);
        Ok::<(), KeytabError>(())
    };
    out.extend_from_slice(&version.u16(count));
    counted(&mut out, principal.realm.as_bytes(), "the realm")?;
    for component in principal.components() {
        counted(&mut out, component, "a name component")?;
    }
    if version == Version::Two {
        out.extend_from_slice(&version.u32(principal.name.name_type.cast_unsigned()));
    }
    let seconds = u32::try_from(entry.timestamp.seconds()).unwrap_or_default();
    out.extend_from_slice(&version.u32(seconds));
    out.push(low_byte);
    out.extend_from_slice(&version.u16(enctype.cast_unsigned()));
    counted(&mut out, key, "the key")?;
    let wide = if entry.kvno_is_8_bit { 0 } else { entry.kvno };
    out.extend_from_slice(&version.u32(wide));
    Ok(SecretBytes::from(out))
}
