//! A client's `capabilities` and `clientInfo` of `initialize`, whole, for the servers that it uses.
//!
//! Servers are strict about what they are told, and refuse to start for one wrong member; so what has not the type that the
//! specification gives it is left out, and everything else stays as the client wrote it.

use mcproxy_mcp::{ObjectBuilder, RawObject, RawValue, json_string, one_line};

use super::client_info::Client;

/// Longest capabilities that are passed on whole, in bytes; of longer ones go what MCProxy itself knows.
const MAX_CAPABILITIES: usize = 6 * 1024;
/// The same of a client's name and what belongs to it.
const MAX_INFO: usize = 2 * 1024;

/// The declaration of a client for servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    /// Its capabilities, a JSON object on one line.
    pub(crate) capabilities: Box<str>,
    /// Its `clientInfo`, the same.
    pub(crate) info: Box<str>,
}

impl Declaration {
    /// From the params of `initialize`. `client` is what else was read there.
    pub(crate) fn read(params: &RawObject<'_>, client: &Client) -> Self {
        let short = Self::of(client);
        let or = |text: Option<String>, most: usize, short: Box<str>| match text {
            Some(text) if text.len() <= most => text.into(),
            Some(_) | None => short,
        };
        let capabilities = params.get_object("capabilities").map(|object| capabilities(&object));
        let info = params.get_object("clientInfo").and_then(|object| info(&object));
        Self {
            capabilities: or(capabilities, MAX_CAPABILITIES, short.capabilities),
            info: or(info, MAX_INFO, short.info),
        }
    }

    /// The declaration that follows from what is known of a client.
    pub(crate) fn of(client: &Client) -> Self {
        let (name, version) = (json_string(&client.name), json_string(&client.version));
        let info = format!("{{\"name\":{},\"version\":{}}}", name.get(), version.get());
        Self { capabilities: client.features.to_json().into(), info: info.into() }
    }
}

/// The members that are objects. Tasks are left out: a server that hears of them makes its
/// requests as tasks, which MCProxy does not carry to clients.
fn capabilities(object: &RawObject<'_>) -> String {
    let mut members = ObjectBuilder::default();
    for (key, value) in object.iter().filter(|(key, _)| *key != "tasks") {
        let Ok(group) = RawObject::from_raw(value) else { continue };
        let fits = |(part, value): &(&str, &RawValue)| match (key, *part) {
            ("roots", "listChanged") => is_bool(value),
            ("roots" | "sampling" | "elicitation" | "experimental" | "extensions", _) => is_object(value),
            _ => true,
        };
        members.add(key, &object_of(group.iter().filter(fits)));
    }
    members.finish()
}

/// A name, a version, and what else there is of the right type.
fn info(object: &RawObject<'_>) -> Option<String> {
    let is_text = |raw: &RawValue| raw.get().starts_with('"');
    let named = |key| object.get(key).is_some_and(is_text);
    let fits = |(key, value): &(&str, &RawValue)| match *key {
        "title" | "description" | "websiteUrl" => is_text(value),
        "icons" => value.get().starts_with('['),
        _ => value.get() != "null",
    };
    (named("name") && named("version")).then(|| object_of(object.iter().filter(fits)))
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

fn is_bool(raw: &RawValue) -> bool {
    matches!(raw.get(), "true" | "false")
}

/// An object of these members, each on one line.
fn object_of<'a>(members: impl Iterator<Item = (&'a str, &'a RawValue)>) -> String {
    let mut object = ObjectBuilder::default();
    members.for_each(|(key, value)| object.add(key, &one_line(value.get())));
    object.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(params: &Value) -> (Value, Value) {
        let text = params.to_string();
        let object = RawObject::from_text(&text).expect("an object");
        let Declaration { capabilities, info } = Declaration::read(&object, &Client::read(&object));
        (serde_json::from_str(&capabilities).expect("JSON"), serde_json::from_str(&info).expect("JSON"))
    }

    #[test]
    fn what_a_client_declares_goes_to_servers_whole() {
        let capabilities = json!({
            "sampling": {"tools": {}, "context": {}}, "elicitation": {"form": {"applyDefaults": true}, "url": {}},
            "roots": {"listChanged": true}, "experimental": {"x/y": {"z": [1]}}, "com.example": {"a": null},
            "extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}},
        });
        let info = json!({"name": "host", "version": "1", "title": "Host", "icons": [{"src": "data:,"}], "more": 1.50});
        assert_eq!(read(&json!({"capabilities": capabilities, "clientInfo": info})), (capabilities, info));
    }

    #[test]
    fn what_a_strict_server_would_refuse_is_left_out() {
        let params = json!({
            "capabilities": {
                "sampling": false, "roots": {"listChanged": null}, "elicitation": {"form": null, "url": {}},
                "experimental": {"a": true, "b": {}}, "extensions": {"c/d": null}, "tasks": {"requests": {}}, "x": null,
            },
            "clientInfo": {"name": "host", "version": "1", "title": 3, "icons": null, "websiteUrl": null},
        });
        let capabilities =
            json!({"roots": {}, "elicitation": {"url": {}}, "experimental": {"b": {}}, "extensions": {}});
        assert_eq!(read(&params), (capabilities, json!({"name": "host", "version": "1"})));
        let nothing = (json!({}), json!({"name": "", "version": ""}));
        assert_eq!(read(&json!({})), nothing);
        assert_eq!(read(&json!({"capabilities": [], "clientInfo": {"name": 3}})), nothing);
    }

    #[test]
    fn what_is_too_long_is_told_as_far_as_it_is_known() {
        let long = "x".repeat(2 * MAX_CAPABILITIES);
        let params = json!({
            "capabilities": {"sampling": {"tools": {}}, "experimental": {"a": {"b": long}}},
            "clientInfo": {"name": "host", "version": "1", "title": long},
        });
        assert_eq!(read(&params), (json!({"sampling": {"tools": {}}}), json!({"name": "host", "version": "1"})));
    }

    proptest! {
        #[test]
        fn whatever_a_client_says_servers_are_told_objects_on_one_line(
            keys in prop::collection::vec("(roots|sampling|elicitation|extensions|tasks|\\PC{0,4})", 0..5),
            value in "(\\{\n?\\}|null|true|[0-9]|\\{\"listChanged\":\n(1|true)\\}|\\[\\])", breaks in "[ \r\n]{0,3}",
        ) {
            let members: Vec<String> = keys.iter().map(|key| format!("{}{breaks}:{value}", json_string(key).get())).collect();
            let text = format!("{{\"capabilities\":{{{}}},\"clientInfo\":{breaks}{value}}}", members.join(","));
            let object = RawObject::from_text(&text).expect("an object");
            let declaration = Declaration::read(&object, &Client::read(&object));
            for text in [&declaration.capabilities, &declaration.info] {
                prop_assert!(RawObject::from_text(text).is_ok() && !text.contains(['\n', '\r']), "{}", text);
            }
        }
    }
}
