//! What the tools of a server were when they were pinned, and how they differ now.

use std::sync::Arc;

use bytes::Bytes;
use mcproxy_ipc::{ServerName, ToolRules, control::PinPolicy};

use crate::gateway::catalogue::{ServerCatalogue, ToolDifferences};

/// The pins of one server.
#[derive(Default)]
pub(super) struct ServerPins {
    policy: PinPolicy,
    /// They were looked up.
    known: bool,
    pinned: Option<Pinned>,
    /// How what it offers now differs.
    differences: ToolDifferences,
    /// That was not reported.
    unreported: bool,
}

/// What was offered when the tools were pinned, as it came and read.
struct Pinned {
    payload: Bytes,
    catalogue: Arc<ServerCatalogue>,
}

impl Pinned {
    fn read(server: &ServerName, rules: &ToolRules, payload: Bytes) -> Option<Self> {
        let (catalogue, _) = ServerCatalogue::read(server, &payload, rules).ok()?;
        Some(Self { payload, catalogue: Arc::new(catalogue) })
    }
}

impl ServerPins {
    pub(super) fn set_policy(&mut self, policy: PinPolicy) {
        self.policy = policy;
    }

    /// Takes out differences that nobody was told of, and whether tools are held for them.
    pub(super) fn take_differences(&mut self) -> Option<(ToolDifferences, bool)> {
        let held = self.policy == PinPolicy::Hold && self.unapproved() > 0;
        std::mem::take(&mut self.unreported).then(|| (self.differences.clone(), held))
    }

    /// How many tools are not as they were pinned.
    pub(super) fn unapproved(&self) -> usize {
        self.differences.unapproved()
    }

    /// Whether nothing may be offered before they are known.
    pub(super) fn are_awaited(&self) -> bool {
        self.policy == PinPolicy::Hold && !self.known
    }

    /// They were looked up; `None`: there are none.
    pub(super) fn set(&mut self, server: &ServerName, rules: &ToolRules, payload: Option<Bytes>) {
        self.known = true;
        if let Some(payload) = payload {
            self.pinned = Pinned::read(server, rules, payload);
        }
    }

    /// Other rules are in force.
    pub(super) fn read_again(&mut self, server: &ServerName, rules: &ToolRules) {
        if let Some(pinned) = self.pinned.take() {
            self.pinned = Pinned::read(server, rules, pinned.payload);
        }
    }

    /// The server offers this. Without pins it is seen for the first time, and pinned by that.
    pub(super) fn seen(&mut self, payload: &Bytes, offered: &Arc<ServerCatalogue>) {
        if self.policy == PinPolicy::Off || !self.known {
            return;
        }
        let pinned = self.pinned.get_or_insert_with(|| Pinned { payload: payload.clone(), catalogue: offered.clone() });
        let differences = match Arc::ptr_eq(&pinned.catalogue, offered) {
            true => ToolDifferences::default(),
            false => offered.differences(&pinned.catalogue),
        };
        self.unreported |= differences != self.differences && !differences.is_empty();
        self.differences = differences;
    }

    /// The part of an offer that was approved; `None`: all of it may be offered.
    pub(super) fn approved(&self, offered: &Arc<ServerCatalogue>) -> Option<Arc<ServerCatalogue>> {
        let pinned = self.pinned.as_ref().filter(|_| self.policy == PinPolicy::Hold)?;
        (offered.differences(&pinned.catalogue).unapproved() > 0)
            .then(|| Arc::new(offered.approved_by(&pinned.catalogue)))
    }

    /// The same of what a single session is offered.
    pub(super) fn approved_of_own(&self, offered: ServerCatalogue) -> ServerCatalogue {
        match self.pinned.as_ref().filter(|_| self.policy == PinPolicy::Hold) {
            Some(pinned) => offered.approved_by(&pinned.catalogue),
            None => offered,
        }
    }

    /// Whether a tool may be called that the server does not list.
    pub(super) fn permit_unlisted(&self, own: &str) -> bool {
        let is_pinned = || self.pinned.as_ref().is_some_and(|pinned| pinned.catalogue.has_own_tool(own));
        let is_held = || self.differences.changed.iter().any(|held| **held == *own);
        self.policy != PinPolicy::Hold || (is_pinned() && !is_held())
    }
}
