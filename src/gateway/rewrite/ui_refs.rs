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

/// The members of the `_meta` of a client's request that hold such references, with the URIs of the server that it goes to.
pub(crate) fn own_refs(server: &str, meta: &RawObject<'_>) -> Vec<(&'static str, Box<RawValue>)> {
    let own = |reference: &RawValue| {
        let uri: String = serde_json::from_str(reference.get()).ok()?;
        split_uri(&uri).filter(|(of, _)| of == server).map(|(_, own)| json_string(&own))
    };
    let nested = |ui: &RawValue| {
        let reference = RawObject::from_raw(ui).ok()?.get(NESTED[1])?;
        let mut edits = Splices::of(ui.get());
        edits.replace(reference, own(reference)?.get().to_owned());
        RawValue::from_string(edits.finish().into_owned()).ok()
    };
    let plain = PLAIN.into_iter().filter_map(|key| Some((key, own(meta.get(key)?)?)));
    plain.chain(meta.get(NESTED[0]).and_then(nested).map(|ui| (NESTED[0], ui))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_a_request_become_the_servers_own_and_nothing_else_changes() {
        let meta = r#"{"a":1.50,"ui":{"resourceUri":"ui://srv+x/y","k":[ ]},"ui/resourceUri":"ui://other+x","openai/outputTemplate":"srv+a:b"}"#;
        let expected = r#"{"a":1.50,"ui":{"resourceUri":"ui://x/y","k":[ ]},"ui/resourceUri":"ui://other+x","openai/outputTemplate":"a:b"}"#;
        let refs = |meta: &RawObject<'_>| own_refs("srv", meta);
        let mut object = RawObject::from_text(meta).expect("an object");
        let own = refs(&object);
        own.iter().for_each(|(key, value)| object.set(key, value));
        assert_eq!(object.to_raw().get(), expected);
        for nothing in [r#"{"progressToken":1}"#, r#"{"ui":["resourceUri"],"ui/resourceUri":7}"#, "{}"] {
            assert!(refs(&RawObject::from_text(nothing).expect("an object")).is_empty(), "{nothing}");
        }
    }
}
