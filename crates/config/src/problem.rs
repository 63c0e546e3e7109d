//! A mistake in a configuration, with its place.

use std::fmt;
use std::path::{Path, PathBuf};

use mcproxy_ipc::is_unprintable;

/// How many problems are worth reading at once; the rest are counted.
pub(crate) const MAX_KEPT: usize = 100;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It has to be mended: the file is refused, or the server that it concerns is blocked.
    Error,
    /// The file is in force; something in it is not done, or not as it may be meant.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One mistake in the file, or something in it that is not understood; located.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// JSON pointer to the value or key that is wrong; empty for the whole document.
    pub pointer: String,
    /// The mistake, and what to write instead; never the value of a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        let severity = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}:{}  {}: {severity}{}", self.line, self.column, printable(pointer), self.message)
    }
}

/// Every problem found in one file, in the order of the file; prints one per line.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    file: Option<PathBuf>,
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// `list` is in the order of the file; `more` counts those left out.
    pub(crate) fn new(list: Vec<Problem>, more: usize) -> Self {
        Self { file: None, list, more }
    }

    /// Names the file in every printed line.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// The same with further ones, in the order of the file.
    #[must_use]
    pub fn with(mut self, further: impl IntoIterator<Item = Problem>) -> Self {
        self.list.extend(further);
        self.list.sort_by_key(|problem| (problem.line, problem.column));
        self
    }

    /// The problems in the order of the file.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many further ones were left out.
    pub fn more(&self) -> usize {
        self.more
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether something has to be mended.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Each as one line, with its file.
    pub fn lines(&self) -> Vec<String> {
        self.to_string().lines().map(str::to_owned).collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match &self.file {
                Some(path) => write!(f, "{}:{problem}", path.display())?,
                None => write!(f, "{problem}")?,
            }
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more problems"),
        }
    }
}

impl From<Problem> for Problems {
    fn from(only: Problem) -> Self {
        Self::new(vec![only], 0)
    }
}

/// Text of the file's author made safe for one line of a terminal: no control characters, bounded.
pub(crate) fn printable(text: &str) -> String {
    const MAX: usize = 120;
    let mut shown: String = text.chars().take(MAX).flat_map(escape).collect();
    if text.chars().nth(MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters and the marks that reorder or hide text are shown by their code.
fn escape(c: char) -> Vec<char> {
    if is_unprintable(c) { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_smuggle_control_characters_into_a_terminal() {
        assert_eq!(printable("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
    }
}
