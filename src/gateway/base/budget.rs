//! What clients and servers can make the HTTP thread hold, in one account (`limits.totalBuffered`).

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::{Rc, Weak},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;

/// What is no larger than this is small: it may use the last quarter of the budget, which large things leave free, and a
/// message of this size need not be guarded alone.
pub(crate) const SMALL: usize = 64 * 1024;
/// After a search for a holder that could give way found none, the next one is worth its time.
const FRUITLESS: Duration = Duration::from_millis(100);

/// What memory is held for. Each has a share of the budget; together they are more than the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Connections of clients: their sockets and tasks, and what reads and writes their bytes.
    Connections,
    /// Request bodies, from their first byte until nobody refers to them.
    Bodies,
    /// Requests under way, besides their bodies.
    Requests,
    /// Messages from workers that were not passed on yet.
    Frames,
    /// Answers until the client has taken them.
    Answers,
    /// What the HTTP library keeps for clients: heads of requests, and what was not written yet.
    Sockets,
    /// What streams of sessions keep.
    Streams,
    /// What waits for listeners of 2026-07-28.
    Listeners,
    /// What is kept of sessions for the next gateway.
    Notes,
    /// Questions of servers, and calls that wait for a client's answer to them.
    Questions,
    /// What sessions and listeners are subscribed to.
    Subscriptions,
    /// Results that are kept for clients which were shown their beginning.
    Results,
    /// Embeddings of tools.
    Vectors,
}

impl Purpose {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 13] = [
        Self::Connections,
        Self::Bodies,
        Self::Requests,
        Self::Frames,
        Self::Answers,
        Self::Sockets,
        Self::Streams,
        Self::Listeners,
        Self::Notes,
        Self::Questions,
        Self::Subscriptions,
        Self::Results,
        Self::Vectors,
    ];

    /// Its name in metrics and errors.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Bodies => "bodies",
            Self::Requests => "requests",
            Self::Frames => "frames",
            Self::Answers => "answers",
            Self::Sockets => "sockets",
            Self::Streams => "streams",
            Self::Listeners => "listeners",
            Self::Notes => "notes",
            Self::Questions => "questions",
            Self::Subscriptions => "subscriptions",
            Self::Results => "results",
            Self::Vectors => "vectors",
        }
    }

    /// The most of a budget that it may hold alone.
    fn share(self, total: usize) -> usize {
        match self {
            Self::Answers | Self::Frames => total,
            Self::Connections | Self::Bodies | Self::Requests | Self::Sockets | Self::Streams => total / 2,
            Self::Listeners | Self::Questions | Self::Subscriptions | Self::Vectors => total / 4,
            Self::Notes | Self::Results => total / 8,
        }
    }

    /// The most that all together may hold for something of this size and purpose to be added: what large requests and
    /// streams leave free is for answers, and for small things.
    fn ceiling(self, bytes: usize, total: usize) -> usize {
        match self {
            Self::Answers | Self::Frames => total,
            Self::Connections | Self::Bodies | Self::Requests if bytes <= SMALL => total,
            _ => total / 4 * 3,
        }
    }
}

/// There is no room for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for more {} (limits.totalBuffered is {total} bytes); try again later", .purpose.as_str())]
pub(crate) struct Full {
    purpose: Purpose,
    total: usize,
}

/// What a holder could give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reclaimable {
    /// How fast its client goes, in bytes a second since it began: the slowest gives way first.
    pub(crate) pace: u64,
    /// What it holds, in bytes.
    pub(crate) bytes: usize,
}

/// A holder that can give back what it holds before its time: a client that takes its answer slowly, or sends its body slowly.
pub(crate) trait Yielding {
    /// What it could give back. `None`: nothing, or it began a moment ago.
    fn offer(&self, now: Instant) -> Option<Reclaimable>;

    /// Gives back all of it, at once.
    fn give_way(&self);
}

/// The account. One for the life of the process, which is why what is held refers to it for ever.
struct Ledger {
    total: AtomicUsize,
    sum: AtomicUsize,
    held: [AtomicUsize; Purpose::ALL.len()],
    refused: [AtomicU64; Purpose::ALL.len()],
}

impl Ledger {
    fn fits(&self, purpose: Purpose, more: usize) -> bool {
        self.lacks(purpose, more) == 0
    }

    /// How much would have to be given back for so much more to fit.
    fn lacks(&self, purpose: Purpose, more: usize) -> usize {
        let total = self.total.load(Relaxed);
        let own = self.held[purpose as usize].load(Relaxed).saturating_add(more);
        let all = self.sum.load(Relaxed).saturating_add(more);
        own.saturating_sub(purpose.share(total)).max(all.saturating_sub(purpose.ceiling(more, total)))
    }

