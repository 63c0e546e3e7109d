//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many problems are worth reading at once; the rest are counted.
pub(crate) const MAX_KEPT: usize = 100;

/// One mistake in the file, located.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// JSON pointer to the value or key that is wrong; empty for the whole document.
    pub pointer: String,
    /// What is wrong and what to write instead; never the value of a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{}:{}  {}: {}", self.line, self.column, printable(pointer), self.message)
    }
}

/// Every mistake found in one file, in the order of the file; prints one per line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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

    /// The problems in the order of the file.
    pub fn list(&self) -> &[Problem] {
        &self.list
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
    let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if c.is_control() || hides { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_smuggle_control_characters_into_a_terminal() {
        assert_eq!(printable("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
    }
}
