//! Messages of servers to all who listen, on their way to them: each written once, sent in batches, within the rate of its server,
//! and so that calls go first (`docs/decisions/0112`).
//!
//! The first thing that a server says after a quiet time goes out at once; what follows waits for the next batch. A batch is for all
//! servers together, and each client's connection writes what it gets of it in one go.

mod rate;

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use bytes::Bytes;
use indexmap::IndexMap;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::Level;
use tokio::sync::Notify;

use self::rate::{Rate, cost};
use crate::gateway::{
    base::budget::{Budget, Full, Purpose},
    sessions::dropped::Lost,
};

/// Messages of one server, and their bytes, that may wait for the next batch; what is beyond is dropped and counted.
const WAITING: usize = 1024;
const WAITING_BYTES: usize = 16 << 20;
/// A server that has said nothing for so long may say as much as one that never did.
const FORGET: Duration = Duration::from_secs(2);
/// Clients that missed messages are told at most once per interval.
const TELL: Duration = Duration::from_secs(1);

/// With so many of them waiting, what is said again takes the place of what was said before.
const CROWDED: usize = 16;

/// Why messages were dropped before they were queued for a client.
const FLOOD: &str = "it sends more than can be passed on to all who listen";

/// Something that a server said.
#[derive(Debug)]
pub(crate) enum Broadcast {
    /// A log line, for all who want to hear lines of its level, but for the session that heard it with its call.
    Log { level: Level, message: Bytes, except: Option<SessionKey> },
    /// A notification that no specification names, for all sessions.
    Notification { message: Bytes },
    /// A resource changed, with the server's params.
    Updated { uri: String, params: Bytes },
    /// The status of a task changed, with the server's params.
    Task { id: String, params: Bytes },
}

/// The messages that wait for the next batch.
#[derive(Default)]
pub(crate) struct Broadcasts {
    servers: RefCell<IndexMap<ServerName, ServerBacklog>>,
    work: Notify,
}

/// The waiting messages of one server.
struct ServerBacklog {
    rate: Rate,
    said: Vec<Broadcast>,
    bytes: usize,
    lost: Lost,
    /// When its loss was told last.
    told: Option<Instant>,
    /// When it last said something.
    heard: Instant,
}

impl Broadcast {
    fn bytes(&self) -> usize {
        match self {
            Self::Log { message, .. } | Self::Notification { message } => message.len(),
            Self::Updated { params, .. } | Self::Task { params, .. } => params.len(),
        }
    }

    fn level(&self) -> Level {
        match self {
            Self::Log { level, .. } => *level,
            Self::Notification { .. } | Self::Updated { .. } | Self::Task { .. } => Level::Warning,
        }
    }

    /// The same, on the budget where it is large: however many queues it lies in, it is counted once.
    fn guarded(self, budget: &Budget) -> Result<Self, Full> {
        Ok(match self {
            Self::Log { level, message, except } => {
                Self::Log { level, message: budget.guard_large(Purpose::Streams, message)?, except }
            }
            Self::Notification { message } => {
                Self::Notification { message: budget.guard_large(Purpose::Streams, message)? }
            }
            // Their sources are on the budget, and what is written of them is small.
            Self::Updated { .. } | Self::Task { .. } => self,
        })
    }

    /// The same thing said once more: the newer stands for both.
    fn takes_the_place_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Updated { uri, .. }, Self::Updated { uri: other, .. }) => uri == other,
            (Self::Task { id, .. }, Self::Task { id: other, .. }) => id == other,
            _ => false,
        }
    }
}

impl ServerBacklog {
    fn new(now: Instant) -> Self {
        Self { rate: Rate::new(now), said: Vec::new(), bytes: 0, lost: Lost::default(), told: None, heard: now }
    }

    /// `false`: it is too much.
    fn add(&mut self, said: Broadcast, listeners: usize, now: Instant) -> bool {
        self.heard = now;
        let bytes = said.bytes();
        let crowded = self.said.len() >= CROWDED;
        if let Some(known) = self.said.iter_mut().rev().find(|known| crowded && said.takes_the_place_of(known)) {
            self.bytes = self.bytes + bytes - known.bytes();
            *known = said;
            return true;
        }
        let full = self.said.len() >= WAITING || (self.bytes + bytes > WAITING_BYTES && !self.said.is_empty());
        let admitted = !full && self.rate.admits(cost(bytes, listeners), now);
        if admitted {
            self.bytes += bytes;
            self.said.push(said);
        } else {
            self.lost.add(said.level());
        }
        admitted
    }

    /// Takes the messages that go out now, with notices about those that do not.
    fn take(&mut self, server: &ServerName, now: Instant) -> Vec<Broadcast> {
        self.bytes = 0;
        let mut said = std::mem::take(&mut self.said);
        if self.tells_at().is_some_and(|at| at <= now) {
            let lost = std::mem::take(&mut self.lost);
            self.told = Some(now);
            said.push(Broadcast::Log { level: lost.level(), message: lost.notification(server, FLOOD), except: None });
        }
        said
    }

