//! The text of a unit for the programs that lie here. Pure.

use std::path::{Path, PathBuf};

/// The unit of a service of the system, as it is shipped.
const SYSTEM_UNIT: &str = include_str!("../../../../deploy/mcproxy.service");
/// The configuration that it names.
pub(super) const SYSTEM_CONFIG: &str = "/etc/mcproxy/mcp-servers.json";
/// The account that it names.
pub(super) const SYSTEM_USER: &str = "mcproxy";
/// The first line of what we write; what begins otherwise is not ours to replace or remove.
pub(super) const MARK: &str = "# Written by `mcproxy service install`; `mcproxy service uninstall` removes it.";

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceScope {
    /// The machine's.
    System,
    /// One user's.
    User,
}

/// What goes into a unit.
#[derive(Debug)]
pub(super) struct UnitPlan {
    pub(super) scope: ServiceScope,
    /// Where our programs lie.
    pub(super) programs: PathBuf,
    pub(super) config: PathBuf,
}

/// A path that a unit cannot name.
#[derive(Debug, thiserror::Error)]
#[error("a unit cannot name {}: it takes no white space, quotes, `%`, `$` or `\\` there", .0.display())]
pub(super) struct UnitPathError(PathBuf);

impl UnitPlan {
    /// The text of the unit.
    ///
    /// # Errors
    /// A path would be read as something else by systemd.
    pub(super) fn text(&self) -> Result<String, UnitPathError> {
        for path in [&self.programs, &self.config] {
            let is_plain =
                |c: char| !c.is_whitespace() && !c.is_control() && !['"', '\'', '%', '$', '\\', ';'].contains(&c);
            if !path.to_str().is_some_and(|path| path.chars().all(is_plain)) {
                return Err(UnitPathError(path.clone()));
            }
        }
        let text = match self.scope {
            ServiceScope::System => {
                let lines: Vec<String> = SYSTEM_UNIT.lines().map(|line| self.adapted(line)).collect();
                lines.join("\n")
            }
            ServiceScope::User => self.of_user(),
        };
        Ok(format!("{MARK}\n{}\n", text.trim_end()))
    }

    /// A line of the shipped unit with our programs and configuration.
    fn adapted(&self, line: &str) -> String {
        let Some((key, command)) = line.split_once('=').filter(|(key, _)| key.starts_with("Exec")) else {
            return line.to_owned();
        };
        let (program, rest) = command.split_once(' ').unwrap_or((command, ""));
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !["mcproxy", "mcproxy-supervisor"].contains(&name) {
            return line.to_owned();
        }
        let command = format!("{key}={} {rest}", self.programs.join(name).display());
        command.trim_end().replace(SYSTEM_CONFIG, &self.config.display().to_string())
    }

    fn of_user(&self) -> String {
        let (programs, config) = (self.programs.display(), self.config.display());
        format!(
            "\
[Unit]
Description=MCProxy, one MCP endpoint in front of many MCP servers

[Service]
Type=notify
NotifyAccess=main
WatchdogSec=60
ExecStart={programs}/mcproxy-supervisor --config {config} --runtime-dir %t/mcproxy --log
# Returns when the configuration is in force, and fails on a mistake.
ExecReload={programs}/mcproxy reload --runtime-dir %t/mcproxy
# Values for ${{VARIABLES}} in the configuration, one NAME=value a line.
EnvironmentFile=-%E/mcproxy/env
# The sessions of clients go on after a restart.
FileDescriptorStoreMax=4
KillMode=mixed
TimeoutStopSec=60
Restart=on-failure
RestartSec=2
# Starting again would not help.
RestartPreventExitStatus=64 75 78
Delegate=yes
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scope: ServiceScope) -> UnitPlan {
        UnitPlan { scope, programs: "/opt/mcproxy/bin".into(), config: "/srv/servers.json".into() }
    }

    #[test]
    fn a_unit_of_the_system_is_the_shipped_one_with_our_programs_and_configuration() {
        let text = plan(ServiceScope::System).text().expect("plain paths");
        assert!(text.starts_with(MARK));
        let start: Vec<&str> = text.lines().filter(|line| line.starts_with("ExecStart=")).collect();
        assert_eq!(start.len(), 1, "{start:?}");
        assert!(
            start[0].starts_with("ExecStart=/opt/mcproxy/bin/mcproxy-supervisor --config /srv/servers.json "),
            "{start:?}"
        );
        assert!(!text.lines().any(|line| line.starts_with("Exec") && line.contains(SYSTEM_CONFIG)), "{text}");
        assert!(text.contains(&format!("User={SYSTEM_USER}\n")), "the account that is made");
        let shipped = SYSTEM_UNIT.lines().filter(|line| !line.starts_with("Exec"));
        assert!(
            shipped.filter(|line| !line.is_empty()).all(|line| text.contains(line)),
            "all else is as it is shipped"
        );
    }

    #[test]
    fn a_unit_of_a_user_names_no_other_user() {
        let text = plan(ServiceScope::User).text().expect("plain paths");
        assert!(!text.contains("User=") && text.contains("WantedBy=default.target"), "{text}");
        assert!(text.contains("ExecStart=/opt/mcproxy/bin/mcproxy-supervisor --config /srv/servers.json "), "{text}");
        assert!(text.contains("${VARIABLES}"), "{text}");
    }

    #[test]
    fn a_path_that_systemd_would_read_otherwise_is_refused() {
        for path in ["/srv/my servers.json", "/srv/%h.json", "/srv/$HOME", "/srv/a\nExecStart=/bin/sh", "/srv/\"a\""] {
            plan(ServiceScope::User).text().expect("plain");
            let plan = UnitPlan { config: path.into(), ..plan(ServiceScope::User) };
            assert!(plan.text().expect_err("not plain").to_string().contains("a unit cannot name"), "{path:?}");
        }
    }
}
