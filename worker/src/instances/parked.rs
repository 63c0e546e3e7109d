//! Calls that wait for their clients, and which instance has them.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use mcproxy_ipc::data::{CallContext, GatewayToWorker, Resumption, WorkerToGateway};
use mcproxy_mcp::{ErrorCode, ErrorObject};

use super::{call_number::of_host, host::InstanceHost, pool::Number};
use crate::link::Handed;

/// By the handle that the gateway knows: the instance, and the handle that it knows.
#[derive(Debug, Default)]
pub(super) struct Parked {
    calls: BTreeMap<u64, (Number, u64)>,
    last: u64,
}

impl Parked {
    fn insert(&mut self, instance: Number, theirs: u64) -> u64 {
        self.last += 1;
        self.calls.insert(self.last, (instance, theirs));
        self.last
    }

    fn take(&mut self, handle: u64) -> Option<(Number, u64)> {
        self.calls.remove(&handle)
    }

    /// The handle that the gateway knows.
    fn of(&self, instance: Number, theirs: u64) -> Option<u64> {
        self.calls.iter().find(|(_, call)| **call == (instance, theirs)).map(|(handle, _)| *handle)
    }

    /// All of them.
    pub(super) fn handles(&self) -> Vec<u64> {
        self.calls.keys().copied().collect()
    }

    /// An instance is gone.
    pub(super) fn forget(&mut self, instance: Number) {
        self.calls.retain(|_, (of, _)| *of != instance);
    }
}

impl InstanceHost {
    /// A call of an instance waits for its client. It is no call in flight any more, but its instance is in use.
    pub(super) fn park(&mut self, instance: Number, call: u64, resumption: Resumption, now: Instant) -> Resumption {
        match resumption {
            Resumption::Parked { handle } => {
                self.flights.remove(&call);
                if let Some(running) = self.running.get_mut(&instance) {
                    running.flights.remove(&call);
                }
                Resumption::Parked { handle: self.parked.insert(instance, handle) }
            }
            Resumption::Again => {
                self.close_flight(call, now);
                Resumption::Again
            }
        }
    }

    /// It goes on.
    pub(super) fn resume(&mut self, id: u64, handle: u64, context: CallContext, payload: Bytes, now: Instant) {
        let number = of_host(id, self.epoch);
        let parked = self.parked.take(handle);
        let running = parked.and_then(|(instance, theirs)| Some((instance, theirs, self.running.get_mut(&instance)?)));
        let Some((instance, handle, running)) = running else {
            let text = "the server has ended meanwhile, or does not wait for this any more";
            return self.fail(id, &ErrorObject::new(ErrorCode::INVALID_PARAMS, text));
        };
        let message = GatewayToWorker::Resume { id: number, handle, context };
        if running.handle.calls.try_send(Handed { message, payload, room: None }).is_err() {
            self.pool.over(instance, now);
            return self.refuse_crowd(id);
        }
        running.flights.insert(number);
        self.flights.insert(number, instance);
    }

    /// A message of an instance about a call that waits, under the handle that the gateway knows.
    pub(super) fn of_parked(&mut self, instance: Number, theirs: u64, message: impl FnOnce(u64) -> WorkerToGateway) {
        if let Some(handle) = self.parked.of(instance, theirs) {
            self.tell(message(handle), Bytes::new());
        }
    }

    /// The client reports on its work at what an instance asked for.
    pub(super) fn input_progress(&mut self, handle: u64, key: String, payload: Bytes) {
        let Some((instance, theirs)) = self.parked.calls.get(&handle).copied() else { return };
        if let Some(running) = self.running.get(&instance) {
            let message = GatewayToWorker::InputProgress { handle: theirs, key };
            // One that reads so little that there is no room misses it.
            let _ = running.handle.calls.try_send(Handed { message, payload, room: None });
        }
    }

    /// No client will resume it.
    pub(super) fn abandon(&mut self, handle: u64, now: Instant) {
        let Some((instance, handle)) = self.parked.take(handle) else { return };
        self.pool.over(instance, now);
        if let Some(running) = self.running.get(&instance) {
            let message = GatewayToWorker::Abandon { handle };
            // Without room its time (inputTimeout) will end it.
            let _ = running.handle.calls.try_send(Handed { message, payload: Bytes::new(), room: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_two_instances_are_two_and_those_of_a_gone_one_lead_nowhere() {
        let mut parked = Parked::default();
        let (one, two) = (parked.insert(1, 7), parked.insert(2, 7));
        assert_ne!(one, two);
        assert_eq!((parked.of(1, 7), parked.of(2, 7), parked.of(1, 8)), (Some(one), Some(two), None));
        parked.forget(1);
        assert_eq!((parked.take(one), parked.take(two), parked.take(two)), (None, Some((2, 7)), None));
    }
}
