//! Messages on their way to a client that reads a stream it cannot take up again: one of 2024-11-05, or a listener of 2026-07-28.
//! Bounded in number and bytes; notifications are dropped before an answer is (`docs/decisions/0113`).

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_util::Stream;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::Level;
use tokio::sync::Notify;

use super::{
    notice::Notice,
    replay_buffer::Bounds,
    shares::{NoticeOutcome, Shares},
};
use crate::gateway::base::budget::{Budget, Held, Purpose, SMALL};

/// Bounds of messages that may be dropped; those beyond are dropped and counted.
pub(crate) const NOTICES: Bounds = Bounds { events: 256, bytes: 1 << 20 };
/// Bytes of answers that may wait for one client to read them; where nothing else waits, one more whatever its size. A client that
/// lets more of them pile up loses the stream.
const ANSWERS: usize = 32 << 20;

/// One queue, whose two ends are behind an `Rc`.
pub(crate) struct Mailbox {
    /// Whether its client may be told in a log line what was dropped.
    tells: bool,
    budget: Budget,
    state: RefCell<MailQueue>,
    /// Rung when something was read, or never will be.
    room: Notify,
}

struct MailQueue {
    items: VecDeque<Item>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
    /// For what of them is small. What is large is on the budget by itself.
    held: Held,
    shares: Shares,
    waker: Option<Waker>,
    end: End,
}

/// Whether the mailbox is open.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Messages may still be added.
    #[default]
    Open,
    /// No message will be added; the queued ones are still read.
    Ended,
    /// The reader is gone or was removed.
    Gone,
}

struct Item {
    message: Bytes,
    /// Present if the message may be dropped.
    of: Option<(ServerName, Level)>,
}

/// The reading end.
pub(crate) struct Mail(Rc<Mailbox>);

impl Mailbox {
    /// `purpose`: for whom it is; only a session may be told in a log line what was dropped.
    pub(crate) fn new(budget: &Budget, purpose: Purpose) -> (Rc<Self>, Mail) {
        let state = MailQueue {
            items: VecDeque::new(),
            first: 0,
            bytes: 0,
            held: budget.nothing(purpose),
            shares: Shares::default(),
            waker: None,
            end: End::Open,
        };
        let tells = purpose == Purpose::Streams;
        let (budget, state) = (budget.clone(), RefCell::new(state));
        let mailbox = Rc::new(Self { tells, budget, state, room: Notify::new() });
        (mailbox.clone(), Mail(mailbox))
    }

    /// Whether it has a reader.
    pub(crate) fn is_open(&self) -> bool {
        self.state.borrow().end == End::Open
    }

    /// Adds a notice if there is room for it; returns whether there is a reader. `bounds`: for notices that may be dropped.
    pub(crate) fn notice_within(&self, notice: Notice, bounds: Bounds) -> bool {
        let mut state = self.state.borrow_mut();
        if state.end != End::Open {
            return false;
        }
        let number = state.first + state.items.len() as u64;
        let unread = Bounds { events: state.items.len(), bytes: state.bytes };
        match state.shares.admit(&notice, number, unread, bounds) {
            NoticeOutcome::Admitted if self.budget.grow(&mut state.held, small(&notice.message)).is_err() => {
                state.shares.give_way(&notice.server, number, notice.level);
            }
            NoticeOutcome::Admitted => state.push(notice.message, Some((notice.server, notice.level))),
            NoticeOutcome::Said(number) => state.replace(number, notice.message),
            NoticeOutcome::Lost => {}
        }
        true
    }

    /// The same, within the bounds that suit most.
    pub(crate) fn notice(&self, notice: Notice) -> bool {
        self.notice_within(notice, NOTICES)
    }

    /// Says something that must not be dropped while the client lives. `false`: it does not fit even in place of all that may be
    /// dropped, and the stream is over.
    pub(crate) fn answer(&self, message: Bytes) -> bool {
        let mut state = self.state.borrow_mut();
        if state.end != End::Open {
            return true; // without a reader nothing is lost
        }
        let fits = |state: &MailQueue| state.items.is_empty() || state.bytes + message.len() <= ANSWERS;
        while !fits(&state) || self.budget.grow(&mut state.held, small(&message)).is_err() {
            if !state.drop_one() {
                drop(state);
                self.give_up();
                return false;
            }
        }
        state.push(message, None);
        true
    }

    /// Waits until there is room for what precedes an answer, or the reader is gone.
    pub(crate) async fn has_room(&self) {
        loop {
            let room = self.room.notified();
            {
                let state = self.state.borrow();
                let full = state.items.len() >= NOTICES.events || state.bytes >= NOTICES.bytes;
                if state.end != End::Open || !full {
                    return;
                }
            }
            room.await;
        }
    }

