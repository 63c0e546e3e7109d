//! A queue in which parties take turns: a party with a thousand items is served as often as a party with one.
//! Pure.

use std::collections::VecDeque;

/// How many items may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueBounds {
    /// Items of one party; one more is refused.
    pub(crate) of_party: usize,
    /// Items of all parties; one more displaces the newest item of the party with the most, unless that is its own.
    pub(crate) of_all: usize,
}

/// Why an item is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueFull {
    /// Its party has this many items already.
    Party(usize),
    /// The queue has this many items already.
    All(usize),
}

/// The number of a new item, and the item that it displaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Joined<T> {
    pub(crate) number: u64,
    pub(crate) displaced: Option<T>,
}

/// A queue of items `T` by party `K`.
#[derive(Debug)]
pub(crate) struct FairQueue<K, T> {
    bounds: QueueBounds,
    /// Parties with at least one item, in the order of their turns.
    parties: VecDeque<PartyQueue<K, T>>,
    waiting: usize,
    last: u64,
}

#[derive(Debug)]
struct PartyQueue<K, T> {
    key: K,
    waiting: VecDeque<(u64, T)>,
}

impl<K: PartialEq, T> FairQueue<K, T> {
    /// An empty queue.
    pub(crate) fn new(bounds: QueueBounds) -> Self {
        Self { bounds, parties: VecDeque::new(), waiting: 0, last: 0 }
    }

    /// Whether no item waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Adds an item. A party that had none has its turn after all others.
    pub(crate) fn join(&mut self, key: K, item: T) -> Result<Joined<T>, QueueFull> {
        let at = self.parties.iter().position(|party| party.key == key);
        let own = at.map_or(0, |at| self.parties[at].waiting.len());
        if own >= self.bounds.of_party {
            return Err(QueueFull::Party(own));
        }
        let displaced = if self.waiting < self.bounds.of_all { None } else { Some(self.displace(own)?) };
        self.last += 1;
        self.waiting += 1;
        let waits = (self.last, item);
        match self.parties.iter_mut().find(|party| party.key == key) {
            Some(party) => party.waiting.push_back(waits),
            None => self.parties.push_back(PartyQueue { key, waiting: VecDeque::from([waits]) }),
        }
        Ok(Joined { number: self.last, displaced })
    }

    /// Removes the newest item of the party that has the most, for an item of a party that has `own` items.
    fn displace(&mut self, own: usize) -> Result<T, QueueFull> {
        let full = QueueFull::All(self.waiting);
        let most = self.parties.iter_mut().max_by_key(|party| party.waiting.len()).ok_or(full)?;
        // Its own number grows by one, and it must not be as large as what it takes from.
        if most.waiting.len() <= own + 1 {
            return Err(full);
        }
        let (_, item) = most.waiting.pop_back().ok_or(full)?;
        self.waiting -= 1;
        Ok(item)
    }

    /// Takes the item whose turn it is; its party goes behind all others.
    pub(crate) fn next(&mut self) -> Option<T> {
        let mut party = self.parties.pop_front()?;
        let (_, item) = party.waiting.pop_front()?;
        self.waiting -= 1;
        if !party.waiting.is_empty() {
            self.parties.push_back(party);
        }
        Some(item)
    }

    /// Removes an item that does not wait any longer.
    pub(crate) fn leave(&mut self, key: &K, number: u64) -> Option<T> {
        let at = self.parties.iter().position(|party| party.key == *key)?;
        let party = &mut self.parties[at];
        let place = party.waiting.iter().position(|(of, _)| *of == number)?;
        let (_, item) = party.waiting.remove(place)?;
        self.waiting -= 1;
        if party.waiting.is_empty() {
            self.parties.remove(at);
        }
        Some(item)
    }

    /// Removes and returns all items.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = T> + use<K, T> {
        self.waiting = 0;
        std::mem::take(&mut self.parties).into_iter().flat_map(|party| party.waiting).map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    const PARTIES: usize = 5;
    const ROOMY: QueueBounds = QueueBounds { of_party: 1000, of_all: 10_000 };

