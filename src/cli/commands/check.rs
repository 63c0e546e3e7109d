use std::path::Path;

use mcproxy_config::{Blocked, Config, Launch, LoadError, Problems, ServerConfig};
use serde_json::{Value, json};

use crate::cli::{console::Console, error::CliError, exit::Exit, human::printable};

/// Reads a configuration file as the supervisor would, and says what it found.
pub(crate) fn run(file: &Path, json: bool, console: &mut Console) -> Result<Exit, CliError> {
    match Config::load(file, &|variable| std::env::var(variable).ok()) {
        Ok(config) if json => writeln!(console.out, "{}", summary_json(&config))?,
        Ok(config) => summary(file, &config, console)?,
        Err(LoadError::Invalid(problems)) if json => {
            writeln!(console.out, "{}", problems_json(&problems))?;
            return Ok(Exit::Config);
        }
        Err(LoadError::Invalid(problems)) => {
            writeln!(console.out, "{}", printable(problems.to_string().trim_end()))?;
            return Ok(Exit::Config);
        }
        Err(source) => return Err(CliError::Config { path: file.display().to_string(), source }),
    }
    Ok(Exit::Ok)
}

fn summary(file: &Path, config: &Config, console: &mut Console) -> Result<(), CliError> {
    let enabled = config.servers.iter().filter(|s| s.enabled).count();
    let total = config.servers.len();
    let out = &mut console.out;
    let name = file.to_string_lossy();
    writeln!(out, "{}: good; {total} servers, {enabled} enabled; listens on {}", printable(&name), config.listen)?;
    for server in &config.servers {
        let command = printable(&server.command);
        let off = if server.enabled { "" } else { "  (disabled)" };
        writeln!(out, "  {}  {command}{off}", server.name)?;
        if let Some(blocked) = blocked(server) {
            writeln!(out, "    blocked until these variables are set: {}", blocked.variables.join(", "))?;
        }
    }
    for group in &config.gateway.groups {
        let servers: Vec<&str> = group.servers.iter().map(|s| s.as_str()).collect();
        writeln!(out, "  group {}: {}", group.name, servers.join(", "))?;
    }
    Ok(())
}

fn blocked(server: &ServerConfig) -> Option<&Blocked> {
    match &server.launch {
        Launch::Blocked(blocked) => Some(blocked),
        _ => None,
    }
}

fn summary_json(config: &Config) -> Value {
    let server = |s: &ServerConfig| {
        let missing = blocked(s).map(|b| b.variables.clone()).unwrap_or_default();
        json!({"name": s.name, "enabled": s.enabled, "command": s.command, "missingVariables": missing})
    };
    json!({
        "ok": true,
        "listen": config.listen.to_string(),
        "servers": config.servers.iter().map(server).collect::<Vec<_>>(),
        "groups": config.gateway.groups.iter().map(|g| json!({"name": g.name, "servers": g.servers})).collect::<Vec<_>>(),
    })
}

fn problems_json(problems: &Problems) -> Value {
    let each = problems
        .list()
        .iter()
        .map(|p| json!({"line": p.line, "column": p.column, "pointer": p.pointer, "message": p.message}));
    json!({"ok": false, "problems": each.collect::<Vec<_>>()})
}