    /// Nothing more comes; what is there may be read.
    pub(crate) fn end(&self) {
        let mut state = self.state.borrow_mut();
        if state.end == End::Open {
            state.end = End::Ended;
        }
        state.wake();
        self.room.notify_waiters();
    }

    /// Nothing more is read, either.
    pub(crate) fn give_up(&self) {
        let mut state = self.state.borrow_mut();
        state.end = End::Gone;
        state.bytes = 0;
        state.held.shrink_to(0);
        state.shares = Shares::default();
        let unread = std::mem::take(&mut state.items);
        state.wake();
        drop(state);
        drop(unread);
        self.room.notify_waiters();
    }
}

impl MailQueue {
    fn push(&mut self, message: Bytes, of: Option<(ServerName, Level)>) {
        self.bytes += message.len();
        self.items.push_back(Item { message, of });
        self.wake();
    }

    /// Replaces an older message about the same topic.
    fn replace(&mut self, number: u64, message: Bytes) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        // It is not made larger: its share knows its size.
        if let Some(item) = at.and_then(|at| self.items.get_mut(at))
            && message.len() <= item.message.len()
        {
            let (before, after) = (small(&item.message), small(&message));
            self.bytes = self.bytes + message.len() - item.message.len();
            item.message = message;
            // A queue that was large and is small now is not worth another look at the budget.
            let held = self.held.bytes();
            self.held.shrink_to(held - before.saturating_sub(after));
        }
    }

    /// Drops the newest that may be dropped.
    fn drop_one(&mut self) -> bool {
        let Some(at) = self.items.iter().rposition(|item| item.of.is_some()) else { return false };
        // Numbers are places: an empty message, which is not sent, keeps those of the others.
        let item = &mut self.items[at];
        let gone = std::mem::take(&mut item.message);
        if let Some((server, level)) = item.of.take() {
            self.shares.give_way(&server, self.first + at as u64, level);
        }
        self.gone(&gone);
        true
    }

    fn gone(&mut self, message: &Bytes) {
        self.bytes -= message.len();
        let held = self.held.bytes();
        self.held.shrink_to(held.saturating_sub(small(message)));
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn pop(&mut self, tells: bool) -> Option<Bytes> {
        loop {
            if self.items.is_empty() && self.shares.has_lost() {
                let lost = self.shares.take_lost();
                lost.into_iter().filter(|_| tells).for_each(|message| self.push(message, None));
            }
            let item = self.items.pop_front()?;
            self.first += 1;
            self.gone(&item.message);
            self.shares.read_to(self.first);
            if !item.message.is_empty() {
                return Some(item.message);
            }
        }
    }
}

/// The bytes of a message that is not on the budget by itself.
fn small(message: &Bytes) -> usize {
    if message.len() <= SMALL { message.len() } else { 0 }
}

