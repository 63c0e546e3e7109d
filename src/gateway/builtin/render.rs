//! Answers of the built-in tools: text for a model to read, and the same as structured content.

use std::{fmt::Write as _, ops::Range, time::Duration};

use mcproxy_ipc::{ConfigSource, LogLine, LogSource, ServerState, ServerStatus, StatusReport, moment};
use serde_json::{Value, json};

use crate::gateway::catalogue::{Offered, first_line, visible};
use crate::status_view::StatusView;

/// Longest description in a list of tools, in characters.
const SHORT: usize = 200;

/// A result that says what went wrong, so that the model can correct its call.
pub(crate) fn render_error(message: &str) -> String {
    json!({"content": [{"type": "text", "text": visible(message)}], "isError": true}).to_string()
}

/// The answer of `read_result`: these bytes of a result of so many, and where it goes on.
pub(crate) fn render_part(text: &str, part: Range<usize>) -> String {
    let (end, all) = (part.end, text.len());
    let rest = if end < all { format!("it goes on at offset {end}") } else { "this is its end".to_owned() };
    let note = format!("Bytes {} to {end} of {all}; {rest}.", part.start);
    let content = [&text[part], &note].map(|text| json!({"type": "text", "text": text}));
    json!({ "content": content }).to_string()
}

/// The answer of `status`.
pub(crate) fn render_status(report: &StatusReport) -> String {
    let ready = report.servers.iter().filter(|s| s.state == ServerState::Ready).count();
    let mut text = format!("{ready} of {} servers ready (MCProxy {}).", report.servers.len(), report.version);
    if let Some(error) = &report.config_error {
        let instead = match report.config_source {
            ConfigSource::File => "or not all of it",
            ConfigSource::LastGood => "but what was in force before the last start",
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "\nThe configuration file on disk is not in force, {instead}: {error}");
    }
    if !report.config_warnings.is_empty() {
        let count = report.config_warnings.len();
        let _ = write!(text, "\nThe configuration file has {count} warnings, see configWarnings.");
    }
    for server in &report.servers {
        text.push('\n');
        text.push_str(&server_line(server));
    }
    let mut view = json!(StatusView::of(report).without_history());
    // Which protections are missing; how to attack what is not there, and how to mend it, is not a model's concern.
    view["degraded"] = report.degraded.iter().map(|missing| missing.protection.name()).collect();
    for (server, status) in view["servers"].as_array_mut().into_iter().flatten().zip(&report.servers) {
        server["degraded"] = status.degraded.iter().map(|missing| missing.protection.name()).collect();
    }
    made_visible(&mut view);
    result(&text, view)
}

/// The answer of `logs`; the lines are oldest first.
pub(crate) fn render_logs(server: &str, lines: &[LogLine]) -> String {
    let mut text = if lines.is_empty() { format!("No log lines of {server}.") } else { String::new() };
    let mut values = Vec::with_capacity(lines.len());
    for line in lines {
        let at = moment(line.at_ms);
        let source = match line.source {
            LogSource::Own => "mcproxy",
            LogSource::Stderr => "stderr",
        };
        let words = visible(&line.text);
        let _ = writeln!(text, "{at} {} {source}: {words}", line.level.as_str());
        values.push(json!({"at": at, "level": line.level.as_str(), "source": source, "text": words}));
    }
    result(text.trim_end(), json!({"server": server, "lines": values}))
}

