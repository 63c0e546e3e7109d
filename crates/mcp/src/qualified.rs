//! Names that are unique across servers: `{server}__{name}` for tools and prompts, `{server}+{uri}` for resources.
//! A server name holds no `__`, no `+` and no `_` at its ends, so each splits one way only.

/// Between server and name.
const NAME_SEPARATOR: &str = "__";
/// Between server and URI.
const URI_SEPARATOR: char = '+';
/// Hosts know user-interface resources by their scheme, so it stays in front: `ui://{server}+rest`.
const UI_SCHEME: &str = "ui://";

/// The name at the common endpoint of a server's tool or prompt.
pub fn qualify_name(server: &str, name: &str) -> String {
    [server, NAME_SEPARATOR, name].concat()
}

/// Server and own name of a qualified name.
pub fn split_name(qualified: &str) -> Option<(&str, &str)> {
    qualified.split_once(NAME_SEPARATOR).filter(|(server, name)| !server.is_empty() && !name.is_empty())
}

/// The URI at the common endpoint of a server's resource or template.
pub fn qualify_uri(server: &str, uri: &str) -> String {
    match uri.strip_prefix(UI_SCHEME) {
        Some(rest) => format!("{UI_SCHEME}{server}{URI_SEPARATOR}{rest}"),
        None => format!("{server}{URI_SEPARATOR}{uri}"),
    }
}

/// Server and own URI of a qualified URI.
pub fn split_uri(qualified: &str) -> Option<(&str, String)> {
    let (scheme, rest) = match qualified.strip_prefix(UI_SCHEME) {
        Some(rest) => (UI_SCHEME, rest),
        None => ("", qualified),
    };
    let (server, rest) = rest.split_once(URI_SEPARATOR)?;
    let plain = !server.is_empty() && server.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    plain.then(|| (server, format!("{scheme}{rest}")))
}

/// The id at the common endpoint of a server's task.
pub fn qualify_task(server: &str, id: &str) -> String {
    format!("{server}{URI_SEPARATOR}{id}")
}

/// Server and own id of a qualified id.
pub fn split_task(qualified: &str) -> Option<(&str, &str)> {
    qualified.split_once(URI_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_qualified_splits_back(server in "[a-z0-9-]{1,8}(_[a-z]{1,4})?", rest in "\\PC{1,20}") {
            let name = qualify_name(&server, &rest);
            // A tool that begins with `_` still splits at the first separator's own place.
            let (left, right) = split_name(&name).expect("splits");
            prop_assert_eq!(left, server.as_str());
            prop_assert_eq!(right, rest.as_str());
            let task = qualify_task(&server, &rest);
            prop_assert_eq!(split_task(&task), Some((server.as_str(), rest.as_str())));
            for uri in [rest.clone(), format!("ui://{rest}"), format!("file:///{rest}")] {
                let qualified = qualify_uri(&server, &uri);
                let (left, right) = split_uri(&qualified).expect("splits");
                prop_assert_eq!(left, server.as_str());
                prop_assert_eq!(right, uri);
            }
        }
    }

    #[test]
    fn a_foreign_uri_with_a_plus_has_no_server() {
        assert_eq!(split_uri("https://example.org/a+b"), None);
        assert_eq!(split_uri("file:///x"), None);
        assert_eq!(split_name("plain"), None);
    }
}
