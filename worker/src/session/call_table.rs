//! The calls in flight. Pure: time is an argument.

use std::time::{Duration, Instant};

use mcproxy_ipc::CallTimeouts;
use mcproxy_mcp::OwnKeyMap;

use super::asks::{Addressee, Candidate, Feature};

/// Which call of the gateway a request to the server belongs to.
#[derive(Debug)]
struct PendingCall {
    call: u64,
    wants_progress: bool,
    /// The client that the server asks within it; none in a call of our own.
    addressee: Option<Addressee>,
    idle_at: Instant,
    total_at: Instant,
}

/// A call whose time stands still, because the server waits for its client.
#[derive(Debug)]
pub(crate) struct Suspended {
    /// The gateway's number of it so far.
    pub(crate) call: u64,
    /// The client that the server asks within it.
    pub(crate) addressee: Addressee,
    /// The rest of its time.
    left: Duration,
}

/// A call that took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The request to the server.
    pub(crate) upstream: u64,
    /// The call of the gateway.
    pub(crate) call: u64,
    /// Whether it showed signs of life to the end.
    pub(crate) total: bool,
}

/// All calls in flight, by the id of the request to the server. Each call leaves the table exactly once, with its answer.
#[derive(Debug)]
pub(crate) struct CallTable {
    pending: OwnKeyMap<u64, PendingCall>,
    /// Calls that are out of the table and will come back; they count for the limit.
    suspended: usize,
    limit: usize,
    timeouts: CallTimeouts,
    /// Not later than the first expiry. It is moved forward only when it fires, so that a call costs no timer.
    next_check: Option<Instant>,
}

impl CallTable {
    pub(crate) fn new(limit: usize, timeouts: CallTimeouts) -> Self {
        Self { pending: OwnKeyMap::default(), suspended: 0, limit, timeouts, next_check: None }
    }

    /// Takes in a call unless there are too many.
    pub(crate) fn open(
        &mut self,
        upstream: u64,
        call: u64,
        wants_progress: bool,
        addressee: Option<Addressee>,
        now: Instant,
    ) -> bool {
        if self.pending.len() + self.suspended >= self.limit {
            return false;
        }
        let (idle_at, total_at) = (now + self.timeouts.idle, now + self.timeouts.total);
        self.insert(upstream, PendingCall { call, wants_progress, addressee, idle_at, total_at });
        true
    }

    fn insert(&mut self, upstream: u64, pending: PendingCall) {
        let due = pending.idle_at.min(pending.total_at);
        self.next_check = Some(self.next_check.map_or(due, |check| check.min(due)));
        self.pending.insert(upstream, pending);
    }

    /// Stops the time of a call; `None` for what is not in flight.
    pub(crate) fn suspend(&mut self, upstream: u64, now: Instant) -> Option<Suspended> {
        let pending = self.pending.remove(&upstream)?;
        self.suspended += 1;
        let left = pending.total_at.saturating_duration_since(now);
        Some(Suspended { call: pending.call, addressee: pending.addressee.unwrap_or_default(), left })
    }

    /// Lets it go on, under another number.
    pub(crate) fn resume(
        &mut self,
        upstream: u64,
        call: u64,
        wants_progress: bool,
        suspended: Suspended,
        now: Instant,
    ) {
        self.forget_suspended();
        let (idle_at, total_at) = (now + self.timeouts.idle, now + suspended.left);
        self.insert(
            upstream,
            PendingCall { call, wants_progress, addressee: Some(suspended.addressee), idle_at, total_at },
        );
    }

    /// It will not go on.
    pub(crate) fn forget_suspended(&mut self) {
        self.suspended = self.suspended.saturating_sub(1);
    }

    /// Whether the client of a call can be asked for this.
    pub(crate) fn can_be_asked(&self, upstream: u64, feature: Feature) -> bool {
        let addressee = self.pending.get(&upstream).and_then(|pending| pending.addressee.as_ref());
        addressee.is_some_and(|addressee| feature.is_in(addressee.features()))
    }

