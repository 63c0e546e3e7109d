//! Filters of tools that match nothing of what a server offered when it last ran.

use std::{collections::HashSet, io::Read as _, path::Path};

use mcproxy_config::ServerConfig;
use mcproxy_ipc::{ToolRules, frame::MAX_PAYLOAD, kept_file};
use serde::Deserialize;

use super::Finding;
use crate::{cli::human::one_line, gateway::unused_rules::unused};

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

/// Compares the rules with the kept catalogue in `dir`. Without one nothing is known.
pub(super) fn look(server: &ServerConfig, dir: &Path) -> Vec<Finding> {
    let rules = &server.tools;
    if rules == &ToolRules::default() {
        return Vec::new();
    }
    let Some(tools) = server.catalogue_key().and_then(|key| read(&dir.join(key.file_name(&server.name)))) else {
        return Vec::new();
    };
    unused(rules, &tools)
        .into_iter()
        .map(|(key, word)| Finding {
            key: "tools",
            message: format!(
                "`{}` in `{key}` matches none of the {} tools that it offered last",
                one_line(word),
                tools.len()
            ),
        })
        .collect()
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
        let text = r#"{"servers": [{"name": "a", "command": "x", "tools": {
            "allow": ["read_*", "rite_*"], "deny": ["*", "nosuch"], "rename": {"read_x": "r", "gone": "g"}, "describe": {"gone": "d"}}}]}"#;
        let config = Config::parse(text, &|_| None).expect("read");
        let server = &config.servers[0];
        let dir = tempfile::tempdir().expect("a directory");
        assert!(look(server, dir.path()).is_empty(), "nothing is known");
        let file = dir.path().join(server.catalogue_key().expect("it can be started").file_name(&server.name));
        std::fs::write(&file, r#"{"serverInfo":{},"tools":[{"name":"read_x"},{"name":"write_y"},{}]}"#)
            .expect("written");
        let found: Vec<String> = look(server, dir.path()).into_iter().map(|finding| finding.message).collect();
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
}
