//! The reverse of [`super::ndr`], for who issues PACs.

use super::{FileTime, Sid};
use crate::InvalidPac;

/// The common header of type serialization, with its filler (MS-RPCE section 2.2.6.1).
const COMMON_HEADER: [u8; 8] = [0x01, 0x10, 0x08, 0x00, 0xcc, 0xcc, 0xcc, 0xcc];
/// What pointers count up from; any number but zero would do (C706 section 14.3.10).
const FIRST_REFERENT: u32 = 0x0002_0000;

/// A structure and what its pointers name, in the order of the calls.
pub(super) struct NdrWriter {
    bytes: Vec<u8>,
    referent: u32,
    structure: &'static str,
}

impl NdrWriter {
    /// Begins with the pointer to the top-level structure.
    pub(super) fn new(structure: &'static str) -> Self {
        let mut writer = Self {
            bytes: Vec::new(),
            referent: FIRST_REFERENT,
            structure,
        };
        writer.pointer(true);
        writer
    }

    fn align(&mut self, size: usize) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(size), 0);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.align(2);
        self.bytes.extend(number.to_le_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend(number.to_le_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.align(8);
        self.bytes.extend(number.to_le_bytes());
    }

    /// Aligned as its two halves (MS-DTYP section 2.3.3).
    pub(super) fn file_time(&mut self, time: FileTime) {
        self.align(4);
        self.bytes.extend(time.0.to_le_bytes());
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len().saturating_add(count), 0);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    pub(super) fn pointer(&mut self, present: bool) {
        if present {
            self.referent = self.referent.wrapping_add(4);
            self.u32(self.referent);
        } else {
            self.u32(0);
        }
    }

    /// A number of elements that fits its field and the reader's bound.
    pub(super) fn count(
        &self,
        field: &'static str,
        length: usize,
        limit: u32,
    ) -> Result<u32, InvalidPac> {
        let count = u32::try_from(length).unwrap_or(u32::MAX);
        if count > limit {
            return Err(InvalidPac::TooMany {
                structure: self.structure,
                field,
                count,
                limit,
            });
        }
        Ok(count)
    }

    /// The fixed part of an RPC_UNICODE_STRING (MS-DTYP section 2.3.10).
    pub(super) fn string_header(&mut self, text: &str) -> Result<(), InvalidPac> {
        let limit = u16::MAX / 2;
        let units = self.count("characters", text.encode_utf16().count(), limit.into())?;
        let length = u16::try_from(units.saturating_mul(2)).unwrap_or(u16::MAX);
        self.align(4);
        self.u16(length);
        self.u16(length);
        self.pointer(true);
        Ok(())
    }

    /// Its characters.
    pub(super) fn string(&mut self, text: &str) -> Result<(), InvalidPac> {
        self.characters(text.encode_utf16().collect())
    }

    /// A string that ends in a zero character.
    pub(super) fn terminated_string(&mut self, text: &str) -> Result<(), InvalidPac> {
        self.characters(text.encode_utf16().chain([0]).collect())
    }

    fn characters(&mut self, units: Vec<u16>) -> Result<(), InvalidPac> {
        let count = self.count("characters", units.len(), u32::MAX)?;
        self.u32(count);
        self.u32(0);
        self.u32(count);
        units.into_iter().for_each(|unit| self.u16(unit));
        Ok(())
    }

    /// An RPC_SID (MS-DTYP section 2.4.2.3).
    pub(super) fn sid(&mut self, sid: &Sid) {
        self.u32(u32::try_from(sid.sub_authorities().len()).unwrap_or(u32::MAX));
        self.bytes.extend(sid.to_bytes());
    }

    /// All of it behind the headers of type serialization.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, InvalidPac> {
        self.align(8);
        let length = self.count("bytes", self.bytes.len(), u32::MAX)?;
        let mut all = COMMON_HEADER.to_vec();
        all.extend(length.to_le_bytes());
        all.extend([0; 4]);
        all.append(&mut self.bytes);
        Ok(all)
    }
}

/// Little-endian UTF-16.
pub(super) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
