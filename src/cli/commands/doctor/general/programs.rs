//! The programs that servers are started with, their versions, and the caches of package runners.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use mcproxy_config::Config;

use super::finding::DoctorFinding;
use crate::cli::{commands::check::machine_warnings, human::one_line};

/// Longest wait for a program to say its version.
const VERSION: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// Bytes of it.
const MAX_VERSION: u64 = 4096;
/// The oldest Node.js on which published servers run.
const OLDEST_NODE: u64 = 18;
/// What starts most published servers, and what to do without it.
const RUNNERS: [(&str, &str); 6] = [
    ("node", "install Node.js, https://nodejs.org"),
    ("npx", "install Node.js, https://nodejs.org; npx comes with it"),
    ("uvx", "install uv, https://docs.astral.sh/uv"),
    ("python3", "install Python 3"),
    ("docker", "install Docker or Podman"),
    ("bunx", "install Bun, https://bun.sh"),
];

/// Looks at those that the configuration uses, and at the usual ones that are here.
pub(super) fn look(config: Option<&Config>) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    let mut used: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for server in config.iter().flat_map(|config| &config.servers).filter(|server| server.enabled) {
        for warning in machine_warnings(server) {
            findings.push(DoctorFinding::bad(server.name.as_str(), warning, help_for(&server.command)));
        }
        if let Some(launch) = server.launch_spec() {
            let program = launch.program.rsplit('/').next().unwrap_or_default();
            used.entry(program.to_owned()).or_default().push(server.name.to_string());
        }
    }
    for (program, help) in RUNNERS {
        let users = used.get(program).map(|names| names.join(", "));
        match (in_path(program), users) {
            (Some(path), _) => findings.push(version_of(program, &path)),
            // Of its users it is told above.
            (None, Some(_)) => {}
            (None, None) if matches!(program, "npx" | "uvx") => {
                findings.push(DoctorFinding::hint(
                    program,
                    "it is not here; many published servers are started with it",
                    help,
                ));
            }
            (None, None) => {}
        }
    }
    findings.extend(caches(&used));
    findings
}

fn help_for(command: &str) -> String {
    let program = command.rsplit('/').next().unwrap_or_default();
    let known = RUNNERS.iter().find(|(name, _)| *name == program).map(|(_, help)| (*help).to_owned());
    known.unwrap_or_else(|| {
        "write its whole path into `command`, or put its directory into the PATH of MCProxy".to_owned()
    })
}

fn in_path(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(is_program)
}

fn version_of(program: &str, path: &Path) -> DoctorFinding {
    let shown = path.display();
    match version(path) {
        None => DoctorFinding::bad(
            program,
            format!("{shown} does not say its version within {} s", VERSION.as_secs()),
            "start it by hand and see why",
        ),
        Some(version) if program == "node" && major(&version).is_some_and(|major| major < OLDEST_NODE) => {
            let help = format!("install Node.js {OLDEST_NODE} or later; published servers need it");
            DoctorFinding::bad(program, format!("{version} is old ({shown})"), help)
        }
        Some(version) => DoctorFinding::good(program, format!("{version} ({shown})")),
    }
}

/// The first line of what a program says of its version.
fn version(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if begun.elapsed() > VERSION => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            None => sleep(POLL),
        }
    };
    let mut said = String::new();
    child.stdout.take()?.take(MAX_VERSION).read_to_string(&mut said).ok()?;
    status.success().then(|| one_line(said.lines().next().unwrap_or_default()))
}

/// The first number of a version.
fn major(version: &str) -> Option<u64> {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Where package runners keep what they fetched: without it each start fetches anew, or fails.
fn caches(used: &BTreeMap<String, Vec<String>>) -> Vec<DoctorFinding> {
    let home = std::env::home_dir();
    let of = |variable: &str, below: &str| {
        std::env::var_os(variable).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(below)))
    };
    let caches = [("npx", of("npm_config_cache", ".npm")), ("uvx", of("UV_CACHE_DIR", ".cache/uv"))];
    let look = |(program, path): (&str, Option<PathBuf>)| {
        let path = path.filter(|path| used.contains_key(program) && path.exists())?;
        let shown = path.display();
        Some(match super::directories::is_writable(&path) {
            true => DoctorFinding::good(program, format!("keeps packages in {shown}")),
            false => DoctorFinding::bad(
                program,
                format!("{shown} cannot be written, so packages are fetched anew or not at all"),
                format!("sudo chown -R \"$(id -u)\" {shown}"),
            ),
        })
    };
    caches.into_iter().filter_map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_their_programs_write_them() {
        assert_eq!(
            [major("v22.3.0"), major("Python 3.12.1"), major("uvx 0.5"), major("none")],
            [Some(22), Some(3), Some(0), None]
        );
        assert!(version(Path::new("/bin/sh")).is_some() || version(Path::new("/bin/true")).is_some());
        assert_eq!(version(Path::new("/nonexistent/x")), None);
    }

    #[test]
    fn a_command_that_is_not_here_is_named_with_what_to_install() {
        let text = r#"{"mcpServers": {"a": {"command": "npx-that-is-nowhere"}, "b": {"command": "sh"}, "c": {"command": "zzz", "disabled": true}}}"#;
        let config = Config::parse(text, &|_| None).expect("read");
        let found: Vec<DoctorFinding> =
            look(Some(&config)).into_iter().filter(|finding| finding.about == "a" || finding.about == "c").collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].message.contains("command not found")
                && found[0].help.as_deref().is_some_and(|help| help.contains("PATH"))
        );
        assert!(help_for("/usr/bin/uvx").contains("astral"));
    }
}