    fn add(&self, purpose: Purpose, bytes: usize) {
        self.held[purpose as usize].fetch_add(bytes, Relaxed);
        self.sum.fetch_add(bytes, Relaxed);
    }

    fn give_back(&self, purpose: Purpose, bytes: usize) {
        self.held[purpose as usize].fetch_sub(bytes, Relaxed);
        self.sum.fetch_sub(bytes, Relaxed);
    }
}

/// Holders that may be asked to give way.
#[derive(Default)]
struct Holders(RefCell<Vec<Weak<dyn Yielding>>>);

impl Holders {
    fn add(&self, holder: Weak<dyn Yielding>) {
        let mut all = self.0.borrow_mut();
        if all.len() == all.capacity() {
            all.retain(|holder| holder.strong_count() > 0);
        }
        all.push(holder);
    }

    /// Those that could give way now.
    fn offers(&self, now: Instant) -> Vec<(Reclaimable, Rc<dyn Yielding>)> {
        let mut all = self.0.borrow_mut();
        all.retain(|holder| holder.strong_count() > 0);
        all.iter().filter_map(Weak::upgrade).filter_map(|holder| Some((holder.offer(now)?, holder))).collect()
    }
}

/// The handle to the account.
#[derive(Clone)]
pub(crate) struct Budget(Rc<BudgetState>);

struct BudgetState {
    ledger: &'static Ledger,
    /// Clients that have an answer to take.
    readers: Holders,
    /// Clients whose bodies are arriving.
    writers: Holders,
    gave_way: Cell<u64>,
    fruitless: Cell<Option<Instant>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("total", &self.total()).finish_non_exhaustive()
    }
}

impl Budget {
    /// The account of a process; what it takes itself is never freed.
    pub(crate) fn new(total: usize) -> Self {
        let ledger = Ledger {
            total: AtomicUsize::new(total),
            sum: AtomicUsize::new(0),
            held: Default::default(),
            refused: Default::default(),
        };
        Self(Rc::new(BudgetState {
            ledger: Box::leak(Box::new(ledger)),
            readers: Holders::default(),
            writers: Holders::default(),
            gave_way: Cell::new(0),
            fruitless: Cell::new(None),
        }))
    }

    /// From now on no more than this is held; what is held already stays.
    pub(crate) fn set_total(&self, total: usize) {
        self.0.ledger.total.store(total, Relaxed);
    }

    /// How much may be held in all.
    pub(crate) fn total(&self) -> usize {
        self.0.ledger.total.load(Relaxed)
    }

    /// How much is held for a purpose.
    pub(crate) fn held(&self, purpose: Purpose) -> usize {
        self.0.ledger.held[purpose as usize].load(Relaxed)
    }

    /// How often there was no room for a purpose.
    pub(crate) fn refused(&self, purpose: Purpose) -> u64 {
        self.0.ledger.refused[purpose as usize].load(Relaxed)
    }

    /// How many holders had to give way.
    pub(crate) fn gave_way(&self) -> u64 {
        self.0.gave_way.get()
    }

    /// Takes room; the slowest clients lose theirs if there is none.
    pub(crate) fn take(&self, purpose: Purpose, bytes: usize) -> Result<Held, Full> {
        let mut held = self.nothing(purpose);
        self.grow(&mut held, bytes)?;
        Ok(held)
    }

    /// Takes more room for the same.
    pub(crate) fn grow(&self, held: &mut Held, more: usize) -> Result<(), Full> {
        let Held { ledger, purpose, .. } = *held;
        if !ledger.fits(purpose, more) && !self.make_room(purpose, more) {
            ledger.refused[purpose as usize].fetch_add(1, Relaxed);
            return Err(Full { purpose, total: self.total() });
        }
        ledger.add(purpose, more);
        held.bytes += more;
        Ok(())
    }

    /// Counts what is there already and cannot be refused, of something that has a bound of its own.
    pub(crate) fn note(&self, held: &mut Held, bytes: usize) {
        held.shrink_to(bytes);
        held.ledger.add(held.purpose, bytes - held.bytes);
        held.bytes = bytes;
    }

    /// Nothing yet, for what is counted by [`Budget::grow`] and [`Budget::note`].
    pub(crate) fn nothing(&self, purpose: Purpose) -> Held {
        Held { ledger: self.0.ledger, purpose, bytes: 0 }
    }

    /// The same message, which gives its room back when its last slice is dropped: however many queues share it, it is counted
    /// once.
    pub(crate) fn guard(&self, purpose: Purpose, message: Bytes) -> Result<Bytes, Full> {
        Ok(self.take(purpose, message.len())?.attach(message))
    }

    /// The same of a message that is large; a small one is as it was, and not counted alone.
    pub(crate) fn guard_large(&self, purpose: Purpose, message: Bytes) -> Result<Bytes, Full> {
        if message.len() > SMALL { self.guard(purpose, message) } else { Ok(message) }
    }

