//! Names and URIs at the common endpoint, and the names of servers.

use mcproxy_ipc::ServerName;
use mcproxy_mcp::{is_uri, json_string, qualify_name, qualify_template, qualify_uri, split_name, split_uri};

/// Up to the first line end a server's name, the rest is a name or URI of its own.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (server, own) = text.split_once('\n').unwrap_or((text, ""));
    // What clients send splits somehow or not at all.
    for foreign in [text, server, own] {
        let _ = (split_name(foreign), split_uri(foreign));
        let quoted = json_string(foreign);
        assert_eq!(serde_json::from_str::<String>(quoted.get()).expect("a JSON string"), foreign);
    }
    let Ok(name) = ServerName::try_from(server) else { return };
    assert!(!name.as_str().contains("__") && !name.as_str().contains('+'));
    if !own.is_empty() {
        assert_eq!(split_name(&qualify_name(name.as_str(), own)), Some((name.as_str(), own)));
        let uri = qualify_uri(name.as_str(), own);
        assert!(is_uri(&uri) && url::Url::parse(&uri).is_ok(), "{uri}");
        for qualified in [uri, qualify_template(name.as_str(), own)] {
            assert_eq!(split_uri(&qualified), Some((name.as_str().into(), own.to_owned())));
        }
    }
}
