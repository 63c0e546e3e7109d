//! What the holder of a token may use of each server, and the server's catalogue as it sees it.

use std::{collections::HashMap, sync::Arc};

use mcproxy_ipc::{
    ServerName, ToolRules,
    control::{Group, TokenAccess},
};
use mcproxy_mcp::{ObjectBuilder, RawObject, method, qualify_name};

use super::{
    ListKind, ServerCatalogue,
    entry::{Entry, permitted},
    glob,
};

/// How much of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    /// It is unknown.
    Nothing,
    /// Tools alone, no prompt and no resource.
    Tools,
    /// All that it offers, but for tools that are ruled out.
    Everything,
}

/// What somebody may use. Cheap to compare by number, see `upstream/servers/grants.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    /// All there is.
    Everything,
    /// Nothing at all.
    Nothing,
    /// What a token names.
    Part(GrantedPart),
    /// What any of these includes: the scopes of a token.
    Sum(Vec<GrantedPart>),
}

/// What a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantedPart {
    /// Servers, and by which rules of groups; none of them: by none, so all of their tools. `None`: all servers.
    servers: Option<HashMap<ServerName, Vec<ToolRules>>>,
    /// Patterns of tools; `None`: all of them.
    tools: Option<Vec<String>>,
}

impl Grant {
    /// What a token names, where there are these groups, each of which shows the built-in server besides its own.
    pub(crate) fn of(access: &TokenAccess, groups: &[Group], builtin: &ServerName) -> Self {
        if access.is_unlimited() {
            return Self::Everything;
        }
        let servers = (access.servers.is_some() || access.groups.is_some()).then(|| {
            let named = access.groups.iter().flatten();
            let mut servers: HashMap<ServerName, Vec<ToolRules>> = HashMap::new();
            for group in named.filter_map(|name| groups.iter().find(|group| group.name == *name)) {
                for server in group.servers.iter().chain([builtin]).cloned() {
                    servers.entry(server).or_default().push(group.tools.clone());
                }
            }
            // A server that is named itself is there without rules of a group.
            servers.extend(access.servers.iter().flatten().map(|server| (server.clone(), Vec::new())));
            servers
        });
        Self::Part(GrantedPart { servers, tools: access.tools.clone() })
    }

    /// What any of these includes.
    pub(crate) fn sum(grants: impl Iterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for grant in grants {
            match grant {
                Self::Everything => return Self::Everything,
                Self::Nothing => {}
                Self::Part(part) => parts.push(part),
                Self::Sum(more) => parts.extend(more),
            }
        }
        match parts.len() {
            0 => Self::Nothing,
            1 => Self::Part(parts.remove(0)),
            _ => Self::Sum(parts),
        }
    }

    /// How much of a server it includes.
    pub(crate) fn extent(&self, server: &ServerName) -> Extent {
        match self {
            Self::Sum(parts) => parts.iter().map(|part| part.extent(server)).max().unwrap_or(Extent::Nothing),
            Self::Everything => Extent::Everything,
            Self::Nothing => Extent::Nothing,
            Self::Part(part) => part.extent(server),
        }
    }

    /// Whether it includes a tool, by its name at the common endpoint.
    pub(crate) fn permits(&self, server: &ServerName, tool: &str) -> bool {
        match self {
            Self::Sum(parts) => parts.iter().any(|part| part.permits(server, tool)),
            Self::Everything => true,
            Self::Nothing => false,
            Self::Part(part) => part.permits(server, tool),
        }
    }

    /// Its part of what a server offers.
    pub(crate) fn of_catalogue(&self, server: &ServerName, offered: &Arc<ServerCatalogue>) -> Arc<ServerCatalogue> {
        let tools = offered.entries(ListKind::Tools);
        let is_permitted = |tool: &&Entry| self.permits(server, &qualify_name(server.as_str(), &tool.shown));
        let all = tools.iter().all(|tool| is_permitted(&tool));
        match self.extent(server) {
            Extent::Everything if all => offered.clone(),
            Extent::Everything => Arc::new(offered.with_tools(tools.iter().filter(is_permitted).cloned().collect())),
            Extent::Tools | Extent::Nothing => {
                Arc::new(offered.with_tools_alone(tools.iter().filter(is_permitted).cloned().collect()))
            }
        }
    }
}

