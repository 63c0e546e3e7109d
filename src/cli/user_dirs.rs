//! Directories of the user that runs this.

use std::path::PathBuf;

/// Where a user's programs have their configuration.
pub(crate) fn user_config_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}
