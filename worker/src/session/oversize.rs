//! Finds the request that a line which is too long to be read answers. Only its two ends are known.

/// The id, when the line begins or ends the way known servers write a response: Python and Rust put the id first, the
/// TypeScript SDK puts it last.
pub(crate) fn response_id(head: &[u8], tail: &[u8]) -> Option<u64> {
    if names_a_method(head) { None } else { leading_id(head).or_else(|| trailing_id(tail)) }
}

/// Whether the line begins like a request or a notification.
pub(crate) fn names_a_method(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start().strip_prefix('{').unwrap_or_default();
    while let Some((key, value)) = member(rest) {
        if key == "method" {
            return true;
        }
        match scalar_end(value) {
            Some(end) => rest = value[end..].trim_start().strip_prefix(',').unwrap_or_default(),
            None => return false,
        }
    }
    false
}

fn leading_id(head: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start().strip_prefix('{')?;
    loop {
        let (key, value) = member(rest)?;
        let end = scalar_end(value)?;
        if key == "id" {
            return own(&value[..end]);
        }
        rest = value[end..].trim_start().strip_prefix(',')?;
    }
}

/// The last members of the outermost object: what stands before the line's last brace.
fn trailing_id(tail: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(tail);
    let mut rest = text.trim_end().strip_suffix('}')?.trim_end();
    loop {
        let comma = rest.rfind(',')?;
        let (key, value) = member(&rest[comma + 1..])?;
        match key {
            "id" => return own(value),
            "jsonrpc" => rest = rest[..comma].trim_end(),
            _ => return None,
        }
    }
}

/// A number of ours, which some servers send back as a text.
fn own(value: &str) -> Option<u64> {
    let value = value.trim();
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value).parse().ok()
}

/// The first key of what is between the braces of an object, and all that follows its colon.
fn member(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    Some((key, rest.trim_start().strip_prefix(':')?.trim_start()))
}

/// Where a number or a string without escapes ends.
fn scalar_end(value: &str) -> Option<usize> {
    match value.strip_prefix('"') {
        Some(rest) => rest.find('"').filter(|end| !rest[..*end].contains('\\')).map(|end| end + 2),
        None => Some(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len())).filter(|end| *end > 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_id_is_found_where_servers_put_it() {
        assert_eq!(response_id(br#"{"jsonrpc":"2.0","id":17,"result":{"cont"#, b"xxx"), Some(17));
        assert_eq!(response_id(br#" { "id" : 17 , "jsonrpc": "2.0""#, b""), Some(17));
        assert_eq!(response_id(br#"{"result":{"id":5,"#, br#"xx"]},"jsonrpc":"2.0","id":17}"#), Some(17));
        assert_eq!(response_id(br#"{"result":{"#, br#""}},"id":17,"jsonrpc":"2.0"}"#), Some(17));
        assert_eq!(response_id(br#"{"result":{"#, br#"{"id":17}}"#), None);
        assert_eq!(response_id(br#"{"jsonrpc":"2.0","id":17,"method":"sampling"#, b""), None);
        assert!(names_a_method(br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"#));
    }

    proptest! {
        #[test]
        fn any_ends_are_read_without_a_panic(
            head in prop::collection::vec(prop::sample::select(b"{}[]\",:id7 \\\xff".to_vec()), 0..60),
            tail in prop::collection::vec(prop::sample::select(b"{}[]\",:id7 \\\xff".to_vec()), 0..60),
        ) {
            let _ = response_id(&head, &tail);
        }
    }
}
