//! The dump of MetaMCP's database that `deploy/metamcp-export.sql` makes: one object with a list of rows for each table. Rows have
//! the columns that this version of MetaMCP has.

use serde_json::{Map, Value};

use super::{
    installation::{ApiKey, ImportedServer, Installation, MetaEndpoint, Namespace, RowRef, ServerKind, ToolMapping},
    report::{ImportReport, Weight},
    values,
};

/// Columns of servers that are read, or mean nothing elsewhere.
const SERVER_COLUMNS: [&str; 15] = [
    "uuid",
    "name",
    "description",
    "type",
    "command",
    "args",
    "env",
    "url",
    "bearer_token",
    "headers",
    "user_id",
    "error_status",
    "created_at",
    "updated_at",
    "status",
];
/// Columns of endpoints that say how often they may be called.
const RATES: [&str; 2] = ["enable_max_rate", "enable_client_max_rate"];

/// Whether this is one.
pub(super) fn is_one(json: &Value) -> bool {
    let tables = ["namespaces", "namespace_servers", "endpoints", "api_keys", "config"];
    json.get("servers").is_some_and(Value::is_array) && tables.iter().any(|table| json.get(table).is_some())
}

/// Takes it in.
pub(super) fn read(json: &Value, source: &str, into: &mut Installation, report: &mut ImportReport) {
    into.from_database = true;
    let users: Vec<(String, String)> = rows(json, "users")
        .filter_map(|row| Some((values::text_of(row, &["id"])?, values::text_of(row, &["email", "name"])?)))
        .collect();
    let owner = |row: &Map<String, Value>| {
        let id = values::text_of(row, &["user", "user_email", "user_id"])?;
        Some(users.iter().find(|(known, _)| *known == id).map_or(id, |(_, email)| email.clone()))
    };
    let signed_in: Vec<RowRef> = rows(json, "oauth_tokens").filter_map(|row| reference(row, "server")).collect();
    for row in rows(json, "servers") {
        let Some(name) = values::text_of(row, &["name"]) else {
            report.add(Weight::Lost, source, "a server without a name is left out");
            continue;
        };
        for column in row.keys().filter(|column| !SERVER_COLUMNS.contains(&column.as_str())) {
            if row.get(column).is_some_and(is_something) {
                let message = format!("the column `{}` has no counterpart", values::shown(column));
                report.add(Weight::Lost, &name, message);
            }
        }
        let mut server = server(name, row, source, report);
        server.owner = owner(row);
        server.signed_in = signed_in.iter().any(|of| of.means(&server.id));
        into.add(server, report);
    }
    let mut namespaces: Vec<Namespace> = rows(json, "namespaces")
        .filter_map(|row| Some((id(row)?, owner(row))))
        .map(|(id, owner)| Namespace { id, owner, servers: Vec::new(), tools: Vec::new() })
        .collect();
    for row in rows(json, "namespace_servers") {
        let (Some(of), Some(server)) = (reference(row, "namespace"), reference(row, "server")) else { continue };
        if let Some(namespace) = namespaces.iter_mut().find(|namespace| namespace.id.means(&of)) {
            namespace.servers.push((server, values::is_active(row.get("status"))));
        }
    }
    for row in rows(json, "namespace_tools") {
        let (Some(of), Some(server)) = (reference(row, "namespace"), reference(row, "server")) else { continue };
        let Some(tool) = values::text_of(row, &["tool", "tool_name"]) else { continue };
        if let Some(namespace) = namespaces.iter_mut().find(|namespace| namespace.id.means(&of)) {
            namespace.tools.push(mapping(server, tool, row));
        }
    }
    // What the environment says of it is older: it was taken from there once.
    into.namespaces
        .retain(|known| known.id.uuid.is_some() || !namespaces.iter().any(|own| own.id.name == known.id.name));
    into.namespaces.extend(namespaces);
    for row in rows(json, "endpoints") {
        let (Some(name), Some(namespace)) = (values::text_of(row, &["name"]), reference(row, "namespace")) else {
            report.add(Weight::Lost, source, "an endpoint without a name or a namespace is left out");
            continue;
        };
        let says = |column: &str| row.get(column).and_then(values::truth);
        into.endpoints.retain(|known| known.namespace.uuid.is_some() || known.name != name);
        into.endpoints.push(MetaEndpoint {
            name,
            namespace,
            owner: owner(row),
            // What is not said is closed.
            needs_key: says("enable_api_key_auth").unwrap_or(true),
            key_in_query: says("use_query_param_auth").unwrap_or(false),
            oauth: says("enable_oauth").unwrap_or(false),
            has_rate: RATES.into_iter().any(|column| says(column) == Some(true)),
        });
    }
    for row in rows(json, "api_keys") {
        let name = values::text_of(row, &["name"]).unwrap_or_else(|| "key".to_owned());
        let Some(key) = values::text_of(row, &["key"]) else {
            report.add(Weight::Lost, format!("key {}", values::shown(&name)), "it has no value and is left out");
            continue;
        };
        let active = row.get("active").or_else(|| row.get("is_active")).and_then(values::truth).unwrap_or(true);
        into.keys.push(ApiKey { name, key, active, owner: owner(row) });
    }
    for (name, value) in json.get("config").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = values::text(value) {
            into.settings.insert(name.clone(), value);
        }
    }
}

fn server(name: String, row: &Map<String, Value>, source: &str, report: &mut ImportReport) -> ImportedServer {
    let text = |key: &str| values::text_of(row, &[key]);
    let command = text("command");
    ImportedServer {
        kind: ServerKind::of(text("type").as_deref(), command.is_some()),
        description: text("description"),
        command,
        args: values::texts(row.get("args"), &name, "args", report),
        env: values::pairs(row.get("env"), &name, "env", report),
        url: text("url"),
        bearer_token: text("bearer_token"),
        headers: values::pairs(row.get("headers"), &name, "headers", report),
        failed: text("error_status").is_some_and(|status| !status.eq_ignore_ascii_case("none")),
        signed_in: false,
        owner: None,
        source: source.to_owned(),
        id: RowRef { uuid: text("uuid"), name },
    }
}

fn mapping(server: RowRef, tool: String, row: &Map<String, Value>) -> ToolMapping {
    ToolMapping {
        server,
        tool,
        active: values::is_active(row.get("status")),
        name: values::text_of(row, &["override_name"]),
        title: values::text_of(row, &["override_title"]),
        // An empty description is one: it hides the server's.
        description: row.get("override_description").and_then(Value::as_str).map(str::to_owned),
        annotations: row.get("override_annotations").and_then(Value::as_object).filter(|a| !a.is_empty()).cloned(),
    }
}

/// The rows of a table. Anything else is none.
fn rows<'j>(json: &'j Value, table: &str) -> impl Iterator<Item = &'j Map<String, Value>> + use<'j> {
    json.get(table).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn id(row: &Map<String, Value>) -> Option<RowRef> {
    Some(RowRef { uuid: values::text_of(row, &["uuid"]), name: values::text_of(row, &["name"])? })
}

/// The row of another table that this one refers to.
fn reference(row: &Map<String, Value>, table: &str) -> Option<RowRef> {
    let uuid = values::text_of(row, &[&format!("{table}_uuid")]);
    let name = values::text_of(row, &[table, &format!("{table}_name")]);
    (uuid.is_some() || name.is_some()).then(|| RowRef { uuid, name: name.unwrap_or_default() })
}

/// Whether a value says anything.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
