//! What a worker asks of the kernel for itself and its server, without a user for each (docs/decisions/0129): from inside one, by
//! commands of a shell, as root and as an ordinary user, and with real programs.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::Command,
};

use rustix::process::geteuid;
use serde_json::{Value, json};

use crate::support::{Proxy, Session, cannot, fixture};

/// Of servers that run `sh` on request.
const SHELL: [&str; 2] = ["--tool-name", "sh"];
/// Some ordinary user.
const USER: u32 = 1000;

/// Code that is compiled while it runs, threads, processes, temporary files.
const NODE: &str = r#"node -e '
const { Worker } = require("worker_threads");
const fs = require("fs"), os = require("os"), path = require("path");
require("child_process").execSync("true");
fs.mkdtempSync(path.join(os.tmpdir(), "t-"));
let sum = 0;
for (let i = 0; i < 1e6; i++) sum += i;
new Worker("0", { eval: true }).on("exit", code => console.log(code === 0 ? "done" : code));
'"#;
/// Shared memory, semaphores, threads, processes, temporary files.
const PYTHON: &str = r#"python3 -c '
import multiprocessing, subprocess, tempfile, threading
tempfile.TemporaryFile().write(b"x")
threading.Thread(target=int).start()
subprocess.run(["true"], check=True)
queue = multiprocessing.Queue()
process = multiprocessing.Process(target=queue.put, args=("done",))
process.start()
print(queue.get())
process.join()
'"#;
const GIT: &str = "cd $HOME && rm -rf r && git init -q r && cd r \
    && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m done && git log --format=%s";

fn shell(name: &str, more: Value) -> Value {
    let mut server = fixture(name, &SHELL);
    server.as_object_mut().expect("an entry").extend(more.as_object().expect("keys").clone());
    server
}

/// Gives a directory away, with all that is in it.
pub(crate) fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("given away");
    if path.is_dir() {
        fs::read_dir(path).expect("listed").for_each(|entry| give(&entry.expect("an entry").path(), user));
    }
}

/// A proxy at this level with these servers, whose HOME is `home` in its directory; as `user`, where one is given.
async fn launch(hardening: &str, servers: Vec<Value>, user: Option<u32>) -> Proxy {
    let isolation = json!({"uids": "off"});
    Proxy::launch_with(json!({"hardening": hardening, "isolation": isolation, "servers": servers}), |command| {
        let dir = command.get_current_dir().expect("a directory").to_owned();
        fs::create_dir(dir.join("home")).expect("made");
        fs::create_dir(dir.join("secret")).expect("made");
        fs::write(dir.join("secret/file"), "of nobody else").expect("written");
        command.env("HOME", dir.join("home")).env("TMPDIR", dir.join("home"));
        if let Some(user) = user {
            give(&dir, user);
            command.uid(user).gid(user);
        }
    })
    .await
}

struct Shell {
    session: Session,
    tool: String,
}

impl Shell {
    async fn of(proxy: &Proxy, server: &str) -> Self {
        Self { session: proxy.session().await, tool: format!("{server}__sh") }
    }

    async fn run(&self, script: &str) -> String {
        self.session.say(&self.tool, json!({"script": script})).await
    }

    async fn succeeds(&self, script: &str) -> String {
        let said = self.run(script).await;
        assert!(!said.contains("\nexit ") && !said.starts_with("exit "), "{script}: {said}");
        said
    }

    async fn is_refused(&self, script: &str, how: &str) {
        let said = self.run(script).await;
        assert!(said.contains(how) && said.contains("exit "), "{script} is refused: {said}");
    }
}

fn status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
}

/// As which users the tests of this module can start MCProxy.
fn users() -> Vec<Option<u32>> {
    if geteuid().is_root() { vec![None, Some(USER)] } else { vec![None] }
}

