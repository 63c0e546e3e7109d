//! Cursors of merged lists.

use super::ListKind;

/// Longest cursor that is looked at.
const MAX_LEN: usize = 64 * 1024;

/// A cursor that is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this list gave out")]
pub(crate) struct CursorError;

/// The cursor behind the entry of this key. It holds the key itself, so it means something in every later catalogue.
pub(super) fn encode(kind: ListKind, last: &str) -> String {
    let mut out = String::with_capacity(last.len() * 2 + 1);
    out.push(letter(kind));
    for byte in last.bytes() {
        for digit in [byte >> 4, byte & 15] {
            out.extend(char::from_digit(digit.into(), 16));
        }
    }
    out
}

/// The key in a cursor; `None` for the empty one, which stands at the start.
pub(super) fn decode(kind: ListKind, cursor: &str) -> Result<Option<String>, CursorError> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let hex = cursor.strip_prefix(letter(kind)).filter(|hex| hex.len() <= MAX_LEN && hex.len().is_multiple_of(2));
    let bytes: Option<Vec<u8>> = hex.ok_or(CursorError)?.as_bytes().chunks(2).map(byte).collect();
    let key = String::from_utf8(bytes.ok_or(CursorError)?).map_err(|_| CursorError)?;
    if key.is_empty() { Err(CursorError) } else { Ok(Some(key)) }
}

fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)
}

fn letter(kind: ListKind) -> char {
    match kind {
        ListKind::Tools => 't',
        ListKind::Prompts => 'p',
        ListKind::Resources => 'r',
        ListKind::Templates => 'm',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_says_its_key_again(key in "\\PC{1,40}") {
            for kind in ListKind::ALL {
                prop_assert_eq!(decode(kind, &encode(kind, &key)), Ok(Some(key.clone())));
            }
            prop_assert_eq!(decode(ListKind::Tools, &encode(ListKind::Prompts, &key)), Err(CursorError));
        }

        #[test]
        fn any_text_is_a_cursor_or_refused(text in "\\PC{0,20}", hex in "t[0-9a-f]{0,9}") {
            let _ = decode(ListKind::Tools, &text);
            let _ = decode(ListKind::Tools, &hex);
        }
    }

    #[test]
    fn the_empty_cursor_stands_at_the_start() {
        assert_eq!(decode(ListKind::Tools, ""), Ok(None));
        assert_eq!(decode(ListKind::Tools, "t"), Err(CursorError));
        assert_eq!(decode(ListKind::Tools, "nonsense"), Err(CursorError));
    }
}