    /// Those that a request of the server may belong to.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.pending.iter().filter_map(|(upstream, pending)| Some(pending.addressee.as_ref()?.of_call(*upstream)))
    }

    /// Another request to the server answers this call from now on; `false`: it is not in flight any more.
    pub(crate) fn rename(&mut self, upstream: u64, to: u64) -> bool {
        self.pending.remove(&upstream).map(|pending| self.pending.insert(to, pending)).is_some()
    }

    /// The server answered. `None` for what is not, or no longer, in flight.
    pub(crate) fn close(&mut self, upstream: u64) -> Option<u64> {
        self.pending.remove(&upstream).map(|pending| pending.call)
    }

    /// A sign of progress. Says whose it is and whether the caller wants to see it.
    pub(crate) fn progress(&mut self, upstream: u64, now: Instant) -> Option<(u64, bool)> {
        let pending = self.pending.get_mut(&upstream)?;
        pending.idle_at = now + self.timeouts.idle;
        Some((pending.call, pending.wants_progress))
    }

    /// The caller gave up. Says which request to the server that was.
    pub(crate) fn cancel(&mut self, call: u64) -> Option<u64> {
        let upstream = self.pending.iter().find(|(_, pending)| pending.call == call).map(|(upstream, _)| *upstream)?;
        self.pending.remove(&upstream);
        Some(upstream)
    }

    /// Takes out the calls whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Expired> {
        if self.next_check.is_none_or(|check| now < check) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        self.pending.retain(|upstream, pending| {
            let over = pending.idle_at.min(pending.total_at) <= now;
            if over {
                expired.push(Expired { upstream: *upstream, call: pending.call, total: pending.total_at <= now });
            }
            !over
        });
        self.next_check = self.pending.values().map(|pending| pending.idle_at.min(pending.total_at)).min();
        expired
    }

    /// Takes out all calls, as pairs of request to the server and call.
    pub(crate) fn drain(&mut self) -> Vec<(u64, u64)> {
        self.next_check = None;
        self.pending.drain().map(|(upstream, pending)| (upstream, pending.call)).collect()
    }

    /// The one call in flight, when there is exactly one.
    pub(crate) fn only(&self) -> Option<u64> {
        match self.pending.len() {
            1 => self.pending.keys().next().copied(),
            _ => None,
        }
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.suspended == 0
    }

    /// How many there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How long one may take.
    pub(crate) fn timeouts(&self) -> CallTimeouts {
        self.timeouts
    }

    /// When [`CallTable::expire`] should be asked next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next_check
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn calls() -> CallTable {
        CallTable::new(
            2,
            CallTimeouts {
                idle: Duration::from_secs(30),
                total: Duration::from_secs(100),
                input: Duration::from_secs(600),
            },
        )
    }

    #[test]
    fn progress_resets_the_idle_timeout_but_not_the_total() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut calls = calls();
        assert!(calls.open(7, 70, true, None, start));
        for seconds in [20, 40, 60, 80] {
            assert_eq!(calls.progress(7, at(seconds)), Some((70, true)));
            assert_eq!(calls.expire(at(seconds)), []);
        }
        assert_eq!(calls.deadline(), Some(at(100)));
        assert_eq!(calls.expire(at(100)), [Expired { upstream: 7, call: 70, total: true }]);
        assert_eq!(calls.close(7), None);
        assert_eq!(calls.deadline(), None);
    }

    #[test]
    fn the_limit_holds_and_a_cancelled_call_frees_its_place() {
        let now = Instant::now();
        let mut calls = calls();
        assert!(calls.open(1, 10, false, None, now) && calls.open(2, 20, false, None, now));
        assert!(!calls.open(3, 30, false, None, now));
        assert_eq!(calls.cancel(10), Some(1));
        assert_eq!(calls.cancel(10), None);
        assert!(calls.open(3, 30, false, None, now));
    }

    #[test]
    fn the_time_of_a_call_stands_still_while_its_client_is_asked() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut calls = calls();
        assert!(calls.open(7, 70, true, None, start));
        let suspended = calls.suspend(7, at(20)).expect("it is in flight");
        assert!(!calls.is_empty() && calls.close(7).is_none());
        assert_eq!(calls.expire(at(500)), []);
        assert!(calls.open(8, 80, false, None, at(500)));
        assert!(!calls.open(9, 90, false, None, at(500)), "it counts for the limit");
        assert_eq!(calls.close(8), Some(80));
        calls.resume(7, 71, true, suspended, at(500));
        for seconds in [520, 540, 560, 579] {
            assert_eq!(calls.progress(7, at(seconds)), Some((71, true)));
            assert_eq!(calls.expire(at(seconds)), []);
        }
        assert_eq!(calls.expire(at(580)), [Expired { upstream: 7, call: 71, total: true }]);
    }
}
