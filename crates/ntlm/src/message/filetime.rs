use trihound_sansio::Timestamp;

/// A moment in units of 100 ns since 1601-01-01T00:00:00Z (FILETIME, MS-DTYP section 2.3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime(pub u64);

/// From 1601 to 1970 in microseconds.
const EPOCH: i128 = 11_644_473_600_000_000;

impl FileTime {
    /// From little-endian bytes, as the wire has it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// As the wire has it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

impl From<Timestamp> for FileTime {
    /// Saturates at both ends of the range.
    fn from(moment: Timestamp) -> Self {
        let ticks = (i128::from(moment.total_microseconds()) + EPOCH) * 10;
        Self(u64::try_from(ticks.max(0)).unwrap_or(u64::MAX))
    }
}

impl From<FileTime> for Timestamp {
    /// Loses the last decimal, 100 ns being finer than a microsecond.
    fn from(time: FileTime) -> Self {
        let microseconds = i128::from(time.0 / 10) - EPOCH;
        Self::from_microseconds(i64::try_from(microseconds).unwrap_or(i64::MAX))
    }
}