impl Stream for Mail {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Self(mailbox) = &*self;
        let mut state = mailbox.state.borrow_mut();
        match state.pop(mailbox.tells) {
            Some(message) => {
                drop(state);
                mailbox.room.notify_waiters();
                Poll::Ready(Some(message))
            }
            None if state.end != End::Open => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use proptest::prelude::*;

    use super::*;

    fn notice(server: &str, bytes: usize, topic: Option<u64>) -> Notice {
        let server = ServerName::try_from(server).expect("a name");
        Notice { server, message: vec![b'n'; bytes].into(), topic, level: Level::Info }
    }

    fn mailbox(purpose: Purpose) -> (Rc<Mailbox>, Mail) {
        Mailbox::new(&Budget::new(1 << 30), purpose)
    }

    fn read(mail: &mut Mail) -> Vec<Bytes> {
        std::iter::from_fn(|| mail.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn an_answer_is_not_dropped_while_notifications_fill_the_stream() {
        let (mailbox, mut mail) = mailbox(Purpose::Streams);
        for server in ["a", "b", "c", "d", "e"] {
            (0..300).for_each(|_| assert!(mailbox.notice(notice(server, 4000, None))));
        }
        let answer = Bytes::from(vec![b'x'; ANSWERS - 1000]);
        assert!(mailbox.answer(answer.clone()));
        let heard = read(&mut mail);
        assert!(heard.contains(&answer) && heard.last().expect("something").starts_with(b"{"), "and the loss is told");
    }

    #[test]
    fn a_client_that_lets_answers_pile_up_loses_the_stream_and_nothing_is_kept_for_it() {
        let (mailbox, mut mail) = mailbox(Purpose::Streams);
        let answer = Bytes::from(vec![b'x'; ANSWERS / 4]);
        assert!((0..4).all(|_| mailbox.answer(answer.clone())));
        assert!(!mailbox.answer(answer.clone()) && !mailbox.is_open());
        assert_eq!(mailbox.state.borrow().bytes, 0);
        assert!(read(&mut mail).is_empty() && mailbox.answer(answer) && !mailbox.notice(notice("a", 1, None)));
    }

    #[test]
    fn a_large_answer_finds_room_where_nothing_else_waits() {
        let (mailbox, mut mail) = mailbox(Purpose::Streams);
        assert!(mailbox.answer(vec![b'x'; 2 * ANSWERS].into()));
        assert_eq!(read(&mut mail).len(), 1);
    }

    #[test]
    fn what_stands_otherwise_by_now_is_said_once_as_it_is_now() {
        let (mailbox, mut mail) = mailbox(Purpose::Listeners);
        let say = |text: String| mailbox.notice(Notice { message: text.into(), ..notice("a", 0, Some(1)) });
        (100..300).for_each(|n| assert!(say(n.to_string())));
        mailbox.end();
        let all = read(&mut mail);
        assert_eq!(all.len(), NOTICES.events / 8);
        assert!(all.contains(&Bytes::from("299")) && !all.contains(&Bytes::from("298")));
    }

    #[tokio::test]
    async fn what_precedes_an_answer_waits_for_room_and_no_longer_than_the_client_lives() {
        let (mailbox, mut mail) = mailbox(Purpose::Streams);
        (0..NOTICES.events).for_each(|_| assert!(mailbox.answer("x".into())));
        assert!(mailbox.has_room().now_or_never().is_none());
        assert!(mail.next().await.is_some());
        assert!(mailbox.has_room().now_or_never().is_some());
        assert!(mailbox.answer("x".into()));
        drop(mail);
        assert!(mailbox.has_room().now_or_never().is_some());
    }

    #[test]
    fn where_the_budget_is_exhausted_notifications_are_dropped_and_answers_end_the_stream() {
        let (mailbox, mut mail) = Mailbox::new(&Budget::new(8_000), Purpose::Streams);
        (0..10).for_each(|n| assert!(mailbox.notice(notice(&format!("s{n}"), 1_000, None))));
        assert!(mailbox.answer(vec![b'x'; 3_500].into()), "in the place of notifications");
        assert!(!mailbox.answer(vec![b'x'; 3_500].into()) && read(&mut mail).is_empty());
        assert_eq!(mailbox.budget.held(Purpose::Streams), 0);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Notice(usize, usize),
        Answer(usize),
        Read,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_usize..4, 1_usize..20_000).prop_map(|(server, bytes)| Step::Notice(server, bytes)),
            1 => (1_usize..(ANSWERS / 3)).prop_map(Step::Answer),
            2 => Just(Step::Read),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn whatever_is_said_the_bytes_are_bounded_and_answers_come_in_order_or_the_stream_ends(
            steps in prop::collection::vec(step(), 0..200)
        ) {
            let (mailbox, mut mail) = mailbox(Purpose::Listeners);
            let (mut said, mut heard) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Notice(server, bytes) => {
                        mailbox.notice(notice(&format!("s{server}"), bytes, None));
                    }
                    Step::Answer(bytes) => {
                        let mut answer = vec![b'x'; bytes];
                        answer[0] = said.len() as u8;
                        if mailbox.is_open() && mailbox.answer(answer.into()) {
                            said.push((said.len() as u8, bytes));
                        }
                    }
                    Step::Read => heard.extend(mail.next().now_or_never().flatten()),
                }
                let state = mailbox.state.borrow();
                prop_assert!(state.bytes <= ANSWERS + NOTICES.bytes);
                prop_assert_eq!(state.bytes, state.items.iter().map(|item| item.message.len()).sum::<usize>());
                prop_assert_eq!(state.held.bytes(), state.items.iter().map(|item| small(&item.message)).sum::<usize>());
            }
            let open = mailbox.is_open();
            heard.extend(read(&mut mail));
            let answers: Vec<(u8, usize)> =
                heard.iter().filter(|m| m.get(1) != Some(&b'n')).map(|m| (m[0], m.len())).collect();
            let answers: Vec<_> = answers.into_iter().filter(|(n, len)| said.contains(&(*n, *len))).collect();
            if open {
                prop_assert_eq!(answers, said);
            } else {
                prop_assert!(said.starts_with(&answers));
            }
        }
    }
}
