//! The shares of servers in the messages that wait for one client: no server takes the room of the others. Pure.

use std::collections::VecDeque;

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{Level, method};

use super::{dropped::Lost, notice::Notice, replay_buffer::Bounds};

/// The most that one server may have of the whole queue: a quarter.
const SHARE: usize = 4;
/// The most for all servers that have something in it already: three quarters. The rest is for one that has nothing.
const FREE: usize = 4;

/// Why it is told.
const SLOW: &str = "this stream is not read fast enough";

/// The messages of all servers that one client has not read.
#[derive(Debug, Default)]
pub(crate) struct Shares(Vec<Share>);

#[derive(Debug)]
struct Share {
    server: ServerName,
    unread: VecDeque<Unread>,
    bytes: usize,
    lost: Lost,
}

#[derive(Debug)]
struct Unread {
    number: u64,
    bytes: usize,
    topic: Option<u64>,
}

/// The outcome for a new message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeOutcome {
    /// It joins the queue.
    Admitted,
    /// The client will read as much in the message of that number.
    Said(u64),
    /// There is no room; it is counted.
    Lost,
}

impl Shares {
    /// Decides on a message that would have that number. `unread`: what waits now, of servers and other messages; `bounds`: what may.
    pub(crate) fn admit(&mut self, notice: &Notice, number: u64, unread: Bounds, bounds: Bounds) -> NoticeOutcome {
        let share = self.of(&notice.server);
        let is_crowded = share.unread.len() >= bounds.events / SHARE / 2;
        let mut said =
            share.unread.iter().filter(|unread| is_crowded && notice.topic.is_some() && unread.topic == notice.topic);
        if let Some(unread) = said.next() {
            return NoticeOutcome::Said(unread.number);
        }
        let bytes = notice.message.len();
        let room = if share.unread.is_empty() {
            // However large: it is read next, or not at all.
            unread.events == 0 || fits(unread, bytes, bounds)
        } else {
            let own = Bounds { events: share.unread.len(), bytes: share.bytes };
            let all =
                Bounds { events: bounds.events - bounds.events / FREE, bytes: bounds.bytes - bounds.bytes / FREE };
            let of_one = Bounds { events: bounds.events / SHARE, bytes: bounds.bytes / SHARE };
            fits(own, bytes, of_one) && fits(unread, bytes, all)
        };
        if !room {
            share.lose(notice);
            return NoticeOutcome::Lost;
        }
        share.bytes += bytes;
        share.unread.push_back(Unread { number, bytes, topic: notice.topic });
        NoticeOutcome::Admitted
    }

    /// Everything before that number was read, or is gone.
    pub(crate) fn read_to(&mut self, number: u64) {
        self.0.retain_mut(|share| {
            while let Some(read) = share.unread.pop_front_if(|unread| unread.number < number) {
                share.bytes -= read.bytes;
            }
            !share.unread.is_empty() || !share.lost.is_none()
        });
    }

    /// One that was admitted gave way to what must not be dropped.
    pub(crate) fn give_way(&mut self, server: &ServerName, number: u64, level: Level) {
        let share = self.of(server);
        if let Some(at) = share.unread.iter().position(|unread| unread.number == number)
            && let Some(gone) = share.unread.remove(at)
        {
            share.bytes -= gone.bytes;
        }
        share.lost.add(level);
    }

    /// One more was dropped than this decided.
    pub(crate) fn lose(&mut self, notice: &Notice) {
        self.of(&notice.server).lose(notice);
    }

    /// The notice about what the client missed, once it has read everything else.
    pub(crate) fn take_lost(&mut self) -> Vec<Bytes> {
        let told = self.0.iter().filter(|share| !share.lost.is_none());
        let mut told: Vec<Bytes> = told.map(|share| share.lost.notification(&share.server, SLOW)).collect();
        if self.0.iter().any(|share| share.lost.has_changes()) {
            let changed = [method::TOOLS_CHANGED, method::PROMPTS_CHANGED, method::RESOURCES_CHANGED];
            told.extend(changed.map(|method| Notice::of_ourselves(method).message));
        }
        self.0.iter_mut().for_each(|share| share.lost = Lost::default());
        self.0.retain(|share| !share.unread.is_empty());
        told
    }

    /// Whether there is anything to tell.
    pub(crate) fn has_lost(&self) -> bool {
        self.0.iter().any(|share| !share.lost.is_none())
    }