    /// Whether there could be room for so much if clients took, or lost, what they are owed.
    pub(crate) fn may_have_room(&self, bytes: usize) -> bool {
        let owed: usize =
            [Purpose::Answers, Purpose::Frames, Purpose::Sockets].map(|purpose| self.held(purpose)).iter().sum();
        bytes <= self.total() && self.0.ledger.lacks(Purpose::Answers, bytes) <= owed
    }

    /// From now on a holder may be asked to give way: one of [`Purpose::Bodies`], or one that has an answer to take.
    pub(crate) fn register(&self, purpose: Purpose, holder: &Rc<impl Yielding + 'static>) {
        let holder: Rc<dyn Yielding> = holder.clone();
        let holders = if purpose == Purpose::Bodies { &self.0.writers } else { &self.0.readers };
        holders.add(Rc::downgrade(&holder));
    }

    fn make_room(&self, purpose: Purpose, more: usize) -> bool {
        let BudgetState { ledger, readers, writers, gave_way, fruitless } = &*self.0;
        let total = self.total();
        if more > purpose.share(total).min(purpose.ceiling(more, total)) {
            return false;
        }
        let alone = self.held(purpose).saturating_add(more) > purpose.share(total);
        let holders: &[&Holders] = match (purpose, alone) {
            (Purpose::Bodies, true) => &[writers],
            (Purpose::Answers | Purpose::Sockets | Purpose::Frames, true) => &[readers],
            (_, true) => &[],
            (_, false) => &[readers, writers],
        };
        let now = Instant::now();
        let in_vain = fruitless.get().is_some_and(|at| now.saturating_duration_since(at) < FRUITLESS);
        // What nobody could make room for says nothing about the next search.
        if holders.is_empty() || in_vain {
            return false;
        }
        let mut offers: Vec<_> = holders.iter().flat_map(|holders| holders.offers(now)).collect();
        offers.sort_by_key(|(offer, _)| offer.pace);
        let offered: usize = offers.iter().map(|(offer, _)| offer.bytes).sum();
        // Nobody loses anything where it would not help.
        let offers = if offered >= ledger.lacks(purpose, more) { offers } else { Vec::new() };
        for (_, holder) in offers {
            if ledger.fits(purpose, more) {
                break;
            }
            holder.give_way();
            gave_way.set(gave_way.get() + 1);
        }
        let fits = ledger.fits(purpose, more);
        fruitless.set((!fits).then_some(now));
        fits
    }
}

/// A part of the budget that is taken; dropping it gives it back.
pub(crate) struct Held {
    ledger: &'static Ledger,
    purpose: Purpose,
    bytes: usize,
}

impl Held {
    /// How much it is.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in another part that was taken for the same.
    pub(crate) fn add(&mut self, mut other: Self) {
        debug_assert_eq!(self.purpose, other.purpose);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives back what is beyond that.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.ledger.give_back(self.purpose, less);
        self.bytes -= less;
    }

