//! The bytes of the file: bounded, UTF-8, and positions as people count them.

use crate::problem::{Problem, Severity};

/// The largest configuration that is read. Ten thousand servers fit; a file given by mistake does not.
pub const MAX_FILE: usize = 10 * 1024 * 1024;

/// Deeper nesting than the configuration ever needs is refused before any parser recurses.
const MAX_DEPTH: usize = 64;

/// The bytes as text without a byte-order mark.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > MAX_FILE {
        return Err(too_large());
    }
    std::str::from_utf8(bytes).map(without_mark).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let (line, column) = position(without_mark(valid), usize::MAX);
        let message = "the file is not UTF-8 from this byte on; save it as UTF-8".into();
        Problem { severity: Severity::Error, line, column, pointer: String::new(), message }
    })
}

/// The size, before anything else.
pub(crate) fn check_size(text: &str) -> Result<(), Problem> {
    if text.len() > MAX_FILE { Err(too_large()) } else { Ok(()) }
}

/// Emptiness and nesting, before a parser sees the text. Comments are taken out of it before.
pub(crate) fn check_bounds(text: &str) -> Result<(), Problem> {
    let at = |offset, message: String| {
        let (line, column) = position(text, offset);
        Problem { severity: Severity::Error, line, column, pointer: String::new(), message }
    };
    if text.trim().is_empty() {
        return Err(at(0, "the file is empty; the smallest configuration is {}".into()));
    }
    match too_deep(text) {
        Some(offset) => Err(at(offset, format!("nested deeper than {MAX_DEPTH} levels"))),
        None => Ok(()),
    }
}

/// Some editors put a byte-order mark first; it is not part of the text.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Line and column of a byte offset, both counted from 1, columns in characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

fn too_large() -> Problem {
    let message = format!("the file is larger than {MAX_FILE} bytes");
    Problem { severity: Severity::Error, line: 1, column: 1, pointer: String::new(), message }
}

/// Where brackets outside strings are nested too deeply.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(offset);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_not_bytes() {
        assert_eq!(position("a\n  é\"x", 7), (2, 5));
        assert_eq!(position("", 9), (1, 1));
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_located() {
        let problem = decode(b"{\n  \"a\": \"\xff\"}").expect_err("0xff is never UTF-8");
        assert_eq!((problem.line, problem.column), (2, 9));
    }

    #[test]
    fn brackets_inside_strings_do_not_nest() {
        assert_eq!(too_deep(&format!("\"\\\"{}\"", "[".repeat(1000))), None);
        assert_eq!(too_deep(&"[".repeat(100_000)), Some(MAX_DEPTH));
    }
}
