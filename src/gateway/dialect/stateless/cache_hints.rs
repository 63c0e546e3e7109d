//! For how long an answer may be kept, and by whom, as it is written into it.

use crate::gateway::{
    builtin,
    call::request_context::RequestContext,
    catalogue::{CacheHints, ListKind, View},
};

/// How long a client may take a result for true, and whom it may show it to (2026-07-28, caching).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caching(CacheHints);

impl Caching {
    /// For every page of a list of this view: what the strictest of its servers says. Servers of the initialize era say
    /// nothing, and for them the configuration does. With authentication nothing is for everyone.
    pub(super) fn of(exchange: &RequestContext, view: &View, kind: ListKind) -> Self {
        let settings = exchange.gateway.settings();
        let ours = CacheHints { ttl_ms: settings.list_ttl_ms, private: settings.tokens.is_some() };
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