    /// The same message, which gives this back when its last slice is dropped.
    pub(crate) fn attach(self, message: Bytes) -> Bytes {
        Bytes::from_owner(Guarded { message, _held: self })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.give_back(self.purpose, self.bytes);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("purpose", &self.purpose).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A message and its room.
struct Guarded {
    message: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Guarded {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOTAL: usize = 8 << 20;

    #[test]
    fn what_is_dropped_is_given_back_and_a_shared_message_is_counted_until_its_last_slice() {
        let budget = Budget::new(TOTAL);
        let mut held = budget.take(Purpose::Streams, 1000).expect("room");
        budget.grow(&mut held, 500).expect("room");
        assert_eq!((held.bytes(), budget.held(Purpose::Streams)), (1500, 1500));
        held.shrink_to(700);
        assert_eq!(budget.held(Purpose::Streams), 700);
        drop(held);
        let message = budget.guard(Purpose::Listeners, Bytes::from(vec![b'x'; 4000])).expect("room");
        let queues: Vec<Bytes> = (0..100).map(|_| message.slice(10..20)).collect();
        drop(message);
        assert_eq!(budget.held(Purpose::Listeners), 4000);
        drop(queues);
        assert_eq!(Purpose::ALL.map(|purpose| budget.held(purpose)), [0; Purpose::ALL.len()]);
    }

    #[test]
    fn no_purpose_but_answers_takes_all_and_small_requests_find_room_beside_large_ones() {
        let budget = Budget::new(TOTAL);
        let bodies = budget.take(Purpose::Bodies, TOTAL / 2).expect("its share");
        let error = budget.take(Purpose::Bodies, 1).expect_err("no more than its share");
        assert!(error.to_string().contains("limits.totalBuffered") && error.to_string().contains("bodies"), "{error}");
        let streams = budget.take(Purpose::Streams, TOTAL / 4).expect("room");
        assert!(budget.take(Purpose::Streams, 1).is_err(), "a quarter is left free");
        assert!(budget.take(Purpose::Requests, SMALL + 1).is_err());
        let small = budget.take(Purpose::Requests, SMALL).expect("room for small ones");
        let answers = budget.take(Purpose::Answers, TOTAL / 4 - SMALL).expect("room for answers");
        assert!(budget.take(Purpose::Answers, 1).is_err());
        assert_eq!(budget.refused(Purpose::Answers), 1);
        drop((bodies, streams, small, answers));
        budget.take(Purpose::Answers, TOTAL).expect("all of it");
        budget.set_total(TOTAL / 2);
        assert!(budget.take(Purpose::Answers, TOTAL).is_err());
    }

    struct Client {
        held: RefCell<Option<Held>>,
        pace: Option<u64>,
    }

    impl Yielding for Client {
        fn offer(&self, _: Instant) -> Option<Reclaimable> {
            let bytes = self.held.borrow().as_ref()?.bytes();
            Some(Reclaimable { pace: self.pace?, bytes })
        }

        fn give_way(&self) {
            self.held.take();
        }
    }

    fn client(budget: &Budget, purpose: Purpose, bytes: usize, pace: Option<u64>) -> Rc<Client> {
        let held = budget.take(purpose, bytes).expect("room");
        let client = Rc::new(Client { held: RefCell::new(Some(held)), pace });
        budget.register(purpose, &client);
        client
    }

    #[test]
    fn the_slowest_clients_give_way_and_no_more_of_them_than_must() {
        let budget = Budget::new(TOTAL);
        let quarter = TOTAL / 4;
        let clients = [Some(90), Some(3), None, Some(7)].map(|pace| client(&budget, Purpose::Answers, quarter, pace));
        let still_there = || clients.each_ref().map(|client| client.held.borrow().is_some());
        let new = budget.take(Purpose::Answers, quarter).expect("one gave way");
        assert_eq!(still_there(), [true, false, true, true]);
        drop(new);
        let _new = budget.take(Purpose::Frames, TOTAL / 2).expect("and one more");
        assert_eq!(still_there(), [true, false, true, false]);
        assert!(budget.take(Purpose::Answers, TOTAL / 2).is_err(), "one that has just begun stays");
        assert_eq!(still_there(), [true, false, true, false], "nor does one go for nothing");
        assert_eq!(budget.gave_way(), 2);
    }

    #[test]
    fn bodies_give_way_to_bodies_and_nobody_does_for_what_would_never_fit() {
        let budget = Budget::new(TOTAL);
        let body = client(&budget, Purpose::Bodies, TOTAL / 2, Some(1));
        let answer = client(&budget, Purpose::Answers, TOTAL / 8, Some(1));
        assert!(budget.take(Purpose::Bodies, TOTAL / 2 + 1).is_err());
        assert!(body.held.borrow().is_some());
        let _new = budget.take(Purpose::Bodies, TOTAL / 4).expect("the other gave way");
        assert!(body.held.borrow().is_none() && answer.held.borrow().is_some());
    }

    #[test]
    fn a_share_that_is_used_up_keeps_nobody_else_from_those_who_would_give_way() {
        let budget = Budget::new(TOTAL);
        let slow = client(&budget, Purpose::Answers, TOTAL / 2, Some(1));
        let _connections = budget.take(Purpose::Connections, TOTAL / 2).expect("its share");
        assert!(budget.take(Purpose::Connections, 1).is_err());
        budget.take(Purpose::Answers, TOTAL / 4).expect("the slow one gave way");
        assert!(slow.held.borrow().is_none());
    }

    proptest! {
        #[test]
        fn the_account_is_never_overdrawn_and_always_balanced(
            steps in prop::collection::vec((0usize..Purpose::ALL.len(), 0usize..300_000, any::<bool>()), 0..80)
        ) {
            let total = 1 << 20;
            let budget = Budget::new(total);
            let mut all = Vec::new();
            for (purpose, bytes, drop_one) in steps {
                if drop_one && !all.is_empty() {
                    all.swap_remove(bytes % all.len());
                } else {
                    all.extend(budget.take(Purpose::ALL[purpose], bytes));
                }
                let sum: usize = Purpose::ALL.iter().map(|purpose| budget.held(*purpose)).sum();
                prop_assert!(sum <= total);
                prop_assert_eq!(sum, all.iter().map(Held::bytes).sum::<usize>());
                for purpose in Purpose::ALL {
                    prop_assert!(budget.held(purpose) <= purpose.share(total));
                }
            }
        }
    }
}
