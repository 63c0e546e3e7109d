//! The text of a file for people to look at, with what is or may be secret masked: values of variables and headers, tokens, what has the
//! form of a secret anywhere, and comments. References (`${VARIABLE}`) stay.

use mcproxy_ipc::secret_words::{MASK, is_reference, is_secret_name, mask_address, mask_words};

use crate::{report::Report, tree};

/// Objects whose every value may be secret.
const SECRET_OBJECTS: [&str; 5] = ["env", "environment", "headers", "http_headers", "requestInit"];

/// A container that is being read: the key that it stands at, and the one that its next value does.
struct WrittenContainer {
    is_secret: bool,
    key: Option<String>,
    /// The last element of an array, such as a flag before its value.
    before: Option<String>,
}

/// The same text with masks. Where it is no JSON nothing is known of any value, and all are masked.
pub fn masked(text: &str) -> String {
    let is_json = tree::parse(text, &|_| None, &mut Report::default()).is_some();
    let mut out = String::with_capacity(text.len());
    let mut open: Vec<WrittenContainer> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => first.len_utf8(),
        };
        let (piece, after) = rest.split_at(length);
        match first {
            '"' if after.trim_start().starts_with(':') => {
                if let Some(container) = open.last_mut() {
                    container.key = Some(unquoted(piece).to_owned());
                }
                out.push_str(piece);
            }
            '"' => {
                out.push_str(&value(unquoted(piece), open.last(), is_json));
                if let Some(container) = open.last_mut() {
                    container.before = Some(unquoted(piece).to_owned());
                }
            }
            '/' if length > 1 => out.push_str(&comment(piece)),
            '{' | '[' => {
                let parent = open.last();
                let key = parent.and_then(|parent| parent.key.as_deref());
                let is_secret = parent.is_some_and(|parent| parent.is_secret)
                    || key.is_some_and(|key| SECRET_OBJECTS.contains(&key) || (first == '[' && is_secret_name(key)));
                open.push(WrittenContainer {
                    is_secret,
                    key: key.map(str::to_owned).filter(|_| first == '['),
                    before: None,
                });
                out.push_str(piece);
            }
            '}' | ']' => {
                open.pop();
                out.push_str(piece);
            }
            _ => out.push_str(piece),
        }
        rest = after;
    }
    out
}

/// A string that is a value, quoted.
fn value(written: &str, container: Option<&WrittenContainer>, is_json: bool) -> String {
    let key = container.and_then(|container| container.key.as_deref()).unwrap_or_default();
    let is_secret = container.is_some_and(|container| container.is_secret) || is_secret_name(key);
    let follows_flag = container
        .and_then(|container| container.before.as_deref())
        .is_some_and(|before| before.starts_with('-') && !before.contains('=') && is_secret_name(before));
    if (is_secret || follows_flag || !is_json) && !is_reference(written) && !written.is_empty() {
        return format!("\"{MASK}\"");
    }
    let address = mask_address(written);
    let shown = address.as_deref().unwrap_or(written);
    format!("\"{}\"", mask_words(shown).as_deref().unwrap_or(shown))
}

/// What is quoted in a comment may have been a value.
fn comment(text: &str) -> String {
    let mut parts = text.split('"');
    let mut out = parts.next().map(|part| mask_words(part).unwrap_or_else(|| part.to_owned())).unwrap_or_default();
    for (at, part) in parts.enumerate() {
        out.push('"');
        out.push_str(&match at % 2 {
            0 if !part.is_empty() => MASK.to_owned(),
            _ => mask_words(part).unwrap_or_else(|| part.to_owned()),
        });
    }
    out
}

fn unquoted(piece: &str) -> &str {
    let inner = piece.strip_prefix('"').unwrap_or(piece);
    inner.strip_suffix('"').unwrap_or(inner)
}

/// The bytes of the string at the beginning, with its quotes; one that does not end goes to the end of its line.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_is_as_it_was_written() {
        let text = r#"{
  // "API_KEY": "sk-old"
  "listen": "127.0.0.1:12009", /* see "docs" */
  "auth": {"tokens": [{"name": "ann", "token": "0123456789abcdef"}, {"name": "bob", "token": "${BOB}"}]},
  "mcpServers": {
    "a": {"command": "npx", "args": ["-y", "pkg", "--api-key", "s3cret", "--port", "80"], "env": {"KEY": "v\"1", "B": "${B}", "N": 5}},
    "b": {"url": "https://h.example/mcp?key=abc", "headers": {"X-Team": "blue"}},
  }
}"#;
        let shown = r#"{
  // "•••": "•••"
  "listen": "127.0.0.1:12009", /* see "•••" */
  "auth": {"tokens": [{"name": "ann", "token": "•••"}, {"name": "bob", "token": "${BOB}"}]},
  "mcpServers": {
    "a": {"command": "npx", "args": ["-y", "pkg", "--api-key", "•••", "--port", "80"], "env": {"KEY": "•••", "B": "${B}", "N": 5}},
    "b": {"url": "https://h.example/mcp?key=•••", "headers": {"X-Team": "•••"}},
  }
}"#;
        assert_eq!(masked(text), shown);
    }

    #[test]
    fn of_a_text_that_is_no_json_no_value_is_shown() {
        let shown =
            masked("{\"mcpServers\": {\"a\": {\"command\": \"npx\", \"env\": {\"KEY\": \"s3cret\"}}}, \"x\" \"y");
        assert_eq!(
            shown,
            "{\"mcpServers\": {\"a\": {\"command\": \"•••\", \"env\": {\"KEY\": \"•••\"}}}, \"•••\" \"•••\""
        );
    }

    proptest! {
        #[test]
        fn every_text_has_a_masked_form_in_which_no_value_of_a_variable_is(value in "[a-z]{12}", noise in "[{}\\[\\],:\"/* a\n]{0,40}") {
            let text = format!("{noise}{{\"env\": {{\"A\": \"{value}\"}}}}");
            let shown = masked(&text);
            let whole = masked(&format!("{{\"env\": {{\"A\": \"{value}\"}}}}"));
            prop_assert!(!whole.contains(&value));
            prop_assert!(shown.len() <= text.len() * 8 + 16);
        }
    }
}
