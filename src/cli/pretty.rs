//! JSON, indented for people.

/// JSON, indented. Works on the text, so that big numbers, lone surrogates and key order stay as they are.
pub(crate) fn indent(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth: usize = 0;
    let mut in_string = false;
    let mut escaped = false;
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        if in_string {
            text.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '"' => {
                in_string = true;
                text.push(c);
            }
            '{' | '[' => {
                text.push(c);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                match rest.next_if(|c| matches!(c, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        break_line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                break_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => text.push(c),
        }
    }
    text
}

fn break_line(text: &mut String, depth: usize) {
    text.push('\n');
    // Beyond this, more indentation shows nothing; hostile nesting must not cost quadratic memory.
    text.extend(std::iter::repeat_n("  ", depth.min(64)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,6}|[\"\\\\{,:]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a\"\\\\]{0,2}", inner, 0..4).prop_map(|m| json!(m)),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_looks_like_serdes_and_only_the_white_space_differs(value in values()) {
            let expected = format!("{value:#}");
            prop_assert_eq!(indent(&value.to_string()), expected.clone());
            prop_assert_eq!(indent(&expected), expected);
        }
    }

    #[test]
    fn what_serde_would_damage_stays() {
        assert_eq!(
            indent(r#"{"n":1e400,"s":"\ud800", "b":[ ]}"#),
            "{\n  \"n\": 1e400,\n  \"s\": \"\\ud800\",\n  \"b\": []\n}"
        );
    }
}
