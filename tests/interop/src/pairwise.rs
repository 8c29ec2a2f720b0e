use std::collections::BTreeSet;

/// A choice of values, so few that they can all be tried, in which every two values of two axes come
/// together at least once. `sizes` has the number of values of each axis; a row has one index an axis.
///
/// Greedy: a row begins with the first pair not met yet, and each further axis takes the value that
/// meets the most new pairs with those already chosen.
#[must_use]
pub fn pairwise(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut missing = all_pairs(sizes);
    let mut rows = Vec::new();
    while let Some(&first) = missing.iter().next() {
        let row = next_row(sizes, first, &missing, rows.len());
        for met in pairs_of(&row) {
            missing.remove(&met);
        }
        rows.push(row);
    }
    rows
}

/// Axis and value, twice; the first axis is the lower one.
type ValuePair = ((usize, usize), (usize, usize));

fn all_pairs(sizes: &[usize]) -> BTreeSet<ValuePair> {
    let mut pairs = BTreeSet::new();
    for (a, &size_a) in sizes.iter().enumerate() {
        for (b, &size_b) in sizes.iter().enumerate().skip(a + 1) {
            for value_a in 0..size_a {
                pairs.extend((0..size_b).map(|value_b| ((a, value_a), (b, value_b))));
            }
        }
    }
    pairs
}

fn pairs_of(row: &[usize]) -> Vec<ValuePair> {
    let mut pairs = Vec::new();
    for (a, &value_a) in row.iter().enumerate() {
        for (b, &value_b) in row.iter().enumerate().skip(a + 1) {
            pairs.push(((a, value_a), (b, value_b)));
        }
    }
    pairs
}

fn next_row(
    sizes: &[usize],
    first: ValuePair,
    missing: &BTreeSet<ValuePair>,
    turn: usize,
) -> Vec<usize> {
    let mut chosen = vec![first.0, first.1];
    for (axis, &size) in sizes.iter().enumerate() {
        if chosen.iter().any(|(taken, _)| *taken == axis) {
            continue;
        }
        // The turn breaks ties, so that no value is everyone's filling.
        let best = (0..size)
            .map(|value| (value + turn) % size)
            .max_by_key(|&value| new_pairs(&chosen, (axis, value), missing));
        chosen.extend(best.map(|value| (axis, value)));
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|(_, value)| value).collect()
}

fn new_pairs(
    chosen: &[(usize, usize)],
    candidate: (usize, usize),
    missing: &BTreeSet<ValuePair>,
) -> usize {
    chosen
        .iter()
        .filter(|&&other| missing.contains(&(other.min(candidate), other.max(candidate))))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_met() {
        for sizes in [&[3, 2, 5, 6, 5, 4, 2][..], &[1, 1], &[2, 2, 2, 2], &[4, 1]] {
            let rows = pairwise(sizes);
            for row in &rows {
                assert_eq!(row.len(), sizes.len());
                assert!(row.iter().zip(sizes).all(|(value, size)| value < size));
            }
            let met: BTreeSet<_> = rows.iter().flat_map(|row| pairs_of(row)).collect();
            assert_eq!(met, all_pairs(sizes), "{sizes:?}");
        }
    }

    #[test]
    fn far_fewer_rows_than_the_full_cross() {
        assert!(pairwise(&[3, 5, 4, 4, 6, 5, 4, 2, 2]).len() < 60);
        assert!(pairwise(&[]).is_empty());
    }
}
