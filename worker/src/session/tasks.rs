//! Tools that can only be run as a task (MCP 2025-11-25, tasks): a call of one makes a task, waits for its result, and gives
//! the task up when the caller does. Callers need to know nothing of tasks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mcproxy_ipc::data::{Outcome as Answered, ServerEra, WorkerToGateway};
use mcproxy_mcp::{Outcome, RawObject, RawValue, json_string, meta, method, object_body};

use super::{Asked, Session};
use crate::dialect::legacy;

/// Calls that may be made as tasks at once, those included whose server never said so.
const MAX_TASKS: usize = 4096;
/// How often a task is looked at, unless the server says otherwise.
const POLL: Duration = Duration::from_secs(5);
/// However often the server wants it.
const SHORTEST_POLL: Duration = Duration::from_millis(500);
/// What a task's result should be kept for beyond the longest that the call may take.
const SLACK: Duration = Duration::from_secs(60);

/// Where a call stands that is made as a task.
#[derive(Debug)]
enum Stage {
    /// The server has not said yet that there is a task.
    Creating,
    /// The call waits for the result of this task.
    Running { task: Box<str>, poll: Duration, next: Instant },
}

/// The calls that are made as tasks, by the request to the server that answers them.
#[derive(Debug, Default)]
pub(super) struct Tasks(Vec<(u64, Stage)>);

impl Tasks {
    /// Whether no call is made as one.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When one should be looked at next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let next = |stage: &Stage| match stage {
            Stage::Creating => None,
            Stage::Running { next, .. } => Some(*next),
        };
        self.0.iter().filter_map(|(_, stage)| next(stage)).min()
    }

    fn take(&mut self, upstream: u64) -> Option<Stage> {
        let at = self.0.iter().position(|(id, _)| *id == upstream)?;
        Some(self.0.swap_remove(at).1)
    }
}

impl Session {
    /// The params of a call as they are to be sent, when it can only be made as a task. What the caller itself wants as one
    /// stays as it is.
    pub(super) fn as_task(&self, of: &str, params: &[u8]) -> Option<Vec<u8>> {
        let only_tasks = self.catalogue.only_tasks();
        if only_tasks.is_empty()
            || of != method::TOOLS_CALL
            || self.era != ServerEra::Legacy
            || self.tasks.0.len() >= MAX_TASKS
        {
            return None;
        }
        let object = RawObject::from_slice(params).ok()?;
        let name = object.get_string("name")?;
        let body = object_body(std::str::from_utf8(params).ok()?)?;
        let is_one = object.get("task").is_none() && only_tasks.iter().any(|tool| **tool == *name);
        let ttl = (self.calls.timeouts().total + SLACK).as_millis();
        is_one.then(|| format!("{{\"task\":{{\"ttl\":{ttl}}},{body}}}").into_bytes())
    }

    /// The server is told to make a task of this call.
    pub(super) fn task_begun(&mut self, upstream: u64) {
        self.tasks.0.push((upstream, Stage::Creating));
    }

    /// An answer came; `true`: it was about a task, and nothing more is to be done with it.
    pub(super) fn task_answered(&mut self, upstream: u64, line: &Bytes, outcome: Outcome<'_>, now: Instant) -> bool {
        match (self.tasks.take(upstream), outcome) {
            (Some(Stage::Creating), Outcome::Result(result)) => match created(result) {
                Some((task, poll)) => {
                    self.task_created(upstream, task, poll, now);
                    true
                }
                // It was done at once after all.
                None => false,
            },
            (Some(Stage::Running { .. }), Outcome::Result(result)) => {
                let Some(call) = self.calls.close(upstream) else { return false };
                self.used(now);
                let payload = unrelated(result).unwrap_or_else(|| line.slice_ref(result.get().as_bytes()));
                self.tell(WorkerToGateway::Done { id: call, outcome: Answered::Result, era: self.era }, payload);
                true
            }
            (None | Some(_), _) => false,
        }
    }

    fn task_created(&mut self, creator: u64, task: Box<str>, poll: Duration, now: Instant) {
        let upstream = self.mint();
        if !self.calls.rename(creator, upstream) {
            // The caller is gone since.
            return self.give_up_task(&task);
        }
        self.used(now);
        let params = format!("{{\"taskId\":{}}}", json_string(&task).get());
        legacy::request(&mut self.out.server, upstream, method::TASKS_RESULT, &params);
        // A task that is worked on is a sign of life, so it is looked at before the call would run out of time.
        let poll = poll.min(self.calls.timeouts().idle / 2).max(SHORTEST_POLL);
        self.tasks.0.push((upstream, Stage::Running { task, poll, next: now + poll }));
    }

