//! Collects problems by byte offset while the file is read; positions and pointers are worked out at the end.

use crate::problem::{MAX_KEPT, Problem, Problems};
use crate::text::position;
use crate::tree::Node;

/// What is wrong so far.
#[derive(Default)]
pub(crate) struct Report {
    found: Vec<(usize, String)>,
}

impl Report {
    /// Notes a problem with what is written at a byte offset.
    pub(crate) fn add(&mut self, offset: usize, message: impl Into<String>) {
        self.found.push((offset, message.into()));
    }

    /// Whether a further problem is likely to be shown, and so worth an expensive hint.
    pub(crate) fn is_read(&self) -> bool {
        self.found.len() < 10 * MAX_KEPT
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of the file; `root` is absent when the text is not JSON.
    pub(crate) fn into_problems(mut self, text: &str, root: Option<&Node>) -> Problems {
        self.found.sort();
        self.found.dedup();
        let more = self.found.len().saturating_sub(MAX_KEPT);
        let locate = |(offset, message): (usize, String)| {
            let (line, column) = position(text, offset);
            let pointer = root.map(|root| root.pointer_to(offset)).unwrap_or_default();
            Problem { line, column, pointer, message }
        };
        Problems::new(self.found.into_iter().take(MAX_KEPT).map(locate).collect(), more)
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
}
