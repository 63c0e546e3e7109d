use std::collections::VecDeque;

use bytes::Bytes;

/// The last events of a stream, numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    kept: VecDeque<Bytes>,
    /// How many there ever were.
    said: u64,
    bytes: usize,
}

/// What a tape has under a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// This.
    Event(Bytes),
    /// Nothing any more.
    Gone {
        /// The oldest that is there, or would be the next.
        oldest: u64,
    },
    /// Nothing yet.
    NotYet,
}

impl Tape {
    /// Adds an event.
    pub(crate) fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.kept.push_back(message);
        self.said += 1;
    }

    /// Throws the oldest away until no more is kept than that; the last event may be spared.
    pub(crate) fn trim(&mut self, events: usize, bytes: usize, spare_last: bool) {
        let spared = usize::from(spare_last);
        while (self.kept.len() > events || self.bytes > bytes) && self.kept.len() > spared {
            if let Some(oldest) = self.kept.pop_front() {
                self.bytes -= oldest.len();
            }
        }
    }

    /// The event of that number.
    pub(crate) fn get(&self, number: u64) -> Heard {
        let oldest = self.next() - self.kept.len() as u64;
        match number.checked_sub(oldest).map(|at| usize::try_from(at).unwrap_or(usize::MAX)) {
            None => Heard::Gone { oldest },
            Some(at) => self.kept.get(at).map_or(Heard::NotYet, |message| Heard::Event(message.clone())),
        }
    }

    /// The number that the next event will have.
    pub(crate) fn next(&self) -> u64 {
        self.said + 1
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What is kept, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_is_the_newest_and_within_its_bounds(
            sizes in prop::collection::vec(0usize..50, 0..200), events in 1usize..20, bytes in 1usize..300, spare: bool
        ) {
            let mut tape = Tape::default();
            for (at, size) in sizes.iter().enumerate() {
                tape.push(vec![at as u8; *size].into());
                tape.trim(events, bytes, spare);
                prop_assert!(tape.kept.len() <= events);
                prop_assert!(tape.bytes <= bytes || (spare && tape.kept.len() == 1));
                prop_assert_eq!(tape.bytes, tape.kept.iter().map(Bytes::len).sum::<usize>());
            }
            let oldest = tape.next() - tape.kept.len() as u64;
            for (at, size) in sizes.iter().enumerate() {
                let number = at as u64 + 1;
                let heard = tape.get(number);
                if number < oldest {
                    prop_assert_eq!(heard, Heard::Gone { oldest });
                } else {
                    prop_assert_eq!(heard, Heard::Event(vec![at as u8; *size].into()));
                }
            }
            prop_assert_eq!(tape.get(tape.next()), Heard::NotYet);
            prop_assert_eq!(tape.get(u64::MAX), Heard::NotYet);
        }
    }
}
