//! The beginning of a result that is too large: what its client is shown, and the whole, which is kept. Pure.

use mcproxy_mcp::{RawObject, RawValue};
use serde_json::{Value, json, value::to_raw_value};

/// About how many bytes a number takes.
const SCALAR: usize = 8;

/// A result of which only the beginning is shown.
#[derive(Debug)]
pub(super) struct Shortened {
    /// Its members, without the two that are shortened.
    rest: Box<RawValue>,
    content: Vec<Value>,
    structured: Option<Value>,
    whole: WholeResult,
}

/// All of a result, as it is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WholeResult {
    /// What it is: the text of the tool, or JSON.
    pub(super) mime_type: &'static str,
    /// In UTF-8.
    pub(super) text: String,
    /// How many bytes of it the client is shown, from its beginning on.
    pub(super) shown: usize,
}

/// Shortens the result of a `tools/call` to about `most` bytes. `None`: it is none, or not over yet.
///
/// Structured content keeps its shape, because clients hold it against the tool's schema: texts and lists in it are cut, members are
/// not.
pub(super) fn shorten(result: &str, most: usize) -> Option<Shortened> {
    let mut rest = RawObject::from_text(result).ok()?;
    if rest.get_string("resultType").is_some_and(|kind| kind != "complete") {
        return None;
    }
    let content = rest.remove("content")?;
    let structured = rest.remove("structuredContent");
    let blocks: Vec<Value> = serde_json::from_str(content.get()).unwrap_or_default();
    let whole = match &blocks[..] {
        [only] if only["type"] == "text" && only["text"].is_string() => WholeResult {
            mime_type: "text/plain",
            text: only["text"].as_str().unwrap_or_default().to_owned(),
            shown: 0,
        },
        _ => WholeResult { mime_type: "application/json", text: json_of(content, structured), shown: 0 },
    };
    let mut room = if structured.is_some() { most / 2 } else { most };
    let content: Vec<Value> = blocks.into_iter().filter_map(|block| shorten_block(block, &mut room)).collect();
    let shown = match (&content[..], whole.mime_type) {
        ([only], "text/plain") => only["text"].as_str().map_or(0, |text| common(text, &whole.text)),
        _ => 0,
    };
    let mut room = most / 2;
    let structured = structured.and_then(|raw| serde_json::from_str(raw.get()).ok()).map(|value| cut(value, &mut room));
    Some(Shortened { rest: rest.to_raw(), content, structured, whole: WholeResult { shown, ..whole } })
}

impl Shortened {
    /// All of it, to be kept.
    pub(super) fn take_whole(&mut self) -> WholeResult {
        let kind = self.whole.mime_type;
        std::mem::replace(&mut self.whole, WholeResult { mime_type: kind, ..WholeResult::default() })
    }

    /// The result for the client: what is left, a note behind it and, for those who know such links, one to the whole: its URI and
    /// its size.
    pub(super) fn into_result(self, note: &str, link: Option<(&str, usize)>) -> String {
        let Self { rest, mut content, structured, whole } = self;
        let mut rest = RawObject::from_raw(&rest).unwrap_or_default();
        content.push(json!({"type": "text", "text": note}));
        content.extend(link.map(|(uri, size)| {
            let kind = whole.mime_type;
            json!({"type": "resource_link", "uri": uri, "name": "the whole result", "mimeType": kind, "size": size})
        }));
        // Values that were JSON are JSON.
        let (content, structured) =
            (to_raw_value(&content).ok(), structured.and_then(|value| to_raw_value(&value).ok()));
        if let Some(content) = &content {
            rest.set("content", content);
        }
        if let Some(structured) = &structured {
            rest.set("structuredContent", structured);
        }
        rest.to_raw().get().to_owned()
    }
}

/// What of a result its readers get to see, as JSON.
fn json_of(content: &RawValue, structured: Option<&RawValue>) -> String {
    let mut all = RawObject::default();
    all.set("content", content);
    if let Some(structured) = structured {
        all.set("structuredContent", structured);
    }
    all.to_raw().get().to_owned()
}

/// A block of content with no more than its room. `None`: it has none, or cannot be cut, as an image cannot.
fn shorten_block(mut block: Value, room: &mut usize) -> Option<Value> {
    if *room == 0 {
        return None;
    }
    let text = match block["type"].as_str() {
        Some("text") => block.get_mut("text"),
        Some("resource") => block.get_mut("resource").and_then(|resource| resource.get_mut("text")),
        _ => None,
    };
    if let Some(text) = text {
        *text = cut(text.take(), room);
        return Some(block);
    }
    let bytes = block.to_string().len();
    *room = room.checked_sub(bytes)?;
    Some(block)
}

