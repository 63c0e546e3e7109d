//! The calls of a moment ago, for the web page: who called what, how large it was, how it ended and where the time went; never what
//! was said, unless a capture is on (docs/decisions/0185). Recorded for every call, in a ring that is bounded in calls and in bytes.

mod capture;
mod figures;
mod record;
mod redact;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    time::{Instant, SystemTime},
};

use mcproxy_ipc::{ServerName, unix_millis};

pub(crate) use self::redact::redacted as without_secrets;
pub(crate) use self::{
    capture::CaptureWindow,
    figures::{CallFigures, MINUTES},
    record::{CallEnding, CallRecord, CallWaits, NewCall, cut},
};
use self::{capture::CapturedBodies, figures::ServerFigures};

/// Calls that are remembered; the oldest is forgotten first. With what a record takes at most ([`record::MAX_TEXT`]) they are
/// below 2 MiB; captured bodies have a bound of their own.
pub(crate) const MAX_CALLS: usize = 2000;

/// The calls of a moment ago, and figures of each server.
pub(crate) struct CallLog {
    ring: RefCell<VecDeque<CallRecord>>,
    servers: RefCell<HashMap<ServerName, ServerFigures>>,
    /// Of the next call. Grows with each.
    next: Cell<u64>,
    /// Grows with each change of a record.
    changes: Cell<u64>,
    capture: RefCell<CaptureWindow>,
    /// Bytes of bodies that were captured.
    captured: Cell<usize>,
    /// One moment by both clocks.
    epoch: (Instant, SystemTime),
}

/// A call under way. One that is dropped before its end was given up by its client.
pub(crate) struct OpenCall<'l> {
    log: &'l CallLog,
    id: u64,
    begun: Instant,
    over: bool,
}

impl Default for CallLog {
    fn default() -> Self {
        Self {
            ring: RefCell::default(),
            servers: RefCell::default(),
            next: Cell::new(1),
            changes: Cell::new(0),
            capture: RefCell::default(),
            captured: Cell::new(0),
            epoch: (Instant::now(), SystemTime::now()),
        }
    }
}

impl CallLog {
    /// A call begins. Of its params (JSON) the arguments are kept, and only while a capture is on.
    pub(crate) fn begin(&self, call: NewCall, params: &[u8]) -> OpenCall<'_> {
        let (id, begun) = (self.next.get(), call.begun);
        self.next.set(id + 1);
        let captures = self.capture.borrow().is_on(begun);
        let bodies = captures.then(|| self.keep(CapturedBodies::of(params)));
        let mut ring = self.ring.borrow_mut();
        if ring.len() == MAX_CALLS
            && let Some(oldest) = ring.pop_front()
        {
            self.drop_bodies(oldest.bodies.as_ref());
        }
        ring.push_back(CallRecord { id, changed: self.change(), call, ending: None, bodies });
        OpenCall { log: self, id, begun, over: false }
    }

    fn end(&self, id: u64, ending: CallEnding, result: Option<&[u8]>) {
        let mut ring = self.ring.borrow_mut();
        // It may be forgotten already.
        let Some(at) = ring.front().and_then(|first| usize::try_from(id.checked_sub(first.id)?).ok()) else { return };
        let Some(record) = ring.get_mut(at) else { return };
        let now = record.call.begun + ending.took;
        self.figures(&record.call.server, |figures| figures.ended(&ending, now.duration_since(self.epoch.0)));
        if let (Some(bodies), Some(result)) = (&mut record.bodies, result) {
            self.captured.set(self.captured.get() + bodies.answer(result));
        }
        (record.changed, record.ending) = (self.change(), Some(ending));
        drop(ring);
        self.trim_bodies();
    }

    fn change(&self) -> u64 {
        let change = self.changes.get() + 1;
        self.changes.set(change);
        change
    }

    fn figures(&self, server: &ServerName, note: impl FnOnce(&mut ServerFigures)) {
        let mut servers = self.servers.borrow_mut();
        match servers.get_mut(server) {
            Some(figures) => note(figures),
            None => note(servers.entry(server.clone()).or_default()),
        }
    }

    /// The figures of a server at this moment; `None`: it was not called.
    pub(crate) fn figures_of(&self, server: &ServerName, now: Instant) -> Option<CallFigures> {
        Some(self.servers.borrow().get(server)?.at(now.duration_since(self.epoch.0)))
    }

    /// Forgets the figures of servers that are gone.
    pub(crate) fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.servers.borrow_mut().retain(|server, _| is_there(server.as_str()));
    }

    /// How many calls there ever were.
    pub(crate) fn total(&self) -> u64 {
        self.next.get() - 1
    }

    /// The number of the last change.
    pub(crate) fn last_change(&self) -> u64 {
        self.changes.get()
    }

    /// Looks at the records, the newest first, until `look` wants no more.
    pub(crate) fn look(&self, look: impl FnMut(&CallRecord) -> bool) {
        let mut look = look;
        for record in self.ring.borrow().iter().rev() {
            if !look(record) {
                return;
            }
        }
    }

    /// A moment in milliseconds since the Unix epoch.
    pub(crate) fn wall_clock(&self, at: Instant) -> u64 {
        unix_millis(self.epoch.1 + at.saturating_duration_since(self.epoch.0))
    }

    // --- what is said, while a capture is on --------------------------------------------------------------------------

    /// The capture.
    pub(crate) fn capture(&self) -> CaptureWindow {
        self.capture.borrow().clone()
    }

    /// Begins a capture, or ends it.
    pub(crate) fn set_capture(&self, window: CaptureWindow) {
        *self.capture.borrow_mut() = window;
    }

    fn keep(&self, bodies: CapturedBodies) -> CapturedBodies {
        self.captured.set(self.captured.get() + bodies.len());
        bodies
    }

    fn drop_bodies(&self, bodies: Option<&CapturedBodies>) {
        self.captured.set(self.captured.get() - bodies.map_or(0, CapturedBodies::len));
    }

    /// Forgets the oldest bodies beyond the bound.
    fn trim_bodies(&self) {
        if self.captured.get() <= capture::MAX_BYTES {
            return;
        }
        for record in self.ring.borrow_mut().iter_mut() {
            self.drop_bodies(record.bodies.take().as_ref());
            if self.captured.get() <= capture::MAX_BYTES {
                return;
            }
        }
    }
}

