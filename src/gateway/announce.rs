//! What sessions are told without having asked: lists that changed, and log lines of servers.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::pending,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::{CatalogueCounts, ServerName, SessionKey, data::ServerEra};
use mcproxy_mcp::{Level, method, one_line, write_notification};
use tokio::time::sleep_until;

use super::{
    budget::Purpose,
    catalogue::{Changes, ListKind},
    fanout::Said,
    link::Link,
    notice::Notice,
    pace::Pace,
    scope::Scope,
    slices::{DELIVERY, LOOK, Slices},
    state::Gateway,
};

/// Changes within this time are announced once.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// So long a call waits for its server to take note of a log level.
const TELLING: Duration = Duration::from_secs(1);

/// What servers announced and clients were not told yet: at most one entry for each server, session and kind of list. A server that
/// announces again and again is heard ever less often.
#[derive(Default)]
pub(crate) struct Announced(RefCell<Waiting>);

#[derive(Default)]
struct Waiting {
    all: Vec<Announcement>,
    paces: HashMap<ServerName, Pace>,
}

#[derive(Debug, PartialEq, Eq)]
struct Announcement {
    server: ServerName,
    only: Option<SessionKey>,
    kind: ListKind,
}

impl Announced {
    fn add(&self, announcement: Announcement) {
        let all = &mut self.0.borrow_mut().all;
        if !all.contains(&announcement) {
            all.push(announcement);
        }
    }

    /// Those whose time has come.
    fn take(&self, now: Instant) -> Vec<Announcement> {
        let Waiting { all, paces } = &mut *self.0.borrow_mut();
        paces.retain(|_, pace| !pace.is_at_rest(now));
        let is_due = |a: &mut Announcement| paces.get(&a.server).is_none_or(|pace| pace.due(now) <= now);
        let due: Vec<_> = all.extract_if(.., is_due).collect();
        let mut servers: Vec<&ServerName> = due.iter().map(|a| &a.server).collect();
        servers.sort_unstable();
        servers.dedup();
        for server in servers {
            // It comes with each change, so it counts as held back where it follows the one before closely.
            let pace = paces.entry(server.clone()).or_default();
            pace.was(now, Duration::ZERO, !pace.is_fresh());
        }
        due
    }

    /// When the time of the next has come.
    fn due(&self, now: Instant) -> Option<Instant> {
        let Waiting { all, paces } = &*self.0.borrow();
        all.iter().map(|a| paces.get(&a.server).map_or(now, |pace| pace.due(now))).min()
    }
}

/// A server announced that a list has changed. Those who listen hear that even if it looks as before: it is the server's
/// word.
pub(crate) fn list_changed(gateway: &Gateway, server: &ServerName, kind: ListKind, only: Option<SessionKey>) {
    gateway.announced.add(Announcement { server: server.clone(), only, kind });
    gateway.fleet.nudge();
}

/// What was announced to a client of this endpoint.
fn announced_to(gateway: &Gateway, all: &[Announcement], scope: &Scope, key: SessionKey) -> Changes {
    let concerns = |a: &&Announcement| a.only.is_none_or(|only| only == key) && gateway.fleet.shows(scope, &a.server);
    all.iter().filter(concerns).fold(Changes::default(), |changes, a| changes.with(a.kind))
}

