//! The program that becomes a server is opened before its worker is another user, and before anything is confined
//! (docs/decisions/0144).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use super::users::{is_root, range, user_of};
use crate::support::{Proxy, binary, fixture};

/// The same command with the programs of another directory.
fn from_directory(command: &mut Command, programs: &Path) {
    let mut other = Command::new("sh");
    let supervisor = programs.join("mcproxy-supervisor");
    other.args(["-c", "exec \"$@\" >>out/log.txt 2>&1", "sh"]).arg(supervisor).args(command.get_args());
    other.current_dir(command.get_current_dir().expect("a directory")).stdin(Stdio::null());
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    *command = other;
}

#[tokio::test]
async fn servers_are_started_by_programs_that_their_users_cannot_reach() {
    if !is_root() {
        return;
    }
    let closed = tempfile::tempdir().expect("a directory");
    for name in ["mcproxy-supervisor", "mcproxy-gateway", "mcproxy-worker", "mcproxy-launch"] {
        fs::copy(binary(name), closed.path().join(name)).expect("copied");
    }
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let (first, last) = range();
    let mut strict = fixture("strict", &["--tool-name", "sh"]);
    strict["sandbox"] = json!("strict");
    let config = json!({
        "hardening": "best-effort", "isolation": {"uids": format!("{first}-{last}")},
        "servers": [strict, fixture("plain", &["--tool-name", "sh"])]
    });
    let proxy = Proxy::launch_with(config, |command| {
        let dir = command.get_current_dir().expect("a directory");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        from_directory(command, closed.path());
    })
    .await;
    proxy.until_ready().await;
    let (view, session) = (proxy.status().await, proxy.session().await);
    let attempt = format!("ls {} 2>&1 || echo refused", closed.path().display());
    for name in ["strict", "plain"] {
        assert!((first + 1..=last).contains(&user_of(&view, name)));
        let said = session.say(&format!("{name}__sh"), json!({"script": attempt})).await;
        assert!(said.ends_with("refused"), "{said}");
    }
}
