//! Dates that clients can read.

/// Whether a text is a date and time of ISO 8601 in the form that the TypeScript SDK takes: a day that exists, hours and
/// minutes, perhaps seconds with any fraction, and `Z` or an offset.
pub(super) fn is_instant(text: &str) -> bool {
    parts(text).is_some()
}

fn parts(text: &str) -> Option<()> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-');
    let (year, month, day) = (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    if date.next().is_some() || !(1..=days).contains(&day) {
        return None;
    }
    let time = match time.strip_suffix('Z') {
        Some(time) => time,
        None => {
            let (time, offset) = time.split_at_checked(time.len().checked_sub(6)?)?;
            clock(offset.strip_prefix(['+', '-'])?)?;
            time
        }
    };
    let Some((minutes, seconds)) = time.split_at_checked(5).filter(|(_, rest)| !rest.is_empty()) else {
        return clock(time);
    };
    clock(minutes)?;
    let (whole, fraction) = seconds.strip_prefix(':')?.split_at_checked(2)?;
    let plain = |fraction: &str| !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.is_empty() || fraction.strip_prefix('.').is_some_and(plain);
    (digits(whole, 2)? < 60 && fraction).then_some(())
}

/// Hours and minutes.
fn clock(text: &str) -> Option<()> {
    let (hours, minutes) = text.split_once(':')?;
    (digits(hours, 2)? < 24 && digits(minutes, 2)? < 60).then_some(())
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_days_and_times_that_exist_are_taken() {
        for good in ["2025-01-12T15:00:58Z", "2024-02-29T23:59:59.123456+02:00", "2025-01-12T15:00Z"] {
            assert!(is_instant(good), "{good}");
        }
        for bad in [
            "2025-01-12",
            "2025-02-29T00:00:00Z",
            "2025-01-12T15:00:58",
            "2025-01-12 15:00:58Z",
            "2025-01-12T24:00:00Z",
            "2025-01-12T15:00:60Z",
            "2025-01-12T15:00:58.Z",
            "2025-01-12T15:00:58+0200",
            "yesterday",
            "2025-1-12T15:00:58Z",
            "",
        ] {
            assert!(!is_instant(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_not(text in "\\PC{0,30}", near in "[0-9TZ:.+é-]{0,30}") {
            let _ = (is_instant(&text), is_instant(&near));
        }
    }
}
