//! Which requests are for the page, and which of those the page itself makes. Pure.

use actix_web::http::{Method, header::HeaderMap};

use crate::gateway::base::own_page::{self, MARK, NotOurPage, PageHeaders};

/// Below it is what the page reads and acts through.
const INTERFACE: &str = "/ui/api";

/// Whether a path is of the interface.
pub(in crate::gateway::http) fn is_interface(path: &str) -> bool {
    path.strip_prefix(INTERFACE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a request is for a file of the page, or for the way there: those are the same for everyone and need no credentials.
pub(in crate::gateway::http) fn is_file(method: &Method, path: &str) -> bool {
    let reads = *method == Method::GET || *method == Method::HEAD;
    reads && (path == "/" || path == "/ui" || (path.starts_with("/ui/") && !is_interface(path)))
}

/// Whether the page made a request for the interface.
pub(in crate::gateway::http) fn is_of_our_page(headers: &HeaderMap) -> Result<(), NotOurPage> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    own_page::check(PageHeaders {
        mark: text(MARK),
        site: text("sec-fetch-site"),
        origin: text("origin"),
        host: text("host"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_for_everyone_and_the_interface_is_not() {
        for path in ["/", "/ui", "/ui/", "/ui/app/main.js", "/ui/apis"] {
            assert!(is_file(&Method::GET, path) && !is_file(&Method::POST, path), "{path}");
        }
        for path in ["/ui/api", "/ui/api/", "/ui/api/act", "/mcp", "/uix", "/health"] {
            assert!(!is_file(&Method::GET, path), "{path}");
        }
        assert!(is_interface("/ui/api") && is_interface("/ui/api/state") && !is_interface("/ui/apis"));
    }
}
