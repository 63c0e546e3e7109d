//! A user for the gateway and for each server (docs/decisions/0134). Only root can give users away, so all of this needs root.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::process::{Signal, geteuid};
use serde_json::{Value, json};

use crate::{
    faults::cgroup_of,
    support::{DEADLINE, Proxy, SystemView, binary, cannot, eventually, fixture, is_alive, kill, signal},
};

/// Of servers that run `sh` on request.
const SHELL: [&str; 2] = ["--tool-name", "sh"];
const NO_CAPABILITIES: &str = "0000000000000000";
/// CHOWN 0, KILL 5, SETGID 6, SETUID 7, SETPCAP 8 (capabilities(7)).
const THE_FIVE: &str = "00000000000001e1";

/// User ids for one proxy of one test, which no other test uses: tests run beside each other, in processes of their own.
pub(crate) fn range() -> (u32, u32) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = 1_000_000 + std::process::id() * 64 + NEXT.fetch_add(1, Ordering::Relaxed) * 16;
    (first, first + 15)
}

pub(super) fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        cannot("only root can give users away");
    }
    root
}

/// The directory for temporary files of the run that a server is in.
async fn tmp_of(proxy: &Proxy, server: &str) -> PathBuf {
    let worker = proxy.status().await.server(server).worker_pid.expect("a worker");
    proxy.dir().join("state/tmp").join(server).join(worker.to_string())
}

/// A proxy with users, whose first one is `first`. Its directory is open for passing, as the parents of a state directory are.
async fn launch(config: &mut Value, first: u32, last: u32) -> Proxy {
    config["hardening"] = json!("best-effort");
    config["isolation"] = json!({"uids": format!("{first}-{last}")});
    Proxy::launch_with(config.clone(), |command| {
        let dir = command.get_current_dir().expect("a directory");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
    })
    .await
}

/// The values of `/proc/PID/status`.
struct Status(BTreeMap<String, String>);

impl Status {
    fn of(pid: u32) -> Self {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        Self(lines.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect())
    }

    fn get(&self, key: &str) -> &str {
        &self.0[key]
    }

    /// The user, when all four ids are the same.
    fn user(&self) -> u32 {
        let ids: Vec<&str> = self.get("Uid").split_ascii_whitespace().collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let groups: Vec<&str> = self.get("Gid").split_ascii_whitespace().collect();
        assert!(groups.iter().all(|id| *id == ids[0]), "the group is the user's own: {groups:?}");
        assert_eq!(self.get("Groups"), "", "no other group");
        ids[0].parse().expect("a number")
    }

    fn has_no_privileges(&self) {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(self.get(set), NO_CAPABILITIES, "{set}");
        }
        assert_eq!((self.get("NoNewPrivs"), self.get("Umask")), ("1", "0077"));
    }
}

pub(super) fn user_of(view: &SystemView, server: &str) -> u32 {
    Status::of(view.server(server).pid()).user()
}

/// Everything that runs as this user.
pub(super) fn processes_of(user: u32) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").expect("proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_theirs = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| status.contains(&format!("\nUid:\t{user}\t")) && is_alive(*pid))
    };
    pids.filter(is_theirs).collect()
}

async fn sh(proxy: &Proxy, server: &str, script: &str) -> String {
    proxy.session().await.say(&format!("{server}__sh"), json!({"script": script})).await
}

#[tokio::test]
async fn gateway_and_servers_have_users_of_their_own_and_no_privileges() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let mut config = json!({"servers": [fixture("a", &SHELL), fixture("b", &SHELL)]});
    let proxy = launch(&mut config, first, last).await;
    proxy.until_ready().await;
    let view = proxy.status().await;
    let mut seen = vec![];
    let gateway = Status::of(view.gateway_pid());
    gateway.has_no_privileges();
    seen.push(gateway.user());
    for name in ["a", "b"] {
        let server = view.server(name);
        let (worker, server) = (Status::of(server.worker_pid.expect("a worker")), Status::of(server.pid()));
        worker.has_no_privileges();
        server.has_no_privileges();
        assert_eq!(worker.user(), server.user(), "a worker has its server's user");
        seen.push(server.user());
    }
    assert_eq!(seen[0], first, "the gateway has the first");
    seen.sort_unstable();
    assert_eq!(seen, [first, first + 1, first + 2]);
    let supervisor = Status::of(proxy.pid());
    for (set, value) in [("CapPrm", THE_FIVE), ("CapEff", THE_FIVE), ("CapBnd", THE_FIVE), ("CapAmb", NO_CAPABILITIES)]
    {
        assert_eq!(supervisor.get(set), value, "{set}");
    }
    assert_eq!((supervisor.get("NoNewPrivs"), supervisor.get("Umask")), ("1", "0077"));
    let shown = std::process::Command::new("ps").args(["-eo", "user,pid,cmd"]).output();
    if let Ok(shown) = shown {
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        let ours = text.lines().filter(|line| ["mcproxy", "USER"].iter().any(|part| line.contains(part)));
        // For the person who reads the output of this test.
        let _ =
            std::io::Write::write_all(&mut std::io::stderr().lock(), ours.collect::<Vec<_>>().join("\n").as_bytes());
    }
    assert!(!proxy.log().contains("protection: users"), "nothing is missing: {}", proxy.log());
}

