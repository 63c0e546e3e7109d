//! Real servers in their sandbox, each with a user of its own and as an ordinary user, at every level of `hardening`: a browser, git,
//! files, a database, what `npx` and `uv` start, and what leaves daemons behind.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::geteuid;
use serde_json::{Value, json};

use super::browser::{CHROMIUM, serve_page};
use crate::{
    hardening::{give, range},
    support::{DEADLINE, Proxy, Real, cannot, eventually, fixture, is_alive},
};

/// Some ordinary user.
const ORDINARY: u32 = 1000;
/// Who MCProxy is started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StartedAs {
    /// Root, so that each server has a user of its own where anything is enforced.
    Root,
    /// This user, who is not root.
    User(u32),
}

impl StartedAs {
    /// As which users this test can start it.
    fn all() -> Vec<Self> {
        if geteuid().is_root() { vec![Self::Root, Self::User(ORDINARY)] } else { vec![Self::User(geteuid().as_raw())] }
    }

    /// Somebody who is no more than what servers will be.
    fn somebody(self) -> u32 {
        match self {
            Self::Root => ORDINARY,
            Self::User(user) => user,
        }
    }

    /// `program` to be started as such a user.
    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if geteuid().is_root() {
            command.uid(self.somebody()).gid(self.somebody());
        }
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// A directory that MCProxy does not know, with a repository; all users may write to it.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("note.txt"), "a note on disk").expect("written");
        let author = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let git = |args: &[&str]| {
            let done = Command::new("git").arg("-C").arg(dir.path()).args(args).output().expect("git runs");
            assert!(done.status.success(), "{done:?}");
        };
        git(&["init", "-q"]);
        git(&["add", "note.txt"]);
        git(&[&author[..], &["commit", "-q", "-m", "The first commit"]].concat());
        open_to_all(dir.path());
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

fn open_to_all(path: &Path) {
    let mode = if path.is_dir() { 0o777 } else { 0o666 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    if path.is_dir() {
        fs::read_dir(path).expect("listed").for_each(|entry| open_to_all(&entry.expect("an entry").path()));
    }
}

/// A Python that such a user can start and that has this module, with the path of its packages.
fn python(real: &Real, who: StartedAs, module: &str) -> Option<(PathBuf, String)> {
    let packages = fs::read_dir(real.path("modern/lib")).ok()?.flatten().next()?.path().join("site-packages");
    // That of the virtual environment may lie in somebody's home.
    [real.path("modern/bin/python"), "/usr/bin/python3".to_owned()].into_iter().find_map(|python| {
        let mut command = who.command(Path::new(&python));
        command.args(["-c", &format!("import {module}")]).env("PYTHONPATH", &packages);
        let works = command.status().is_ok_and(|status| status.success());
        works.then(|| (python.into(), packages.display().to_string()))
    })
}

async fn launch(level: &str, who: StartedAs, servers: &[Value]) -> Proxy {
    let (first, last) = range();
    // An ordinary user has no users to give away, which `strict` would not put up with.
    let uids = if who == StartedAs::Root { format!("{first}-{last}") } else { "off".to_owned() };
    let isolation = json!({"uids": uids});
    let proxy =
        Proxy::launch_with(json!({"hardening": level, "isolation": isolation, "servers": servers}), |command| {
            let dir = command.get_current_dir().expect("a directory").to_owned();
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
            fs::create_dir(dir.join("home")).expect("made");
            // Not the one of all users, where some servers use names that another user has already.
            command.env("HOME", dir.join("home")).env("TMPDIR", dir.join("home"));
            if let (StartedAs::User(user), true) = (who, geteuid().is_root()) {
                give(&dir, user);
                command.uid(user).gid(user);
            }
        })
        .await;
    proxy.until_ready().await;
    proxy
}

/// Whether node can read the real servers as such a user.
fn reaches(who: StartedAs, script: &str) -> bool {
    let reads = who.command(Path::new("node")).args(["--check", script]).status().is_ok_and(|status| status.success());
    if !reads {
        cannot(&format!("{script} is closed to user {}", who.somebody()));
    }
    reads
}

/// The servers of one MCProxy, and what is seen of each.
struct Servers {
    project: Project,
    /// A directory that no server may write to.
    other: Project,
    entries: Vec<Value>,
}

impl Servers {
    /// Those that can be started as such a user here.
    fn of(real: &Real, who: StartedAs) -> Self {
        let (project, other) = (Project::new(), Project::new());
        let sandbox = json!({"write": [project.path("")]});
        let mut servers = Self { project, other, entries: vec![fixture("daemons", &[])] };
        let script = real.node("@modelcontextprotocol/server-filesystem/dist/index.js");
        if reaches(who, &script) {
            let args = [&*script, &servers.project.path(""), &servers.other.path("")];
            servers.add(json!({"name": "files", "command": "node", "args": args, "sandbox": sandbox}));
            // The package is there already: no test depends on a registry.
            let env = json!({"MEMORY_FILE_PATH": servers.project.path("memory.jsonl")});
            servers.add(
                json!({"name": "npx", "command": "npx", "args": ["mcp-server-memory"], "cwd": real.path(""), "env": env,
                "sandbox": sandbox}),
            );
            let script = real.node("@playwright/mcp/cli.js");
            if Path::new(CHROMIUM).exists() {
                let args = [&*script, "--headless", "--no-sandbox", "--isolated", "--executable-path", CHROMIUM];
                servers.add(json!({"name": "playwright", "command": "node", "args": args, "timeout": 60}));
            } else {
                cannot(&format!("there is no {CHROMIUM}"));
            }
        }
        let Some((python, packages)) = python(real, who, "mcp_server_git") else {
            cannot("no Python that another user can start has the servers");
            return servers;
        };
        // Git asks whose a repository is before it touches it.
        let env = json!({"PYTHONPATH": packages, "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "user.name", "GIT_CONFIG_VALUE_1": "t",
            "GIT_CONFIG_KEY_2": "user.email", "GIT_CONFIG_VALUE_2": "t@example.org"});
        servers.add(
            json!({"name": "git", "command": python, "args": ["-m", "mcp_server_git"], "env": env, "sandbox": sandbox}),
        );
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/servers/on_sqlite.py");
        // In its HOME, which it may write to at every level.
        let args = ["-c", "exec \"$0\" \"$1\" \"$HOME/notes.db\"", &*python.display().to_string(), script];
        servers.add(json!({"name": "sqlite", "command": "sh", "args": args}));
        let uv = real.path("venv/bin/uv");
        if Path::new(&uv).exists() {
            let python = python.display().to_string();
            let args = ["run", "--no-project", "--offline", "--python", &*python, "python", "-m", "mcp_server_time"];
            servers.add(json!({"name": "uv", "command": uv, "args": args, "env": {"PYTHONPATH": packages}}));
        }
        servers
    }

    fn add(&mut self, entry: Value) {
        self.entries.push(entry);
    }

    fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry["name"] == name)
    }
}

