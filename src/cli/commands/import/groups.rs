//! Namespaces and endpoints as groups.

use std::collections::{BTreeMap, HashSet};

use mcproxy_config::Json;

use super::{
    installation::{ImportedServer, Installation, MetaEndpoint, Namespace, ToolMapping},
    names::Names,
    report::{ImportReport, Weight},
    secret_file::literal,
    values,
};

/// Between the name of a server and that of its tool.
const SEPARATOR: &str = "__";
/// What MetaMCP does not show: the tools of MCProxy itself.
const BUILTIN: &str = "mcproxy__*";

/// Servers with the names that they have here, in the order of the file.
pub(super) type Named<'i> = [(String, &'i ImportedServer)];

/// The servers of a namespace that are in use, by their names here.
fn active<'n>(namespace: &Namespace, servers: &'n Named<'_>) -> Vec<&'n str> {
    let is_active =
        |server: &ImportedServer| namespace.servers.iter().any(|(of, active)| *active && of.means(&server.id));
    servers.iter().filter(|(_, server)| is_active(server)).map(|(name, _)| name.as_str()).collect()
}

/// Whether a server is in use anywhere.
pub(super) fn is_used(server: &ImportedServer, namespaces: &[Namespace]) -> bool {
    namespaces.iter().flat_map(|namespace| &namespace.servers).any(|(of, active)| *active && of.means(&server.id))
}

/// The tools of a server that no namespace shows that has the server: they are shown nowhere, so nowhere here either.
pub(super) fn denied_everywhere(server: &ImportedServer, namespaces: &[Namespace]) -> Vec<String> {
    let with_it: Vec<&Namespace> = namespaces
        .iter()
        .filter(|namespace| namespace.servers.iter().any(|(of, active)| *active && of.means(&server.id)))
        .collect();
    let Some(first) = with_it.first() else { return Vec::new() };
    let denies = |namespace: &Namespace, tool: &str| {
        namespace
            .tools
            .iter()
            .any(|mapping| !mapping.active && mapping.tool == tool && mapping.server.means(&server.id))
    };
    let of_first = first.tools.iter().filter(|mapping| !mapping.active && mapping.server.means(&server.id));
    let everywhere = of_first.filter(|mapping| with_it.iter().all(|namespace| denies(namespace, &mapping.tool)));
    let mut tools: Vec<String> =
        everywhere.map(|mapping| mapping.tool.clone()).filter(|tool| !tool.contains('*')).collect();
    tools.sort_unstable();
    tools.dedup();
    tools
}

/// The groups: one for each namespace, and another one where some of its endpoints need a key and some do not.
pub(super) fn groups(
    installation: &Installation,
    servers: &Named<'_>,
    report: &mut ImportReport,
) -> Vec<(String, Json)> {
    let mut names = Names::default();
    let mut groups = Vec::new();
    let mut taken = HashSet::new();
    for namespace in &installation.namespaces {
        let endpoints: Vec<&MetaEndpoint> =
            installation.endpoints.iter().filter(|endpoint| endpoint.namespace.means(&namespace.id)).collect();
        let (open, closed): (Vec<&MetaEndpoint>, Vec<&MetaEndpoint>) =
            endpoints.iter().partition(|endpoint| is_open(endpoint));
        if endpoints.is_empty() {
            let text = "no endpoint led to this namespace; here it is a group, which needs a token like all others";
            report.add(Weight::Note, &namespace.id.name, text);
        }
        let members = active(namespace, servers);
        if members.is_empty() {
            let text = if installation.from_database {
                "no server is active in it"
            } else {
                "which servers are in it is only in the database: give the dump (deploy/metamcp-export.sql), or write them in"
            };
            report.add(Weight::ToDo, &namespace.id.name, text);
        }
        let tools = tools(namespace, servers, &installation.namespaces, report);
        let mut group = |wish: &str, endpoints: &[&MetaEndpoint], is_open: bool| {
            let name = names.give(wish);
            if name != wish {
                let text = format!("its group is called `{name}`; the URLs of its endpoints stay");
                report.add(Weight::Note, wish, text);
            }
            let mut body = vec![("servers".to_owned(), Json::texts(members.iter().copied()))];
            let paths = endpoints.iter().filter_map(|endpoint| path(endpoint, report));
            let paths: Vec<String> = paths.filter(|path| taken.insert(path.clone())).collect();
            if !paths.is_empty() {
                body.push(("paths".to_owned(), Json::texts(paths)));
            }
            if is_open {
                body.push(("auth".to_owned(), Json::Text("none".to_owned())));
            }
            body.push(("tools".to_owned(), tools.clone()));
            groups.push((name, Json::Object(body)));
        };
        if !closed.is_empty() || open.is_empty() {
            group(&namespace.id.name, &closed, false);
        }
        if let Some(first) = open.first() {
            let wish = if closed.is_empty() { &namespace.id.name } else { &first.name };
            group(wish, &open, true);
        }
        for endpoint in endpoints {
            told(endpoint, report);
        }
    }
    for endpoint in &installation.endpoints {
        if !installation.namespaces.iter().any(|namespace| namespace.id.means(&endpoint.namespace)) {
            report.add(Weight::Lost, &endpoint.name, "the namespace of this endpoint is not there; it is left out");
        }
    }
    groups
}