#[tokio::test]
async fn a_server_reaches_neither_another_nor_what_is_ours() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let mut victim = fixture("victim", &SHELL);
    victim["env"] = json!({"SECRET": "of the victim"});
    let mut config = json!({"servers": [fixture("hostile", &SHELL), victim]});
    let proxy = launch(&mut config, first, last).await;
    proxy.until_ready().await;
    let view = proxy.status().await;
    let (victim, worker) = (view.server("victim").pid(), view.server("victim").worker_pid.expect("a worker"));
    let state = proxy.dir().join("state");
    let home = state.join("homes/victim");
    sh(&proxy, "victim", "echo precious > $HOME/file").await;
    let attempts = [
        ("another's environment", format!("cat /proc/{victim}/environ")),
        ("its memory", format!("head -c 1 /proc/{victim}/mem")),
        ("its home", format!("ls {}", home.display())),
        ("a file of it", format!("cat {}", home.join("file").display())),
        ("its temporary files", format!("ls {}", state.join("tmp/victim").display())),
        ("a signal to it", format!("kill -9 {victim}")),
        ("a signal to its worker", format!("kill -9 {worker}")),
        ("a signal to the gateway", format!("kill -9 {}", view.gateway_pid())),
        ("a signal to the supervisor", format!("kill -9 {}", proxy.pid())),
        ("the table of users", format!("cat {}", state.join("uids.json").display())),
        ("the state directory", format!("ls {}", state.display())),
        ("kept catalogues", format!("ls {}", state.join("catalogues").display())),
        ("the runtime directory", format!("ls {}", proxy.dir().join("run").display())),
        ("a home for a name of its own", format!("mkdir {}", state.join("homes/new").display())),
        ("process 1", "head -c 1 /proc/1/environ".to_owned()),
    ];
    for (what, script) in attempts {
        let said = sh(&proxy, "hostile", &script).await;
        // For the person who reads the output of this test.
        let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), format!("{what}: {said}\n").as_bytes());
        assert!(said.contains("exit ") && !said.contains("precious") && !said.contains("SECRET"), "{what}: {said}");
        assert!(
            ["denied", "not permitted", "No such process"]
                .iter()
                .any(|word| said.to_lowercase().contains(&word.to_lowercase())),
            "{what}: {said}"
        );
    }
    assert!(is_alive(victim) && is_alive(worker) && is_alive(view.gateway_pid()));
    assert_eq!(sh(&proxy, "victim", "cat $HOME/file; echo $SECRET").await, "precious\nof the victim");
}

#[tokio::test]
async fn a_server_has_a_private_home_and_the_same_user_after_a_restart_and_another_name_another() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let mut config = json!({"servers": [fixture("a", &SHELL), fixture("b", &SHELL)]});
    let mut proxy = launch(&mut config, first, last).await;
    proxy.until_ready().await;
    let (a, b) = {
        let view = proxy.status().await;
        (user_of(&view, "a"), user_of(&view, "b"))
    };
    let home = proxy.dir().join("state/homes/a");
    let said = sh(&proxy, "a", "echo $HOME; echo $TMPDIR; echo $USER $LOGNAME; echo kept > $HOME/kept; umask").await;
    let tmp = tmp_of(&proxy, "a").await;
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [&*home.display().to_string(), &*tmp.display().to_string(), "mcproxy-a mcproxy-a", "0077"]
    );
    for dir in [&home, &tmp] {
        let meta = fs::metadata(dir).expect("there");
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (a, a, 0o700), "{}", dir.display());
    }
    // The order of the file decides nothing, and a server that is renamed is another one.
    config["servers"] = json!([fixture("c", &SHELL), fixture("a", &SHELL)]);
    proxy.write_config(&config.to_string());
    proxy.server_until("ready", "c", |server| server.is_ready()).await;
    let view = proxy.status().await;
    let c = user_of(&view, "c");
    assert!(c != a && c != b && user_of(&view, "a") == a);
    kill(view.server("a").pid());
    proxy.server_until("restarted", "a", |server| server.restarts > 0 && server.is_ready()).await;
    assert_eq!(user_of(&proxy.status().await, "a"), a);
    assert_eq!(fs::metadata(proxy.dir().join("state/homes/b")).expect("kept").uid(), b, "what b left is b's");
    drop(config);
    let _ = &mut proxy;
    assert_eq!(sh(&proxy, "a", "cat $HOME/kept").await, "kept");
}

