//! Which user ids there are: those that this user namespace knows (user_namespaces(7)), and those that are set aside for a user
//! (subuid(5)).

use std::{fs, ops::RangeInclusive, path::Path};

use mcproxy_config::UidRange;

/// The ids of one map of a namespace, or of `/etc/subuid`: the first of each run, and how many.
#[derive(Debug, Default, PartialEq, Eq)]
struct IdRuns(Vec<(u32, u32)>);

impl IdRuns {
    /// `/proc/self/uid_map`: the id here, the id outside, how many.
    fn of_map(text: &str) -> Self {
        let run = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
            let (first, _, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
            Some((first, count))
        };
        Self(text.lines().filter_map(run).collect())
    }

    /// The lines of `/etc/subuid` for a user, who is there by name or by number.
    fn of_user(text: &str, user: &[&str]) -> Self {
        let run = |line: &str| {
            let mut fields = line.trim().split(':');
            let whose = fields.next()?;
            let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            user.contains(&whose).then_some((first, count))
        };
        Self(text.lines().filter_map(run).collect())
    }

    fn contains(&self, ids: RangeInclusive<u32>) -> bool {
        let mut at = *ids.start();
        // Runs may follow each other without a gap.
        while let Some((first, count)) = self.0.iter().find(|(first, count)| at >= *first && at - first < *count) {
            match first.checked_add(*count) {
                Some(end) if end <= *ids.end() => at = end,
                Some(_) | None => return true,
            }
        }
        false
    }
}

/// Whether all of these are users and groups here. Where the kernel does not say, they are.
pub(super) fn is_mapped(range: UidRange) -> bool {
    let is_in = |map: &str| {
        fs::read_to_string(map).map_or(true, |text| IdRuns::of_map(&text).contains(range.first..=range.last))
    };
    is_in("/proc/self/uid_map") && is_in("/proc/self/gid_map")
}

/// What the system sets aside for the user that we run as, who is not root.
pub(super) fn set_aside_for(name: Option<&str>, uid: u32) -> Option<UidRange> {
    set_aside_in(Path::new("/etc"), name, uid)
}

fn set_aside_in(etc: &Path, name: Option<&str>, uid: u32) -> Option<UidRange> {
    let number = uid.to_string();
    let who: Vec<&str> = name.into_iter().chain([number.as_str()]).collect();
    let of = |file: &str| IdRuns::of_user(&fs::read_to_string(etc.join(file)).unwrap_or_default(), &who);
    let groups = of("subgid");
    of("subuid").0.into_iter().find_map(|(first, count)| {
        let last = first.checked_add(count)?.checked_sub(1)?;
        (last > first && groups.contains(first..=last)).then_some(UidRange { first, last })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_mapped_when_every_id_of_it_is() {
        let whole = IdRuns::of_map("         0          0 4294967295\n");
        assert!(whole.contains(60_000..=64_999));
        let container = IdRuns::of_map("0 1000 1\n1 100000 65536\n");
        assert!(container.contains(60_000..=64_999) && container.contains(0..=65_536));
        assert!(!container.contains(60_000..=65_537) && !container.contains(70_000..=70_001));
        assert!(!IdRuns::of_map("0 1000 1\n").contains(60_000..=64_999));
        assert!(!IdRuns::of_map("nonsense").contains(1..=2));
    }

    #[test]
    fn what_is_set_aside_for_a_user_is_found_by_name_and_by_number() {
        let etc = tempfile::tempdir().expect("a directory");
        let write = |file, text| fs::write(etc.path().join(file), text).expect("written");
        write("subuid", "other:50:10\nmcproxy:100000:65536\n7:300000:100\n");
        assert_eq!(set_aside_in(etc.path(), Some("mcproxy"), 999), None, "no groups");
        write("subgid", "mcproxy:100000:65536\n7:300000:100\n");
        let found = set_aside_in(etc.path(), Some("mcproxy"), 999);
        assert_eq!(found, Some(UidRange { first: 100_000, last: 165_535 }));
        assert_eq!(set_aside_in(etc.path(), None, 7), Some(UidRange { first: 300_000, last: 300_099 }));
        assert_eq!(set_aside_in(etc.path(), Some("nobody"), 8), None);
    }
}
