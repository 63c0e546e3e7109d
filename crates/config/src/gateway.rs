//! The settings of the gateway in the file, checked.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use mcproxy_ipc::{
    LogLevel, Reach,
    control::{ConnectionLimits, GatewaySettings, HeaderForwarding, PinPolicy},
};

use crate::raw::{RawAuth, RawCallLevel, RawGateway, RawGatewayLimits, RawLevel, RawPins};
use crate::report::Report;
use crate::server::ServerConfig;
use crate::servers::ServerEntries;
use crate::tree::{Node, TreeValue};
use crate::{approvals, audit, auth, groups, rate, resource_server};

/// Bytes that the gateway holds in all unless the file says otherwise.
const TOTAL_BUFFERED: usize = 128 << 20;
/// How many messages of the largest size fit into what it holds: a call is there as its body and as what is sent on, and so is its
/// answer.
const MESSAGES_BUFFERED: usize = 4;

/// The settings of the gateway, but for those that the file does not know: the level that counts where a flag names another one,
/// and the directory of the catalogues. `root` is the whole tree; `servers` holds all servers of the file, and by the names that
/// it uses for them.
pub(crate) fn check(raw: RawGateway, root: &Node, servers: &ServerEntries, report: &mut Report) -> GatewaySettings {
    let nothing = Node { span: 0..0, value: TreeValue::Null };
    let node = |key: &str| root.get(key).unwrap_or(&nothing);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut allowed_hosts = texts(raw.allowed_hosts, node("allowedHosts"), host, report);
    let allowed_origins = texts(raw.allowed_origins, node("allowedOrigins"), origin, report);
    let trusted_proxies = networks(&raw.trusted_proxies, node("trustedProxies"), report);
    let groups = groups::check(&raw.groups, node("groups"), &servers.known, report);
    let tokens = auth::check(raw.auth.as_ref(), node("auth"), &servers.known, &groups, report);
    let oauth = match &raw.auth {
        Some(RawAuth::Tokens(tokens)) => tokens.oauth.as_ref(),
        Some(RawAuth::Mode(_)) | None => None,
    };
    let oauth = oauth.map(|oauth| {
        let at = node("auth").get("oauth").unwrap_or(&nothing);
        let public_url = (raw.public_url.as_deref(), node("publicUrl"));
        resource_server::check(oauth, public_url, at, (&servers.known, &groups), report)
    });
    allowed_hosts.extend(oauth.as_ref().and_then(|oauth| resource_server::host_of(&oauth.public_url)));
    let audit = raw.audit.as_ref().map(|raw| audit::terms(raw, node("audit"), report));
    let limits = raw.limits;
    let total_buffered = total_buffered(&limits, &servers.list, node("limits"), report);
    GatewaySettings {
        list_wait: Duration::from_secs_f64(raw.list_wait),
        list_ttl_ms: raw.list_ttl_ms,
        ui: raw.ui,
        tokens,
        oauth,
        query_key: matches!(&raw.auth, Some(RawAuth::Tokens(tokens)) if tokens.query_key),
        allowed_hosts,
        allowed_origins,
        trusted_proxies,
        groups,
        forwarding: forwarding(&servers.list),
        pinned: raw.search.pin,
        search_timeout: Duration::from_secs_f64(raw.search.timeout),
        max_body_bytes: size(limits.max_body),
        max_sessions: size(limits.max_sessions),
        max_sessions_per_token: size(limits.max_sessions_per_token),
        session_idle: Duration::from_secs_f64(limits.session_idle),
        replay_events: size(limits.replay_events),
        replay_bytes: size(limits.replay_bytes),
        replay_total: size(limits.replay_total),
        total_buffered,
        stream_time: (limits.stream_time > 0.0).then(|| Duration::from_secs_f64(limits.stream_time)),
        max_calls: size(limits.max_calls),
        max_depth: size(limits.max_depth),
        connections: connection_limits(&limits),
        log_level: level(raw.logging.level),
        log_calls: match raw.logging.calls {
            RawCallLevel::Off => None,
            RawCallLevel::Debug => Some(LogLevel::Debug),
            RawCallLevel::Info => Some(LogLevel::Info),
        },
        pins: match raw.pins {
            RawPins::Off => PinPolicy::Off,
            RawPins::Alert => PinPolicy::Alert,
            RawPins::Hold => PinPolicy::Hold,
        },
        audit,
        anonymous_rate: limits.rate.as_ref().map(rate::of),
        approvals: approvals::terms(&raw.approvals),
    }
}

fn forwarding(servers: &[ServerConfig]) -> Vec<HeaderForwarding> {
    let of_server = |server: &ServerConfig| match &server.reach {
        Ok(Reach::Http(http)) if !http.forward_headers.is_empty() => {
            Some(HeaderForwarding { server: server.name.clone(), headers: http.forward_headers.clone() })
        }
        _ => None,
    };
    servers.iter().filter_map(of_server).collect()
}

