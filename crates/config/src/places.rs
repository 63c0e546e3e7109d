//! Where in a file its servers are, for those who find more wrong with them than the file can say.

use crate::dialect::{self, ServerEntry};
use crate::problem::{Problem, Severity};
use crate::report::Report;
use crate::text;
use crate::tree::{self, Node};

/// The places of one file.
pub struct Places {
    text: String,
    root: Node,
    entries: Vec<ServerEntry>,
}

impl Places {
    /// Of a file that was read as a configuration.
    pub fn of_file(bytes: &[u8]) -> Option<Self> {
        let text = text::decode(bytes).ok()?;
        text::check_size(text).ok()?;
        let mut report = Report::default();
        let root = tree::parse(text, &|_| None, &mut report)?;
        let entries = dialect::take_entries(&mut root.clone(), &mut report);
        Some(Self { text: text.to_owned(), root, entries })
    }

    /// A warning about one key of a server, by its number in the file; about its name where the key is not found.
    pub fn warning(&self, server: usize, key: &str, message: String) -> Problem {
        let entry = self.entries.get(server);
        let offset = entry.map_or(0, |entry| entry.node.get(key).map_or(entry.name_at, |node| node.span.start));
        let (line, column) = text::position(&self.text, offset);
        let pointer = self.root.pointer_to(offset);
        Problem { severity: Severity::Warning, line, column, pointer, message }
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("servers", &self.entries.len()).finish_non_exhaustive()
    }
}
