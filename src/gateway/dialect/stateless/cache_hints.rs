//! The caching hints of a result: for how long a client may keep it, and whom it may show it to.

use crate::gateway::{
    builtin,
    call::request_context::RequestContext,
    catalogue::{CacheHints, ListKind, View},
};

/// How long a client may cache a result, and whom it may show it to (2026-07-28, caching).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caching(CacheHints);

impl Caching {
    /// For every page of a list of this view: the hints of its strictest server. Servers of the initialize era give none; the
    /// configuration stands in for theirs. With authentication every result is private.
    pub(super) fn of(exchange: &RequestContext, view: &View, kind: ListKind) -> Self {
        let gateway = &exchange.gateway;
        let ours = CacheHints { ttl_ms: gateway.settings().list_ttl_ms, private: !gateway.auth().is_open() };
        Self(view.hints(kind, ours, builtin::NAME))
    }

    /// The stricter of two.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0.and(other.0))
    }

    /// As members of a JSON object.
    pub(super) fn members(self) -> String {
        self.0.to_members()
    }
}
