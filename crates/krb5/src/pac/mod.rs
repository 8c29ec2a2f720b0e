//! The PAC: who the client is for Active Directory, signed by the KDC (MS-PAC).
//!
//! ```text
//! bytes ── UnverifiedPac::parse ──► directory, bounds checked ── verify ──► (Pac, PacVerified)
//! ```
//!
//! [`UnverifiedPac`] knows where the buffers are and nothing of what they say. What they say comes
//! with [`Pac`], which [`UnverifiedPac::verify`] alone makes, after the server signature and the
//! client were checked, together with the proof [`PacVerified`].
//!
//! A KDC goes the other way with a [`PacBuilder`].

mod buffer;
mod build;
mod claims;
pub mod danger;
mod info;
mod logon_info;
mod ndr;
mod ndr_write;
mod policy;
mod sid;
mod time;
mod verify;
mod write;
mod xpress;

use crate::InvalidPac;
use crate::reader::{Order, Reader, Short};

pub use buffer::{Pac, PacBuffer, PacBufferType};
pub use build::{PacBuilder, PacKind, PacSigners, remove_pacs};
pub use claims::{
    ClaimEntry, ClaimValues, ClaimsArray, ClaimsSet, ClaimsSource, MAX_CLAIMS_LENGTH,
};
pub use info::{
    ClientInfo, CredentialInfo, PacAttributes, PacSignatureData, S4uDelegationInfo, SamNameAndSid,
    UpnDnsInfo,
};
pub use logon_info::{
    DeviceInfo, DomainGroupMembership, GroupMembership, KerbValidationInfo, SidAndAttributes,
    group_attributes, user_flags,
};
pub use ndr::{MAX_LIST, MAX_MEMBERSHIPS};
pub use policy::{PacAbsent, PacIgnored, PacPolicy, TicketPac};
pub use sid::{MAX_SUB_AUTHORITIES, Sid, SidTextError};
pub use time::FileTime;
pub use verify::{Demand, KdcChecks, PacCheck, PacVerified, TicketClient, pac_of_ticket};

/// The longest PAC that is looked at, in bytes. A ticket that Windows takes has 65,535 at most.
pub const MAX_PAC_LENGTH: usize = 1 << 20;
/// The most buffers: MS-PAC defines 15 types, and some room for those to come.
pub const MAX_PAC_BUFFERS: u32 = 64;

/// cBuffers and Version (MS-PAC section 2.3).
const HEADER_LENGTH: u64 = 8;
/// One PAC_INFO_BUFFER (MS-PAC section 2.4).
const INFO_LENGTH: u64 = 16;
const ALIGNMENT: u64 = 8;

/// PAC_INFO_BUFFER: where one buffer is (MS-PAC section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacInfoBuffer {
    /// What the buffer is.
    pub buffer_type: PacBufferType,
    /// Its size in bytes.
    pub size: u32,
    /// Where it begins, in bytes from the beginning of the PAC.
    pub offset: u64,
}

/// PACTYPE: a PAC of which the bounds hold and nothing else is known (MS-PAC section 2.3).
#[derive(Clone, Debug)]
pub struct UnverifiedPac<'a> {
    bytes: &'a [u8],
    buffers: Vec<PacInfoBuffer>,
}

