//! Keys of single programs that say something which has a counterpart, in words that the configuration takes. What is not here
//! `mcproxy_config` knows. Pure.

use mcproxy_config::Json;

use super::super::report::{ImportReport, Weight};
use crate::cli::clients::ClientProgram;

/// Keys that are about the other program alone.
const QUIET: [&str; 12] = [
    "created",
    "updated",
    "shared",
    "owner",
    "tags",
    "prompts",
    "resources",
    "keepAliveInterval",
    "enableKeepAlive",
    "reconnect_on_use",
    "gallery",
    "version",
];

/// An entry whose members are changed.
struct AdaptedEntry<'r> {
    members: Vec<(String, Json)>,
    about: &'r str,
    report: &'r mut ImportReport,
}

/// An entry in words that are known; `None`: there is no counterpart of it.
pub(super) fn adapt(
    program: Option<ClientProgram>,
    entry: &Json,
    about: &str,
    report: &mut ImportReport,
) -> Option<Json> {
    let members = entry.members().iter().filter(|(key, _)| !QUIET.contains(&key.as_str())).cloned().collect();
    let mut entry = AdaptedEntry { members, about, report };
    if entry.text("type").is_some_and(|kind| kind == "openapi") {
        entry.report.add(
            Weight::Lost,
            about,
            "it makes tools of an OpenAPI description, which MCProxy does not; left out",
        );
        return None;
    }
    let has_reach = ["command", "cmd", "url", "httpUrl", "serverUrl", "server_url", "endpoint", "transport", "config"];
    if !has_reach.iter().any(|key| entry.get(key).is_some()) {
        let why = match entry.text("source").as_deref() {
            Some("extension") => "an extension of Zed starts it; left out",
            _ => "it has neither a command nor a URL; left out",
        };
        entry.report.add(Weight::Lost, about, why);
        return None;
    }
    entry.codex();
    entry.gateways();
    if program == Some(ClientProgram::Gemini) {
        entry.milliseconds("timeout", "timeout");
    }
    Some(Json::Object(entry.members))
}

