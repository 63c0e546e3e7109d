//! Where what outlives all processes is kept.

use std::{ffi::OsString, path::PathBuf};

/// The directory for what outlives all processes, when nothing else is said: `$STATE_DIRECTORY` (systemd), `$XDG_STATE_HOME/mcproxy`, `/var/lib/mcproxy` for root,
/// `~/.local/state/mcproxy` for others; `None` for who has no home.
pub fn default_state_dir() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name);
    let root = rustix::process::geteuid().is_root();
    choose(variable("STATE_DIRECTORY"), variable("XDG_STATE_HOME"), variable("HOME"), root)
}

fn choose(service: Option<OsString>, xdg: Option<OsString>, home: Option<OsString>, root: bool) -> Option<PathBuf> {
    // systemd separates several by colons. Relative paths are to be ignored (XDG Base Directory Specification).
    let first = |paths: OsString| std::env::split_paths(&paths).next();
    let absolute = |path: Option<PathBuf>| path.filter(|path| path.is_absolute());
    absolute(service.and_then(first))
        .or_else(|| Some(absolute(xdg.map(PathBuf::from))?.join("mcproxy")))
        .or_else(|| root.then(|| "/var/lib/mcproxy".into()))
        .or_else(|| Some(absolute(home.map(PathBuf::from))?.join(".local/state/mcproxy")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_wins_then_the_session_then_the_user() {
        let chosen = |service: &str, xdg: &str, home: &str, root| {
            let set = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
            choose(set(service), set(xdg), set(home), root).map(|path| path.display().to_string())
        };
        assert_eq!(chosen("/var/lib/a:/var/lib/b", "/x", "/home/me", false).as_deref(), Some("/var/lib/a"));
        assert_eq!(chosen("", "/x", "/home/me", true).as_deref(), Some("/x/mcproxy"));
        assert_eq!(chosen("", "relative", "/root", true).as_deref(), Some("/var/lib/mcproxy"));
        assert_eq!(chosen("", "", "/home/me", false).as_deref(), Some("/home/me/.local/state/mcproxy"));
        assert_eq!(chosen("", "", "", false), None);
    }
}
