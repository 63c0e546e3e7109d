//! The endpoints as resources of OAuth: how they are called, where what MCProxy says of them is (RFC 9728), and how a client is told
//! (RFC 6750, RFC 9728 section 5.1). Pure.

use std::fmt::Write as _;

use mcproxy_ipc::control::OAuthSettings;
use serde_json::{Value, json};

/// Where the metadata of resources is: the path of a resource follows.
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";
/// Below this there is nothing but what is said to everybody.
pub(crate) const WELL_KNOWN: &str = "/.well-known/";

/// What the paths of one endpoint end in.
const ENDS: [&str; 4] = ["/mcp", "/sse", "/messages", "/message"];

/// The path of the endpoint that a path belongs to: without what says which transport it is for.
pub(crate) fn endpoint_path(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    ENDS.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path)
}

/// The path of the resource that a request is for. `None`: for none of its own.
fn resource_path(path: &str) -> Option<String> {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte));
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        _ if !is_plain => None,
        Some((_, "mcp" | "sse")) => Some(path.to_owned()),
        // The messages of a stream are of the resource that the stream is.
        Some((endpoint, "messages" | "message")) => Some(format!("{endpoint}/sse")),
        _ => None,
    }
}

/// What a challenge says besides an error: where to learn how to get a token for a request to this path, and which scopes to ask for.
pub(crate) fn hint(settings: &OAuthSettings, path: &str, scopes: &str) -> String {
    let mut hint =
        format!(r#"resource_metadata="{}""#, metadata_url(settings, &resource_path(path).unwrap_or_default()));
    if !scopes.is_empty() {
        let _ = write!(hint, r#", scope="{scopes}""#); // a String takes everything
    }
    hint
}

/// Where the metadata of the resource at this path is, for clients: the path of the public URL comes after the well-known part, too.
fn metadata_url(settings: &OAuthSettings, path: &str) -> String {
    let (origin, base) = split(&settings.public_url);
    format!("{origin}{METADATA}{base}{path}")
}

/// The path of the resource whose metadata is asked for at this path; `None`: it is no metadata of ours. A reverse proxy may have left
/// the path of the public URL in, or taken it out.
pub(crate) fn described<'p>(settings: &OAuthSettings, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(METADATA)?;
    let (_, base) = split(&settings.public_url);
    let rest = rest.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(rest);
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// What is said of the resource at this path.
pub(crate) fn metadata(settings: &OAuthSettings, path: &str) -> Value {
    let issuers: Vec<&str> = settings.issuers.iter().map(|of| of.issuer.as_str()).collect();
    let mut metadata = json!({
        "resource": format!("{}{path}", settings.public_url),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "resource_name": "MCProxy",
    });
    // All that there are (RFC 9728 section 2): which of them to ask for, a challenge says.
    let scopes: Vec<&str> = settings.scopes.iter().map(|of| of.scope.as_str()).collect();
    if !scopes.is_empty() {
        metadata["scopes_supported"] = json!(scopes);
    }
    metadata
}

/// The origin and the path of a URL that ends in no slash.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url[host..].find('/').map_or(url.len(), |at| host + at);
    url.split_at(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(public_url: &str) -> OAuthSettings {
        OAuthSettings {
            public_url: public_url.to_owned(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            scopes: Vec::new(),
            initial_scopes: vec!["a".to_owned(), "b".to_owned()],
            principal_claim: "sub".to_owned(),
        }
    }

    #[test]
    fn each_endpoint_has_metadata_at_the_path_that_rfc_9728_says() {
        let (plain, based) = (settings("https://r"), settings("https://r:8443/base"));
        for (path, url) in [
            ("/mcp", "https://r/.well-known/oauth-protected-resource/mcp"),
            ("/servers/x/mcp/", "https://r/.well-known/oauth-protected-resource/servers/x/mcp"),
            ("/groups/g/messages", "https://r/.well-known/oauth-protected-resource/groups/g/sse"),
            ("/health", "https://r/.well-known/oauth-protected-resource"),
            ("/\"x\"/mcp", "https://r/.well-known/oauth-protected-resource"),
            ("/", "https://r/.well-known/oauth-protected-resource"),
        ] {
            assert_eq!(hint(&plain, path, "a b"), format!(r#"resource_metadata="{url}", scope="a b""#), "{path}");
        }
        let url = r#"resource_metadata="https://r:8443/.well-known/oauth-protected-resource/base/mcp""#;
        assert_eq!(hint(&based, "/mcp", ""), url);
        for path in ["/mcp", "/base/mcp"] {
            assert_eq!(described(&based, &format!("{METADATA}{path}")), Some("/mcp"));
        }
        assert_eq!(described(&based, METADATA), Some(""));
        assert_eq!(described(&based, &format!("{METADATA}/basement/mcp")), Some("/basement/mcp"));
        assert_eq!(described(&based, "/.well-known/oauth-protected-resources"), None);
        assert_eq!(metadata(&based, "/mcp")["resource"], "https://r:8443/base/mcp");
    }

    #[test]
    fn the_paths_of_one_endpoint_are_one() {
        for (path, endpoint) in [
            ("/mcp", ""),
            ("/sse", ""),
            ("/messages", ""),
            ("/", ""),
            ("", ""),
            ("/servers/mcp/mcp", "/servers/mcp"),
            ("/groups/g/search/sse", "/groups/g/search"),
            ("/health", "/health"),
        ] {
            assert_eq!(endpoint_path(path), endpoint, "{path}");
        }
    }
}
