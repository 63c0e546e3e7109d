//! `auth.oauth`: whose tokens are accepted and what they are worth; and the workers that ask the issuers, which are run as servers that
//! are reached over the network, and that no client sees.

use std::collections::HashMap;

use mcproxy_ipc::{
    AuthoritySpec, HttpSpec, MAX_AUTHORITIES, Reach, ServerName, authority_name,
    control::{Group, IssuerSettings, OAuthSettings, ScopeGrant},
};
use url::{Host, Url};

use crate::auth;
use crate::dialect::Source;
use crate::hidden_server;
use crate::problem::printable;
use crate::raw::{RawIssuer, RawResourceServer, RawServer, RawToolView};
use crate::report::Report;
use crate::server::{self, ServerConfig};
use crate::tree::Node;

/// Requests to one authorization server at once.
const AT_ONCE: u64 = 16;
/// Most scopes. Each set of them that tokens have is one more view of all servers.
const MAX_SCOPES: usize = 64;
/// Longest scope, audience or issuer, in bytes.
const LONGEST: usize = 256;

/// The settings of `auth.oauth`; `node` is its value, `public_url` the value of `publicUrl` and its place.
pub(crate) fn check(
    raw: &RawResourceServer,
    public_url: (Option<&str>, &Node),
    node: &Node,
    (known, groups): (&HashMap<String, ServerName>, &[Group]),
    report: &mut Report,
) -> OAuthSettings {
    let start = |path: &[&str]| node.at(path).unwrap_or(node).span.start;
    let public_url = match public_url {
        (None, _) => {
            let message = "`auth.oauth` needs `publicUrl`: the URL under which clients reach MCProxy, such as \
                           `https://tools.example`; tokens are for it, and clients are told of it";
            report.add(node.span.start, message);
            String::new()
        }
        (Some(text), at) => match base_url(text) {
            Ok(url) => url,
            Err(message) => {
                if !at.lacks_text() {
                    report.add(at.span.start, format!("`publicUrl` {message}"));
                }
                String::new()
            }
        },
    };
    let issuers = issuers(&raw.issuers, node.get("issuers"), report);
    if let Some(long) = raw.audience.iter().find(|audience| !(1..=LONGEST).contains(&audience.len())) {
        let bytes = long.len();
        report.add(start(&["audience"]), format!("an audience has 1 to {LONGEST} bytes, and one of these has {bytes}"));
    }
    if raw.scopes.len() > MAX_SCOPES {
        report.add(start(&["scopes"]), format!("{} scopes are more than the {MAX_SCOPES} that fit", raw.scopes.len()));
    }
    let mut scopes = Vec::with_capacity(raw.scopes.len());
    for (scope, worth) in &raw.scopes {
        let at = node.at(&["scopes", scope]).unwrap_or(node);
        if !is_scope(scope) {
            report
                .add(at.span.start, "a scope is a word of 1 to 256 characters without spaces, quotes and backslashes");
        }
        let named = (worth.servers.as_ref(), worth.groups.as_ref(), worth.tools.as_ref());
        let access = auth::access(named, (RawToolView::List, worth.approve), at, (known, groups), report);
        scopes.push(ScopeGrant { scope: scope.clone(), access });
    }
    let unknown = raw.initial_scopes.iter().find(|scope| !raw.scopes.contains_key(*scope));
    if let Some(unknown) = unknown {
        let message = format!("`{}` is none of `scopes`", printable(unknown));
        report.add(start(&["initialScopes"]), message);
    }
    let initial_scopes = match raw.initial_scopes.is_empty() {
        true => raw.scopes.keys().cloned().collect(),
        false => raw.initial_scopes.clone(),
    };
    OAuthSettings {
        public_url,
        issuers,
        audiences: raw.audience.clone(),
        scopes,
        initial_scopes,
        principal_claim: raw.principal.clone(),
    }
}

fn issuers(raw: &[RawIssuer], node: Option<&Node>, report: &mut Report) -> Vec<IssuerSettings> {
    let mut issuers: Vec<IssuerSettings> = Vec::with_capacity(raw.len());
    let elements = node.map(Node::elements).unwrap_or_default();
    for (place, (raw, element)) in raw.iter().zip(elements).take(MAX_AUTHORITIES).enumerate() {
        let at = element.get("issuer").unwrap_or(element);
        if let Err(message) = issuer(&raw.issuer)
            && !at.lacks_text()
        {
            report.add(at.span.start, message);
        }
        if issuers.iter().any(|other| other.issuer == raw.issuer) {
            report.add(at.span.start, "the same issuer is there twice");
        }
        issuers.push(IssuerSettings {
            issuer: raw.issuer.clone(),
            worker: authority_name(place),
            introspects: raw.introspection.is_some(),
        });
    }
    issuers
}