impl AdaptedEntry<'_> {
    fn get(&self, key: &str) -> Option<&Json> {
        self.members.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.text().map(str::to_owned)
    }

    fn take(&mut self, key: &str) -> Option<Json> {
        let at = self.members.iter().position(|(known, _)| known == key)?;
        Some(self.members.remove(at).1)
    }

    fn put(&mut self, key: &str, value: Json) {
        match self.members.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => self.members.push((key.to_owned(), value)),
        }
    }

    /// Adds texts to an object, whose own win.
    fn add_to(&mut self, key: &str, pairs: Vec<(String, String)>) {
        if pairs.is_empty() {
            return;
        }
        let mut members = self.get(key).map(Json::members).unwrap_or_default().to_vec();
        for (name, value) in pairs {
            if !members.iter().any(|(known, _)| *known == name) {
                members.push((name, Json::Text(value)));
            }
        }
        self.put(key, Json::Object(members));
    }

    fn milliseconds(&mut self, theirs: &str, ours: &str) {
        if let Some(Json::Number(milliseconds)) = self.take(theirs)
            && milliseconds > 0.0
        {
            self.put(ours, Json::Number(milliseconds / 1000.0));
        }
    }

    fn seconds(&mut self, theirs: &str, ours: &str) {
        if let Some(Json::Number(seconds)) = self.take(theirs)
            && seconds > 0.0
        {
            self.put(ours, Json::Number(seconds));
        }
    }

    /// Names of variables instead of references to them.
    fn codex(&mut self) {
        if let Some(name) = self.text("bearer_token_env_var") {
            self.take("bearer_token_env_var");
            self.put("bearerToken", Json::Text(format!("${{{name}}}")));
        }
        let by_variable = self.take("env_http_headers").map(|headers| headers.members().to_vec()).unwrap_or_default();
        let headers =
            by_variable.into_iter().filter_map(|(name, variable)| Some((name, format!("${{{}}}", variable.text()?))));
        let key = if self.get("http_headers").is_some() { "http_headers" } else { "headers" };
        self.add_to(key, headers.collect());
        if let Some(Json::List(names)) = self.get("env_vars") {
            let name = |name: &Json| name.text().or_else(|| name.get("name")?.text()).map(str::to_owned);
            let names: Vec<String> = names.iter().filter_map(name).filter(|name| !name.contains('=')).collect();
            if !names.is_empty() {
                self.take("env_vars");
                self.add_to("env", names.into_iter().map(|name| (name.clone(), format!("${{{name}}}"))).collect());
            }
        }
        self.listed_variables();
        self.seconds("startup_timeout_sec", "startTimeout");
        self.milliseconds("startup_timeout_ms", "startTimeout");
        self.seconds("tool_timeout_sec", "timeout");
    }

    /// `env` as a list in which a name alone is a variable that is passed on.
    fn listed_variables(&mut self) {
        let Some(Json::List(listed)) = self.get("env") else { return };
        let texts: Option<Vec<&str>> = listed.iter().map(Json::text).collect();
        let Some(texts) = texts else { return };
        let pair = |text: &str| match text.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_')
                .then(|| (text.to_owned(), format!("${{{text}}}"))),
        };
        let pairs: Vec<(String, String)> = texts.iter().filter_map(|text| pair(text)).collect();
        if pairs.len() < texts.len() {
            self.report.add(
                Weight::Lost,
                self.about,
                "patterns in `env` are left out: a server sees the variables that are named",
            );
        }
        self.put("env", Json::pairs(pairs));
    }

    /// mcpproxy-go, MCPHub and 1MCP.
    fn gateways(&mut self) {
        match self.text("protocol").as_deref() {
            None => {}
            Some("auto" | "") => drop(self.take("protocol")),
            Some(kind) => {
                let kind = Json::Text(kind.to_owned());
                self.take("protocol");
                self.put("type", kind);
            }
        }
        if let Some(cwd) = self.take("working_dir")
            && cwd.text().is_some_and(|cwd| !cwd.is_empty())
        {
            self.put("cwd", cwd);
        }
        if self.take("quarantined") == Some(Json::Bool(true)) {
            self.take("enabled");
            self.put("disabled", Json::Bool(true));
            let text = "it was held in quarantine, and comes disabled: look at it, then `mcproxy enable` it";
            self.report.add(Weight::Access, self.about, text);
        }
        if let Some(isolation) = self.take("isolation")
            && isolation.get("enabled") == Some(&Json::Bool(true))
        {
            let text = "it ran in a container of its own; here it runs in MCProxy's sandbox (docs/security.md)";
            self.report.add(Weight::Lost, self.about, text);
        }
        if let Some(options) = self.get("options").filter(|options| options.get("toolFilter").is_none()).cloned() {
            self.take("options");
            for (key, value) in options.members() {
                self.members.push((format!("options.{key}"), value.clone()));
            }
            self.milliseconds("options.timeout", "timeout");
            self.milliseconds("options.maxTotalTimeout", "maxTimeout");
            // Progress always starts the time of a call anew.
            self.take("options.resetTimeoutOnProgress");
        }
        self.milliseconds("requestTimeout", "timeout");
        if self.get("url").is_some() {
            self.milliseconds("connectionTimeout", "connectTimeout");
        } else {
            self.milliseconds("connectionTimeout", "startTimeout");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(program: Option<ClientProgram>, text: &str) -> (Option<String>, ImportReport) {
        let mut report = ImportReport::default();
        let entry = Json::read(text.as_bytes()).expect("JSON");
        let adapted = adapt(program, &entry, "s", &mut report);
        (adapted.map(|entry| entry.file().split_whitespace().collect::<Vec<_>>().join(" ")), report)
    }

    #[test]
    fn names_of_variables_become_references() {
        let (entry, _) = adapted(
            Some(ClientProgram::Codex),
            r#"{"url": "u", "bearer_token_env_var": "T", "http_headers": {"A": "b"}, "env_http_headers": {"A": "X", "B": "Y"}, "tool_timeout_sec": 30}"#,
        );
        assert_eq!(
            entry.as_deref(),
            Some(r#"{ "url": "u", "http_headers": {"A": "b", "B": "${Y}"}, "bearerToken": "${T}", "timeout": 30 }"#)
        );
        let (entry, _) = adapted(
            None,
            r#"{"command": "c", "env_vars": ["A", {"name": "B"}], "env": {"A": "1"}, "startup_timeout_sec": 20}"#,
        );
        assert_eq!(entry.as_deref(), Some(r#"{ "command": "c", "env": {"A": "1", "B": "${B}"}, "startTimeout": 20 }"#));
    }

    #[test]
    fn keys_of_gateways_are_put_into_ours() {
        let (entry, report) = adapted(
            Some(ClientProgram::McpproxyGo),
            r#"{"name": "a", "protocol": "stdio", "command": "c", "working_dir": "/x", "enabled": true, "quarantined": true, "created": "2026"}"#,
        );
        assert_eq!(
            entry.as_deref(),
            Some(r#"{ "name": "a", "command": "c", "type": "stdio", "cwd": "/x", "disabled": true }"#)
        );
        assert!(report.of(Weight::Access)[0].contains("quarantine"));
        let (entry, _) =
            adapted(None, r#"{"url": "u", "options": {"timeout": 60000, "resetTimeoutOnProgress": true, "odd": 1}}"#);
        assert_eq!(entry.as_deref(), Some(r#"{ "url": "u", "options.odd": 1, "timeout": 60 }"#));
        let (entry, _) = adapted(Some(ClientProgram::Gemini), r#"{"command": "c", "timeout": 30000}"#);
        assert_eq!(entry.as_deref(), Some(r#"{ "command": "c", "timeout": 30 }"#));
    }

    #[test]
    fn what_has_no_counterpart_is_left_out_and_named() {
        for text in [r#"{"type": "openapi", "openapi": {}}"#, r#"{"source": "extension", "settings": {}}"#, "{}"] {
            let (entry, report) = adapted(None, text);
            assert_eq!((entry, report.of(Weight::Lost).len()), (None, 1), "{text}");
        }
    }
}
