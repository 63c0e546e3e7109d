//! The result of a tool, for people.

use std::io;

use mcproxy_mcp::{RawArray, RawObject, RawValue};
use serde_json::Value;

use crate::cli::{console::Console, human::printable, pretty};

/// Whether the tool itself says that it failed.
pub(crate) fn is_error(result: &RawValue) -> bool {
    RawObject::from_raw(result).ok().and_then(|r| r.get("isError")).is_some_and(|e| e.get() == "true")
}

/// Text as it is; of other content, what it is. On a terminal, text cannot move the cursor.
pub(crate) fn print(result: &RawValue, console: &mut Console) -> io::Result<()> {
    let object = RawObject::from_raw(result).unwrap_or_default();
    let blocks = object.get("content").and_then(|c| RawArray::from_raw(c).ok());
    let blocks = blocks.as_ref().map(|b| b.0.as_slice()).unwrap_or_default();
    let mut texts = Vec::new();
    for block in blocks {
        let block = RawObject::from_raw(block).unwrap_or_default();
        let text = describe(&block);
        show(&text, console)?;
        texts.push(text);
    }
    if let Some(structured) = object.get("structuredContent") {
        // Most servers repeat it as text, for clients that do not know it.
        if !says_the_same(&texts, structured) {
            show(&pretty::indent(structured.get()), console)?;
        }
    }
    Ok(())
}

fn show(text: &str, console: &mut Console) -> io::Result<()> {
    let shown = if console.width.is_some() { printable(text) } else { text.into() };
    console.out.write_all(shown.as_bytes())?;
    if shown.ends_with('\n') { Ok(()) } else { console.out.write_all(b"\n") }
}

fn describe(block: &RawObject<'_>) -> String {
    let text = |key: &str| block.get_string(key).map(|t| t.into_owned());
    let kind = text("type").unwrap_or_else(|| "unknown content".into());
    match kind.as_str() {
        "text" => text("text").unwrap_or_default(),
        "image" | "audio" => {
            let mime = text("mimeType").unwrap_or(kind);
            format!("[{mime}, {} bytes]", text("data").map_or(0, |data| decoded_len(&data)))
        }
        "resource" => {
            let resource = block.get_object("resource").unwrap_or_default();
            let own = |key: &str| resource.get_string(key).map(|t| t.into_owned());
            match (own("text"), own("blob")) {
                (Some(text), _) => text,
                (None, blob) => {
                    let mime = own("mimeType").unwrap_or_else(|| "resource".into());
                    let size = blob.map_or(0, |blob| decoded_len(&blob));
                    format!("[{mime}, {size} bytes, {}]", own("uri").unwrap_or_default())
                }
            }
        }
        "resource_link" => match text("title").or_else(|| text("name")) {
            Some(name) => format!("[{name}: {}]", text("uri").unwrap_or_default()),
            None => format!("[{}]", text("uri").unwrap_or_default()),
        },
        _ => format!("[{kind}]"),
    }
}

/// How many bytes a base64 text stands for.
fn decoded_len(base64: &str) -> usize {
    let digits = base64.bytes().filter(|b| !matches!(b, b'=' | b'\n' | b'\r' | b' ')).count();
    digits * 3 / 4
}

/// Whether the texts say what the structured content says: as JSON; as the bare value that SDKs put under `result` when
/// a tool returns no object; or, where that is a list, an element each.
fn says_the_same(texts: &[String], structured: &RawValue) -> bool {
    if texts.iter().any(|text| same_json(text, structured)) {
        return true;
    }
    let object = RawObject::from_raw(structured).unwrap_or_default();
    let Some(bare) = object.get("result").filter(|_| object.iter().count() == 1) else { return false };
    let says = |text: &String, value: &RawValue| {
        same_json(text, value) || serde_json::from_str::<String>(value.get()).is_ok_and(|value| value == *text)
    };
    match RawArray::from_raw(bare) {
        Ok(RawArray(elements)) if elements.len() == texts.len() => {
            texts.iter().zip(elements).all(|(text, element)| says(text, element)) || texts.iter().any(|t| says(t, bare))
        }
        _ => texts.iter().any(|text| says(text, bare)),
    }
}

