//! The calls that wait for a person, as the gateway reports them. Pure.

use std::sync::Arc;

use mcproxy_ipc::{HeldCall, MAX_HELD_CALLS};

/// The calls that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct HeldList(Arc<[HeldCall]>);

impl HeldList {
    /// One more waits; one that is larger, or one more, than a gateway of ours reports is left out.
    pub(crate) fn add(&mut self, call: HeldCall) {
        if call.is_bounded() && self.0.len() < MAX_HELD_CALLS && !self.has(&call.id) {
            self.0 = self.0.iter().cloned().chain([call]).collect();
        }
    }

    /// One does not any more.
    pub(crate) fn remove(&mut self, id: &str) {
        if self.has(id) {
            self.0 = self.0.iter().filter(|call| call.id != id).cloned().collect();
        }
    }

    /// None does: the gateway that they waited at has ended.
    pub(crate) fn clear(&mut self) {
        self.0 = Arc::default();
    }

    /// Whether one of that name waits.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|call| call.id == id)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<[HeldCall]> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{MAX_SHOWN_ARGUMENTS, ServerName};

    use super::*;

    fn call(id: &str) -> HeldCall {
        HeldCall {
            id: id.into(),
            at_ms: 0,
            until_ms: 0,
            principal: None,
            client: None,
            endpoint: "all".into(),
            server: ServerName::try_from("s").expect("a name"),
            tool: "t".into(),
            arguments: "{}".into(),
            asks_user: false,
        }
    }

    #[test]
    fn calls_are_listed_while_they_wait_and_within_bounds() {
        let mut held = HeldList::default();
        held.add(call("a"));
        held.add(call("a"));
        held.add(HeldCall { arguments: "x".repeat(MAX_SHOWN_ARGUMENTS + 1), ..call("b") });
        assert_eq!(held.all().len(), 1);
        (0..MAX_HELD_CALLS).for_each(|n| held.add(call(&n.to_string())));
        assert_eq!(held.all().len(), MAX_HELD_CALLS);
        held.remove("a");
        held.remove("none");
        assert!(!held.has("a") && held.has("0"));
        held.clear();
        assert!(held.all().is_empty());
    }
}
