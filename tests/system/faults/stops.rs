use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::support::{Proxy, eventually, fixture, is_alive, signal, supervisor};

/// Closing stdin, 2 s, SIGTERM, 3 s, SIGKILL, and a little.
const LADDER: Duration = Duration::from_secs(10);

async fn left(proxy: &Proxy) -> Vec<(u32, String)> {
    eventually("no process is left", Duration::from_secs(2), async || {
        proxy.processes().is_empty().then_some(Vec::new())
    })
    .await
}

async fn until_a_call_is_under_way(proxy: &Proxy) {
    eventually("the call is under way", Duration::from_secs(5), async || {
        proxy.get("/metrics").await.body.contains("mcproxy_calls_in_flight{server=\"a\"} 1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn ctrl_c_stops_everything_and_leaves_no_process() {
    let mut proxy = Proxy::of(&["a", "b"]).await;
    let begun = Instant::now();
    signal(proxy.pid(), Signal::INT);
    assert_eq!(proxy.exit_code(LADDER).await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "well-behaved servers stop at once: {:?}", begun.elapsed());
    left(&proxy).await;
}

#[tokio::test]
async fn ctrl_c_in_a_terminal_reaches_the_whole_group_and_still_lets_calls_finish() {
    let config = json!({"servers": [fixture("a", &[])]});
    let mut proxy = Proxy::launch_with(config, |command| {
        command.process_group(0);
    })
    .await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    let call = session.say("a__slow", json!({"ms": 1000}));
    let stop = async {
        until_a_call_is_under_way(&proxy).await;
        let group = Pid::from_raw(i32::try_from(proxy.pid()).expect("a pid")).expect("not 0");
        kill_process_group(group, Signal::INT).expect("the group is there");
    };
    let (said, ()) = tokio::join!(call, stop);
    assert_eq!(said, "slept 1000 ms");
    assert_eq!(proxy.exit_code(LADDER).await, Some(0));
    left(&proxy).await;
}

#[tokio::test]
async fn mcproxy_stop_stops_everything() {
    let mut proxy = Proxy::of(&["a"]).await;
    let finished = proxy.cli(&["stop"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(proxy.exit_code(LADDER).await, Some(0));
    left(&proxy).await;
}

#[tokio::test]
async fn p10_a_server_that_ignores_every_request_to_stop_and_left_daemons_is_gone_after_the_stop() {
    let servers: Vec<Value> = ["a", "b", "c", "d", "e"].iter().map(|name| fixture(name, &["--ignore-term"])).collect();
    let mut proxy = Proxy::start(json!({"servers": servers})).await;
    let session = proxy.session().await;
    let daemon: u32 = session.say("a__double_fork", json!({})).await.parse().expect("a pid");
    let child: u32 = session.say("b__child", json!({})).await.parse().expect("a pid");
    let hidden: u32 = session.say("c__hidden_daemon", json!({})).await.parse().expect("a pid");
    let begun = Instant::now();
    proxy.terminate();
    assert_eq!(proxy.exit_code(Duration::from_secs(15)).await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "all are stopped side by side: {:?}", begun.elapsed());
    assert!(!is_alive(daemon) && !is_alive(child) && !is_alive(hidden));
    left(&proxy).await;
}

#[tokio::test]
async fn calls_in_flight_are_finished_before_the_end() {
    let mut proxy = Proxy::of(&["a"]).await;
    let session = proxy.session().await;
    let call = session.say("a__slow", json!({"ms": 1500}));
    let stop = async {
        until_a_call_is_under_way(&proxy).await;
        proxy.terminate();
    };
    let (said, ()) = tokio::join!(call, stop);
    assert_eq!(said, "slept 1500 ms");
    assert_eq!(proxy.exit_code(LADDER).await, Some(0));
}

#[tokio::test]
async fn an_sse_client_gets_its_answer_before_the_end_too() {
    let mut proxy = Proxy::of(&["a"]).await;
    let mut legacy = proxy.legacy_session().await;
    let params = json!({"name": "a__slow", "arguments": {"ms": 1000}});
    legacy.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})).await;
    until_a_call_is_under_way(&proxy).await;
    proxy.terminate();
    let answer = legacy.events.find("the answer", |message| message["id"] == 1).await;
    assert_eq!(answer["result"]["content"][0]["text"], "slept 1000 ms");
    assert_eq!(proxy.exit_code(LADDER).await, Some(0));
}

#[tokio::test]
async fn a_call_in_flight_has_the_whole_grace_to_finish() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "shutdownGrace": 8.0})).await;
    let session = proxy.session().await;
    // More than half of the grace, which is far from what the servers' own end may take.
    let call = session.respond("tools/call", json!({"name": "a__slow", "arguments": {"ms": 6000}}));
    let stop = async {
        until_a_call_is_under_way(&proxy).await;
        proxy.terminate();
    };
    let (response, ()) = tokio::join!(call, stop);
    assert_eq!(response["result"]["content"][0]["text"], "slept 6000 ms", "{response}");
    assert_eq!(proxy.exit_code(LADDER).await, Some(0));
}

