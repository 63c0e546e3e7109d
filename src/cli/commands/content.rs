//! What a tool answered, for people.

use std::io;

use mcproxy_mcp::{RawArray, RawObject, RawValue};

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
        // Many servers repeat it as text for clients that do not know it.
        let repeated = texts.iter().any(|text| same_json(text, structured.get()));
        if !repeated {
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

fn same_json(a: &str, b: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let a = a.trim();
    a == b || (a.starts_with(['{', '[']) && value(a).is_some_and(|a| Some(a) == value(b)))
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
        let mut console =
            Console { out: Box::new(out.clone()), err: Box::new(io::sink()), input: Box::new(io::empty()), width };
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
        assert_eq!(shown(r#"{"structuredContent":"\ud800"}"#, None), "\"\\ud800\"\n");
    }

    #[test]
    fn text_cannot_move_the_cursor_of_a_terminal() {
        let result = r#"{"content":[{"type":"text","text":"a\u001b[2Jb"}]}"#;
        assert_eq!(shown(result, Some(80)), "ab\n");
        assert_eq!(shown(result, None), "a\u{1b}[2Jb\n");
    }
}
