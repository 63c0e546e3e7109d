use std::{ops::Range, time::Duration};

/// Random numbers that a seed repeats (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }

    pub(super) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// One of these, each as often as its weight says.
    pub(super) fn choose<T: Copy>(&mut self, weighted: &[(u64, T)]) -> T {
        let mut rest = self.within(0..weighted.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in weighted {
            match rest.checked_sub(*weight) {
                Some(less) => rest = less,
                None => return *choice,
            }
        }
        unreachable!("the rest is below the sum of the weights")
    }
}
