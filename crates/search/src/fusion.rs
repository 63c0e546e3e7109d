//! Reciprocal rank fusion (Cormack, Clarke, Büttcher: "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
//! Methods", 2009): scores of different kinds cannot be compared, and ranks can.

use std::collections::BTreeMap;

use crate::Hit;

/// How little the first ranks count more than those that follow.
const K: f32 = 60.0;

/// One list of two, each best first: what stands high in both comes first; of equals in their order.
pub fn fuse(one: &[Hit], other: &[Hit]) -> Vec<Hit> {
    let mut scores: BTreeMap<(usize, usize), f32> = BTreeMap::new();
    for list in [one, other] {
        for (before, hit) in list.iter().enumerate() {
            *scores.entry((hit.segment, hit.tool)).or_default() += 1.0 / (K + 1.0 + before as f32);
        }
    }
    let mut hits: Vec<Hit> = scores.into_iter().map(|((segment, tool), score)| Hit { segment, tool, score }).collect();
    hits.sort_by(|one, other| other.score.total_cmp(&one.score));
    hits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(tools: &[usize]) -> Vec<Hit> {
        tools.iter().map(|&tool| Hit { segment: 0, tool, score: 1.0 }).collect()
    }

    fn fused(one: &[usize], other: &[usize]) -> Vec<usize> {
        fuse(&list(one), &list(other)).into_iter().map(|hit| hit.tool).collect()
    }

    #[test]
    fn what_both_know_comes_before_what_one_has_first() {
        assert_eq!(fused(&[1, 2, 3], &[4, 2]), [2, 1, 4, 3]);
        assert_eq!(fused(&[3, 1], &[]), [3, 1], "one list stays as it is");
        assert_eq!(fused(&[], &[3, 1]), [3, 1]);
        assert_eq!(fused(&[], &[]), [0_usize; 0]);
    }

    proptest! {
        #[test]
        fn each_is_there_once_and_no_order_of_both_is_turned_around(
            one in prop::collection::vec(0usize..40, 0..30), other in prop::collection::vec(0usize..40, 0..30)
        ) {
            let once = |mut tools: Vec<usize>| {
                let mut seen = std::collections::BTreeSet::new();
                tools.retain(|tool| seen.insert(*tool));
                tools
            };
            let (one, other) = (once(one), once(other));
            let all = fused(&one, &other);
            let mut sorted = [one.clone(), other.clone()].concat();
            sorted.sort_unstable();
            sorted.dedup();
            let mut found = all.clone();
            found.sort_unstable();
            prop_assert_eq!(found, sorted);
            let rank = |list: &[usize], tool| list.iter().position(|of| *of == tool).unwrap_or(usize::MAX);
            for (at, first) in all.iter().enumerate() {
                for second in &all[at + 1..] {
                    let is_worse = rank(&one, *first) > rank(&one, *second) && rank(&other, *first) > rank(&other, *second);
                    prop_assert!(!is_worse, "{first} before {second}");
                }
            }
        }
    }
}
