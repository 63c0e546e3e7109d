//! The files that are shipped: the schema is the one of the types, and the default configuration is valid.

use std::path::{Path, PathBuf};

use mcproxy_config::{Config, schema};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let path = shipped("docs/mcp-servers.schema.json");
    let generated = schema();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = serde_json::to_string_pretty(&generated).expect("a schema is JSON");
        std::fs::write(&path, text + "\n").expect("written");
    }
    let committed: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("committed")).expect("JSON");
    assert!(committed == generated, "run this test with UPDATE_DOCS=1 and commit docs/mcp-servers.schema.json");
}

#[test]
fn the_shipped_configuration_is_valid_and_starts_three_servers() {
    // Every file is checked against the schema, so this one is too.
    let config = Config::load(&shipped("mcp-servers.json"), &|_| None).expect("valid");
    let started: Vec<&str> = config
        .servers
        .iter()
        .filter(|server| server.enabled && server.reach.is_ok())
        .map(|server| server.name.as_str())
        .collect();
    assert_eq!(started, ["playwright", "time", "everything"]);
}

#[test]
fn every_object_of_the_schema_is_closed_and_every_key_explained() {
    fn visit(schema: &serde_json::Value, path: &str) {
        let Some(object) = schema.as_object() else { return };
        if let Some(properties) = object.get("properties").and_then(|value| value.as_object()) {
            assert_eq!(object["additionalProperties"], false, "{path}");
            for (key, part) in properties {
                assert!(part["description"].is_string(), "{path}/{key} has no description");
                visit(part, &format!("{path}/{key}"));
            }
        }
        for (name, part) in object.get("$defs").and_then(|value| value.as_object()).into_iter().flatten() {
            visit(part, name);
        }
    }
    visit(&schema(), "");
}
