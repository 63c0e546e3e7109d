//! A client whose machine is gone: nothing says goodbye, nothing refuses, packets are just not answered any more.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use serde_json::json;

use crate::support::{DEADLINE, Events, LegacySession, Modern, Proxy, Session, cannot, eventually, fixture};

/// Set where this test runs in a network of its own.
const INSIDE: &str = "MCPROXY_TEST_OWN_NETWORK";
const NAME: &str = "faults::vanished::a_client_that_vanishes_is_noticed_and_what_it_held_is_given_back";
/// TEST-NET-1 (RFC 5737): the client's end of the cable and the proxy's.
const CLIENT: &str = "192.0.2.1";
const PROXY: &str = "192.0.2.2";
/// A comment every 15 s, the stall timeout as configured below, and what a busy machine adds.
const NOTICED: Duration = Duration::from_secs(60);

/// A network at the other end of a cable; it is gone when this ends.
struct Beyond(Child);

impl Beyond {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo; exec sleep 600"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("another network");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it is there");
        let beyond = Self(child);
        ip(&mut Command::new("ip"), "link set lo up");
        ip(&mut Command::new("ip"), &format!("link add near type veth peer name far netns {}", beyond.0.id()));
        ip(&mut Command::new("ip"), &format!("addr add {CLIENT}/24 dev near"));
        ip(&mut Command::new("ip"), "link set near up");
        for args in ["link set lo up", &format!("addr add {PROXY}/24 dev far"), "link set far up"] {
            ip(beyond.enter().arg("ip"), args);
        }
        beyond
    }

    /// A command that runs there; what it runs is still to be named.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id()));
        command
    }

    /// Connections there are to anybody, in whichever state, by the kernel's own table.
    fn connections(&self) -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", self.0.id())).expect("a table");
        let listening = |line: &&str| line.split_whitespace().nth(3) == Some("0A");
        table.lines().skip(1).filter(|line| !listening(line)).map(str::to_owned).collect()
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(command: &mut Command, args: &str) {
    let output = command.args(args.split(' ')).output().expect("`ip` runs");
    assert!(output.status.success(), "ip {args}: {output:?}");
}

/// Runs this test once more, where it has a network of its own to take down.
fn in_a_network_of_its_own() {
    let probe = Command::new("unshare").args("-n ip link add near type veth peer name far".split(' ')).output();
    let entered = Command::new("nsenter").arg("--version").output();
    if !(probe.is_ok_and(|output| output.status.success()) && entered.is_ok()) {
        return cannot("no network can be made to be taken down");
    }
    let mut again = Command::new("unshare");
    again.arg("-n").arg(env::current_exe().expect("this program")).args(["--exact", NAME, "--nocapture"]);
    let output = again.env(INSIDE, "1").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let why = || format!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{}", why());
}

#[tokio::test]
async fn a_client_that_vanishes_is_noticed_and_what_it_held_is_given_back() {
    if env::var_os(INSIDE).is_none() {
        return in_a_network_of_its_own();
    }
    let beyond = Beyond::new();
    let entry = |name: &str, era: &str| fixture(name, &["--era", era, "--record", &format!("out/{name}.record")]);
    let config = json!({
        "servers": [entry("old", "legacy"), entry("new", "modern")],
        "defaults": {"timeout": 600, "maxTimeout": 600},
        "auth": "none",
        "limits": {"stallTimeout": 3},
    });
    let proxy = Proxy::launch_with(config, |command| {
        let mut there = beyond.enter();
        there.arg(command.get_program()).args(command.get_args()).args(["--host", PROXY]);
        let out = fs::File::create(command.get_current_dir().expect("a directory").join("out/log.txt")).expect("a log");
        there.stdout(out.try_clone().expect("the log")).stderr(out).stdin(Stdio::null());
        there.current_dir(command.get_current_dir().expect("a directory"));
        *command = there;
    })
    .await;
    proxy.until_ready().await;

    // A connection that serves no request is given up later, as any that is idle: there is none here when the cable is cut.
    eventually("those who waited have left", DEADLINE, async || beyond.connections().is_empty().then_some(())).await;
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("an HTTP client");
    let sse = LegacySession::open(&http, &proxy.base, "/sse").await.0;
    let session = Session::open(&http, &proxy.url("/mcp")).await;
    let listening = Events::open(session.http(Method::GET).header("accept", "text/event-stream")).await;
    let modern = Modern::new(&http, &proxy.url("/mcp"));
    let listener = modern.stream("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    let slow = |server: &str| json!({"name": format!("{server}__slow"), "arguments": {"ms": 600_000}});
    for server in ["old", "new"] {
        sse.post(&json!({"jsonrpc": "2.0", "id": server, "method": "tools/call", "params": slow(server)})).await;
    }
    let calls = ["old", "new"].map(|server| {
        let call = modern.post(&modern.request("tools/call", slow(server)));
        tokio::spawn(async move { call.send().await.is_ok() })
    });
    let under_way = |server: &'static str, expected: usize| {
        let record = proxy.dir().join(format!("out/{server}.record"));
        async move || {
            let text = fs::read_to_string(&record).unwrap_or_default();
            (text.matches("\"tools/call\"").count() == expected).then_some(())
        }
    };
    eventually("calls reach the one", DEADLINE, under_way("old", 2)).await;
    eventually("calls reach the other", DEADLINE, under_way("new", 2)).await;
    assert!(beyond.connections().len() >= 5, "{:?}", beyond.connections());

    ip(&mut Command::new("ip"), "link set near down");
    eventually("no connection is left", NOTICED, async || beyond.connections().is_empty().then_some(())).await;
    for server in ["old", "new"] {
        eventually("its server is told of each call that nobody waits for", NOTICED, async || {
            let text = fs::read_to_string(proxy.dir().join(format!("out/{server}.record"))).unwrap_or_default();
            (text.matches("notifications/cancelled").count() == 2).then_some(())
        })
        .await;
    }
    calls.iter().for_each(tokio::task::JoinHandle::abort);

    ip(&mut Command::new("ip"), "link set near up");
    let back = Session::open(&http, &proxy.url("/mcp")).await;
    assert_eq!(back.say("old__echo", json!({"text": "here again"})).await, "here again");
    assert_eq!(back.say("new__echo", json!({"text": "here again"})).await, "here again");
    drop((sse, listening, listener));
}
