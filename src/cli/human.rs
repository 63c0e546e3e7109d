//! Durations, sizes and foreign text, as people like to read them.

use std::{borrow::Cow, time::Duration};

use mcproxy_ipc::is_unprintable;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Two units at most: `42s`, `3m 5s`, `2h 10m`, `5d 3h`.
pub(crate) fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// Memory: `0` is unknown and becomes `-`.
pub(crate) fn bytes(n: u64) -> String {
    const KIB: f64 = 1024.0;
    let kib = n as f64 / KIB;
    match n {
        0 => "-".into(),
        _ if kib < KIB => format!("{kib:.0} KiB"),
        _ if kib < KIB * KIB => format!("{:.0} MiB", kib / KIB),
        _ => format!("{:.1} GiB", kib / KIB / KIB),
    }
}

/// Whether a terminal shows this character as one, in its place, and does nothing else because of it. The two joiners are parts
/// of words and emoji, and move nothing.
fn is_harmless(c: char) -> bool {
    matches!(c, '\n' | '\t' | '\u{200c}' | '\u{200d}') || !is_unprintable(c)
}

/// Text of others made safe for a terminal: colour sequences are left out, other characters that a terminal obeys
/// instead of showing them (C0 and C1 controls, changes of the direction) become `�`. Line feeds and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let harmless = is_harmless;
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                skip_sequence(&mut rest);
            }
            // The same in one character.
            '\u{9b}' => skip_sequence(&mut rest),
            '\r' if rest.peek() == Some(&'\n') => {}
            c if harmless(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    Cow::Owned(out)
}

/// Skips the rest of a control sequence: parameters, then one final byte (ECMA-48 §5.4).
fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// The text in lines of at most `width` columns, broken at white space where there is some; at most `most` lines, the
/// last of which then ends in `…`.
pub(crate) fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is always one");
            let used = line.width();
            let gap = usize::from(!line.is_empty());
            if used + gap + word.width() <= width {
                line.extend([if gap == 1 { " " } else { "" }, word]);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            // A word that no line has room for is cut where the line ends.
            let fits = fitting(word, width.max(2));
            line.push_str(&word[..fits]);
            word = &word[fits..];
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            let fits = fitting(last, width.saturating_sub(1));
            last.truncate(fits);
            last.push('…');
        }
    }
    lines
}

/// How many bytes of a text fit into so many columns.
pub(crate) fn fitting(text: &str, width: usize) -> usize {
    let mut used = 0;
    let over = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > width
    });
    over.map_or(text.len(), |(at, _)| at)
}

/// Text of others made safe for a terminal, on one line.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line broken between words where it is wider than the terminal; what goes on is indented.
pub(crate) fn wrapped(line: &str, width: Option<usize>, indent: &str) -> String {
    match width {
        Some(width) => wrap(line, width.saturating_sub(indent.len()), usize::MAX).join(&format!("\n{indent}")),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_printed_moves_the_cursor(text in "[\\x00-\\x20a\\x1b\\[0-9;mé\\u{9b}]{0,40}") {
            prop_assert!(printable(&text).chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
            prop_assert!(one_line(&text).chars().all(|c| !c.is_control()));
        }

        #[test]
        fn no_wrapped_line_is_wider_than_asked_for(text in "[a-z漢é ]{0,80}", width in 4usize..40, most in 1usize..5) {
            let lines = wrap(&text, width, most);
            prop_assert!(lines.len() <= most && lines.iter().all(|line| line.width() <= width), "{lines:?}");
            if most == 4 && lines.len() < 4 {
                let squeezed = |text: &str| text.split_whitespace().collect::<String>();
                prop_assert_eq!(squeezed(&lines.concat()), squeezed(&text), "nothing is lost");
            }
        }
    }

    #[test]
    fn a_long_line_is_broken_between_words_and_a_short_one_is_not() {
        let line = "file.json:1:2  /servers: warning: this is rather a long line";
        assert_eq!(wrapped(line, None, "  "), line);
        assert_eq!(wrapped(line, Some(90), "  "), "file.json:1:2 /servers: warning: this is rather a long line");
        assert_eq!(wrapped(line, Some(36), "  "), "file.json:1:2 /servers: warning:\n  this is rather a long line");
    }

    #[test]
    fn durations_have_two_units() {
        let of = |s| duration(Duration::from_secs(s));
        assert_eq!([of(0), of(59), of(185), of(7_800), of(443_000)], ["0s", "59s", "3m 5s", "2h 10m", "5d 3h"]);
    }

    #[test]
    fn sizes_are_rounded() {
        assert_eq!([bytes(0), bytes(2048), bytes(70 << 20), bytes(3 << 29)], ["-", "2 KiB", "70 MiB", "1.5 GiB"]);
    }

    #[test]
    fn colours_are_left_out_and_escapes_shown() {
        assert_eq!(printable("\u{1b}[1;31mred\u{1b}[0m\r\nplain"), "red\nplain");
        assert_eq!(printable("\u{1b}]0;title\u{7}"), "\u{fffd}]0;title\u{fffd}");
        assert_eq!(printable("a\u{9b}31mred"), "ared");
        assert_eq!(one_line("a\n\n  b\tc"), "a b c");
    }

    #[test]
    fn text_cannot_be_made_to_read_as_another() {
        assert_eq!(printable("a\u{202e}b\u{2066}c\u{2069}\u{200e}"), "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}");
        assert_eq!(printable("a\u{200b}b\u{2060}c\u{2065}\u{61c}"), "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}");
        assert_eq!(printable("a\u{e0041}b"), "a\u{fffd}b", "text that is not seen");
        assert_eq!(printable("👩‍👩‍👧 می‌خواهم"), "👩‍👩‍👧 می‌خواهم", "joiners are part of words and emoji");
    }

    #[test]
    fn what_has_no_room_ends_in_an_ellipsis() {
        assert_eq!(wrap("one two three four", 9, 2), ["one two", "three…"]);
        assert_eq!(wrap("漢字漢字", 5, 9), ["漢字", "漢字"]);
        assert_eq!(wrap("  ", 5, 9), [""; 0]);
    }
}
