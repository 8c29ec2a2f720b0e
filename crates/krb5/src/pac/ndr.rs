//! The part of NDR 2.0 in which PAC buffers are written: type serialization version 1 (MS-RPCE
//! section 2.2.6) over the transfer syntax of C706 chapter 14, always little-endian here.
//!
//! Every structure is read by code of its own, fixed part first and then what its pointers name, so
//! that how deep reading goes never depends on the bytes. Every count is held against its bound and
//! against the bytes that are left before anything is allocated (conformance row 191).

use super::sid::{MAX_SUB_AUTHORITIES, Sid};
use super::{FileTime, short};
use crate::InvalidPac;
use crate::reader::{Order, Reader};

/// The most groups, SIDs or domains of one list. Windows takes tickets of 65,535 bytes at most
/// (MaxTokenSize), and a group is at least 8 of them.
pub const MAX_MEMBERSHIPS: u32 = 8192;
/// The most claims, values of a claim, or services that a login was delegated through.
pub const MAX_LIST: u32 = 4096;

/// Common header: version 1, little-endian, 8 bytes long (MS-RPCE section 2.2.6.1). The filler
/// behind it is ignored on receipt.
const COMMON_HEADER: [u8; 4] = [0x01, 0x10, 0x08, 0x00];

/// An RPC_UNICODE_STRING without its characters, which stand among what the pointers name
/// (MS-DTYP section 2.3.10).
#[derive(Clone, Copy)]
pub(super) struct StringHeader {
    length: u16,
    maximum_length: u16,
    present: bool,
}

pub(super) struct Ndr<'a> {
    reader: Reader<'a>,
    structure: &'static str,
}

impl<'a> Ndr<'a> {
    /// Reads the headers and the pointer to the top-level structure.
    pub(super) fn open(bytes: &'a [u8], structure: &'static str) -> Result<Self, InvalidPac> {
        let mut reader = Reader::new(bytes, Order::Little);
        let short = short(structure);
        // MS-RPCE 2.2.6.1: Version MUST be 1, Endianness 0x10 is little-endian, the header's
        // length MUST be 8.
        if reader.take(4).map_err(short)? != COMMON_HEADER {
            return Err(InvalidPac::NotNdr { structure });
        }
        reader.take(4).map_err(short)?;
        // MS-RPCE 2.2.6.2: the length of the object behind the private header.
        let length = reader.u32().map_err(short)?;
        reader.take(4).map_err(short)?;
        let reader = reader.sub(to_usize(length)).map_err(short)?;
        let mut ndr = Self { reader, structure };
        ndr.required_pointer("contents")?;
        Ok(ndr)
    }

    /// Primitives stand at multiples of their size (C706 section 14.2.2). The headers are 16 bytes,
    /// so that the offset in the whole serves as the offset in the object.
    fn align(&mut self, size: usize) -> Result<(), InvalidPac> {
        let padding = self.reader.offset().next_multiple_of(size) - self.reader.offset();
        self.reader.take(padding).map_err(short(self.structure))?;
        Ok(())
    }

    pub(super) fn u16(&mut self) -> Result<u16, InvalidPac> {
        self.align(2)?;
        self.reader.u16().map_err(short(self.structure))
    }

    pub(super) fn u32(&mut self) -> Result<u32, InvalidPac> {
        self.align(4)?;
        self.reader.u32().map_err(short(self.structure))
    }

    /// A hyper integer.
    pub(super) fn u64(&mut self) -> Result<u64, InvalidPac> {
        self.align(8)?;
        self.two_words()
    }

    /// FILETIME is a structure of two 32-bit integers, and so aligned as these
    /// (MS-DTYP section 2.3.3).
    pub(super) fn file_time(&mut self) -> Result<FileTime, InvalidPac> {
        self.align(4)?;
        self.two_words().map(FileTime)
    }

    fn two_words(&mut self) -> Result<u64, InvalidPac> {
        let short = short(self.structure);
        let low = self.reader.u32().map_err(short)?;
        let high = self.reader.u32().map_err(short)?;
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), InvalidPac> {
        self.reader.take(count).map_err(short(self.structure))?;
        Ok(())
    }

    /// A unique pointer: whether it names something (C706 section 14.3.10).
    pub(super) fn pointer(&mut self) -> Result<bool, InvalidPac> {
        Ok(self.u32()? != 0)
    }

    pub(super) fn required_pointer(&mut self, field: &'static str) -> Result<(), InvalidPac> {
        if self.pointer()? {
            Ok(())
        } else {
            Err(InvalidPac::NullPointer {
                structure: self.structure,
                field,
            })
        }
    }

    /// The size of a conformant array whose count stood elsewhere: both must agree, stay below
    /// `limit`, and so many elements of `size` bytes must be there.
    fn array(
        &mut self,
        field: &'static str,
        announced: u32,
        limit: u32,
        size: usize,
    ) -> Result<usize, InvalidPac> {
        let structure = self.structure;
        let found = self.u32()?;
        // C706 14.3.3.2: the size before the array is what size_is() said.
        if found != announced {
            return Err(InvalidPac::CountsDiffer {
                structure,
                field,
                announced,
                found,
            });
        }
        if found > limit {
            return Err(InvalidPac::TooMany {
                structure,
                field,
                count: found,
                limit,
            });
        }
        let needed = to_usize(found).saturating_mul(size);
        if needed > self.reader.remaining() {
            return Err(InvalidPac::Truncated {
                structure,
                offset: self.reader.offset(),
                needed,
            });
        }
        Ok(to_usize(found))
    }

