//! The configuration that the supervisor runs with, as this user finds it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use mcproxy_config::{Config, Places, ServerConfig};

/// The file, as far as it can be read.
pub(super) struct ConfigInForce {
    pub(super) path: PathBuf,
    /// Every user may read it.
    pub(super) is_public: bool,
    /// JSON pointers to secrets that are written out.
    pub(super) literal_secrets: Vec<String>,
    config: Config,
}

impl ConfigInForce {
    /// What lies at this path.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let bytes = Config::content(path).ok()?;
        let config = Config::of_file(&bytes, path, &|variable| std::env::var(variable).ok()).ok()?;
        let literal_secrets = Places::of_file(&bytes).map(|places| places.literal_secrets()).unwrap_or_default();
        let is_public = fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0);
        Some(Self { path: path.to_owned(), is_public, literal_secrets, config })
    }

    /// The servers that are wanted.
    pub(super) fn servers(&self) -> impl Iterator<Item = &ServerConfig> {
        self.config.servers.iter().filter(|server| server.enabled)
    }
}
