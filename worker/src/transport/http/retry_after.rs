//! How long a server asks to be left alone (`Retry-After`, RFC 9110 §10.2.3): seconds, or a date. Pure.

use std::time::{Duration, SystemTime};

/// Of what cannot be read.
const OF_ANYTHING: Duration = Duration::from_secs(5);
/// A server that asks for no wait at all is not asked again in a busy loop.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long the server asks to be left alone. `date`: what its clock says (its header `Date`), which a date in `value` is measured
/// by, because that clock may be wrong; `now`: what ours says, where it says nothing.
pub(super) fn retry_after(value: &str, date: Option<&str>, now: SystemTime) -> Duration {
    let value = value.trim();
    let wait = match value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // More digits than a number has is a very long time.
        true => Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))),
        false => match httpdate::parse_http_date(value) {
            Ok(until) => {
                let its_now = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
                until.duration_since(its_now).unwrap_or_default()
            }
            Err(_) => OF_ANYTHING,
        },
    };
    wait.max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

    fn seconds(value: &str, date: Option<&str>, now: SystemTime) -> u64 {
        retry_after(value, date, now).as_secs()
    }

    #[test]
    fn seconds_and_dates_are_read() {
        let at = httpdate::parse_http_date(AT).expect("a date");
        assert_eq!(seconds(" 120 ", None, at), 120);
        assert_eq!(seconds(AT, None, at - Duration::from_secs(30)), 30);
        // RFC 850 and asctime, which servers still send.
        assert_eq!(seconds("Wednesday, 21-Oct-15 07:28:00 GMT", None, at - Duration::from_secs(9)), 9);
        assert_eq!(seconds("Wed Oct 21 07:28:00 2015", None, at - Duration::from_secs(9)), 9);
        assert_eq!(seconds("soon", None, at), OF_ANYTHING.as_secs());
        assert_eq!(seconds("99999999999999999999999", None, at), u64::from(u32::MAX));
    }

    #[test]
    fn a_date_is_measured_by_the_clock_of_the_server_that_wrote_it() {
        let years_later = httpdate::parse_http_date(AT).expect("a date") + Duration::from_secs(300_000_000);
        assert_eq!(seconds(AT, Some("Wed, 21 Oct 2015 07:27:18 GMT"), years_later), 42);
        assert_eq!(seconds(AT, Some("no date"), years_later), SHORTEST.as_secs(), "then by ours");
    }

    #[test]
    fn a_server_that_asks_for_no_wait_is_not_asked_in_a_busy_loop() {
        let now = SystemTime::now();
        assert_eq!(retry_after("0", None, now), SHORTEST);
        assert_eq!(retry_after(AT, None, now), SHORTEST, "it is past");
    }

    proptest! {
        #[test]
        fn any_text_is_a_wait(value in ".{0,40}", date in prop::option::of(".{0,40}")) {
            let wait = retry_after(&value, date.as_deref(), SystemTime::now());
            prop_assert!(wait >= SHORTEST);
        }
    }
}
