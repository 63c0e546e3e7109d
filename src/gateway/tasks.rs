//! Tasks of 2025-11-25: a client makes a task of a tool call and looks after it, under an id that names its server. A session
//! knows the tasks that it made and no others, whoever else uses the same server.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
};

use bytes::Bytes;
use futures_util::future::join_all;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{ErrorCode, ErrorObject, ProtocolVersion, RawObject, json_string, method};
use slog::warn;

use super::{
    call,
    catalogue::View,
    exchange::Exchange,
    fanout::{self, Said},
    reply::Reply,
    request::required,
    session::Session,
    state::Gateway,
    visits,
};

/// Most tasks that a session is remembered to have made; the eldest are forgotten first.
const MAX_TASKS: usize = 256;
/// Longest id of a task, in bytes.
const MAX_ID: usize = 1024;
/// So many servers are asked at a time for what became of a session's tasks.
const ASKED_AT_ONCE: usize = 8;
/// Bytes after which a list of tasks takes in no more of them.
const MAX_LIST: usize = 4 * 1024 * 1024;

/// The tasks that a session made, by the ids that its client knows, the eldest first.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    made: RefCell<VecDeque<Box<str>>>,
    /// Its client was told that there are tasks. That holds while their server is down, too.
    offered: Cell<bool>,
}

impl Tasks {
    /// Takes note of what a client is told among the capabilities.
    pub(crate) fn set_offered(&self, offered: bool) {
        self.offered.set(offered);
    }

    /// One more, and the one that is forgotten for it.
    fn add(&self, id: &str) -> Option<Box<str>> {
        let mut all = self.made.borrow_mut();
        let forgotten = if all.len() == MAX_TASKS { all.pop_front() } else { None };
        all.push_back(id.into());
        forgotten
    }

    /// Whether it is one of them.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.made.borrow().iter().any(|known| **known == *id)
    }

    fn all(&self) -> Vec<Box<str>> {
        self.made.borrow().iter().cloned().collect()
    }

    fn forget(&self, id: &str) {
        self.made.borrow_mut().retain(|known| **known != *id);
    }
}

/// Which sessions made a task, by the id that they know it by.
#[derive(Default)]
pub(crate) struct TaskOwners(RefCell<HashMap<Box<str>, Vec<SessionKey>>>);

impl TaskOwners {
    fn add(&self, id: &str, session: SessionKey) {
        let mut all = self.0.borrow_mut();
        let owners = all.entry(id.into()).or_default();
        if !owners.contains(&session) {
            owners.push(session);
        }
    }

    fn remove(&self, id: &str, session: SessionKey) {
        let mut all = self.0.borrow_mut();
        let Some(owners) = all.get_mut(id) else { return };
        owners.retain(|owner| *owner != session);
        if owners.is_empty() {
            all.remove(id);
        }
    }

    /// Those of one task.
    pub(crate) fn of(&self, id: &str) -> Vec<SessionKey> {
        self.0.borrow().get(id).cloned().unwrap_or_default()
    }
}

/// Whether a session is offered tasks: its client says that it knows them, and a server has some.
pub(crate) fn are_offered(session: &Session, view: &View) -> bool {
    session.version() == ProtocolVersion::V2025_11_25 && session.features().has("tasks", None) && view.runs_tasks()
}

/// Whether a session may ask about tasks: it is offered some, or was when it began.
pub(crate) fn may_be_asked_about(session: &Session, view: &View) -> bool {
    session.tasks.offered.get() || are_offered(session, view)
}

/// What such a session is told, among the capabilities.
pub(crate) const CAPABILITY: &str = r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;

/// Whether a call may be made as a task at this server. Elsewhere the wish is left unheard, as the revision wants it.
pub(crate) fn may_run(exchange: &Exchange, server: &ServerName) -> bool {
    let view = exchange.view();
    exchange.caller.session().is_some_and(|session| are_offered(session, &view)) && view.runs_tasks_of(server)
}

