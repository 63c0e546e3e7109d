//! References to a tool's user interface: URIs of resources in `_meta`, of tools and of what they return (MCP Apps, and
//! what came before them).

use std::sync::LazyLock;

use mcproxy_mcp::{RawObject, RawValue, json_string, split_uri};
use memchr::memmem::Finder;

use super::Splices;

const PLAIN: [&str; 2] = ["ui/resourceUri", "openai/outputTemplate"];
const NESTED: [&str; 2] = ["ui", "resourceUri"];

/// The references in a `_meta`, as JSON strings.
pub(crate) fn of_meta<'a>(meta: &RawObject<'a>) -> impl Iterator<Item = &'a RawValue> + use<'a> {
    let nested = meta.get_object(NESTED[0]).and_then(|ui| ui.get(NESTED[1]));
    let [first, second] = PLAIN.map(|key| meta.get(key));
    [first, second, nested].into_iter().flatten().filter(|uri| uri.get().starts_with('"'))
}

/// Whether a JSON text may hold one; decided without parsing it.
pub(super) fn may_be_in(raw: &str) -> bool {
    static MARKS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [Finder::new(br#"resourceUri""#), Finder::new(br#""openai/outputTemplate""#)]);
    MARKS.iter().any(|mark| mark.find(raw.as_bytes()).is_some())
}

/// The `_meta` of a client's request with the references under the names of the server that it goes to; `None`: it holds
/// none.
pub(crate) fn own_meta(server: &str, meta: &RawValue) -> Option<Box<RawValue>> {
    if !may_be_in(meta.get()) {
        return None;
    }
    let mut edits = Splices::of(meta.get());
    for reference in of_meta(&RawObject::from_raw(meta).ok()?) {
        let uri: String = serde_json::from_str(reference.get()).ok()?;
        if let Some((_, own)) = split_uri(&uri).filter(|(of, _)| of == server) {
            edits.replace(reference, json_string(&own).get().to_owned());
        }
    }
    RawValue::from_string(edits.finish().into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_a_request_become_the_servers_own_and_nothing_else_changes() {
        let meta = r#"{"a":1.50,"ui":{"resourceUri":"ui://srv+x/y","k":[ ]},"ui/resourceUri":"ui://other+x","openai/outputTemplate":"srv+a:b"}"#;
        let expected = r#"{"a":1.50,"ui":{"resourceUri":"ui://x/y","k":[ ]},"ui/resourceUri":"ui://other+x","openai/outputTemplate":"a:b"}"#;
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        assert_eq!(own_meta("srv", &raw(meta)).expect("some").get(), expected);
        assert!(own_meta("srv", &raw(r#"{"progressToken":1}"#)).is_none());
        assert!(own_meta("srv", &raw(r#"["resourceUri"]"#)).is_none());
    }
}
