//! What an operator should mend, or accept knowingly.

use std::path::{Path, PathBuf};

use mcproxy_config::ServerConfig;
use mcproxy_confine::{Degradation, Hardening, Protection};
use mcproxy_ipc::StatusReport;
use serde::Serialize;

use super::{config_file::ConfigInForce, process::ProcessFacts};

/// One thing that is less than it could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SecurityFinding {
    /// A protection, a process, a server or the configuration.
    pub(super) about: String,
    pub(super) message: String,
    pub(super) help: String,
}

impl SecurityFinding {
    fn new(about: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { about: about.into(), message: message.into(), help: help.into() }
    }

    fn missing(of: Option<&str>, missing: &Degradation) -> Self {
        let name = missing.protection.name();
        let about = of.map_or_else(|| name.to_owned(), |server| format!("{server}, {name}"));
        Self::new(about, &missing.reason, &missing.help)
    }
}

/// Where MCProxy keeps what is its own.
pub(super) struct OwnPaths {
    pub(super) runtime: PathBuf,
    pub(super) state: Option<PathBuf>,
}

/// Everything, the missing protections first.
pub(super) fn all(
    report: &StatusReport,
    processes: &[ProcessFacts],
    config: Option<&ConfigInForce>,
    own: &OwnPaths,
) -> Vec<SecurityFinding> {
    let mut findings = Vec::new();
    if report.hardening == Hardening::Off {
        let help = "set `hardening` to `best-effort`, or to `strict`, and start MCProxy again";
        findings.push(SecurityFinding::new("hardening", "it is off: the kernel is asked to enforce nothing", help));
    } else {
        findings.extend(report.degraded.iter().map(|missing| SecurityFinding::missing(None, missing)));
        for server in &report.servers {
            findings.extend(
                server.degraded.iter().map(|missing| SecurityFinding::missing(Some(server.name.as_str()), missing)),
            );
        }
        findings.extend(together(processes.iter().filter_map(|process| loose(process, report))));
    }
    let Some(config) = config else { return findings };
    findings.extend(of_file(config));
    let own: Vec<&Path> = [Some(&config.path), Some(&own.runtime), own.state.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    findings.extend(config.servers().flat_map(|server| of_server(server, &own)));
    findings
}

/// The same of several processes is said once.
fn together(each: impl Iterator<Item = SecurityFinding>) -> Vec<SecurityFinding> {
    let mut found: Vec<SecurityFinding> = Vec::new();
    for finding in each {
        match found.iter_mut().find(|earlier| earlier.message == finding.message) {
            Some(earlier) => earlier.about = format!("{}, {}", earlier.about, finding.about),
            None => found.push(finding),
        }
    }
    found
}

/// A process that has more than it should, whatever the supervisor says.
fn loose(process: &ProcessFacts, report: &StatusReport) -> Option<SecurityFinding> {
    if process.name == "supervisor" {
        return None;
    }
    let is_missing = |protection| report.degraded.iter().any(|missing| missing.protection == protection);
    let faults = [
        (!process.no_new_privs).then_some("it may gain privileges through programs (no_new_privs is not set)"),
        (!process.capabilities.is_empty() && !is_missing(Protection::Capabilities)).then_some("it has capabilities"),
        (process.seccomp == "none" && !is_missing(Protection::SystemCalls))
            .then_some("no system call is refused to it"),
    ];
    let faults: Vec<&str> = faults.into_iter().flatten().collect();
    let help = "start MCProxy again; if it stays so, this is a bug of MCProxy: please report it";
    (!faults.is_empty()).then(|| SecurityFinding::new(&process.name, faults.join("; "), help))
}

fn of_file(config: &ConfigInForce) -> Option<SecurityFinding> {
    let path = config.path.display();
    if !config.is_public {
        return None;
    }
    Some(match &config.literal_secrets[..] {
        [] => SecurityFinding::new(
            "configuration",
            format!("{path} can be read by every user"),
            format!("chmod o-r {path}"),
        ),
        secrets => SecurityFinding::new(
            "configuration",
            format!("{path} can be read by every user, and has secrets written out at {}", secrets.join(", ")),
            format!("chmod o-r {path}, and write `${{VARIABLE}}` in the place of each secret"),
        ),
    })
}

fn of_server(server: &ServerConfig, own: &[&Path]) -> Vec<SecurityFinding> {
    let name = server.name.as_str();
    let sandbox = &server.confinement.sandbox;
    let mut findings = Vec::new();
    if !sandbox.files {
        let help = "leave `sandbox` out, and name what it needs in `sandbox.write`";
        findings.push(SecurityFinding::new(name, "`sandbox: off`: it reads and writes what its user may", help));
    }
    if server.run_as.as_deref() == Some("root") {
        let help = "leave `runAs` out, or name an account without privileges";
        findings.push(SecurityFinding::new(name, "`runAs: root`: file modes keep nothing from it", help));
    }
    let cwd = server.launch_spec().and_then(|launch| launch.cwd.as_ref());
    for root in sandbox.write.iter().chain(cwd).filter(|_| sandbox.files) {
        for path in own.iter().filter(|path| path.starts_with(root)) {
            let message = format!("it may write below {}, where {} of MCProxy lies", root.display(), path.display());
            findings.push(SecurityFinding::new(name, message, "move one of the two, or name directories further down"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::process::tests::confined, *};

    fn read(dir: &Path, text: &str, mode: u32) -> ConfigInForce {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.join("mcp-servers.json");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        ConfigInForce::read(&path).expect("valid")
    }

    fn about(findings: impl IntoIterator<Item = SecurityFinding>) -> Vec<String> {
        findings.into_iter().map(|finding| format!("{}: {}", finding.about, finding.message)).collect()
    }

    #[test]
    fn a_file_that_every_user_reads_is_named_with_the_secrets_in_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let text =
            r#"{"mcpServers": {"a": {"command": "x", "env": {"API_KEY": "hunter2", "B_TOKEN": "${B}", "LANG": "C"}}}}"#;
        assert!(of_file(&read(dir.path(), text, 0o600)).is_none());
        let found = about(of_file(&read(dir.path(), text, 0o644)));
        assert!(found[0].ends_with("has secrets written out at /mcpServers/a/env/API_KEY"), "{found:?}");
        assert!(!found[0].contains("hunter2"));
        let found = about(of_file(&read(dir.path(), r#"{"servers": []}"#, 0o644)));
        assert!(found[0].ends_with("can be read by every user"), "{found:?}");
    }

    #[test]
    fn a_server_that_could_change_the_configuration_or_is_not_confined_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = r#"{"mcpServers": {"good": {"command": "x", "cwd": "sub"}, "a": {"command": "x", "sandbox": "off"},
            "b": {"command": "x", "runAs": "root"}, "c": {"command": "x", "sandbox": {"write": ["."]}}}}"#;
        let config = read(dir.path(), text, 0o600);
        let found = about(config.servers().flat_map(|server| of_server(server, &[config.path.as_path()])));
        assert_eq!(found.len(), 3, "{found:?}");
        for (found, begin) in found.iter().zip(["a: `sandbox: off`", "b: `runAs: root`", "c: it may write below"]) {
            assert!(found.starts_with(begin), "{found}");
        }
    }

    #[test]
    fn a_process_that_is_looser_than_the_supervisor_says_is_named() {
        let report = crate::status_view::tests::report();
        assert_eq!(loose(&confined("gateway"), &report), None);
        let loosened = ProcessFacts { no_new_privs: false, seccomp: "none", ..confined("worker a") };
        let found = loose(&loosened, &report).expect("it is named");
        assert!(found.message.contains("no_new_privs") && found.message.contains("system call"), "{found:?}");
        let both = together([found.clone(), SecurityFinding { about: "gateway".into(), ..found }].into_iter());
        assert_eq!(both.iter().map(|finding| finding.about.as_str()).collect::<Vec<_>>(), ["worker a, gateway"]);
        assert_eq!(loose(&ProcessFacts { name: "supervisor".into(), ..loosened }, &report), None);
    }
}
