//! Groups: selections of servers, the paths that they are served at, and what they show of their servers' tools.

use std::collections::{BTreeMap, HashMap};

use mcproxy_ipc::{
    ServerName, ToolRules,
    control::{Group, ToolView},
};

use crate::approvals;
use crate::nearest::did_you_mean;
use crate::problem::printable;
use crate::raw::{RawAuthMode, RawGroup, RawGroupTools, RawToolView};
use crate::report::Report;
use crate::tool_rules;
use crate::tree::Node;

/// Between the name of a server and that of its tool.
const SEPARATOR: &str = "__";
/// The longest path that a group may be served at.
const MAX_PATH: usize = 200;

/// The groups of the file. `node` is the value of `groups`; `known` holds all servers by the names that the file uses for them.
pub(crate) fn check(
    raw: &BTreeMap<String, RawGroup>,
    node: &Node,
    known: &HashMap<String, ServerName>,
    report: &mut Report,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::with_capacity(raw.len());
    for member in node.members() {
        let Some(of_group) = raw.get(&member.key) else { continue };
        let name = ServerName::try_from(member.key.as_str());
        if let Err(error) = &name {
            let written = printable(&member.key);
            let message = format!("`{written}` is no name; a group is named like a server: {error}");
            report.add(member.key_span.start, message);
        }
        let node = &member.node;
        let mut reader = GroupReader { node, known, report };
        let servers = reader.servers(of_group);
        let paths = reader.paths(of_group, &groups);
        let tools = reader.tools(&of_group.tools, &servers);
        let is_open = matches!(of_group.auth, Some(RawAuthMode::None));
        if let Ok(name) = name {
            let view = match of_group.view {
                RawToolView::List => ToolView::List,
                RawToolView::Search => ToolView::Search,
            };
            let approve = approvals::mode(of_group.approve);
            groups.push(Group { name: name.to_string(), servers, paths, tools, is_open, view, approve });
        }
    }
    groups
}

/// Reads one group.
struct GroupReader<'a> {
    node: &'a Node,
    known: &'a HashMap<String, ServerName>,
    report: &'a mut Report,
}

impl GroupReader<'_> {
    fn servers(&mut self, raw: &RawGroup) -> Vec<ServerName> {
        let elements = self.node.get("servers").map(Node::elements).unwrap_or_default();
        let mut servers: Vec<ServerName> = Vec::with_capacity(raw.servers.len());
        for (name, element) in raw.servers.iter().zip(elements) {
            if element.lacks_text() {
                continue; // reported with all other unset variables
            }
            match self.known.get(name) {
                None => unknown("server", self.known.keys().map(String::as_str), element, self.report),
                Some(name) if servers.contains(name) => {
                    self.report.add(element.span.start, "this server is in the group twice");
                }
                Some(name) => servers.push(name.clone()),
            }
        }
        servers
    }

    fn paths(&mut self, raw: &RawGroup, others: &[Group]) -> Vec<String> {
        let elements = self.node.get("paths").map(Node::elements).unwrap_or_default();
        let mut paths: Vec<String> = Vec::with_capacity(raw.paths.len());
        for (path, element) in raw.paths.iter().zip(elements) {
            let taken = others.iter().flat_map(|group| &group.paths).chain(&paths).any(|other| other == path);
            match path_complaint(path) {
                _ if element.lacks_text() => {}
                Some(complaint) => self.report.add(element.span.start, complaint),
                None if taken => self.report.add(element.span.start, "this path is written twice in `groups`"),
                None => paths.push(path.clone()),
            }
        }
        paths
    }

    fn tools(&mut self, raw: &RawGroupTools, servers: &[ServerName]) -> ToolRules {
        for (list, patterns) in [("allow", raw.allow.as_deref().unwrap_or_default()), ("deny", &raw.deny)] {
            let elements = self.node.at(&["tools", list]).map(Node::elements).unwrap_or_default();
            for (pattern, element) in patterns.iter().zip(elements).filter(|(_, element)| !element.lacks_text()) {
                if let Some(complaint) = pattern_complaint(pattern) {
                    self.report.add(element.span.start, complaint);
                }
            }
        }
        for (old, message) in tool_rules::rename_complaints(raw.rename.iter(), server_of) {
            let node = self.node.at(&["tools", "rename", old]).unwrap_or(self.node);
            if !node.lacks_text() {
                self.report.add(node.span.start, message);
            }
        }
        ToolRules {
            allow: raw.allow.clone().unwrap_or_default(),
            deny: raw.deny.clone(),
            rename: self.by_tool("rename", &raw.rename, servers, String::clone),
            describe: self.by_tool("describe", &raw.describe, servers, String::clone),
            title: self.by_tool("title", &raw.title, servers, String::clone),
            annotations: self.by_tool("annotations", &raw.annotations, servers, tool_rules::annotations),
            ..ToolRules::default()
        }
    }

    /// What is said of single tools, under the names that the servers have here.
    fn by_tool<V, T>(
        &mut self,
        rule: &str,
        raw: &BTreeMap<String, V>,
        servers: &[ServerName],
        read: impl Fn(&V) -> T,
    ) -> Vec<(String, T)> {
        let mut rules = Vec::with_capacity(raw.len());
        let members = self.node.at(&["tools", rule]).map(Node::members).unwrap_or_default();
        for member in members {
            let Some(value) = raw.get(&member.key) else { continue };
            let server = self.known.get(server_of(&member.key)).filter(|server| servers.contains(server));
            match (server, member.key.split_once(SEPARATOR)) {
                (Some(server), Some((_, tool))) if !tool.is_empty() => {
                    rules.push((format!("{server}{SEPARATOR}{tool}"), read(value)));
                }
                _ => {
                    let shown = printable(&member.key);
                    let message =
                        format!("`{shown}` is no tool of this group: write `{{server}}__{{tool}}`, of a server in it");
                    self.report.add(member.key_span.start, message);
                }
            }
        }
        rules
    }
}