/// Watches all changes and tells every session and listener which of its lists differ from what they were, or are said to.
pub(crate) async fn run(gateway: Rc<Gateway>) {
    let mut changes = gateway.fleet.watch();
    let mut told = HashMap::new();
    loop {
        let held_back = gateway.announced.due(Instant::now());
        let time = async {
            match held_back {
                Some(due) => sleep_until(due.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = time => {}
        }
        tokio::time::sleep(DEBOUNCE).await;
        changes.mark_unchanged();
        let announced = gateway.announced.take(Instant::now());
        tell_supervisor(&gateway, &mut told);
        tell_clients(&gateway, &announced).await;
    }
}

/// Tells everybody whom it concerns, a few at a time.
async fn tell_clients(gateway: &Gateway, announced: &[Announcement]) {
    let mut slices = Slices::default();
    for key in gateway.sessions.keys() {
        let Some(session) = gateway.sessions.by_key(key) else { continue };
        let now = gateway.fleet.view_of(session.scope(), key).outline();
        // Before `initialize` there is nothing that could have changed for a client.
        let told = session.replace_lists(now).is_some_and(|before| {
            let said = announced_to(gateway, announced, session.scope(), key);
            session.announce(now.changes_since(before).or(said))
        });
        drop(session);
        slices.did(if told { DELIVERY } else { LOOK }).await;
    }
    for listener in gateway.listeners.all() {
        let told = if gateway.fleet.has(listener.scope()) {
            let said = announced_to(gateway, announced, listener.scope(), listener.key());
            listener.look_at(gateway.fleet.view(listener.scope()).outline(), said)
        } else {
            listener.finish(); // its endpoint is not configured any more
            true
        };
        slices.did(if told { DELIVERY } else { LOOK }).await;
    }
}

/// Tells the supervisor how much of each server's offer clients see, where that differs from what it was told.
fn tell_supervisor(gateway: &Gateway, told: &mut HashMap<ServerName, CatalogueCounts>) {
    let shown = gateway.fleet.shown();
    told.retain(|server, _| shown.iter().any(|(name, _)| name == server));
    for (server, counts) in shown {
        if told.get(&server) != Some(&counts) && gateway.supervisor.shown(&server, counts) {
            told.insert(server, counts);
        }
    }
}

/// A session's own instance offers something else than before.
pub(crate) fn own_lists(gateway: &Gateway, session: SessionKey) {
    match gateway.sessions.by_key(session).filter(|session| session.is_meeting()) {
        // It is about to see them.
        Some(session) => {
            session.replace_lists(gateway.fleet.view_of(session.scope(), session.key()).outline());
        }
        None => gateway.fleet.nudge(),
    }
}

/// Passes a server's log line on to every session that asked for lines of its level, but for the one that gets it with its
/// call. Nothing says for sure which call it belongs to, so it goes to the stream that belongs to none.
pub(crate) fn log_message(gateway: &Gateway, server: &ServerName, params: &Bytes, except: Option<SessionKey>) {
    let level = Level::of_message(params);
    if gateway.sessions.hearing(level) > 0 {
        let message = log_notification(params);
        gateway.fanout.say(gateway, server, Said::Log { level, message, except });
    }
}

/// Passes a log line of a session's own instance on to that session; with no wish stated, the server's default is what it
/// gets.
pub(crate) fn log_to_one(gateway: &Gateway, server: &ServerName, session: SessionKey, params: &Bytes) {
    let Some(session) = gateway.sessions.by_key(session) else { return };
    let level = Level::of_message(params);
    if level >= session.level().unwrap_or(Level::Debug)
        && let Ok(message) = gateway.budget.guard_large(Purpose::Streams, log_notification(params))
    {
        session.notice(Notice { server: server.clone(), message, topic: None, level });
    }
}

/// Before a call whose client wants to hear log lines of this level: a server that all share must not keep them to itself.
/// Sessions are filtered by their own wishes, so it is asked for more, never for less.
pub(crate) async fn let_hear(link: &Rc<Link>, level: Level) {
    let wanted = level.min(Level::Info);
    let shared = !link.is_per_session() && link.traits().era == ServerEra::Legacy;
    if shared && link.told_level().is_none_or(|told| wanted < told) {
        // A server that does not answer this may answer the call.
        let _ = tokio::time::timeout(TELLING, link.clone().tell_level(wanted)).await;
    }
}

/// A `notifications/message` around a server's params.
pub(crate) fn log_notification(params: &[u8]) -> Bytes {
    let mut out = Vec::new();
    write_notification(&mut out, method::LOG_MESSAGE, &one_line(&String::from_utf8_lossy(params)));
    out.into()
}
