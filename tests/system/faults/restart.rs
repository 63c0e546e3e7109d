//! A restart of the service under a service manager that holds the port, and keeps what a run leaves with it.

use std::{
    mem::MaybeUninit,
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use rustix::{
    cmsg_space,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{io::Interest, net::UnixDatagram};

use crate::support::{DEADLINE, PassedDescriptors, Proxy, ask, binary, fixture, http_client, within};

const END: Duration = Duration::from_secs(20);

/// A service manager that takes descriptors.
struct Manager {
    socket: UnixDatagram,
    dir: TempDir,
    port: TcpListener,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
        Self { socket, dir, port: TcpListener::bind("127.0.0.1:0").expect("a free port") }
    }

    fn passed(&self, sessions: Option<OwnedFd>) -> PassedDescriptors {
        PassedDescriptors { port: self.port.try_clone().expect("a copy"), sessions }
    }

    fn notified(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify"));
    }

    /// Waits for a message that begins so, and the descriptor that comes with it, if one does.
    async fn hears(&self, beginning: &str) -> (String, Option<OwnedFd>) {
        within(beginning, DEADLINE, async {
            loop {
                self.socket.readable().await.expect("it is ours");
                let Ok((message, descriptor)) = self.socket.try_io(Interest::READABLE, || receive(&self.socket)) else {
                    continue;
                };
                if message.starts_with(beginning) {
                    return (message, descriptor);
                }
            }
        })
        .await
    }
}

fn receive(socket: &UnixDatagram) -> std::io::Result<(String, Option<OwnedFd>)> {
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [std::io::IoSliceMut::new(&mut bytes)];
    let message = recvmsg(socket, &mut parts, &mut control, RecvFlags::DONTWAIT)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((String::from_utf8_lossy(&bytes[..message.bytes]).into_owned(), descriptor))
}

async fn ended(proxy: &mut Proxy) {
    proxy.terminate();
    assert_eq!(proxy.exit_code(END).await, Some(0));
}

#[tokio::test]
async fn a_restart_under_a_service_manager_that_holds_the_port_refuses_no_request_and_ends_no_session() {
    let manager = Manager::new();
    let address = manager.port.local_addr().expect("bound");
    let config = json!({"servers": [fixture("a", &[])]});
    let mut proxy = Proxy::launch_passed(config, &manager.passed(None), |command| manager.notified(command)).await;
    assert_eq!(proxy.base, format!("http://{address}"), "it serves where the service manager listens");
    proxy.until_ready().await;
    let session = proxy.session().await;
    assert_eq!(session.say("a__echo", json!({"text": "before"})).await, "before");
    let ended_before = proxy.session().await;
    let deleted = ask(ended_before.http(Method::DELETE)).await;
    assert!(deleted.status.is_success(), "{deleted:?}");

    ended(&mut proxy).await;
    let (message, sessions) = manager.hears("FDSTORE=1").await;
    assert!(message.contains("FDNAME=mcproxy-sessions"), "{message}");
    // Nothing of MCProxy runs, and a client calls.
    let meanwhile = session.say("a__echo", json!({"text": "meanwhile"}));
    let passed = manager.passed(sessions);
    let restarted = proxy.start_again_passed(&passed, |command| manager.notified(command));
    let (answer, ()) = tokio::join!(meanwhile, restarted);
    assert_eq!(answer, "meanwhile");
    manager.hears("FDSTOREREMOVE=1").await;
    proxy.logged(&["sessions of before the restart are continued", "count: 1"]).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    assert_eq!(ended_before.post(&ping).await.status, 404, "what was ended stays ended");
    assert_eq!(session.say("a__echo", json!({"text": "after"})).await, "after");
}

#[tokio::test]
async fn sessions_that_another_version_left_are_dropped_and_that_is_said() {
    let manager = Manager::new();
    let strange = sealed(b"mcproxy sess 99\nwhatever that version writes");
    let config = json!({"servers": [fixture("a", &[])]});
    let proxy = Proxy::launch_passed(config, &manager.passed(Some(strange)), |_| ()).await;
    proxy.logged(&["sessions of before the restart are not continued", "of another version of MCProxy"]).await;
    proxy.until_ready().await;
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "new"})).await, "new");
}

fn sealed(content: &[u8]) -> OwnedFd {
    use std::io::Write as _;

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let file = memfd_create("sessions", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a file");
    let mut file = std::fs::File::from(file);
    file.write_all(content).expect("written");
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE).expect("sealed");
    file.into()
}

#[tokio::test]
async fn a_socket_that_others_reach_is_not_served_without_a_word_about_who_may_call() {
    let open = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let (code, said) = refused(open.into(), &[], "{}").await;
    assert!(code == Some(78) && said.contains("`auth`"), "{code:?} {said}");
    let open = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (code, said) = refused(open.into(), &["--port", "1"], "{}").await;
    assert!(code == Some(64) && said.contains("mcproxy.socket"), "{code:?} {said}");
    let dir = tempfile::tempdir().expect("a directory");
    let local = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).expect("a socket");
    let (code, said) = refused(local.into(), &[], "{}").await;
    assert!(code == Some(78) && said.contains("ListenStream="), "{code:?} {said}");
}

/// Starts a supervisor that is passed this socket; its exit code, and what it said.
async fn refused(socket: OwnedFd, flags: &[&str], config: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("mcp-servers.json"), config).expect("written");
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", r#"export LISTEN_PID=$$; exec "$0" "$@" 3<&0 0</dev/null"#])
        .arg(binary("mcproxy-supervisor"))
        .args(["--runtime-dir", "run", "--state-dir", "state"])
        .args(flags)
        .env("LISTEN_FDS", "1")
        .current_dir(dir.path())
        .stdin(Stdio::from(socket))
        .kill_on_drop(true);
    let output = within("it ends", DEADLINE, command.output()).await.expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_client_that_calls_before_the_first_start_is_served_by_it() {
    let manager = Manager::new();
    let url = format!("http://{}/healthz", manager.port.local_addr().expect("bound"));
    let early = async { http_client(None).get(url).send().await.expect("an answer").status().as_u16() };
    let config = json!({"servers": [fixture("a", &[])]});
    let passed = manager.passed(None);
    let (status, _proxy) = tokio::join!(early, Proxy::launch_passed(config, &passed, |_| ()));
    assert_eq!(status, 200);
}