/// Each does its work, and what it may not do is refused and named.
async fn each_works(level: &str) {
    let wanted =
        ["node_modules/@playwright/mcp", "node_modules/@modelcontextprotocol/server-filesystem", "modern/bin/python"];
    let Some(real) = Real::with(&wanted) else { return };
    let page = serve_page().await;
    for who in StartedAs::all() {
        let servers = Servers::of(&real, who);
        let proxy = launch(level, who, &servers.entries).await;
        let (session, at) = (proxy.session().await, format!("{who:?}, {level}"));
        if servers.has("playwright") {
            let opened = session.say("playwright__browser_navigate", json!({"url": page})).await;
            assert!(opened.contains("A page of the test"), "{at}: {opened}");
            let shot = session.call("playwright__browser_take_screenshot", json!({})).await.to_string();
            assert!(shot.contains("image/png"), "{at}: {}", shot.get(..1000).unwrap_or(&shot));
        }
        if servers.has("files") {
            let write = async |path: String| {
                session.call("files__write_file", json!({"path": path, "content": "new"})).await.to_string()
            };
            let written = write(servers.project.path("new.txt")).await;
            assert!(written.contains("Successfully wrote"), "{at}: {written}");
            let elsewhere = write(servers.other.path("new.txt")).await;
            if level == "off" {
                assert!(elsewhere.contains("Successfully wrote"), "{at}: {elsewhere}");
            } else {
                assert!(elsewhere.contains("EACCES"), "{at}: {elsewhere}");
                let named = format!("{:?}", servers.other.0.path());
                proxy.logged(&["the server lacks a permission", "sandbox", "write", named.trim_matches('"')]).await;
            }
            let entity = json!({"name": "MCProxy", "entityType": "program", "observations": ["it is hardened"]});
            session.say("npx__create_entities", json!({"entities": [entity]})).await;
            let graph = session.say("npx__read_graph", json!({})).await;
            assert!(graph.contains("it is hardened"), "{at}: {graph}");
        }
        if servers.has("git") {
            let repository = servers.project.path("");
            // What the other server wrote is for its user alone.
            fs::write(servers.project.path("another.txt"), "new").expect("written");
            let arguments = json!({"repo_path": repository, "files": ["another.txt"]});
            session.say("git__git_add", arguments).await;
            let made = json!({"repo_path": repository, "message": "The second commit"});
            session.say("git__git_commit", made).await;
            let log = session.say("git__git_log", json!({"repo_path": repository})).await;
            assert!(log.contains("The second commit"), "{at}: {log}");
            session.say("sqlite__note", json!({"text": "one"})).await;
            assert_eq!(session.say("sqlite__note", json!({"text": "two"})).await, "one, two", "{at}");
        }
        if servers.has("uv") {
            let time = session.say("uv__get_current_time", json!({"timezone": "Europe/Berlin"})).await;
            assert!(time.contains("Europe/Berlin"), "{at}: {time}");
        }
        let daemon: u32 = session.say("daemons__hidden_daemon", json!({})).await.parse().expect("a pid");
        assert!(is_alive(daemon));
        let restarted = proxy.cli(&["restart", "daemons"]).await;
        assert_eq!(restarted.code, Some(0), "{restarted:?}");
        eventually("the daemon is gone", DEADLINE, async || (!is_alive(daemon)).then_some(())).await;
    }
}

#[tokio::test]
async fn real_servers_work_without_hardening_whoever_started_mcproxy() {
    each_works("off").await;
}

#[tokio::test]
async fn real_servers_work_with_best_effort_whoever_started_mcproxy() {
    each_works("best-effort").await;
}

#[tokio::test]
async fn real_servers_work_with_strict_hardening_whoever_started_mcproxy() {
    each_works("strict").await;
}
