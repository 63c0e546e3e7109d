//! Which tools other programs let a server offer, as our `tools`.

use super::{members_mut, take, word};
use crate::report::Report;
use crate::tree::{ConfigText, Node, TreeMember, TreeValue};

/// The filters found so far in an entry.
#[derive(Default)]
pub(super) struct Filters {
    allow: Vec<Node>,
    deny: Vec<Node>,
    at: usize,
}

impl Filters {
    /// A list of the only tools to offer. An empty one means no filter to those who write it.
    pub(super) fn allow(&mut self, member: &TreeMember, report: &mut Report) {
        self.at = member.key_span.start;
        let names = names(&member.node, report);
        // `*` alone is everything.
        if !names.iter().any(|name| word(name) == Some("*")) {
            self.allow.extend(names);
        }
    }

    /// A list of tools not to offer.
    pub(super) fn deny(&mut self, member: &TreeMember, report: &mut Report) {
        self.at = member.key_span.start;
        self.deny.extend(names(&member.node, report));
    }

    /// `tools` as a list (Copilot CLI) or with a switch for each tool (MCPHub).
    pub(super) fn tools(&mut self, entry: &mut Node, report: &mut Report) {
        match entry.get_mut("tools") {
            Some(Node { value: TreeValue::Array(_), .. }) => {
                let Some(member) = take(entry, "tools") else { return };
                if member.node.elements().is_empty() {
                    report.warn(member.node.span.start, "an empty list offers none of its tools");
                    self.deny.push(Node {
                        span: member.node.span.clone(),
                        value: TreeValue::String(ConfigText::literal("*".into())),
                    });
                    self.at = member.key_span.start;
                }
                self.allow(&member, report);
            }
            Some(Node { value: TreeValue::Object(members), .. }) => members.retain(|member| {
                let Some(Node { value: TreeValue::Bool(on), .. }) = member.node.get("enabled") else { return true };
                if !on {
                    self.at = member.key_span.start;
                    let name = TreeValue::String(ConfigText::literal(member.key.clone()));
                    self.deny.push(Node { span: member.key_span.clone(), value: name });
                }
                false
            }),
            _ => {}
        }
    }

    /// `options.toolFilter` (mcp-proxy): `{"mode": "allow" | "block", "list": […]}`.
    pub(super) fn options(&mut self, entry: &mut Node, report: &mut Report) {
        let Some(options) = entry.get_mut("options") else { return };
        let Some(member) = take(options, "toolFilter") else { return };
        let mode = member.node.get("mode").and_then(word).map(str::to_ascii_lowercase);
        let list = member.node.get("list").cloned();
        match (mode.as_deref(), list) {
            (Some("allow"), Some(node)) => self.allow(&TreeMember { node, ..member }, report),
            (Some("block"), Some(node)) => self.deny(&TreeMember { node, ..member }, report),
            _ => report.add(member.key_span.start, "expected a `mode` of `allow` or `block` and a `list`"),
        }
        if options.members().is_empty() {
            take(entry, "options");
        }
    }

    /// Puts them into the entry's own `tools`.
    pub(super) fn put(self, entry: &mut Node) {
        if self.allow.is_empty() && self.deny.is_empty() {
            return;
        }
        let span = self.at..self.at + 1;
        if entry.get("tools").is_none()
            && let Some(members) = members_mut(entry)
        {
            let node = Node { span: span.clone(), value: TreeValue::Object(Vec::new()) };
            members.push(TreeMember { key: "tools".into(), key_span: span.clone(), node });
        }
        let Some(tools) = entry.get_mut("tools").and_then(members_mut) else { return };
        for (key, names) in [("allow", self.allow), ("deny", self.deny)] {
            match tools.iter_mut().find(|member| member.key == key) {
                _ if names.is_empty() => {}
                Some(TreeMember { node: Node { value: TreeValue::Array(own), .. }, .. }) => own.extend(names),
                _ => tools.push(TreeMember {
                    key: key.into(),
                    key_span: span.clone(),
                    node: Node { span: span.clone(), value: TreeValue::Array(names) },
                }),
            }
        }
    }
}

/// A filter that cannot be read must not be left out, or more is offered than its author wants.
fn names(node: &Node, report: &mut Report) -> Vec<Node> {
    match &node.value {
        TreeValue::Null => Vec::new(),
        TreeValue::Array(names) if names.iter().all(|name| name.text().is_some()) => names.clone(),
        _ => {
            report.add(node.span.start, "expected a list of the names of tools");
            Vec::new()
        }
    }
}
