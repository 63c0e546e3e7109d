//! A server that means ill, and what it is refused. `hostile.py` tries everything from inside, as a stranger's server would, with
//! Python's standard library; the same as the user that runs the tests and, where that is root, as an ordinary one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use serde_json::json;

use crate::support::{Proxy, binary, cannot, fixture, skip};

/// Also for users who may not enter the home of root.
const PYTHON: &str = "/usr/bin/python3";
/// Nobody that has files here.
const ORDINARY: &str = "65534";

/// What each attempt came to, by its name.
type Outcomes = BTreeMap<String, String>;

async fn attack(proxy: &Proxy, outside: &Path) -> Outcomes {
    let system = proxy.status().await;
    let (hostile, quiet) = (system.server("hostile"), system.server("quiet"));
    let absolute = |path: &str| proxy.dir().join(path).display().to_string();
    let outside = outside.display().to_string();
    let mut targets = json!({
        "server": quiet.pid(), "its worker": quiet.worker_pid, "own worker": hostile.worker_pid,
        "gateway": system.gateway_pid(), "supervisor": proxy.pid(), "process 1": 1,
        "read": {
            "the configuration": absolute("mcp-servers.json"), "the state directory": absolute("state"),
            "the runtime directory": absolute("run"), "/etc/passwd": "/etc/passwd",
        },
        "append": {
            "the configuration": absolute("mcp-servers.json"), "a file outside its write set": format!("{outside}/file"),
            "/etc/passwd": "/etc/passwd",
        },
        "make": {
            "the state directory": absolute("state"), "the runtime directory": absolute("run"), "/usr": "/usr",
            "a directory outside its write set": outside, "its directory": absolute("work"),
        },
        "connect": {"the control socket": absolute("run/supervisor.sock")},
        "mcproxy": binary("mcproxy"), "runtime": absolute("run"), "bind": [12_345],
    });
    if rustix::process::geteuid().is_root() {
        targets["setuid"] = json!(format!("{outside}/id"));
    }
    let session = proxy.session().await;
    let mut outcomes = Outcomes::new();
    for (tool, arguments) in [("hostile__status", json!({})), ("hostile__attack", targets)] {
        let found = session.say(tool, arguments).await;
        outcomes.extend(serde_json::from_str::<Outcomes>(&found).expect("an object of texts"));
    }
    for (name, outcome) in &outcomes {
        // Nobody may be reading.
        let _ = writeln!(std::io::stderr().lock(), "{name}: {outcome}");
    }
    outcomes
}

/// A directory that every user may write to, with a file and, for root, a program that makes root of whoever starts it.
fn outside() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("opened");
    open(dir.path(), 0o777);
    fs::write(dir.path().join("file"), "safe").expect("written");
    open(&dir.path().join("file"), 0o666);
    if rustix::process::geteuid().is_root() {
        fs::copy("/usr/bin/id", dir.path().join("id")).expect("copied");
        open(&dir.path().join("id"), 0o4755);
    }
    dir
}

/// What a server must be able to do.
const ALLOWED: [&str; 2] = ["make a file in its directory", "read /etc/passwd"];
/// What cannot be refused to a server of MCProxy's own user: names in hidden directories, and sockets with a path where the kernel
/// does not know them yet. What it says there is refused (`operate MCProxy`).
const SAME_USER: [&str; 3] =
    ["connect to the control socket", "read the runtime directory", "read the state directory"];

async fn all_is_refused() {
    if !Path::new(PYTHON).exists() {
        return skip("no python3");
    }
    let outside = outside();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/hardening/hostile.py");
    let (first, last) = super::users::range();
    let config = json!({
        "hardening": "best-effort",
        "isolation": {"uids": format!("{first}-{last}")},
        "servers": [
            {"name": "hostile", "command": PYTHON, "args": ["hostile.py"], "cwd": "work", "sandbox": {"bind": [], "deny": []},
             "limits": {"maxProcesses": 100}},
            fixture("quiet", &[]),
        ]
    });
    let proxy = Proxy::launch_with(config, |command| {
        command.env_remove(mcproxy_ipc::DUMPABLE_VARIABLE);
        let dir = command.get_current_dir().expect("a directory");
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("opened");
        open(dir, 0o755);
        fs::create_dir(dir.join("work")).expect("made");
        open(&dir.join("work"), 0o777);
        fs::copy(&script, dir.join("work/hostile.py")).expect("copied");
        open(&dir.join("work/hostile.py"), 0o644);
    })
    .await;
    proxy.until_ready().await;
    let outcomes = attack(&proxy, outside.path()).await;
    assert!(outcomes.len() > 80, "{outcomes:?}");
    let done: BTreeSet<&str> =
        outcomes.iter().filter(|(_, how)| how.starts_with("done")).map(|(name, _)| name.as_str()).collect();
    let wrong: Vec<_> = outcomes.iter().filter(|(_, how)| how.starts_with("error")).collect();
    assert_eq!(wrong, Vec::<(&String, &String)>::new(), "attempts that were none");
    let has_own_user = !outcomes["Uid"].starts_with(&format!("{} ", rustix::process::geteuid().as_raw()));
    assert!(ALLOWED.iter().all(|name| done.contains(name)), "{done:?}");
    let excused = |name: &&str| ALLOWED.contains(name) || !has_own_user && SAME_USER.contains(name);
    let done: Vec<&str> = done.into_iter().filter(|name| !excused(name)).collect();
    assert_eq!(done, Vec::<&str>::new());
    // A system call that only finds its arguments wrong was let through.
    for name in ["bpf", "perf_event_open", "keyctl", "init_module", "kexec_load", "reboot", "clock_settime", "swapon"] {
        let how = &outcomes[name];
        assert!(how.contains("not permitted") || how.contains("not implemented"), "{name}: {how}");
    }
    for (key, value) in
        [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000")]
    {
        assert_eq!(outcomes.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(fs::read(outside.path().join("file")).expect("there"), b"safe");
    assert_eq!(proxy.session().await.say("quiet__echo", json!({"text": "unharmed"})).await, "unharmed");
}

#[tokio::test]
async fn a_hostile_server_is_refused_what_is_not_its_own() {
    all_is_refused().await;
}

#[tokio::test]
async fn a_hostile_server_of_an_ordinary_user_is_refused_what_is_not_its_own() {
    if !rustix::process::geteuid().is_root() {
        return; // the one before this was it
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("opened");
    let program = std::env::current_exe().expect("this one");
    let test = "hardening::hostile::a_hostile_server_is_refused_what_is_not_its_own";
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        ORDINARY,
        "--regid",
        ORDINARY,
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]);
    command.arg(program).args(["--exact", test, "--nocapture"]).current_dir(dir.path());
    // A HOME of its own: what lies below it may be written.
    let home = dir.path().join("home");
    fs::create_dir(&home).and_then(|()| fs::set_permissions(&home, fs::Permissions::from_mode(0o777))).expect("made");
    command.env("TMPDIR", dir.path()).env("HOME", home);
    let Ok(output) = command.output() else { return cannot("no `setpriv`") };
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