    /// The caller does not wait for this call any more.
    pub(super) fn task_cancelled(&mut self, upstream: u64) {
        let at = self.tasks.0.iter().position(|(id, stage)| *id == upstream && matches!(stage, Stage::Running { .. }));
        if let Some((_, Stage::Running { task, .. })) = at.map(|at| self.tasks.0.swap_remove(at)) {
            self.give_up_task(&task);
        }
    }

    fn give_up_task(&mut self, task: &str) {
        let id = self.mint();
        self.asked.push((id, Asked::Task { of: None }));
        let params = format!("{{\"taskId\":{}}}", json_string(task).get());
        legacy::request(&mut self.out.server, id, method::TASKS_CANCEL, &params);
    }

    /// Looks at the tasks whose time it is.
    pub(super) fn look_at_tasks(&mut self, now: Instant) {
        if self.tasks.deadline().is_none_or(|next| now < next) {
            return;
        }
        for at in 0..self.tasks.0.len() {
            let (upstream, Stage::Running { task, poll, next }) = &mut self.tasks.0[at] else { continue };
            if *next > now {
                continue;
            }
            *next = now + *poll;
            let (upstream, params) = (*upstream, format!("{{\"taskId\":{}}}", json_string(task).get()));
            let is_asked = |(_, asked): &(u64, Asked)| matches!(asked, Asked::Task { of } if *of == Some(upstream));
            if !self.asked.iter().any(is_asked) {
                let id = self.mint();
                self.asked.push((id, Asked::Task { of: Some(upstream) }));
                legacy::request(&mut self.out.server, id, method::TASKS_GET, &params);
            }
        }
    }

    /// The server said how a task stands: as long as it says so, the call goes on, within its total time.
    pub(super) fn task_looked_at(&mut self, of: Option<u64>, outcome: Outcome<'_>, now: Instant) {
        if let (Some(upstream), Outcome::Result(_)) = (of, outcome) {
            self.calls.progress(upstream, now);
        }
    }
}

/// The id of the task that a result says was made, and how often it wants to be looked at.
fn created(result: &RawValue) -> Option<(Box<str>, Duration)> {
    let task = RawObject::from_raw(result).ok()?.get_object("task")?;
    let poll = task.get("pollInterval").and_then(|raw| raw.get().parse::<f64>().ok()).filter(|ms| *ms > 0.0);
    let poll = poll.map_or(POLL, |ms| Duration::from_millis(ms.min(60_000.0) as u64));
    Some((task.get_string("taskId")?.into(), poll))
}

