//! The server's requests to clients, and the calls that wait for the answers. Pure: time is an argument.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::data::Outcome;
use mcproxy_mcp::{RawObject, RawValue, RequestId, json_string, meta};

use super::{
    asks::{Candidate, Feature},
    call_table::Suspended,
};

/// How long what a server asks is gathered.
const GATHER: Duration = Duration::from_millis(10);
/// Most requests of one call that may wait for answers.
const MAX_ASKS: usize = 32;
/// Most bytes of all that is kept here.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A request of the server that is to be answered by a client.
#[derive(Debug)]
pub(super) struct Ask {
    /// The server's own id of it.
    pub(super) id: RequestId,
    pub(super) feature: Feature,
    /// The text of its params; empty when there are none.
    pub(super) params: Bytes,
}

/// There is no room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Ask {
    /// The token under which the server wants to hear of progress, as it wrote it.
    pub(super) fn progress_token(&self) -> Option<Box<RawValue>> {
        let params = RawObject::from_slice(&self.params).ok()?;
        params.get_object("_meta")?.get(meta::PROGRESS_TOKEN).map(ToOwned::to_owned)
    }

    fn size(&self) -> usize {
        self.params.len() + self.id.as_json().len()
    }
}

/// A call that waits for its client.
#[derive(Debug)]
pub(super) struct AwaitingCall {
    /// The request to the server.
    pub(super) upstream: u64,
    /// The requests to the client, by key.
    pub(super) asks: Vec<(String, Ask)>,
    pub(super) suspended: Suspended,
    /// The server did not wait for the answers: what came of its call.
    pub(super) over: Option<(Outcome, Bytes)>,
    until: Instant,
}

/// All of it, of one server.
#[derive(Debug, Default)]
pub(super) struct Parks {
    /// Asked, and no client was told yet: with the request to the server that it belongs to.
    fresh: Vec<(u64, Ask)>,
    /// Until then what is asked is gathered.
    ripe_at: Option<Instant>,
    parked: BTreeMap<u64, AwaitingCall>,
    last_handle: u64,
    last_key: u64,
    bytes: usize,
}