/// The answer of `search_tools`: the first `shown` of the tools that were found.
pub(crate) fn render_search(query: &str, found: usize, shown: &[Offered<'_>]) -> String {
    let mut text = match (shown.len(), found) {
        (0, _) => format!("No tool matches {query:?}."),
        (shown, all) if shown < all => format!("The {shown} tools that match {query:?} best, of {all}:"),
        (_, all) => format!("{all} tools match {query:?}, the best first:"),
    };
    let mut values = Vec::with_capacity(shown.len());
    for tool in shown {
        let about = first_line(&tool.description, SHORT);
        let _ = write!(text, "\n{}: {about}", tool.name);
        values.push(json!({"name": tool.name, "server": tool.server.as_str(), "description": about}));
    }
    result(&text, json!({"tools": values, "total": found}))
}

fn server_line(server: &ServerStatus) -> String {
    let mut line = format!("- {}: {} for {}", server.name, server.state, human(server.since));
    if let (ServerState::Ready, Some(about)) = (server.state, &server.description) {
        let _ = write!(line, ", {} tools", about.counts.tools);
    }
    if server.restarts > 0 {
        let _ = write!(line, ", {} restarts", server.restarts);
    }
    if let Some(retry) = server.retry_in {
        let _ = write!(line, ", starts again in {}", human(retry));
    }
    if let Some(error) = &server.last_error {
        let _ = write!(line, ", last error: {}", visible(error).trim().replace('\n', "\n    "));
    }
    line
}

/// Texts of servers are data for a model to read, so what people would not see is left out of them.
fn made_visible(value: &mut Value) {
    match value {
        Value::String(text) => *text = visible(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(made_visible),
        Value::Object(members) => members.values_mut().for_each(made_visible),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn result(text: &str, structured: Value) -> String {
    json!({"content": [{"type": "text", "text": text}], "structuredContent": structured}).to_string()
}

fn human(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcproxy_ipc::{Generation, LogLevel, ProcessStatus, ServerName, ToolRules};

    use super::*;
    use crate::gateway::{
        catalogue::{ServerCatalogue, View},
        rewrite::Naming,
    };

    fn server(name: &str) -> ServerName {
        ServerName::try_from(name).expect("a name")
    }

    fn parsed(result: &str) -> Value {
        serde_json::from_str(result).expect("JSON")
    }

    #[test]
    fn the_status_says_why_a_server_is_down() {
        let process = ProcessStatus { pid: 1, uptime: Duration::ZERO, rss_bytes: 0, restarts: 0 };
        let status = ServerStatus {
            name: server("time"),
            wanted: true,
            state: ServerState::Backoff,
            generation: Generation::default(),
            since: Duration::from_secs(61),
            restarts: 3,
            retry_in: Some(Duration::from_secs(8)),
            stale: false,
            description: None,
            start: None,
            change: None,
            transport: mcproxy_ipc::ServerTransport::Stdio,
            worker_pid: None,
            server_pid: None,
            instances: None,
            list_failures: Vec::new(),
            rss_bytes: 0,
            last_error: Some("command not found: \u{1b}[31muvx".into()),
            degraded: Vec::new(),
            events: Vec::new(),
        };
        let report = StatusReport {
            version: "0.1.0".into(),
            config_path: "x".into(),
            config_source: ConfigSource::File,
            config_error: None,
            config_warnings: Vec::new(),
            listen: "x".into(),
            hardening: mcproxy_confine::Hardening::BestEffort,
            degraded: Vec::new(),
            log_dropped: 0,
            notes_dropped: 0,
            supervisor: process,
            gateway: None,
            servers: vec![status],
        };
        let value = parsed(&render_status(&report));
        let text = value["content"][0]["text"].as_str().expect("text");
        assert!(
            text.contains(
                "- time: backoff for 1 min, 3 restarts, starts again in 8 s, last error: command not found: [31muvx"
            ),
            "{text}"
        );
        let server = &value["structuredContent"]["servers"][0];
        assert_eq!((&server["state"], &server["retryInSeconds"]), (&json!("backoff"), &json!(8.0)));
        assert_eq!(server["lastError"], "command not found: [31muvx");
    }

    #[test]
    fn log_lines_are_told_apart_by_source() {
        let line = LogLine { at_ms: 1000, level: LogLevel::Info, source: LogSource::Stderr, text: "hi\u{202e}".into() };
        let value = parsed(&render_logs("time", &[line]));
        assert_eq!(value["content"][0]["text"], "1970-01-01T00:00:01.000Z info stderr: hi");
        assert_eq!(parsed(&render_logs("time", &[]))["content"][0]["text"], "No log lines of time.");
    }

    #[test]
    fn the_best_match_comes_first() {
        let read = |name: &str, payload: &str| {
            let (catalogue, _) =
                ServerCatalogue::read(&server(name), payload.as_bytes(), &ToolRules::default()).expect("reads");
            (server(name), Arc::new(catalogue))
        };
        let view = View::build(
            Naming::Qualified,
            &[
                read(
                    "a",
                    r#"{"tools":[{"name":"shoot","description":"Takes a screenshot"},{"name":"other","description":"x"}]}"#,
                ),
                read(
                    "b",
                    r#"{"tools":[{"name":"take_screenshot","description":"Picture\nmore"},{"name":"screenshots"}]}"#,
                ),
            ],
        );
        let found = |query: &str| {
            let hits = view.finder().find(query, None, None);
            let shown: Vec<_> = hits.iter().filter_map(|hit| view.found(hit)).take(2).collect();
            parsed(&render_search(query, hits.len(), &shown))
        };
        let value = found("take SCREENSHOT");
        let names: Vec<&str> = value["structuredContent"]["tools"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|t| t["name"].as_str())
            .collect();
        assert_eq!(names, ["b__take_screenshot", "a__shoot"]);
        assert_eq!(value["structuredContent"]["total"], 3);
        assert_eq!(found("nothing here")["structuredContent"]["total"], 0);
    }
}
