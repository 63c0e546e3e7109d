//! A body that arrives in pieces, on the budget of all of them.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::gateway::base::budget::{Budget, Full, Held, Purpose, Reclaimable, Yielding};

/// The first block of a body, in bytes; each further one is as large as all before it, up to [`BLOCK`]. Blocks of few sizes leave no
/// holes in memory, as one does that grows.
const FIRST: usize = 2 * 1024;
/// The largest block.
const BLOCK: usize = 64 * 1024;
/// Memory of a request whose body is arriving, besides the body and its connection, in bytes. Measured, as the rest here, with 500
/// to 8,000 bodies of 16 to 600 kB that never complete.
const REQUEST: usize = 16 * 1024;
/// A body larger than this fills the buffers of its connection as well, which hold about as much more.
const BUFFERS: usize = 16 * 1024;

/// The cost of a block: the allocator needs about a quarter more for blocks that come and go.
fn cost(block: usize) -> usize {
    block + block / 4
}
/// How long a body is never aborted for others: its speed is not known yet.
const YOUNG: Duration = Duration::from_secs(1);

/// Why a body finds no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRoom {
    /// The budget is exhausted.
    #[error(transparent)]
    Full(#[from] Full),
    /// There was, and it is needed for faster ones.
    #[error(
        "the body was given up, as the slowest that was arriving when there was no more room (limits.totalBuffered); try again later"
    )]
    GaveWay,
}

/// The buffer of one body.
pub(super) struct Arriving {
    budget: Budget,
    /// Its length, if the client declared it.
    stated: Option<usize>,
    begun: Instant,
    arrived: Cell<usize>,
    room: RefCell<Room>,
    gave_way: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Default)]
struct Room {
    blocks: Vec<Vec<u8>>,
    /// The capacity of all blocks.
    capacity: usize,
    held: Option<Held>,
}

impl Arriving {
    /// Nothing of it has come yet; there may be no room even for that.
    pub(super) fn begin(budget: &Budget, stated: Option<usize>) -> Result<Rc<Self>, NoRoom> {
        let held = budget.take(Purpose::Bodies, REQUEST)?;
        let arriving = Rc::new(Self {
            budget: budget.clone(),
            stated,
            begun: Instant::now(),
            arrived: Cell::new(0),
            room: RefCell::new(Room { held: Some(held), ..Room::default() }),
            gave_way: Cell::new(false),
            waker: RefCell::default(),
        });
        budget.register(Purpose::Bodies, &arriving);
        Ok(arriving)
    }

    /// How many bytes have arrived.
    pub(super) fn arrived(&self) -> usize {
        self.arrived.get()
    }

    /// The next piece.
    pub(super) fn push(&self, mut piece: &[u8]) -> Result<(), NoRoom> {
        loop {
            if self.gave_way.get() {
                return Err(NoRoom::GaveWay);
            }
            let mut room = self.room.borrow_mut();
            if let Some(block) = room.blocks.last_mut() {
                let (now, later) = piece.split_at(piece.len().min(block.capacity() - block.len()));
                block.extend_from_slice(now);
                self.arrived.set(self.arrived() + now.len());
                piece = later;
            }
            if piece.is_empty() {
                return Ok(());
            }
            let (next, before) = (next_block(room.capacity, self.arrived(), self.stated), room.capacity);
            drop(room);
            let buffers = if before + next > BUFFERS && before <= BUFFERS { BUFFERS } else { 0 };
            // Not while the room is borrowed: this body may be the one that gives way.
            let more = self.budget.take(Purpose::Bodies, cost(next) + buffers)?;
            if !self.gave_way.get() {
                let mut room = self.room.borrow_mut();
                room.blocks.push(Vec::with_capacity(next));
                room.capacity += next;
                room.held.as_mut().expect("held from its beginning until it gives way").add(more);
            }
        }
    }

    /// All of it has come: it holds its room until the last reference to it is gone.
    pub(super) fn finish(&self) -> Bytes {
        let Room { mut blocks, held, .. } = self.room.take();
        let whole = match &mut blocks[..] {
            [only] => std::mem::take(only),
            _ => blocks.concat(),
        };
        let capacity = whole.capacity();
        drop(blocks);
        match held {
            Some(mut held) => {
                held.shrink_to(capacity);
                held.attach(whole.into())
            }
            None => whole.into(),
        }
    }

