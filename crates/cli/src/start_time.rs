//! When a postdated ticket is to begin (`kinit -s`).

use std::time::Duration;

use chrono::{Datelike, Local, NaiveDateTime, TimeZone};
use trihound_krb5::config::parse_duration;
use trihound_sansio::Timestamp;

/// MIT counts lengths of time in 32 bits with a sign: a longer row of digits is a date.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// The dates of kinit(1) and krb5's time formats, in the order in which they are tried.
const FORMATS: [&str; 7] = [
    "%Y%m%d%H%M%S",
    "%Y.%m.%d.%H.%M.%S",
    "%y%m%d%H%M%S",
    "%y.%m.%d.%H.%M.%S",
    "%y%m%d%H%M",
    "%d-%b-%Y:%H:%M:%S",
    "%d-%b-%Y:%H:%M",
];

/// So long from now, or a moment of the local time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartTime {
    /// After this time.
    In(Duration),
    /// At this moment.
    At(Timestamp),
}

impl StartTime {
    /// Reads what `-s` was given.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(length) = parse_duration(text).filter(|length| *length <= LONGEST) {
            return Ok(Self::In(length));
        }
        FORMATS
            .iter()
            .filter_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            // `%Y` takes two digits too, which are a year of this century.
            .find(|moment| moment.year() >= 1000)
            // A moment that the clocks skip in spring is none; of one that comes twice the first is meant.
            .and_then(|moment| Local.from_local_datetime(&moment).earliest())
            .map(|moment| Self::At(Timestamp::from_seconds(moment.timestamp())))
            .ok_or_else(|| {
                "write a length of time from now (10m, 1d2h) or a moment (20261231235900, 31-Dec-2026:23:59)"
                    .to_owned()
            })
    }

    /// The moment that is meant.
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(length) => now.plus(length),
            Self::At(moment) => moment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(year: i32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> StartTime {
        let moment = Local.with_ymd_and_hms(year, month, day, hour, minute, second);
        StartTime::At(Timestamp::from_seconds(
            moment.earliest().unwrap().timestamp(),
        ))
    }

    #[test]
    fn lengths_of_time_are_counted_from_now() {
        for (text, seconds) in [("10m", 600), ("90", 90), ("1d2h", 93_600), ("1:30", 5_400)] {
            let start = StartTime::parse(text).unwrap();
            let now = Timestamp::from_seconds(1_000);
            assert_eq!(start.after(now), Timestamp::from_seconds(1_000 + seconds));
        }
    }

    #[test]
    fn moments_are_those_of_the_local_time_zone() {
        let expected = local(2030, 12, 31, 12, 34, 56);
        for text in [
            "20301231123456",
            "2030.12.31.12.34.56",
            "301231123456",
            "30.12.31.12.34.56",
            "31-Dec-2030:12:34:56",
        ] {
            assert_eq!(StartTime::parse(text), Ok(expected), "{text}");
        }
        for text in ["3012311234", "31-Dec-2030:12:34"] {
            assert_eq!(
                StartTime::parse(text),
                Ok(local(2030, 12, 31, 12, 34, 0)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "banana", "20301331123456", "99999999999999", "-5m"] {
            assert!(StartTime::parse(text).is_err(), "{text}");
        }
    }
}
