//! Sends what servers say to all who listen: each line written once, in batches, within the rate of its server, and so that calls go
//! first (`docs/decisions/0112`).

use std::{
    borrow::Cow,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{Level, ProtocolVersion, Subject, json_string, method, one_line, qualify_task, write_notification};
use tokio::time::sleep_until;

use crate::gateway::{
    base::{
        budget::Purpose,
        slices::{CHECK, DELIVERY, Yielder},
    },
    rewrite::{self, Naming},
    sessions::{
        notice::{Notice, topic},
        session::Session,
        subscribers::Subscriber,
    },
    state::{Gateway, broadcasts::Broadcast},
};

/// The shortest gap between two batches.
const BATCH: Duration = Duration::from_millis(50);
/// The rest after a batch, as a multiple of its time: batches never take more than a ninth of the thread.
const REST: u32 = 8;
/// The longest rest, however long a batch took.
const LONGEST_REST: Duration = Duration::from_millis(500);
/// Messages of one server that one client gets before the others get theirs.
const ROUND: usize = 32;
/// Bytes of a notification that a resource changed beyond which it says no more than which.
const LARGE: usize = 64 * 1024;

/// Queues a message of a server for all its readers.
pub(crate) fn say(gateway: &Gateway, server: &ServerName, said: Broadcast) {
    let listeners = listeners(gateway, server, &said);
    if listeners > 0 && !gateway.broadcasts.say(&gateway.budget, server, said, listeners) {
        gateway.metrics.dropped(server.as_str());
    }
}

/// The most readers that a broadcast may have.
fn listeners(gateway: &Gateway, server: &ServerName, said: &Broadcast) -> usize {
    match said {
        Broadcast::Log { level, .. } => gateway.sessions.hearing(*level),
        Broadcast::Notification { .. } => gateway.sessions.len(),
        Broadcast::Updated { uri, .. } => gateway.subscribers.count(server, uri),
        // The session that created it, and its listeners.
        Broadcast::Task { .. } => 1,
    }
}

/// Sends the batches, for the life of the process.
pub(crate) async fn run(gateway: Rc<Gateway>) {
    let broadcasts = &gateway.broadcasts;
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        match broadcasts.due(now) {
            None => broadcasts.work().await,
            Some(due) if due.max(next) > now => {
                // Something may come that is due before the word of a loss.
                tokio::select! {
                    () = sleep_until(due.max(next).into()) => {}
                    () = broadcasts.work(), if due > next => {}
                }
            }
            Some(_) => {
                all(&gateway, broadcasts.take(now)).await;
                let done = Instant::now();
                next = done + BATCH.max((REST * done.duration_since(now)).min(LONGEST_REST));
            }
        }
    }
}

/// Sends a batch, in rounds: between two of them clients have read the first.
async fn all(gateway: &Gateway, batch: Vec<(ServerName, Vec<Broadcast>)>) {
    let rounds = batch.iter().map(|(_, said)| said.len().div_ceil(ROUND)).max().unwrap_or_default();
    let mut slices = Yielder::default();
    for round in 0..rounds {
        let of_round = |said: &'_ [Broadcast]| said.len().min(ROUND * round)..said.len().min(ROUND * (round + 1));
        let part: Vec<(&ServerName, &[Broadcast])> = batch
            .iter()
            .map(|(server, said)| (server, &said[of_round(said)]))
            .filter(|(_, said)| !said.is_empty())
            .collect();
        broadcast(gateway, &part, &mut slices).await;
        for (server, said) in &part {
            for said in *said {
                match said {
                    Broadcast::Updated { uri, params } => updated(gateway, server, uri, params, &mut slices).await,
                    Broadcast::Task { id, params } => task(gateway, server, id, params, None),
                    Broadcast::Log { .. } | Broadcast::Notification { .. } => {}
                }
            }
        }
    }
}

/// Messages for all go to one session after the other, of all servers at once: each connection wakes once for them.
async fn broadcast(gateway: &Gateway, part: &[(&ServerName, &[Broadcast])], slices: &mut Yielder) {
    let all = || part.iter().flat_map(|(_, said)| *said);
    let for_all = all().any(|said| matches!(said, Broadcast::Notification { .. }));
    if !for_all && !all().any(|said| matches!(said, Broadcast::Log { .. })) {
        return;
    }
    // Keys, and not the sessions: a walk over all of those is long.
    let keys = if for_all { gateway.sessions.keys() } else { gateway.sessions.hearing_keys() };
    for key in keys {
        let heard = gateway.sessions.by_key(key).is_some_and(|session| tell(gateway, &session, part));
        slices.did(if heard { DELIVERY } else { CHECK }).await;
    }
}