/// Whether MetaMCP asks for nothing there.
fn is_open(endpoint: &MetaEndpoint) -> bool {
    !endpoint.needs_key && !endpoint.oauth
}

/// The path of an endpoint in MetaMCP.
fn path(endpoint: &MetaEndpoint, report: &mut ImportReport) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    let name = endpoint.name.as_str();
    if name.len() > 150
        || matches!(name, "." | ".." | "mcp" | "sse" | "message" | "messages")
        || !name.chars().all(plain)
    {
        let text = "no path can be called that: its clients need the URL of the group";
        report.add(Weight::Lost, values::shown(name), text);
        return None;
    }
    Some(format!("/metamcp/{name}"))
}

/// What of an endpoint is not as it was.
fn told(endpoint: &MetaEndpoint, report: &mut ImportReport) {
    let name = values::shown(&endpoint.name);
    if is_open(endpoint) {
        let text = "needs no key, as in MetaMCP: everyone who reaches the port may call its tools. Without `\"auth\": \"none\"` in \
                    its group it needs one";
        report.add(Weight::Access, &name, text);
    }
    if endpoint.oauth {
        let text = "clients that signed in by OAuth need a key now: it is closed to them";
        report.add(Weight::Access, &name, text);
    }
    if endpoint.has_rate {
        report.add(Weight::Lost, &name, "its bound on how often it may be called has no counterpart");
    }
}

/// The rules for tools of a namespace.
fn tools(namespace: &Namespace, servers: &Named<'_>, all: &[Namespace], report: &mut ImportReport) -> Json {
    let mut deny = vec![BUILTIN.to_owned()];
    let [mut rename, mut describe, mut title, mut annotations] = <[BTreeMap<String, Json>; 4]>::default();
    let members = active(namespace, servers);
    for (name, server) in servers.iter().filter(|(name, _)| members.contains(&name.as_str())) {
        let nowhere = denied_everywhere(server, all);
        let mut taken = HashSet::new();
        for mapping in namespace.tools.iter().filter(|mapping| mapping.server.means(&server.id)) {
            let tool = format!("{name}{SEPARATOR}{}", mapping.tool);
            if !mapping.active {
                if mapping.tool.contains('*') {
                    report.add(Weight::Access, &tool, "it was inactive; a rule cannot name it, so it is shown");
                } else if !nowhere.contains(&mapping.tool) {
                    deny.push(literal(&tool));
                }
                continue;
            }
            if let Some(new) = new_name(mapping, &tool, report).filter(|new| taken.insert(new.clone())) {
                rename.insert(tool.clone(), Json::Text(new));
            }
            if let Some(text) = &mapping.description {
                describe.insert(tool.clone(), Json::Text(literal(text)));
            }
            if let Some(text) = &mapping.title {
                title.insert(tool.clone(), Json::Text(literal(text)));
            }
            if let Some(own) = mapping.annotations.as_ref().and_then(|own| hints(own, &tool, report)) {
                annotations.insert(tool, own);
            }
        }
    }
    deny[1..].sort_unstable();
    deny.dedup();
    let mut rules = vec![("deny".to_owned(), Json::texts(deny))];
    for (key, map) in [("rename", rename), ("describe", describe), ("title", title), ("annotations", annotations)] {
        if !map.is_empty() {
            rules.push((key.to_owned(), Json::Object(map.into_iter().collect())));
        }
    }
    Json::Object(rules)
}

/// The name that a namespace gives a tool, if it is another one.
fn new_name(mapping: &ToolMapping, tool: &str, report: &mut ImportReport) -> Option<String> {
    let new = mapping.name.as_deref().map(str::trim).filter(|new| *new != mapping.tool)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if new.len() > 128 || !new.chars().all(fits) {
        let text = format!("`{}` is no name for a tool here; it keeps its own", values::shown(new));
        report.add(Weight::Lost, tool, text);
        return None;
    }
    Some(new.to_owned())
}

/// The annotations that MCP knows.
fn hints(own: &serde_json::Map<String, serde_json::Value>, tool: &str, report: &mut ImportReport) -> Option<Json> {
    let mut known = Vec::new();
    for (key, value) in own {
        let hint = match key.as_str() {
            "title" => values::text(value).map(|text| Json::Text(literal(&text))),
            "readOnlyHint" | "destructiveHint" | "idempotentHint" | "openWorldHint" => {
                values::truth(value).map(Json::Bool)
            }
            _ => None,
        };
        match hint {
            Some(hint) => known.push((key.clone(), hint)),
            None if value.is_null() => {}
            None => {
                let text = format!("its annotation `{}` is none of MCP's and is left out", values::shown(key));
                report.add(Weight::Lost, tool, text);
            }
        }
    }
    (!known.is_empty()).then_some(Json::Object(known))
}
