//! Rules of tools that concern none of the tools that a server offers: most often a name from another version of the server.

use std::collections::HashSet;

use mcproxy_ipc::ToolRules;
use mcproxy_mcp::{RawArray, RawObject, RawValue};

use super::{
    CatalogueProblem,
    entry::{lookup, permitted},
    glob,
    warning::Warnings,
};

/// The rules that concern none of these tools: the key that each stands in, and the pattern or name.
pub(crate) fn unused<'r>(rules: &'r ToolRules, tools: &HashSet<String>) -> Vec<(&'static str, &'r str)> {
    let patterns = [("tools.allow", &rules.allow), ("tools.deny", &rules.deny)];
    let pairs = [("tools.rename", &rules.rename), ("tools.describe", &rules.describe), ("tools.title", &rules.title)];
    let dead = |pattern: &&String| !tools.iter().any(|tool| glob::fits(pattern, tool));
    let patterns =
        patterns.into_iter().flat_map(|(key, list)| list.iter().filter(dead).map(move |word| (key, &**word)));
    let absent = |(tool, _): &&(String, String)| !tools.contains(tool);
    let pairs =
        pairs.into_iter().flat_map(|(key, list)| list.iter().filter(absent).map(move |(tool, _)| (key, &**tool)));
    let annotations = rules.annotations.iter().filter(|(tool, _)| !tools.contains(tool));
    let annotations = annotations.map(|(tool, _)| ("tools.annotations", &**tool));
    patterns.chain(pairs).chain(annotations).collect()
}

/// What a server with these rules calls its tools at its own endpoint. (That a list is unfit for clients is not looked at.)
pub(crate) fn shown_names<'t>(rules: &ToolRules, own: impl IntoIterator<Item = &'t String>) -> Vec<String> {
    let permitted = own.into_iter().filter(|name| permitted(rules, name));
    permitted.map(|name| lookup(&rules.rename, name).unwrap_or(name).to_owned()).collect()
}

/// Warns of them. A server that offers no tool (yet) says nothing about its rules.
pub(super) fn report(list: Option<&RawValue>, rules: &ToolRules, warnings: &mut Warnings<'_>) {
    if rules == &ToolRules::default() {
        return;
    }
    let Some(RawArray(elements)) = list.and_then(|list| RawArray::from_raw(list).ok()) else { return };
    let name = |raw: &RawValue| Some(RawObject::from_raw(raw).ok()?.get_string("name")?.into_owned());
    let tools: HashSet<String> = elements.into_iter().filter_map(name).collect();
    if tools.is_empty() {
        return;
    }
    for (key, word) in unused(rules, &tools) {
        warnings.add(None, word, CatalogueProblem::UnusedRule { key, tools: tools.len() });
    }
}
