//! The path of a request as routes are looked up with it: clients and reverse proxies write the same one in several ways.

use actix_web::http::{Uri, uri::PathAndQuery};

/// The target with its path in that form; `None`: it has it already.
pub(super) fn routed(target: &Uri) -> Option<Uri> {
    let path = routed_path(target.path())?;
    let path = match target.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = target.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// The path without slashes that are doubled or at the end, and without percent-encoding where none is needed (RFC 3986 §6.2.2.2).
/// Dots stay: no client has a reason to send `..`.
fn routed_path(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let is_plain = !bytes.contains(&b'%') && !path.contains("//") && (path.len() <= 1 || !path.ends_with('/'));
    if is_plain || !path.starts_with('/') {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let (letter, length) = match unreserved(rest) {
            Some(letter) => (letter, 3),
            None => (first, first.len_utf8()),
        };
        if letter != '/' || !out.ends_with('/') {
            out.push(letter);
        }
        rest = &rest[length..];
    }
    if out.len() > 1 && out.ends_with('/') {
        out.pop();
    }
    Some(out)
}

/// The character at the beginning, if it is encoded and would not have to be (RFC 3986 §2.3).
fn unreserved(text: &str) -> Option<char> {
    let digits = text.strip_prefix('%')?.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let letter = char::from(u8::from_str_radix(digits, 16).ok()?);
    (letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '~')).then_some(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_path_is_written_in_many_ways() {
        for (written, path) in [
            ("/mcp/", "/mcp"),
            ("//mcp", "/mcp"),
            ("/mcp//", "/mcp"),
            ("/servers//a/mcp/", "/servers/a/mcp"),
            ("/%6dcp", "/mcp"),
            ("/servers/my%2Dserver/mcp", "/servers/my-server/mcp"),
            ("/servers/a%2Fb/mcp", "/servers/a%2Fb/mcp"),
            ("/servers/..%2Fa/", "/servers/..%2Fa"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz/", "/%zz"),
            ("//", "/"),
        ] {
            assert_eq!(routed_path(written).as_deref(), Some(path), "{written}");
        }
        for plain in ["/", "/mcp", "/servers/a/mcp", "*", ""] {
            assert_eq!(routed_path(plain), None, "{plain}");
        }
    }

    #[test]
    fn all_but_the_path_stays() {
        for (written, target) in [
            ("/sse/?session_id=a/b//", "/sse?session_id=a/b//"),
            ("http://localhost:80/mcp/", "http://localhost:80/mcp"),
            ("//healthz?", "/healthz?"),
        ] {
            let written: Uri = written.parse().expect("a target");
            assert_eq!(routed(&written).map(|target| target.to_string()).as_deref(), Some(target));
        }
        assert_eq!(routed(&"/mcp?x=%41".parse().expect("a target")), None);
    }

    proptest! {
        #[test]
        fn a_path_in_that_form_is_left_alone(path in "(/|[a-z.%~é]|%[0-9a-f]{2}){0,20}") {
            if let Some(once) = routed_path(&path) {
                prop_assert!(routed_path(&once).is_none_or(|twice| twice == once), "{once}");
                prop_assert!(once.starts_with('/') && !once.contains("//"));
            }
        }
    }
}
