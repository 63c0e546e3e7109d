//! A stream of events that its reader may leave and take up again (MCP 2025-11-25, transports, resumability).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    event_id::{StreamKind, StreamName},
    notice::Notice,
    reader::Reader,
    replay_budget::ReplayBudget,
    replay_buffer::{Bounds, Lookup, ReplayBuffer},
    shares::{NoticeOutcome, Shares},
};

/// One stream: what it said lately, and at most one reader.
pub(crate) struct Stream {
    name: StreamName,
    bounds: Bounds,
    replay_budget: Rc<ReplayBudget>,
    pub(super) buffer: RefCell<ReplayBuffer>,
    /// No more events come.
    pub(super) ended: Cell<bool>,
    /// The number of the reader; a second one takes over from the first.
    pub(super) reader: Cell<Option<u64>>,
    readers: Cell<u64>,
    pub(super) waker: RefCell<Option<Waker>>,
    /// Since when it has no reader.
    left: Cell<Instant>,
    /// A reader was too slow, and missed something that will not be said again.
    pub(super) lagged: Cell<bool>,
    /// The number of the event that is to be read next.
    pub(super) read_to: Cell<u64>,
    /// The servers of unread notices, which may be dropped.
    pub(super) shares: RefCell<Shares>,
}

impl Stream {
    /// Use [`ReplayBudget::open`].
    pub(super) fn new(name: StreamName, bounds: Bounds, replay_budget: Rc<ReplayBudget>, now: Instant) -> Self {
        Self {
            name,
            bounds,
            replay_budget,
            buffer: RefCell::default(),
            ended: Cell::new(false),
            reader: Cell::new(None),
            readers: Cell::new(0),
            waker: RefCell::default(),
            left: Cell::new(now),
            lagged: Cell::new(false),
            read_to: Cell::new(1),
            shares: RefCell::default(),
        }
    }

    /// The beginning of its event ids.
    pub(crate) fn name(&self) -> StreamName {
        self.name
    }

    /// Whether it has a reader.
    pub(crate) fn has_reader(&self) -> bool {
        self.reader.get().is_some()
    }

    /// Whether something of it was lost for a reader since this was last asked.
    pub(crate) fn take_lag(&self) -> bool {
        self.lagged.take()
    }

    /// Whether it holds events that no reader has taken.
    pub(crate) fn has_unread(&self) -> bool {
        self.read_to.get() < self.buffer.borrow().next()
    }

    /// When its last reader left.
    pub(crate) fn left_at(&self) -> Instant {
        self.left.get()
    }