/// Reports a name that is none of `names`; `what`: of what.
pub(crate) fn unknown<'n>(what: &str, names: impl Iterator<Item = &'n str>, element: &Node, report: &mut Report) {
    // A value from the environment may be secret.
    let shown = element.text().map(|text| text.written.as_str()).unwrap_or_default();
    let mut names: Vec<&str> = names.filter(|_| report.is_read()).collect();
    names.sort_unstable();
    let hint = did_you_mean(shown, names);
    report.add(element.span.start, format!("no {what} is named `{}`{hint}", printable(shown)));
}

/// What is wrong with a pattern of tools of many servers.
pub(crate) fn pattern_complaint(pattern: &str) -> Option<&'static str> {
    let fits = pattern.contains('*') || pattern.contains(SEPARATOR);
    (!fits).then_some("no tool is called that: here it is `{server}__{tool}`")
}

/// The part of a tool's name in a group that is its server's.
fn server_of(tool: &str) -> &str {
    tool.split_once(SEPARATOR).map_or("", |(server, _)| server)
}

/// What is wrong with a path that a group is to be served at.
fn path_complaint(path: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    let segments = || path.split('/').skip(1);
    let is_path = path.starts_with('/')
        && path.len() <= MAX_PATH
        && segments().all(|segment| !matches!(segment, "" | "." | "..") && segment.chars().all(plain));
    if !is_path {
        return Some("expected a path such as `/metamcp/home`: letters, digits, `-`, `.`, `_` and `~` between slashes");
    }
    if matches!(segments().next(), Some("servers" | "groups")) {
        return Some("paths below `/servers` and `/groups` are those of servers and groups by their names");
    }
    let end = segments().last().unwrap_or_default();
    matches!(end, "mcp" | "sse" | "message" | "messages")
        .then_some("leave the last part out: the group is served at `{path}/mcp` and `{path}/sse`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_groups_are_plain_and_not_ours() {
        for good in ["/metamcp/home", "/a", "/a/b.c/d~e_f-1", "/mcp/a"] {
            assert_eq!(path_complaint(good), None, "{good}");
        }
        for bad in ["", "/", "a", "/a/", "//a", "/a//b", "/a/../b", "/.", "/a b", "/a%20", "/a?x", "/é", "/a/mcp"] {
            assert!(path_complaint(bad).is_some(), "{bad}");
        }
        for ours in ["/servers/time", "/groups", "/groups/a", "/x/sse", "/x/message", "/x/messages"] {
            assert!(path_complaint(ours).is_some(), "{ours}");
        }
        assert!(path_complaint(&format!("/{}", "a".repeat(MAX_PATH))).is_some());
    }
}
