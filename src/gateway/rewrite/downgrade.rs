//! From a server of 2026-07-28 to a client of an earlier revision, beside what outbound rewriting does for each version.

use std::{borrow::Cow, sync::LazyLock};

use mcproxy_mcp::{ErrorCode, RawObject, RawValue, json_string, meta, method};
use memchr::memmem::Finder;

use super::Splices;

/// Members of results that earlier revisions do not know.
const NEWER: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];
/// How the result of nearly every server begins.
const COMPLETE: &str = r#"{"resultType":"complete","#;
/// Errors that are between a client of 2026-07-28 and its server.
const NEWER_CODES: [ErrorCode; 3] =
    [ErrorCode::HEADER_MISMATCH, ErrorCode::MISSING_CLIENT_CAPABILITY, ErrorCode::UNSUPPORTED_VERSION];

/// The form of such a server's error for a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Downgraded<'r> {
    /// Still an error.
    Error(Cow<'r, str>),
    /// The result of a tool that could not do its work.
    Result(String),
}

/// A result without what only 2026-07-28 knows.
pub(crate) fn result(raw: &str) -> Cow<'_, str> {
    static MARKS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [Finder::new(br#""ttlMs""#), Finder::new(br#""io.modelcontextprotocol/"#)]);
    // Most results say that they are complete, first of all, and nothing else that is new.
    if let Some(rest) = raw.strip_prefix(COMPLETE)
        && !MARKS.iter().any(|mark| mark.find(raw.as_bytes()).is_some())
    {
        return Cow::Owned(format!("{{{rest}"));
    }
    let Ok(object) = RawObject::from_text(raw) else { return Cow::Borrowed(raw) };
    let meta = object.get("_meta").and_then(|meta| Some((meta, RawObject::from_raw(meta).ok()?)));
    let is_ours = |key: &str| key == meta::SERVER_INFO;
    let only_ours = meta.as_ref().is_some_and(|(_, members)| members.iter().all(|(key, _)| is_ours(key)));
    let keep = |key: &str| !(NEWER.contains(&key) || (key == "_meta" && only_ours));
    let mut edits = Splices::of(raw);
    if object.iter().any(|(key, _)| !keep(key)) {
        edits.retain(raw, &object, keep);
    }
    if let Some((meta, members)) = meta.filter(|(_, members)| !only_ours && members.get(meta::SERVER_INFO).is_some()) {
        edits.retain(meta.get(), &members, |key| !is_ours(key));
    }
    edits.finish()
}

/// An error in terms of earlier revisions: no codes that they do not have, and -32002 for a resource that is not there.
pub(crate) fn error<'r>(of: &str, raw: &'r str) -> Downgraded<'r> {
    let Ok(object) = RawObject::from_text(raw) else { return Downgraded::Error(Cow::Borrowed(raw)) };
    let Some(code) = object.get("code") else { return Downgraded::Error(Cow::Borrowed(raw)) };
    let mut edits = Splices::of(raw);
    match code.get().parse().map(ErrorCode) {
        Ok(ErrorCode::MISSING_CLIENT_CAPABILITY) if of == method::TOOLS_CALL => {
            let message = object.get_string("message").unwrap_or_default();
            let missing =
                object.get_object("data").and_then(|data| data.get("requiredCapabilities")).map(RawValue::get);
            let missing = missing.map(|names| format!(": {names}")).unwrap_or_default();
            let text = format!("this tool needs something that the client has not declared: {message}{missing}");
            let text = json_string(&text);
            let content = format!("[{{\"type\":\"text\",\"text\":{}}}]", text.get());
            return Downgraded::Result(format!("{{\"content\":{content},\"isError\":true}}"));
        }
        Ok(known) if NEWER_CODES.contains(&known) => edits.replace(code, ErrorCode::INTERNAL_ERROR.0.to_string()),
        Ok(ErrorCode::INVALID_PARAMS) if of == method::RESOURCES_READ && names_a_resource(&object) => {
            edits.replace(code, ErrorCode::RESOURCE_NOT_FOUND.0.to_string());
        }
        _ => {}
    }
    Downgraded::Error(edits.finish())
}

