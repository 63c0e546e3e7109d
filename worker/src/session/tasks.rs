//! Tools that can only be run as a task (MCP 2025-11-25, tasks): a call of one makes a task, waits for its result, and gives
//! the task up when the caller does. Callers need to know nothing of tasks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mcproxy_ipc::data::{Outcome as Answered, ServerEra, WorkerToGateway};
use mcproxy_mcp::{Outcome, RawObject, RawValue, json_string, meta, method, object_body};

use super::{answer, calls::Calls, context::SessionContext};
use crate::dialect::legacy;

/// Calls that may be made as tasks at once. Those that were given up before the server answered make room for others.
const MAX_TASKS: usize = 4096;
/// Time between two checks of a task, unless the server says otherwise.
const POLL: Duration = Duration::from_secs(5);
/// However often the server wants it.
const SHORTEST_POLL: Duration = Duration::from_millis(500);
/// How much longer a task's result should be kept than the call may take at most.
const SLACK: Duration = Duration::from_secs(60);

/// Where a call stands that is made as a task.
#[derive(Debug)]
enum TaskStage {
    /// The server has not said yet that there is a task.
    Creating {
        /// The caller does not wait any more, so the task is given up once it is there.
        is_given_up: bool,
    },
    /// The call waits for the result of this task.
    RunningTask(RunningTask),
}

/// A task that the server works on.
#[derive(Debug)]
struct RunningTask {
    task: Box<str>,
    /// The request that made the task: the server reports progress under its number.
    creator: u64,
    poll: Duration,
    next: Instant,
    /// The request that asks how the task stands, until it is answered.
    asked: Option<u64>,
}

/// The calls that are made as tasks, by the request to the server that answers them.
#[derive(Debug, Default)]
pub(super) struct ToolTasks(Vec<(u64, TaskStage)>);

impl ToolTasks {
    /// Whether no call is made as one.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When one should be looked at next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running().map(|(_, running)| running.next).min()
    }

    /// The request that answers the call to which the server's reports with this token belong.
    pub(super) fn reported(&self, token: u64) -> u64 {
        self.running().find(|(_, running)| running.creator == token).map_or(token, |(upstream, _)| upstream)
    }

    /// The server has answered the call, whatever it said.
    pub(super) fn over(&mut self, upstream: u64) {
        drop(self.take(upstream));
    }

    fn running(&self) -> impl Iterator<Item = (u64, &RunningTask)> {
        self.0.iter().filter_map(|(upstream, stage)| match stage {
            TaskStage::Creating { .. } => None,
            TaskStage::RunningTask(running) => Some((*upstream, running)),
        })
    }

    /// The eldest call that was given up before the server answered, which it may never do.
    fn eldest_given_up(&self) -> Option<u64> {
        let given_up = |stage: &TaskStage| matches!(stage, TaskStage::Creating { is_given_up: true });
        self.0.iter().filter(|(_, stage)| given_up(stage)).map(|(upstream, _)| *upstream).min()
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MAX_TASKS && self.eldest_given_up().is_none()
    }

    /// The server is told to make a task of this call.
    pub(super) fn begin(&mut self, upstream: u64) {
        if self.0.len() >= MAX_TASKS
            && let Some(eldest) = self.eldest_given_up()
        {
            self.over(eldest);
        }
        self.0.push((upstream, TaskStage::Creating { is_given_up: false }));
    }

    /// Whether this request asked how a task stands, which is answered with that: the request that answers its call.
    fn looked_at(&mut self, id: u64) -> Option<u64> {
        self.0.iter_mut().find_map(|(upstream, stage)| match stage {
            TaskStage::RunningTask(running) if running.asked == Some(id) => {
                running.asked = None;
                Some(*upstream)
            }
            TaskStage::Creating { .. } | TaskStage::RunningTask(_) => None,
        })
    }

    fn take(&mut self, upstream: u64) -> Option<TaskStage> {
        let at = self.0.iter().position(|(id, _)| *id == upstream)?;
        Some(self.0.swap_remove(at).1)
    }
}

impl Calls {
    /// The params of a call as they are to be sent, when it can only be made as a task. What the caller itself wants as one
    /// stays as it is.
    pub(super) fn as_task(&self, era: ServerEra, only_tasks: &[Box<str>], of: &str, params: &[u8]) -> Option<Vec<u8>> {
        if only_tasks.is_empty() || of != method::TOOLS_CALL || era != ServerEra::Legacy || self.tasks.is_full() {
            return None;
        }
        let object = RawObject::from_slice(params).ok()?;
        let name = object.get_string("name")?;
        let body = object_body(std::str::from_utf8(params).ok()?)?;
        let is_one = object.get("task").is_none() && only_tasks.iter().any(|tool| **tool == *name);
        let ttl = (self.table.timeouts().total + SLACK).as_millis();
        is_one.then(|| format!("{{\"task\":{{\"ttl\":{ttl}}},{body}}}").into_bytes())
    }

