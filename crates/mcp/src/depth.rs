//! How deep JSON may be nested.

use memchr::memchr2;

/// Whether objects and arrays are nested in more than `limit` levels, the outermost included. What is no JSON gets some
/// answer, too. Real arguments have a handful of levels; what parses them at the other end may give up on more without an
/// answer, so that the caller waits for its timeout (`serde_json` beyond 127 levels, Python's `json` at 1000).
pub fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    // Each level takes a bracket of its own, so most messages are too short to be looked at.
    if json.len() <= limit {
        return false;
    }
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' if depth == limit => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = string_end(json, at),
            _ => {}
        }
    }
    false
}

/// Where a string that began before `at` is over.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2; // the backslash, and what it escapes
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let text = || "[\\[\\]{}\"\\\\a\nä]{0,5}";
        let leaf = prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), text().prop_map(Value::from)];
        leaf.prop_recursive(8, 40, 3, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map(text(), inner, 0..3).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_the_tree(value in json(), limit in 0usize..10, pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            prop_assert_eq!(is_deeper_than(text.expect("JSON").as_bytes(), limit), depth(&value) > limit);
        }

        #[test]
        fn any_bytes_get_an_answer(
            bytes in prop::collection::vec(prop::sample::select(b"[]{}\"\\a\xff".to_vec()), 0..60), limit in 0usize..10,
        ) {
            is_deeper_than(&bytes, limit);
        }
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!is_deeper_than(nested(127).as_bytes(), 127));
        assert!(is_deeper_than(nested(128).as_bytes(), 127));
        assert!(!is_deeper_than(format!("\"{}\"", nested(100_000)).as_bytes(), 127));
    }
}
