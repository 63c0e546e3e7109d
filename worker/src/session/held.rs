//! Requests for the roots that came while no call was under way, from an instance of one client: they wait for its next call,
//! and that call for the answers. Pure: time is an argument.

use std::time::{Duration, Instant};

use mcproxy_mcp::RequestId;

/// How long a server that starts may be kept waiting. Some list nothing before they have an answer.
const START: Duration = Duration::from_secs(2);
/// What a server does with an answer takes a moment, and nothing says when it is done with it.
const SETTLE: Duration = Duration::from_millis(50);
/// Most that wait; who asks more often is answered at once.
const MAX_HELD: usize = 8;

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    ids: Vec<RequestId>,
    until: Option<Instant>,
    /// The server asked once, and was not told what it wanted to know.
    owed: bool,
    /// Calls that wait for answers, as lines for the server: each until the time when it has them.
    put_off: Vec<PutOff>,
}

#[derive(Debug)]
struct PutOff {
    upstream: u64,
    line: Vec<u8>,
    at: Option<Instant>,
}

impl Held {
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
        self.ids.retain(|held| held != id);
        self.owed |= self.ids.len() < before;
    }

    /// Whether the server would like to be told that it may ask again. Says so once.
    pub(super) fn take_owed(&mut self) -> bool {
        std::mem::take(&mut self.owed)
    }

    /// A call that waits for what was asked. Bounded by how many calls there may be.
    pub(super) fn put_off(&mut self, upstream: u64, line: Vec<u8>) {
        self.put_off.push(PutOff { upstream, line, at: None });
    }

    /// The server has the answers that this call waits for.
    pub(super) fn release(&mut self, upstream: u64, now: Instant) {
        for call in self.put_off.iter_mut().filter(|call| call.upstream == upstream) {
            call.at = Some(now + SETTLE);
        }
    }

    /// The call is given up; whether the server never heard of it.
    pub(super) fn drop_put_off(&mut self, upstream: u64) -> bool {
        let before = self.put_off.len();
        self.put_off.retain(|call| call.upstream != upstream);
        self.put_off.len() < before
    }

    /// The calls that are to be sent now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let is_due = |call: &mut PutOff| call.at.is_some_and(|at| at <= now);
        self.put_off.extract_if(.., is_due).map(|call| call.line).collect()
    }

    /// When [`Held::due`] should be asked next.
    pub(super) fn next_put_off(&self) -> Option<Instant> {
        self.put_off.iter().filter_map(|call| call.at).min()
    }

    /// When [`Held::overdue`] should be asked next, of a server that starts.
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
        let mut held = Held::default();
        assert!(held.hold(1.into(), now) && held.hold(2.into(), now + START / 2));
        assert_eq!(held.deadline(), Some(now + START));
        assert!(held.overdue(now + START - Duration::from_millis(1)).is_empty());
        assert_eq!(held.overdue(now + START), [RequestId::from(1), RequestId::from(2)]);
        assert!(held.take_owed() && !held.take_owed(), "it is told once that it may ask again");
        assert!(held.hold(3.into(), now));
        assert_eq!(held.take(), [RequestId::from(3)]);
        assert!(held.take().is_empty() && held.deadline().is_none() && !held.take_owed());
    }

    #[test]
    fn a_call_waits_for_the_answers_and_a_moment_more_unless_it_is_given_up() {
        let now = Instant::now();
        let mut held = Held::default();
        held.put_off(1, b"one".to_vec());
        held.put_off(2, b"two".to_vec());
        assert!(held.due(now + START).is_empty() && held.next_put_off().is_none());
        assert!(held.drop_put_off(2) && !held.drop_put_off(2));
        held.release(1, now);
        assert_eq!(held.next_put_off(), Some(now + SETTLE));
        assert!(held.due(now + SETTLE / 2).is_empty());
        assert_eq!(held.due(now + SETTLE), [b"one".to_vec()]);
        assert!(held.due(now + SETTLE).is_empty());
    }

    #[test]
    fn what_is_withdrawn_or_too_much_is_owed() {
        let now = Instant::now();
        let mut held = Held::default();
        assert!(held.hold(1.into(), now));
        held.withdraw(&2.into());
        assert!(!held.take_owed());
        held.withdraw(&1.into());
        assert!(held.take_owed());
        assert!((0..MAX_HELD as u64).all(|id| held.hold(id.into(), now)));
        assert!(!held.hold(99.into(), now) && held.take_owed());
    }
}
