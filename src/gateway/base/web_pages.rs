//! Which pages servers may ask users to visit (elicitation of mode `url`): those of the web. A client hands the URL to whatever
//! its machine opens such URLs with, and `file:`, `javascript:` or an application's own scheme do more there than show a page.

use std::fmt;

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ErrorObject, RawObject, RawValue, method, required_elicitations};
use memchr::memmem;

/// The member by which a server of the legacy era names a page that it wants visited; 2026-07-28 has no such name.
pub(crate) const PAGE_ID: &str = "elicitationId";
/// Longest part of a URL that is shown for what it is.
const SHOWN: usize = 40;

/// The refused page: the beginning of a URL without control characters, up to its first colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoWebPage(String);

impl NoWebPage {
    fn of(url: &str) -> Self {
        let scheme = url.split_inclusive(':').next().unwrap_or_default();
        Self(scheme.chars().filter(|c| !c.is_control()).take(SHOWN).collect())
    }

    /// The answer to a call that asks for it.
    pub(crate) fn to_error(&self, server: &str) -> ErrorObject {
        let message = format!("server `{server}` asks its user to visit a page, and {self}");
        ErrorObject::about_server(ErrorCode::INTERNAL_ERROR, message, server, "no_web_page")
    }
}

impl fmt::Display for NoWebPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "only http and https URLs are passed on, not {:?}", self.0)
    }
}

/// Whether a URL is one of the web: `http` or `https`, and a host.
fn is_of_the_web(url: &str) -> bool {
    let rest = ["https://", "http://"].into_iter().find_map(|scheme| {
        let begins = url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
        begins.then(|| &url[scheme.len()..])
    });
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with(['/', '?', '#', '\\']) && !url.contains(char::is_control)
    })
}

/// The defect of the page of an `elicitation/create`, or of one element of the list in an error; `None`: it has none, or it is
/// no page. `unnamed`: what names no mode is one.
fn of_params(params: &RawObject<'_>, unnamed: bool) -> Option<NoWebPage> {
    if !params.get_string("mode").map_or(unnamed, |mode| mode == "url") {
        return None;
    }
    let url = params.get_string("url").unwrap_or_default();
    (!is_of_the_web(&url)).then(|| NoWebPage::of(&url))
}

/// The defect of the page that one request of a server wants visited.
pub(crate) fn of_request(method: &str, params: &str) -> Option<NoWebPage> {
    let params = RawObject::from_text(params).ok().filter(|_| method == method::ELICITATION)?;
    of_params(&params, false)
}

/// The same of all `inputRequests` in an object: what a call needs first, or a task (2026-07-28).
pub(crate) fn of_input_requests(object: &[u8]) -> Option<NoWebPage> {
    memmem::find(object, b"inputRequests")?;
    let object = RawObject::from_slice(object).ok()?;
    let requests = object.get_object("inputRequests")?;
    requests.iter().find_map(|(_, raw)| {
        let request = RawObject::from_raw(raw).ok()?;
        of_request(&request.get_string("method")?, request.get("params").map_or("{}", RawValue::get))
    })
}

/// The same of an error that wants pages visited before the call is made again (2025-11-25, URL elicitation required).
pub(crate) fn of_error(error: &Bytes) -> Option<NoWebPage> {
    required_elicitations(error).into_iter().find_map(|page| of_params(&RawObject::from_raw(page).ok()?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_web_may_be_visited() {
        for url in ["https://example.org/x?y#z", "HTTP://EXAMPLE.org", "http://127.0.0.1:8080/", "https://[::1]/"] {
            assert!(is_of_the_web(url), "{url}");
        }
        for url in [
            "",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "vscode://x",
            "https:",
            "https://",
            "https:///x",
            "http:\\\\x",
            " https://example.org",
            "java\nscript:x",
            "https://a\nb",
            "//example.org",
            "httpx://a",
            "ms-settings:",
            "example.org",
        ] {
            assert!(!is_of_the_web(url), "{url:?}");
        }
    }

    #[test]
    fn a_page_is_found_wherever_a_server_puts_it() {
        let page = |url: &str| format!(r#"{{"mode":"url","url":"{url}","message":"m"}}"#);
        let (good, bad) = (page("https://example.org"), page("file:///x"));
        assert_eq!(of_request(method::ELICITATION, &good), None);
        assert_eq!(of_request(method::ELICITATION, &bad), Some(NoWebPage("file:".to_owned())));
        assert!(of_request(method::ELICITATION, r#"{"mode":"url"}"#).is_some(), "none at all");
        assert_eq!(of_request(method::ELICITATION, r#"{"message":"m","url":"file:///x"}"#), None, "a form");
        let need = |page: &str| {
            format!(
                r#"{{"inputRequests":{{"a":{{"method":"roots/list"}},"b":{{"method":"elicitation/create","params":{page}}}}}}}"#
            )
        };
        assert!(
            of_input_requests(need(&good).as_bytes()).is_none() && of_input_requests(need(&bad).as_bytes()).is_some()
        );
        let error =
            |page: &str| Bytes::from(format!(r#"{{"code":-32042,"message":"m","data":{{"elicitations":[{page}]}}}}"#));
        assert!(of_error(&error(&good)).is_none() && of_error(&error(&bad)).is_some());
        assert!(of_error(&error(r#"{"url":"file:///x"}"#)).is_some(), "of that list everything is a page");
        assert!(of_error(&Bytes::from_static(br#"{"code":-32603,"data":{"elicitations":[{"url":"x:"}]}}"#)).is_none());
    }

    #[test]
    fn what_is_said_of_it_is_short_and_plain() {
        let said = NoWebPage::of("\u{1b}[31mevil:payload").to_string();
        assert!(said.contains("[31mevil:") && !said.contains('\u{1b}') && !said.contains("payload"), "{said}");
    }
}
