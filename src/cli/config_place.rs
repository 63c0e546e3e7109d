//! Which configuration a command is about, where none is named.

use std::path::{Path, PathBuf};

use super::{supervisor::SupervisorClient, user_dirs::user_config_dir};

/// What it is called.
const NAME: &str = "mcp-servers.json";
/// Where that of the service of the system is.
const SYSTEM: &str = "/etc/mcproxy/mcp-servers.json";

/// A configuration.
#[derive(Debug)]
pub(crate) struct ConfigPlace {
    pub(crate) path: PathBuf,
    /// A supervisor runs with it.
    pub(crate) is_running: bool,
}

impl ConfigPlace {
    /// The one that was named; else that of the supervisor that answers; else the first that is there of those of this directory, of
    /// this user and of the system; else that of this user.
    pub(crate) async fn find(named: Option<&Path>, supervisor: &SupervisorClient) -> Self {
        let running = supervisor.status().await.ok().map(|report| PathBuf::from(report.config_path));
        let path = match (named, &running) {
            (Some(named), _) => named.to_owned(),
            (None, Some(running)) => running.clone(),
            (None, None) => usual(&|path| path.exists()),
        };
        let same = |running: &PathBuf| match (running.canonicalize(), path.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => std::path::absolute(&path).is_ok_and(|path| path == *running),
        };
        let is_running = running.as_ref().is_some_and(same);
        Self { path, is_running }
    }
}

fn usual(is_there: &dyn Fn(&Path) -> bool) -> PathBuf {
    let own = user_config_dir().map(|dir| dir.join("mcproxy").join(NAME));
    let candidates = [Some(PathBuf::from(NAME)), own.clone(), Some(SYSTEM.into())];
    let found = candidates.into_iter().flatten().find(|path| is_there(path));
    let root = rustix::process::geteuid().is_root().then(|| PathBuf::from(SYSTEM));
    found.or(root).or(own).unwrap_or_else(|| NAME.into())
}
