//! Security identifiers (MS-DTYP section 2.4.2).

use core::fmt;
use core::str::FromStr;

use crate::InvalidPac;
use crate::reader::{Order, Reader};

/// How many sub-authorities a SID may have (MS-DTYP section 2.4.2.2, SID_MAX_SUB_AUTHORITIES).
pub const MAX_SUB_AUTHORITIES: usize = 15;
/// The only revision of the structure.
const REVISION: u8 = 1;
/// The greatest identifier authority: it has six bytes.
const MAX_AUTHORITY: u64 = (1 << 48) - 1;
/// Greatest authority that is written in decimal digits (MS-DTYP section 2.4.2.1).
const MAX_DECIMAL_AUTHORITY: u64 = u32::MAX as u64;

/// A security identifier, such as `S-1-5-21-1-2-3-1104`: an account or a group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    authority: u64,
    count: u8,
    // Zero behind `count`, so that comparing everything compares the identifiers.
    sub_authorities: [u32; MAX_SUB_AUTHORITIES],
}

/// A text is not a SID of the form `S-1-authority-sub-...` (MS-DTYP section 2.4.2.1).
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a security identifier; write it as S-1-5-21-1-2-3-1104")]
pub struct SidTextError(pub String);

impl Sid {
    /// From an identifier authority below 2^48 and at most [`MAX_SUB_AUTHORITIES`] sub-authorities;
    /// `None` beyond that.
    #[must_use]
    pub fn new(authority: u64, sub_authorities: &[u32]) -> Option<Self> {
        if authority > MAX_AUTHORITY {
            return None;
        }
        let mut all = [0; MAX_SUB_AUTHORITIES];
        all.get_mut(..sub_authorities.len())?
            .copy_from_slice(sub_authorities);
        Some(Self {
            authority,
            count: u8::try_from(sub_authorities.len()).ok()?,
            sub_authorities: all,
        })
    }

    /// The identifier authority: 5 is NT AUTHORITY.
    #[must_use]
    pub fn authority(&self) -> u64 {
        self.authority
    }

    /// The sub-authorities; the last is the relative identifier.
    #[must_use]
    pub fn sub_authorities(&self) -> &[u32] {
        self.sub_authorities
            .get(..usize::from(self.count))
            .unwrap_or_default()
    }

    /// The account or group with that relative identifier in this domain; `None` where this SID has
    /// the most sub-authorities already.
    #[must_use]
    pub fn member(&self, relative_id: u32) -> Option<Self> {
        let mut member = *self;
        *member.sub_authorities.get_mut(usize::from(self.count))? = relative_id;
        member.count = self.count.checked_add(1)?;
        Some(member)
    }

    /// The domain and the relative identifier; `None` for a SID without sub-authorities.
    #[must_use]
    pub fn split_relative_id(&self) -> Option<(Self, u32)> {
        let mut domain = *self;
        domain.count = self.count.checked_sub(1)?;
        let last = domain.sub_authorities.get_mut(usize::from(domain.count))?;
        let relative_id = core::mem::take(last);
        Some((domain, relative_id))
    }

    /// Reads the binary form from all of `bytes` (MS-DTYP section 2.4.2.2).
    ///
    /// # Errors
    /// [`InvalidPac::MalformedSid`], [`InvalidPac::Truncated`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPac> {
        let mut reader = Reader::new(bytes, Order::Little);
        let sid = Self::read(&mut reader, "SID")?;
        if reader.is_empty() {
            Ok(sid)
        } else {
            Err(InvalidPac::MalformedSid { structure: "SID" })
        }
    }

    /// The binary form (MS-DTYP section 2.4.2.2).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let [_, _, authority @ ..] = self.authority.to_be_bytes();
        let mut bytes = vec![REVISION, self.count];
        bytes.extend(authority);
        for sub_authority in self.sub_authorities() {
            bytes.extend(sub_authority.to_le_bytes());
        }
        bytes
    }

    /// Reads the packed form, of which the length stands within.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        structure: &'static str,
    ) -> Result<Self, InvalidPac> {
        let malformed = InvalidPac::MalformedSid { structure };
        let short = super::short(structure);
        let (revision, count) = (reader.u8().map_err(short)?, reader.u8().map_err(short)?);
        // MS-DTYP 2.4.2.2: Revision MUST be 1, SubAuthorityCount at most 15.
        if revision != REVISION || usize::from(count) > MAX_SUB_AUTHORITIES {
            return Err(malformed);
        }
        let authority = reader
            .take(6)
            .map_err(short)?
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let mut all = [0; MAX_SUB_AUTHORITIES];
        for place in all.iter_mut().take(usize::from(count)) {
            *place = reader.u32().map_err(short)?;
        }
        Ok(Self {
            authority,
            count,
            sub_authorities: all,
        })
    }
}

impl fmt::Display for Sid {
    /// MS-DTYP section 2.4.2.1: an authority of more than 32 bits is written in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority > MAX_DECIMAL_AUTHORITY {
            write!(f, "S-1-{:#014x}", self.authority)?;
        } else {
            write!(f, "S-1-{}", self.authority)?;
        }
        self.sub_authorities()
            .iter()
            .try_for_each(|sub_authority| write!(f, "-{sub_authority}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = SidTextError;

    fn from_str(text: &str) -> Result<Self, SidTextError> {
        parse(text).ok_or_else(|| SidTextError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Sid> {
    let (prefix, rest) = text.split_at_checked(4)?;
    if !prefix.eq_ignore_ascii_case("S-1-") {
        return None;
    }
    let mut parts = rest.split('-');
    let authority = parts.next()?;
    let authority = match authority.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).ok()?
        }
        Some(_) => return None,
        None => decimal(authority)?,
    };
    let sub_authorities: Option<Vec<u32>> = parts.map(decimal).collect();
    Sid::new(authority, &sub_authorities?)
}

/// Digits alone: `parse` would take a sign as well.
fn decimal<N: FromStr>(digits: &str) -> Option<N> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}