fn level(raw: RawLevel) -> LogLevel {
    match raw {
        RawLevel::Error => LogLevel::Error,
        RawLevel::Warn => LogLevel::Warn,
        RawLevel::Info => LogLevel::Info,
        RawLevel::Debug => LogLevel::Debug,
        RawLevel::Trace => LogLevel::Trace,
    }
}

/// Bytes that may be held in all: enough for the largest message on each of its ways.
fn total_buffered(raw: &RawGatewayLimits, servers: &[ServerConfig], node: &Node, report: &mut Report) -> usize {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let lines = servers.iter().map(|server| (server.limits.line_bytes, format!("limits.maxLine of `{}`", server.name)));
    let (message, of) =
        lines.fold(
            (size(raw.max_body), "limits.maxBody".to_owned()),
            |largest, line| {
                if line.0 > largest.0 { line } else { largest }
            },
        );
    let least = message.saturating_mul(MESSAGES_BUFFERED);
    match raw.total_buffered.map(size) {
        None => TOTAL_BUFFERED.max(least),
        Some(total) => {
            if total < least {
                let at = node.get("totalBuffered").map_or(node.span.start, |node| node.span.start);
                report.add(at, format!("{total} bytes are less than {MESSAGES_BUFFERED} times {of}, which is {least}"));
            }
            total
        }
    }
}

fn connection_limits(raw: &RawGatewayLimits) -> ConnectionLimits {
    ConnectionLimits {
        at_once: usize::try_from(raw.max_connections).unwrap_or(usize::MAX),
        head_timeout: Duration::from_secs_f64(raw.header_timeout),
        body_timeout: Duration::from_secs_f64(raw.body_timeout),
        body_rate: raw.min_body_rate,
        stall_timeout: Duration::from_secs_f64(raw.stall_timeout),
    }
}

fn texts(
    raw: Vec<String>,
    node: &Node,
    check: fn(&str) -> Result<(), &'static str>,
    report: &mut Report,
) -> Vec<String> {
    let lower: Vec<String> = raw.into_iter().map(|text| text.trim_end_matches('/').to_ascii_lowercase()).collect();
    for (text, element) in lower.iter().zip(node.elements()) {
        if !element.lacks_text()
            && let Err(message) = check(text)
        {
            report.add(element.span.start, message);
        }
    }
    lower
}

/// Most networks of proxies.
const MAX_PROXIES: usize = 64;

fn networks(raw: &[String], node: &Node, report: &mut Report) -> Vec<IpNet> {
    if raw.len() > MAX_PROXIES {
        report.add(node.span.start, format!("{} proxies are more than {MAX_PROXIES}; name networks", raw.len()));
    }
    let mut found = Vec::new();
    for (text, element) in raw.iter().zip(node.elements()) {
        match network(text) {
            Some(network) => found.push(network),
            None if element.lacks_text() => {}
            None => report.add(
                element.span.start,
                "expected an address or a network, such as `10.0.0.7`, `10.0.0.0/8` or `fd00::/8`",
            ),
        }
    }
    found
}

/// An address or a network. One that holds every address would let any client say where it is.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    (network.prefix_len() > 0).then_some(network)
}

fn host(text: &str) -> Result<(), &'static str> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    if name.is_empty() || !name.chars().all(fits) || !port_fits {
        return Err("expected a host name, with or without a port, such as `tools.example` or `tools.example:8080`");
    }
    Ok(())
}

fn origin(text: &str) -> Result<(), &'static str> {
    match text.split_once("://") {
        Some((scheme, rest)) if !scheme.is_empty() && host(rest).is_ok() => Ok(()),
        _ => Err("expected an origin: scheme and host without a path, such as `https://tools.example`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_address_or_a_network_that_is_not_everything() {
        for good in ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"] {
            assert!(network(good).is_some(), "{good}");
        }
        for bad in ["", "0.0.0.0/0", "::/0", "10.0.0.0/33", "proxy.example", "10.0.0", "[::1]", "127.0.0.1:80"] {
            assert!(network(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hosts_and_origins_are_told_from_urls() {
        for good in ["tools.example", "tools.example:8080", "[::1]", "[::1]:80", "box"] {
            assert_eq!(host(good), Ok(()), "{good}");
        }
        for bad in ["", "https://tools.example", "tools.example/x", "a b", "*", "x:99999"] {
            assert!(host(bad).is_err(), "{bad}");
        }
        assert_eq!(origin("https://tools.example:8443"), Ok(()));
        assert!(origin("tools.example").is_err());
        assert!(origin("https://tools.example/path").is_err());
    }
}
