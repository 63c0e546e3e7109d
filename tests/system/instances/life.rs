use serde_json::json;

use super::{pid, recall, remember, start, start_with, under_way};
use crate::support::{DEADLINE, eventually, is_alive, kill};

#[tokio::test]
async fn the_end_of_the_worker_ends_every_instance_and_the_server_comes_back() {
    let proxy = start(json!({"restart": {"initialDelay": 0.1}})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    let pids = [pid(&one).await, pid(&two).await];
    let daemon: u32 = two.say("a__double_fork", json!({})).await.parse().expect("a pid");
    let (error, ()) = tokio::join!(one.refuse("a__hang", json!({})), async {
        under_way(&proxy, 1).await;
        kill(proxy.server("a").await.worker_pid.expect("a worker"));
    });
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(31003), &json!("worker_ended")), "{error}");
    eventually("nothing of it is left", DEADLINE, async || {
        [pids[0], pids[1], daemon].iter().all(|pid| !is_alive(*pid)).then_some(())
    })
    .await;
    proxy.server_until("ready again", "a", |server| server.is_ready() && server.generation == 2).await;
    assert_eq!(recall(&one).await, "<nothing>");
    assert_ne!(pid(&one).await, pid(&two).await);
}

#[tokio::test]
async fn the_end_of_the_gateway_leaves_every_session_its_instance() {
    let proxy = start(json!({})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    remember(&one, "of the first").await;
    remember(&two, "of the second").await;
    let pids = (pid(&one).await, pid(&two).await);
    let before = proxy.status().await.gateway_pid();
    kill(before);
    eventually("another gateway answers", DEADLINE, async || {
        let status = proxy.try_status().await?;
        let gateway = status.gateway.filter(|gateway| gateway.pid != before)?;
        proxy.http.get(proxy.url("/healthz")).send().await.ok().map(|_| gateway)
    })
    .await;
    assert_eq!((recall(&one).await.as_str(), recall(&two).await.as_str()), ("of the first", "of the second"));
    assert_eq!((pid(&one).await, pid(&two).await), pids);
    // And the next one knows whose they are when a session ends.
    one.delete().await;
    eventually("its instance ends", DEADLINE, async || (!is_alive(pids.0)).then_some(())).await;
    assert_eq!(recall(&two).await, "of the second");
}

#[tokio::test]
async fn stubborn_instances_are_all_ended_within_the_time_of_one() {
    let mut proxy = start_with(&["--ignore-term"], json!({})).await;
    let sessions = futures_util::future::join_all((0..4).map(|_| proxy.session())).await;
    let pids = futures_util::future::join_all(sessions.iter().map(pid)).await;
    let begun = std::time::Instant::now();
    proxy.terminate();
    assert_eq!(proxy.exit_code(DEADLINE).await, Some(0));
    // One after the other would be 4 × 5 s.
    assert!(begun.elapsed() < std::time::Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
}

#[tokio::test]
async fn a_server_whose_first_instance_does_not_start_is_down_like_any_other() {
    let mut entry = crate::support::fixture("a", &["--exit-before-init", "3", "--stderr", "no licence"]);
    entry["instances"] = json!("per-session");
    let proxy = crate::support::Proxy::launch(json!({"servers": [entry]})).await;
    let server = proxy.server_until("it waits for its next start", "a", |server| server.state == "backoff").await;
    assert!(server.last_error.as_deref().is_some_and(|error| error.contains("no licence")), "{server:?}");
    let error = proxy.session_at("/servers/a/mcp").await.refuse("pid", json!({})).await;
    assert_eq!(error["code"], 31002, "{error}");
}

#[tokio::test]
async fn an_instance_that_does_not_start_fails_its_own_sessions_calls() {
    // The first instance finds the file; it is gone when the second starts.
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("server");
    std::os::unix::fs::symlink(crate::support::binary("mcproxy-fixture"), &program).expect("a link");
    let mut entry = crate::support::fixture("a", &[]);
    entry["command"] = json!(program);
    entry["instances"] = json!("per-session");
    entry["restart"] = json!({"initialDelay": 0.1});
    let proxy = crate::support::Proxy::start(json!({"servers": [entry]})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    remember(&one, "kept").await;
    std::fs::remove_file(&program).expect("removed");
    let error = two.refuse("a__pid", json!({})).await;
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(31002), &json!("instance_failed")), "{error}");
    assert_eq!(recall(&one).await, "kept");
    std::os::unix::fs::symlink(crate::support::binary("mcproxy-fixture"), &program).expect("a link");
    assert_eq!(recall(&two).await, "<nothing>");
    assert_eq!(proxy.server("a").await.generation, 1);
}

#[tokio::test]
async fn people_see_the_instances_and_tell_their_log_lines_apart() {
    let proxy = start_with(&["--stderr", "hello there"], json!({})).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    pid(&one).await;
    pid(&two).await;
    proxy.logged(&["hello there", "instance: 1"]).await;
    proxy.logged(&["hello there", "instance: 2"]).await;
    assert!(proxy.cli(&["status"]).await.stdout.contains("ready (2/16 instances)"));
    let health = proxy.get("/health").await.json();
    assert_eq!(health["servers"][0]["instances"], json!({"running": 2, "max": 16}));
    let said = proxy.cli(&["call", "a__recall"]).await;
    assert_eq!((said.code, said.stdout.trim()), (Some(0), "<nothing>"), "{said:?}");
}

#[tokio::test]
async fn by_hand_a_server_has_one_instance() {
    let mut entry = crate::support::fixture("a", &[]);
    entry["instances"] = json!("per-session");
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("mcp-servers.json");
    std::fs::write(&config, json!({"servers": [entry]}).to_string()).expect("written");
    let mut command = tokio::process::Command::new(crate::support::binary("mcproxy-worker"));
    let command = command.args(["--server", "a", "--call", "recall", "--config"]).arg(&config);
    let finished = crate::support::run(command, "").await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("<nothing>"), "{finished:?}");
}

#[tokio::test]
async fn a_lazy_server_rests_when_no_session_has_an_instance() {
    let proxy = start(json!({"start": "lazy", "idleTimeout": 1})).await;
    // Started once to learn what it offers, and kept for the next start of everything.
    proxy.server_until("at rest", "a", |server| server.state == "idle" && server.worker_pid.is_none()).await;
    let (one, two) = (proxy.session().await, proxy.session().await);
    assert!(!one.tools().await.is_empty());
    remember(&one, "mine").await;
    // The other goes on calling, and the one that does not loses its instance only.
    eventually("one instance", DEADLINE, async || {
        assert_eq!(recall(&two).await, "<nothing>");
        (proxy.server("a").await.running() == 1).then_some(())
    })
    .await;
    assert_eq!(recall(&one).await, "<nothing>");
    proxy.server_until("at rest again", "a", |server| server.state == "idle" && server.worker_pid.is_none()).await;
    assert_eq!(recall(&one).await, "<nothing>");
}
