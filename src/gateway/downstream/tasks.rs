//! Which calls may make a task (2025-11-25), and what is remembered of those that did. A session knows the tasks that it made and no
//! others, whichever clients use the same server.

use bytes::Bytes;
use mcproxy_ipc::ServerName;
use mcproxy_mcp::{ErrorCode, ErrorObject, ProtocolVersion, RawObject};

use crate::gateway::{
    catalogue::View,
    sessions::{session::Session, tasks::TaskOwners},
};

/// Longest id of a task, in bytes.
const MAX_ID: usize = 1024;

/// The error for a task that this caller does not have.
pub(crate) fn no_such_task(id: &str) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, format_args!("there is no task {id:?}"))
}

/// Whether a session is offered tasks: its client says that it knows them, and a server has some.
pub(crate) fn are_offered(session: &Session, view: &View) -> bool {
    session.version() == ProtocolVersion::V2025_11_25 && session.features().has("tasks", None) && view.runs_tasks()
}

/// Whether a session may ask about tasks: it is offered some, or was when it began.
pub(crate) fn may_be_asked_about(session: &Session, view: &View) -> bool {
    session.tasks.were_offered() || are_offered(session, view)
}

/// The capability of a session that is offered tasks.
pub(crate) const CAPABILITY: &str = r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;

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

/// The id of the task that a call came to.
fn made(result: &[u8]) -> Option<String> {
    let task = RawObject::from_slice(result).ok()?.get_object("task")?;
    task.get_string("taskId").map(|id| id.into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mcproxy_ipc::SessionKey;

    use super::*;
    use crate::gateway::{
        base::{client_info::Client, principal::Principal, scope::Scope},
        rewrite::Naming,
        sessions::{
            session::{Identity, Life},
            tasks::MAX_TASKS,
        },
    };

    fn session() -> Session {
        let identity = Identity {
            id: "s".into(),
            key: SessionKey([1; 16]),
            scope: Scope::all(),
            principal: Principal::default(),
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
        assert_eq!((owners.of("1"), owners.len()), (vec![session.key()], MAX_TASKS));
    }

    #[test]
    fn a_session_that_was_offered_tasks_may_ask_about_them_while_no_server_shows_any() {
        let (session, nothing) = (session(), View::build(Naming::Qualified, &[]));
        assert!(!may_be_asked_about(&session, &nothing));
        session.tasks.set_offered(true);
        assert!(may_be_asked_about(&session, &nothing));
    }
}
