//! SIGKILL for each of our processes in each phase of a server's life, while that server ignores every request to end and
//! has left a daemon behind that nothing could tell from a stranger's. Phases are reached by what the server does and seen
//! in status, metrics and log; nothing here waits for a time to pass.

use std::{fs, time::Duration};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::{Proxy, ServerView, eventually, fixture, is_alive, kill, processes_in};

/// The longest way to the end: drain, stop ladder, kill, on a busy machine.
const GONE: Duration = Duration::from_secs(40);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The process runs and has read nothing.
    Starting,
    /// It has been asked to initialize.
    Initializing,
    /// It has been asked for its tools.
    Listing,
    Idle,
    /// A call is in flight.
    Calling,
    /// Everything is to end; a call holds it up.
    Draining,
    /// The server was asked to end, and stays.
    Stopping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Supervisor,
    Gateway,
    Worker,
    Server,
}

const VICTIMS: [Victim; 4] = [Victim::Supervisor, Victim::Gateway, Victim::Worker, Victim::Server];

/// A call under way: what came back as an answer, however the connection ended.
type Call = JoinHandle<String>;

/// One proxy in one phase.
struct Scene {
    proxy: Proxy,
    phase: Phase,
    /// The server that hides a daemon, as it is in that phase.
    server: ServerView,
    gateway: u32,
    call: Option<Call>,
}

