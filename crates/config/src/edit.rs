//! Edits of a configuration that a person wrote: a server more, one less, one on or off. Comments and order stay, and so does
//! every byte that is not about that server. Nothing is checked here; that is for those who write the file.

mod tokens;

use mcproxy_ipc::ServerName;

pub use self::tokens::{EditableToken, TokenEditError};
use crate::dialect::{self, ServerEntry};
use crate::foreign::written;
use crate::json_text::Json;
use crate::problem::{Problems, printable};
use crate::report::Report;
use crate::splice::{ItemList, Splice, apply};
use crate::text;
use crate::tree::{self, Node, TreeValue};

/// Where servers are written if the file has none.
const OWN_CONTAINER: &str = "mcpServers";
/// Other places where a file may keep its servers, by name or in a list.
const CONTAINERS: [&str; 3] = ["mcpServers", "servers", "context_servers"];
/// Keys that say of a server that it is on, as programs call it.
const ON: [&str; 3] = ["enabled", "isActive", "active"];
const OFF: &str = "disabled";

/// A file to be edited.
pub struct EditableConfig {
    /// Without the mark.
    text: String,
    mark: &'static str,
    root: Node,
    entries: Vec<ServerEntry>,
    names: Vec<ServerName>,
}

/// Why a file cannot be edited so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is one already.
    #[error("there is a server `{0}` already")]
    Exists(ServerName),
    /// There is none.
    #[error("there is no server `{0}` in the file")]
    Unknown(String),
    /// The file keeps it in a way that cannot be edited.
    #[error("the file has no place for it: {0}")]
    Place(&'static str),
}

impl EditableConfig {
    /// Reads the file, as far as is needed to find its servers.
    ///
    /// # Errors
    /// It is not JSON, or not text.
    pub fn of_file(bytes: &[u8]) -> Result<Self, Problems> {
        let text = text::decode(bytes)?;
        let mark = if bytes.starts_with("\u{feff}".as_bytes()) { "\u{feff}" } else { "" };
        let mut report = Report::default();
        let Some(root) = tree::parse(text, &|_| None, &mut report) else {
            return Err(report.into_problems(text, None));
        };
        let mut entries = dialect::take_entries(&mut root.clone(), &mut report);
        let names = dialect::assign(&mut entries);
        Ok(Self { text: text.to_owned(), mark, root, entries, names })
    }

