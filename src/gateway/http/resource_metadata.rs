//! What is said of the endpoints to clients that look for their authorization server (RFC 9728). Without `auth.oauth` there is no such
//! answer at all: some clients log in as soon as there is one, whatever they were configured with.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, Uri, header},
};

use super::{Shared, not_found, path};
use crate::gateway::base::oauth::resource;

/// For so long, in seconds, an answer may be used again.
const MAX_AGE: &str = "max-age=300";

/// `GET /.well-known/oauth-protected-resource/…`
pub(super) async fn get(request: HttpRequest, method: Method, Shared(gateway): Shared) -> HttpResponse {
    let settings = gateway.settings();
    let described = settings.oauth.as_ref().and_then(|oauth| {
        let described = resource::described(oauth, request.path())?;
        let target = described.parse::<Uri>().ok();
        let canonical = target.as_ref().and_then(|target| path::in_group(target, &settings.groups));
        let is_ours = described.is_empty() || is_endpoint(canonical.as_ref().map_or(described, |target| target.path()));
        is_ours.then(|| resource::metadata(oauth, described))
    });
    match described {
        Some(metadata) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, MAX_AGE)).json(metadata),
        None => not_found(method).await,
    }
}

/// Whether a path is of the form of an endpoint's. Whether there is such a server or group is said to nobody without a token.
fn is_endpoint(path: &str) -> bool {
    let Some(prefix) = path.strip_suffix("/mcp").or_else(|| path.strip_suffix("/sse")) else { return false };
    let parts: Vec<&str> = prefix.split('/').skip(1).collect();
    match parts.as_slice() {
        [] | ["search"] => true,
        ["servers" | "groups", name] | ["groups", name, "search"] => !name.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_told_by_their_form() {
        for endpoint in ["/mcp", "/sse", "/search/mcp", "/servers/a/mcp", "/groups/g/sse", "/groups/g/search/mcp"] {
            assert!(is_endpoint(endpoint), "{endpoint}");
        }
        for other in ["", "/", "/mcp/x", "/servers//mcp", "/servers/a/b/mcp", "/health", "/messages", "mcp"] {
            assert!(!is_endpoint(other), "{other}");
        }
    }
}
