//! The bytes of the file: bounded, UTF-8, and positions as people count them.

use crate::problem::{Problem, Severity};

/// The largest configuration that is read. Ten thousand servers fit; a file given by mistake does not.
pub const MAX_FILE: usize = 10 * 1024 * 1024;

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
}
