//! A server's entry as it is in force: every key with its value, defaults included, and secrets masked.

use std::time::Duration;

use mcproxy_confine::{Network, Reading};
use mcproxy_ipc::{
    HttpDialect, HttpProxy, Instances, Reach, Secret,
    secret_words::{MASK, is_secret_name, mask_address, mask_words},
};
use serde_json::{Map, Value, json};

use super::{Era, OnChange, ServerConfig, Start};

impl ServerConfig {
    /// The entry under the names of the file; of variables and headers the names only.
    pub fn shown(&self) -> Value {
        let mut entry = Map::new();
        match &self.reach {
            Ok(reach) => entry.extend(reach_of(reach)),
            Err(blocked) => entry.extend([
                ("command".to_owned(), json!(self.command)),
                ("blocked".to_owned(), json!(blocked.to_string())),
            ]),
        }
        let (start, idle) = match self.start {
            Start::Eager => ("eager", None),
            Start::Lazy { idle_timeout } => ("lazy", idle_timeout),
        };
        let (instances, max_instances, prewarm) = match self.instances {
            Instances::Shared | Instances::SingleClient => ("shared", None, None),
            Instances::PerSession(rules) => ("per-session", Some(rules.max), Some(rules.prewarm)),
        };
        let rest = json!({
            "enabled": self.enabled,
            "start": start,
            "idleTimeout": idle.map(seconds),
            "startTimeout": seconds(self.start_timeout),
            "timeout": seconds(self.timeouts.idle),
            "maxTimeout": seconds(self.timeouts.total),
            "inputTimeout": seconds(self.timeouts.input),
            "onChange": match self.on_change { OnChange::Swap => "swap", OnChange::Restart => "restart" },
            "instances": instances,
            "maxInstances": max_instances,
            "prewarm": prewarm,
            "era": match self.era { Era::Auto => "auto", Era::Legacy => "legacy", Era::Modern => "modern" },
            "listTtl": self.list_ttl.map(seconds),
            "restart": {
                "initialDelay": seconds(self.restart.initial_delay),
                "maxDelay": seconds(self.restart.max_delay),
                "healthyAfter": seconds(self.restart.healthy_after),
                "maxAttempts": self.restart.max_attempts,
            },
            "tools": self.shown_tools(),
            "limits": self.shown_limits(),
            "sandbox": self.shown_sandbox(),
            "network": match &self.confinement.sandbox.network {
                Network::Full => json!("full"),
                Network::Ports(ports) => json!(ports),
                Network::None => json!("none"),
            },
            "runAs": self.run_as,
        });
        if let Value::Object(rest) = rest {
            entry.extend(rest.into_iter().filter(|(_, value)| !value.is_null()));
        }
        Value::Object(entry)
    }

    fn shown_tools(&self) -> Value {
        let rules = &self.tools;
        let pairs = |pairs: &[(String, String)]| -> Map<String, Value> {
            pairs.iter().map(|(name, text)| (name.clone(), json!(text))).collect()
        };
        let mut shown = Map::new();
        if !rules.allow.is_empty() {
            shown.insert("allow".to_owned(), json!(rules.allow));
        }
        shown.insert("deny".to_owned(), json!(rules.deny));
        for (key, of) in [("rename", &rules.rename), ("describe", &rules.describe), ("title", &rules.title)] {
            if !of.is_empty() {
                shown.insert(key.to_owned(), Value::Object(pairs(of)));
            }
        }
        if !rules.annotations.is_empty() {
            shown.insert(
                "annotations".to_owned(),
                json!(rules.annotations.iter().map(|(name, _)| name).collect::<Vec<_>>()),
            );
        }
        Value::Object(shown)
    }

    fn shown_limits(&self) -> Value {
        let (limits, own) = (&self.limits, &self.confinement.limits);
        json!({
            "maxLine": limits.line_bytes,
            "maxTools": limits.tools,
            "maxCatalogue": limits.catalogue_bytes,
            "maxConcurrent": limits.concurrent_calls,
            "maxMemory": limits.memory_bytes,
            "maxProcesses": limits.processes,
            "cpu": limits.cpu_millis.map(|cpu| f64::from(cpu) / 1000.0),
            "maxFileSize": own.file_bytes,
            "maxFiles": own.files,
            "maxPages": limits.pages,
            "maxGarbage": limits.garbage_lines,
            "maxStderr": limits.stderr_lines,
            "writeTimeout": seconds(limits.write_timeout),
        })
    }

    fn shown_sandbox(&self) -> Value {
        let sandbox = &self.confinement.sandbox;
        if !sandbox.files {
            return json!("off");
        }
        json!({
            "read": match &sandbox.reading {
                Reading::Everything => Value::Null,
                Reading::Only(paths) => json!(paths),
            },
            "write": sandbox.write,
            "deny": sandbox.deny,
            "bind": sandbox.bind,
            "namespaces": sandbox.namespaces,
        })
    }
}