/// The workers that ask the issuers; what is wrong with one blocks that and nothing else. `root` is the whole file.
pub(crate) fn workers(
    raw: &RawResourceServer,
    root: &Node,
    source: Source<'_>,
    report: &mut Report,
) -> Vec<ServerConfig> {
    let nodes = root.at(&["auth", "oauth", "issuers"]).map(Node::elements).unwrap_or_default();
    let of_place = |(place, (raw, node)): (usize, (&RawIssuer, &Node))| worker(place, raw, node, root, source, report);
    raw.issuers.iter().zip(nodes).take(MAX_AUTHORITIES).enumerate().map(of_place).collect()
}

fn worker(
    place: usize,
    raw: &RawIssuer,
    node: &Node,
    root: &Node,
    source: Source<'_>,
    report: &mut Report,
) -> ServerConfig {
    let mut own = Report::of_entry();
    let mut entry = RawServer::default();
    entry.remote.url = Some(raw.issuer.clone());
    entry.remote.tls.ca.clone_from(&raw.ca);
    entry.settings.limits.max_concurrent = AT_ONCE;
    if let Some(introspection) = &raw.introspection {
        // So it is counted and masked as that of a login is.
        entry.remote.oauth.client_id = Some(introspection.client_id.clone());
        entry.remote.oauth.client_secret = Some(introspection.client_secret.clone());
    }
    let server = server::build(authority_name(place), entry, node, None, &mut own);
    let reach = |mut http: HttpSpec| {
        let client = http.oauth.take().and_then(|oauth| oauth.client);
        let client = client.and_then(|(id, secret)| Some((id, secret?)));
        Reach::Authority(Box::new(AuthoritySpec { http, client }))
    };
    hidden_server::finish(server, reach, own, (root, source), report)
}

/// The URL without the slash at its end.
fn base_url(text: &str) -> Result<String, String> {
    let url = safe_url(text)?;
    if url.query().is_some() {
        return Err("must have no query".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether this can be the name of an authorization server.
fn issuer(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("the issuer is longer than {LONGEST} bytes"));
    }
    safe_url(text).map(|_| ()).map_err(|message| format!("the issuer {message}"))
}

/// A URL over TLS, or on this machine.
fn safe_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("is no URL ({error}); expected one such as `https://login.example/realms/main`"))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback) {
        return Err(
            "must begin with `https://`: tokens and keys are as safe as the way they come (plain `http://` is for \
                    loopback addresses only)"
                .to_owned(),
        );
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user, password or fragment".to_owned());
    }
    Ok(url)
}

/// RFC 6749 appendix A.4.
fn is_scope(text: &str) -> bool {
    let is_of_scope = |byte: u8| byte == b'!' || (b'#'..=b'[').contains(&byte) || (b']'..=b'~').contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_of_scope)
}

/// The host of `publicUrl` as a `Host` header has it, so that it need not be written again among `allowedHosts`.
pub(crate) fn host_of(public_url: &str) -> Option<String> {
    let url = Url::parse(public_url).ok()?;
    let host = url.host_str()?.to_ascii_lowercase();
    Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_over_tls_or_on_this_machine() {
        for (written, url) in [
            ("https://tools.example", "https://tools.example"),
            ("https://tools.example/", "https://tools.example"),
            ("https://Tools.Example:8443/mcproxy/", "https://tools.example:8443/mcproxy"),
            ("http://127.0.0.1:12009", "http://127.0.0.1:12009"),
            ("http://localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(base_url(written).as_deref(), Ok(url));
        }
        for bad in [
            "tools.example",
            "http://tools.example",
            "ftp://tools.example",
            "https://u:p@tools.example",
            "https://tools.example/#x",
            "https://tools.example/?x",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
        assert_eq!(host_of("https://tools.example:8443/x").as_deref(), Some("tools.example:8443"));
        assert_eq!(host_of("https://tools.example").as_deref(), Some("tools.example"));
    }

    #[test]
    fn a_scope_is_one_word() {
        assert!(is_scope("mcp:read") && is_scope("api://x/tools.read"));
        assert!(
            !is_scope("") && !is_scope("a b") && !is_scope("a\"b") && !is_scope("ä") && !is_scope(&"x".repeat(257))
        );
    }
}