#[tokio::test]
async fn a_server_cannot_leave_what_it_is_confined_to() {
    for user in users() {
        let servers =
            vec![shell("echo", json!({"sandbox": {"deny": ["secret"]}, "cwd": "home"})), shell("other", json!({}))];
        let proxy = launch("best-effort", servers, user).await;
        proxy.until_ready().await;
        let view = proxy.status().await;
        let (worker, server) = (view.server("echo").worker_pid.expect("a worker"), view.server("echo").pid());
        for pid in [worker, server] {
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(status(pid, set), "0000000000000000", "{set} of {pid}");
            }
            assert_eq!((status(pid, "NoNewPrivs"), status(pid, "Seccomp")), ("1".to_owned(), "2".to_owned()));
        }
        let (other, dir) = (view.server("other").pid(), proxy.dir().display().to_string());
        let shell = Shell::of(&proxy, "echo").await;
        // Files: its own directories can be written, others read only, and one neither.
        shell
            .succeeds(
                "echo x > new && mkdir d && echo x > $HOME/d/new && mktemp && rm -r new $HOME/d && echo x > /dev/null",
            )
            .await;
        shell.succeeds("ls / /etc > /dev/null && cat /etc/passwd > /dev/null").await;
        shell.is_refused("echo x > /usr/confined", "ermission denied").await;
        shell.is_refused(&format!("cat {dir}/secret/file"), "ermission denied").await;
        shell.is_refused(&format!("echo x > {dir}/secret/file"), "ermission denied").await;
        // Other processes of the same user: no signals, memory, environment; its worker's and the other server's alike.
        for pid in [worker, other] {
            shell.is_refused(&format!("kill -TERM {pid}"), "ot permitted").await;
            shell.is_refused(&format!("cat /proc/{pid}/environ"), "ermission denied").await;
            shell.is_refused(&format!("cat /proc/{pid}/fd/0"), "ermission denied").await;
        }
        shell.succeeds("sleep 60 & kill $!").await;
        // System calls.
        shell.is_refused("unshare --user true", "ot permitted").await;
        shell.is_refused("mount -t tmpfs none /mnt", "exit ").await;
        // Descriptors: the three streams, and what `ls` opens.
        let open = shell.succeeds(&format!("ls /proc/{server}/fd")).await;
        assert!(
            !open.lines().any(|number| number.parse::<u32>().is_ok_and(|number| number > 2) && is_ours(server, number)),
            "{open}"
        );
        assert_eq!(shell.succeeds("umask").await, "0077");
        assert_eq!(shell.succeeds("ulimit -c").await, "0");
    }
}

/// Whether that descriptor is an order, which the server must not have.
fn is_ours(pid: u32, number: &str) -> bool {
    fs::read_link(format!("/proc/{pid}/fd/{number}")).is_ok_and(|file| file.to_string_lossy().contains("mcproxy-order"))
}

#[tokio::test]
async fn a_strict_server_reads_the_system_and_its_own_and_nothing_else() {
    for user in users() {
        let server = shell("echo", json!({"sandbox": "strict", "cwd": "home"}));
        let proxy = launch("best-effort", vec![server], user).await;
        proxy.until_ready().await;
        let shell = Shell::of(&proxy, "echo").await;
        shell
            .succeeds("cat /etc/passwd > /dev/null && ls /usr > /dev/null && echo x > $HOME/file && cat $HOME/file")
            .await;
        shell.is_refused(&format!("cat {}/secret/file", proxy.dir().display()), "ermission denied").await;
        shell.is_refused("ls /", "ermission denied").await;
    }
}

#[tokio::test]
async fn a_server_without_network_has_loopback_and_nothing_else() {
    for user in users() {
        let proxy = launch("best-effort", vec![shell("echo", json!({"network": "none"}))], user).await;
        proxy.until_ready().await;
        let shell = Shell::of(&proxy, "echo").await;
        // Where it can be no network of its own, no connection may be made at all. (Root without capabilities cannot be root in
        // a namespace of its own.)
        let is_root = user.is_none() && geteuid().is_root();
        let expected = if is_root { "exit 13" } else { "exit 111" };
        let port = proxy.base.rsplit(':').next().expect("a port");
        let connect = format!("import socket,sys; sys.exit(socket.socket().connect_ex((\"127.0.0.1\",{port})))");
        let said = shell.run(&format!("python3 -c '{connect}'")).await;
        assert!(said.ends_with(expected), "{said}, {expected}");
        if !is_root {
            let interfaces = shell.succeeds("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await;
            assert!(!interfaces.contains("eth"), "{interfaces}");
            let listen =
                "import socket; s=socket.create_server((\"127.0.0.1\",0)); socket.create_connection(s.getsockname())";
            shell.succeeds(&format!("python3 -c '{listen}'")).await;
        }
    }
}

#[tokio::test]
async fn interpreters_live_with_it() {
    let programs = [("node", NODE), ("python3", PYTHON), ("git", GIT)];
    for sandbox in [json!({}), json!({"sandbox": "strict"})] {
        let proxy = launch("best-effort", vec![shell("echo", sandbox)], None).await;
        proxy.until_ready().await;
        let shell = Shell::of(&proxy, "echo").await;
        for (program, script) in programs {
            if !Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
                cannot(&format!("there is no {program}"));
                continue;
            }
            let said = shell.run(script).await;
            assert!(said.ends_with("done"), "{program}: {said}");
        }
    }
}
