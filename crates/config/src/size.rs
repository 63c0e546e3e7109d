//! The parts of the file that have to fit into a message between the processes. A control message is at most 1 MiB and carries,
//! besides the configuration, states and errors of all servers; what does not fit is a mistake in the file and not a broken
//! connection.

use mcproxy_ipc::{
    ServerApprovals, ServerRates, ToolRules,
    control::{GatewaySettings, Group, OAuthSettings, TokenAccess, TokenHash},
};

use crate::raw::{RawSandbox, RawSandboxObject, RawServer};
use crate::server;

/// The most servers.
pub const MAX_SERVERS: usize = 1000;
/// The most bytes of one server's command, arguments, environment and tool rules together.
pub const MAX_SERVER_BYTES: usize = 256 * 1024;
/// The most bytes of the tool rules of all servers together.
pub const MAX_RULES_BYTES: usize = 512 * 1024;
/// The most bytes of groups, hosts, origins and tokens with what they may use together.
pub const MAX_GATEWAY_BYTES: usize = 512 * 1024;

/// A text and its length, as a message's reader counts them against the limit.
fn text(text: &str) -> usize {
    text.len() + 8
}

/// Of one server, with its variables replaced.
pub(crate) fn of_server(raw: &RawServer, rules: &ToolRules) -> usize {
    let sandbox = match &raw.settings.sandbox {
        Some(RawSandbox::Object(RawSandboxObject { read, write, deny, .. })) => {
            read.iter().flatten().chain(write).chain(deny).map(|path| text(path)).sum()
        }
        Some(RawSandbox::Word(_)) | None => 0,
    };
    server::texts(raw).map(text).sum::<usize>() + sandbox + of_rules(rules)
}

/// Of one server's tool rules.
pub(crate) fn of_rules(rules: &ToolRules) -> usize {
    let patterns = rules.allow.iter().chain(&rules.deny).map(|pattern| text(pattern));
    let pairs = rules.rename.iter().chain(&rules.describe).chain(&rules.title);
    let pairs = pairs.map(|(tool, new)| text(tool) + text(new));
    let annotations = rules.annotations.iter().map(|(tool, new)| {
        const HINTS: usize = 8;
        text(tool) + text(new.title.as_deref().unwrap_or_default()) + HINTS
    });
    patterns.chain(pairs).chain(annotations).sum()
}

/// Of one server's rates.
pub(crate) fn of_rates(rates: &ServerRates) -> usize {
    // The interval and two numbers.
    const RATE: usize = 32;
    rates.tools.iter().map(|(pattern, _)| text(pattern) + RATE).sum()
}

/// Of one server's approvals.
pub(crate) fn of_approvals(approvals: &ServerApprovals) -> usize {
    // The mode.
    const MODE: usize = 4;
    approvals.tools.iter().map(|(pattern, _)| text(pattern) + MODE).sum()
}

/// Of what only the gateway is told.
pub(crate) fn of_gateway(settings: &GatewaySettings) -> usize {
    // Its hash, when it expires, its view and its rate.
    const HASH: usize = 96;
    let token = |token: &TokenHash| text(&token.name) + HASH + of_access(&token.access);
    let tokens: usize = settings.tokens.iter().flatten().map(token).sum();
    let oauth: usize = settings.oauth.iter().map(of_oauth).sum();
    let names = settings.allowed_hosts.iter().chain(&settings.allowed_origins).map(|name| text(name));
    // An address and its length, with their tags.
    const NETWORK: usize = 24;
    let proxies = settings.trusted_proxies.len() * NETWORK;
    let group = |group: &Group| {
        let servers = group.servers.iter().map(|name| name.as_str());
        let paths = group.paths.iter().map(String::as_str);
        text(&group.name) + servers.chain(paths).map(text).sum::<usize>() + of_rules(&group.tools)
    };
    let forwarded = settings
        .forwarding
        .iter()
        .map(|of| text(of.server.as_str()) + of.headers.iter().map(|name| text(name)).sum::<usize>());
    let redacted =
        settings.audit.iter().flat_map(|audit| audit.arguments.iter().flatten()).map(|pointer| text(pointer));
    redacted.sum::<usize>()
        + forwarded.sum::<usize>()
        + tokens
        + oauth
        + names.sum::<usize>()
        + proxies
        + settings.groups.iter().map(group).sum::<usize>()
}

fn of_access(access: &TokenAccess) -> usize {
    let TokenAccess { servers, groups, tools, .. } = access;
    let servers = servers.iter().flatten().map(|name| name.as_str());
    servers.chain(groups.iter().chain(tools).flatten().map(String::as_str)).map(text).sum()
}

fn of_oauth(oauth: &OAuthSettings) -> usize {
    let issuers = oauth.issuers.iter().flat_map(|of| [of.issuer.as_str(), of.worker.as_str()]);
    let texts = oauth.audiences.iter().chain(&oauth.initial_scopes).map(String::as_str).chain(issuers);
    let scopes = oauth.scopes.iter().map(|of| text(&of.scope) + of_access(&of.access));
    text(&oauth.public_url) + text(&oauth.principal_claim) + texts.map(text).sum::<usize>() + scopes.sum::<usize>()
}

/// The complaint, if it is too much.
pub(crate) fn complaint(what: &str, bytes: usize, most: usize) -> Option<String> {
    (bytes > most).then(|| format!("{what} take {bytes} bytes, more than the {most} that fit"))
}
