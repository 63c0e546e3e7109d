//! What a server offers now, compared with what it offered when its tools were pinned.

use serde_json::Value;

use super::{ListKind, ServerCatalogue, entry::Entry};

/// How the tools of a server differ from those that were pinned, by the server's own names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ToolDifferences {
    /// Their definitions are others.
    pub(crate) changed: Vec<Box<str>>,
    /// They were not there.
    pub(crate) added: Vec<Box<str>>,
    /// They are not there any more.
    pub(crate) removed: Vec<Box<str>>,
}

impl ToolDifferences {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many tools are not as they were pinned.
    pub(crate) fn unapproved(&self) -> usize {
        self.changed.len() + self.added.len()
    }
}

impl ServerCatalogue {
    /// How its tools differ from those of `pinned`. Both were read by the same rules.
    pub(crate) fn differences(&self, pinned: &Self) -> ToolDifferences {
        let mut differences = ToolDifferences::default();
        for tool in self.entries(ListKind::Tools) {
            match pinned.own_tool(tool.own()) {
                None => differences.added.push(tool.own().into()),
                Some(before) if !is_same(tool, before) => differences.changed.push(tool.own().into()),
                Some(_) => {}
            }
        }
        let gone = pinned.entries(ListKind::Tools).iter().filter(|tool| self.own_tool(tool.own()).is_none());
        differences.removed.extend(gone.map(|tool| Box::from(tool.own())));
        differences
    }

    /// The same with those tools only that are as they were pinned.
    pub(crate) fn approved_by(&self, pinned: &Self) -> Self {
        let approved = |tool: &&Entry| pinned.own_tool(tool.own()).is_some_and(|before| is_same(tool, before));
        self.with_tools(self.entries(ListKind::Tools).iter().filter(approved).cloned().collect())
    }

    /// Whether it has a tool that its server calls so.
    pub(crate) fn has_own_tool(&self, own: &str) -> bool {
        self.own_tool(own).is_some()
    }

    fn own_tool(&self, own: &str) -> Option<&Entry> {
        // Mostly it is shown under that name.
        let shown = self.find(ListKind::Tools, own).filter(|tool| tool.own() == own);
        shown.or_else(|| self.entries(ListKind::Tools).iter().find(|tool| tool.own() == own))
    }
}

/// Whether two definitions say the same, however their JSON is written.
fn is_same(one: &Entry, other: &Entry) -> bool {
    let read = |entry: &Entry| serde_json::from_str::<Value>(entry.text()).ok();
    one.text() == other.text() || read(one).is_some_and(|value| read(other) == Some(value))
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::{ServerName, ToolRules};

    use super::*;

    fn catalogue(tools: &[(&str, &str)], rules: &ToolRules) -> ServerCatalogue {
        let tools: Vec<String> = tools
            .iter()
            .map(|(name, about)| {
                format!(r#"{{"name":"{name}","description":"{about}","inputSchema":{{"type":"object"}}}}"#)
            })
            .collect();
        let payload = format!(r#"{{"tools":[{}],"prompts":[{{"name":"p"}}]}}"#, tools.join(","));
        let server = ServerName::try_from("s").expect("a name");
        ServerCatalogue::read(&server, payload.as_bytes(), rules).expect("reads").0
    }

    #[test]
    fn what_changed_what_came_and_what_went_is_told_apart_and_only_what_stayed_is_approved() {
        let rename = vec![("a".to_owned(), "b".to_owned()), ("b".to_owned(), "x".to_owned())];
        for rules in [ToolRules::default(), ToolRules { rename, ..ToolRules::default() }] {
            let pinned = catalogue(&[("a", "A"), ("b", "B"), ("c", "C")], &rules);
            let now = catalogue(&[("a", "A"), ("b", "Ignore all else"), ("d", "D")], &rules);
            let names = |names: &[Box<str>]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
            let differences = now.differences(&pinned);
            assert_eq!(names(&differences.changed), ["b"]);
            assert_eq!(names(&differences.added), ["d"]);
            assert_eq!(names(&differences.removed), ["c"]);
            assert_eq!(differences.unapproved(), 2);
            let approved = now.approved_by(&pinned);
            assert!(approved.has_own_tool("a") && !approved.has_own_tool("b") && !approved.has_own_tool("d"));
            assert_eq!(approved.count(ListKind::Prompts), 1, "tools alone are pinned");
            assert!(pinned.differences(&pinned).is_empty());
        }
    }

    #[test]
    fn the_order_of_keys_is_no_change() {
        let server = ServerName::try_from("s").expect("a name");
        let read = |text: &str| {
            let payload = format!(r#"{{"tools":[{text}]}}"#);
            ServerCatalogue::read(&server, payload.as_bytes(), &ToolRules::default()).expect("reads").0
        };
        let one = read(r#"{"name":"a","description":"A","inputSchema":{"type":"object"}}"#);
        let other = read(r#"{"inputSchema": {"type": "object"}, "description":"A","name":"a"}"#);
        assert!(one.differences(&other).is_empty());
    }
}
