//! Whether this machine has what servers are started with. Nothing is started.

use std::ffi::{OsStr, OsString};

use mcproxy_config::ServerConfig;
use mcproxy_ipc::{EndReason, LaunchSpec, find_program};

use super::Finding;

/// The machine as it is seen from here. The supervisor may see it otherwise: its PATH is that of its service manager.
pub(super) struct Machine {
    path: Option<OsString>,
}

impl Machine {
    /// Where we run.
    pub(super) fn this() -> Self {
        Self { path: std::env::var_os("PATH") }
    }

    /// A thing that a server will miss.
    pub(super) fn look(&self, server: &ServerConfig) -> Vec<Finding> {
        let Some(launch) = server.launch_spec() else { return Vec::new() };
        if !server.enabled {
            return Vec::new();
        }
        let found = |key, message: Option<String>| message.map(|message| Finding { key, message });
        let cwd = launch.cwd.as_deref().filter(|cwd| !cwd.is_dir());
        let cwd = cwd.map(|_| "this directory does not exist, as seen from here; the server cannot start".to_owned());
        let is_relative = launch.program.contains('/') && !launch.program.starts_with('/');
        // Where it would be looked for is not there.
        let nowhere = is_relative && cwd.is_some();
        let command = if nowhere { None } else { self.missing(launch, &server.command) };
        found("cwd", cwd).into_iter().chain(found("command", command)).collect()
    }

    /// Why the command cannot be started. `written` is how the file has it: what replaced a reference may be secret.
    fn missing(&self, launch: &LaunchSpec, written: &str) -> Option<String> {
        let own = launch.variable("PATH").map(|value| OsStr::new(value.expose()));
        let path = own.or(self.path.as_deref());
        // Of a directory that is not there it is told elsewhere.
        let launch = LaunchSpec { cwd: launch.cwd.clone().filter(|cwd| cwd.is_dir()), ..launch.clone() };
        let reason = find_program(&launch, path).err()?;
        let first = launch.program.split_whitespace().next().unwrap_or_default();
        if first != launch.program
            && find_program(&LaunchSpec { program: first.to_owned(), ..launch.clone() }, path).is_ok()
        {
            return Some("there is no such file; write the arguments of a command in `args`".to_owned());
        }
        let shown = match reason {
            EndReason::CommandNotFound { .. } => EndReason::CommandNotFound { program: written.to_owned() }.to_string(),
            other if written == launch.program => other.to_string(),
            _ => "the command cannot be executed".to_owned(),
        };
        Some(format!("as seen from here: {shown}"))
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_config::Config;
    use serde_json::{Value, json};

    use super::*;

    fn look(entry: &Value) -> Vec<(&'static str, String)> {
        let text = json!({"mcpServers": {"a": entry}}).to_string();
        let config = Config::parse(&text, &|_| Some("/bin/hunter2".to_owned())).expect("read");
        let machine = Machine { path: Some("/usr/bin:/bin".into()) };
        machine.look(&config.servers[0]).into_iter().map(|finding| (finding.key, finding.message)).collect()
    }

    #[test]
    fn commands_and_directories_that_are_not_there_are_found() {
        let cases = [
            (json!({"command": "sh"}), None),
            (json!({"command": "/bin/sh", "cwd": "/tmp"}), None),
            (json!({"command": "npxx"}), Some(("command", "command not found: npxx"))),
            (json!({"command": "sh", "env": {"PATH": "/nowhere"}}), Some(("command", "command not found"))),
            (json!({"command": "/bin/npxx"}), Some(("command", "command not found"))),
            (json!({"command": "/bin/sh -c x"}), Some(("command", "in `args`"))),
            (json!({"command": "/etc/passwd"}), Some(("command", "not executable"))),
            (json!({"command": "/tmp"}), Some(("command", "not a program"))),
            (json!({"command": "./x", "cwd": "/nowhere"}), Some(("cwd", "does not exist"))),
            (json!({"command": "npxx", "disabled": true}), None),
        ];
        for (entry, expected) in cases {
            let found = look(&entry);
            match expected {
                None => assert!(found.is_empty(), "{entry}: {found:?}"),
                Some((key, part)) => {
                    assert!(found.len() == 1 && found[0].0 == key && found[0].1.contains(part), "{entry}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn a_missing_directory_hides_no_missing_command() {
        let keys: Vec<_> =
            look(&json!({"command": "npxx", "cwd": "/nowhere"})).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["cwd", "command"]);
    }

    #[test]
    fn what_came_from_the_environment_is_not_shown() {
        let found = look(&json!({"command": "${SECRET}"}));
        assert!(found.len() == 1 && !found[0].1.contains("hunter2"), "{found:?}");
    }
}
