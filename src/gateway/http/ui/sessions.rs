//! `GET /ui/api/sessions`: the clients that have a session.

use std::{rc::Rc, time::Instant};

use actix_web::HttpResponse;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{answer, caller::Caller, paths::path_of};
use crate::gateway::{sessions::session::Session, state::Gateway};

/// Sessions of one answer: those that were used last.
const MAX_SHOWN: usize = 500;

/// One session.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionRow {
    id: String,
    principal: Option<String>,
    client: Option<ClientRow>,
    era: &'static str,
    transport: &'static str,
    since: u64,
    last_used: u64,
    calls: u64,
    open_streams: usize,
    endpoint: String,
}

/// What a client says that it is.
#[derive(Serialize)]
struct ClientRow {
    name: String,
    version: String,
}

/// Those that were used last.
#[derive(Serialize)]
struct SessionsPage {
    sessions: Vec<SessionRow>,
    total: usize,
}

pub(super) async fn get(caller: Caller) -> HttpResponse {
    let caller = caller.verified().await;
    let (gateway, now) = (&caller.gateway, Instant::now());
    let mut sessions = gateway.sessions.all();
    sessions.retain(|session| caller.sees(session.principal()));
    let total = sessions.len();
    sessions.sort_by_cached_key(|session| session.idle(now));
    sessions.truncate(MAX_SHOWN);
    let sessions = sessions.iter().map(|session| row(gateway, session, now)).collect();
    answer::json(&SessionsPage { sessions, total })
}

fn row(gateway: &Gateway, session: &Session, now: Instant) -> SessionRow {
    let client = session.client();
    let last_used = now.checked_sub(session.idle(now)).unwrap_or(now);
    SessionRow {
        id: digest(session.id()),
        principal: session.principal().name().map(str::to_owned),
        client: (!client.name.is_empty())
            .then(|| ClientRow { name: client.name.to_string(), version: client.version.to_string() }),
        era: session.version().as_str(),
        transport: if session.ends_with_its_stream() { "sse" } else { "http" },
        since: gateway.calls.wall_clock(session.usage.since),
        last_used: gateway.calls.wall_clock(last_used),
        calls: session.usage.calls(),
        open_streams: session.streams_read(),
        endpoint: path_of(&session.scope().endpoint),
    }
}

/// The session that is shown as this. Looks at all of them: a person ends few.
pub(super) fn of_digest(gateway: &Gateway, shown: &str) -> Option<Rc<Session>> {
    gateway.sessions.all().into_iter().find(|session| digest(session.id()) == shown)
}

/// A name for a session that is of no use to whoever reads it: the id itself would be the session's key.
fn digest(id: &str) -> String {
    Sha256::digest(id).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_session_id_is_no_part_of_it() {
        let id = "AbCdEf0123456789AbCdEf0123456789";
        let shown = digest(id);
        assert_eq!(shown.len(), 16);
        assert!(!id.contains(&shown) && digest(id) == shown && digest("other") != shown);
    }
}
