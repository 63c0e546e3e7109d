//! Characters that people do not see but models read: they are no part of a name, and leave titles and descriptions.

use std::{borrow::Cow, ops::Range};

use mcproxy_mcp::json_string;

/// Longest name of a tool or prompt, in characters.
pub(super) const MAX_NAME: usize = 256;
/// Longest URI of a resource or template, in bytes.
pub(super) const MAX_URI: usize = 8 * 1024;

/// Whether a character is invisible or moves its neighbours: controls (ANSI escapes begin with one), bidirectional
/// overrides, zero-width characters, tags and variation supplements.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The same, except for the line breaks and tabs of running text.
fn is_hidden_in_text(c: char) -> bool {
    is_hidden(c) && !matches!(c, '\n' | '\r' | '\t')
}

/// Running text without hidden characters.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_hidden_in_text) {
        Cow::Owned(text.chars().filter(|c| !is_hidden_in_text(*c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The first line that says something, at most `max` characters of it.
pub(crate) fn first_line(text: &str, max: usize) -> Cow<'_, str> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(max) {
        Some((end, _)) => Cow::Owned(format!("{}…", line[..end].trim_end())),
        None => Cow::Borrowed(line),
    }
}

/// The strings of a JSON text that are shown to people and models (values of the keys in `keys`, at any depth) and hold
/// hidden characters, each with the JSON string to put in its place.
pub(super) fn hidden_in(json: &str, keys: &[&str]) -> Vec<(Range<usize>, String)> {
    // Without an escape and outside ASCII there is nothing hidden: controls may not stand raw in JSON, except DEL.
    let suspicious = |b: u8| b == b'\\' || b >= 0x7f;
    if !json.bytes().any(suspicious) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut shown = false;
    for Token { range, is_key } in strings(json) {
        let raw = &json[range.clone()];
        if is_key {
            shown = match decode(raw) {
                Some(key) => keys.contains(&key.as_ref()),
                None => false,
            };
            continue;
        }
        if std::mem::take(&mut shown) && raw.bytes().any(suspicious) {
            // Halves of surrogate pairs, the one thing that cannot be decoded, were replaced before.
            if let Some(text) = decode(raw).filter(|text| text.chars().any(is_hidden_in_text)) {
                found.push((range, json_string(&visible(&text)).get().to_owned()));
            }
        }
    }
    found
}

/// A JSON string's text.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let plain = raw.strip_prefix('"')?.strip_suffix('"')?;
    if plain.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(plain)) }
}

/// A string of a JSON text.
pub(super) struct Token {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// Whether a value follows it.
    pub(super) is_key: bool,
}

/// The string tokens of a JSON text that is known to be well-formed. A key is followed by a colon.
pub(super) fn strings(json: &str) -> impl Iterator<Item = Token> {
    let bytes = json.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + memchr::memchr(b'"', bytes.get(at..)?)?;
        let mut end = start + 1;
        loop {
            end += memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?;
            if bytes[end] == b'"' {
                break;
            }
            end += 2;
        }
        at = end + 1;
        let next = bytes.get(at..)?.iter().find(|b| !b.is_ascii_whitespace());
        Some(Token { range: start..at, is_key: next == Some(&b':') })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::rewrite::Splices;

    fn cleaned(json: &str) -> String {
        let mut splices = Splices::of(json);
        for (range, with) in hidden_in(json, &["title", "description"]) {
            splices.replace_range(range, with);
        }
        splices.finish().into_owned()
    }

    #[test]
    fn hidden_characters_leave_descriptions_at_any_depth_and_nothing_else_changes() {
        let json = "{\"name\":\"a\\u001b\", \"description\" : \"x\\u001b[31m\u{202e}y\\n\u{e0041}z\",\"p\":{\"title\":\"\\u200bt\",\"enum\":[\"\u{200b}\"]}}";
        let out = cleaned(json);
        assert_eq!(
            out,
            "{\"name\":\"a\\u001b\", \"description\" : \"x[31my\\nz\",\"p\":{\"title\":\"t\",\"enum\":[\"\u{200b}\"]}}"
        );
        let harmless = r#"{"description":"tab\tline\nümlaut \"quoted\" ☃","title":1.50e3}"#;
        assert_eq!(cleaned(harmless), harmless);
    }

    #[test]
    fn an_escaped_key_is_a_key() {
        assert_eq!(cleaned("{\"t\\u0069tle\":\"\u{200b}x\"}"), "{\"t\\u0069tle\":\"x\"}");
    }

    #[test]
    fn the_first_line_is_short() {
        assert_eq!(first_line("\n  hello world  \nmore", 100), "hello world");
        assert_eq!(first_line("hello world", 5), "hello…");
        assert_eq!(first_line("", 5), "");
    }

    proptest! {
        #[test]
        fn what_is_cleaned_is_clean_json(text in ".{0,40}", key in "(title|description|x)") {
            let json = serde_json::json!({ key: text, "list": [{"title": 3, "y": "z"}] }).to_string();
            let out = cleaned(&json);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
            prop_assert!(hidden_in(&out, &["title", "description"]).is_empty());
        }
    }
}