    /// Ready when it had to give way.
    pub(super) fn poll_gave_way(&self, cx: &mut Context<'_>) -> Poll<NoRoom> {
        if self.gave_way.get() {
            return Poll::Ready(NoRoom::GaveWay);
        }
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Yielding for Arriving {
    fn offer(&self, now: Instant) -> Option<Reclaimable> {
        let bytes = self.room.try_borrow().ok()?.held.as_ref()?.bytes();
        let age = now.checked_duration_since(self.begun).filter(|age| *age >= YOUNG)?;
        Some(Reclaimable { pace: (self.arrived() as u64).saturating_mul(1000) / age.as_millis().max(1) as u64, bytes })
    }

    fn give_way(&self) {
        self.gave_way.set(true);
        drop(self.room.take());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The size of the next block: as large as all before it, within bounds, and not beyond what the body says it is.
fn next_block(capacity: usize, arrived: usize, stated: Option<usize>) -> usize {
    let missing = stated.map_or(usize::MAX, |stated| stated.saturating_sub(arrived));
    capacity.clamp(FIRST, BLOCK).min(missing.max(1))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    const TOTAL: usize = 8 << 20;

    fn begin(budget: &Budget, stated: Option<usize>) -> Rc<Arriving> {
        Arriving::begin(budget, stated).expect("room")
    }

    #[test]
    fn a_body_takes_room_for_what_has_come_and_not_for_what_it_says_will() {
        let budget = Budget::new(TOTAL);
        let bodies: Vec<_> = (0..100).map(|_| begin(&budget, Some(TOTAL / 2))).collect();
        bodies.iter().for_each(|body| body.push(b"{").expect("room"));
        assert_eq!(budget.held(Purpose::Bodies), 100 * (REQUEST + cost(FIRST)));
        let more: Vec<_> = (0..TOTAL / REQUEST).map_while(|_| Arriving::begin(&budget, None).ok()).collect();
        assert!(more.len() < TOTAL / REQUEST / 2, "a request that waits for its body takes room before it comes");
        drop(more);
        drop(bodies);
        assert_eq!(budget.held(Purpose::Bodies), 0);
    }

    #[test]
    fn beyond_the_budget_the_slowest_gives_way_and_says_why() {
        let budget = Budget::new(TOTAL);
        let (slow, fast) = (begin(&budget, None), begin(&budget, None));
        slow.push(&[b' '; 100]).expect("room");
        fast.push(&[b' '; 60_000]).expect("room");
        let later = Instant::now() + 2 * YOUNG;
        let pace = |body: &Arriving| body.offer(later).expect("it holds something").pace;
        assert!(pace(&slow) < pace(&fast));
        assert_eq!(slow.offer(Instant::now()), None, "it has just begun");
        slow.give_way();
        assert_eq!(slow.push(b"x"), Err(NoRoom::GaveWay));
        assert_eq!(poll_fn(|cx| slow.poll_gave_way(cx)).now_or_never(), Some(NoRoom::GaveWay));
        assert_eq!(slow.offer(later), None);
        let error = fast.push(&vec![b' '; TOTAL]).expect_err("no room").to_string();
        assert!(error.contains("limits.totalBuffered"), "{error}");
    }

    proptest! {
        #[test]
        fn a_body_is_what_came_and_is_counted_until_it_is_dropped(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..12), says: bool
        ) {
            let budget = Budget::new(TOTAL);
            let whole = pieces.concat();
            let arriving = begin(&budget, says.then_some(whole.len()));
            for piece in &pieces {
                arriving.push(piece).expect("room");
                prop_assert!(budget.held(Purpose::Bodies) >= arriving.arrived());
            }
            let body = arriving.finish();
            drop(arriving);
            prop_assert_eq!(&body[..], &whole[..]);
            prop_assert!(budget.held(Purpose::Bodies) >= body.len());
            let part = body.slice(..body.len().min(1));
            drop(body);
            prop_assert!(part.is_empty() || budget.held(Purpose::Bodies) >= whole.len());
            drop(part);
            prop_assert_eq!(budget.held(Purpose::Bodies), 0);
        }
    }
}
