//! The export of MetaMCP's web interface: servers by name, and nothing else.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    installation::{ImportedServer, Installation, RowRef, ServerKind},
    report::{ImportReport, Weight},
    values,
};

const SERVERS: &str = "mcpServers";
/// Keys of an entry that are read.
const KNOWN: [&str; 8] = ["type", "description", "command", "args", "env", "url", "bearerToken", "headers"];

/// Whether this is one.
pub(super) fn is_one(json: &Value) -> bool {
    json.get(SERVERS).is_some_and(Value::is_object)
}

/// Takes it in. `json` is what `text` comes to, where of names that are there twice the last one is left.
pub(super) fn read(text: &str, json: &Value, source: &str, into: &mut Installation, report: &mut ImportReport) {
    let servers = match serde_json::from_str::<Whole>(text.trim()) {
        Ok(whole) => whole.servers.0,
        // It was found in other text.
        Err(_) => json[SERVERS].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
    };
    for (name, entry) in servers {
        let Some(entry) = entry.as_object() else {
            report.add(Weight::Lost, &name, format!("its entry in {source} is no object and is left out"));
            continue;
        };
        for key in entry.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
            report.add(
                Weight::Lost,
                &name,
                format!("`{}` in {source} is not known and is left out", values::shown(key)),
            );
        }
        into.add(server(&name, entry, source, report), report);
    }
}

fn server(name: &str, entry: &Map<String, Value>, source: &str, report: &mut ImportReport) -> ImportedServer {
    let text = |key: &str| entry.get(key).and_then(values::text);
    let command = text("command");
    ImportedServer {
        kind: ServerKind::of(text("type").as_deref(), command.is_some()),
        id: RowRef { uuid: None, name: name.to_owned() },
        description: text("description"),
        command,
        args: values::texts(entry.get("args"), name, "args", report),
        env: values::pairs(entry.get("env"), name, "env", report),
        url: text("url"),
        bearer_token: text("bearerToken"),
        headers: values::pairs(entry.get("headers"), name, "headers", report),
        failed: false,
        signed_in: false,
        owner: None,
        source: source.to_owned(),
    }
}

#[derive(Deserialize)]
struct Whole {
    #[serde(rename = "mcpServers")]
    servers: NamedEntries,
}

/// The members of an object, with those whose name is there twice.
struct NamedEntries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for NamedEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = NamedEntries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("servers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NamedEntries, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(NamedEntries(members))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}