    /// The names of its servers, in its order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(ServerName::as_str)
    }

    /// The file with one server more.
    ///
    /// # Errors
    /// There is one of that name, or no place for it.
    pub fn with_server(&self, name: &ServerName, entry: &Json) -> Result<String, EditError> {
        if self.names.contains(name) {
            return Err(EditError::Exists(name.clone()));
        }
        let container = self.container().map(|key| (key, self.root.get(key)));
        let splices = match container {
            Some((_, Some(node @ Node { value: TreeValue::Array(_), .. }))) => {
                let mut members = vec![("name".to_owned(), Json::Text(name.to_string()))];
                members.extend(entry.members().iter().cloned());
                self.list(node)?.append_element(&Json::Object(members))
            }
            Some((_, Some(node @ Node { value: TreeValue::Null, .. }))) => {
                let servers = Json::Object(vec![(name.to_string(), entry.clone())]);
                vec![Splice::replace(node, &servers)]
            }
            Some((_, Some(node))) => self.list(node)?.append_member(name.as_str(), entry),
            Some((_, None)) | None if self.is_bare() => self.object(&self.root)?.append_member(name.as_str(), entry),
            Some((_, None)) | None => {
                let servers = Json::Object(vec![(name.to_string(), entry.clone())]);
                self.object(&self.root)?.append_member(OWN_CONTAINER, &servers)
            }
        };
        Ok(self.after(splices))
    }

    /// The file with one server less.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn without_server(&self, name: &str) -> Result<String, EditError> {
        let (parent, at) = self.place(name)?;
        Ok(self.after(self.list(parent)?.remove(at)))
    }

    /// The file with a server on or off. The same file, if it says so already.
    ///
    /// # Errors
    /// There is none of that name, or its entry is no object.
    pub fn with_switch(&self, name: &str, on: bool) -> Result<String, EditError> {
        let (parent, at) = self.place(name)?;
        let entry = match &parent.value {
            TreeValue::Object(members) => &members[at].node,
            TreeValue::Array(elements) => &elements[at],
            TreeValue::Null | TreeValue::Bool(_) | TreeValue::Number(_) | TreeValue::String(_) => parent,
        };
        let list = self.list(entry)?;
        let members = entry.members();
        let switches = members.iter().filter(|member| ON.contains(&member.key.as_str()));
        let mut splices: Vec<Splice> =
            switches.clone().map(|member| Splice::replace(&member.node, &Json::Bool(on))).collect();
        let off = members.iter().position(|member| member.key == OFF);
        match (off, on) {
            (Some(at), true) => splices.extend(list.remove(at)),
            (Some(at), false) => splices.push(Splice::replace(&members[at].node, &Json::Bool(true))),
            (None, true) => {}
            (None, false) if splices.is_empty() => splices = list.append_member(OFF, &Json::Bool(true)),
            (None, false) => {}
        }
        Ok(self.after(splices))
    }

    /// The file in which a server says of itself that it is on, for defaults that say otherwise.
    ///
    /// # Errors
    /// As [`EditableConfig::with_switch`].
    pub fn with_own_switch(&self, name: &str) -> Result<String, EditError> {
        let (parent, at) = self.place(name)?;
        let entry = parent.members().get(at).map(|member| &member.node).or_else(|| parent.elements().get(at));
        let list = self.list(entry.unwrap_or(parent))?;
        Ok(self.after(list.append_member(ON[0], &Json::Bool(true))))
    }

    /// The file with a key more.
    ///
    /// # Errors
    /// The file is no object.
    pub fn with_key(&self, key: &str, value: &Json) -> Result<String, EditError> {
        Ok(self.after(self.object(&self.root)?.append_member(key, value)))
    }

    /// The value of a member of an object below the root.
    pub fn member_of(&self, container: &str, key: &str) -> Option<Json> {
        self.root.at(&[container, key]).map(written)
    }

    /// The file with a member more in an object below the root, which is made if it is not there.
    ///
    /// # Errors
    /// There is something else in the place of that object.
    pub fn with_member_of(&self, container: &str, key: &str, value: &Json) -> Result<String, EditError> {
        let alone = || Json::Object(vec![(key.to_owned(), value.clone())]);
        let splices = match self.root.get(container) {
            None => self.object(&self.root)?.append_member(container, &alone()),
            Some(node @ Node { value: TreeValue::Null, .. }) => vec![Splice::replace(node, &alone())],
            Some(node @ Node { value: TreeValue::Object(_), .. }) => self.list(node)?.append_member(key, value),
            Some(_) => return Err(EditError::Place("what should hold it is no object")),
        };
        Ok(self.after(splices))
    }

    /// The file without a member of an object below the root.
    ///
    /// # Errors
    /// There is none.
    pub fn without_member_of(&self, container: &str, key: &str) -> Result<String, EditError> {
        let unknown = || EditError::Unknown(printable(key));
        let node = self.root.get(container).ok_or_else(unknown)?;
        let at = node.members().iter().position(|member| member.key == key).ok_or_else(unknown)?;
        Ok(self.after(self.list(node)?.remove(at)))
    }

    /// The key of what holds the servers: the one that has the last of them, else the first that there is.
    fn container(&self) -> Option<&'static str> {
        let last = self.entries.last().map(|entry| entry.node.span.start);
        let of_last = CONTAINERS.into_iter().find(|key| {
            let span = self.root.get(key).map(|node| node.span.clone());
            span.is_some_and(|span| last.is_some_and(|last| span.contains(&last)))
        });
        of_last.or_else(|| CONTAINERS.into_iter().find(|key| self.root.get(key).is_some()))
    }

    /// Whether servers are written by name with nothing around them.
    fn is_bare(&self) -> bool {
        self.root.members().iter().any(|member| self.entries.iter().any(|entry| entry.node.span == member.node.span))
    }

    /// What holds the entry of a server, and which of its items that is.
    fn place(&self, name: &str) -> Result<(&Node, usize), EditError> {
        let unknown = || EditError::Unknown(printable(name));
        let at = self.names().position(|known| known == name).ok_or_else(unknown)?;
        find(&self.root, &self.entries[at].node.span).ok_or_else(unknown)
    }

    fn object(&self, node: &Node) -> Result<ItemList<'_>, EditError> {
        match node.value {
            TreeValue::Object(_) => self.list(node),
            _ => Err(EditError::Place("the file is no object")),
        }
    }

    fn list(&self, node: &Node) -> Result<ItemList<'_>, EditError> {
        ItemList::of(&self.text, node).ok_or(EditError::Place("what should hold it is neither an object nor a list"))
    }

    fn after(&self, splices: Vec<Splice>) -> String {
        format!("{}{}", self.mark, apply(&self.text, splices))
    }
}

