//! Requests for the roots that came while no call was under way, from an instance of one client: they wait for its next call.
//! Pure: time is an argument.

use std::time::{Duration, Instant};

use mcproxy_mcp::RequestId;

/// How long a server that starts may be kept waiting. Some list nothing before they have an answer.
const START: Duration = Duration::from_secs(2);
/// Most that wait; who asks more often is answered at once.
const MAX_HELD: usize = 8;

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    ids: Vec<RequestId>,
    until: Option<Instant>,
    /// The server asked once, and was not told what it wanted to know.
    owed: bool,
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
