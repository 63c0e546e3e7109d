//! What is counted of calls that wait for approval.

use std::{cell::RefCell, collections::HashSet};

use mcproxy_ipc::HoldEnd;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApprovalLabels {
    server: String,
    outcome: &'static str,
}

/// A call that waits.
const HELD: &str = "held";

/// The counters.
#[derive(Default)]
pub(super) struct ApprovalCounts {
    counted: Family<ApprovalLabels, Counter>,
    servers: RefCell<HashSet<Box<str>>>,
}

impl ApprovalCounts {
    /// A call of this server waits.
    pub(super) fn held(&self, server: &str) {
        self.count(server, HELD);
    }

    /// It does not any more.
    pub(super) fn ended(&self, server: &str, end: HoldEnd) {
        self.count(server, end.as_str());
    }

    fn count(&self, server: &str, outcome: &'static str) {
        if !self.servers.borrow().contains(server) {
            self.servers.borrow_mut().insert(server.into());
        }
        self.counted.get_or_create(&ApprovalLabels { server: server.to_owned(), outcome }).inc();
    }

    /// Puts them on a page; so many wait now.
    pub(super) fn register(&self, registry: &mut Registry, waiting: usize) {
        let help = "Calls that had to wait for the agreement of a person, and how that ended";
        registry.register("approvals", help, self.counted.clone());
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        registry.register("calls_held", "Calls that wait for the agreement of a person", gauge);
    }

    /// Removes those of servers that are gone.
    pub(super) fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.servers.borrow_mut().retain(|name| {
            let stays = is_there(name);
            if !stays {
                for outcome in HoldEnd::ALL.iter().map(|end| end.as_str()).chain([HELD]) {
                    self.counted.remove(&ApprovalLabels { server: name.to_string(), outcome });
                }
            }
            stays
        });
    }
}