/// Tells one session; whether there was something for it.
fn tell(gateway: &Gateway, session: &Session, part: &[(&ServerName, &[Broadcast])]) -> bool {
    let mut heard = false;
    for (server, said) in part.iter().filter(|(server, _)| gateway.servers.shows(session.scope(), server)) {
        for said in *said {
            let (message, level) = match said {
                Broadcast::Log { level, message, except } => {
                    let hears = session.level().is_some_and(|wanted| *level >= wanted);
                    if !hears || *except == Some(session.key()) {
                        continue;
                    }
                    (message, *level)
                }
                Broadcast::Notification { message } => (message, Level::Warning),
                Broadcast::Updated { .. } | Broadcast::Task { .. } => continue,
            };
            let notice = Notice { server: (*server).clone(), message: message.clone(), topic: None, level };
            heard |= session.notice(notice);
        }
    }
    heard
}

/// Tells those who subscribed to a resource that it changed, under the URI that they know.
async fn updated(gateway: &Gateway, server: &ServerName, uri: &str, params: &Bytes, slices: &mut Yielder) {
    let subject = Subject::Resource(uri.to_owned());
    // Those of one kind hear the same bytes.
    let mut written = Vec::new();
    for subscriber in gateway.subscribers.of(server, &subject) {
        match subscriber {
            Subscriber::Listener(listener) => {
                if let Some(listener) = listener.upgrade().filter(|listener| listener.is_subscribed(server, &subject)) {
                    listener.updated(server, uri, &short(uri, params));
                }
            }
            Subscriber::Session(key) => {
                if let Some(session) = gateway.sessions.by_key(key).filter(|s| s.subscriptions.has(server, uri)) {
                    let (naming, version) = (session.scope().naming(), session.version());
                    let known = written.iter().find(|(of, _)| *of == (naming, version));
                    let message = known.map(|(_, message): &(_, Bytes)| message.clone()).unwrap_or_else(|| {
                        let message = updated_message(naming, version, server, uri, params);
                        written.push(((naming, version), message.clone()));
                        message
                    });
                    session.notice(updated_notice(server, uri, message));
                }
            }
        }
        slices.did(DELIVERY).await;
    }
}

/// Tells the session whose own instance says so.
pub(crate) fn updated_for(session: &Session, server: &ServerName, uri: &str, params: &Bytes) {
    let message = updated_message(session.scope().naming(), session.version(), server, uri, params);
    session.notice(updated_notice(server, uri, message));
}

fn updated_notice(server: &ServerName, uri: &str, message: Bytes) -> Notice {
    Notice {
        server: server.clone(),
        message,
        topic: Some(topic((method::RESOURCE_UPDATED, uri))),
        level: Level::Warning,
    }
}

fn updated_message(naming: Naming, version: ProtocolVersion, server: &ServerName, uri: &str, params: &Bytes) -> Bytes {
    let params = rewrite::updated_params(naming, server.as_str(), &short(uri, params), version).into_owned();
    let mut message = Vec::new();
    write_notification(&mut message, method::RESOURCE_UPDATED, &one_line(&params));
    message.into()
}

/// The notification about a changed resource; if the server's params are large, only the URI.
pub(crate) fn short<'p>(uri: &str, params: &'p Bytes) -> Cow<'p, str> {
    match std::str::from_utf8(params) {
        Ok(text) if text.len() <= LARGE => Cow::Borrowed(text),
        Ok(_) | Err(_) => Cow::Owned(format!("{{\"uri\":{}}}", json_string(uri).get())),
    }
}

/// Tells those who listen to a task how it stands, or those of them whose instance said so, and the session that made it, under the
/// id that they know.
pub(crate) fn task(gateway: &Gateway, server: &ServerName, id: &str, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let subject = Subject::Task(id.to_owned());
    for subscriber in gateway.subscribers.of(server, &subject) {
        let Subscriber::Listener(listener) = subscriber else { continue };
        let listener = listener.upgrade().filter(|listener| only.is_none_or(|key| key == listener.key()));
        if let Some(listener) = listener.filter(|listener| listener.is_subscribed(server, &subject)) {
            listener.task_changed(server, id, text);
        }
    }
    let qualified = qualify_task(server.as_str(), id);
    let owners = gateway.task_owners.of(id).into_iter().chain(gateway.task_owners.of(&qualified));
    let sessions =
        owners.filter(|key| only.is_none_or(|only| only == *key)).filter_map(|key| gateway.sessions.by_key(key));
    for session in sessions {
        let naming = session.scope().naming();
        let known = if naming == Naming::Qualified { &*qualified } else { id };
        if gateway.servers.shows(session.scope(), server) && session.tasks.has(known) {
            let params = rewrite::task_result(naming, server.as_str(), text, session.version());
            let mut message = Vec::new();
            write_notification(&mut message, method::TASK_STATUS, &one_line(&params));
            let Ok(message) = gateway.budget.guard_large(Purpose::Streams, message.into()) else { continue };
            session.notice(Notice { server: server.clone(), message, topic: None, level: Level::Warning });
        }
    }
}
