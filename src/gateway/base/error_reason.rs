//! Why a call failed, in one word, for counters and the log.

use mcproxy_mcp::{ErrorCode, RawObject};

/// Why calls fail without a word of the server's, as `data.reason` says it. Others that turn up there share a label: a
/// server can write what it likes into its errors, and each label costs memory for ever.
const OURS: [&str; 25] = [
    "timeout",
    "server_exited",
    "server_stopped",
    "worker_ended",
    "worker_gone",
    "not_ready",
    "too_many_calls",
    "rate_limited",
    "not_recorded",
    "not_approved",
    "approval_expired",
    "too_many_held",
    "too_many_instances",
    "instance_failed",
    "no_session",
    "needs_input",
    "no_web_page",
    "stopping",
    "starting",
    "stopped",
    "idle",
    "backoff",
    "blocked",
    "failed",
    "unknown",
];
/// The server itself answered with an error.
const SERVER: &str = "server";
/// One of our codes with a reason that is none of ours.
const OTHER: &str = "other";

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    OURS.into_iter().chain([SERVER, OTHER])
}

/// The code of an error, and why the call failed, in one word, for counters and the log. `error`: the JSON-RPC error object that the
/// client gets.
pub(super) fn of_error(error: &[u8]) -> (Option<ErrorCode>, &'static str) {
    let Ok(object) = RawObject::from_slice(error) else { return (None, SERVER) };
    let code = object.get("code").and_then(|code| code.get().parse().ok()).map(ErrorCode);
    let data = object.get_object("data");
    let said = data.as_ref().and_then(|data| data.get_string("reason"));
    (code, of(code, said.as_deref()))
}

/// The same of what such an error says.
pub(super) fn of(code: Option<ErrorCode>, said: Option<&str>) -> &'static str {
    let is_ours = matches!(
        code,
        Some(ErrorCode::TIMEOUT | ErrorCode::SERVER_UNAVAILABLE | ErrorCode::SERVER_ENDED | ErrorCode::INTERNAL_ERROR)
    );
    match (is_ours, said, code) {
        (true, Some(said), _) => OURS.into_iter().find(|known| *known == said).unwrap_or(OTHER),
        // Any server may fail inside; our own errors say why.
        (true, None, Some(ErrorCode::INTERNAL_ERROR)) | (false, ..) => SERVER,
        (true, None, _) => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_mcp::ErrorObject;

    use super::*;
    use crate::gateway::base::reply::Reply;

    #[test]
    fn our_reasons_are_told_from_a_servers_words_and_nobody_invents_new_ones() {
        let of = |error: ErrorObject| {
            let read = of_error(error.to_raw().get().as_bytes());
            let Reply::Error(made) = Reply::from(error.clone()) else { panic!("an error") };
            assert_eq!(read, (made.code, made.reason), "{error:?}");
            read.1
        };
        assert_eq!(of(ErrorObject::about_server(ErrorCode::TIMEOUT, "late", "a", "timeout")), "timeout");
        assert_eq!(
            of(ErrorObject::about_server(ErrorCode::SERVER_ENDED, "gone", "a", "server_exited")),
            "server_exited"
        );
        assert_eq!(of(ErrorObject::about_server(ErrorCode::SERVER_ENDED, "gone", "a", "my own")), "other");
        assert_eq!(of(ErrorObject::new(ErrorCode::TIMEOUT, "no data")), "other");
        assert_eq!(of(ErrorObject::new(ErrorCode::INVALID_PARAMS, "no such tool")), "server");
        assert_eq!(of(ErrorObject::new(ErrorCode::INTERNAL_ERROR, "bug")), "server");
        assert_eq!(of(ErrorObject::new(ErrorCode(7), "odd").with("reason", "timeout")), "server");
        assert_eq!(of_error(b"\"not an object\""), (None, "server"));
    }
}
