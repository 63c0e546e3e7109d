//! Durations, sizes, moments and foreign text, as people like to read them.

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

/// Milliseconds since the epoch as RFC 3339 in UTC.
pub(crate) fn moment(at_ms: u64) -> String {
    let (seconds, ms) = (at_ms / 1000, at_ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (h, m, s) = (second / 3600, second % 3600 / 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

/// The Gregorian date, counted in years that begin in March so that a leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_MARCH_0000: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_FROM_MARCH_0000;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
    fn moments_are_gregorian() {
        assert_eq!(moment(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(moment(1_795_432_377_123), "2026-11-23T11:12:57.123Z");
        assert_eq!(moment(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
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
