//! Escapes text of servers: it must not move the cursor of the person who reads it.

use std::borrow::Cow;

use mcproxy_ipc::is_unprintable;

/// Control characters, and the marks that reorder or hide text, as escapes; line breaks and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || c == '\t')
}

/// As [`printable`], and line breaks are escaped too.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\t')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harmful = |c: char| !keep(c) && is_unprintable(c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_cannot_colour_or_clear_the_terminal() {
        assert_eq!(one_line("\u{1b}[2Jhi\r\n\u{9b}31m"), "\\u{1b}[2Jhi\\r\\n\\u{9b}31m");
        assert_eq!(printable("two\nlines\u{202e}"), "two\nlines\\u{202e}");
        assert!(matches!(one_line("plain – text"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_control_character_passes(text in any::<String>()) {
            prop_assert!(!one_line(&text).chars().any(|c| c.is_control() && c != '\t'));
        }
    }
}
