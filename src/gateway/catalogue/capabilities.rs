//! The capabilities of a scope in `initialize`.

use std::fmt::Write as _;

use mcproxy_mcp::{ObjectBuilder, RawObject, method};

use super::{
    ListKind,
    server::Parts,
    text::{first_line, visible},
};
use crate::gateway::rewrite::Naming;

/// Longest instructions of a scope with many servers, in bytes: they go into every conversation.
const MAX_INSTRUCTIONS: usize = 16 * 1024;

/// Most characters of what such instructions say of one server, where tools are found.
const ABOUT_SERVER: usize = 100;

/// Most bytes of the extensions of all servers, and of their experimental capabilities.
const MAX_UNION: usize = 256 * 1024;

/// The capabilities of a scope, as a JSON object.
pub(super) fn merge(naming: Naming, servers: &Parts) -> String {
    match (naming, servers) {
        (Naming::Own, [(_, catalogue)]) => own(&catalogue.capabilities()),
        // Of one server that is not there yet nothing is known, so nothing is ruled out.
        _ => common(servers),
    }
}

/// The declaration of one server. Changes of its lists are always announced, and tasks are not offered.
fn own(declared: &RawObject<'_>) -> String {
    let mut out = ObjectBuilder::default();
    for (key, value) in declared.iter().filter(|(key, _)| *key != "tasks") {
        if matches!(key, "tools" | "prompts" | "resources") {
            out.add(key, &with_list_changed(RawObject::from_raw(value).unwrap_or_default()));
        } else if value.get().starts_with('{') {
            out.add(key, value.get());
        }
    }
    out.finish()
}

/// The merged capabilities of many servers. Lists are announced even when they are empty: a server may come later.
fn common(servers: &Parts) -> String {
    let any = |test: fn(&super::ServerCatalogue) -> bool| servers.iter().any(|(_, catalogue)| test(catalogue));
    let mut out = ObjectBuilder::default();
    out.add("tools", r#"{"listChanged":true}"#);
    out.add("prompts", r#"{"listChanged":true}"#);
    let subscribe = any(super::ServerCatalogue::subscribes);
    out.add(
        "resources",
        if subscribe { r#"{"subscribe":true,"listChanged":true}"# } else { r#"{"listChanged":true}"# },
    );
    out.add("logging", "{}");
    if any(super::ServerCatalogue::completes) {
        out.add("completions", "{}");
    }
    for key in ["experimental", "extensions"] {
        if let Some(all) = union(servers, key) {
            out.add(key, &all);
        }
    }
    out.finish()
}

/// The members of all servers' objects under a key, as far as there is room; the first server that has one counts.
fn union(servers: &Parts, key: &str) -> Option<String> {
    let declared: Vec<RawObject<'_>> = servers
        .iter()
        .filter_map(|(_, catalogue)| catalogue.capabilities().get(key).and_then(|raw| RawObject::from_raw(raw).ok()))
        .collect();
    let mut seen = std::collections::HashSet::new();
    let mut out = ObjectBuilder::default();
    for (name, value) in declared.iter().flat_map(RawObject::iter) {
        if out.len() + value.get().len() <= MAX_UNION && seen.insert(name) {
            let reads = name == method::SKILLS_EXTENSION && declared.iter().any(reads_directories);
            out.add(name, if reads { r#"{"directoryRead":true}"# } else { value.get() });
        }
    }
    (!declared.is_empty()).then(|| out.finish())
}

/// Whether these extensions can list what is in a directory of skills; it is asked of the server whose directory it is.
fn reads_directories(extensions: &RawObject<'_>) -> bool {
    let skills = extensions.get_object(method::SKILLS_EXTENSION).unwrap_or_default();
    skills.get("directoryRead").is_some_and(|raw| raw.get() == "true")
}

fn with_list_changed(declared: RawObject<'_>) -> String {
    let mut out = ObjectBuilder::default();
    for (key, value) in declared.iter().filter(|(key, _)| *key != "listChanged") {
        out.add(key, value.get());
    }
    out.add("listChanged", "true");
    out.finish()
}

/// The same for clients of a session. The tasks of 2026-07-28 are not for them.
pub(super) fn of_sessions(capabilities: &str) -> Option<String> {
    let object = RawObject::from_text(capabilities).ok()?;
    let extensions = object.get_object("extensions")?;
    extensions.get(method::TASKS_EXTENSION)?;
    let mut rest = ObjectBuilder::default();
    for (key, value) in extensions.iter().filter(|(key, _)| *key != method::TASKS_EXTENSION) {
        rest.add(key, value.get());
    }
    let mut out = ObjectBuilder::default();
    for (key, value) in object.iter().filter(|(key, _)| *key != "extensions") {
        out.add(key, value.get());
    }
    if !rest.is_empty() {
        out.add("extensions", &rest.finish());
    }
    Some(out.finish())
}

/// The instructions of a scope whose tools are found: how, and which servers there are, a line each.
pub(super) fn search_instructions(servers: &Parts) -> String {
    let mut out = String::from(
        "The tools of these MCP servers are not listed. `find_tools` finds them by what you want to do, `describe_tools` shows how \
         they are called, `call_tool` calls them.\n",
    );
    for (server, catalogue) in servers {
        let tools = catalogue.count(ListKind::Tools);
        let about = catalogue.instructions().map(|text| visible(text.trim())).unwrap_or_default();
        let about = first_line(&about, ABOUT_SERVER);
        let gap = if about.is_empty() { "" } else { ": " };
        let line = format!("\n- {server} ({tools} tools){gap}{about}");
        if out.len() + line.len() > MAX_INSTRUCTIONS {
            out.push_str("\n- …");
            break;
        }
        out.push_str(&line);
    }
    out
}

/// The instructions of a scope: the server's own, or a section per server in equal parts of the bound.
pub(super) fn instructions(naming: Naming, servers: &Parts) -> Option<String> {
    let texts = || servers.iter().filter_map(|(server, catalogue)| Some((server, catalogue.instructions()?)));
    if naming == Naming::Own {
        return texts().next().map(|(_, text)| text.to_owned());
    }
    let sections: Vec<String> =
        texts().map(|(server, text)| format!("## {server}\n{}", visible(text.trim()))).collect();
    let whole: usize = sections.iter().map(|s| s.len() + 2).sum();
    let share = if whole <= MAX_INSTRUCTIONS {
        usize::MAX
    } else {
        (MAX_INSTRUCTIONS / sections.len().max(1)).saturating_sub(8)
    };
    let mut out = String::with_capacity(whole.min(MAX_INSTRUCTIONS));
    for section in &sections {
        let end = section.floor_char_boundary(share.min(section.len()));
        let gap = if out.is_empty() { "" } else { "\n\n" };
        let cut = if end < section.len() { "…" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{gap}{}{cut}", &section[..end]);
    }
    (!out.is_empty()).then_some(out)
}
