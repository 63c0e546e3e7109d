//! Answers of servers of either era as this dialect has them.

use std::{borrow::Cow, sync::LazyLock};

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, RawObject, RequestId, write_error_response};
use memchr::memmem::Finder;

use crate::gateway::{
    base::{
        pieces::Pieces,
        reply::{Reply, ReplyError, begin_result},
    },
    rewrite::Splices,
};

/// A result of more bytes than this is not copied into its response.
const COPIED: usize = 16 * 1024;

// Looked for in each result.
static RESULT_TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("resultType"));
static TTL_MS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ttlMs"));
static CACHE_SCOPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("cacheScope"));

/// A whole JSON-RPC response. Every result says what it is, and one that may be cached says so, too.
pub(crate) fn response(id: &RequestId, reply: Reply, cacheable: bool) -> Pieces {
    let (before, result) = match &reply {
        Reply::Error(error) => {
            let mut out = Vec::with_capacity(reply.len() + id.as_json().len() + 128);
            write_error_response(&mut out, Some(id), &modern_code(error));
            return out.into();
        }
        Reply::Page(before, page) => (before.clone(), page.clone()),
        Reply::Result(result) => (Bytes::new(), result.clone()),
    };
    let mut out = Vec::with_capacity(
        id.as_json().len() + 128 + before.len() + if result.len() > COPIED { 0 } else { result.len() },
    );
    begin_result(&mut out, id);
    let rest = match &reply {
        // Its beginning is ours, and says all but one thing.
        Reply::Page(..) => {
            out.extend_from_slice(br#"{"resultType":"complete","#);
            out.extend_from_slice(before.strip_prefix(b"{").unwrap_or_default());
            result
        }
        _ => push_first(&mut out, &result, cacheable),
    };
    match (rest.len() > COPIED, &reply) {
        (true, Reply::Page(..)) => Pieces::around_shared(out, rest, b"}"),
        (true, _) => Pieces::around(out, rest, b"}"),
        (false, _) => {
            out.extend_from_slice(&rest);
            out.push(b'}');
            out.into()
        }
    }
}

/// Puts what a result has to say of itself before it; says what is left of it.
fn push_first(out: &mut Vec<u8>, result: &Bytes, cacheable: bool) -> Bytes {
    if !result.starts_with(b"{") {
        return result.clone();
    }
    let rest = result.slice(1..);
    let mut first: Vec<&[u8]> = Vec::new();
    if !has(result, &RESULT_TYPE) {
        first.push(br#""resultType":"complete""#);
    }
    if cacheable && !has(result, &TTL_MS) {
        first.push(br#""ttlMs":0"#);
    }
    if cacheable && !has(result, &CACHE_SCOPE) {
        first.push(br#""cacheScope":"private""#);
    }
    out.push(b'{');
    out.extend_from_slice(&first.join(&b','));
    if !first.is_empty() && !rest.trim_ascii_start().starts_with(b"}") {
        out.push(b',');
    }
    rest
}

/// Whether an object has a member; decided without parsing it when its name occurs nowhere.
fn has(object: &[u8], member: &Finder<'_>) -> bool {
    member.find(object).is_some()
        && RawObject::from_slice(object)
            .is_ok_and(|object| object.iter().any(|(key, _)| key.as_bytes() == member.needle()))
}

/// A resource that is not there had a code of its own up to 2025-11-25.
fn modern_code(error: &ReplyError) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(&error.raw);
    if error.code != Some(ErrorCode::RESOURCE_NOT_FOUND) {
        return text;
    }
    let mut edits = Splices::of(&text);
    if let Ok(object) = RawObject::from_text(&text)
        && let Some(code) = object.get("code")
    {
        edits.replace(code, ErrorCode::INVALID_PARAMS.0.to_string());
    }
    Cow::Owned(edits.finish().into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::base::budget::Budget;

    fn result(text: &str, cacheable: bool) -> String {
        let reply = Reply::Result(Bytes::copy_from_slice(text.as_bytes()));
        let whole = response(&RequestId::from(1), reply, cacheable).join(&Budget::new(1 << 20), None);
        let text = std::str::from_utf8(&whole).expect("text");
        text.strip_prefix(r#"{"jsonrpc":"2.0","id":1,"result":"#)
            .and_then(|t| t.strip_suffix('}'))
            .expect("a result")
            .to_owned()
    }

    #[test]
    fn a_result_says_what_it_is_and_keeps_its_bytes() {
        assert_eq!(result(r#"{ "a":1.50 }"#, false), r#"{"resultType":"complete", "a":1.50 }"#);
        assert_eq!(result("{}", false), r#"{"resultType":"complete"}"#);
        assert_eq!(result("{ }", true), r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private" }"#);
        let theirs = r#"{"resultType":"task","ttlMs":5}"#;
        assert_eq!(result(theirs, false), theirs);
        assert_eq!(result(theirs, true), r#"{"cacheScope":"private","resultType":"task","ttlMs":5}"#);
        assert_eq!(result(r#"{"x":{"resultType":1}}"#, false), r#"{"resultType":"complete","x":{"resultType":1}}"#);
    }

    #[test]
    fn a_missing_resource_has_the_new_code() {
        let reply = Reply::error(r#"{"code":-32002,"message":"gone","data":{"uri":"a"}}"#.into());
        let text = response(&RequestId::from(1), reply, false).join(&Budget::new(1 << 20), None);
        assert_eq!(text, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"gone","data":{"uri":"a"}}}"#);
    }

    proptest! {
        #[test]
        fn near_results_stay_json(members in prop::collection::btree_map("(resultType|ttlMs|cacheScope|x)", "(1|\\{\\}|\"y\")", 0..4), pad in "[ \n]{0,2}", cacheable: bool) {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{pad}\"{key}\":{value}{pad}")).collect();
            let out = result(&format!("{{{}{pad}}}", members.join(",")), cacheable);
            let object = RawObject::from_text(&out).expect("an object without a key twice");
            prop_assert!(object.get("resultType").is_some());
        }
    }
}
