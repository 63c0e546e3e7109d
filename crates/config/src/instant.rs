//! Moments that people write: a date, or a date and a time of RFC 3339.

use std::time::{Duration, SystemTime};

/// The moment; of a date alone, its beginning in UTC. `None`: it is none, or before 1970.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let second = days(date)? * 86_400 + time.map_or(Some(0), seconds)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(second).ok()?))
}

/// The days from 1970-01-01 to a date that exists, counted in years that begin in March so that a leap day is a year's last.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if parts.next().is_some() || !(1..=length).contains(&day) {
        return None;
    }
    const TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - TO_1970)
}

/// The seconds of `HH:MM[:SS[.fraction]]` and a zone, in UTC.
fn seconds(text: &str) -> Option<i64> {
    let (time, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let (time, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
            let east = zone.strip_prefix('+').map(|zone| (1, zone));
            let (sign, zone) = east.or_else(|| zone.strip_prefix('-').map(|zone| (-1, zone)))?;
            (time, sign * clock(zone)?)
        }
    };
    let Some((minutes, rest)) = time.split_at_checked(5).filter(|(_, rest)| !rest.is_empty()) else {
        return Some(clock(time)? - offset);
    };
    let (second, fraction) = rest.strip_prefix(':')?.split_at_checked(2)?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let second = digits(second, 2).filter(|second| *second < 60)?;
    let fits = fraction.is_empty() || fraction.strip_prefix('.').is_some_and(plain);
    fits.then_some(())?;
    Some(clock(minutes)? + second - offset)
}

/// The seconds of `HH:MM`.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unix(text: &str) -> Option<u64> {
        parse(text).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs())
    }

    #[test]
    fn dates_and_times_are_those_of_the_calendar() {
        for (text, second) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("2026-11-23T11:12:57.123Z", 1_795_432_377),
            ("2026-11-23T12:12:57+01:00", 1_795_432_377),
            ("2026-11-23t06:12:57-05:00", 1_795_432_377),
            ("2026-11-23T11:12Z", 1_795_432_320),
        ] {
            assert_eq!(unix(text), Some(second), "{text}");
        }
        for bad in [
            "",
            "2026",
            "2026-2-01",
            "2026-02-30",
            "2025-02-29",
            "2026-13-01",
            "2026-01-01T",
            "2026-01-01T10:00",
            "2026-01-01T24:00Z",
            "2026-01-01T10:60Z",
            "2026-01-01T10:00:60Z",
            "2026-01-01T10:00:00.Z",
            "1969-12-31",
            "2026-01-01 10:00Z",
            "tomorrow",
            "2026-01-01T10:00:00+1:00",
            "0000-01-01",
        ] {
            assert_eq!(unix(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_not_and_days_follow_each_other(text in "\\PC{0,30}", near in "[0-9TZ:.+é-]{0,30}", day in 1_i64..28) {
            let _ = (parse(&text), parse(&near));
            let at = |day: i64| unix(&format!("2031-07-{day:02}")).expect("a date");
            prop_assert_eq!(at(day + 1) - at(day), 86_400);
        }
    }
}
