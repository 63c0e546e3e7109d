//! The changes that a server of 2026-07-28 is asked to report: one `subscriptions/listen` at a time, opened anew when
//! something else is wanted. Pure: time is an argument.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mcproxy_mcp::{RawObject, Subject};

use crate::dialect::modern::Announcements;

/// Before a stream that the server ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// Most resources and tasks that are listened to at one server.
const MAX_SUBJECTS: usize = 10_000;

/// A call that wants something listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PendingSubscription {
    /// As a request to the server.
    call: u64,
    subject: Subject,
}

/// A request that a server has, and those that wait for it to be acknowledged.
#[derive(Debug)]
struct PendingStream {
    id: u64,
    waiting: Vec<PendingSubscription>,
}

/// The changes that are listened for.
#[derive(Debug, Default)]
pub(super) struct ChangeStream {
    announcements: Announcements,
    subjects: BTreeSet<Subject>,
    /// The acknowledged stream.
    current: Option<u64>,
    /// The one that will replace it.
    opening: Option<PendingStream>,
    /// Calls whose subjects are not in `opening` yet.
    waiting: Vec<PendingSubscription>,
    /// Something else is wanted than what was asked for last.
    changed: bool,
    /// The server knows no such method.
    refused: bool,
    again_at: Option<Instant>,
}

/// The outcome of the calls that waited.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// They are answered now.
    pub(super) done: Vec<u64>,
    /// The server tells of other subjects, but not of theirs.
    pub(super) left_out: Vec<u64>,
    /// The stream before this one, which is to be cancelled.
    pub(super) replaced: Option<u64>,
}

impl ChangeStream {
    /// Wants what the server says it can announce.
    pub(super) fn want(&mut self, capabilities: &RawObject<'_>) {
        let changes = |of| {
            let capability = capabilities.get_object(of);
            capability.and_then(|c| c.get("listChanged")).is_some_and(|value| value.get() == "true")
        };
        self.announcements =
            Announcements { tools: changes("tools"), prompts: changes("prompts"), resources: changes("resources") };
        self.changed = !self.announcements.is_empty();
    }

    /// A call wants this listened to. `Err`: that cannot be, and here is why.
    pub(super) fn subscribe(&mut self, subject: Subject, call: u64) -> Result<(), &'static str> {
        if self.refused {
            return Err("the server does not tell when a resource changes (it knows no subscriptions/listen)");
        }
        if self.subjects.len() >= MAX_SUBJECTS {
            return Err("too many resources and tasks of this server are listened to (10000)");
        }
        self.changed |= self.subjects.insert(subject.clone()) || self.current.is_none();
        self.waiting.push(PendingSubscription { call, subject });
        Ok(())
    }

    /// This need not be listened to any more.
    pub(super) fn unsubscribe(&mut self, subject: &Subject) {
        self.changed |= self.subjects.remove(subject);
    }

    /// Whether another stream is to be opened now. If so, it has this id.
    pub(super) fn due(&mut self, id: impl FnOnce() -> u64, now: Instant) -> Option<u64> {
        self.changed |= self.again_at.take_if(|at| *at <= now).is_some();
        if !self.changed || self.opening.is_some() || self.refused || self.again_at.is_some() {
            return None;
        }
        self.changed = false;
        let id = id();
        self.opening = Some(PendingStream { id, waiting: std::mem::take(&mut self.waiting) });
        Some(id)
    }

    /// The filter to ask for.
    pub(super) fn filter(&self) -> (Announcements, impl Iterator<Item = &Subject>) {
        (self.announcements, self.subjects.iter())
    }

    /// Calls whose subjects are in what was asked for already, and need not wait.
    pub(super) fn take_settled(&mut self) -> Vec<u64> {
        let settled = !self.changed && self.opening.is_none() && self.current.is_some();
        if settled { calls(std::mem::take(&mut self.waiting)) } else { Vec::new() }
    }

    /// The server took this request. `honoured`: what it says it tells of; `None`: it does not say.
    pub(super) fn acknowledged(&mut self, id: u64, honoured: Option<&[Subject]>) -> Acknowledged {
        let Some(opening) = self.opening.take_if(|opening| opening.id == id) else { return Acknowledged::default() };
        let replaced = self.current.replace(id);
        let is_honoured = |waiting: &PendingSubscription| honoured.is_none_or(|all| all.contains(&waiting.subject));
        let (done, left_out): (Vec<_>, Vec<_>) = opening.waiting.into_iter().partition(is_honoured);
        for waiting in &left_out {
            self.subjects.remove(&waiting.subject);
        }
        Acknowledged { done: calls(done), left_out: calls(left_out), replaced }
    }

    /// The server ended a stream, or refused to open it. Says which calls fail with that.
    pub(super) fn ended(&mut self, id: u64, unknown_method: bool, now: Instant) -> Vec<u64> {
        self.current.take_if(|current| *current == id);
        let opening = self.opening.take_if(|opening| opening.id == id);
        if let Some(opening) = &opening {
            self.drop_tasks(&opening.waiting);
        }
        let mut failed = opening.map_or_else(Vec::new, |opening| calls(opening.waiting));
        if unknown_method {
            self.refused = true;
            failed.append(&mut calls(std::mem::take(&mut self.waiting)));
        } else if self.current.is_none() && self.opening.is_none() {
            self.again_at = Some(now + PAUSE);
        }
        failed
    }

    /// A stream was refused, which may be for one task that the server does not know any more: what else is listened to is
    /// not lost with it. The new tasks go first, all others if there are none.
    fn drop_tasks(&mut self, waiting: &[PendingSubscription]) {
        let is_new = |subject: &Subject| waiting.iter().any(|waiting| waiting.subject == *subject);
        let is_task = |subject: &Subject| matches!(subject, Subject::Task(_));
        let any_new = waiting.iter().any(|waiting| is_task(&waiting.subject));
        self.subjects.retain(|subject| !is_task(subject) || (any_new && !is_new(subject)));
    }

    /// Whether this is a stream of ours that lives.
    pub(super) fn has(&self, id: u64) -> bool {
        self.current == Some(id) || self.opening.as_ref().is_some_and(|opening| opening.id == id)
    }

    /// When [`ChangeStream::due`] should be asked next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.again_at
    }
}

