//! JSON as editors write it, made strict: comments and trailing commas become spaces, so that every position stays.

/// The text without comments and trailing commas, byte for byte as long as before. What is not JSON stays as it is, for
/// the parser to locate.
pub(crate) fn to_json(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    let mut comma = None;
    let mut at = 0;
    while let Some(&byte) = out.get(at) {
        match (byte, out.get(at + 1)) {
            (b'"', _) => {
                at = end_of_string(&out, at);
                comma = None;
                continue;
            }
            (b'/', Some(b'/')) => {
                let end = out[at..].iter().position(|&byte| matches!(byte, b'\n' | b'\r'));
                let end = end.map_or(out.len(), |length| at + length);
                blank(&mut out[at..end]);
                at = end;
                continue;
            }
            (b'/', Some(b'*')) => {
                // One without an end is a mistake, and is left to be found.
                let Some(length) = out[at + 2..].windows(2).position(|pair| pair == b"*/") else { break };
                let end = at + length + 4;
                blank(&mut out[at..end]);
                at = end;
                continue;
            }
            (b',', _) => comma = comma.is_none().then_some(at),
            (b']' | b'}', _) => {
                if let Some(comma) = comma.take()
                    && follows_a_value(&out, comma)
                {
                    out[comma] = b' ';
                }
            }
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            _ => comma = None,
        }
        at += 1;
    }
    // Only whole characters were replaced, by spaces.
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Behind the closing quote, or the end of the text.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Line breaks stay, so that lines are counted as before.
fn blank(comment: &mut [u8]) {
    comment.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

/// `[,]` has a comma that trails nothing.
fn follows_a_value(text: &[u8], comma: usize) -> bool {
    let before = text[..comma].iter().rev().find(|byte| !byte.is_ascii_whitespace());
    !matches!(before, None | Some(b'[' | b'{' | b',' | b':'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_and_trailing_commas_become_spaces() {
        let cases = [
            ("{} // é\n", "{}      \n"),
            ("{/* a\n*/\"a\":1,}", "{    \n  \"a\":1 }"),
            ("[1, // x\n]", "[1      \n]"),
            ("[1,/**/]", "[1     ]"),
        ];
        for (text, expected) in cases {
            assert_eq!(to_json(text), expected);
            assert_eq!(to_json(text).len(), text.len());
        }
    }

    #[test]
    fn strings_and_mistakes_stay_as_they_are() {
        for text in [r#"["// no", "/* no */", "a,]", "\"//"]"#, "[,]", "{,}", "[1,,]", "[1] /* open", "\"open // x"] {
            assert_eq!(to_json(text), text);
        }
    }

    proptest! {
        #[test]
        fn strict_json_is_not_changed(value in "[ -~é]{0,12}", n in any::<i32>()) {
            let json = serde_json::json!({"a": [value, n, {}], "b": {"c": [], "d": null}}).to_string();
            prop_assert_eq!(to_json(&json), json);
        }

        #[test]
        fn any_text_keeps_its_length_and_its_lines(text in "[\\[\\]{},:/*\"\\\\a\né]{0,40}") {
            let json = to_json(&text);
            prop_assert_eq!(json.len(), text.len());
            prop_assert_eq!(json.lines().count(), text.lines().count());
        }
    }
}