    #[test]
    fn parties_take_turns_and_each_keeps_its_own_order() {
        let mut line = FairQueue::new(ROOMY);
        for (party, item) in [("ann", 1), ("ann", 2), ("ann", 3), ("bob", 4), ("cid", 5), ("bob", 6)] {
            line.join(party, item).expect("room");
        }
        let order: Vec<i32> = std::iter::from_fn(|| line.next()).collect();
        assert_eq!(order, [1, 4, 5, 2, 6, 3]);
        assert!(line.is_empty());
    }

    #[test]
    fn where_the_line_is_full_the_party_with_the_most_makes_room_for_one_with_fewer() {
        let mut line = FairQueue::new(QueueBounds { of_party: 4, of_all: 4 });
        (1..=4).for_each(|item| assert_eq!(line.join("ann", item).expect("room").displaced, None));
        assert_eq!(line.join("ann", 5), Err(QueueFull::Party(4)));
        assert_eq!(line.join("bob", 6).expect("room").displaced, Some(4));
        assert_eq!(line.join("bob", 7).expect("room").displaced, Some(3));
        assert_eq!(line.join("bob", 8), Err(QueueFull::All(4)), "they have as many");
        let left: Vec<i32> = line.take_all().collect();
        assert_eq!((left, line.is_empty()), (vec![1, 2, 6, 7], true));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Join(u8),
        Leave(usize),
        Next,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..PARTIES as u8).prop_map(Step::Join),
            1 => (0_usize..50).prop_map(Step::Leave),
            3 => Just(Step::Next),
        ]
    }

    proptest! {
        #[test]
        fn nobody_who_waits_is_passed_over_more_often_than_there_are_parties(
            steps in prop::collection::vec(step(), 0..300), of_party in 1_usize..20, of_all in 1_usize..40,
        ) {
            let mut line = FairQueue::new(QueueBounds { of_party, of_all });
            // Who waits, by party; and how often a party with somebody waiting was passed over since its last turn.
            let mut waiting: Vec<(u8, u64)> = Vec::new();
            let mut passed: HashMap<u8, usize> = HashMap::new();
            let mut named = 0_u64;
            for step in steps {
                match step {
                    Step::Join(party) => {
                        named += 1;
                        let own = waiting.iter().filter(|(of, _)| *of == party).count();
                        match line.join(party, (party, named)) {
                            Ok(Joined { number, displaced }) => {
                                prop_assert_eq!(number, line.last);
                                if let Some((of, gone)) = displaced {
                                    prop_assert!(of != party);
                                    waiting.retain(|waits| *waits != (of, gone));
                                }
                                waiting.push((party, named));
                            }
                            Err(QueueFull::Party(count)) => prop_assert_eq!((own, count), (of_party, of_party)),
                            Err(QueueFull::All(count)) => prop_assert_eq!((waiting.len(), count), (of_all, of_all)),
                        }
                    }
                    Step::Leave(at) if !waiting.is_empty() => {
                        let (party, item) = waiting.remove(at % waiting.len());
                        let number = line.parties.iter().flat_map(|p| &p.waiting).find(|(_, i)| *i == (party, item));
                        let number = number.expect("it waits").0;
                        prop_assert_eq!(line.leave(&party, number), Some((party, item)));
                        prop_assert_eq!(line.leave(&party, number), None);
                    }
                    Step::Leave(_) => {}
                    Step::Next => {
                        let next = line.next();
                        prop_assert_eq!(next.is_none(), waiting.is_empty());
                        let Some((party, item)) = next else { continue };
                        let first = waiting.iter().position(|(of, _)| *of == party).expect("it waits");
                        prop_assert_eq!(waiting.remove(first), (party, item), "each party keeps its order");
                        passed.remove(&party);
                        let others: HashSet<u8> = waiting.iter().map(|(of, _)| *of).filter(|of| *of != party).collect();
                        for other in others {
                            let times = passed.entry(other).or_default();
                            *times += 1;
                            prop_assert!(*times < PARTIES, "party {} was passed over {} times", other, times);
                        }
                    }
                }
                passed.retain(|party, _| waiting.iter().any(|(of, _)| of == party));
                prop_assert_eq!(line.waiting, waiting.len());
                prop_assert!(line.waiting <= of_all);
            }
        }
    }
}
