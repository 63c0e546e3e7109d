//! `mcproxy paths`: where everything of MCProxy is on this machine, so that nobody has to know the rules.

use std::path::{Path, PathBuf};

use mcproxy_ipc::{StatusReport, default_state_dir, runtime_dirs, supervisor_socket};
use serde_json::{Value, json};

use crate::cli::{console::Console, error::CliError, exit::Exit, human::printable, supervisor::SupervisorClient};

/// One line of the answer.
struct NamedPath {
    what: &'static str,
    path: PathBuf,
    /// What a person should know of it.
    note: &'static str,
}

/// Prints the paths, as they are for whoever runs this; those of a running supervisor where there is one.
pub(crate) async fn run(
    supervisor: &SupervisorClient,
    runtime_dir: Option<&Path>,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let report = supervisor.status().await.ok();
    let paths = paths(report.as_ref(), runtime_dir);
    if json {
        let named: serde_json::Map<String, Value> =
            paths.iter().map(|named| (named.what.to_owned(), json!(named.path))).collect();
        writeln!(console.out, "{}", Value::Object(named))?;
        return Ok(Exit::Ok);
    }
    let width = paths.iter().map(|named| named.what.len()).max().unwrap_or_default();
    for NamedPath { what, path, note } in paths {
        let missing = if path.exists() { "" } else { " (not there)" };
        let note = if note.is_empty() { String::new() } else { format!("  {note}") };
        writeln!(console.out, "{what:width$}  {}{missing}{note}", printable(&path.display().to_string()))?;
    }
    Ok(Exit::Ok)
}

fn paths(report: Option<&StatusReport>, runtime_dir: Option<&Path>) -> Vec<NamedPath> {
    let mut paths = Vec::new();
    let mut add = |what, path: PathBuf, note| paths.push(NamedPath { what, path, note });
    if let Ok(program) = std::env::current_exe() {
        add("mcproxy", program.clone(), "");
        add("mcproxy-supervisor", program.with_file_name("mcproxy-supervisor"), "");
    }
    // What a supervisor has open tells most.
    let process = report.and_then(|report| std::fs::read_link(format!("/proc/{}/exe", report.supervisor.pid)).ok());
    if let Some(process) = process {
        add("running", process, "the supervisor that answers");
    }
    let config = report.map_or_else(
        || {
            (
                std::path::absolute("mcp-servers.json").unwrap_or_default(),
                "--config; the default of a supervisor started here",
            )
        },
        |report| (PathBuf::from(&report.config_path), "of the running supervisor"),
    );
    add("config", config.0, config.1);
    let dir = runtime_dir.map_or_else(|| runtime_dirs().remove(0), Path::to_owned);
    add("runtime-dir", dir.clone(), "--runtime-dir, MCPROXY_RUNTIME_DIR; one supervisor in each");
    add("socket", supervisor_socket(&dir), "where `mcproxy` asks the supervisor");
    if let Some(state) = default_state_dir() {
        add("state-dir", state.clone(), "--state-dir; may be deleted while MCProxy does not run");
        add("last-good", state.join("config/last-good.json"), "the configuration that was in force last");
    }
    for (what, unit) in
        [("unit", "/etc/systemd/system/mcproxy.service"), ("packaged-unit", "/usr/lib/systemd/system/mcproxy.service")]
    {
        if Path::new(unit).exists() {
            add(what, unit.into(), "");
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_has_one_path() {
        let paths = paths(None, Some(Path::new("/nowhere")));
        let mut names: Vec<&str> = paths.iter().map(|named| named.what).collect();
        let socket = paths.iter().find(|named| named.what == "socket").expect("a socket");
        assert_eq!(socket.path, Path::new("/nowhere/supervisor.sock"));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
