//! FILETIME (MS-DTYP section 2.3.3).

use trihound_sansio::Timestamp;

/// 1970-01-01T00:00:00Z as a FILETIME.
const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
/// 100 ns units in a microsecond and in a second.
const UNITS_PER_MICROSECOND: u64 = 10;
const UNITS_PER_SECOND: u64 = 10_000_000;

/// A moment in units of 100 ns since 1601-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileTime(pub u64);

impl FileTime {
    /// Not set.
    pub const ZERO: Self = Self(0);
    /// Never (MS-PAC section 2.5, LogoffTime).
    pub const NEVER: Self = Self(0x7fff_ffff_ffff_ffff);

    /// From whole seconds since 1970; `None` before 1601 and past the end of the range.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        let distance = seconds.unsigned_abs().checked_mul(UNITS_PER_SECOND)?;
        if seconds < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        }
        .map(Self)
    }

    /// The moment in microseconds; `None` for [`Self::ZERO`], for [`Self::NEVER`] and beyond.
    #[must_use]
    pub fn timestamp(self) -> Option<Timestamp> {
        if self == Self::ZERO || self >= Self::NEVER {
            return None;
        }
        let microseconds = |units: u64| i64::try_from(units / UNITS_PER_MICROSECOND).ok();
        Some(Timestamp::from_microseconds(
            microseconds(self.0)?.checked_sub(microseconds(UNIX_EPOCH)?)?,
        ))
    }
}