impl<'a> UnverifiedPac<'a> {
    /// Reads the directory, with all arithmetic on counts, sizes and offsets checked in 64 bits
    /// (conformance row 41).
    ///
    /// # Errors
    /// [`InvalidPac`]: cut off, another version, too many buffers, a buffer that is not aligned, lies
    /// outside or shares bytes with another.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, InvalidPac> {
        let short = short("PACTYPE");
        if bytes.len() > MAX_PAC_LENGTH {
            return Err(InvalidPac::TooLong {
                length: bytes.len(),
                limit: MAX_PAC_LENGTH,
            });
        }
        let mut reader = Reader::new(bytes, Order::Little);
        let (count, version) = (reader.u32().map_err(short)?, reader.u32().map_err(short)?);
        // MS-PAC 2.3: Version MUST be 0.
        if version != 0 {
            return Err(InvalidPac::Version { found: version });
        }
        // CVE-2022-42898: a count whose product with the entry's size wraps around.
        if count > MAX_PAC_BUFFERS {
            return Err(InvalidPac::TooManyBuffers {
                count,
                limit: MAX_PAC_BUFFERS,
            });
        }
        let header = u64::from(count)
            .saturating_mul(INFO_LENGTH)
            .saturating_add(HEADER_LENGTH);
        let mut buffers = Vec::new();
        for _ in 0..count {
            let buffer = PacInfoBuffer {
                buffer_type: PacBufferType(reader.u32().map_err(short)?),
                size: reader.u32().map_err(short)?,
                offset: {
                    let (low, high) = (reader.u32().map_err(short)?, reader.u32().map_err(short)?);
                    u64::from(high) << 32 | u64::from(low)
                },
            };
            buffer.check(header, bytes.len())?;
            buffers.push(buffer);
        }
        check_overlaps(&buffers)?;
        Ok(Self { bytes, buffers })
    }

    /// The buffers, in the PAC's order.
    #[must_use]
    pub fn buffers(&self) -> &[PacInfoBuffer] {
        &self.buffers
    }

    /// The first buffer of that type: MS-PAC section 2.4 has further ones ignored.
    fn find(&self, buffer_type: PacBufferType) -> Option<&'a [u8]> {
        let found = self
            .buffers
            .iter()
            .find(|buffer| buffer.buffer_type == buffer_type)?;
        self.bytes.get(found.range()?)
    }
}

impl PacInfoBuffer {
    fn check(&self, header: u64, length: usize) -> Result<(), InvalidPac> {
        // MS-PAC 2.3: "All PAC elements MUST be placed on an 8-byte boundary."
        if !self.offset.is_multiple_of(ALIGNMENT) {
            return Err(InvalidPac::Misaligned {
                buffer: self.buffer_type,
                offset: self.offset,
            });
        }
        let end = self.offset.checked_add(u64::from(self.size));
        let length_64 = u64::try_from(length).unwrap_or(u64::MAX);
        // MS-PAC 2.4: Offset is from the beginning of PACTYPE, and buffers are behind the array.
        if self.offset < header || end.is_none_or(|end| end > length_64) {
            return Err(InvalidPac::BufferOutside {
                buffer: self.buffer_type,
                offset: self.offset,
                size: self.size,
                length,
            });
        }
        Ok(())
    }

    fn range(&self) -> Option<core::ops::Range<usize>> {
        let start = usize::try_from(self.offset).ok()?;
        Some(start..start.checked_add(usize::try_from(self.size).ok()?)?)
    }
}

/// MS-PAC 2.3: the contents stand one behind the other. Bytes of two buffers at once could be
/// zeroed as one's signature and read as the other's contents (conformance row 41).
fn check_overlaps(buffers: &[PacInfoBuffer]) -> Result<(), InvalidPac> {
    let mut sorted: Vec<&PacInfoBuffer> = buffers.iter().filter(|buffer| buffer.size > 0).collect();
    sorted.sort_by_key(|buffer| buffer.offset);
    for pair in sorted.windows(2) {
        if let [first, second] = pair
            && first.offset.saturating_add(first.size.into()) > second.offset
        {
            return Err(InvalidPac::BuffersOverlap {
                first: first.buffer_type,
                second: second.buffer_type,
            });
        }
    }
    Ok(())
}

/// Names the structure that was cut off.
fn short(structure: &'static str) -> impl Fn(Short) -> InvalidPac + Copy {
    move |short| InvalidPac::Truncated {
        structure,
        offset: short.offset,
        needed: short.needed,
    }
}