impl Parks {
    /// Whether nothing is asked.
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.parked.is_empty()
    }

    /// The calls that wait: a request of the server may belong to one of them.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.parked.values().map(|park| park.suspended.addressee.of_call(park.upstream))
    }

    /// The server asks for something within a call. `false`: it asks for too much at once.
    pub(super) fn ask(&mut self, upstream: u64, ask: Ask) -> bool {
        let fresh = self.fresh.iter().filter(|(of, _)| *of == upstream).count();
        let told: usize =
            self.parked.values().filter(|park| park.upstream == upstream).map(|park| park.asks.len()).sum();
        if fresh + told >= MAX_ASKS || self.bytes + ask.size() > MAX_BYTES {
            return false;
        }
        self.bytes += ask.size();
        self.fresh.push((upstream, ask));
        true
    }

    /// Whether it is time to tell clients. What a server asks at once comes in several lines, and one round for all of it
    /// is worth a moment.
    pub(super) fn is_ripe(&mut self, now: Instant) -> bool {
        if self.asking().is_empty() {
            self.ripe_at = None;
            return false;
        }
        let ripe = *self.ripe_at.get_or_insert(now + GATHER) <= now;
        self.ripe_at.take_if(|_| ripe);
        ripe
    }

    /// Nothing more is waited for.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.ripe_at = Some(now);
    }

    /// The calls with something that their clients were not told yet, and that do not wait already.
    pub(super) fn asking(&self) -> Vec<u64> {
        let mut asking: Vec<u64> = self.fresh.iter().map(|(of, _)| *of).collect();
        asking.sort_unstable();
        asking.dedup();
        asking.retain(|of| self.parked.values().all(|park| park.upstream != *of));
        asking
    }

    /// Lets a call wait for the answers to all that was asked within it so far. Says under which handle, and what the
    /// client is told: the payload of `NeedsInput`.
    pub(super) fn park(&mut self, upstream: u64, suspended: Suspended, until: Instant) -> (u64, Bytes) {
        let mut asks = Vec::new();
        for ask in self.take_fresh(upstream) {
            self.last_key += 1;
            self.bytes += ask.size();
            asks.push((format!("r{}", self.last_key), ask));
        }
        let members: Vec<String> = asks.iter().map(|(key, ask)| member(key, ask)).collect();
        let payload = format!("{{\"inputRequests\":{{{}}}}}", members.join(","));
        self.last_handle += 1;
        self.parked.insert(self.last_handle, AwaitingCall { upstream, asks, suspended, over: None, until });
        (self.last_handle, payload.into())
    }

    /// Takes out a call that goes on or is given up.
    pub(super) fn take(&mut self, handle: u64) -> Option<AwaitingCall> {
        let park = self.parked.remove(&handle)?;
        self.bytes -= park.asks.iter().map(|(_, ask)| ask.size()).sum::<usize>();
        self.bytes -= park.over.as_ref().map_or(0, |(_, payload)| payload.len());
        Some(park)
    }

    /// Another request to the server answers this call from now on. Whether it waits for its client.
    pub(super) fn rename(&mut self, upstream: u64, to: u64) -> bool {
        self.fresh.iter_mut().filter(|(of, _)| *of == upstream).for_each(|(of, _)| *of = to);
        let waits = |park: &&mut AwaitingCall| park.upstream == upstream && park.over.is_none();
        self.parked.values_mut().find(waits).map(|park| park.upstream = to).is_some()
    }

    /// Takes out what was asked within a call and not told yet.
    pub(super) fn take_fresh(&mut self, upstream: u64) -> Vec<Ask> {
        let (taken, left) = std::mem::take(&mut self.fresh).into_iter().partition(|(of, _)| *of == upstream);
        self.fresh = left;
        let taken: Vec<Ask> = Vec::into_iter(taken).map(|(_, ask)| ask).collect();
        self.bytes -= taken.iter().map(Ask::size).sum::<usize>();
        taken
    }

    /// The server answered a call without waiting for what it had asked: under which handle the answer is kept. `None`: no
    /// such call waits. `Err`: its answer is too large to be kept, and an error has to be.
    pub(super) fn finish(&mut self, upstream: u64, outcome: Outcome, payload: Bytes) -> Option<Result<u64, TooLarge>> {
        let is_meant = |(_, park): &(&u64, &mut AwaitingCall)| park.upstream == upstream && park.over.is_none();
        let (handle, park) = self.parked.iter_mut().find(is_meant)?;
        if self.bytes + payload.len() > MAX_BYTES {
            return Some(Err(TooLarge));
        }
        self.bytes += payload.len();
        // Of its own, so that a long line of which it is a part is not held.
        park.over = Some((outcome, Bytes::copy_from_slice(&payload)));
        Some(Ok(*handle))
    }

    /// The request to the client of a waiting call under this key.
    pub(super) fn asked(&self, handle: u64, key: &str) -> Option<&Ask> {
        self.parked.get(&handle)?.asks.iter().find(|(of, _)| of == key).map(|(_, ask)| ask)
    }

    /// The server does not want that answer any more. Says which call waits for it, and under which key, if its client was
    /// told.
    pub(super) fn withdraw(&mut self, id: &RequestId) -> Option<(u64, String)> {
        let mut freed = 0;
        let mut told = None;
        self.fresh.retain(|(_, ask)| {
            ask.id != *id || {
                freed += ask.size();
                false
            }
        });
        for (handle, park) in &mut self.parked {
            park.asks.retain(|(key, ask)| {
                ask.id != *id || {
                    freed += ask.size();
                    told = Some((*handle, key.clone()));
                    false
                }
            });
        }
        self.bytes -= freed;
        told
    }

    /// The handles of the calls whose clients took too long.
    pub(super) fn expired(&self, now: Instant) -> Vec<u64> {
        self.parked.iter().filter(|(_, park)| park.until <= now).map(|(handle, _)| *handle).collect()
    }

    /// The handles of all calls that wait.
    pub(super) fn handles(&self) -> Vec<u64> {
        self.parked.keys().copied().collect()
    }

    /// When [`Parks::expired`] and [`Parks::is_ripe`] should be asked next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.parked.values().map(|park| park.until).chain(self.ripe_at).min()
    }
}

