//! The bytes for a client that it has not read yet.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::gateway::base::budget::{Budget, Held, Purpose, Reclaimable};

/// An answer goes to the HTTP library, which copies it, in slices of so many bytes.
pub(super) const SLICE: usize = 16 * 1024;
/// How long a client is never disconnected for others: its reading speed is not known yet.
const YOUNG: Duration = Duration::from_millis(500);

/// The write queue of one connection.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Pieces that were not handed to the library yet.
    parts: RefCell<VecDeque<Bytes>>,
    /// How many bytes of them would be given back.
    own: Cell<usize>,
    /// Bytes that the library has and cannot write.
    blocked: RefCell<Option<Held>>,
    /// Since when the client has been owed something, and how much it has taken since.
    since: Cell<Option<Instant>>,
    taken: Cell<usize>,
    /// Whether the budget was told of this queue.
    known: Cell<bool>,
}

impl Outgoing {
    /// The client is owed something from now on; whether this is the first time.
    pub(super) fn begin(&self) -> bool {
        if self.since.get().is_none() {
            self.since.set(Some(Instant::now()));
            self.taken.set(0);
        }
        !self.known.replace(true)
    }

    /// Puts more behind what there is; so many bytes of it are held for this client only.
    pub(super) fn push(&self, parts: impl IntoIterator<Item = Bytes>, own: usize) {
        self.parts.borrow_mut().extend(parts);
        self.own.set(self.own.get() + own);
    }

    /// The next slice for the library.
    pub(super) fn next(&self) -> Option<Bytes> {
        let mut parts = self.parts.borrow_mut();
        loop {
            let Some(first) = parts.front_mut() else {
                self.own.set(0);
                return None;
            };
            let slice = first.split_to(first.len().min(SLICE));
            if first.is_empty() {
                parts.pop_front();
            }
            if !slice.is_empty() {
                return Some(slice);
            }
        }
    }

    /// The client has taken this many bytes.
    pub(super) fn taken(&self, bytes: usize) {
        self.taken.set(self.taken.get().saturating_add(bytes));
    }

    /// Whether the client does not take what it is sent.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// How many bytes wait in the library.
    pub(super) fn blocked(&self) -> usize {
        self.blocked.borrow().as_ref().map_or(0, Held::bytes)
    }

    /// Sets how much waits in the library now; `more` was taken for it.
    pub(super) fn block(&self, budget: &Budget, more: Option<Held>, bytes: usize) {
        let mut blocked = self.blocked.borrow_mut();
        let held = blocked.get_or_insert_with(|| budget.nothing(Purpose::Sockets));
        if let Some(more) = more {
            held.add(more);
        }
        budget.note(held, bytes);
    }

    /// Nothing waits in the library; whether something did.
    pub(super) fn unblock(&self) -> bool {
        let Some(_) = self.since.get() else { return false };
        let was_blocked = self.blocked.take().is_some();
        if self.parts.borrow().is_empty() {
            self.since.set(None);
        }
        was_blocked
    }

    /// How many bytes would be freed.
    pub(super) fn offer(&self, now: Instant) -> Option<Reclaimable> {
        let age = now.checked_duration_since(self.since.get()?).filter(|age| *age >= YOUNG)?;
        let bytes = self.own.get() + self.blocked.try_borrow().ok()?.as_ref().map_or(0, Held::bytes);
        let pace = (self.taken.get() as u64).saturating_mul(1000) / age.as_millis().max(1) as u64;
        (bytes > 0).then_some(Reclaimable { pace, bytes })
    }

    /// Drops everything: nothing will be written any more.
    pub(super) fn clear(&self) {
        self.parts.borrow_mut().clear();
        self.own.set(0);
        self.blocked.take();
        self.since.set(None);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_out_is_what_was_put_in_and_no_slice_is_large(sizes in prop::collection::vec(0usize..70_000, 0..6)) {
            let outgoing = Outgoing::default();
            let parts: Vec<Bytes> = sizes.iter().enumerate().map(|(at, size)| vec![at as u8; *size].into()).collect();
            outgoing.push(parts.clone(), 0);
            let slices: Vec<Bytes> = std::iter::from_fn(|| outgoing.next()).collect();
            prop_assert!(slices.iter().all(|slice| !slice.is_empty() && slice.len() <= SLICE));
            prop_assert_eq!(slices.concat(), parts.concat());
        }
    }

    #[test]
    fn a_client_that_has_just_begun_to_read_is_not_asked_for_anything() {
        let outgoing = Outgoing::default();
        assert!(outgoing.begin() && !outgoing.begin());
        outgoing.push([Bytes::from_static(&[b'x'; 3000])], 3000);
        let now = Instant::now();
        assert_eq!(outgoing.offer(now), None);
        outgoing.taken(8000);
        let offer = outgoing.offer(now + 2 * YOUNG).expect("something is owed");
        assert_eq!((offer.bytes, offer.pace / 1000), (3000, 8));
        outgoing.clear();
        assert_eq!(outgoing.offer(now + 2 * YOUNG), None);
    }
}