/// The daemons that one server has left behind so far, each with the server's process that did it.
fn daemons(proxy: &Proxy, server: &str) -> Vec<(u32, u32)> {
    let text = fs::read_to_string(proxy.dir().join(format!("out/{server}.pids"))).unwrap_or_default();
    let pair = |line: &str| {
        let (daemon, server) = line.split_once(' ')?;
        Some((daemon.parse().ok()?, server.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

impl Scene {
    async fn reach(phase: Phase) -> Self {
        let flags: &[&str] = match phase {
            Phase::Starting => &["--start-delay-ms", "100000000"],
            Phase::Initializing => &["--never-init"],
            Phase::Listing => &["--never-list"],
            Phase::Idle | Phase::Calling | Phase::Draining | Phase::Stopping => &[],
        };
        let stubborn = |name: &str, flags: &[&str]| {
            let pids = format!("out/{name}.pids");
            fixture(name, &[&["--ignore-term", "--hidden-daemon", &pids], flags].concat())
        };
        let proxy = Proxy::launch(json!({
            "servers": [stubborn("a", flags), stubborn("b", &[])],
            "defaults": {"restart": {"initialDelay": 0.1, "maxDelay": 0.5}},
            "shutdownGrace": 20,
        }))
        .await;
        proxy.server_until("ready", "b", ServerView::is_ready).await;
        let server = proxy
            .server_until("its process runs", "a", |server| {
                server.server_pid.is_some_and(|pid| daemons(&proxy, "a").iter().any(|(_, of)| *of == pid))
            })
            .await;
        let mut scene = Self { gateway: proxy.status().await.gateway_pid(), proxy, phase, server, call: None };
        scene.proceed().await;
        scene
    }

    async fn proceed(&mut self) {
        let proxy = &self.proxy;
        match self.phase {
            Phase::Starting => assert_eq!(self.server.state, "starting"),
            Phase::Initializing => drop(proxy.logged(&["asked, and never answers"]).await),
            Phase::Listing => drop(proxy.logged(&["asked for its tools, and never answers"]).await),
            Phase::Idle => drop(proxy.server_until("ready", "a", ServerView::is_ready).await),
            Phase::Calling | Phase::Draining | Phase::Stopping => {
                proxy.server_until("ready", "a", ServerView::is_ready).await;
                if self.phase == Phase::Stopping {
                    assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0));
                    proxy.server_until("stopping", "a", |server| server.state == "stopping").await;
                    return;
                }
                self.call = Some(self.begin_call().await);
                if self.phase == Phase::Draining {
                    self.proxy.terminate();
                    self.proxy.logged(&["draining"]).await;
                }
            }
        }
    }

    async fn begin_call(&self) -> Call {
        let session = self.proxy.session().await;
        let params = json!({"name": "a__slow", "arguments": {"ms": 600_000}});
        let body = json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": params});
        let request = session.http(Method::POST).header("accept", "application/json, text/event-stream").json(&body);
        let call = tokio::spawn(async move {
            match request.send().await {
                Ok(response) => response.text().await.unwrap_or_default(),
                // Broken off before the first byte.
                Err(_) => String::new(),
            }
        });
        eventually("the call is under way", GONE, async || {
            let metrics = self.proxy.get("/metrics").await.body;
            metrics.contains("mcproxy_calls_in_flight{server=\"a\"} 1").then_some(())
        })
        .await;
        call
    }

    fn pid_of(&self, victim: Victim) -> u32 {
        match victim {
            Victim::Supervisor => self.proxy.pid(),
            Victim::Gateway => self.gateway,
            Victim::Worker => self.server.worker_pid.expect("a worker"),
            Victim::Server => self.server.pid(),
        }
    }

    /// The processes of the server as it was in this phase.
    fn old_tree(&self) -> Vec<u32> {
        let hidden = daemons(&self.proxy, "a").into_iter().filter(|(_, of)| *of == self.server.pid());
        let mut tree: Vec<u32> = hidden.map(|(daemon, _)| daemon).collect();
        assert_eq!(tree.len(), 1, "one daemon for each generation");
        tree.extend([self.server.pid(), self.server.worker_pid.expect("a worker")]);
        tree
    }

    async fn strike(mut self, victim: Victim) {
        let what = format!("{victim:?} killed while {:?}", self.phase);
        let old = self.old_tree();
        let bystander: Vec<u32> = daemons(&self.proxy, "b").into_iter().flat_map(<[u32; 2]>::from).collect();
        assert!(bystander.len() == 2 && bystander.iter().chain(&old).all(|pid| is_alive(*pid)), "{what}: all live");
        kill(self.pid_of(victim));
        self.check_call(victim, &what).await;
        match (victim, self.phase) {
            (Victim::Supervisor, _) => self.all_gone(&what).await,
            (_, Phase::Draining) => {
                assert_eq!(self.proxy.exit_code(GONE).await, Some(0), "{what}: the stop goes on");
                self.all_gone(&what).await;
            }
            (
                Victim::Gateway,
                Phase::Starting | Phase::Initializing | Phase::Listing | Phase::Idle | Phase::Calling,
            ) => {
                self.another_gateway(&what).await;
                let now = self.proxy.server("a").await;
                assert_eq!(
                    (now.server_pid, now.worker_pid),
                    (self.server.server_pid, self.server.worker_pid),
                    "{what}"
                );
                assert!(old.iter().all(|pid| is_alive(*pid)), "{what}: no server notices");
                self.end(&what).await;
            }
            (Victim::Gateway | Victim::Worker | Victim::Server, _) => {
                self.gone(&old, &what).await;
                self.proxy
                    .server_until("another generation", "a", |server| {
                        server.generation > self.server.generation && server.server_pid.is_some()
                    })
                    .await;
                self.another_gateway(&what).await;
                assert!(bystander.iter().all(|pid| is_alive(*pid)), "{what}: its neighbour keeps its processes");
                self.end(&what).await;
            }
        }
    }

    /// A call in flight gets one answer, unless its own connection dies with the process.
    async fn check_call(&mut self, victim: Victim, what: &str) {
        let Some(call) = self.call.take() else { return };
        let text = crate::support::within(what, GONE, call).await.expect("the call's task ends");
        let answers = text.matches("\"id\":77").count();
        match victim {
            Victim::Supervisor | Victim::Gateway => assert!(answers <= 1, "{what}: {text}"),
            Victim::Worker | Victim::Server => {
                assert_eq!(answers, 1, "{what}: {text}");
                assert!(text.contains("31003"), "{what}: {text}");
            }
        }
    }

    async fn another_gateway(&self, what: &str) {
        eventually(&format!("{what}: a gateway answers"), GONE, async || {
            let answer = self.proxy.http.get(self.proxy.url("/healthz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    async fn gone(&self, pids: &[u32], what: &str) {
        eventually(&format!("{what}: the old tree is gone"), GONE, async || {
            pids.iter().all(|pid| !is_alive(*pid)).then_some(())
        })
        .await;
    }

    /// Nothing of this proxy is left, of no generation.
    async fn all_gone(&self, what: &str) {
        eventually(&format!("{what}: nothing is left"), GONE, async || {
            (processes_in(self.proxy.dir()).is_empty() && self.hidden().is_empty()).then_some(())
        })
        .await;
    }

    fn hidden(&self) -> Vec<u32> {
        let all = ["a", "b"].iter().flat_map(|server| daemons(&self.proxy, server));
        all.map(|(daemon, _)| daemon).filter(|daemon| is_alive(*daemon)).collect()
    }

    async fn end(self, what: &str) {
        let pids: Vec<(u32, u32)> = ["a", "b"].iter().flat_map(|server| daemons(&self.proxy, server)).collect();
        self.proxy.cut().await;
        let alive = pids.into_iter().filter(|(daemon, _)| is_alive(*daemon));
        assert_eq!(alive.collect::<Vec<_>>(), Vec::<(u32, u32)>::new(), "{what}: daemons outlive the end");
    }
}

async fn each_victim(phase: Phase) {
    for victim in VICTIMS {
        Scene::reach(phase).await.strike(victim).await;
    }
}

#[tokio::test]
async fn whoever_is_killed_while_a_server_starts_nothing_is_left_of_it() {
    each_victim(Phase::Starting).await;
}

#[tokio::test]
async fn whoever_is_killed_while_a_server_initializes_nothing_is_left_of_it() {
    each_victim(Phase::Initializing).await;
}

#[tokio::test]
async fn whoever_is_killed_while_a_server_lists_its_tools_nothing_is_left_of_it() {
    each_victim(Phase::Listing).await;
}

#[tokio::test]
async fn whoever_is_killed_while_a_server_is_idle_nothing_is_left_of_it() {
    each_victim(Phase::Idle).await;
}

#[tokio::test]
async fn whoever_is_killed_during_a_call_it_gets_one_answer_and_nothing_is_left_of_the_server() {
    each_victim(Phase::Calling).await;
}

#[tokio::test]
async fn whoever_is_killed_while_all_is_drained_nothing_is_left() {
    each_victim(Phase::Draining).await;
}

#[tokio::test]
async fn whoever_is_killed_while_a_server_is_stopped_nothing_is_left_of_it() {
    each_victim(Phase::Stopping).await;
}
