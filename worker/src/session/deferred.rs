//! Requests for the roots that came while no call was under way, from an instance of one client: they wait for its next call,
//! and that call for the answers. Pure: time is an argument.

use std::time::{Duration, Instant};

use mcproxy_mcp::RequestId;

/// How long a server that starts may be kept waiting. Some list nothing before they have an answer.
const START: Duration = Duration::from_secs(2);
/// A server needs a moment to use an answer, and nothing says when it has.
const SETTLE: Duration = Duration::from_millis(50);
/// Most requests that wait; further ones are answered at once.
const MAX_HELD: usize = 8;

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    ids: Vec<RequestId>,
    until: Option<Instant>,
    /// The server asked once, and was not told what it wanted to know.
    owed: bool,
    /// Calls that wait for answers, as lines for the server: each until the time when it has them.
    deferred_calls: Vec<DeferredCall>,
}

#[derive(Debug)]
struct DeferredCall {
    upstream: u64,
    line: Vec<u8>,
    at: Option<Instant>,
}

impl Deferred {
    /// One more; `false`: too many wait.
    pub(super) fn hold(&mut self, id: RequestId, now: Instant) -> bool {
        if self.ids.len() >= MAX_HELD {
            self.owed = true;
            return false;
        }
        self.until.get_or_insert(now + START);
        self.ids.push(id);
        true
    }

    /// Those that wait no longer, of a server that starts.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<RequestId> {
        if self.until.is_none_or(|until| now < until) {
            return Vec::new();
        }
        self.owed = true;
        self.take()
    }

    /// Whether there is something for the next call.
    pub(super) fn is_waiting(&self) -> bool {
        self.owed || !self.ids.is_empty()
    }

    /// All of them: there is a call.
    pub(super) fn take(&mut self) -> Vec<RequestId> {
        self.until = None;
        std::mem::take(&mut self.ids)
    }

    /// The server does not want to know any more.
    pub(super) fn withdraw(&mut self, id: &RequestId) {
        let before = self.ids.len();
        self.ids.retain(|deferred| deferred != id);
        self.owed |= self.ids.len() < before;
    }

    /// Whether the server would like to be told that it may ask again. Says so once.
    pub(super) fn take_owed(&mut self) -> bool {
        std::mem::take(&mut self.owed)
    }

    /// A call that waits for what was asked. Bounded by how many calls there may be.
    pub(super) fn deferred_calls(&mut self, upstream: u64, line: Vec<u8>) {
        self.deferred_calls.push(DeferredCall { upstream, line, at: None });
    }

    /// The server has the answers that this call waits for.
    pub(super) fn release(&mut self, upstream: u64, now: Instant) {
        for call in self.deferred_calls.iter_mut().filter(|call| call.upstream == upstream) {
            call.at = Some(now + SETTLE);
        }
    }

    /// The call is given up; whether the server never heard of it.
    pub(super) fn drop_call(&mut self, upstream: u64) -> bool {
        let before = self.deferred_calls.len();
        self.deferred_calls.retain(|call| call.upstream != upstream);
        self.deferred_calls.len() < before
    }

    /// The calls that are to be sent now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let is_due = |call: &mut DeferredCall| call.at.is_some_and(|at| at <= now);
        self.deferred_calls.extract_if(.., is_due).map(|call| call.line).collect()
    }

    /// When [`Deferred::due`] should be asked next.
    pub(super) fn next_call(&self) -> Option<Instant> {
        self.deferred_calls.iter().filter_map(|call| call.at).min()
    }

    /// When [`Deferred::overdue`] should be asked next, of a server that starts.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_starts_waits_for_a_moment_and_one_that_serves_for_its_next_call() {
        let now = Instant::now();
        let mut deferred = Deferred::default();
        assert!(deferred.hold(1.into(), now) && deferred.hold(2.into(), now + START / 2));
        assert_eq!(deferred.deadline(), Some(now + START));
        assert!(deferred.overdue(now + START - Duration::from_millis(1)).is_empty());
        assert_eq!(deferred.overdue(now + START), [RequestId::from(1), RequestId::from(2)]);
        assert!(deferred.take_owed() && !deferred.take_owed(), "it is told once that it may ask again");
        assert!(deferred.hold(3.into(), now));
        assert_eq!(deferred.take(), [RequestId::from(3)]);
        assert!(deferred.take().is_empty() && deferred.deadline().is_none() && !deferred.take_owed());
    }

    #[test]
    fn a_call_waits_for_the_answers_and_a_moment_more_unless_it_is_given_up() {
        let now = Instant::now();
        let mut deferred = Deferred::default();
        deferred.deferred_calls(1, b"one".to_vec());
        deferred.deferred_calls(2, b"two".to_vec());
        assert!(deferred.due(now + START).is_empty() && deferred.next_call().is_none());
        assert!(deferred.drop_call(2) && !deferred.drop_call(2));
        deferred.release(1, now);
        assert_eq!(deferred.next_call(), Some(now + SETTLE));
        assert!(deferred.due(now + SETTLE / 2).is_empty());
        assert_eq!(deferred.due(now + SETTLE), [b"one".to_vec()]);
        assert!(deferred.due(now + SETTLE).is_empty());
    }

    #[test]
    fn what_is_withdrawn_or_too_much_is_owed() {
        let now = Instant::now();
        let mut deferred = Deferred::default();
        assert!(deferred.hold(1.into(), now));
        deferred.withdraw(&2.into());
        assert!(!deferred.take_owed());
        deferred.withdraw(&1.into());
        assert!(deferred.take_owed());
        assert!((0..MAX_HELD as u64).all(|id| deferred.hold(id.into(), now)));
        assert!(!deferred.hold(99.into(), now) && deferred.take_owed());
    }
}