/// Whether a text is the same JSON, however it is laid out and its numbers are written.
fn same_json(text: &str, json: &RawValue) -> bool {
    let text = text.trim();
    if text == json.get() || pretty::indent(text) == pretty::indent(json.get()) {
        return true;
    }
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    value(text).is_some_and(|text| value(json.get()).is_some_and(|json| same_value(&text, &json)))
}

fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_value(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(result: &str, width: Option<usize>) -> String {
        let out = Shared::default();
        let mut console = Console {
            out: Box::new(out.clone()),
            err: Box::new(io::sink()),
            input: Box::new(io::empty()),
            width,
            err_is_terminal: false,
            style: crate::cli::style::Style::default(),
            input_is_terminal: false,
        };
        let raw = RawValue::from_string(result.into()).expect("JSON");
        print(&raw, &mut console).expect("a Vec takes everything");
        String::from_utf8(out.0.lock().expect("not poisoned").clone()).expect("text")
    }

    #[test]
    fn text_is_plain_and_the_rest_described() {
        let result = r#"{"content":[{"type":"text","text":"hello\n"},{"type":"image","mimeType":"image/png","data":"AAECAw=="},
            {"type":"resource","resource":{"uri":"file:///a","text":"inside"}},{"type":"resource_link","name":"n","uri":"file:///b"},
            {"type":"resource","resource":{"uri":"x:y","mimeType":"a/b","blob":"AAEC"}},{"type":"new"}]}"#;
        assert_eq!(
            shown(result, None),
            "hello\n[image/png, 4 bytes]\ninside\n[n: file:///b]\n[a/b, 3 bytes, x:y]\n[new]\n"
        );
    }

    #[test]
    fn structured_content_is_shown_unless_the_text_says_the_same() {
        let twice = r#"{"content":[{"type":"text","text":"{\"a\": 1}"}],"structuredContent":{"a":1}}"#;
        assert_eq!(shown(twice, None), "{\"a\": 1}\n");
        assert_eq!(shown(r#"{"content":[],"structuredContent":{"a":1}}"#, None), "{\n  \"a\": 1\n}\n");
        for (texts, structured) in [
            (vec![r#"{"b": 2, "a": 1.0}"#], r#"{"a":1,"b":2}"#),
            (vec!["before", "{\n  \"a\": [\n    1\n  ]\n}"], r#"{"a":[1]}"#),
            (vec![r#"{"s": "\ud800", "n": 1e999}"#], r#"{"s":"\ud800","n":1e999}"#),
            (vec!["5"], r#"{"result":5}"#),
            (vec!["it is \"so\""], r#"{"result":"it is \"so\""}"#),
            (vec![r#"["a", 1]"#], r#"{"result":["a",1]}"#),
            (vec!["a", "{\"x\": 1}"], r#"{"result":["a",{"x":1}]}"#),
        ] {
            let structured = RawValue::from_string(structured.to_owned()).expect("JSON");
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            assert!(says_the_same(&texts, &structured), "{texts:?} {structured}");
        }
        for (texts, structured) in [
            (vec!["1 result"], r#"{"n":1}"#),
            (vec!["a"], r#"{"result":["a","b"]}"#),
            (vec![r#"{"a":1}"#], r#"{"a":1,"b":2}"#),
            (vec!["5"], r#"{"result":5,"unit":"m"}"#),
            (vec![], r#"{"result":1}"#),
        ] {
            let structured = RawValue::from_string(structured.to_owned()).expect("JSON");
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            assert!(!says_the_same(&texts, &structured), "{texts:?} {structured}");
        }
        assert_eq!(shown(r#"{"structuredContent":"\ud800"}"#, None), "\"\\ud800\"\n");
    }

    #[test]
    fn text_cannot_move_the_cursor_of_a_terminal() {
        let result = r#"{"content":[{"type":"text","text":"a\u001b[2Jb"}]}"#;
        assert_eq!(shown(result, Some(80)), "ab\n");
        assert_eq!(shown(result, None), "a\u{1b}[2Jb\n");
        let result = "{\"content\":[{\"type\":\"resource_link\",\"name\":\"a\\u202eb\",\"uri\":\"x:\\u009b2J\"}],\
            \"structuredContent\":{\"c\":\"\u{85}\\u001b\"}}";
        assert_eq!(shown(result, Some(80)), "[a\u{fffd}b: x:]\n{\n  \"c\": \"\u{fffd}\\u001b\"\n}\n");
    }
}