    fn of(&mut self, server: &ServerName) -> &mut Share {
        let at = self.0.iter().position(|share| share.server == *server).unwrap_or_else(|| {
            let (server, unread) = (server.clone(), VecDeque::new());
            self.0.push(Share { server, unread, bytes: 0, lost: Lost::default() });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

impl Share {
    fn lose(&mut self, notice: &Notice) {
        match notice.topic {
            Some(_) => self.lost.add_change(notice.level),
            None => self.lost.add(notice.level),
        }
    }
}

fn fits(held: Bounds, bytes: usize, bounds: Bounds) -> bool {
    held.events < bounds.events && held.bytes + bytes <= bounds.bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { events: 64, bytes: 6400 };

    fn notice(server: &str, bytes: usize, topic: Option<u64>) -> Notice {
        let server = ServerName::try_from(server).expect("a name");
        Notice { server, message: vec![b'x'; bytes].into(), topic, level: Level::Info }
    }

    /// A client that reads nothing.
    #[derive(Default)]
    struct Queue {
        shares: Shares,
        unread: Vec<usize>,
    }

    impl Queue {
        fn say(&mut self, notice: &Notice) -> NoticeOutcome {
            let unread = Bounds { events: self.unread.len(), bytes: self.unread.iter().sum() };
            let verdict = self.shares.admit(notice, self.unread.len() as u64, unread, BOUNDS);
            if verdict == NoticeOutcome::Admitted {
                self.unread.push(notice.message.len());
            }
            verdict
        }
    }

    #[test]
    fn a_server_that_says_much_leaves_room_for_the_others_and_its_loss_is_told_once() {
        let mut queue = Queue::default();
        let loud = (0..100).filter(|_| queue.say(&notice("a", 10, None)) == NoticeOutcome::Admitted).count();
        assert_eq!(loud, BOUNDS.events / SHARE);
        assert!((0..10).all(|_| queue.say(&notice("b", 10, None)) == NoticeOutcome::Admitted));
        let told = queue.shares.take_lost();
        assert_eq!(told.len(), 1);
        let text = std::str::from_utf8(&told[0]).expect("text");
        assert!(text.contains("84 messages of server `a` were dropped"), "{text}");
        assert!(!queue.shares.has_lost() && queue.shares.take_lost().is_empty());
    }

    #[test]
    fn who_missed_that_something_changed_is_told_to_look_at_everything() {
        let mut queue = Queue::default();
        (0..100).for_each(|n| {
            queue.say(&notice("a", 10, Some(n)));
        });
        let told = queue.shares.take_lost();
        let text = |at: usize| String::from_utf8_lossy(&told[at]).into_owned();
        assert!(
            told.len() == 4 && text(1).contains("tools/list_changed") && text(3).contains("resources/list_changed")
        );
    }

    #[test]
    fn many_loud_servers_leave_room_for_one_that_has_said_nothing() {
        let mut queue = Queue::default();
        for server in ["a", "b", "c", "d", "e"] {
            (0..100).for_each(|_| {
                queue.say(&notice(server, 10, None));
            });
        }
        assert_eq!(queue.say(&notice("quiet", 10, None)), NoticeOutcome::Admitted);
        assert_eq!(queue.say(&notice("loud", 10_000, None)), NoticeOutcome::Lost);
    }

    #[test]
    fn where_a_server_has_much_unread_what_is_said_already_is_not_said_twice() {
        let mut queue = Queue::default();
        for topic in 0..8 {
            assert_eq!(
                queue.say(&notice("a", 10, Some(7 + topic % 2))),
                NoticeOutcome::Admitted,
                "there is room enough"
            );
        }
        assert_eq!(queue.say(&notice("a", 10, Some(7))), NoticeOutcome::Said(0));
        assert_eq!(queue.say(&notice("a", 10, Some(9))), NoticeOutcome::Admitted);
        queue.shares.read_to(8);
        assert_eq!(queue.say(&notice("a", 10, Some(7))), NoticeOutcome::Admitted);
    }

    #[test]
    fn one_message_however_large_finds_room_where_nothing_waits() {
        let mut queue = Queue::default();
        assert_eq!(queue.say(&notice("a", 1_000_000, None)), NoticeOutcome::Admitted);
        assert_eq!(queue.say(&notice("b", 10, None)), NoticeOutcome::Lost);
    }

    proptest! {
        #[test]
        fn whoever_says_what_the_queue_keeps_its_bounds_and_every_message_is_there_or_counted(
            said in prop::collection::vec((0_usize..6, 1_usize..500), 0..300)
        ) {
            let mut queue = Queue::default();
            let (mut admitted, total) = (0_u64, said.len() as u64);
            for (server, bytes) in said {
                admitted += u64::from(queue.say(&notice(&format!("s{server}"), bytes, None)) == NoticeOutcome::Admitted);
                prop_assert!(queue.unread.len() <= BOUNDS.events);
                prop_assert!(queue.unread.iter().sum::<usize>() <= BOUNDS.bytes);
            }
            let lost: u64 = queue.shares.0.iter().map(|share| share.lost.count()).sum();
            prop_assert_eq!(admitted + lost, total);
        }
    }
}
