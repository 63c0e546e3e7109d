//! A kernel that enforces less than is wanted of it.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use crate::support::{Proxy, ServerView, binary, cannot, eventually, fixture};

/// What cannot be had without Landlock and without filters of system calls.
const MISSING: [&str; 5] = ["files", "own-files", "ports", "scopes", "system-calls"];

fn names(degraded: &Value) -> Vec<&str> {
    degraded.as_array().into_iter().flatten().filter_map(|missing| missing["protection"].as_str()).collect()
}

#[tokio::test]
async fn what_the_kernel_lacks_is_said_wherever_people_look_and_servers_run_all_the_same() {
    let config = json!({"hardening": "best-effort", "isolation": {"uids": "off"}, "servers": [fixture("a", &[])]});
    let proxy = Proxy::launch_at(&binary("mcproxy-old-kernel"), config).await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    assert!(session.say("a__echo", json!({"text": "hello"})).await == "hello");
    let status: Value = serde_json::from_str(&proxy.cli(&["status", "--json"]).await.stdout).expect("JSON");
    let health: Value = proxy.http.get(proxy.url("/health")).send().await.expect("sent").json().await.expect("JSON");
    let metrics = proxy.http.get(proxy.url("/metrics")).send().await.expect("sent").text().await.expect("text");
    let people = proxy.cli(&["status"]).await.stdout;
    assert_eq!(status["hardening"], "best-effort");
    for protection in MISSING {
        assert!(names(&status["degraded"]).contains(&protection), "{protection} in {status}");
        assert!(names(&health["degraded"]).contains(&protection), "{protection} in {health}");
        assert!(
            metrics.contains(&format!("mcproxy_degraded{{protection=\"{protection}\"}} 1")),
            "{protection} in {metrics}"
        );
        assert!(people.contains(protection), "{protection} in {people}");
        assert!(proxy.log().contains(&format!("protection: {protection}")), "{protection} in the log");
    }
    assert!(metrics.contains("mcproxy_degraded{protection=\"network\"} 0"), "{metrics}");
    let doctor = proxy.cli(&["doctor", "security"]).await;
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.stdout.contains("files: this kernel has no Landlock"), "{doctor:?}");
    assert!(doctor.stdout.contains("help: use Linux 6.12"), "{doctor:?}");
}

#[tokio::test]
async fn nothing_is_started_under_strict_where_a_protection_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mark = dir.path().join("started");
    let server = json!({"name": "a", "command": "touch", "args": [mark]});
    let config = json!({"isolation": {"uids": "off"}, "servers": [server]});
    std::fs::write(dir.path().join("mcp-servers.json"), config.to_string()).expect("written");
    let mut command = Command::new(binary("mcproxy-old-kernel"));
    command.args(["--hardening", "strict", "--port", "0", "--log", "--runtime-dir", "run", "--state-dir", "state"]);
    let mut child = command
        .current_dir(dir.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let code =
        eventually("the supervisor ends", Duration::from_secs(20), async || child.try_wait().ok().flatten()).await;
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut said).expect("text");
    assert_eq!(code.code(), Some(78), "{said}");
    for protection in MISSING {
        assert!(said.contains(&format!("  {protection}: ")), "{protection} in {said}");
    }
    assert!(said.contains("what helps: ") && said.contains("best-effort"), "{said}");
    assert!(!mark.exists(), "a server was started");
}

/// What a server like this would lack here of what its limits say, if that is all that this machine lacks.
async fn missing_bounds(limits: &Value) -> Option<Value> {
    let proxy = Proxy::start(config("best-effort", limits)).await;
    let status: Value = serde_json::from_str(&proxy.cli(&["status", "--json"]).await.stdout).expect("JSON");
    match names(&status["degraded"]).as_slice() {
        ["cgroups"] => Some(status["degraded"][0].clone()),
        [] => {
            cannot("the controllers of cgroups are delegated here");
            None
        }
        _ => {
            cannot("this machine lacks other protections as well");
            None
        }
    }
}

fn config(hardening: &str, limits: &Value) -> Value {
    let mut server = fixture("a", &[]);
    server["limits"] = limits.clone();
    json!({"hardening": hardening, "isolation": {"uids": "off"}, "servers": [server, fixture("b", &[])]})
}

#[tokio::test]
async fn controllers_of_cgroups_are_missing_only_where_limits_need_them() {
    let limits = json!({"cpu": 0.5, "maxMemory": 1 << 30});
    let Some(missing) = missing_bounds(&limits).await else { return };
    let reason = missing["reason"].as_str().expect("a reason");
    assert!(reason.contains("`limits.maxMemory` of a, `limits.cpu` of a"), "{reason}");
    assert!(missing["help"].as_str().is_some_and(|help| help.contains("without these limits")), "{missing}");
    // Under `strict` a machine without them will do, as long as nobody wants them.
    let proxy = Proxy::start(config("strict", &json!({"maxFiles": 1000}))).await;
    let status: Value = serde_json::from_str(&proxy.cli(&["status", "--json"]).await.stdout).expect("JSON");
    assert_eq!(status["degraded"], json!([]));
    assert!(proxy.session().await.say("a__echo", json!({"text": "hello"})).await == "hello");
    // An entry that wants them later is not started with less.
    proxy.write_config(&config("strict", &limits).to_string());
    let says_why = |server: &ServerView| {
        let change = server.change.as_ref().map(Value::to_string).unwrap_or_default();
        change.contains("`hardening: strict`") && change.contains("`limits.cpu` of a")
    };
    let kept = proxy.server_until("not changed, which is said", "a", says_why).await;
    assert_eq!((kept.is_ready(), kept.generation), (true, 1), "what it was before stays in force");
}
