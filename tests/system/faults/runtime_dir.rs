use std::{
    fs,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    path::Path,
};

use serde_json::json;

use crate::support::{Proxy, fixture, skip, supervisor};

/// What a supervisor says that does not start, in a directory with a configuration.
fn refused(dir: &Path) -> String {
    let output = supervisor(dir).output().expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(71), "{said}");
    said
}

fn configured() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("mcp-servers.json"), "{\"servers\": []}").expect("written");
    dir
}

fn private(path: &Path) {
    fs::DirBuilder::new().mode(0o700).create(path).expect("created");
}

#[test]
fn a_runtime_directory_that_others_could_have_prepared_is_refused_and_not_touched() {
    let dir = configured();
    let (run, elsewhere) = (dir.path().join("run"), dir.path().join("elsewhere"));
    private(&elsewhere);
    fs::write(elsewhere.join("supervisor.sock"), "somebody's").expect("written");
    symlink(&elsewhere, &run).expect("linked");
    assert!(refused(dir.path()).contains("symbolic link"));
    let left: Vec<_> =
        fs::read_dir(&elsewhere).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["supervisor.sock"], "nothing was put behind the link");
    assert_eq!(fs::read_to_string(elsewhere.join("supervisor.sock")).expect("it is there"), "somebody's");

    fs::remove_file(&run).expect("removed");
    private(&run);
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).expect("set");
    assert!(refused(dir.path()).contains("mode 777"));
    assert_eq!(fs::read_dir(&run).expect("it is there").count(), 0);
}

#[test]
fn a_runtime_directory_of_another_user_is_refused() {
    let dir = configured();
    let run = dir.path().join("run");
    private(&run);
    if chown(&run, Some(4242), None).is_err() {
        return skip("only root can give a directory to another user");
    }
    assert!(refused(dir.path()).contains("belongs to user 4242"));
}

#[test]
fn a_lock_that_is_a_link_is_not_followed() {
    let dir = configured();
    let (run, victim) = (dir.path().join("run"), dir.path().join("victim"));
    private(&run);
    fs::write(&victim, "precious").expect("written");
    symlink(&victim, run.join("supervisor.lock")).expect("linked");
    assert!(refused(dir.path()).contains("supervisor.lock"));
    assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious");
}

#[test]
fn what_lies_where_the_socket_belongs_and_is_none_is_refused_and_kept() {
    let dir = configured();
    let (run, victim) = (dir.path().join("run"), dir.path().join("victim"));
    private(&run);
    fs::write(&victim, "precious").expect("written");
    symlink(&victim, run.join("supervisor.sock")).expect("linked");
    assert!(refused(dir.path()).contains("is not a socket"));
    assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious");
    assert!(run.join("supervisor.sock").is_symlink(), "what is not ours stays");
}

#[tokio::test]
async fn a_socket_that_a_killed_supervisor_left_is_replaced() {
    let proxy = Proxy::launch_with(json!({"servers": [fixture("a", &[])]}), |command| {
        let run = command.get_current_dir().expect("a directory of its own").join("run");
        private(&run);
        // Dropped, it leaves its file behind, as a killed process does.
        drop(UnixListener::bind(run.join("supervisor.sock")).expect("bound"));
    })
    .await;
    proxy.until_ready().await;
}