impl OpenCall<'_> {
    /// It ended. `result`: what its client gets, JSON.
    pub(crate) fn end(mut self, ending: CallEnding, result: Option<&[u8]>) {
        self.over = true;
        self.log.end(self.id, ending, result);
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.log.end(self.id, CallEnding::given_up(self.begun.elapsed()), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, time::Duration};

    use super::record::CallVerdict;
    use super::*;
    use crate::gateway::base::{principal::Principal, scope::Scope};

    fn server(name: &str) -> ServerName {
        ServerName::try_from(name).expect("a name")
    }

    fn call(name: &str) -> NewCall {
        NewCall {
            begun: Instant::now(),
            principal: Principal::default(),
            client: None,
            version: mcproxy_mcp::ProtocolVersion::V2025_11_25,
            scope: Scope::all(),
            server: server("a"),
            method: Cow::Borrowed("tools/call"),
            name: name.into(),
            argument_bytes: 2,
            is_replay: false,
        }
    }

    fn ok() -> CallEnding {
        CallEnding {
            verdict: CallVerdict::Ok,
            error: None,
            result_bytes: Some(3),
            took: Duration::from_millis(5),
            waits: CallWaits::default(),
        }
    }

    fn ids(log: &CallLog) -> Vec<u64> {
        let mut ids = Vec::new();
        log.look(|record| {
            ids.push(record.id);
            true
        });
        ids
    }

    #[test]
    fn the_last_calls_are_kept_and_the_oldest_forgotten_first() {
        let log = CallLog::default();
        let first = log.begin(call("t"), b"{}");
        for _ in 0..MAX_CALLS {
            log.begin(call("t"), b"{}").end(ok(), None);
        }
        let kept = ids(&log);
        assert_eq!((kept.len(), kept[0], kept[MAX_CALLS - 1]), (MAX_CALLS, 2001, 2));
        first.end(ok(), None); // forgotten meanwhile
        assert_eq!(log.total(), 2001);
        assert_eq!(log.figures_of(&server("a"), Instant::now()).expect("called").total, 2000);
    }

    #[test]
    fn a_call_that_is_dropped_was_given_up() {
        let log = CallLog::default();
        drop(log.begin(call("t"), b"{}"));
        let before = log.last_change();
        let open = log.begin(call("u"), b"{}");
        let mut seen = Vec::new();
        log.look(|record| {
            seen.push((record.name().to_owned(), record.ending.as_ref().map(|end| end.verdict), record.changed));
            true
        });
        assert_eq!(seen, [("u".to_owned(), None, before + 1), ("t".to_owned(), Some(CallVerdict::Cancelled), before)]);
        open.end(ok(), None);
        assert_eq!(log.last_change(), before + 2);
    }

    #[test]
    fn bodies_are_kept_only_while_a_capture_is_on_and_within_their_bound() {
        let log = CallLog::default();
        log.begin(call("t"), br#"{"a":1}"#).end(ok(), Some(b"{}"));
        assert_eq!(log.captured.get(), 0);
        log.set_capture(CaptureWindow::until(Instant::now() + Duration::from_secs(60), "ann"));
        let large = format!("{{\"a\":\"{}\"}}", "x ".repeat(4000));
        for _ in 0..MAX_CALLS {
            log.begin(call("t"), large.as_bytes()).end(ok(), Some(large.as_bytes()));
        }
        assert!(log.captured.get() <= capture::MAX_BYTES, "{}", log.captured.get());
        let mut held = 0;
        log.look(|record| {
            held += record.bodies.as_ref().map_or(0, CapturedBodies::len);
            true
        });
        assert_eq!(held, log.captured.get());
        log.set_capture(CaptureWindow::default());
        log.begin(call("t"), b"{}").end(ok(), Some(b"{}"));
        log.look(|record| {
            assert!(record.bodies.is_none());
            false
        });
    }
}
