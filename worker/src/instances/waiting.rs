//! Calls whose session has no instance yet.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use mcproxy_ipc::SessionKey;

use crate::link::Handed;

/// Between two signs of life to a client that asked for progress.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A call on its way to an instance, for as long as it has to wait for one.
pub(super) struct WaitingCall {
    /// The gateway's number of it.
    pub(super) id: u64,
    /// The number that the instance will see.
    pub(super) number: u64,
    pub(super) method: Cow<'static, str>,
    pub(super) handed: Handed,
    /// The client's wish for messages, at that moment.
    pub(super) level: Option<String>,
    pub(super) wants_progress: bool,
    pub(super) begun: Instant,
    pub(super) until: Instant,
    /// Signs of life so far.
    pub(super) signs: u64,
}

impl WaitingCall {
    /// When it is given up, or shows a sign of life.
    fn due(&self) -> Instant {
        let sign =
            self.begun + KEEP_ALIVE.saturating_mul(u32::try_from(self.signs).unwrap_or(u32::MAX).saturating_add(1));
        if self.wants_progress { self.until.min(sign) } else { self.until }
    }
}

/// A wait that is over.
pub(super) enum Due {
    /// No client waits for this call any longer.
    Late { id: u64 },
    /// The client should hear that we live.
    Sign { id: u64 },
}

/// All of them, by session, in their order.
#[derive(Default)]
pub(super) struct WaitingCalls(HashMap<SessionKey, VecDeque<WaitingCall>>);

impl WaitingCalls {
    /// One more of a session that may have `limit` of them; `false`: it has.
    pub(super) fn hold(&mut self, session: SessionKey, call: WaitingCall, limit: usize) -> bool {
        let calls = self.0.entry(session).or_default();
        if calls.len() >= limit {
            return false;
        }
        calls.push_back(call);
        true
    }

    /// All of a session.
    pub(super) fn take(&mut self, session: SessionKey) -> VecDeque<WaitingCall> {
        self.0.remove(&session).unwrap_or_default()
    }

    /// All there are.
    pub(super) fn take_all(&mut self) -> Vec<WaitingCall> {
        self.0.drain().flat_map(|(_, calls)| calls).collect()
    }

    /// Takes out the one that was cancelled, if it waits here.
    pub(super) fn cancel(&mut self, id: u64) -> bool {
        for calls in self.0.values_mut() {
            if let Some(at) = calls.iter().position(|call| call.id == id) {
                calls.remove(at);
                return true;
            }
        }
        false
    }

    /// The waits that are over.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        self.0.retain(|_, calls| {
            for mut call in std::mem::take(calls) {
                if call.until <= now {
                    due.push(Due::Late { id: call.id });
                    continue;
                }
                if call.due() <= now {
                    call.signs += 1;
                    due.push(Due::Sign { id: call.id });
                }
                calls.push_back(call);
            }
            !calls.is_empty()
        });
        due
    }

    /// When [`WaitingCalls::due`] has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().flatten().map(WaitingCall::due).min()
    }
}