/// Takes note of a task that a call came to. An error for one whose id is too long to be kept.
pub(crate) fn remember(
    owners: &TaskOwners,
    session: &Session,
    server: &ServerName,
    result: &Bytes,
) -> Result<(), ErrorObject> {
    match made(result) {
        Some(id) if id.len() > MAX_ID => {
            let message = format!("server `{server}` made a task whose id is longer than {MAX_ID} bytes");
            Err(ErrorObject::new(ErrorCode::INTERNAL_ERROR, message))
        }
        Some(id) => {
            if let Some(forgotten) = session.tasks.add(&id) {
                owners.remove(&forgotten, session.key());
            }
            // One that is over is not told anything.
            if !session.is_over() {
                owners.add(&id, session.key());
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// A task stands otherwise: tells those who listen to it, or those of them whose instance said so, and the session that made
/// it, under the id that they know.
pub(crate) fn changed(gateway: &Gateway, server: &ServerName, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(id) = RawObject::from_text(text).ok().and_then(|object| object.get_string("taskId")) else { return };
    if let Some(page) = visits::of_input_requests(params) {
        return warn!(gateway.log, "what a server says of a task is not passed on"; "server" => %server, "reason" => %page);
    }
    match only {
        Some(_) => fanout::task(gateway, server, &id, params, only),
        None => gateway.fanout.say(gateway, server, Said::Task { id: id.into_owned(), params: params.clone() }),
    }
}

/// A session is over, and nobody asks for its tasks any more.
pub(crate) fn release(gateway: &Gateway, session: &Session) {
    session.tasks.all().iter().for_each(|id| gateway.task_owners.remove(id, session.key()));
}

/// The id of the task that a call came to.
fn made(result: &[u8]) -> Option<String> {
    let task = RawObject::from_slice(result).ok()?.get_object("task")?;
    task.get_string("taskId").map(|id| id.into_owned())
}

/// Answers a request about tasks. `None`: the client cancelled it.
pub(crate) async fn answer(
    exchange: &Exchange,
    session: &Session,
    of: &'static str,
    params: RawObject<'_>,
) -> Option<Reply> {
    if of == method::TASKS_LIST {
        return Some(list(exchange, session).await);
    }
    match required(&params, "taskId") {
        Ok(id) if session.tasks.has(&id) => call::task(exchange, of, params).await,
        Ok(id) => Some(no_such_task(&id).into()),
        Err(error) => Some(error.into()),
    }
}

/// The error for a task that this caller does not have.
pub(crate) fn no_such_task(id: &str) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, format_args!("there is no task {id:?}"))
}

/// All tasks of the session that their servers still know.
async fn list(exchange: &Exchange, session: &Session) -> Reply {
    let ids = session.tasks.all();
    let ask = async |id: &str| {
        let id = json_string(id);
        let mut params = RawObject::default();
        params.set("taskId", &id);
        call::task(exchange, method::TASKS_GET, params).await
    };
    let mut tasks = List::new();
    // The latest first: those are asked for where there is no room for all.
    for ids in ids.rchunks(ASKED_AT_ONCE) {
        let replies = join_all(ids.iter().map(|id| ask(id))).await;
        for (id, reply) in ids.iter().zip(replies).rev() {
            match reply {
                Some(Reply::Result(task)) => tasks.add(&task),
                Some(error @ Reply::Error(_)) if error.code() == Some(ErrorCode::INVALID_PARAMS) => {
                    session.tasks.forget(id);
                    exchange.gateway.task_owners.remove(id, session.key());
                }
                Some(Reply::Error(_) | Reply::Page(..)) | None => {}
            }
        }
        if tasks.is_full() || exchange.is_cancelled() {
            break;
        }
    }
    tasks.finish()
}

/// The result of a list request under construction.
struct List(Vec<u8>);

impl List {
    fn new() -> Self {
        Self(b"{\"tasks\":[".to_vec())
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MAX_LIST
    }

    fn add(&mut self, task: &[u8]) {
        if self.is_full() {
            return;
        }
        if self.0.last() != Some(&b'[') {
            self.0.push(b',');
        }
        self.0.extend_from_slice(task);
    }

    fn finish(mut self) -> Reply {
        self.0.extend_from_slice(b"]}");
        Reply::Result(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::gateway::{
        catalogue::Naming,
        client::Client,
        scope::Scope,
        session::{Identity, Life},
    };

    #[test]
    fn a_session_remembers_its_latest_tasks() {
        let tasks = Tasks::default();
        for n in 0..=MAX_TASKS {
            assert_eq!(tasks.add(&n.to_string()).is_some(), n == MAX_TASKS);
        }
        assert!(!tasks.has("0") && tasks.has("1") && tasks.has("256"));
        tasks.forget("1");
        assert_eq!((tasks.has("1"), tasks.all().len()), (false, MAX_TASKS - 1));
    }

    #[test]
    fn the_list_of_tasks_ends_where_it_is_long_enough() {
        let mut list = List::new();
        list.add(b"{}");
        list.add(&vec![b' '; MAX_LIST]);
        assert!(list.is_full());
        let length = list.0.len();
        list.add(b"{}");
        assert_eq!(list.0.len(), length);
        let mut short = List::new();
        short.add(b"1");
        short.add(b"2");
        assert!(matches!(short.finish(), Reply::Result(text) if text == r#"{"tasks":[1,2]}"#));
    }

    fn session() -> Session {
        let identity = Identity {
            id: "s".into(),
            key: SessionKey([1; 16]),
            scope: Scope::All,
            principal: None,
            client: Client::default(),
            life: Life::Durable,
        };
        Session::new(identity, ProtocolVersion::V2025_11_25, Instant::now())
    }

    #[test]
    fn a_task_whose_id_is_too_long_is_an_error_and_not_kept() {
        let (session, server) = (session(), ServerName::try_from("a").expect("a name"));
        let made = |length| Bytes::from(format!(r#"{{"task":{{"taskId":"{}"}}}}"#, "x".repeat(length)));
        let owners = TaskOwners::default();
        assert!(remember(&owners, &session, &server, &made(MAX_ID)).is_ok());
        assert!(remember(&owners, &session, &server, &made(MAX_ID + 1)).is_err());
        assert_eq!((session.tasks.all().len(), owners.of(&"x".repeat(MAX_ID))), (1, vec![session.key()]));
    }

    #[test]
    fn whose_task_it_is_is_found_by_its_id_as_long_as_the_session_knows_it() {
        let (session, owners) = (session(), TaskOwners::default());
        let server = ServerName::try_from("a").expect("a name");
        for n in 0..=MAX_TASKS {
            let made = Bytes::from(format!(r#"{{"task":{{"taskId":"{n}"}}}}"#));
            remember(&owners, &session, &server, &made).expect("a short id");
        }
        assert!(owners.of("0").is_empty(), "it was forgotten");
        assert_eq!((owners.of("1"), owners.0.borrow().len()), (vec![session.key()], MAX_TASKS));
    }

    #[test]
    fn a_session_that_was_offered_tasks_may_ask_about_them_while_no_server_shows_any() {
        let (session, nothing) = (session(), View::build(Naming::Qualified, &[]));
        assert!(!may_be_asked_about(&session, &nothing));
        session.tasks.set_offered(true);
        assert!(may_be_asked_about(&session, &nothing));
    }
}
