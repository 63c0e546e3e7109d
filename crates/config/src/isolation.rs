//! The users that processes run as, checked.

use crate::raw::RawIsolation;

/// The key `isolation`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IsolationConfig {
    /// Which user ids.
    pub uids: Uids,
}

/// The user ids that the gateway and the servers run as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uids {
    /// Those that the system reserves for the supervisor's user, or [`UidRange::DEFAULT`].
    #[default]
    Reserved,
    /// These.
    Range(UidRange),
    /// None: all run as the supervisor's user.
    Off,
}

/// User ids, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidRange {
    /// The lowest.
    pub first: u32,
    /// The highest.
    pub last: u32,
}

impl UidRange {
    /// What no distribution gives to accounts.
    pub const DEFAULT: Self = Self { first: 60_000, last: 64_999 };
}

const FORM: &str = "write the range of user ids as \"first-last\", such as \"60000-64999\", or \"off\"";
/// Below are the system's own accounts (and root).
const LOWEST: u32 = 1000;
/// The user `nobody`, and what 16-bit interfaces show instead of a user that they cannot name.
const NOBODY: std::ops::RangeInclusive<u32> = 65_534..=65_535;

pub(crate) fn check(raw: &RawIsolation) -> Result<IsolationConfig, String> {
    let uids = match raw.uids.as_deref() {
        None => Uids::Reserved,
        Some("off") => Uids::Off,
        Some(range) => Uids::Range(parse(range)?),
    };
    Ok(IsolationConfig { uids })
}

fn parse(range: &str) -> Result<UidRange, String> {
    let (first, last) = range.split_once('-').ok_or(FORM)?;
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| FORM);
    let (first, last) = (number(first)?, number(last)?);
    if first < LOWEST {
        return Err(format!("user ids below {LOWEST} belong to the system"));
    }
    if last == u32::MAX || (first <= *NOBODY.end() && last >= *NOBODY.start()) {
        return Err("65534, 65535 and 4294967295 are no user's of their own".to_owned());
    }
    if last <= first {
        return Err("the range needs at least two user ids: one for the gateway, one for a server".to_owned());
    }
    Ok(UidRange { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(text: &str) -> Result<Uids, String> {
        check(&RawIsolation { uids: Some(text.to_owned()) }).map(|isolation| isolation.uids)
    }

    #[test]
    fn a_range_of_user_ids_is_taken_and_those_of_others_are_not() {
        assert_eq!(uids("60000-64999"), Ok(Uids::Range(UidRange::DEFAULT)));
        assert_eq!(uids("100000-165535"), Ok(Uids::Range(UidRange { first: 100_000, last: 165_535 })));
        assert_eq!(uids("off"), Ok(Uids::Off));
        assert_eq!(check(&RawIsolation::default()), Ok(IsolationConfig { uids: Uids::Reserved }));
        for wrong in ["", "0-100", "999-2000", "60000", "60000-60000", "9-8", "a-b", "60000-65534", "70000-4294967295"]
        {
            assert!(uids(wrong).is_err(), "{wrong}");
        }
    }
}