    /// An answer came; `true`: it was about a task, and nothing more is to be done with it.
    pub(super) fn task_answered(
        &mut self,
        cx: &mut SessionContext,
        upstream: u64,
        line: &Bytes,
        outcome: Outcome<'_>,
        now: Instant,
    ) -> bool {
        if let Some(call) = self.tasks.looked_at(upstream) {
            // As long as the server says how the task stands, the call goes on, within its total time.
            if let Outcome::Result(_) = outcome {
                self.table.progress(call, now);
            }
            return true;
        }
        match (self.tasks.take(upstream), outcome) {
            (Some(TaskStage::Creating { .. }), Outcome::Result(result)) => match created(result) {
                Some((task, poll)) => {
                    self.task_created(cx, upstream, task, poll, now);
                    true
                }
                // It was done at once after all.
                None => false,
            },
            (Some(TaskStage::RunningTask(_)), outcome) => self.task_done(cx, upstream, line, outcome, now),
            (None | Some(_), _) => false,
        }
    }

    fn task_done(
        &mut self,
        cx: &mut SessionContext,
        upstream: u64,
        line: &Bytes,
        outcome: Outcome<'_>,
        now: Instant,
    ) -> bool {
        let (outcome, mut payload) = answer::for_client(line, outcome);
        if outcome == Answered::Result
            && let Some(rest) = unrelated(&payload)
        {
            payload = rest;
        }
        match self.table.close(upstream) {
            Some(call) => {
                self.used(cx, now);
                cx.tell(WorkerToGateway::Done { id: call, outcome, era: cx.era }, payload);
                true
            }
            None => self.over_meanwhile(cx, upstream, outcome, payload),
        }
    }

    fn task_created(&mut self, cx: &mut SessionContext, creator: u64, task: Box<str>, poll: Duration, now: Instant) {
        let upstream = cx.requests.next_number();
        let is_waiting = self.parks.rename(creator, upstream);
        if !self.table.rename(creator, upstream) && !is_waiting {
            // The caller is gone since.
            return give_up_task(cx, &task);
        }
        self.used(cx, now);
        let params = format!("{{\"taskId\":{}}}", json_string(&task).get());
        legacy::request(&mut cx.out.server, upstream, method::TASKS_RESULT, &params);
        // A task that is worked on is a sign of life, so it is looked at before the call would run out of time.
        let poll = poll.min(self.table.timeouts().idle / 2).max(SHORTEST_POLL);
        let running = RunningTask { task, creator, poll, next: now + poll, asked: None };
        self.tasks.0.push((upstream, TaskStage::RunningTask(running)));
    }

    /// The caller does not wait for this call any more.
    pub(super) fn task_cancelled(&mut self, cx: &mut SessionContext, upstream: u64) {
        match self.tasks.take(upstream) {
            Some(TaskStage::RunningTask(running)) => give_up_task(cx, &running.task),
            Some(TaskStage::Creating { .. }) => {
                self.tasks.0.push((upstream, TaskStage::Creating { is_given_up: true }))
            }
            None => {}
        }
    }

    /// Looks at the tasks whose time it is, one question at a time.
    pub(super) fn look_at_tasks(&mut self, cx: &mut SessionContext, now: Instant) {
        if self.tasks.deadline().is_none_or(|next| now < next) {
            return;
        }
        for (_, stage) in &mut self.tasks.0 {
            let TaskStage::RunningTask(running) = stage else { continue };
            if running.next > now {
                continue;
            }
            running.next = now + running.poll;
            if running.asked.is_none() {
                let id = cx.requests.next_number();
                running.asked = Some(id);
                let params = format!("{{\"taskId\":{}}}", json_string(&running.task).get());
                legacy::request(&mut cx.out.server, id, method::TASKS_GET, &params);
            }
        }
    }
}

/// Whatever the server answers, nothing follows from it.
fn give_up_task(cx: &mut SessionContext, task: &str) {
    let id = cx.requests.next_number();
    let params = format!("{{\"taskId\":{}}}", json_string(task).get());
    legacy::request(&mut cx.out.server, id, method::TASKS_CANCEL, &params);
}

/// The id of the task that a result says was made, and how often it wants to be looked at.
fn created(result: &RawValue) -> Option<(Box<str>, Duration)> {
    let task = RawObject::from_raw(result).ok()?.get_object("task")?;
    let poll = task.get("pollInterval").and_then(|raw| raw.get().parse::<f64>().ok()).filter(|ms| *ms > 0.0);
    let poll = poll.map_or(POLL, |ms| Duration::from_millis(ms.min(60_000.0) as u64));
    Some((task.get_string("taskId")?.into(), poll))
}

/// A result without the task that it comes from, which the caller has not heard of; `None`: it names none.
fn unrelated(result: &[u8]) -> Option<Bytes> {
    let mut object = RawObject::from_slice(result).ok()?;
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
    use super::*;

    #[test]
    fn calls_that_were_given_up_and_never_answered_make_room() {
        let mut tasks = ToolTasks::default();
        (0..MAX_TASKS as u64).for_each(|id| tasks.begin(id));
        assert!(tasks.is_full());
        for id in [7, 3] {
            tasks.over(id);
            tasks.0.push((id, TaskStage::Creating { is_given_up: true }));
        }
        assert!(!tasks.is_full());
        tasks.begin(9000);
        assert_eq!((tasks.0.len(), tasks.eldest_given_up()), (MAX_TASKS, Some(7)));
        tasks.begin(9001);
        assert!(tasks.0.len() == MAX_TASKS && tasks.is_full());
    }
}
