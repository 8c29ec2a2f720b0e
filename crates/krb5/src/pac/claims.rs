//! Claims: what a domain says about a user or a device beyond groups (MS-PAC sections 2.11 and 2.13;
//! MS-ADTS section 2.2.18).

use super::ndr::{MAX_LIST, Ndr, to_usize};
use super::xpress;
use crate::InvalidPac;

/// CLAIMS_COMPRESSION_FORMAT_NONE (MS-ADTS section 2.2.18.4).
const COMPRESSION_NONE: u16 = 0;
/// CLAIMS_COMPRESSION_FORMAT_XPRESS_HUFF, the one that domain controllers use.
const COMPRESSION_XPRESS_HUFF: u16 = 4;
/// The most bytes of claims after decompression (conformance row 191).
pub const MAX_CLAIMS_LENGTH: u32 = 1 << 20;
const METADATA: &str = "CLAIMS_SET_METADATA";
const SET: &str = "CLAIMS_SET";

/// CLAIMS_SET: claims by where they come from (MS-ADTS section 2.2.18.7).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClaimsSet {
    /// The arrays, in order.
    pub arrays: Vec<ClaimsArray>,
}

/// CLAIMS_ARRAY: claims of one source (MS-ADTS section 2.2.18.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsArray {
    /// Where the claims come from.
    pub source: ClaimsSource,
    /// The claims.
    pub entries: Vec<ClaimEntry>,
}

/// CLAIMS_SOURCE_TYPE (MS-ADTS section 2.2.18.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsSource {
    /// The directory.
    ActiveDirectory,
    /// A certificate.
    Certificate,
}

/// CLAIM_ENTRY: one claim and its values (MS-ADTS section 2.2.18.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimEntry {
    /// The claim's identifier, such as `ad://ext/department`.
    pub id: String,
    /// The values, all of one type.
    pub values: ClaimValues,
}

/// The values of a claim, by CLAIM_TYPE (MS-ADTS section 2.2.18.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimValues {
    /// CLAIM_TYPE_INT64, 1.
    Int64(Vec<i64>),
    /// CLAIM_TYPE_UINT64, 2.
    Uint64(Vec<u64>),
    /// CLAIM_TYPE_STRING, 3.
    String(Vec<String>),
    /// CLAIM_TYPE_BOOLEAN, 6.
    Boolean(Vec<bool>),
}

impl ClaimsSet {
    /// Reads the buffer of type 13 or 15; one without a byte holds no claims.
    ///
    /// # Errors
    /// [`InvalidPac`]: not NDR, cut off, counts that disagree or are over their bounds, compressed
    /// otherwise than with XPRESS and Huffman codes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut ndr = Ndr::open(bytes, METADATA)?;
        let set = (ndr.u32()?, ndr.pointer()?);
        let format = ndr.u16()?;
        let uncompressed = ndr.u32()?;
        // usReservedType and the reserved field behind it are ignored on receipt.
        let set = {
            ndr.u16()?;
            ndr.u32()?;
            ndr.pointer()?;
            ndr.bytes("claims", set)?
        };
        // MS-ADTS 2.2.18.8: without compression both sizes are of the same bytes.
        if format == COMPRESSION_NONE && to_usize(uncompressed) != set.len() {
            return Err(InvalidPac::CountsDiffer {
                structure: METADATA,
                field: "bytes of claims",
                announced: uncompressed,
                found: u32::try_from(set.len()).unwrap_or(u32::MAX),
            });
        }
        if uncompressed > MAX_CLAIMS_LENGTH {
            return Err(InvalidPac::TooMany {
                structure: METADATA,
                field: "bytes of claims",
                count: uncompressed,
                limit: MAX_CLAIMS_LENGTH,
            });
        }
        match format {
            _ if uncompressed == 0 => Ok(Self::default()),
            COMPRESSION_NONE => Self::read(&mut Ndr::open(set, SET)?),
            COMPRESSION_XPRESS_HUFF => {
                let set = xpress::decompress(set, to_usize(uncompressed))?;
                Self::read(&mut Ndr::open(&set, SET)?)
            }
            format => Err(InvalidPac::ClaimsCompressed { format }),
        }
    }

    fn read(ndr: &mut Ndr<'_>) -> Result<Self, InvalidPac> {
        let arrays = (ndr.u32()?, ndr.pointer()?);
        // Reserved: a type, a size and a pointer.
        ndr.u16()?;
        ndr.u32()?;
        ndr.pointer()?;
        let headers = ndr.list("arrays of claims", arrays, (MAX_LIST, 12), |ndr| {
            Ok((source(ndr.u16()?)?, (ndr.u32()?, ndr.pointer()?)))
        })?;
        let arrays: Result<_, InvalidPac> = headers
            .into_iter()
            .map(|(source, header)| {
                let entries = ndr.list("claims", header, (MAX_LIST, 16), EntryHeader::read)?;
                let entries: Result<_, InvalidPac> =
                    entries.into_iter().map(|entry| entry.entry(ndr)).collect();
                Ok(ClaimsArray {
                    source,
                    entries: entries?,
                })
            })
            .collect();
        Ok(Self { arrays: arrays? })
    }

    /// The claim of that identifier, whatever its source.
    #[must_use]
    pub fn claim(&self, id: &str) -> Option<&ClaimEntry> {
        self.arrays
            .iter()
            .flat_map(|array| &array.entries)
            .find(|entry| entry.id == id)
    }
}

