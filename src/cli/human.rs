//! Durations, sizes and foreign text, as people like to read them.

use std::{borrow::Cow, time::Duration};

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

/// Text of others made safe for a terminal: colour sequences are left out, other control characters are shown as `�`.
/// Line feeds and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                // Parameters, then one final byte (ECMA-48 §5.4).
                while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                rest.next_if(|c| matches!(c, '@'..='~'));
            }
            '\r' if rest.peek() == Some(&'\n') => {}
            c if harmless(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    Cow::Owned(out)
}

/// The same on one line.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
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
        assert_eq!(one_line("a\n\n  b\tc"), "a b c");
    }
}