impl std::fmt::Debug for EditableConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EditableConfig").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The object or list of which the value at this place is an item.
fn find<'n>(node: &'n Node, span: &std::ops::Range<usize>) -> Option<(&'n Node, usize)> {
    let members = node.members().iter().map(|member| &member.node);
    let items: Vec<&Node> = members.chain(node.elements()).collect();
    if let Some(at) = items.iter().position(|item| item.span == *span) {
        return Some((node, at));
    }
    items
        .into_iter()
        .filter(|item| item.span.start <= span.start && span.end <= item.span.end)
        .find_map(|item| find(item, span))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\u{feff}// Mine.\r\n{\r\n  \"listen\": 1, // port\r\n  \"mcpServers\": {\r\n    // The time.\r\n    \"time\": {\"command\": \"uvx\"},\r\n    \"my server\": {\r\n      \"url\": \"http://x\" // local\r\n    }\r\n  }\r\n}\r\n";

    fn edited(text: &str) -> EditableConfig {
        EditableConfig::of_file(text.as_bytes()).expect("JSON")
    }

    fn name(text: &str) -> ServerName {
        ServerName::try_from(text).expect("a name")
    }

    #[test]
    fn a_server_is_added_and_taken_out_without_a_trace() {
        let entry = Json::pairs([("command".to_owned(), "npx".to_owned())]);
        let more = edited(FILE).with_server(&name("files"), &entry).expect("added");
        let expected = FILE.replace("    }\r\n  }", "    },\r\n    \"files\": {\"command\": \"npx\"}\r\n  }");
        assert_eq!(more, expected);
        assert_eq!(edited(&more).without_server("files").expect("removed"), FILE);
        let twice = edited(FILE).with_server(&name("time"), &entry);
        assert_eq!(twice, Err(EditError::Exists(name("time"))));
        assert!(matches!(edited(FILE).without_server("tine"), Err(EditError::Unknown(_))));
    }

    #[test]
    fn a_server_is_known_by_the_name_that_it_has_here() {
        let less = edited(FILE).without_server("my-server").expect("removed");
        assert!(!less.contains("my server") && less.contains("\"time\": {\"command\": \"uvx\"}\r\n  }"), "{less}");
    }

    #[test]
    fn a_server_that_is_switched_off_and_on_again_is_as_it_was() {
        for server in ["time", "my-server"] {
            let off = edited(FILE).with_switch(server, false).expect("off");
            assert!(off.contains("\"disabled\": true"), "{off}");
            assert_eq!(edited(&off).with_switch(server, false).expect("off"), off);
            assert_eq!(edited(&off).with_switch(server, true).expect("on"), FILE);
        }
        assert_eq!(edited(FILE).with_switch("time", true).expect("on"), FILE);
        for (text, off) in [
            (r#"{"servers": [{"name": "a", "enabled": true}]}"#, r#"{"servers": [{"name": "a", "enabled": false}]}"#),
            (r#"{"mcpServers": {"a": {"isActive": true}}}"#, r#"{"mcpServers": {"a": {"isActive": false}}}"#),
            (r#"{"mcpServers": {"a": {"disabled": false}}}"#, r#"{"mcpServers": {"a": {"disabled": true}}}"#),
        ] {
            assert_eq!(edited(text).with_switch("a", false).expect("off"), off);
        }
    }

    #[test]
    fn a_server_goes_where_the_others_are() {
        let entry = Json::pairs([("command".to_owned(), "x".to_owned())]);
        for (text, expected) in [
            ("{}", r#"{"mcpServers": {"new": {"command": "x"}}}"#),
            (r#"{"mcpServers": null}"#, r#"{"mcpServers": {"new": {"command": "x"}}}"#),
            (r#"{"servers": [{"name": "a"}]}"#, r#"{"servers": [{"name": "a"}, {"name": "new", "command": "x"}]}"#),
            (
                r#"{"servers": [], "mcpServers": {"a": {}}}"#,
                r#"{"servers": [], "mcpServers": {"a": {}, "new": {"command": "x"}}}"#,
            ),
            (r#"{"a": {"command": "y"}}"#, r#"{"a": {"command": "y"}, "new": {"command": "x"}}"#),
            (r#"{"context_servers": {"a": {}}}"#, r#"{"context_servers": {"a": {}, "new": {"command": "x"}}}"#),
        ] {
            assert_eq!(edited(text).with_server(&name("new"), &entry).expect("added"), expected, "{text}");
        }
        let wrong = edited(r#"{"mcpServers": 7}"#).with_server(&name("new"), &entry);
        assert!(matches!(wrong, Err(EditError::Place(_))));
        assert!(EditableConfig::of_file(b"{").is_err() && EditableConfig::of_file(b"\xff").is_err());
    }
}