fn member(key: &str, ask: &Ask) -> String {
    let (method, params) = (json_string(ask.feature.method()), String::from_utf8_lossy(&ask.params));
    match &*params {
        "" => format!("\"{key}\":{{\"method\":{}}}", method.get()),
        params => format!("\"{key}\":{{\"method\":{},\"params\":{params}}}", method.get()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mcproxy_ipc::CallTimeouts;
    use proptest::prelude::*;

    use super::{super::call_table::CallTable, *};

    const TIME: Duration = Duration::from_secs(9);

    fn ask(id: u64, bytes: usize) -> Ask {
        let params = format!("{{\"m\":\"{}\"}}", "x".repeat(bytes)).into();
        Ask { id: RequestId::from(id), feature: Feature::Form, params }
    }

    fn suspended() -> Suspended {
        let timeouts = CallTimeouts { idle: TIME, total: TIME, input: TIME };
        let mut calls = CallTable::new(1, timeouts);
        let now = Instant::now();
        assert!(calls.open(7, 70, false, None, now));
        calls.suspend(7, now).expect("it is in flight")
    }

    #[test]
    fn a_call_is_told_of_all_that_was_asked_and_the_rest_waits_for_the_next_round() {
        let now = Instant::now();
        let mut parks = Parks::default();
        assert!(parks.ask(7, ask(1, 1)) && parks.ask(7, ask(2, 1)));
        assert_eq!(parks.asking(), [7]);
        let start = Instant::now();
        assert!(!parks.is_ripe(start), "more may follow");
        assert_eq!(parks.deadline(), Some(start + GATHER));
        assert!(parks.is_ripe(start + GATHER));
        assert_eq!(parks.deadline(), None, "it is for the caller now");
        let (handle, payload) = parks.park(7, suspended(), now);
        let text = std::str::from_utf8(&payload).expect("text");
        assert!(text.contains(r#""r1":{"method":"elicitation/create","params":{"m":"x"}}"#) && text.contains("\"r2\""));
        assert!(parks.ask(7, ask(3, 1)));
        assert!(parks.asking().is_empty(), "it waits already");
        assert_eq!(parks.withdraw(&RequestId::from(1)), Some((handle, "r1".to_owned())));
        assert_eq!(parks.withdraw(&RequestId::from(1)), None, "once");
        assert_eq!(parks.take(handle).expect("it waits").asks.len(), 1);
        assert!(parks.take(handle).is_none(), "good for once");
        assert_eq!(parks.asking(), [7]);
    }

    #[test]
    fn one_call_asks_for_so_much_at_once_and_all_of_them_for_so_many_bytes() {
        let mut parks = Parks::default();
        assert!((0..MAX_ASKS as u64).all(|id| parks.ask(7, ask(id, 1))));
        assert!(!parks.ask(7, ask(99, 1)));
        assert!(!parks.ask(8, ask(99, MAX_BYTES)));
        assert!(parks.ask(8, ask(99, 1)));
    }

    proptest! {
        #[test]
        fn what_is_taken_out_is_not_counted_any_more(steps in prop::collection::vec((0u8..5, 0u64..4, 0usize..50), 0..60)) {
            let now = Instant::now();
            let mut parks = Parks::default();
            for (what, n, bytes) in steps {
                match what {
                    0 | 1 => { parks.ask(n, ask(n * 100 + bytes as u64, bytes)); }
                    2 => if let Some(upstream) = parks.asking().first().copied() { parks.park(upstream, suspended(), now); },
                    3 => { parks.finish(n, Outcome::Result, vec![b'1'; bytes].into()); }
                    _ => { parks.withdraw(&RequestId::from(n * 100 + bytes as u64)); }
                }
            }
            for handle in parks.handles() { parks.take(handle); }
            for upstream in 0..4 { parks.take_fresh(upstream); }
            prop_assert!(parks.is_empty());
            prop_assert_eq!(parks.bytes, 0);
        }
    }
}
