//! Which methods this dialect has.

use mcproxy_mcp::{ListKind, method};

/// Whether there is such a method. What sessions needed is gone; what a session would be told comes by a stream that is
/// asked for.
pub(super) fn is_known(method: &str) -> bool {
    matches!(
        method,
        method::DISCOVER
            | method::LISTEN
            | method::TOOLS_CALL
            | method::PROMPTS_GET
            | method::RESOURCES_READ
            | method::COMPLETE
            | method::TASKS_GET
            | method::TASKS_UPDATE
            | method::TASKS_CANCEL
    ) || list_of(method).is_some()
}

/// Which list a method asks for.
pub(super) fn list_of(method: &str) -> Option<ListKind> {
    ListKind::ALL.into_iter().find(|kind| kind.method() == method)
}