impl GrantedPart {
    fn extent(&self, server: &ServerName) -> Extent {
        match &self.servers {
            Some(servers) if servers.contains_key(server) => Extent::Everything,
            Some(_) => Extent::Nothing,
            None if self.tools.iter().flatten().any(|pattern| may_fit(pattern, server)) => Extent::Tools,
            None => Extent::Nothing,
        }
    }

    fn permits(&self, server: &ServerName, tool: &str) -> bool {
        let by_server = match &self.servers {
            None => true,
            Some(servers) => servers
                .get(server)
                .is_some_and(|rules| rules.is_empty() || rules.iter().any(|rules| permitted(rules, tool))),
        };
        let fits = |tools: &Vec<String>| tools.iter().any(|pattern| glob::fits(pattern, tool));
        by_server && self.tools.as_ref().is_none_or(fits)
    }
}

/// Whether a tool of this server could fit a pattern.
fn may_fit(pattern: &str, server: &ServerName) -> bool {
    let prefix = qualify_name(server.as_str(), "");
    let literal = pattern.split('*').next().unwrap_or_default();
    literal.starts_with(&*prefix) || (literal.len() < pattern.len() && prefix.starts_with(literal))
}

/// The capabilities of a server of which only tools are used.
pub(super) fn capabilities_of_tools(declared: &RawObject<'_>) -> String {
    let mut out = ObjectBuilder::default();
    for (key, value) in declared.iter().filter(|(key, _)| matches!(*key, "tools" | "tasks")) {
        out.add(key, value.get());
    }
    let extensions = declared.get_object("extensions").unwrap_or_default();
    if let Some(tasks) = extensions.get(method::TASKS_EXTENSION) {
        let mut kept = ObjectBuilder::default();
        kept.add(method::TASKS_EXTENSION, tasks.get());
        out.add("extensions", &kept.finish());
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::control::ToolView;
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> ServerName {
        ServerName::try_from(name).expect("a name")
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn access(servers: Option<&[&str]>, groups: Option<&[&str]>, tools: Option<&[&str]>) -> TokenAccess {
        let names = |names: &[&str]| names.iter().map(|of| name(of)).collect();
        TokenAccess {
            servers: servers.map(names),
            groups: groups.map(texts),
            tools: tools.map(texts),
            ..TokenAccess::default()
        }
    }

    fn builtin() -> ServerName {
        name("mcproxy")
    }

    fn of(access: TokenAccess) -> Grant {
        Grant::of(&access, &groups(), &builtin())
    }

    fn groups() -> Vec<Group> {
        let rules = |deny: &[&str]| ToolRules { deny: texts(deny), ..ToolRules::default() };
        let group = |of: &str, servers: &[&str], tools| Group {
            name: of.to_owned(),
            servers: servers.iter().map(|of| name(of)).collect(),
            paths: Vec::new(),
            tools,
            is_open: false,
            view: ToolView::List,
            approve: mcproxy_ipc::ApprovalMode::Never,
        };
        vec![group("home", &["a", "b"], rules(&["a__rm", "mcproxy__logs"])), group("work", &["a"], rules(&["a__x"]))]
    }

    fn catalogue() -> Arc<ServerCatalogue> {
        let payload = serde_json::json!({
            "tools": [{"name": "x", "inputSchema": {"type": "object"}}, {"name": "rm", "inputSchema": {"type": "object"}}],
            "prompts": [{"name": "p"}],
            "resources": [{"uri": "file:///r", "name": "r"}],
            "capabilities": {"tools": {}, "prompts": {}, "resources": {"subscribe": true}, "completions": {},
                "experimental": {"e": {}}, "extensions": {"io.modelcontextprotocol/tasks": {}, "other/x": {}}},
        });
        let read = ServerCatalogue::read(&name("a"), payload.to_string().as_bytes(), &ToolRules::default());
        Arc::new(read.expect("reads").0)
    }

    #[test]
    fn a_token_reaches_what_it_names_and_nothing_else() {
        let all = of(access(None, None, None));
        assert_eq!(all, Grant::Everything);
        let servers = of(access(Some(&["a"]), None, None));
        assert_eq!(servers.extent(&name("a")), Extent::Everything);
        assert_eq!(servers.extent(&name("b")), Extent::Nothing);
        assert_eq!(servers.extent(&builtin()), Extent::Nothing, "its logs are not a tool of `a`");
        assert!(servers.permits(&name("a"), "a__rm") && !servers.permits(&name("b"), "b__x"));
        let none = of(access(Some(&[]), None, None));
        assert_eq!(none.extent(&name("a")), Extent::Nothing);
        let read = of(access(Some(&["a", "b"]), None, Some(&["a__x", "b__*"])));
        assert!(read.permits(&name("a"), "a__x") && !read.permits(&name("a"), "a__rm"));
        assert!(read.permits(&name("b"), "b__y"));
    }

    #[test]
    fn a_group_gives_what_it_shows_and_a_server_that_is_named_besides_is_there_whole() {
        let home = of(access(None, Some(&["home"]), None));
        assert!(home.permits(&name("a"), "a__x") && !home.permits(&name("a"), "a__rm"), "the group leaves it out");
        assert!(home.permits(&builtin(), "mcproxy__status") && !home.permits(&builtin(), "mcproxy__logs"));
        let both = of(access(None, Some(&["home", "work"]), None));
        assert!(both.permits(&name("a"), "a__x") && both.permits(&name("a"), "a__rm"), "each is shown by one of them");
        let besides = of(access(Some(&["a"]), Some(&["home"]), None));
        assert!(besides.permits(&name("a"), "a__rm"));
        let gone = of(access(None, Some(&["gone"]), None));
        assert_eq!(gone.extent(&name("a")), Extent::Nothing);
    }

    #[test]
    fn a_token_that_names_tools_alone_sees_neither_prompts_nor_resources() {
        let grant = of(access(None, None, Some(&["a__x"])));
        assert_eq!((grant.extent(&name("a")), grant.extent(&name("b"))), (Extent::Tools, Extent::Nothing));
        let part = grant.of_catalogue(&name("a"), &catalogue());
        assert_eq!(ListKind::ALL.map(|kind| part.count(kind)), [1, 0, 0, 0]);
        assert!(part.tool_names().eq(["x"]) && !part.subscribes() && !part.completes() && part.has_tasks());
        assert!(!part.extends("other/x/y") && !part.declares_notification("notifications/e"));
        assert!(!part.shows_resources() && catalogue().shows_resources());
    }

    #[test]
    fn what_leaves_nothing_out_is_the_same_catalogue() {
        let whole = catalogue();
        for grant in [Grant::Everything, of(access(Some(&["a"]), None, Some(&["a__*"])))] {
            assert!(Arc::ptr_eq(&grant.of_catalogue(&name("a"), &whole), &whole));
        }
        let part = of(access(Some(&["a"]), None, Some(&["a__x"]))).of_catalogue(&name("a"), &whole);
        assert_eq!(ListKind::ALL.map(|kind| part.count(kind)), [1, 1, 1, 0]);
        assert_eq!(Grant::Nothing.of_catalogue(&name("a"), &whole).counts(), mcproxy_ipc::CatalogueCounts::default());
    }

    proptest! {
        #[test]
        fn a_server_whose_tool_is_permitted_is_never_unknown(
            pattern in "[ab_*]{0,6}", server in "[ab]{1,2}", tool in "[ab_]{1,3}",
        ) {
            let grant = of(access(None, None, Some(&[&pattern])));
            let full = format!("{server}__{tool}");
            if grant.permits(&name(&server), &full) {
                prop_assert!(grant.extent(&name(&server)) >= Extent::Tools);
            }
        }
    }
}