fn source(number: u16) -> Result<ClaimsSource, InvalidPac> {
    match number {
        1 => Ok(ClaimsSource::ActiveDirectory),
        2 => Ok(ClaimsSource::Certificate),
        other => Err(InvalidPac::UndefinedValue {
            structure: SET,
            field: "source",
            value: other.into(),
        }),
    }
}

/// CLAIM_ENTRY without what its pointers name.
struct EntryHeader {
    kind: u16,
    values: (u32, bool),
}

impl EntryHeader {
    fn read(ndr: &mut Ndr<'_>) -> Result<Self, InvalidPac> {
        ndr.required_pointer("identifier of a claim")?;
        let (kind, discriminant) = (ndr.u16()?, ndr.u16()?);
        // C706 14.3.8: the discriminant of a non-encapsulated union is written once more.
        if kind != discriminant {
            return Err(InvalidPac::DiscriminantsDiffer {
                structure: SET,
                announced: kind,
                found: discriminant,
            });
        }
        Ok(Self {
            kind,
            values: (ndr.u32()?, ndr.pointer()?),
        })
    }

    fn entry(self, ndr: &mut Ndr<'_>) -> Result<ClaimEntry, InvalidPac> {
        let id = ndr.terminated_string()?;
        let (header, numbers) = (self.values, (MAX_LIST, 8));
        let what = "values of a claim";
        let values = match self.kind {
            1 => ClaimValues::Int64(
                ndr.list(what, header, numbers, |ndr| Ok(ndr.u64()?.cast_signed()))?,
            ),
            2 => ClaimValues::Uint64(ndr.list(what, header, numbers, Ndr::u64)?),
            3 => {
                let pointers = ndr.list(what, header, (MAX_LIST, 4), |ndr| {
                    ndr.required_pointer("text of a claim")
                })?;
                let texts: Result<_, InvalidPac> = pointers
                    .into_iter()
                    .map(|()| ndr.terminated_string())
                    .collect();
                ClaimValues::String(texts?)
            }
            6 => {
                ClaimValues::Boolean(ndr.list(what, header, numbers, |ndr| Ok(ndr.u64()? != 0))?)
            }
            other => {
                return Err(InvalidPac::UndefinedValue {
                    structure: SET,
                    field: "type of a claim",
                    value: other.into(),
                });
            }
        };
        Ok(ClaimEntry { id, values })
    }
}
