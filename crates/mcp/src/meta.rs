//! Keys of `_meta` that MCP reserves.

/// The version that a request is made in (from 2026-07-28).
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Who makes it.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The capabilities of its client.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// How much it wants to hear while it is worked on.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Who answers a request.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The token under which progress of a request is reported.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// Which task a message belongs to (tasks of 2025-11-25).
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
/// Which `subscriptions/listen` a notification belongs to: the id of that request.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