/// How it is reached.
fn reach_of(reach: &Reach) -> Vec<(String, Value)> {
    let named = |values: &[(String, Secret)]| -> Map<String, Value> {
        values.iter().map(|(name, _)| (name.clone(), json!(MASK))).collect()
    };
    let mut shown: Vec<(&str, Value)> = Vec::new();
    match reach {
        Reach::Command(launch) => {
            shown.push(("command", json!(without(&launch.program, reach))));
            shown.push(("args", json!(arguments(reach, &launch.args))));
            shown.push(("env", Value::Object(named(&launch.env))));
            shown.push(("cwd", json!(launch.cwd)));
        }
        Reach::Http(http) => {
            shown.push(("url", json!(without(http.url.expose(), reach))));
            shown.push((
                "type",
                json!(match http.dialect {
                    HttpDialect::Auto => "auto",
                    HttpDialect::Streamable => "http",
                    HttpDialect::Sse => "sse",
                }),
            ));
            shown.push(("headers", Value::Object(named(&http.headers))));
            shown.push(("forwardHeaders", json!(http.forward_headers)));
            shown.push((
                "proxy",
                match &http.proxy {
                    HttpProxy::System => Value::Null,
                    HttpProxy::Direct => json!("none"),
                    HttpProxy::Url(url) => json!(without(url.expose(), reach)),
                },
            ));
            shown.push(("connectTimeout", json!(seconds(http.connect_timeout))));
            shown.push(("denyPrivate", json!(http.deny_private)));
            shown.push(("oauth", json!(http.oauth.is_some())));
        }
        Reach::Embeddings(embeddings) => {
            shown.push(("url", json!(without(embeddings.http.url.expose(), reach))));
            shown.push(("model", json!(embeddings.model)));
            shown.push(("headers", Value::Object(named(&embeddings.http.headers))));
        }
        Reach::Authority(authority) => {
            shown.push(("url", json!(without(authority.http.url.expose(), reach))));
            shown.push(("introspects", json!(authority.client.is_some())));
        }
    }
    shown.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The arguments, without values of flags that are called secret.
fn arguments(reach: &Reach, args: &[Secret]) -> Vec<String> {
    let mut is_value = false;
    let mut shown = Vec::with_capacity(args.len());
    for arg in args {
        let text = arg.expose();
        shown.push(if is_value { MASK.to_owned() } else { without(text, reach) });
        is_value = text.starts_with('-') && !text.contains('=') && is_secret_name(text);
    }
    shown
}

/// A text without what is known to be secret in this entry, and without what looks like it.
fn without(text: &str, reach: &Reach) -> String {
    let known = reach.looked_up().iter().chain(reach.named_values().iter().map(|(_, value)| value)).map(Secret::expose);
    // What is shorter stands in every text.
    let known = known.filter(|value| value.len() >= 4);
    let text = known.fold(text.to_owned(), |text, value| text.replace(value, MASK));
    let text = mask_address(&text).unwrap_or(text);
    mask_words(&text).unwrap_or(text)
}

fn seconds(time: Duration) -> Value {
    let whole = time.as_secs();
    if time.subsec_nanos() == 0 { json!(whole) } else { json!(time.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn an_entry_is_shown_with_its_defaults_and_without_its_secrets() {
        let text = r#"{"mcpServers": {
            "a": {"command": "npx", "args": ["-y", "pkg", "--token", "literal-one", "--url=${URL}"], "env": {"KEY": "literal-two"}, "timeout": 5},
            "b": {"url": "https://ann:literal-three@h.example/mcp?key=literal-four", "headers": {"X-Key": "literal-five"}},
            "c": {"command": "x", "env": {"A": "${UNSET}"}}
        }}"#;
        let env = |name: &str| (name == "URL").then(|| "from-the-environment".to_owned());
        let config = Config::parse(text, &env).expect("a configuration");
        let shown = |name: &str| config.server(name).expect("configured").shown();
        let a = shown("a");
        assert_eq!(a["args"], serde_json::json!(["-y", "pkg", "--token", "•••", "--url=•••"]));
        assert_eq!((&a["env"]["KEY"], &a["timeout"], &a["start"]), (&"•••".into(), &5.into(), &"eager".into()));
        assert_eq!(shown("b")["headers"]["X-Key"], "•••");
        assert!(shown("c")["blocked"].as_str().is_some_and(|why| why.contains("UNSET")));
        for name in ["a", "b", "c"] {
            let text = shown(name).to_string();
            assert!(!text.contains("literal") && !text.contains("from-the-environment"), "{text}");
        }
    }
}