#[tokio::test]
async fn a_call_that_outlives_the_grace_gets_an_error() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &[])], "shutdownGrace": 1.0})).await;
    let session = proxy.session().await;
    let call = session.respond("tools/call", json!({"name": "a__slow", "arguments": {"ms": 600_000}}));
    let stop = async {
        until_a_call_is_under_way(&proxy).await;
        proxy.terminate();
    };
    let (response, ()) = tokio::join!(call, stop);
    assert!(response["error"]["code"].is_i64(), "{response}");
    assert_eq!(proxy.exit_code(LADDER).await, Some(0));
}

/// Asks on one kept connection again and again. Whether an answer said that it was the last one; `None` if this test itself was held
/// up between two requests for so long that the connection may have been closed in order.
fn asked_until_told_to_leave(address: SocketAddr, begun: &mpsc::Sender<()>) -> Option<bool> {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let mut answers = BufReader::new(stream.try_clone().expect("cloned"));
    loop {
        let idle_since = Instant::now();
        let sent = write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let (mut length, mut lines, mut last) = (0, 0, false);
        let read = sent.and_then(|()| {
            for line in answers.by_ref().lines() {
                let line = line?.to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                lines += 1;
                last |= line == "connection: close";
                length = line.strip_prefix("content-length: ").map_or(Ok(length), str::parse).expect("a number");
            }
            answers.read_exact(&mut vec![0; length])
        });
        if read.is_err() || lines == 0 {
            return (idle_since.elapsed() < Duration::from_millis(150)).then_some(false);
        }
        if last {
            return Some(answers.read(&mut [0]).is_ok_and(|more| more == 0));
        }
        let _ = begun.send(());
    }
}

#[tokio::test]
async fn clients_that_ask_often_learn_from_an_answer_that_their_connection_ends() {
    eventually("a stop that this machine did not hold up", Duration::from_secs(60), async || {
        let mut proxy = Proxy::of(&["a"]).await;
        let address = proxy.base.strip_prefix("http://").expect("a URL").parse().expect("an address");
        let (begun, has_begun) = mpsc::channel();
        let client = std::thread::spawn(move || asked_until_told_to_leave(address, &begun));
        tokio::task::spawn_blocking(move || has_begun.recv_timeout(Duration::from_secs(10)).expect("it asks"))
            .await
            .ok()?;
        proxy.terminate();
        assert_eq!(proxy.exit_code(LADDER).await, Some(0));
        let told = client.join().expect("no panic")?;
        assert!(told, "the connection was closed under a request");
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &["--ignore-term"])], "shutdownGrace": 60.0})).await;
    let session = proxy.session().await;
    let calling = async {
        let body =
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__slow","arguments":{"ms":600000}}}"#;
        let request = session.http(reqwest::Method::POST).header("content-type", "application/json");
        // Cut off by the stop, whenever that is.
        let _ = request.header("accept", "*/*").body(body).send().await;
        std::future::pending::<()>().await;
    };
    let stopping = async {
        until_a_call_is_under_way(&proxy).await;
        proxy.terminate();
        proxy.logged(&["drain"]).await;
    };
    tokio::select! {
        () = calling => unreachable!("it waits for ever"),
        () = stopping => (),
    }
    let begun = Instant::now();
    proxy.terminate();
    let code = proxy.exit_code(LADDER).await;
    assert_eq!(code, Some(143), "128 + SIGTERM");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    left(&proxy).await;
}

#[tokio::test]
async fn a_second_supervisor_is_refused_and_touches_nothing() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    let second = supervisor(proxy.dir()).output().expect("it runs");
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    let said = format!("{}{}", String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&second.stderr));
    assert!(said.contains(&proxy.pid().to_string()), "it names the first: {said}");
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.restarts), (before.server_pid, 0));
}

#[tokio::test]
async fn a_wrong_configuration_or_command_line_or_port_has_its_own_exit_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("mcp-servers.json");
    let run = |extra: &[&str]| {
        let output = supervisor(dir.path()).args(extra).output().expect("it runs");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    };
    let wrong = "{\n  \"servers\": [\n    {\"name\": \"a\", \"comand\": \"x\"},\n    {\"name\": \"b__c\", \"command\": \"x\"}\n  ]\n}\n";
    fs::write(&config, wrong).expect("written");
    let (code, said) = run(&[]);
    assert_eq!(code, Some(78), "{said}");
    for part in ["comand", "command", "`__`", "3:", "4:"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    fs::remove_file(&config).expect("removed");
    assert_eq!(run(&[]).0, Some(78), "no file");
    assert_eq!(run(&["--prot", "1"]).0, Some(64));
    fs::write(&config, "{\"servers\": []}").expect("written");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = std::process::Command::new(crate::support::binary("mcproxy-supervisor"))
        .args(["--port", &port, "--log", "--runtime-dir", "run", "--state-dir", "state"])
        .current_dir(dir.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(71), "{output:?}");
    assert!(format!("{output:?}").contains("in use"), "{output:?}");
}

#[tokio::test]
async fn a_suspended_server_is_gone_after_the_stop() {
    let mut proxy = Proxy::of(&["a"]).await;
    let server = proxy.server("a").await.pid();
    signal(server, Signal::STOP);
    proxy.terminate();
    assert_eq!(proxy.exit_code(Duration::from_secs(15)).await, Some(0));
    assert!(!is_alive(server));
    left(&proxy).await;
}
