//! How the files of one trail are called: the one that is written, and those before it by the number of their first line.

/// The file that is written.
pub const FILE: &str = "audit.jsonl";

/// The name that a full file gets. Names sort as their lines do.
pub fn rotated_name(first: u64) -> String {
    format!("audit-{first:020}.jsonl")
}

/// The number of the first line of a full file; `None`: the name is none of those.
pub fn file_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_number_and_sorts_by_it() {
        assert_eq!(file_number(&rotated_name(7)), Some(7));
        assert!(rotated_name(9) < rotated_name(10) && rotated_name(u64::MAX) > rotated_name(1));
        for other in [FILE, "audit-7.jsonl", "audit-0000000000000000000x.jsonl", "x"] {
            assert_eq!(file_number(other), None, "{other}");
        }
    }
}
