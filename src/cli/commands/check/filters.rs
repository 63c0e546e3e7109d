//! Filters of tools that match nothing of what servers offered when they last ran: most often a name that was mistyped, so that a
//! tool is shown which should not be.

use std::{
    collections::{HashMap, HashSet},
    io::Read as _,
    path::Path,
};

use mcproxy_config::{Config, ServerConfig};
use mcproxy_ipc::{control::Group, frame::MAX_PAYLOAD, kept_file};
use mcproxy_mcp::qualify_name;
use serde::Deserialize;

use crate::{
    cli::human::one_line,
    gateway::{
        builtin_tools,
        unused_rules::{shown_names, unused},
    },
};

/// The servers whose tools are known, each with the names that it has for them.
pub(super) struct KnownTools<'c>(HashMap<&'c str, (&'c ServerConfig, HashSet<String>)>);

/// The kept catalogue of a server; the rest of it is of no use here.
#[derive(Deserialize)]
struct KeptCatalogue {
    #[serde(default)]
    tools: Vec<KeptTool>,
}

#[derive(Deserialize)]
struct KeptTool {
    #[serde(default)]
    name: String,
}

impl<'c> KnownTools<'c> {
    /// Reads the kept catalogues in `dir`. Of a server without one nothing is known.
    pub(super) fn read(config: &'c Config, dir: &Path) -> Self {
        let any_rules = |group: &Group| !group.tools.is_empty();
        let grouped: HashSet<_> =
            config.gateway.groups.iter().filter(|g| any_rules(g)).flat_map(|g| &g.servers).collect();
        let wanted = |server: &&ServerConfig| !server.tools.is_empty() || grouped.contains(&server.name);
        let tools = |server: &'c ServerConfig| {
            let tools = read(&dir.join(server.catalogue_key()?.file_name(&server.name)))?;
            Some((server.name.as_str(), (server, tools)))
        };
        Self(config.servers.iter().filter(wanted).filter_map(tools).collect())
    }

    /// What is said of the rules of this server.
    pub(super) fn unused_of_server(&self, server: &ServerConfig) -> Vec<String> {
        let Some((_, tools)) = self.0.get(server.name.as_str()) else { return Vec::new() };
        let said = |(key, word): (&str, &str)| {
            format!("`{}` in `{key}` matches none of the {} tools that it offered last", one_line(word), tools.len())
        };
        unused(&server.tools, tools).into_iter().map(said).collect()
    }

    /// What is said of the rules of this group. A rule that may concern a server whose tools are not known is passed over.
    pub(super) fn unused_of_group(&self, group: &Group) -> Vec<String> {
        let mut tools: HashSet<String> = builtin_tools().into_iter().collect();
        let mut unknown = Vec::new();
        for name in &group.servers {
            let qualified = |tool: &str| qualify_name(name.as_str(), tool);
            match self.0.get(name.as_str()) {
                Some((server, own)) => tools.extend(shown_names(&server.tools, own).iter().map(|tool| qualified(tool))),
                None => unknown.push(qualified("")),
            }
        }
        let may_be_unknown = |word: &str| {
            let begins = word.split('*').next().unwrap_or_default();
            unknown.iter().any(|prefix| prefix.starts_with(begins) || begins.starts_with(&**prefix))
        };
        let said = |(key, word): (&str, &str)| {
            format!("`{}` in `{key}` matches no tool of the group `{}`", one_line(word), one_line(&group.name))
        };
        unused(&group.tools, &tools).into_iter().filter(|(_, word)| !may_be_unknown(word)).map(said).collect()
    }
}

fn read(file: &Path) -> Option<HashSet<String>> {
    let mut text = String::new();
    kept_file::open(file).ok()?.take(MAX_PAYLOAD as u64).read_to_string(&mut text).ok()?;
    let kept: KeptCatalogue = serde_json::from_str(&text).ok()?;
    Some(kept.tools.into_iter().map(|tool| tool.name).collect())
}

#[cfg(test)]
mod tests {
    use mcproxy_config::Config;

    use super::*;

    #[test]
    fn filters_that_match_nothing_of_what_was_offered_last_are_named() {
        let look = |config: &Config, dir: &Path| KnownTools::read(config, dir).unused_of_server(&config.servers[0]);
        let text = r#"{"servers": [{"name": "a", "command": "x", "tools": {
            "allow": ["read_*", "rite_*"], "deny": ["*", "nosuch"], "rename": {"read_x": "r", "gone": "g"}, "describe": {"gone": "d"}}}]}"#;
        let config = Config::parse(text, &|_| None).expect("read");
        let server = &config.servers[0];
        let dir = tempfile::tempdir().expect("a directory");
        assert!(look(&config, dir.path()).is_empty(), "nothing is known");
        let file = dir.path().join(server.catalogue_key().expect("it can be started").file_name(&server.name));
        std::fs::write(&file, r#"{"serverInfo":{},"tools":[{"name":"read_x"},{"name":"write_y"},{}]}"#)
            .expect("written");
        let found = look(&config, dir.path());
        let expected = [
            "`rite_*` in `tools.allow`",
            "`nosuch` in `tools.deny`",
            "`gone` in `tools.rename`",
            "`gone` in `tools.describe`",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn rules_of_a_group_are_compared_with_all_its_servers_under_the_names_that_these_show() {
        let text = r#"{"servers": [{"name": "a", "command": "x", "tools": {"rename": {"read": "get"}, "deny": ["drop"]}}, {"name": "b", "command": "y"},
            {"name": "c", "command": "z"}], "groups": {
            "ab": {"servers": ["a", "b"], "tools": {"deny": ["*__get", "b__*", "a__read", "a__drop", "*_file", "mcproxy__logs", "mcproxy__log"]}},
            "ac": {"servers": ["a", "c"], "tools": {"allow": ["a__x", "c__x", "*x"]}}}}"#;
        let config = Config::parse(text, &|_| None).expect("read");
        let dir = tempfile::tempdir().expect("a directory");
        let write = |server: &ServerConfig, tools: &str| {
            let file = dir.path().join(server.catalogue_key().expect("it can be started").file_name(&server.name));
            std::fs::write(file, format!(r#"{{"serverInfo":{{}},"tools":[{tools}]}}"#)).expect("written");
        };
        write(&config.servers[0], r#"{"name": "read"}, {"name": "drop"}"#);
        write(&config.servers[1], r#"{"name": "t"}"#);
        let known = KnownTools::read(&config, dir.path());
        let group = |name: &str| config.gateway.groups.iter().find(|group| group.name == name).expect("a group");
        let words = |name: &str| -> Vec<String> {
            let said = known.unused_of_group(group(name));
            said.iter().filter_map(|text| text.split('`').nth(1).map(str::to_owned)).collect()
        };
        assert_eq!(words("ab"), ["a__read", "a__drop", "*_file", "mcproxy__log"]);
        assert_eq!(words("ac"), ["a__x"], "nothing is known of c");
    }
}