fn calls(waiting: Vec<PendingSubscription>) -> Vec<u64> {
    waiting.into_iter().map(|waiting| waiting.call).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resource(uri: &str) -> Subject {
        Subject::Resource(uri.to_owned())
    }

    fn task(id: &str) -> Subject {
        Subject::Task(id.to_owned())
    }

    fn change_stream(now: Instant) -> ChangeStream {
        let mut change_stream = ChangeStream::default();
        change_stream.want(&RawObject::from_text(r#"{"tools":{"listChanged":true},"prompts":{}}"#).expect("an object"));
        assert_eq!(change_stream.due(|| 1, now), Some(1));
        assert_eq!(change_stream.filter().0, Announcements { tools: true, ..Announcements::default() });
        change_stream
    }

    #[test]
    fn a_subscription_is_answered_once_the_server_has_taken_it_and_the_old_stream_goes_after_that() {
        let now = Instant::now();
        let mut change_stream = change_stream(now);
        change_stream.subscribe(resource("a:b"), 70).expect("it can");
        assert_eq!(change_stream.due(|| 2, now), None, "one at a time");
        assert_eq!(change_stream.acknowledged(1, None), Acknowledged::default());
        assert_eq!(change_stream.due(|| 2, now), Some(2));
        assert_eq!(change_stream.filter().1.collect::<Vec<_>>(), [&resource("a:b")]);
        let acknowledged = change_stream.acknowledged(2, Some(&[resource("a:b")]));
        assert_eq!(acknowledged, Acknowledged { done: vec![70], left_out: vec![], replaced: Some(1) });
        change_stream.subscribe(resource("a:b"), 71).expect("it can");
        assert_eq!((change_stream.due(|| 3, now), change_stream.take_settled()), (None, vec![71]));
    }

    #[test]
    fn a_resource_that_the_server_leaves_out_is_not_said_to_be_listened_to() {
        let now = Instant::now();
        let mut change_stream = ChangeStream::default();
        change_stream.subscribe(resource("a:b"), 70).expect("it can");
        change_stream.subscribe(resource("a:c"), 71).expect("it can");
        assert_eq!(change_stream.due(|| 1, now), Some(1));
        let acknowledged = change_stream.acknowledged(1, Some(&[resource("a:c")]));
        assert_eq!((acknowledged.done, acknowledged.left_out), (vec![71], vec![70]));
        assert_eq!(change_stream.filter().1.collect::<Vec<_>>(), [&resource("a:c")]);
    }

    #[test]
    fn a_stream_that_is_refused_for_a_task_is_opened_again_without_it() {
        let now = Instant::now();
        let mut change_stream = ChangeStream::default();
        change_stream.subscribe(resource("a:b"), 70).expect("it can");
        change_stream.subscribe(task("old"), 71).expect("it can");
        assert_eq!(change_stream.due(|| 1, now), Some(1));
        assert_eq!(change_stream.acknowledged(1, None).done, [70, 71]);
        change_stream.subscribe(task("new"), 72).expect("it can");
        assert_eq!(change_stream.due(|| 2, now), Some(2));
        assert_eq!(change_stream.ended(2, false, now), [72]);
        assert_eq!(change_stream.filter().1.collect::<Vec<_>>(), [&resource("a:b"), &task("old")]);
        // The server does not know its tasks any more.
        change_stream.ended(1, false, now);
        assert_eq!(change_stream.due(|| 3, now + PAUSE), Some(3));
        change_stream.ended(3, false, now + PAUSE);
        assert_eq!(change_stream.filter().1.collect::<Vec<_>>(), [&resource("a:b")]);
        assert_eq!(change_stream.due(|| 4, now + 2 * PAUSE), Some(4));
    }

    #[test]
    fn a_server_that_knows_nothing_of_it_is_not_asked_again() {
        let now = Instant::now();
        let mut change_stream = change_stream(now);
        change_stream.subscribe(resource("a:b"), 70).expect("it can");
        assert_eq!(change_stream.ended(1, true, now), [70]);
        assert!(change_stream.subscribe(resource("a:c"), 71).is_err());
        assert_eq!((change_stream.due(|| 2, now + PAUSE), change_stream.deadline()), (None, None));
    }

    #[test]
    fn a_stream_that_the_server_ended_is_opened_again_after_a_pause() {
        let now = Instant::now();
        let mut change_stream = change_stream(now);
        change_stream.acknowledged(1, None);
        assert!(change_stream.ended(1, false, now).is_empty());
        assert_eq!(change_stream.due(|| 2, now), None);
        assert_eq!(change_stream.due(|| 2, now + PAUSE), Some(2));
        // The end of one that was replaced means nothing.
        change_stream.acknowledged(2, None);
        assert_eq!((change_stream.ended(1, false, now), change_stream.deadline()), (vec![], None));
    }

    #[test]
    fn nothing_is_asked_for_when_nobody_wants_to_hear_anything() {
        let mut change_stream = ChangeStream::default();
        change_stream.want(&RawObject::default());
        assert_eq!(change_stream.due(|| 1, Instant::now()), None);
    }

    proptest! {
        /// Every call that waits is answered or failed once the server has said its word to all that it was asked.
        #[test]
        fn no_call_waits_for_nothing(steps in prop::collection::vec((0u8..4, 0u8..3), 0..40)) {
            let (mut now, mut next, mut calls) = (Instant::now(), 100, 0u64);
            let mut change_stream = ChangeStream::default();
            let mut open: Vec<u64> = Vec::new();
            let (mut asked, mut over) = (0, 0);
            for (step, n) in steps.into_iter().chain([(2, 0), (2, 0), (2, 0)]) {
                now += PAUSE;
                match step {
                    0 => { calls += 1; asked += 1; change_stream.subscribe(resource(&format!("r:{n}")), calls).expect("it can"); }
                    1 => change_stream.unsubscribe(&resource(&format!("r:{n}"))),
                    2 => if let Some(id) = open.pop() { over += change_stream.acknowledged(id, None).done.len() },
                    _ => if let Some(id) = open.pop() { over += change_stream.ended(id, false, now).len() },
                }
                if let Some(id) = change_stream.due(|| { next += 1; next }, now + PAUSE) { open.push(id) }
                over += change_stream.take_settled().len();
            }
            prop_assert_eq!(asked, over);
        }
    }
}
