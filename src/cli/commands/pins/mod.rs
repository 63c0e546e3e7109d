//! `mcproxy tools diff` and `approve`: how the tools of servers differ from those that were pinned.

mod difference;
mod words;

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use mcproxy_ipc::{default_state_dir, frame::MAX_PAYLOAD, kept_file};
use serde_json::{Value, json};

use self::difference::{ToolDifference, differences};
use crate::cli::{console::Console, error::CliError, exit::Exit, human::printable};

/// Which servers, and where what is kept of them is.
pub(crate) struct DiffTools {
    pub(crate) server: Option<String>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) json: bool,
}

impl DiffTools {
    /// Prints each difference.
    pub(crate) fn run(self, console: &mut Console) -> Result<Exit, CliError> {
        let Some(state) = self.state_dir.or_else(default_state_dir) else {
            return Err(CliError::Usage("there is no state directory here; name one with --state-dir".into()));
        };
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| CliError::Service { what: "read", path, source }
        };
        let pins = state.join("pins");
        let mut servers = pinned(&pins).map_err(unreadable(&pins))?;
        if let Some(server) = &self.server {
            servers.retain(|name| name == server);
            if servers.is_empty() {
                return Err(CliError::Usage(format!(
                    "no tools of a server `{server}` are pinned in {}",
                    pins.display()
                )));
            }
        }
        let mut all = Vec::new();
        for server in servers {
            let file = pins.join(format!("{server}.json"));
            let before = read(&file).map_err(unreadable(&file))?;
            let Some(kept) = newest(&state.join("catalogues"), &server) else { continue };
            let now = read(&kept).map_err(unreadable(&kept))?;
            let found = differences(&tools(&before), &tools(&now));
            if !found.is_empty() {
                all.push((server, found));
            }
        }
        if self.json {
            let servers: Vec<Value> = all
                .iter()
                .map(|(server, found)| json!({"server": server, "tools": found.iter().map(ToolDifference::json).collect::<Vec<_>>()}))
                .collect();
            writeln!(console.out, "{}", Value::from(servers))?;
        } else if all.is_empty() {
            writeln!(console.out, "all tools are as they were pinned")?;
        } else {
            for (server, found) in &all {
                for difference in found {
                    for line in difference.lines(server) {
                        writeln!(console.out, "{}", printable(&line))?;
                    }
                }
            }
            console.remark("`mcproxy tools approve SERVER` pins the tools of a server as they are now");
        }
        Ok(if all.is_empty() { Exit::Ok } else { Exit::Failed })
    }
}

/// The servers whose tools are pinned.
fn pinned(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut servers: Vec<String> = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    servers.sort_unstable();
    Ok(servers)
}

/// What a server offered last.
fn newest(dir: &Path, server: &str) -> Option<PathBuf> {
    let is_its =
        |name: &str| name.strip_prefix(server).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".json"));
    let files = fs::read_dir(dir).ok()?.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_its));
    let changed =
        |entry: &fs::DirEntry| entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    files.max_by_key(changed).map(|entry| entry.path())
}

fn read(path: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    kept_file::open(path)?.take(MAX_PAYLOAD as u64).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

/// The tools of a catalogue.
fn tools(catalogue: &Value) -> Vec<Value> {
    catalogue["tools"].as_array().cloned().unwrap_or_default()
}
