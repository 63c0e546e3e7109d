//! The tables of `docs/configuration.md` are made from the schema, and so from the doc comments of the types that the file is
//! read into: a key is described in one place.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use mcproxy_config::schema;
use serde_json::{Map, Value};

/// Where the page says more about a key.
const MORE: &[(&str, &str)] = &[
    ("auth", "who-may-call"),
    ("clientFeatures", "servers-that-ask"),
    ("env", "what-a-server-sees-of-the-environment"),
    ("era", "which-revision-a-server-speaks"),
    ("instances", "servers-with-state"),
    ("hardening", "../security.md"),
    ("limits.totalBuffered", "../limits.md"),
    ("sandbox", "what-a-server-may-do"),
    ("start", "servers-that-are-started-by-their-first-call"),
    ("url", "servers-over-the-network"),
];

/// Definitions that stand for a server and are not described within another table.
const SERVERS: [(&str, &str); 3] = [("Entry", "servers"), ("Server", "a server"), ("Settings", "settings of a server")];

/// Words in a description that say what a number counts; the first of them in the text is meant.
const UNITS: [&str; 8] = [
    "processors",
    "milliseconds",
    "bytes a second",
    "lines a minute",
    "lines a second",
    "seconds",
    "bytes",
    "a second",
];

struct Tables {
    schema: Value,
    described: BTreeSet<String>,
}

impl Tables {
    /// The definition that a part of the schema refers to, by its name, or the part itself.
    fn resolve(&self, part: &Value) -> (Option<String>, Value) {
        match part["$ref"].as_str() {
            Some(reference) => {
                let name = reference.trim_start_matches("#/$defs/");
                (Some(name.to_owned()), self.schema["$defs"][name].clone())
            }
            None => (None, part.clone()),
        }
    }

    /// What may stand there, in words.
    fn kind(&self, part: &Value) -> String {
        let (name, part) = self.resolve(part);
        if let Some((_, words)) = SERVERS.iter().find(|(server, _)| name.as_deref() == Some(server)) {
            return (*words).to_owned();
        }
        if let Some(options) = part["anyOf"].as_array() {
            return options.iter().map(|option| self.kind(option)).collect::<Vec<_>>().join(" or ");
        }
        if let Some(words) = part["enum"].as_array() {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        }
        let kinds = match &part["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => vec![kind.as_str().expect("a type")],
        };
        let words = kinds.into_iter().map(|kind| match kind {
            "array" => match self.kind(&part["items"]).as_str() {
                "servers" => "list of servers".to_owned(),
                "object" => "list of objects".to_owned(),
                items => format!("list of {items}s"),
            },
            "object" if part["additionalProperties"].is_object() => {
                format!("object: name → {}", self.kind(&part["additionalProperties"]))
            }
            "boolean" => "`true`, `false`".to_owned(),
            "integer" => "whole number".to_owned(),
            "null" => "`null`".to_owned(),
            kind => kind.to_owned(),
        });
        words.collect::<Vec<_>>().join(" or ")
    }

    /// One row for each key of an object and of the objects in it.
    fn rows(&mut self, object: &Value, prefix: &str, out: &mut String) {
        let required: Vec<&str> =
            object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, part) in object["properties"].as_object().expect("an object with keys") {
            let path = format!("{prefix}{key}");
            self.row(&path, part, required.contains(&key.as_str()), out);
            for (step, inner) in inner(part) {
                let (name, inner) = self.resolve(&inner);
                if name.as_deref().is_some_and(|name| SERVERS.iter().all(|(server, _)| *server != name))
                    && inner["properties"].is_object()
                {
                    self.described.extend(name);
                    self.rows(&inner, &format!("{path}{step}."), out);
                } else if let Some(options) = inner["anyOf"].as_array() {
                    self.described.extend(name);
                    for option in options {
                        let (name, option) = self.resolve(option);
                        if option["properties"].is_object() {
                            self.described.extend(name);
                            self.rows(&option, &format!("{path}."), out);
                        }
                    }
                }
            }
        }
    }

    fn row(&self, path: &str, part: &Value, required: bool, out: &mut String) {
        let text = part["description"].as_str().expect("every key is explained");
        assert!(!text.contains(['|', '\n']), "{path}: one cell of a table");
        let mut kind = self.kind(part);
        if kind.contains("number") && part["$ref"].is_null() {
            let unit = unit(text);
            assert!(!unit.is_empty() || !kind.starts_with("number"), "{path}: a number without a unit: {text}");
            if !unit.is_empty() {
                kind = kind.replacen("number", &format!("number ({unit})"), 1);
            }
        }
        let default = match part.get("default") {
            _ if required => "required".to_owned(),
            Some(Value::Object(_)) if !part["$ref"].is_null() => "–".to_owned(),
            Some(value) => format!("`{}`", plain(value)),
            None => "–".to_owned(),
        };
        let bounds = match (part.get("minimum"), part.get("maximum")) {
            (Some(least), Some(most)) => format!("{} to {}", plain(least), plain(most)),
            _ => "–".to_owned(),
        };
        let more = match MORE.iter().find(|(key, _)| *key == path) {
            Some((_, file)) if file.ends_with(".md") => format!(" ([more]({}))", file.trim_start_matches("../")),
            Some((_, heading)) => format!(" ([more](#{heading}))"),
            None => String::new(),
        };
        writeln!(out, "| `{path}` | {kind} | {default} | {bounds} | {text}{more} |").expect("written to a string");
    }

    fn table(&mut self, object: &Value) -> String {
        let mut rows = String::from("| key | type | default | range | meaning |\n|---|---|---|---|---|\n");
        self.rows(object, "", &mut rows);
        rows
    }
}