/// A result without the task that it comes from, which the caller has not heard of; `None`: it names none.
fn unrelated(result: &RawValue) -> Option<Bytes> {
    let mut object = RawObject::from_raw(result).ok()?;
    let mut all = object.get_object("_meta")?;
    all.remove(meta::RELATED_TASK)?;
    let rest = (!all.is_empty()).then(|| all.to_raw());
    match &rest {
        Some(rest) => object.set("_meta", rest),
        None => drop(object.remove("_meta")),
    }
    let mut out = Vec::new();
    object.write(&mut out);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::data::{CallContext, GatewayToWorker};

    use super::{super::tests::*, *};

    /// A server with a tool that can only be run as a task.
    fn slow(now: Instant) -> Session {
        let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}}}}"#;
        let tools = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"slow","execution":{"taskSupport":"required"},"n":1.50},{"name":"quick"}]}}"#;
        let mut session = ready(greeting, tools, now);
        let told = told(&mut session);
        assert!(told[0].1.contains(r#"{"name":"slow","execution":{"taskSupport":"optional"},"n":1.50}"#), "{told:?}");
        written(&mut session);
        session
    }

    fn call(session: &mut Session, id: u64, params: &str, now: Instant) -> String {
        let context = CallContext::default();
        let meta_at = params.len();
        let call = GatewayToWorker::Call { id, method: "tools/call".into(), meta_at, context };
        session.frame(call, params.as_bytes(), now);
        written(session)
    }

    const CREATED: &str =
        r#"{"jsonrpc":"2.0","id":3,"result":{"task":{"taskId":"t\"1","status":"working","pollInterval":1000}}}"#;

    #[test]
    fn a_tool_that_needs_a_task_is_called_like_any_other() {
        let now = Instant::now();
        let mut session = slow(now);
        let line = call(&mut session, 70, r#"{"name":"slow","arguments":{}}"#, now);
        assert!(line.contains(r#""params":{"task":{"ttl":160000},"name":"slow","arguments":{},"#), "{line}");
        say(&mut session, CREATED, now);
        assert!(told(&mut session).is_empty());
        let line = written(&mut session);
        assert!(line.contains(r#""id":4,"method":"tasks/result","params":{"taskId":"t\"1"}"#), "{line}");
        let result = r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t\"1"},"x":1}}"#;
        say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":4,"result":{result}}}"#), now);
        let done = WorkerToGateway::Done { id: 70, outcome: Answered::Result, era: ServerEra::Legacy };
        assert_eq!(told(&mut session), [(done, r#"{"content":[],"_meta":{"x":1}}"#.to_owned())]);
        assert_eq!(session.tasks.deadline(), None);
    }

    #[test]
    fn other_tools_and_callers_that_want_a_task_themselves_are_left_alone() {
        let now = Instant::now();
        let mut session = slow(now);
        assert!(!call(&mut session, 70, r#"{"name":"quick"}"#, now).contains("\"task\""));
        let line = call(&mut session, 71, r#"{"name":"slow","task":{"ttl":1}}"#, now);
        assert!(line.contains(r#""task":{"ttl":1}"#) && !line.contains("160000"), "{line}");
        say(&mut session, &CREATED.replace("\"id\":3", "\"id\":4"), now);
        assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 71, .. }, _)]));
    }

    #[test]
    fn a_task_that_is_worked_on_keeps_its_call_alive_within_the_total_time() {
        let start = Instant::now();
        let mut session = slow(start);
        call(&mut session, 70, r#"{"name":"slow"}"#, start);
        say(&mut session, CREATED, start);
        written(&mut session);
        let mut id = 4;
        for second in 1..100 {
            session.tick(false, start + Duration::from_secs(second));
            let polled = written(&mut session);
            // A server that is idle is asked whether it lives as well.
            id += polled.lines().count();
            assert!(polled.contains("tasks/get"), "{second}: {polled}");
            let poll = polled.lines().position(|line| line.contains("tasks/get")).expect("checked");
            let poll = id - polled.lines().count() + 1 + poll;
            say(
                &mut session,
                &format!(r#"{{"jsonrpc":"2.0","id":{poll},"result":{{"status":"working"}}}}"#),
                start + Duration::from_secs(second),
            );
            assert!(told(&mut session).is_empty(), "{second}");
        }
        session.tick(false, start + Duration::from_secs(100));
        assert!(written(&mut session).contains(r#""method":"tasks/cancel","params":{"taskId":"t\"1"}"#));
        let told = told(&mut session);
        assert!(matches!(told[..], [(WorkerToGateway::Done { id: 70, outcome: Answered::Error, .. }, _)]), "{told:?}");
    }

    #[test]
    fn a_task_goes_with_its_call_whether_it_is_there_already_or_not_yet() {
        let now = Instant::now();
        for is_there in [true, false] {
            let mut session = slow(now);
            call(&mut session, 70, r#"{"name":"slow"}"#, now);
            if is_there {
                say(&mut session, CREATED, now);
            }
            written(&mut session);
            session.frame(GatewayToWorker::Cancel { id: 70, reason: None }, b"", now);
            if !is_there {
                assert!(written(&mut session).contains("notifications/cancelled"));
                say(&mut session, CREATED, now);
            }
            assert!(
                written(&mut session).contains(r#""method":"tasks/cancel","params":{"taskId":"t\"1"}"#),
                "{is_there}"
            );
            assert!(told(&mut session).is_empty() && session.tasks.deadline().is_none());
        }
    }

    #[test]
    fn a_refusal_and_a_result_at_once_are_answers_too() {
        let now = Instant::now();
        for answer in [r#""error":{"code":-32602,"message":"no"}"#, r#""result":{"content":[]}"#] {
            let mut session = slow(now);
            call(&mut session, 70, r#"{"name":"slow"}"#, now);
            say(&mut session, &format!(r#"{{"jsonrpc":"2.0","id":3,{answer}}}"#), now);
            assert!(matches!(told(&mut session)[..], [(WorkerToGateway::Done { id: 70, .. }, _)]), "{answer}");
        }
    }
}
