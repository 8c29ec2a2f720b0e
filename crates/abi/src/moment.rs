//! Times.

use trihound::sansio::Timestamp;
use trihound::sspi::Expiry;

use crate::types::TimeStamp;

/// From 1601 to 1970, in microseconds.
const EPOCH: i64 = 11_644_473_600_000_000;

/// A moment as SSPI has it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the halves of a number
pub(crate) fn moment(time: Timestamp) -> TimeStamp {
    let ticks = time
        .total_microseconds()
        .saturating_add(EPOCH)
        .saturating_mul(10)
        .max(0);
    TimeStamp {
        LowPart: ticks as u32,
        HighPart: (ticks >> 32) as i32,
    }
}

/// An end as SSPI has it.
pub(crate) fn expiry(expiry: Expiry) -> TimeStamp {
    match expiry {
        Expiry::At(time) => moment(time),
        Expiry::Never => moment(Timestamp::MAX),
    }
}

/// The moment of a number of SSPI.
pub(crate) fn timestamp(stamp: TimeStamp) -> Timestamp {
    let ticks = i64::from(stamp.HighPart) << 32 | i64::from(stamp.LowPart);
    Timestamp::from_microseconds((ticks / 10).saturating_sub(EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_1601_in_tenths_of_microseconds() {
        let start = TimeStamp {
            LowPart: 0xD53E_8000,
            HighPart: 0x019D_B1DE,
        };
        assert_eq!(moment(Timestamp::from_seconds(0)), start);
        let later = Timestamp::from_microseconds(1_764_000_000_123_456);
        assert_eq!(timestamp(moment(later)), later);
    }

    #[test]
    fn never_is_the_largest_number_and_nothing_is_before_1601() {
        let never = expiry(Expiry::Never);
        assert_eq!((never.LowPart, never.HighPart), (u32::MAX, i32::MAX));
        assert_eq!(
            expiry(Expiry::At(Timestamp::MIN)),
            TimeStamp {
                LowPart: 0,
                HighPart: 0
            }
        );
    }
}