/// What is described within a key: how its path goes on, and the part of the schema.
fn inner(part: &Value) -> Vec<(&'static str, Value)> {
    if part["items"].is_object() {
        return vec![("[]", part["items"].clone())];
    }
    if part["additionalProperties"].is_object() {
        return vec![(".{name}", part["additionalProperties"].clone())];
    }
    vec![("", part.clone())]
}

/// What a number counts, if its description names a unit.
fn unit(text: &str) -> &'static str {
    let text = text.to_lowercase();
    let found = UNITS.iter().filter_map(|unit| Some((text.find(unit)?, *unit)));
    found.min_by_key(|(at, _)| *at).map_or("", |(_, unit)| unit)
}

/// A value as people write it: no fraction where there is none.
fn plain(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 => format!("{number:.0}"),
        _ => value.to_string(),
    }
}

fn keys(schema: &Value, name: &str) -> Map<String, Value> {
    schema["$defs"][name]["properties"].as_object().expect("an object with keys").clone()
}

/// The text between two marks of the page, replaced.
fn replaced(page: &str, mark: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {mark} -->\n"), format!("<!-- end: {mark} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the page has no {end}"));
    format!("{before}{begin}\n{text}\n{end}{after}")
}

#[test]
fn the_tables_of_the_configuration_page_are_the_generated_ones() {
    let mut tables = Tables { schema: schema(), described: BTreeSet::new() };
    let root = tables.schema.clone();
    let (file, server) = (tables.table(&root), tables.table(&root["$defs"]["Entry"]));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(&path).expect("the page");
    let generated = replaced(&replaced(&page, "the file", &file), "a server", &server);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &generated).expect("written");
    }
    let committed = fs::read_to_string(&path).expect("the page");
    assert!(committed == generated, "run this test with UPDATE_DOCS=1 and commit docs/configuration.md");

    for (key, _) in MORE {
        assert!(generated.contains(&format!("\n| `{key}` |")), "`{key}` is no key any more");
    }
    let all: BTreeSet<&str> = root["$defs"].as_object().expect("definitions").keys().map(String::as_str).collect();
    let servers = SERVERS.map(|(name, _)| name);
    let missing: Vec<&str> =
        all.into_iter().filter(|name| !tables.described.contains(*name) && !servers.contains(name)).collect();
    let plain = |name: &&str| root["$defs"][*name]["properties"].is_object();
    assert!(!missing.iter().any(plain), "keys of {missing:?} are in no table");
}

#[test]
fn the_table_of_a_server_has_the_keys_of_all_forms_of_a_server() {
    let schema = schema();
    let entry = keys(&schema, "Entry");
    for form in ["Server", "Settings"] {
        for (key, part) in keys(&schema, form) {
            assert_eq!(entry.get(&key), Some(&part), "{form}: `{key}` is described otherwise than in a list");
        }
    }
    let settings = keys(&schema, "Settings");
    let only: Vec<&str> = entry.keys().map(String::as_str).filter(|key| !settings.contains_key(*key)).collect();
    assert_eq!(
        only,
        [
            "args",
            "bearerToken",
            "command",
            "connectTimeout",
            "denyPrivate",
            "description",
            "disabled",
            "forwardHeaders",
            "headers",
            "name",
            "oauth",
            "proxy",
            "tls",
            "type",
            "url"
        ],
        "the page names those without a default"
    );
}