/// Whether `data` says which resource an error is about, as it does when that is not there.
fn names_a_resource(error: &RawObject<'_>) -> bool {
    error.get_object("data").is_some_and(|data| data.get_string("uri").is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn results_lose_what_is_new_and_nothing_else() {
        let cases = [
            (r#"{"resultType":"complete","content":[{"n":1.50}]}"#, r#"{"content":[{"n":1.50}]}"#),
            (r#"{"content":[],"resultType":"complete"}"#, r#"{"content":[]}"#),
            (r#"{"resultType":"complete"}"#, "{}"),
            (r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","contents":[]}"#, r#"{"contents":[]}"#),
            (r#"{"a":{"ttlMs":1}}"#, r#"{"a":{"ttlMs":1}}"#),
            (
                r#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}},"b":1}"#,
                r#"{"b":1}"#,
            ),
            (
                r#"{"b":1,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"},"theirs":2}}"#,
                r#"{"b":1,"_meta":{"theirs":2}}"#,
            ),
        ];
        for (raw, expected) in cases {
            assert_eq!(result(raw), expected, "{raw}");
        }
        assert!(matches!(result(r#"{"content":[]}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn a_resource_that_is_not_there_has_the_code_of_its_time() {
        let raw = r#"{"code":-32602,"message":"Not found","data":{"uri":"a:b"}}"#;
        let expected = raw.replace("-32602", "-32002");
        assert_eq!(error(method::RESOURCES_READ, raw), Downgraded::Error(expected.into()));
        assert_eq!(error(method::TOOLS_CALL, raw), Downgraded::Error(raw.into()));
        let other = r#"{"code":-32602,"message":"uri is missing"}"#;
        assert_eq!(error(method::RESOURCES_READ, other), Downgraded::Error(other.into()));
    }

    #[test]
    fn codes_of_another_era_do_not_reach_a_client() {
        for code in [-32020, -32021, -32022] {
            let raw = format!(r#"{{"code":{code},"message":"m"}}"#);
            let downgraded = error(method::PROMPTS_GET, &raw);
            assert_eq!(downgraded, Downgraded::Error(r#"{"code":-32603,"message":"m"}"#.into()));
        }
        let raw = r#"{"code":-32021,"message":"m","data":{"requiredCapabilities":{"sampling":{}}}}"#;
        let Downgraded::Result(result) = error(method::TOOLS_CALL, raw) else { panic!("an error") };
        assert!(result.contains("sampling") && result.contains(r#""isError":true"#), "{result}");
    }

    proptest! {
        #[test]
        fn near_results_stay_json_and_keep_the_rest(
            members in prop::collection::btree_map("(resultType|ttlMs|cacheScope|_meta|x|y)", "(1|\\{\\}|\"complete\"|\\{\"io\\.modelcontextprotocol/serverInfo\":1\\})", 0..6),
            pad in "[ \n]{0,2}",
        ) {
            let text = members.iter().map(|(key, value)| format!("{pad}\"{key}\"{pad}:{value}{pad}")).collect::<Vec<_>>().join(",");
            let text = format!("{{{text}}}");
            let out = result(&text);
            let object = RawObject::from_text(&out);
            prop_assert!(object.is_ok(), "{out}");
            let object = object.expect("checked");
            prop_assert!(NEWER.iter().all(|key| object.get(key).is_none()), "{out}");
            for key in ["x", "y"] {
                prop_assert_eq!(object.get(key).map(RawValue::get), members.get(key).map(String::as_str));
            }
        }

        #[test]
        fn any_error_text_is_taken(text in "\\PC{0,40}") {
            let _ = error(method::TOOLS_CALL, &text);
            let _ = result(&text);
        }
    }
}
