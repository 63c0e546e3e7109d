use std::{path::Path, time::Duration};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;
use tokio::{net::UnixDatagram, time::timeout};

use crate::support::{DEADLINE, Proxy, fixture, signal, within};

/// After so long without a sign of life a service manager would start us anew.
const WATCHDOG: Duration = Duration::from_millis(1500);

/// A service manager that listens to the proxy.
struct Manager {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
        Self { socket, dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until each of these was the beginning of a line, in whatever order; the messages in which they were.
    async fn hears(&self, mut lines: Vec<&str>) -> String {
        let mut heard = String::new();
        within("the service manager hears it all", DEADLINE, async {
            let mut buffer = [0; 4096];
            while !lines.is_empty() {
                let len = self.socket.recv(&mut buffer).await.expect("a datagram");
                let message = String::from_utf8_lossy(&buffer[..len]);
                lines.retain(|line| !message.lines().any(|said| said.starts_with(line)));
                heard.push_str(&message);
            }
        })
        .await;
        heard
    }

    /// Waits until nothing was heard for so long.
    async fn hears_nothing_for(&self, silence: Duration) {
        let mut buffer = [0; 4096];
        within("the service manager hears nothing", DEADLINE, async {
            while timeout(silence, self.socket.recv(&mut buffer)).await.is_ok() {}
        })
        .await;
    }
}

async fn proxy(manager: &Manager) -> Proxy {
    let config = json!({"servers": [fixture("a", &[])]});
    Proxy::launch_with(config, |command| {
        command
            .env("NOTIFY_SOCKET", manager.path().join("notify"))
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    })
    .await
}

#[tokio::test]
async fn a_service_manager_hears_when_we_serve_how_things_stand_and_that_we_live() {
    let manager = Manager::new();
    let proxy = proxy(&manager).await;
    manager.hears(vec!["READY=1", "WATCHDOG=1", "STATUS=1 of 1 servers ready"]).await;
    signal(proxy.pid(), Signal::HUP);
    let reload = manager.hears(vec!["RELOADING=1", "MONOTONIC_USEC=", "READY=1"]).await;
    assert!(reload.find("RELOADING=1") < reload.rfind("READY=1"), "{reload}");
    proxy.terminate();
    manager.hears(vec!["STOPPING=1"]).await;
}

#[tokio::test]
async fn a_reload_is_over_for_the_service_manager_when_what_it_changes_is_done_and_the_status_names_a_mistake() {
    let manager = Manager::new();
    let proxy = proxy(&manager).await;
    manager.hears(vec!["STATUS=1 of 1 servers ready"]).await;
    let slow = json!({"servers": [fixture("a", &[]), fixture("b", &["--start-delay-ms", "1500"])]});
    proxy.write_config(&slow.to_string());
    let heard = manager.hears(vec!["RELOADING=1", "STATUS=2 of 2 servers ready", "READY=1"]).await;
    assert!(heard.find("STATUS=2 of 2") < heard.rfind("READY=1"), "{heard}");
    assert_eq!(heard.matches("READY=1").count(), 1, "{heard}");

    proxy.write_config(r#"{"servers": [], "listen": "nowhere"}"#);
    let heard = manager.hears(vec!["RELOADING=1", "READY=1"]).await;
    let status = heard.lines().rfind(|line| line.starts_with("STATUS=")).unwrap_or_default();
    assert!(status.contains("not in force") && status.contains("/listen"), "{heard}");
    proxy.write_config(&slow.to_string());
    let heard = manager.hears(vec!["RELOADING=1", "STATUS=2 of 2 servers ready", "READY=1"]).await;
    assert!(!heard.contains("/listen"), "{heard}");
}

#[tokio::test]
async fn a_suspended_supervisor_does_not_feed_the_watchdog() {
    let manager = Manager::new();
    let proxy = proxy(&manager).await;
    manager.hears(vec!["WATCHDOG=1"]).await;
    signal(proxy.pid(), Signal::STOP);
    manager.hears_nothing_for(WATCHDOG).await;
    signal(proxy.pid(), Signal::CONT);
    manager.hears(vec!["WATCHDOG=1"]).await;
}
