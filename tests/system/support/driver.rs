use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokio::process::Command;

use super::process::run;

/// The pinned real servers and clients, installed by `tests/real/install`.
pub(crate) struct Real {
    home: PathBuf,
}

/// A client SDK that runs a script of steps; see `tests/real/client.mjs`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Driver {
    TypeScript,
    Python,
}

impl Real {
    /// What is installed, if `parts` of it are there. Says why not; where CI promises them, their absence is a failure.
    pub(crate) fn with(parts: &[&str]) -> Option<Self> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/real");
        let path = |part: &str| if part.starts_with('/') { PathBuf::from(part) } else { home.join(part) };
        let missing: Vec<&str> = parts.iter().copied().filter(|part| !path(part).exists()).collect();
        if missing.is_empty() {
            return Some(Self { home });
        }
        skip(&format!("{} missing in {}; tests/real/install installs them", missing.join(", "), home.display()));
        None
    }

    /// A file of it.
    pub(crate) fn path(&self, part: &str) -> String {
        self.home.join(part).display().to_string()
    }

    /// The script of a Node package's server.
    pub(crate) fn node(&self, script: &str) -> String {
        self.path(&format!("node_modules/{script}"))
    }

    /// A server of tests/real/servers, which finds its packages with `MCPROXY_REAL`.
    pub(crate) fn server(script: &str) -> String {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/servers").join(script).display().to_string()
    }

    /// Runs a script of steps against a URL, over `http`, `sse` or `modern` (2026-07-28), and returns one line per step.
    pub(crate) async fn drive(&self, driver: Driver, transport: &str, url: &str, script: &Value) -> Vec<Value> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real");
        let mut command = match driver {
            Driver::TypeScript => {
                let mut command = Command::new("node");
                command.arg(here.join("client.mjs")).env("MCPROXY_REAL", &self.home);
                command
            }
            Driver::Python => {
                let (python, client) = match transport {
                    "modern" => ("modern/bin/python", "modern.py"),
                    _ => ("venv/bin/python", "client.py"),
                };
                let mut command = Command::new(self.path(python));
                command.arg(here.join(client));
                command
            }
        };
        command.args(["--transport", transport, url]);
        let finished = run(&mut command, &script.to_string()).await;
        assert_eq!(finished.code, Some(0), "{driver:?} over {transport}: {}\n{}", finished.stdout, finished.stderr);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        finished.stdout.lines().map(parse).collect()
    }
}

/// Says why a test does nothing here. In CI that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "CI must not skip: {why}");
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "skipped: {why}");
}

/// Says that a test did nothing, because the kernel or its owner does not let this machine provoke the fault.
pub(crate) fn cannot(why: &str) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "skipped on this machine: {why}");
}
