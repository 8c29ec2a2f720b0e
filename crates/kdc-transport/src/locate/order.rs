//! The order of records that have a priority and a weight.

use trihound_sansio::RandomSource;

/// Something with the two numbers of RFC 2782.
pub(super) trait Weighted {
    /// Lower comes first.
    fn priority(&self) -> u16;
    /// Higher comes first more often.
    fn weight(&self) -> u16;
}

/// RFC 2782, "Usage rules": by priority, and within one by chance, each as likely to be the next
/// as its weight is of the sum of the weights that are left. RFC 7553 section 4 has the same rule
/// for URI records.
pub(super) fn by_priority_and_weight<T: Weighted>(
    mut records: Vec<T>,
    random: &dyn RandomSource,
) -> Vec<T> {
    // Those of weight 0 stand in front of their group, so that they have a small chance.
    records.sort_by_key(|record| (record.priority(), record.weight() != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority();
        let group = || {
            records
                .iter()
                .take_while(|record| record.priority() == priority)
        };
        let sum: u64 = group().map(|record| u64::from(record.weight())).sum();
        let chosen = at_most(sum, random);
        let mut running = 0u64;
        let position = group().position(|record| {
            running = running.saturating_add(u64::from(record.weight()));
            running >= chosen
        });
        ordered.push(records.remove(position.unwrap_or(0)));
    }
    ordered
}

/// A number from 0 to `limit`, which is small against 2^64, so that the bias does not matter.
/// Without randomness the order is that of the records: worse balanced, and nothing else.
fn at_most(limit: u64, random: &dyn RandomSource) -> u64 {
    let mut bytes = [0; 8];
    if random.fill(&mut bytes).is_err() {
        return 0;
    }
    u64::from_be_bytes(bytes)
        .checked_rem(limit.saturating_add(1))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use trihound_crypto::OsRandom;
    use trihound_sansio::RandomFailure;

    impl Weighted for (u16, u16) {
        fn priority(&self) -> u16 {
            self.0
        }
        fn weight(&self) -> u16 {
            self.1
        }
    }

    struct Broken;
    impl RandomSource for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomFailure> {
            Err(RandomFailure {
                reason: "broken".into(),
            })
        }
    }

    #[test]
    fn the_lower_priority_is_first_whatever_the_weight() {
        for _ in 0..50 {
            let order = by_priority_and_weight(vec![(2, 9), (1, 1), (0, 0), (1, 60000)], &OsRandom);
            let priorities: Vec<_> = order.iter().map(|r| r.0).collect();
            assert_eq!(priorities, [0, 1, 1, 2]);
        }
    }

    #[test]
    fn within_a_priority_the_weight_is_the_chance_to_be_first() {
        let mut first = BTreeMap::new();
        for _ in 0..4000 {
            let order = by_priority_and_weight(vec![(0, 10), (0, 30), (0, 60)], &OsRandom);
            *first.entry(order[0].1).or_insert(0u32) += 1;
        }
        // Five standard deviations around 10, 30 and 60 per cent of 4000.
        for (weight, low, high) in [(10, 305, 500), (30, 1055, 1345), (60, 2245, 2555)] {
            let count = first[&weight];
            assert!((low..=high).contains(&count), "{first:?}");
        }
    }

    #[test]
    fn a_weight_of_zero_is_rarely_first_but_always_there() {
        let mut zero = 0;
        for _ in 0..1000 {
            let order = by_priority_and_weight(vec![(0, 1000), (0, 0)], &OsRandom);
            assert_eq!(order.len(), 2);
            zero += u32::from(order[0].1 == 0);
        }
        assert!(zero < 30, "{zero}");
    }

    #[test]
    fn without_randomness_nothing_is_lost() {
        let order = by_priority_and_weight(vec![(1, 5), (0, 7), (0, 3)], &Broken);
        assert_eq!(order.len(), 3);
        assert_eq!(order[2], (1, 5));
        assert!(by_priority_and_weight(Vec::<(u16, u16)>::new(), &OsRandom).is_empty());
    }
}