    /// When clients are told of the loss.
    fn tells_at(&self) -> Option<Instant> {
        (!self.lost.is_none()).then(|| self.told.map_or(self.heard, |told| told + TELL))
    }

    /// Whether there is nothing to be remembered of it.
    fn is_idle(&self, now: Instant) -> bool {
        self.said.is_empty() && self.lost.is_none() && self.heard + FORGET < now
    }
}

impl Broadcasts {
    /// A server says something to so many; `false`: it is more than can be passed on.
    pub(crate) fn say(&self, budget: &Budget, server: &ServerName, said: Broadcast, listeners: usize) -> bool {
        let now = Instant::now();
        let mut servers = self.servers.borrow_mut();
        if !servers.contains_key(server) {
            servers.insert(server.clone(), ServerBacklog::new(now));
        }
        let Some(outgoing) = servers.get_mut(server) else { return true };
        let level = said.level();
        let admitted = match said.guarded(budget) {
            Ok(said) => outgoing.add(said, listeners, now),
            Err(_) => {
                outgoing.lost.add(level);
                false
            }
        };
        self.work.notify_one();
        admitted
    }

    /// Waits until something more was said.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// When there is something to do.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let of = |outgoing: &ServerBacklog| if outgoing.said.is_empty() { outgoing.tells_at() } else { Some(now) };
        self.servers.borrow().values().filter_map(of).min()
    }

    /// The messages to be sent now.
    pub(crate) fn take(&self, now: Instant) -> Vec<(ServerName, Vec<Broadcast>)> {
        let mut servers = self.servers.borrow_mut();
        servers.retain(|_, outgoing| !outgoing.is_idle(now));
        let said = servers.iter_mut().map(|(server, outgoing)| (server.clone(), outgoing.take(server, now)));
        said.filter(|(_, said)| !said.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(n: usize) -> Broadcast {
        Broadcast::Log { level: Level::Info, message: format!("{n}").into(), except: None }
    }

    fn text(said: &Broadcast) -> String {
        match said {
            Broadcast::Log { message, .. } => String::from_utf8(message.to_vec()).expect("text"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_flood_to_many_is_cut_to_its_rate_the_newest_first_and_the_rest_is_counted_and_told_once() {
        let (server, now) = (ServerName::try_from("a").expect("a name"), Instant::now());
        let mut outgoing = ServerBacklog::new(now);
        assert_eq!((0..1000).filter(|n| outgoing.add(log(*n), 1000, now)).count(), 100);
        let said = outgoing.take(&server, now);
        assert_eq!((said.len(), text(&said[0]), text(&said[99])), (101, "0".to_owned(), "99".to_owned()));
        assert!(text(&said[100]).contains("900 messages of server `a` were dropped"), "{:?}", said[100]);
        assert!(outgoing.take(&server, now).is_empty(), "told once");
        assert!((0..10).all(|n| !outgoing.add(log(n), 1000, now)));
        assert!(outgoing.take(&server, now).is_empty(), "and not too often");
        let later = outgoing.take(&server, now + TELL);
        assert!(later.len() == 1 && text(&later[0]).contains("10 messages"), "{later:?}");
        assert!(outgoing.is_idle(now + 2 * FORGET));
    }

    #[test]
    fn a_resource_that_changes_again_and_again_is_told_once_a_batch_with_the_newest() {
        let (server, now) = (ServerName::try_from("a").expect("a name"), Instant::now());
        let mut outgoing = ServerBacklog::new(now);
        for n in 0..10_000 {
            let uri = if n % 2 == 0 { "x" } else { "y" };
            outgoing.add(Broadcast::Updated { uri: uri.into(), params: n.to_string().into() }, 1000, now);
        }
        let said = outgoing.take(&server, now);
        assert_eq!(said.len(), CROWDED);
        assert!(
            matches!(&said[CROWDED - 2..], [Broadcast::Updated { params: x, .. }, Broadcast::Updated { params: y, .. }] if x == "9998" && y == "9999")
        );
    }

    #[test]
    fn what_waits_for_the_next_batch_is_bounded_however_few_listen() {
        let (server, now) = (ServerName::try_from("a").expect("a name"), Instant::now());
        let mut outgoing = ServerBacklog::new(now);
        assert_eq!((0..2 * WAITING).filter(|n| outgoing.add(log(*n), 1, now)).count(), WAITING);
        assert_eq!(outgoing.take(&server, now).len(), WAITING + 1);
        let large = || Broadcast::Notification { message: vec![b'x'; WAITING_BYTES / 2 + 1].into() };
        assert_eq!((0..3).filter(|_| outgoing.add(large(), 1, now)).count(), 1);
        assert_eq!(outgoing.said.len(), 1);
    }
}
