//! The caching hints of lists: for how long a client may keep one, and whom it may show it to (2026-07-28, caching).

use crate::gateway::{
    builtin,
    call::request_context::RequestContext,
    catalogue::{CacheHints, ListKind, View},
};

/// For every page of a list of this view: the hints of its strictest server. Servers of the legacy era give none; the
/// configuration stands in for theirs. With authentication every result is private.
pub(super) fn of_list(context: &RequestContext, view: &View, kind: ListKind) -> CacheHints {
    let gateway = &context.gateway;
    let ours = CacheHints { ttl_ms: gateway.settings().list_ttl_ms, private: !gateway.auth().is_open() };
    view.hints(kind, ours, builtin::NAME)
}