#[tokio::test]
async fn daemons_that_hide_from_a_killed_supervisor_are_found_by_their_user() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let mut config = json!({"servers": [fixture("a", &SHELL)]});
    let mut proxy = launch(&mut config, first, last).await;
    proxy.until_ready().await;
    let daemon: u32 = proxy.session().await.say("a__hidden_daemon", json!({})).await.parse().expect("a pid");
    let user = Status::of(daemon).user();
    assert_eq!(user, first + 1);
    // Where there are cgroups, it would be found by its own.
    if let Some(cgroup) = cgroup_of(daemon) {
        let is_ours = |path: &&Path| path.to_string_lossy().contains("mcproxy-");
        let above = cgroup.ancestors().find(|path| !is_ours(path)).expect("one that is not ours");
        fs::write(above.join("cgroup.procs"), daemon.to_string()).expect("moved");
    }
    // Neither the worker nor the supervisor has the time to end what is below it.
    let worker = proxy.server("a").await.worker_pid.expect("a worker");
    signal(proxy.pid(), Signal::STOP);
    kill(worker);
    kill(proxy.pid());
    assert_eq!(proxy.exit_code(Duration::from_secs(20)).await, None);
    eventually("worker and server are gone", DEADLINE, async || (processes_of(user) == [daemon]).then_some(())).await;
    let mut next = crate::support::supervisor(proxy.dir());
    let log = fs::File::create(proxy.dir().join("out/second.txt")).expect("a log");
    let mut next = next.stdout(log.try_clone().expect("the log")).stderr(log).spawn().expect("it starts");
    eventually("the daemon is gone", DEADLINE, async || (!is_alive(daemon)).then_some(())).await;
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    let second = fs::read_to_string(proxy.dir().join("out/second.txt")).expect("a log");
    assert!(second.contains("found by their users"), "{second}");
    crate::support::terminate(next.id());
    eventually("the second ends", Duration::from_secs(25), async || next.try_wait().expect("its state")).await;
    assert!(processes_of(user).is_empty());
    assert!(processes_of(first).is_empty());
}

#[tokio::test]
async fn a_program_that_the_servers_user_cannot_reach_is_named_with_the_directory_that_is_closed() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let closed = tempfile::tempdir().expect("a directory");
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let program = closed.path().join("server");
    fs::copy(binary("mcproxy-fixture"), &program).expect("copied");
    let mut config = json!({"servers": [{"name": "a", "command": program}]});
    let proxy = launch(&mut config, first, last).await;
    let server = proxy.server_until("cannot start", "a", |server| server.last_error.is_some()).await;
    let error = server.last_error.expect("why");
    let why = format!("{} is closed to user {}", closed.path().display(), first + 1);
    assert!(error.contains(&why) && error.contains("runAs"), "{error}");
}

#[tokio::test]
async fn run_as_is_an_account_with_its_groups_and_an_unknown_one_is_an_error_of_that_server() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let of = |name: &str, account: &str| {
        let mut entry = fixture(name, &SHELL);
        entry["runAs"] = json!(account);
        entry
    };
    let mut config = json!({"servers": [of("a", "nobody"), of("b", "no-such-account"), of("c", "root")]});
    let proxy = launch(&mut config, first, last).await;
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    proxy.server_until("ready", "c", |server| server.is_ready()).await;
    let server = proxy.server_until("cannot start", "b", |server| server.last_error.is_some()).await;
    let error = server.last_error.expect("why");
    assert!(error.contains("there is no account \"no-such-account\""), "{error}");
    let view = proxy.status().await;
    let nobody = fs::metadata(proxy.dir().join("state/tmp/a")).expect("there").uid();
    let status = Status::of(view.server("a").pid());
    assert!(status.get("Uid").starts_with(&format!("{nobody}\t")) && nobody != 0, "{}", status.get("Uid"));
    assert_eq!((status.get("CapBnd"), status.get("NoNewPrivs")), (NO_CAPABILITIES, "1"));
    let said = sh(&proxy, "a", "echo $USER; test \"$HOME\" = ~nobody && echo home").await;
    assert_eq!(said, "nobody\nhome");
    let root = Status::of(view.server("c").pid());
    assert_eq!((root.get("CapEff"), root.get("CapBnd")), (NO_CAPABILITIES, NO_CAPABILITIES));
}

