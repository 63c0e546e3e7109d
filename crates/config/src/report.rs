//! Collects problems by byte offset while the file is read; positions and pointers are worked out at the end.

use crate::problem::{MAX_KEPT, Problem, Problems, Severity};
use crate::text::position;
use crate::tree::Node;

/// The message for a mistake of ours: the schema and the types disagree.
pub(crate) const NOT_READABLE: &str =
    "this configuration has the right shape and still cannot be read; please report this";

/// The mistakes and warnings so far about the file, or about one entry of it.
#[derive(Default)]
pub(crate) struct Report {
    found: Vec<Found>,
    refused: bool,
    of_entry: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    offset: usize,
    severity: Severity,
    message: String,
}

impl Report {
    /// For one entry: what is wrong there blocks that server and refuses nothing.
    pub(crate) fn of_entry() -> Self {
        Self { of_entry: true, ..Self::default() }
    }

    /// Notes a mistake in what is written at a byte offset.
    pub(crate) fn add(&mut self, offset: usize, message: impl Into<String>) {
        self.refused |= !self.of_entry;
        self.push(offset, Severity::Error, message.into());
    }

    /// Notes a mistake for which the file is refused, wherever it stands.
    pub(crate) fn refuse(&mut self, offset: usize, message: impl Into<String>) {
        self.refused = true;
        self.push(offset, Severity::Error, message.into());
    }

    /// Notes something that is not done, or not as it may be meant.
    pub(crate) fn warn(&mut self, offset: usize, message: impl Into<String>) {
        self.push(offset, Severity::Warning, message.into());
    }

    fn push(&mut self, offset: usize, severity: Severity, message: String) {
        self.found.push(Found { offset, severity, message });
    }

    /// Whether a further problem is likely to be shown, and so worth an expensive hint.
    pub(crate) fn is_read(&self) -> bool {
        self.found.len() < 10 * MAX_KEPT
    }

    /// Whether the file is refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }

    /// The first mistake in the order of the file.
    pub(crate) fn first_error(&self) -> Option<(usize, &str)> {
        let first = self.found.iter().filter(|found| found.severity == Severity::Error).min()?;
        Some((first.offset, &first.message))
    }

    /// Takes over what was found in an entry.
    pub(crate) fn merge(&mut self, entry: Self) {
        self.refused |= entry.refused;
        self.found.extend(entry.found);
    }

    /// The problems in the order of the file; `root` is absent when the text is not JSON. Of too many, the mistakes are
    /// kept first.
    pub(crate) fn into_problems(mut self, text: &str, root: Option<&Node>) -> Problems {
        self.found.sort();
        self.found.dedup();
        let more = self.found.len().saturating_sub(MAX_KEPT);
        // Stable: the order of the file stays within each severity.
        self.found.sort_by_key(|found| found.severity);
        self.found.truncate(MAX_KEPT);
        self.found.sort();
        let locate = |Found { offset, severity, message }: Found| {
            let (line, column) = position(text, offset);
            let pointer = root.map(|root| root.pointer_to(offset)).unwrap_or_default();
            Problem { severity, line, column, pointer, message }
        };
        Problems::new(self.found.into_iter().map(locate).collect(), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_problems_print_a_hundred_lines_and_a_count() {
        let mut report = Report::default();
        (0..10_000).for_each(|offset| report.add(offset, "wrong"));
        let text = report.into_problems(&"\n".repeat(10_000), None).to_string();
        assert_eq!(text.lines().count(), 101);
        assert!(text.ends_with("9900 more problems"), "{text}");
    }

    #[test]
    fn a_mistake_behind_a_thousand_warnings_is_shown() {
        let mut report = Report::default();
        (0..1000).for_each(|offset| report.warn(offset, "odd"));
        report.add(1000, "wrong");
        let problems = report.into_problems(&"\n".repeat(1001), None);
        assert!(problems.has_errors() && problems.list().len() == MAX_KEPT, "{problems}");
    }
}
