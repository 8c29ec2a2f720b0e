//! What the exchanges are handed: the time, randomness, the configuration.

use core::fmt;
use std::net::IpAddr;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use trihound_sansio::{Clock, RandomSource, Timestamp};

use crate::{Config, Error};

/// The world as an exchange sees it. Cheap to clone; clones share everything, among it the memory
/// that keeps authenticator times apart.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives nonces, confounders, sub-keys and sequence numbers.
    pub random: Arc<dyn RandomSource>,
    /// The configuration (krb5.conf).
    pub config: Arc<Config>,
    /// The addresses of this host, which tickets are bound to where `noaddresses` is false
    /// ([`crate::AsRequest::configured`]). None unless somebody gives them.
    pub addresses: Arc<[IpAddr]>,
    last_authenticator: Arc<AtomicI64>,
}

/// How far an authenticator's time may run ahead of a clock that stands still or was set back,
/// in microseconds, before the clock is believed again. Far below any permitted skew.
const LEAD: i64 = 60_000_000;

/// Initial sequence numbers have 31 bits: MIT krb5 and Heimdal send no more, since old peers read
/// the field as signed (RFC 4120 section 5.3.2 allows 32).
const SEQUENCE_BITS: u32 = 0x7fff_ffff;

impl Environment {
    /// Puts the parts together.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>, config: Arc<Config>) -> Self {
        Self {
            clock,
            random,
            config,
            addresses: Arc::default(),
            last_authenticator: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    /// The present moment by the clock of this host, moved by `offset` microseconds (see
    /// [`crate::AsOutcome::time_offset`]).
    #[must_use]
    pub fn now(&self, offset: i64) -> Timestamp {
        self.clock.now().shifted(offset)
    }

    /// The same environment with a clock that is moved by `offset` microseconds.
    pub(crate) fn corrected(&self, offset: i64) -> Self {
        let clock = Arc::new(CorrectedClock {
            clock: Arc::clone(&self.clock),
            offset,
        });
        Self {
            clock,
            ..self.clone()
        }
    }

    /// A time for an authenticator that no other authenticator of this environment has
    /// (RFC 4120 section 5.5.1: ctime and cusec together must not repeat), even when the clock is
    /// coarse or stands still.
    pub(crate) fn unique_time(&self, offset: i64) -> Timestamp {
        let now = self.clock.now().total_microseconds();
        let choose = |last: i64| {
            let next = last.saturating_add(1);
            if now < next && next.saturating_sub(now) < LEAD {
                next
            } else {
                now
            }
        };
        let mut last = self.last_authenticator.load(Ordering::Relaxed);
        loop {
            let time = choose(last);
            match self.last_authenticator.compare_exchange_weak(
                last,
                time,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Timestamp::from_microseconds(time).shifted(offset),
                Err(other) => last = other,
            }
        }
    }

    /// A fresh random number of 31 bits: a nonce (RFC 4120 section 5.4.1), or the start of a
    /// sequence (section 5.3.2).
    pub(crate) fn random_31_bits(&self) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes) & SEQUENCE_BITS)
    }
}

struct CorrectedClock {
    clock: Arc<dyn Clock>,
    offset: i64,
}

impl Clock for CorrectedClock {
    fn now(&self) -> Timestamp {
        self.clock.now().shifted(self.offset)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::HashSet;

    use trihound_sansio::{FixedClock, RandomFailure};

    use super::*;

    struct Ones;
    impl RandomSource for Ones {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailure> {
            bytes.fill(0xff);
            Ok(())
        }
    }

    fn environment(clock: &Arc<FixedClock>) -> Environment {
        let clock: Arc<dyn Clock> = clock.clone();
        Environment::new(clock, Arc::new(Ones), Arc::new(Config::default()))
    }

    #[test]
    fn authenticator_times_differ_while_the_clock_stands_still() {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(1_000)));
        let environment = environment(&clock);
        let other = environment.clone();
        let times: HashSet<_> = (0..1000)
            .flat_map(|_| [environment.unique_time(0), other.unique_time(0)])
            .collect();
        assert_eq!(times.len(), 2000);
        assert!(times.iter().all(|time| time.seconds() == 1_000));
    }

    #[test]
    fn authenticator_times_follow_the_clock_and_its_correction() {
        let clock = Arc::new(FixedClock::new(Timestamp::from_seconds(1_000)));
        let environment = environment(&clock);
        assert_eq!(environment.unique_time(0), Timestamp::from_seconds(1_000));
        clock.advance(Duration::from_secs(5));
        assert_eq!(environment.unique_time(7), Timestamp::from_parts(1_005, 7));
        // Set back by an hour: the clock is believed again.
        clock.set(Timestamp::from_seconds(-2_600));
        assert_eq!(environment.unique_time(0), Timestamp::from_seconds(-2_600));
    }

    #[test]
    fn nonces_and_sequence_numbers_have_31_bits() {
        let clock = Arc::new(FixedClock::new(Timestamp::default()));
        assert_eq!(environment(&clock).random_31_bits().unwrap(), 0x7fff_ffff);
    }
}
