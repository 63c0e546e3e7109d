//! Messages that wait to be sent. Pure.

use std::collections::VecDeque;

use mcproxy_mcp::RequestId;

use super::message::OutgoingMessage;

/// Messages that wait before the session has to wait as well. Their calls are bounded in number by `limits.maxConcurrent`, and in
/// bytes by what a run lets pile up before it reads no more frames.
const MOST: usize = 256;

/// Messages that wait to be sent, in their order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<OutgoingMessage>,
    bytes: usize,
}

impl Outbox {
    /// Whether it takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, message: OutgoingMessage) {
        self.bytes += message.line.len();
        self.waiting.push_back(message);
    }

    /// One that is to be sent once more, before all others.
    pub(super) fn push_first(&mut self, message: OutgoingMessage) {
        self.bytes += message.line.len();
        self.waiting.push_front(message);
    }

    pub(super) fn pop(&mut self) -> Option<OutgoingMessage> {
        let message = self.waiting.pop_front()?;
        self.bytes -= message.line.len();
        Some(message)
    }

    /// Takes a request out that was given up; `false`: it does not wait here.
    pub(super) fn remove(&mut self, id: &RequestId) -> bool {
        let Some(at) = self.waiting.iter().position(|message| message.id() == Some(id)) else { return false };
        if let Some(message) = self.waiting.remove(at) {
            self.bytes -= message.line.len();
        }
        true
    }

    /// Takes all out; the numbers of the requests among them.
    pub(super) fn clear(&mut self) -> Vec<u64> {
        let waiting = std::mem::take(self).waiting;
        waiting.iter().filter_map(|message| message.id()?.as_u64()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(id: u64, padding: usize) -> OutgoingMessage {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":{{"p":"{}"}}}}"#, "x".repeat(padding));
        OutgoingMessage::read(line.into())
    }

    proptest! {
        #[test]
        fn its_bytes_are_those_of_what_waits(steps in prop::collection::vec((0u64..8, 0usize..9, 0u8..4), 0..60)) {
            let mut outbox = Outbox::default();
            for (id, padding, step) in steps {
                match step {
                    0 => outbox.push_first(message(id, padding)),
                    1 => { outbox.pop(); }
                    2 => { outbox.remove(&id.into()); }
                    _ => outbox.push(message(id, padding)),
                }
                let bytes: usize = outbox.waiting.iter().map(|message| message.line.len()).sum();
                prop_assert_eq!(outbox.bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_request_that_was_given_up_is_not_sent() {
        let mut outbox = Outbox::default();
        outbox.push(message(1, 0));
        outbox.push(message(2, 0));
        assert!(outbox.remove(&1.into()) && !outbox.remove(&1.into()));
        assert_eq!(outbox.clear(), [2]);
        assert!(outbox.is_empty());
    }
}
