//! What DNS said, for as long as it said.

use core::time::Duration;
use std::collections::HashMap;
use std::time::Instant;

use super::{Answer, RecordType, ResolveError};

/// The longest that anything is remembered, whatever the record says: a server moves, and a
/// service may run for months.
const MAX_LIFETIME: Duration = Duration::from_secs(3600);
/// The longest that the absence of a record is remembered.
const MAX_NEGATIVE_LIFETIME: Duration = Duration::from_secs(300);
/// How long the failure to get an answer is remembered (RFC 2308 section 7 allows five minutes):
/// long enough that one login does not wait for it twice.
const FAILURE_LIFETIME: Duration = Duration::from_secs(5);
/// How many names are remembered.
const MAX_ENTRIES: usize = 512;

type Found = Result<Answer, ResolveError>;

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<(String, RecordType), (Instant, Found)>,
}

impl Cache {
    pub(super) fn get(&self, name: &str, kind: RecordType, now: Instant) -> Option<Found> {
        let (until, found) = self.entries.get(&key(name, kind))?;
        (now < *until).then(|| found.clone())
    }

    pub(super) fn put(&mut self, name: &str, kind: RecordType, found: &Found, said: Duration) {
        let now = Instant::now();
        let lifetime = match found {
            Ok(answer) if answer.records.is_empty() => said.min(MAX_NEGATIVE_LIFETIME),
            Ok(_) => said.min(MAX_LIFETIME),
            Err(_) => FAILURE_LIFETIME,
        };
        if lifetime.is_zero() {
            return;
        }
        let key = key(name, kind);
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&key) {
            self.entries.retain(|_, (until, _)| now < *until);
        }
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&key) {
            let first = self.entries.iter().min_by_key(|(_, (until, _))| *until);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                self.entries.remove(&first);
            }
        }
        self.entries.insert(key, (now + lifetime, found.clone()));
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

fn key(name: &str, kind: RecordType) -> (String, RecordType) {
    (name.trim_end_matches('.').to_ascii_lowercase(), kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Record;

    fn answer(records: usize) -> Found {
        Ok(Answer {
            name: "a".into(),
            records: vec![Record::Ptr("b".into()); records],
        })
    }

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_lives_as_long_as_it_said_and_never_above_the_limit() {
        let mut cache = Cache::default();
        cache.put(
            "A.example.",
            RecordType::Srv,
            &answer(1),
            Duration::from_secs(60),
        );
        assert!(cache.get("a.EXAMPLE", RecordType::Srv, later(58)).is_some());
        assert!(cache.get("a.example", RecordType::Srv, later(61)).is_none());
        assert!(cache.get("a.example", RecordType::Uri, later(0)).is_none());
        for (found, limit) in [
            (answer(1), MAX_LIFETIME),
            (answer(0), MAX_NEGATIVE_LIFETIME),
            (Err(ResolveError::Other("x".into())), FAILURE_LIFETIME),
        ] {
            cache.put("b", RecordType::A, &found, Duration::MAX);
            let end = limit.as_secs();
            assert!(cache.get("b", RecordType::A, later(end - 2)).is_some());
            assert!(cache.get("b", RecordType::A, later(end + 1)).is_none());
        }
    }

    #[test]
    fn what_says_zero_is_not_remembered() {
        let mut cache = Cache::default();
        cache.put("a", RecordType::Srv, &answer(1), Duration::ZERO);
        assert!(cache.get("a", RecordType::Srv, later(0)).is_none());
    }

    #[test]
    fn the_number_of_names_is_bounded_and_the_soonest_to_end_goes() {
        let mut cache = Cache::default();
        for index in 0..=MAX_ENTRIES {
            let lifetime = Duration::from_secs(100 + index as u64);
            cache.put(&index.to_string(), RecordType::A, &answer(1), lifetime);
        }
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        assert!(cache.get("0", RecordType::A, later(0)).is_none());
        assert!(cache.get("1", RecordType::A, later(0)).is_some());
        cache.clear();
        assert!(cache.get("1", RecordType::A, later(0)).is_none());
    }
}
