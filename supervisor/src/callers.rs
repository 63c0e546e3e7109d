//! Places for callers of the control socket who have not said yet what they want: which callers have one, and which give theirs
//! up when there is none left. Processes of ours do not call there, so all that is at stake is that a person's `mcproxy` gets
//! through.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WaitingCaller<K> {
    key: K,
    pid: Option<u32>,
}

/// A bounded number of them, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Callers<K> {
    waiting: Vec<WaitingCaller<K>>,
    most: usize,
}

impl<K: Copy + PartialEq> Callers<K> {
    /// At most so many at once.
    pub(crate) fn new(most: usize) -> Self {
        Self { waiting: Vec::new(), most }
    }

    /// The caller that has to go before one more of that process may come, if any: of the process that has most places, with the
    /// new one, the one that waits longest. A process that calls again and again loses places of its own.
    pub(crate) fn make_room(&mut self, new: Option<u32>) -> Option<K> {
        if self.waiting.len() < self.most {
            return None;
        }
        let pids = || self.waiting.iter().map(|caller| caller.pid);
        let of = |pid: Option<u32>| pids().chain([new]).filter(|other| *other == pid).count();
        let most = self.waiting.iter().map(|caller| of(caller.pid)).max()?;
        let at = self.waiting.iter().position(|caller| of(caller.pid) == most)?;
        Some(self.waiting.remove(at).key)
    }

    /// One more.
    pub(crate) fn add(&mut self, key: K, pid: Option<u32>) {
        self.waiting.push(WaitingCaller { key, pid });
    }

    /// It has said what it wants, or is gone.
    pub(crate) fn remove(&mut self, key: K) {
        self.waiting.retain(|caller| caller.key != key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_place_of_whoever_has_most_goes_first() {
        let mut callers = Callers::new(4);
        for (key, pid) in [(1, 7), (2, 8), (3, 8), (4, 9)] {
            assert_eq!(callers.make_room(Some(pid)), None);
            callers.add(key, Some(pid));
        }
        assert_eq!(callers.make_room(None), Some(2));
        callers.add(5, None);
        assert_eq!(callers.make_room(Some(10)), Some(1), "all have one");
        callers.remove(5);
        assert_eq!(callers.make_room(Some(9)), None);
    }

    proptest! {
        #[test]
        fn one_process_takes_no_place_of_another_and_the_bound_holds(
            most in 1usize..8, others in 0u32..4, calls in 1usize..40,
        ) {
            let mut callers = Callers::new(most);
            let others = (0..others.min(most as u32 - 1)).map(|pid| (1_000 + pid, pid + 100));
            for (key, pid) in others.clone() {
                callers.add(key, Some(pid));
            }
            for key in 0..calls as u32 {
                if let Some(gone) = callers.make_room(Some(1)) {
                    // Before it has one there may be no other way.
                    prop_assert!(gone < 1_000 || callers.waiting.iter().all(|caller| caller.pid != Some(1)), "{gone}");
                }
                callers.add(key, Some(1));
                prop_assert!(callers.waiting.len() <= most);
            }
        }
    }
}
