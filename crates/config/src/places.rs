//! Where in a file its servers are, for those who find more wrong with them than the file can say.

use mcproxy_ipc::environment::is_credential;

use crate::dialect::{self, ServerEntry};
use crate::interpolate::Expanded;
use crate::problem::{Problem, Severity, printable};
use crate::report::Report;
use crate::text;
use crate::tree::{self, ConfigText, Node};

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
        self.warning_at(offset, message)
    }

    /// A warning about the tool rules of a group.
    pub fn warning_of_group(&self, group: &str, message: String) -> Problem {
        let rules = self.root.at(&["groups", group, "tools"]);
        self.warning_at(rules.map_or(0, |node| node.span.start), message)
    }

    fn warning_at(&self, offset: usize, message: String) -> Problem {
        let (line, column) = text::position(&self.text, offset);
        let pointer = self.root.pointer_to(offset);
        Problem { severity: Severity::Warning, line, column, pointer, message }
    }

    /// JSON pointers to values that are credentials by their name and are written out instead of `${VARIABLE}`.
    pub fn literal_secrets(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut look = |node: &Node| {
            let is_literal =
                |text: &ConfigText| matches!(&text.expanded, Expanded::Literal(value) if !value.is_empty());
            if node.text().is_some_and(is_literal) {
                found.push(printable(&self.root.pointer_to(node.span.start)));
            }
        };
        let tokens = self.root.at(&["auth", "tokens"]).map(Node::elements).unwrap_or_default();
        tokens.iter().filter_map(|token| token.get("token")).for_each(&mut look);
        let defaults = self.root.at(&["defaults", "env"]).map(Node::members).unwrap_or_default();
        let of_servers = self.entries.iter().filter_map(|entry| entry.node.get("env")).flat_map(Node::members);
        for variable in defaults.iter().chain(of_servers) {
            let name = variable.key.to_ascii_lowercase();
            if name.split(|c: char| !c.is_ascii_alphanumeric()).any(is_credential) {
                look(&variable.node);
            }
        }
        found
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("servers", &self.entries.len()).finish_non_exhaustive()
    }
}
