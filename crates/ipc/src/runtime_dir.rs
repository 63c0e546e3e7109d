//! Where supervisor and command line find each other when neither is told where.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The variable that overrides the rule.
pub const RUNTIME_DIR_VARIABLE: &str = "MCPROXY_RUNTIME_DIR";

/// Where root's supervisor has its sockets, and a service of the system (`RuntimeDirectory=mcproxy`).
pub const SYSTEM_RUNTIME_DIR: &str = "/run/mcproxy";

/// The directory for sockets and the lock of this user's supervisor: `$MCPROXY_RUNTIME_DIR`, else
/// `$XDG_RUNTIME_DIR/mcproxy`, else `/run/mcproxy` for root and `/tmp/mcproxy-$UID` for others. The process that creates it has to
/// check its owner and mode: `/tmp` belongs to all users.
pub fn default_runtime_dir() -> PathBuf {
    runtime_dirs().remove(0)
}

/// All the places where the rule may have put it, the one that a supervisor started from here would use first: a service has
/// no `XDG_RUNTIME_DIR` while its operator's shell may have one. Never empty.
pub fn runtime_dirs() -> Vec<PathBuf> {
    candidates(
        std::env::var_os(RUNTIME_DIR_VARIABLE),
        std::env::var_os("XDG_RUNTIME_DIR"),
        rustix::process::geteuid().as_raw(),
    )
}

/// The supervisor's control socket in its runtime directory.
pub fn supervisor_socket(dir: &Path) -> PathBuf {
    dir.join("supervisor.sock")
}

fn candidates(own: Option<OsString>, xdg: Option<OsString>, uid: u32) -> Vec<PathBuf> {
    if let Some(own) = own.filter(|dir| !dir.is_empty()) {
        return vec![own.into()];
    }
    // Relative paths are to be ignored (XDG Base Directory Specification).
    let session = xdg.map(PathBuf::from).filter(|dir| dir.is_absolute()).map(|dir| dir.join("mcproxy"));
    let common = if uid == 0 { SYSTEM_RUNTIME_DIR.into() } else { format!("/tmp/mcproxy-{uid}").into() };
    session.into_iter().chain([common]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(own: &str, xdg: &str, uid: u32) -> Vec<String> {
        let set = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
        candidates(set(own), set(xdg), uid).into_iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn the_variable_wins_then_the_session_then_the_user() {
        assert_eq!(paths("/a", "/run/user/7", 7), ["/a"]);
        assert_eq!(paths("", "/run/user/7", 7), ["/run/user/7/mcproxy", "/tmp/mcproxy-7"]);
        assert_eq!(paths("", "/run/user/0", 0), ["/run/user/0/mcproxy", "/run/mcproxy"]);
        assert_eq!(paths("", "", 0), ["/run/mcproxy"]);
        assert_eq!(paths("", "relative", 7), ["/tmp/mcproxy-7"]);
    }
}
