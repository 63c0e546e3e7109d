//! Keys that are not ours: those of other programs, by what they come to, and those that no program is known to have.

use crate::nearest::{did_you_mean, typo_of};
use crate::problem::printable;

/// The meaning of another program's key in an entry.
pub(super) enum Use {
    /// It is this key of ours.
    Means(&'static str),
    /// A list of the only tools to offer.
    Allow,
    /// A list of tools not to offer.
    Deny,
    /// For people and for other programs' windows; nothing is lost.
    Quiet,
    /// It has no counterpart; why, or what to write instead.
    Ignored(&'static str),
}

const APPROVAL: &str = "approving calls is the client's part, also behind MCProxy";
const DISPLAY: &str = "MCProxy shows servers by their names";
const TIMES: &str = "write `timeout` (a call) or `startTimeout`, in seconds";

/// Of an entry. Keys of ours in another spelling are not among them: those are mistakes.
const ENTRY: &[(&str, Use)] = &[
    // Goose
    ("cmd", Use::Means("command")),
    ("envs", Use::Means("env")),
    ("arguments", Use::Means("args")),
    // opencode, docker
    ("environment", Use::Means("env")),
    ("env_vars", Use::Means("env")),
    ("workingDirectory", Use::Means("cwd")),
    ("working_directory", Use::Means("cwd")),
    ("workingDir", Use::Means("cwd")),
    ("workdir", Use::Means("cwd")),
    // FastMCP, 1MCP, LangChain; mcp-proxy
    ("transport", Use::Means("type")),
    ("transportType", Use::Means("type")),
    ("transport_type", Use::Means("type")),
    // Cherry Studio, 5ire, Jan
    ("isActive", Use::Means("enabled")),
    ("active", Use::Means("enabled")),
    // Gemini CLI, Roo, Windsurf, Kiro, Codex
    ("includeTools", Use::Allow),
    ("enabledTools", Use::Allow),
    ("enabled_tools", Use::Allow),
    ("allowedTools", Use::Allow),
    ("allowed_tools", Use::Allow),
    ("toolsAllow", Use::Allow),
    ("excludeTools", Use::Deny),
    ("disabledTools", Use::Deny),
    ("disabled_tools", Use::Deny),
    ("disallowedTools", Use::Deny),
    ("blockedTools", Use::Deny),
    ("autoApprove", Use::Ignored(APPROVAL)),
    ("alwaysAllow", Use::Ignored(APPROVAL)),
    ("alwaysLoad", Use::Ignored(APPROVAL)),
    ("trust", Use::Ignored(APPROVAL)),
    ("requireApproval", Use::Ignored(APPROVAL)),
    ("require_approval", Use::Ignored(APPROVAL)),
    ("disabledAutoApproveTools", Use::Ignored(APPROVAL)),
    ("envFile", Use::Ignored("the file is not read; write its variables into `env`, as \"NAME\": \"${NAME}\"")),
    ("env_file", Use::Ignored("the file is not read; write its variables into `env`, as \"NAME\": \"${NAME}\"")),
    (
        "inheritParentEnv",
        Use::Ignored("a server sees its `env` and a fixed list; write \"NAME\": \"${NAME}\" into `env`"),
    ),
    ("inheritEnv", Use::Ignored("a server sees its `env` and a fixed list; write \"NAME\": \"${NAME}\" into `env`")),
    ("envFilter", Use::Ignored("a server sees its `env` and a fixed list")),
    ("connectionTimeout", Use::Ignored(TIMES)),
    ("requestTimeout", Use::Ignored(TIMES)),
    ("initTimeout", Use::Ignored(TIMES)),
    ("startupTimeout", Use::Ignored(TIMES)),
    ("startup_timeout_sec", Use::Ignored(TIMES)),
    ("startup_timeout_ms", Use::Ignored(TIMES)),
    ("tool_timeout_sec", Use::Ignored(TIMES)),
    ("restartOnExit", Use::Ignored("a server that ends is always started again; see `restart`")),
    ("maxRestarts", Use::Ignored("write `restart.maxAttempts`")),
    ("restartDelay", Use::Ignored("write `restart.initialDelay`, in seconds")),
    ("baseUrl", Use::Ignored("the address of a server is its `url`")),
    ("headersHelper", Use::Ignored("MCProxy runs no helper; write `headers`, with `${NAME}` for what is secret")),
    ("bearer_token_env_var", Use::Ignored("write `bearerToken`, as \"${NAME}\"")),
    ("env_http_headers", Use::Ignored("write `headers`, with \"${NAME}\" as values")),
    // Codex, LangChain, Anthropic's API
    ("http_headers", Use::Means("headers")),
    ("httpHeaders", Use::Means("headers")),
    ("customHeaders", Use::Means("headers")),
    ("requestHeaders", Use::Means("headers")),
    ("bearer_token", Use::Means("bearerToken")),
    ("authorization_token", Use::Means("bearerToken")),
    ("auth", Use::Ignored("who may call is said once for the file, in `auth`")),
    ("shell", Use::Ignored("no shell is involved")),
    ("title", Use::Ignored(DISPLAY)),
    ("displayName", Use::Ignored(DISPLAY)),
    ("label", Use::Ignored(DISPLAY)),
    ("icon", Use::Quiet),
    ("icons", Use::Quiet),
    ("iconPath", Use::Quiet),
    ("logoUrl", Use::Quiet),
    ("provider", Use::Quiet),
    ("providerUrl", Use::Quiet),
    ("homepage", Use::Quiet),
    ("author", Use::Quiet),
    ("comment", Use::Quiet),
    ("comments", Use::Quiet),
    ("_comment", Use::Quiet),
    ("$comment", Use::Quiet),
    ("//", Use::Quiet),
    ("notes", Use::Quiet),
    // A map's key is the name; what stands in the entry is for a window.
    ("name", Use::Quiet),
    ("id", Use::Quiet),
    ("key", Use::Quiet),
    // Zed: `custom` or `extension`
    ("source", Use::Quiet),
];

/// Of the file.
const FILE: &[(&str, &str)] = &[
    ("inputs", "MCProxy cannot ask for these; write `${VARIABLE}` where `${input:…}` stands and set the variable"),
    ("mcpProxy", "write `listen` and `auth` instead"),
    ("port", "write `listen` instead"),
    ("host", "write `listen` instead"),
    ("projects", "the servers of single projects are not read; move them to `mcpServers`"),
    ("mcp", "nothing else of it is MCProxy's"),
    ("sandbox", "it is not MCProxy's"),
    ("schema", "an editor looks for `$schema`"),
    ("oauth", "it is not MCProxy's"),
    ("comment", "it is not MCProxy's"),
];

/// The treatment of a key that the schema does not have.
pub(crate) enum Stranger {
    /// It is one of ours, mistyped, or a part of ours that is missing here: the file is refused.
    Mistake(String),
    /// It is another program's, and ignored, which is said.
    Known(String),
    /// No program is known to have it. It is ignored, and one warning tells of all such keys.
    Unknown(String),
}

/// The meaning of another program's key, if it is known.
pub(super) fn in_entry(key: &str) -> Option<&'static Use> {
    ENTRY.iter().find(|(known, _)| *known == key).map(|(_, means)| means)
}

/// An unknown key of an entry; `ours` are all that it can have.
pub(crate) fn of_entry<'a>(key: &str, ours: impl Iterator<Item = &'a str> + Clone) -> Stranger {
    match in_entry(key) {
        Some(Use::Ignored(why)) => Stranger::Known(ignored(key, why)),
        _ => unknown(key, ours),
    }
}

/// An unknown key of the file.
pub(crate) fn of_file<'a>(key: &str, ours: impl Iterator<Item = &'a str> + Clone) -> Stranger {
    match FILE.iter().find(|(known, _)| *known == key) {
        Some((_, why)) => Stranger::Known(ignored(key, why)),
        None => unknown(key, ours),
    }
}

/// A mistyped key of ours would silently do nothing, and a filter or a bound would be missing; a key of a stranger is only
/// in the wrong file.
fn unknown<'a>(key: &str, ours: impl Iterator<Item = &'a str> + Clone) -> Stranger {
    let shown = printable(key);
    match typo_of(key, ours.clone()) {
        Some(near) => Stranger::Mistake(format!("unknown key `{shown}`; did you mean `{near}`?")),
        None => {
            Stranger::Unknown(format!("`{shown}` is not a key of MCProxy and is ignored{}", did_you_mean(key, ours)))
        }
    }
}

fn ignored(key: &str, why: &str) -> String {
    format!("`{key}` is ignored: {why}")
}