/// A value with less of its texts and lists where there is no room for them; what is cut ends with `…`.
fn cut(value: Value, room: &mut usize) -> Value {
    match value {
        Value::String(text) if text.len() > *room => {
            let end = text.floor_char_boundary(*room);
            *room = 0;
            Value::String(format!("{}…", &text[..end]))
        }
        Value::String(text) => {
            *room -= text.len();
            Value::String(text)
        }
        Value::Array(items) => {
            let mut kept = Vec::new();
            for item in items {
                if *room == 0 {
                    break;
                }
                kept.push(cut(item, room));
            }
            Value::Array(kept)
        }
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| {
                    *room = room.saturating_sub(key.len());
                    (key, cut(value, room))
                })
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            *room = room.saturating_sub(SCALAR);
            value
        }
    }
}

/// How many bytes both begin with.
fn common(shown: &str, whole: &str) -> usize {
    let shown = shown.strip_suffix('…').unwrap_or(shown);
    if whole.starts_with(shown) { shown.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(shortened: Shortened) -> Value {
        serde_json::from_str(&shortened.into_result("note", Some(("x:y", 10_000)))).expect("JSON")
    }

    #[test]
    fn a_text_is_cut_between_characters_and_kept_as_it_is() {
        let text = "é".repeat(5000);
        let result = json!({"content": [{"type": "text", "text": text, "annotations": {"priority": 1}}], "isError": true, "_meta": {"a": 1}});
        let result = result.to_string();
        let mut shortened = shorten(&result, 4097).expect("a result");
        assert_eq!(shortened.take_whole(), WholeResult { mime_type: "text/plain", text, shown: 4096 });
        let shown = value(shortened);
        assert_eq!(shown["content"][0]["text"], format!("{}…", "é".repeat(2048)));
        assert_eq!(shown["content"][0]["annotations"]["priority"], 1);
        assert_eq!(shown["content"][1], json!({"type": "text", "text": "note"}));
        assert_eq!(
            shown["content"][2],
            json!({"type": "resource_link", "uri": "x:y", "name": "the whole result", "mimeType": "text/plain", "size": 10_000})
        );
        assert_eq!((&shown["isError"], &shown["_meta"]["a"]), (&json!(true), &json!(1)));
    }

    #[test]
    fn other_content_is_kept_as_json_and_what_cannot_be_cut_is_left_out() {
        let result = json!({"content": [
            {"type": "text", "text": "first"}, {"type": "image", "data": "A".repeat(9000), "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "a:b", "text": "t".repeat(9000)}},
        ]})
        .to_string();
        let shortened = shorten(&result, 4096).expect("a result");
        assert_eq!((shortened.whole.mime_type, shortened.whole.shown), ("application/json", 0));
        assert_eq!(serde_json::from_str::<Value>(&shortened.whole.text).ok(), serde_json::from_str(&result).ok());
        let shown = value(shortened);
        let kinds: Vec<&str> =
            shown["content"].as_array().expect("blocks").iter().filter_map(|b| b["type"].as_str()).collect();
        assert_eq!(kinds, ["text", "resource", "text", "resource_link"]);
    }

    #[test]
    fn structured_content_keeps_its_shape() {
        let rows: Vec<Value> = (0..2000).map(|n| json!({"n": n, "name": "a name"})).collect();
        let result = json!({"content": [{"type": "text", "text": "x".repeat(9000)}],
            "structuredContent": {"rows": rows, "log": "y".repeat(9000), "total": 2000, "ok": true}})
        .to_string();
        let shown = value(shorten(&result, 8192).expect("a result"));
        let structured = &shown["structuredContent"];
        assert!(structured["rows"].is_array() && structured["log"].is_string(), "{structured}");
        assert_eq!((&structured["total"], &structured["ok"]), (&json!(2000), &json!(true)));
        assert!(shown.to_string().len() < 10_000);
    }

    #[test]
    fn what_is_no_result_or_not_over_is_left_alone() {
        for other in [
            "[]",
            "{}",
            "4",
            r#"{"resultType":"input_required","content":[]}"#,
            r#"{"resultType":"task","content":[]}"#,
        ] {
            assert!(shorten(other, 4096).is_none(), "{other}");
        }
        assert!(shorten(r#"{"resultType":"complete","content":"odd"}"#, 4096).is_some());
    }

    proptest! {
        #[test]
        fn any_result_becomes_a_shorter_one(texts in prop::collection::vec("\\PC{0,3000}", 0..6), most in 100_usize..4000) {
            let blocks: Vec<Value> = texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
            let result = json!({"content": blocks, "structuredContent": {"texts": texts}}).to_string();
            let shown = value(shorten(&result, most).expect("a result"));
            let kept: usize = shown["content"].as_array().expect("blocks").iter().filter_map(|b| b["text"].as_str()).map(str::len).sum();
            prop_assert!(kept <= most / 2 + "…".len() * 6 + "note".len());
            prop_assert!(shown["structuredContent"]["texts"].is_array());
        }
    }
}
