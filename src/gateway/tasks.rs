//! Tasks of 2025-11-25: a client makes a task of a tool call and looks after it, under an id that names its server. A session
//! knows the tasks that it made and no others, whoever else uses the same server.

use std::{cell::RefCell, collections::VecDeque};

use bytes::Bytes;
use futures_util::future::join_all;
use mcproxy_ipc::{ServerName, SessionKey};
use mcproxy_mcp::{
    ErrorCode, ErrorObject, ProtocolVersion, RawObject, Subject, json_string, method, one_line, qualify_task,
    write_notification,
};

use super::{
    call,
    catalogue::{Naming, View},
    exchange::Exchange,
    reply::Reply,
    request::required,
    rewrite,
    session::Session,
    state::Gateway,
};

/// Most tasks that a session is remembered to have made; the eldest are forgotten first.
const MAX_TASKS: usize = 256;

/// The tasks that a session made, by the ids that its client knows, the eldest first.
#[derive(Debug, Default)]
pub(crate) struct Tasks(RefCell<VecDeque<Box<str>>>);

impl Tasks {
    fn add(&self, id: &str) {
        let mut all = self.0.borrow_mut();
        if all.len() == MAX_TASKS {
            all.pop_front();
        }
        all.push_back(id.into());
    }

    fn has(&self, id: &str) -> bool {
        self.0.borrow().iter().any(|known| **known == *id)
    }

    fn all(&self) -> Vec<Box<str>> {
        self.0.borrow().iter().cloned().collect()
    }

    fn forget(&self, id: &str) {
        self.0.borrow_mut().retain(|known| **known != *id);
    }
}

/// Whether a session is offered tasks: its client says that it knows them, and a server has some.
pub(crate) fn are_offered(session: &Session, view: &View) -> bool {
    session.version() == ProtocolVersion::V2025_11_25 && session.features().has("tasks", None) && view.runs_tasks()
}

/// What such a session is told, among the capabilities.
pub(crate) const CAPABILITY: &str = r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;

/// Whether a call may be made as a task at this server. Elsewhere the wish is left unheard, as the revision wants it.
pub(crate) fn may_run(exchange: &Exchange, server: &ServerName) -> bool {
    let view = exchange.view();
    exchange.caller.session().is_some_and(|session| are_offered(session, &view)) && view.runs_tasks_of(server)
}

/// Takes note of a task that a call came to.
pub(crate) fn remember(session: &Session, result: &Bytes) {
    let Ok(result) = RawObject::from_slice(result) else { return };
    if let Some(id) = result.get_object("task").and_then(|task| task.get_string("taskId").map(|id| id.into_owned())) {
        session.tasks.add(&id);
    }
}

/// A task stands otherwise: tells those who listen to it, or those of them whose instance said so, and the session that made
/// it, under the id that they know.
pub(crate) fn changed(gateway: &Gateway, server: &ServerName, params: &Bytes, only: Option<SessionKey>) {
    let Ok(text) = std::str::from_utf8(params) else { return };
    let Some(id) = RawObject::from_text(text).ok().and_then(|object| object.get_string("taskId")) else { return };
    let subject = Subject::Task(id.clone().into_owned());
    for listener in gateway.listeners.all() {
        if only.is_none_or(|key| key == listener.key()) && listener.is_subscribed(server, &subject) {
            listener.task_changed(server, text);
        }
    }
    let sessions = match only {
        Some(key) => gateway.sessions.by_key(key).into_iter().collect(),
        None => gateway.sessions.all(),
    };
    let qualified = qualify_task(server.as_str(), &id);
    for session in sessions {
        let naming = session.scope().naming();
        let known = if naming == Naming::Qualified { &*qualified } else { &*id };
        if gateway.fleet.shows(session.scope(), server) && session.tasks.has(known) {
            let params = rewrite::task_result(naming, server.as_str(), text, session.version());
            let mut message = Vec::new();
            write_notification(&mut message, method::TASK_STATUS, &one_line(&params));
            session.push(message.into());
        }
    }
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
    let asked = ids.iter().map(async |id| {
        let id = json_string(id);
        let mut params = RawObject::default();
        params.set("taskId", &id);
        call::task(exchange, method::TASKS_GET, params).await
    });
    let mut tasks = Vec::new();
    for (id, reply) in ids.iter().zip(join_all(asked).await) {
        match reply {
            Some(Reply::Result(task)) => tasks.push(String::from_utf8_lossy(&task).into_owned()),
            Some(error @ Reply::Error(_)) if error.code() == Some(ErrorCode::INVALID_PARAMS) => {
                session.tasks.forget(id)
            }
            Some(Reply::Error(_)) | None => {}
        }
    }
    Reply::Result(format!("{{\"tasks\":[{}]}}", tasks.join(",")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_remembers_its_latest_tasks() {
        let tasks = Tasks::default();
        for n in 0..=MAX_TASKS {
            tasks.add(&n.to_string());
        }
        assert!(!tasks.has("0") && tasks.has("1") && tasks.has("256"));
        tasks.forget("1");
        assert_eq!((tasks.has("1"), tasks.all().len()), (false, MAX_TASKS - 1));
    }
}