#[tokio::test]
async fn a_broken_table_of_users_costs_the_users_and_says_what_to_do() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let mut config = json!({"servers": [fixture("a", &SHELL)]});
    config["hardening"] = json!("best-effort");
    config["isolation"] = json!({"uids": format!("{first}-{last}")});
    let proxy = Proxy::launch_with(config, |command| {
        let dir: PathBuf = command.get_current_dir().expect("a directory").to_owned();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::create_dir(dir.join("state")).expect("made");
        fs::write(dir.join("state/uids.json"), "{").expect("written");
    })
    .await;
    proxy.until_ready().await;
    let line = proxy.logged(&["protection: users", "uids.json"]).await;
    assert!(line.contains("remove it"), "{line}");
    assert!(Path::new(&format!("/proc/{}", proxy.pid())).exists());
    let status = Status::of(proxy.status().await.server("a").pid());
    assert_eq!((status.get("CapBnd"), status.get("NoNewPrivs")), (NO_CAPABILITIES, "1"), "all else is as it should be");
}

#[tokio::test]
async fn a_second_proxy_does_not_take_the_users_of_the_first() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let mut config = json!({"servers": [fixture("a", &SHELL)]});
    let one = launch(&mut config, first, last).await;
    one.until_ready().await;
    let server = one.status().await.server("a").pid();
    let two = launch(&mut config, first, last).await;
    two.until_ready().await;
    let line = two.logged(&["protection: users", "another MCProxy"]).await;
    assert!(line.contains("isolation"), "{line}");
    assert!(is_alive(server));
    assert_eq!(one.status().await.server("a").restarts, 0);
}

#[tokio::test]
async fn a_range_that_is_used_up_costs_only_the_server_that_gets_none() {
    if !is_root() {
        return;
    }
    let (first, _) = range();
    let mut config = json!({"servers": [fixture("a", &SHELL), fixture("b", &SHELL)]});
    let proxy = launch(&mut config, first, first + 1).await;
    let why = eventually("one of them gets no user", DEADLINE, async || {
        let view = proxy.try_status().await?;
        let is_ready = view.servers.iter().any(|server| server.is_ready());
        view.servers.iter().find_map(|server| server.last_error.clone()).filter(|_| is_ready)
    })
    .await;
    assert!(why.contains(&format!("all user ids of {first}-{} are in use", first + 1)), "{why}");
    assert!(why.contains("isolation.uids"), "{why}");
}

#[tokio::test]
async fn without_users_a_server_of_root_has_no_capabilities_all_the_same() {
    if !is_root() {
        return;
    }
    let config = json!({"hardening": "best-effort", "isolation": {"uids": "off"}, "servers": [fixture("a", &SHELL)]});
    let proxy = Proxy::start(config).await;
    let view = proxy.status().await;
    for pid in [view.server("a").pid(), view.server("a").worker_pid.expect("a worker"), view.gateway_pid()] {
        let status = Status::of(pid);
        assert!(status.get("Uid").starts_with("0\t"));
        status.has_no_privileges();
    }
    assert!(!proxy.log().contains("protection: users"), "they were not wanted");
    let said = sh(&proxy, "a", "echo $TMPDIR").await;
    assert_eq!(said, tmp_of(&proxy, "a").await.display().to_string());
}

#[tokio::test]
async fn a_configuration_of_another_user_is_read_with_one_more_capability_which_is_reported() {
    if !is_root() {
        return;
    }
    let (first, last) = range();
    let config = json!({
        "hardening": "best-effort",
        "isolation": {"uids": format!("{first}-{last}")},
        "servers": [fixture("a", &SHELL)],
    });
    let proxy = Proxy::launch_with(config, |command| {
        let dir: PathBuf = command.get_current_dir().expect("a directory").to_owned();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let file = dir.join("mcp-servers.json");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        std::os::unix::fs::chown(&file, Some(last), None).expect("root may");
    })
    .await;
    proxy.until_ready().await;
    let line = proxy.logged(&["protection: capabilities", "CAP_DAC_READ_SEARCH"]).await;
    assert!(line.contains("mcp-servers.json is out of its reach"), "{line}");
    // DAC_READ_SEARCH is 2.
    assert_eq!(Status::of(proxy.pid()).get("CapEff"), "00000000000001e5");
    assert_eq!(Status::of(proxy.pid()).get("CapBnd"), THE_FIVE, "nobody gets it from us");
    Status::of(proxy.status().await.server("a").pid()).has_no_privileges();
}
