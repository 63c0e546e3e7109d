//! The path of a request as routes are looked up with it: clients and reverse proxies write the same one in several ways.

use actix_web::http::{Uri, uri::PathAndQuery};
use mcproxy_ipc::control::Group;

/// The target with its path in that form; `None`: it has it already.
pub(super) fn routed(target: &Uri) -> Option<Uri> {
    with_path(target, routed_path(target.path())?)
}

fn with_path(target: &Uri, path: String) -> Option<Uri> {
    let path = match target.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = target.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// The target with the path that a group has under its name, in the place of one at which it is served, too (`paths` of a group);
/// `None`: no group is served there.
pub(super) fn in_group(target: &Uri, groups: &[Group]) -> Option<Uri> {
    let path = target.path();
    let served = |group: &Group, prefix: &String| {
        let endpoint = match path.strip_prefix(prefix.as_str())? {
            rest @ ("" | "/mcp" | "/sse" | "/messages") => rest,
            rest @ ("/search" | "/search/mcp" | "/search/sse" | "/search/messages") => rest,
            // As some gateways call it.
            "/message" => "/messages",
            _ => return None,
        };
        Some(format!("/groups/{}{endpoint}", group.name))
    };
    let path = groups.iter().find_map(|group| group.paths.iter().find_map(|prefix| served(group, prefix)))?;
    with_path(target, path)
}

/// The path without slashes that are doubled or at the end, and without percent-encoding where none is needed (RFC 3986 §6.2.2.2).
/// Dots stay: no client has a reason to send `..`.
fn routed_path(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let is_plain = !bytes.contains(&b'%') && !path.contains("//") && (path.len() <= 1 || !path.ends_with('/'));
    // From its slash the references of the web page start.
    if is_plain || !path.starts_with('/') || path == "/ui/" {
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
    use mcproxy_ipc::{ToolRules, control::ToolView};
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
        for plain in ["/", "/mcp", "/servers/a/mcp", "/ui/", "*", ""] {
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

    #[test]
    fn a_group_is_served_at_its_further_paths() {
        let group = |name: &str, paths: &[&str]| Group {
            name: name.into(),
            servers: Vec::new(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            tools: ToolRules::default(),
            is_open: false,
            view: ToolView::List,
            approve: mcproxy_ipc::ApprovalMode::Never,
        };
        let groups = [group("a", &[]), group("home", &["/metamcp/my__home", "/x"]), group("b", &["/metamcp/b"])];
        let target = |written: &'static str| in_group(&Uri::from_static(written), &groups).map(|to| to.to_string());
        for (written, to) in [
            ("/metamcp/my__home/mcp", "/groups/home/mcp"),
            ("/metamcp/my__home/sse?api_key=k", "/groups/home/sse?api_key=k"),
            ("/metamcp/my__home/message?session_id=s", "/groups/home/messages?session_id=s"),
            ("/metamcp/my__home?session_id=s", "/groups/home?session_id=s"),
            ("/x/messages", "/groups/home/messages"),
            ("/metamcp/b/mcp", "/groups/b/mcp"),
            ("http://localhost/x/mcp", "http://localhost/groups/home/mcp"),
        ] {
            assert_eq!(target(written).as_deref(), Some(to), "{written}");
        }
        for other in
            ["/mcp", "/metamcp/a/mcp", "/metamcp/my__home/api", "/x/mcp/y", "/xy/mcp", "/metamcp/my__home/", "/"]
        {
            assert_eq!(target(other), None, "{other}");
        }
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
