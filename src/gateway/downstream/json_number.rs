//! Numbers as texts of any length, compared as what they mean.

/// A number in the one form that it has: digits without zeros at either end, and where the point is (`0.DIGITS × 10^exponent`).
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// Whether both are numbers, as JSON writes them, and the same one.
pub(super) fn same_number(one: &str, other: &str) -> bool {
    Decimal::read(one).is_some_and(|one| Some(one) == Decimal::read(other))
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            // More digits than that are of no number that anybody means.
            Some((mantissa, exponent)) if exponent.len() <= 9 => (mantissa, exponent.parse::<i64>().ok()?),
            Some(_) => return None,
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let is_number = !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if !is_number || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let leading = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self { negative, digits, exponent: exponent + point })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        for (one, other) in [
            ("42", "42.0"),
            ("42", "4.2e1"),
            ("42", "0.42E+2"),
            ("-7", "-7.000"),
            ("0", "-0.0e5"),
            ("100", "1e2"),
            ("0.5", "5e-1"),
            ("1E310", "10e+309"),
            ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
        ] {
            assert!(same_number(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("42", "43"),
            ("42", "-42"),
            ("9007199254740992", "9007199254740993"),
            ("1", "10"),
            ("1", "0.1"),
            ("42", "042"),
            ("42", "+42"),
            ("42", " 42"),
            ("42", "42."),
            ("42", "0x2a"),
            ("", ""),
            ("e1", "e1"),
            ("1e99999999999", "1e99999999999"),
        ] {
            assert!(!same_number(one, other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn integers_equal_themselves_however_they_are_written_and_no_other(n in any::<i64>(), m in any::<i64>(), zeros in 1usize..4) {
            let text = n.to_string();
            let fraction = format!("{n}.{}", "0".repeat(zeros));
            let scaled = format!("{n}{}e-{zeros}", "0".repeat(zeros));
            prop_assert!(same_number(&text, &fraction));
            prop_assert!(n == 0 || same_number(&text, &scaled));
            prop_assert_eq!(same_number(&text, &m.to_string()), n == m);
        }

        #[test]
        fn any_text_is_a_number_or_none(one in ".{0,12}", other in "[-+0-9.eE]{0,12}") {
            // Whatever its size: the grammar alone decides.
            let is_number = serde_json::from_str::<&mcproxy_mcp::RawValue>(&other).is_ok();
            let is_read = same_number(&other, &other);
            prop_assert!(!is_read || is_number);
            prop_assert!(is_read || !is_number || other.len() > 9, "{}", other);
            prop_assert_eq!(same_number(&one, &other), same_number(&other, &one));
        }
    }
}