    /// Whether it has ended and has no reader.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.get() && !self.has_reader()
    }

    /// Whether it has ended and had no reader since that moment.
    pub(crate) fn is_left_since(&self, moment: Instant) -> bool {
        self.is_over() && self.left.get() <= moment
    }

    /// Says something.
    pub(crate) fn push(&self, message: Bytes) {
        self.change(|buffer| buffer.push(message));
        self.replay_budget.keep_within_bounds(self);
        self.wake();
    }

    /// Says something where there is room for it: no server takes that of the others, or costs a reader its stream.
    pub(crate) fn notice(&self, notice: Notice) {
        let bytes = notice.message.len();
        // Events that were read are kept for a reader that reconnects. Unread ones take precedence.
        if !self.replay_budget.has_room(bytes) && self.has_reader() {
            self.forget_read();
        }
        let (number, unread) = self.unread();
        let mut shares = self.shares.borrow_mut();
        shares.read_to(self.read_to.get().max(self.buffer.borrow().oldest()));
        if unread.events > 0 && !self.replay_budget.has_room(bytes) {
            return shares.lose(&notice);
        }
        let verdict = shares.admit(&notice, number, unread, self.bounds);
        drop(shares);
        if verdict == NoticeOutcome::Admitted {
            self.push(notice.message);
        }
    }

    /// The number of the next event, and what was not read of those before.
    fn unread(&self) -> (u64, Bounds) {
        let buffer = self.buffer.borrow();
        let from = self.read_to.get().max(buffer.oldest());
        let events = usize::try_from(buffer.next() - from).unwrap_or(usize::MAX);
        (buffer.next(), Bounds { events, bytes: buffer.bytes_from(from) })
    }

    /// A reader who has read everything is told what was dropped before it got here.
    pub(super) fn tell_lost(&self) {
        let lost = self.shares.borrow_mut().take_lost();
        lost.into_iter().for_each(|message| self.change(|buffer| buffer.push(message)));
    }

    /// There is nothing more to say.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        if !self.has_reader() {
            self.left.set(Instant::now());
        }
        self.wake();
    }

    /// Reads on after the event of that number; an earlier reader is cut off. `prime` begins with an id to come back
    /// with; after `time` the reader ends where nothing waits for it. `None`: there is nothing to read on with.
    pub(crate) fn read(self: &Rc<Self>, after: u64, prime: bool, time: Option<Duration>) -> Option<Reader> {
        let mut at = after.checked_add(1)?;
        let buffer = self.buffer.borrow();
        let answer_is_gone = self.ended.get() && at < buffer.next() && buffer.is_empty();
        if at > buffer.next() || answer_is_gone {
            return None;
        }
        if let Lookup::Gone { oldest } = buffer.get(at) {
            self.lagged.set(true);
            at = oldest;
        }
        let number = self.readers.get() + 1;
        self.readers.set(number);
        self.reader.set(Some(number));
        self.read_to.set(at);
        self.wake();
        Some(Reader::new(self, number, at, prime, time))
    }

    /// Throws away all that is kept, but what a reader has still to read: of a stream that belongs to no call all of it, of others
    /// the last event.
    pub(super) fn shrink(&self) {
        match (self.has_reader(), self.name.kind()) {
            (true, StreamKind::Listening) => self.forget_read(),
            (has_reader, _) => self.trim_buffer(0, 0, has_reader),
        }
    }

    /// Keeps nothing of what was read.
    fn forget_read(&self) {
        let before = self.buffer.borrow().bytes();
        self.buffer.borrow_mut().forget_before(self.read_to.get());
        self.replay_budget.account(before, self.buffer.borrow().bytes());
    }

    pub(super) fn leave(self: &Rc<Self>, number: u64) {
        if self.reader.get() == Some(number) {
            self.reader.set(None);
            self.left.set(Instant::now());
            self.trim_buffer(self.bounds.events, self.bounds.bytes, false);
            self.replay_budget.left(self);
        }
    }

    fn change(&self, change: impl FnOnce(&mut ReplayBuffer)) {
        let before = self.buffer.borrow().bytes();
        change(&mut self.buffer.borrow_mut());
        // A reader gets the last event whatever its size.
        let keep_last = self.has_reader();
        self.buffer.borrow_mut().trim(self.bounds.events, self.bounds.bytes, keep_last);
        self.replay_budget.account(before, self.buffer.borrow().bytes());
    }

    fn trim_buffer(&self, events: usize, bytes: usize, keep_last: bool) {
        let before = self.buffer.borrow().bytes();
        self.buffer.borrow_mut().trim(events, bytes, keep_last);
        self.replay_budget.account(before, self.buffer.borrow().bytes());
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.replay_budget.account(self.buffer.borrow().bytes(), 0);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use mcproxy_ipc::Generation;
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::sessions::reader::Event;

    const BOUNDS: Bounds = Bounds { events: 8, bytes: 400 };

    fn open(replay_budget: &Rc<ReplayBudget>, kind: StreamKind) -> Rc<Stream> {
        replay_budget.open(kind, BOUNDS)
    }

    /// All that can be read now, and whether that is the end.
    fn drain(reader: &mut Reader) -> (Vec<(u64, Bytes)>, bool) {
        let mut all = Vec::new();
        loop {
            match reader.next().now_or_never() {
                Some(Some(Event::Message(id, message))) => all.push((id.number, message)),
                Some(Some(Event::Prime(_))) => {}
                Some(None) => return (all, true),
                None => return (all, false),
            }
        }
    }

    #[test]
    fn an_answer_of_any_size_reaches_a_reader_that_is_there_and_is_not_kept_for_one_that_is_not() {
        let replay_budget = ReplayBudget::new(Generation(1));
        let answer = Bytes::from(vec![b'x'; 1000]);
        let stream = open(&replay_budget, StreamKind::Answering);
        let mut reader = stream.read(0, true, None).expect("its beginning");
        (0..20).for_each(|_| stream.push(Bytes::from_static(b"progress")));
        stream.push(answer.clone());
        stream.end();
        assert_eq!(drain(&mut reader), (vec![(21, answer.clone())], true));
        drop(reader);
        assert_eq!(replay_budget.bytes(), 0, "too large to be kept");
        assert!(stream.read(0, false, None).is_none(), "and that is said");
        let away = open(&replay_budget, StreamKind::Answering);
        drop(away.read(0, true, None));
        away.push(answer);
        away.end();
        assert!(away.read(0, false, None).is_none() && away.is_over());
    }

    #[test]
    fn a_listener_that_falls_behind_is_cut_off_and_goes_on_with_what_is_there() {
        let stream = open(&ReplayBudget::new(Generation(1)), StreamKind::Listening);
        let mut reader = stream.read(0, true, None).expect("its beginning");
        assert_eq!(drain(&mut reader), (vec![], false));
        (0..9).for_each(|_| stream.push(Bytes::from_static(b"news")));
        assert_eq!(drain(&mut reader), (vec![], true));
        assert!(stream.take_lag() && !stream.take_lag() && stream.has_unread());
        let mut again = stream.read(0, false, None).expect("the rest");
        assert!(stream.take_lag(), "something is missing");
        stream.push(Bytes::from_static(b"a message to a reader that came back must not cut it off"));
        assert!(again.catch_up() && !again.catch_up());
        let (heard, ended) = drain(&mut again);
        assert_eq!((heard.len(), heard[0].0, ended), (8, 3, false));
    }

    #[test]
    fn all_streams_together_keep_no_more_than_the_bound_and_the_longest_left_go_first() {
        let replay_budget = ReplayBudget::new(Generation(1));
        replay_budget.set_bound(500);
        let streams: Vec<_> = (0..3).map(|_| open(&replay_budget, StreamKind::Answering)).collect();
        for stream in &streams {
            drop(stream.read(0, true, None));
            stream.push(Bytes::from(vec![b'x'; 200]));
            stream.end();
            assert!(replay_budget.bytes() <= 500);
        }
        assert!(streams[0].read(0, false, None).is_none(), "it was left first");
        assert!(streams[1].read(0, false, None).is_some() && streams[2].read(0, false, None).is_some());
        drop(streams);
        replay_budget.tidy();
        assert_eq!(replay_budget.bytes(), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Say,
        Read,
        Leave,
        ComeBack,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![3 => Just(Step::Say), 2 => Just(Step::Read), 1 => Just(Step::Leave), 2 => Just(Step::ComeBack)]
    }

    proptest! {
        #[test]
        fn however_a_reader_comes_and_goes_it_hears_each_event_at_most_once_in_order_and_the_answer(
            steps in prop::collection::vec(step(), 0..80)
        ) {
            let replay_budget = ReplayBudget::new(Generation(1));
            let stream = open(&replay_budget, StreamKind::Answering);
            let mut reader = stream.read(0, true, None);
            let (mut said, mut heard) = (0u64, Vec::new());
            for step in steps {
                match step {
                    Step::Say => {
                        said += 1;
                        stream.push(said.to_string().into());
                    }
                    Step::Read => heard.extend(reader.as_mut().map(|reader| drain(reader).0).unwrap_or_default()),
                    Step::Leave => reader = None,
                    Step::ComeBack => reader = stream.read(heard.last().map_or(0, |(number, _)| *number), false, None),
                }
                prop_assert!(replay_budget.bytes() <= BOUNDS.bytes);
            }
            stream.push((said + 1).to_string().into());
            stream.end();
            let after = heard.last().map_or(0, |(number, _)| *number);
            let mut last = stream.read(after, false, None).expect("the answer is kept");
            let (rest, ended) = drain(&mut last);
            prop_assert!(ended);
            heard.extend(rest);
            prop_assert!(heard.is_sorted_by(|one, other| one.0 < other.0), "{:?}", heard);
            for (number, message) in &heard {
                prop_assert_eq!(message, &Bytes::from(number.to_string()));
            }
            prop_assert_eq!(heard.last().map(|(number, _)| *number), Some(said + 1));
        }
    }
}
