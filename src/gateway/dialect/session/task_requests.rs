//! Requests of a session about its tasks (2025-11-25): a client makes a task of a tool call and looks after it, under an id that names its
//! server.

use futures_util::future::join_all;
use mcproxy_mcp::{ErrorCode, json_string, method};

use crate::gateway::{
    base::reply::Reply,
    call::{incoming::Params, request_context::RequestContext, route},
    downstream::tasks::no_such_task,
    sessions::session::Session,
};

/// How many tasks of a session are asked about at a time.
const ASKED_AT_ONCE: usize = 8;
/// Bytes after which a list of tasks takes in no more of them.
const MAX_LIST: usize = 4 * 1024 * 1024;

/// Answers a request about tasks. `None`: the client cancelled it.
pub(crate) async fn answer(
    context: &RequestContext,
    session: &Session,
    of: &'static str,
    params: Params<'_>,
) -> Option<Reply> {
    if of == method::TASKS_LIST {
        return Some(list(context, session).await);
    }
    match params.required("taskId") {
        Ok(id) if session.tasks.has(&id) => route::task(context, of, params).await,
        Ok(id) => Some(no_such_task(&id).into()),
        Err(error) => Some(error.into()),
    }
}

/// All tasks of the session that their servers still know.
async fn list(context: &RequestContext, session: &Session) -> Reply {
    let ids = session.tasks.all();
    let ask = async |id: &str| {
        let id = json_string(id);
        let mut params = Params::default();
        params.members.set("taskId", &id);
        route::task(context, method::TASKS_GET, params).await
    };
    let mut tasks = TaskList::new();
    // The latest first: those are asked for where there is no room for all.
    for ids in ids.rchunks(ASKED_AT_ONCE) {
        let replies = join_all(ids.iter().map(|id| ask(id))).await;
        for (id, reply) in ids.iter().zip(replies).rev() {
            match reply {
                Some(Reply::Result(task)) => tasks.add(&task),
                Some(error @ Reply::Error(_)) if error.code() == Some(ErrorCode::INVALID_PARAMS) => {
                    session.tasks.forget(id);
                    context.gateway.task_owners.remove(id, session.key());
                }
                Some(Reply::Error(_) | Reply::Page(..)) | None => {}
            }
        }
        if tasks.is_full() || context.is_cancelled() {
            break;
        }
    }
    tasks.finish()
}

/// The result of a list request under construction.
struct TaskList(Vec<u8>);

impl TaskList {
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
    use super::*;

    #[test]
    fn the_list_of_tasks_ends_where_it_is_long_enough() {
        let mut list = TaskList::new();
        list.add(b"{}");
        list.add(&vec![b' '; MAX_LIST]);
        assert!(list.is_full());
        let length = list.0.len();
        list.add(b"{}");
        assert_eq!(list.0.len(), length);
        let mut short = TaskList::new();
        short.add(b"1");
        short.add(b"2");
        assert!(matches!(short.finish(), Reply::Result(text) if text == r#"{"tasks":[1,2]}"#));
    }
}
