//! The configuration file as the web page shows it: with secrets masked, with what is wrong in it, and with what reading it would change.

use std::path::Path;

use mcproxy_config::{Config, LoadError, Problem, Severity, diff, masked};
use mcproxy_ipc::control::{ReloadChange, ShownConfig, ShownProblem};
use tokio::sync::oneshot;

use crate::{
    bounded_text::cut,
    config_file::{ConfigFile, ConfigReading},
    overrides::Overrides,
    supervisor::Supervisor,
};

/// Bytes of the file that are shown: an answer has to fit into one frame.
const MAX_TEXT: usize = 384 * 1024;
/// Bytes of a problem.
const MAX_MESSAGE: usize = 1000;

/// Looks at the file that are under way at once.
const MAX_LOOKS: usize = 4;

impl Supervisor {
    /// Looks at the file beside this task, and answers. One look too many is not answered.
    pub(crate) fn describe_file(&mut self, reply: oneshot::Sender<ShownConfig>) {
        if self.descriptions.len() < MAX_LOOKS {
            let look = describe(self.file.clone(), self.config.clone(), self.overrides);
            self.descriptions.spawn(async move {
                let _ = reply.send(look.await); // who asked may have left
            });
        }
    }
}

/// Reads the file and compares it with what is in force.
async fn describe(file: ConfigFile, in_force: Config, overrides: Overrides) -> ShownConfig {
    let path = file.path().to_owned();
    let reading = file.read().await;
    // A large file takes a moment.
    let shown = tokio::task::spawn_blocking(move || shown(reading, &path, &in_force, overrides)).await;
    // A panic ends the process before this is seen.
    shown.unwrap_or_default()
}

fn shown(reading: ConfigReading, path: &Path, in_force: &Config, overrides: Overrides) -> ShownConfig {
    let text = reading.content.as_deref().map(|bytes| cut(masked(&String::from_utf8_lossy(bytes)), MAX_TEXT));
    let located = reading.content.as_deref().map(|bytes| problems(bytes, path));
    let (problems, pending) = match (located, overrides.applied(reading.config)) {
        (Some(problems), Ok(new)) => (problems, pending(in_force, new)),
        (Some(problems), Err(lines)) if problems.is_empty() => (lines.into_iter().map(whole).collect(), Vec::new()),
        (Some(problems), Err(_)) => (problems, Vec::new()),
        (None, Ok(_)) => (Vec::new(), Vec::new()),
        (None, Err(lines)) => (lines.into_iter().map(whole).collect(), Vec::new()),
    };
    ShownConfig { text, problems, pending }
}

fn problems(bytes: &[u8], path: &Path) -> Vec<ShownProblem> {
    match Config::of_file(bytes, path, &|name| std::env::var(name).ok()) {
        Ok(config) => config.problems.list().iter().map(problem).collect(),
        Err(LoadError::Invalid(problems)) => problems.list().iter().map(problem).collect(),
        Err(error @ LoadError::Read { .. }) => vec![whole(error.to_string())],
    }
}

fn problem(problem: &Problem) -> ShownProblem {
    ShownProblem {
        line: problem.line,
        column: problem.column,
        is_error: problem.severity == Severity::Error,
        message: cut(problem.message.clone(), MAX_MESSAGE),
    }
}

fn whole(message: String) -> ShownProblem {
    ShownProblem { line: 0, column: 0, is_error: true, message: cut(message, MAX_MESSAGE) }
}

fn pending(in_force: &Config, new: Config) -> Vec<ReloadChange> {
    let changes = diff(in_force, &new);
    let of_server = |change: &'static str| {
        move |server: &mcproxy_ipc::ServerName| ReloadChange { server: Some(server.clone()), change: change.to_owned() }
    };
    let setting = |set: bool, what: &str| set.then(|| ReloadChange { server: None, change: what.to_owned() });
    let at_start = changes
        .needs_restart
        .iter()
        .map(|key| ReloadChange { server: None, change: format!("{key} (after a restart of MCProxy)") });
    let settings = [
        setting(changes.reordered, "another order"),
        setting(changes.gateway_changed, "gateway settings"),
        setting(changes.supervisor_changed, "logging or grace"),
        setting(changes.listen_changed, "listen"),
    ];
    changes
        .added
        .iter()
        .map(of_server("added"))
        .chain(changes.removed.iter().map(of_server("removed")))
        .chain(changes.changed.iter().map(|change| &change.name).map(of_server("changed")))
        .chain(settings.into_iter().flatten())
        .chain(at_start)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_sees_what_a_reload_would_do_and_no_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mcp-servers.json");
        let before = r#"{"mcpServers": {"a": {"command": "true"}, "b": {"command": "true"}}}"#;
        let in_force = Config::of_file(before.as_bytes(), &path, &|_| None).expect("a configuration");
        let after = r#"{"mcpServers": {"a": {"command": "true", "env": {"KEY": "s3cret-value"}}, "c": {"command": "true"}}, "x": 1}"#;
        std::fs::write(&path, after).expect("written");
        let file = ConfigFile::new(path.clone());
        let shown = describe(file.clone(), in_force.clone(), Overrides::default()).await;
        let changes: Vec<_> =
            shown.pending.iter().map(|p| (p.server.as_ref().map(|s| s.as_str()), &*p.change)).collect();
        assert_eq!(changes, [(Some("c"), "added"), (Some("b"), "removed"), (Some("a"), "changed")]);
        let text = shown.text.expect("a text");
        assert!(!text.contains("s3cret") && text.contains("\"KEY\""), "{text}");
        std::fs::write(&path, "{\n  \"mcpServers\": 7\n}").expect("written");
        let shown = describe(file.clone(), in_force.clone(), Overrides::default()).await;
        assert!(shown.pending.is_empty() && shown.problems.iter().any(|p| p.is_error && p.line == 2), "{shown:?}");
        std::fs::remove_file(&path).expect("removed");
        let shown = describe(file, in_force, Overrides::default()).await;
        assert!(shown.text.is_none() && shown.problems[0].message.contains("cannot read"), "{shown:?}");
    }
}
