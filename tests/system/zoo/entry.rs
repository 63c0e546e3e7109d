//! One server of `tests/zoo/servers.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::skip;

/// Which request a server understands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Era {
    /// `initialize`: 2024-11-05 to 2025-11-25.
    Legacy,
    /// `server/discover`: 2026-07-28.
    Modern,
}

impl Era {
    /// As the status names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A tool that answers the same each time, without a network.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// A published server.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    /// What it is made with, for the table.
    pub(super) sdk: String,
    pub(super) era: Era,
    /// The npm package and its version.
    npm: Option<String>,
    /// The PyPI requirements, the package itself first.
    pypi: Option<Vec<String>>,
    /// The program within the package.
    bin: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Map<String, Value>,
    /// Files that it expects in its directory: name → content.
    #[serde(default)]
    files: Map<String, Value>,
    pub(super) call: Call,
    /// Whether it is among those that are started from cold caches.
    #[serde(default)]
    pub(super) cold: bool,
}

impl Entry {
    /// The package and its version.
    pub(super) fn package(&self) -> &str {
        let first = self.pypi.as_ref().and_then(|requirements| requirements.first());
        self.npm.as_ref().or(first).map_or("?", String::as_str)
    }

    /// The installed program.
    pub(super) fn program(&self) -> PathBuf {
        let dir = if self.npm.is_some() { "node_modules/.bin" } else { "venv/bin" };
        home().join(&self.name).join(dir).join(&self.bin)
    }

    /// Its arguments.
    pub(super) fn args(&self) -> &[String] {
        &self.args
    }

    /// What its environment holds besides the usual.
    pub(super) fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("a text")))
    }

    /// Makes its working directory, with the files that it expects.
    pub(super) fn prepare(&self, below: &Path) -> PathBuf {
        let dir = below.join(&self.name);
        std::fs::create_dir_all(&dir).expect("a directory");
        for (name, content) in &self.files {
            std::fs::write(dir.join(name), content.as_str().expect("a text")).expect("a file");
        }
        dir
    }

    /// The entry that starts the installed program.
    pub(super) fn installed(&self, cwd: &Path) -> Value {
        json!({"name": self.name, "command": self.program(), "args": self.args, "env": self.env, "cwd": cwd})
    }

    /// The entry that people write: the runner fetches the package into `cache`, which is empty at first.
    pub(super) fn fetched(&self, uvx: &str, cwd: &Path, cache: &Path) -> Value {
        let mut env = self.env.clone();
        let (command, mut args) = match (&self.npm, self.pypi.as_deref()) {
            (Some(package), _) => {
                env.insert("npm_config_cache".to_owned(), json!(cache.join("npm")));
                ("npx", vec!["-y".to_owned(), "-p".to_owned(), package.clone()])
            }
            (None, Some([package, with @ ..])) => {
                env.insert("UV_CACHE_DIR".to_owned(), json!(cache.join("uv")));
                let with = with.iter().flat_map(|requirement| ["--with".to_owned(), requirement.clone()]);
                (uvx, ["--from".to_owned(), package.clone()].into_iter().chain(with).collect())
            }
            _ => panic!("{} is of no registry", self.name),
        };
        args.push(self.bin.clone());
        args.extend_from_slice(&self.args);
        json!({"name": self.name, "command": command, "args": args, "env": env, "cwd": cwd})
    }
}

/// Where `tests/zoo/install` puts them.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/zoo")
}

/// All of them; `None`, and said so, where one is not installed.
pub(super) fn entries() -> Option<Vec<Entry>> {
    let text = include_str!("../../zoo/servers.json");
    let entries: Vec<Entry> = serde_json::from_str(text).expect("servers.json holds entries");
    let missing: Vec<&str> =
        entries.iter().filter(|entry| !entry.program().exists()).map(|entry| entry.name.as_str()).collect();
    if missing.is_empty() {
        return Some(entries);
    }
    skip(&format!("{} missing in {}; tests/zoo/install installs them", missing.join(", "), home().display()));
    None
}
