//! A line for each server, and the same as JSON.

use std::path::Path;

use mcproxy_config::{Blocked, Config, Problem, ServerConfig, Severity};
use serde_json::{Value, json};

use crate::cli::{
    console::Console,
    error::CliError,
    human::{one_line, wrapped},
    table::cut,
};

pub(super) fn text(file: &Path, config: &Config, console: &mut Console) -> Result<(), CliError> {
    let out = &mut console.out;
    let enabled = config.servers.iter().filter(|s| s.enabled).count();
    let total = config.servers.len();
    let verdict = verdict(config);
    let blocked = match config.servers.iter().filter(|server| server.enabled && server.blocked().is_some()).count() {
        0 => String::new(),
        some => format!(", {some} blocked"),
    };
    let head = format!(
        "{}: {verdict}; {}, {enabled} enabled{blocked}; listens on {}",
        file.display(),
        count(total, "server"),
        config.listen
    );
    writeln!(out, "{}", wrapped(&head, console.width, "    "))?;
    let widest = config.servers.iter().map(|server| server.name.as_str().len()).max().unwrap_or_default();
    for server in &config.servers {
        let line = format!("  {:widest$}  {}", server.name.as_str(), one_line(&line(server)));
        writeln!(out, "{}", cut(line.trim_end(), console.width))?;
    }
    for group in &config.gateway.groups {
        let servers: Vec<&str> = group.servers.iter().map(|s| s.as_str()).collect();
        writeln!(out, "  group {}: {}", group.name, servers.join(", "))?;
    }
    Ok(())
}

fn verdict(config: &Config) -> String {
    let of = |severity| config.problems.list().iter().filter(|problem| problem.severity == severity).count();
    match (of(Severity::Error), of(Severity::Warning)) {
        (0, 0) => "good".to_owned(),
        (0, warnings) => count(warnings, "warning"),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// The command of a server, or why it has none.
fn line(server: &ServerConfig) -> String {
    let runs = match &server.package {
        // Where it lies says less than what it runs.
        Some(package) => format!("{} {package}", server.command.rsplit('/').next().unwrap_or_default()),
        None => server.command.clone(),
    };
    let off = if server.enabled { None } else { Some("disabled".to_owned()) };
    let blocked = server.blocked().map(|blocked| format!("blocked: {}", in_short(blocked)));
    let notes: Vec<String> = off.into_iter().chain(blocked).collect();
    match (runs.is_empty(), notes.is_empty()) {
        (_, true) => runs,
        (true, false) => format!("({})", notes.join("; ")),
        (false, false) => format!("{runs}  ({})", notes.join("; ")),
    }
}

/// The whole sentence is among the problems, or names what to set.
fn in_short(blocked: &Blocked) -> String {
    match blocked {
        Blocked::Variables(names) => format!("not set: {}", names.join(", ")),
        Blocked::Reference(reference) | Blocked::Secret(reference) => format!("${{{reference}}}"),
        Blocked::Kind(kind) => format!("type {kind}"),
        Blocked::Itself => "leads back to MCProxy".to_owned(),
        Blocked::Mistake(_) => "mistake".to_owned(),
    }
}

pub(super) fn json(config: &Config, ok: bool) -> Value {
    let server = |server: &ServerConfig| {
        let blocked = server.blocked();
        json!({
            "name": server.name,
            "enabled": server.enabled,
            "command": server.command,
            "package": server.package,
            "missingVariables": blocked.map(Blocked::variables).unwrap_or_default(),
            "blocked": blocked.map(ToString::to_string),
        })
    };
    let group = |group: &mcproxy_ipc::control::Group| json!({"name": group.name, "servers": group.servers});
    json!({
        "ok": ok,
        "problems": config.problems.list().iter().map(problem_json).collect::<Vec<_>>(),
        "listen": config.listen.to_string(),
        "servers": config.servers.iter().map(server).collect::<Vec<_>>(),
        "groups": config.gateway.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

pub(super) fn problem_json(problem: &Problem) -> Value {
    json!({
        "severity": problem.severity.as_str(),
        "line": problem.line,
        "column": problem.column,
        "pointer": problem.pointer,
        "message": problem.message,
    })
}