    /// What a pointer to a counted array names: nothing for a null pointer, else as many elements
    /// as `announced`, each at least `size` bytes.
    pub(super) fn list<T>(
        &mut self,
        field: &'static str,
        (announced, present): (u32, bool),
        (limit, size): (u32, usize),
        mut element: impl FnMut(&mut Self) -> Result<T, InvalidPac>,
    ) -> Result<Vec<T>, InvalidPac> {
        if !present {
            return self.absent(field, announced);
        }
        let count = self.array(field, announced, limit, size)?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    fn absent<T>(&self, field: &'static str, announced: u32) -> Result<Vec<T>, InvalidPac> {
        if announced == 0 {
            Ok(Vec::new())
        } else {
            Err(InvalidPac::NullPointer {
                structure: self.structure,
                field,
            })
        }
    }

    /// An array of bytes, borrowed.
    pub(super) fn bytes(
        &mut self,
        field: &'static str,
        (announced, present): (u32, bool),
    ) -> Result<&'a [u8], InvalidPac> {
        if !present {
            self.absent::<u8>(field, announced)?;
            return Ok(&[]);
        }
        let count = self.array(field, announced, u32::MAX, 1)?;
        self.reader.take(count).map_err(short(self.structure))
    }

    /// The fixed part of an RPC_UNICODE_STRING (MS-DTYP section 2.3.10).
    pub(super) fn string_header(&mut self) -> Result<StringHeader, InvalidPac> {
        self.align(4)?;
        Ok(StringHeader {
            length: self.u16()?,
            maximum_length: self.u16()?,
            present: self.pointer()?,
        })
    }

    /// The characters of an RPC_UNICODE_STRING; a null pointer stands for the empty string.
    pub(super) fn string(&mut self, header: StringHeader) -> Result<String, InvalidPac> {
        let contradiction = InvalidPac::StringLength {
            structure: self.structure,
            offset: self.reader.offset(),
        };
        // MS-DTYP 2.3.10: lengths are in bytes and even, Length is at most MaximumLength.
        if !header.length.is_multiple_of(2) || header.length > header.maximum_length {
            return Err(contradiction);
        }
        if !header.present {
            return match header.length {
                0 => Ok(String::new()),
                _ => Err(contradiction),
            };
        }
        let (maximum, actual) = self.varying()?;
        if actual != u32::from(header.length / 2) || maximum != u32::from(header.maximum_length / 2)
        {
            return Err(contradiction);
        }
        self.characters(actual)
    }

    /// A string that ends in a zero character: `[string] wchar_t *`.
    pub(super) fn terminated_string(&mut self) -> Result<String, InvalidPac> {
        let structure = self.structure;
        let offset = self.reader.offset();
        let (_, actual) = self.varying()?;
        let mut text = self.characters(actual)?;
        // C706 14.3.4: the terminator is counted and stands last.
        if text.pop() == Some('\0') && !text.contains('\0') {
            Ok(text)
        } else {
            Err(InvalidPac::StringLength { structure, offset })
        }
    }

    /// The counts of a conformant and varying string: how many characters it may have, and has.
    fn varying(&mut self) -> Result<(u32, u32), InvalidPac> {
        let at = self.reader.offset();
        let (maximum, offset, actual) = (self.u32()?, self.u32()?, self.u32()?);
        // C706 14.3.4.2: a string's offset is zero, and it is not longer than its place.
        if offset != 0 || actual > maximum {
            return Err(InvalidPac::StringLength {
                structure: self.structure,
                offset: at,
            });
        }
        Ok((maximum, actual))
    }

    fn characters(&mut self, count: u32) -> Result<String, InvalidPac> {
        let bytes = self
            .reader
            .take(to_usize(count).saturating_mul(2))
            .map_err(short(self.structure))?;
        utf16(bytes, self.structure)
    }

    /// An RPC_SID: its size, and then the packed form (MS-DTYP section 2.4.2.3).
    pub(super) fn sid(&mut self) -> Result<Sid, InvalidPac> {
        let structure = self.structure;
        let announced = self.u32()?;
        let sid = Sid::read(&mut self.reader, structure)?;
        // C706 14.3.3.2: the array of sub-authorities has the size that is told before it.
        if to_usize(announced) > MAX_SUB_AUTHORITIES
            || to_usize(announced) != sid.sub_authorities().len()
        {
            return Err(InvalidPac::MalformedSid { structure });
        }
        Ok(sid)
    }

    pub(super) fn optional_sid(&mut self, present: bool) -> Result<Option<Sid>, InvalidPac> {
        present.then(|| self.sid()).transpose()
    }
}

/// A 32-bit count as a length; what the address space cannot hold is past the end in any case.
pub(super) fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Little-endian UTF-16 of an even number of bytes.
pub(super) fn utf16(bytes: &[u8], structure: &'static str) -> Result<String, InvalidPac> {
    let (units, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(InvalidPac::NotUtf16 { structure });
    }
    char::decode_utf16(units.iter().copied().map(u16::from_le_bytes))
        .collect::<Result<_, _>>()
        .map_err(|_| InvalidPac::NotUtf16 { structure })
}
