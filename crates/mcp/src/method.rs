//! The methods of MCP that are known by name here. All others are answered with "method not found" or passed on unread.

/// Opens a session (up to 2025-11-25).
pub const INITIALIZE: &str = "initialize";
/// The client has seen the answer to `initialize`.
pub const INITIALIZED: &str = "notifications/initialized";
/// Asks for versions, capabilities and instructions (from 2026-07-28).
pub const DISCOVER: &str = "server/discover";
/// A stream for changes (from 2026-07-28).
pub const LISTEN: &str = "subscriptions/listen";
/// Says which part of that the client gets.
pub const LISTEN_ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// Are you there.
pub const PING: &str = "ping";
/// All tools.
pub const TOOLS_LIST: &str = "tools/list";
/// Runs a tool.
pub const TOOLS_CALL: &str = "tools/call";
/// All prompts.
pub const PROMPTS_LIST: &str = "prompts/list";
/// Fills in a prompt.
pub const PROMPTS_GET: &str = "prompts/get";
/// All resources.
pub const RESOURCES_LIST: &str = "resources/list";
/// All resource templates.
pub const TEMPLATES_LIST: &str = "resources/templates/list";
/// Reads a resource.
pub const RESOURCES_READ: &str = "resources/read";
/// Asks to be told of changes of a resource.
pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
/// The opposite.
pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
/// Suggests values for an argument.
pub const COMPLETE: &str = "completion/complete";
/// How much the client wants to hear.
pub const SET_LEVEL: &str = "logging/setLevel";
/// A call is given up.
pub const CANCELLED: &str = "notifications/cancelled";
/// A call goes on.
pub const PROGRESS: &str = "notifications/progress";
/// A log line of a server.
pub const LOG_MESSAGE: &str = "notifications/message";
/// The tools changed.
pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
/// The prompts changed.
pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
/// The resources changed.
pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
/// A subscribed resource changed.
pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
/// A server wants a completion from the client's model.
pub const SAMPLING: &str = "sampling/createMessage";
/// A server wants something from the user.
pub const ELICITATION: &str = "elicitation/create";
/// A page that the user was asked to visit has served its purpose.
pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
/// The client works in other directories than before.
pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";
/// A server wants to know the client's roots.
pub const ROOTS_LIST: &str = "roots/list";

/// Asks for the result of a task, once it is over (tasks of 2025-11-25).
pub const TASKS_RESULT: &str = "tasks/result";
/// How a task stands (tasks of 2025-11-25, and the extension of 2026-07-28).
pub const TASKS_GET: &str = "tasks/get";
/// All tasks of a client (tasks of 2025-11-25).
pub const TASKS_LIST: &str = "tasks/list";
/// Gives a task what it asked its client for.
pub const TASKS_UPDATE: &str = "tasks/update";
/// Gives a task up.
pub const TASKS_CANCEL: &str = "tasks/cancel";
/// How a task stands now, for clients that listen to it (the extension of 2026-07-28).
pub const TASK_CHANGED: &str = "notifications/tasks";
/// The same, for the session that made it (tasks of 2025-11-25).
pub const TASK_STATUS: &str = "notifications/tasks/status";
/// Under this name the extension stands among capabilities.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// All skills (the skills extension, SEP-2640).
pub const SKILLS_LIST: &str = "skills/list";
/// One of them.
pub const SKILLS_GET: &str = "skills/get";
/// Lists a directory of resources.
pub const DIRECTORY_READ: &str = "resources/directory/read";
/// Under this name the extension stands among capabilities.
pub const SKILLS_EXTENSION: &str = "io.modelcontextprotocol/skills";

/// Longest name of a notification that travels.
const MAX_NAME: usize = 256;

/// Whether the protocol itself has methods that begin with the first word of this one, so that no extension may name one like it.
/// Its notifications are beside that: their first word is their own.
pub fn is_of_the_protocol(method: &str) -> bool {
    const FIRST_WORDS: [&str; 14] = [
        "",
        "completion",
        "elicitation",
        "initialize",
        "logging",
        "ping",
        "prompts",
        "resources",
        "roots",
        "sampling",
        "server",
        "subscriptions",
        "tasks",
        "tools",
    ];
    FIRST_WORDS.contains(&method.split('/').next().unwrap_or_default())
}

/// Whether a notification is none that a specification names, so that it travels as it is. What has a method of the protocol
/// does not: without an id it would get past everything that holds for requests.
pub fn is_custom_notification(method: &str) -> bool {
    const NAMED: [&str; 14] = [
        INITIALIZED,
        CANCELLED,
        PROGRESS,
        LOG_MESSAGE,
        TOOLS_CHANGED,
        PROMPTS_CHANGED,
        RESOURCES_CHANGED,
        RESOURCE_UPDATED,
        ROOTS_CHANGED,
        ELICITATION_COMPLETE,
        LISTEN_ACKNOWLEDGED,
        TASK_CHANGED,
        TASK_STATUS,
        "notifications",
    ];
    // Names that begin like that are JSON-RPC's own (JSON-RPC 2.0 §4.3).
    let reserved = method.starts_with("rpc.");
    method.len() <= MAX_NAME && !reserved && !is_of_the_protocol(method) && !NAMED.contains(&method)
}

/// Which param of a request names what it is about: requests of 2026-07-28 repeat it in the `Mcp-Name` header.
pub fn subject_of(method: &str) -> Option<&'static str> {
    match method {
        TOOLS_CALL | PROMPTS_GET => Some("name"),
        RESOURCES_READ => Some("uri"),
        TASKS_GET | TASKS_UPDATE | TASKS_CANCEL => Some("taskId"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_specification_names_travels() {
        for custom in ["notifications/claude/channel", "notifications/x", "com.example/happened", "$/setTrace", "x"] {
            assert!(is_custom_notification(custom), "{custom}");
        }
        for known in [
            "",
            "/",
            "tools/call",
            "tools/anything",
            "sampling/createMessage",
            "initialize",
            "ping",
            "notifications",
            "notifications/initialized",
            "notifications/cancelled",
            "notifications/tools/list_changed",
            "rpc.discover",
        ] {
            assert!(!is_custom_notification(known), "{known}");
        }
        assert!(!is_custom_notification(&"x".repeat(MAX_NAME + 1)));
    }
}
