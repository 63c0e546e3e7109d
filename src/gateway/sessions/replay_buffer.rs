//! The last events of one stream. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

/// How much of a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Most events.
    pub(crate) events: usize,
    /// Most bytes.
    pub(crate) bytes: usize,
}

/// The last events of a stream, numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct ReplayBuffer {
    /// Each with the bytes that were ever said up to its end.
    kept: VecDeque<(Bytes, u64)>,
    /// How many there ever were.
    said: u64,
    bytes: usize,
    bytes_said: u64,
}

/// The content of a buffer under a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
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

impl ReplayBuffer {
    /// Adds an event.
    pub(crate) fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.bytes_said += message.len() as u64;
        self.kept.push_back((message, self.bytes_said));
        self.said += 1;
    }

    /// Throws the oldest away until no more is kept than that; the last event may be spared.
    pub(crate) fn trim(&mut self, events: usize, bytes: usize, spare_last: bool) {
        let spared = usize::from(spare_last);
        while (self.kept.len() > events || self.bytes > bytes) && self.kept.len() > spared {
            self.forget_oldest();
        }
    }

    /// Throws away everything before that number.
    pub(crate) fn forget_before(&mut self, number: u64) {
        while self.oldest() < number && !self.kept.is_empty() {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((oldest, _)) = self.kept.pop_front() {
            self.bytes -= oldest.len();
        }
    }

    /// The event of that number.
    pub(crate) fn get(&self, number: u64) -> Lookup {
        let oldest = self.oldest();
        match number.checked_sub(oldest).map(|at| usize::try_from(at).unwrap_or(usize::MAX)) {
            None => Lookup::Gone { oldest },
            Some(at) => self.kept.get(at).map_or(Lookup::NotYet, |(message, _)| Lookup::Event(message.clone())),
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

    /// The size of the kept events, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The size of those with this number or a later one, in bytes.
    pub(crate) fn bytes_from(&self, number: u64) -> usize {
        let before = number.checked_sub(self.oldest() + 1).and_then(|at| self.kept.get(usize::try_from(at).ok()?));
        match before {
            Some((_, end)) => usize::try_from(self.bytes_said - end).unwrap_or(usize::MAX),
            None if number > self.oldest() => 0,
            None => self.bytes,
        }
    }

    /// The number of the oldest that is kept, or would be the next.
    pub(crate) fn oldest(&self) -> u64 {
        self.next() - self.kept.len() as u64
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
            let mut buffer = ReplayBuffer::default();
            for (at, size) in sizes.iter().enumerate() {
                buffer.push(vec![at as u8; *size].into());
                buffer.trim(events, bytes, spare);
                prop_assert!(buffer.kept.len() <= events);
                prop_assert!(buffer.bytes <= bytes || (spare && buffer.kept.len() == 1));
                prop_assert_eq!(buffer.bytes, buffer.kept.iter().map(|(message, _)| message.len()).sum::<usize>());
            }
            let oldest = buffer.next() - buffer.kept.len() as u64;
            for (at, size) in sizes.iter().enumerate() {
                let number = at as u64 + 1;
                let heard = buffer.get(number);
                if number < oldest {
                    prop_assert_eq!(heard, Lookup::Gone { oldest });
                } else {
                    prop_assert_eq!(heard, Lookup::Event(vec![at as u8; *size].into()));
                }
                let from = sizes[at.max(sizes.len() - buffer.kept.len())..].iter().sum::<usize>();
                prop_assert_eq!(buffer.bytes_from(number), from);
            }
            prop_assert_eq!(buffer.get(buffer.next()), Lookup::NotYet);
            prop_assert_eq!(buffer.get(u64::MAX), Lookup::NotYet);
            prop_assert_eq!((buffer.bytes_from(buffer.next()), buffer.bytes_from(u64::MAX)), (0, 0));
            buffer.forget_before(buffer.next());
            prop_assert!(buffer.is_empty() && buffer.bytes == 0);
        }
    }
}
