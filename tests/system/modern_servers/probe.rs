//! What a server speaks is found out by asking it, and remembered.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::modern;
use crate::support::{DEADLINE, Proxy, eventually, fixture};

/// What a server read, as methods in their order.
fn read(record: &Path) -> Vec<String> {
    let text = fs::read_to_string(record).unwrap_or_default();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| Some(message["method"].as_str()?.to_owned())).collect()
}

fn count(record: &Path, method: &str) -> usize {
    read(record).iter().filter(|read| *read == method).count()
}

/// What status says of how a server is spoken to.
async fn era(proxy: &Proxy, server: &str) -> (String, String) {
    let about = proxy.server(server).await.server.expect("it said what it is");
    let text = |key: &str| about[key].as_str().expect("a text").to_owned();
    (text("era"), text("probe"))
}

/// Whether an era is kept for the next start.
fn verdict(proxy: &Proxy) -> Option<()> {
    let mut files = fs::read_dir(proxy.dir().join("state/catalogues")).ok()?.flatten();
    files.any(|file| file.path().extension().is_some_and(|e| e == "era")).then_some(())
}

/// A server with these flags, its record and what was found out, once it is ready.
async fn found_out(flags: &[&str]) -> (Proxy, std::path::PathBuf, String, String) {
    let record = tempfile::NamedTempFile::new().expect("a file").into_temp_path().keep().expect("kept");
    let flags = [&["--record", record.to_str().expect("text")], flags].concat();
    let proxy = Proxy::start(json!({"servers": [fixture("a", &flags)]})).await;
    let (era, probe) = era(&proxy, "a").await;
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "hello"})).await, "hello", "{era}: {probe}");
    let server = proxy.server("a").await;
    assert_eq!((server.generation, server.restarts), (1, 0), "no start was lost: {server:?}");
    (proxy, record, era, probe)
}

#[tokio::test]
async fn p01_p02_a_server_that_refuses_is_asked_the_old_way_in_the_same_process() {
    for flags in [&[][..], &["--probe", "invalid-params"]] {
        let (_proxy, record, era, probe) = found_out(flags).await;
        assert_eq!(era, "legacy", "p02 {probe}");
        assert_eq!(read(&record)[..3], ["server/discover", "initialize", "notifications/initialized"], "{flags:?}");
        fs::remove_file(record).expect("removed");
    }
}

#[tokio::test]
async fn p03_a_server_that_ends_at_the_question_costs_one_start_in_its_life() {
    let dir = tempfile::tempdir().expect("a directory");
    let record = dir.path().join("record");
    let flags = ["--probe", "exits", "--record", record.to_str().expect("text")];
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &flags)]})).await;
    let server = proxy.server("a").await;
    assert_eq!((server.generation, server.restarts), (1, 0), "no crash, no backoff: {server:?}");
    assert!(!proxy.log().contains("to: backoff"), "{}", proxy.log());
    assert_eq!(era(&proxy, "a").await.0, "legacy");
    assert_eq!((count(&record, "server/discover"), count(&record, "initialize")), (1, 1));
    eventually("the verdict is kept", DEADLINE, async || verdict(&proxy)).await;
    // Neither another start of the server nor of everything asks again.
    assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0));
    proxy.server_until("ready again", "a", |server| server.is_ready() && server.generation == 2).await;
    proxy.start_over().await;
    proxy.until_ready().await;
    assert_eq!((count(&record, "server/discover"), count(&record, "initialize")), (1, 3));
    assert_eq!(era(&proxy, "a").await, ("legacy".to_owned(), "as it did before".to_owned()));
}

#[tokio::test]
async fn p03_one_that_hangs_up_instead_of_ending_is_started_once_more_as_well() {
    // It closes its output at the question, and lives on.
    let script = "read line; case \"$line\" in *server/discover*) exec >&-; sleep 1000;; esac; \
        echo '{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{}}}'; \
        while read line; do :; done";
    let script = script.replace("\"id\":2", "\"id\":'\"$(echo \"$line\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')\"'");
    let proxy = Proxy::start(json!({"servers": [{"name": "a", "command": "sh", "args": ["-c", script]}]})).await;
    let server = proxy.server("a").await;
    assert_eq!((server.generation, server.restarts), (1, 0), "{server:?}");
}

#[tokio::test]
async fn p03_one_that_ends_behind_the_question_or_is_of_no_use_after_it_is_started_once_more_and_never_asked_again() {
    // As the Python SDK 1.0 to 1.8: silent, then gone at the next line; others refuse the question first.
    for probe in ["ends-later", "refuses-and-ends", "refuses-and-spoils", "refuses-and-ignores"] {
        let (mut proxy, record, era, because) = found_out(&["--probe", probe]).await;
        assert_eq!(era, "legacy", "{probe}: {because}");
        assert!(proxy.log().contains("server is started once more"), "{probe}: {}", proxy.log());
        assert!(!proxy.log().contains("to: backoff"), "{probe}: {}", proxy.log());
        assert_eq!(count(&record, "server/discover"), 1, "{probe}");
        proxy.start_over().await;
        proxy.until_ready().await;
        assert_eq!(count(&record, "server/discover"), 1, "{probe}");
        assert_eq!(self::era(&proxy, "a").await.1, "as it did before", "{probe}");
        fs::remove_file(record).expect("removed");
    }
}

#[tokio::test]
async fn p03_one_that_ignores_everything_after_the_question_is_started_once_more() {
    let (proxy, record, era, because) = found_out(&["--probe", "ignores"]).await;
    assert!(era == "legacy" && proxy.log().contains("it answered neither"), "{because}: {}", proxy.log());
    assert_eq!(count(&record, "initialize"), 2);
    fs::remove_file(record).expect("removed");
}

#[tokio::test]
async fn p04_a_silent_server_is_asked_the_old_way_behind_the_question_and_asked_again_at_its_next_start() {
    let (mut proxy, record, era, probe) = found_out(&["--probe", "silent"]).await;
    assert!(era == "legacy" && probe.contains("not answered"), "{era}: {probe}");
    assert_eq!(read(&record)[..2], ["server/discover", "initialize"]);
    proxy.start_over().await;
    proxy.until_ready().await;
    assert_eq!(count(&record, "server/discover"), 2, "silence proves nothing");
    fs::remove_file(record).expect("removed");
}

#[tokio::test]
async fn p05_a_slow_modern_server_is_found_out() {
    // What has not read the question is not silent.
    let (_proxy, record, era, probe) = found_out(&["--era", "modern", "--start-delay-ms", "7000"]).await;
    assert_eq!((era.as_str(), count(&record, "initialize")), ("modern", 0), "{probe}");
    fs::remove_file(record).expect("removed");
    let (_proxy, record, era, probe) = found_out(&["--era", "modern", "--discover-delay-ms", "7000"]).await;
    assert_eq!(era, "modern", "{probe}");
    assert_eq!(read(&record)[..2], ["server/discover", "initialize"]);
    fs::remove_file(record).expect("removed");
}

#[tokio::test]
async fn p06_a_slow_server_of_both_eras_is_spoken_to_in_2026_07_28_whatever_the_first_process_was_fixed_to() {
    let flags = ["--era", "dual", "--probe", "pins-legacy", "--start-delay-ms", "7000"];
    let (_proxy, record, era, probe) = found_out(&flags).await;
    assert_eq!((era.as_str(), count(&record, "initialize")), ("modern", 0), "{probe}");
    fs::remove_file(record).expect("removed");
    let flags = ["--era", "dual", "--probe", "pins-legacy", "--discover-blocks-ms", "7000"];
    let (mut proxy, record, era, probe) = found_out(&flags).await;
    assert!(era == "modern" && proxy.log().contains("server is started once more"), "{era}: {probe}");
    // It is as slow at its next start, and known.
    proxy.start_over().await;
    proxy.until_ready().await;
    assert_eq!((self::era(&proxy, "a").await.0.as_str(), count(&record, "initialize")), ("modern", 1));
    fs::remove_file(record).expect("removed");
}

#[tokio::test]
async fn p06_a_server_whose_input_something_else_reads_is_not_silent_while_it_works() {
    let record = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
    let script = "cat | { end=$(($(date +%s) + 8)); while [ $(date +%s) -lt $end ]; do :; done; exec \"$@\"; }";
    let mut entry =
        fixture("a", &["--era", "dual", "--probe", "pins-legacy", "--record", record.to_str().expect("text")]);
    let command = [json!("-c"), json!(script), json!("sh"), entry["command"].take()];
    entry["args"].as_array_mut().expect("a list").splice(0..0, command);
    entry["command"] = json!("sh");
    let proxy = Proxy::start(json!({"servers": [entry]})).await;
    assert_eq!((era(&proxy, "a").await.0.as_str(), count(&record, "initialize")), ("modern", 0));
}

#[tokio::test]
async fn p06_an_answer_that_comes_when_the_server_is_ready_counts_for_its_next_start() {
    let flags = ["--era", "dual", "--probe", "pins-legacy", "--discover-delay-ms", "8000"];
    let (mut proxy, record, era, probe) = found_out(&flags).await;
    assert_eq!(era, "legacy", "{probe}");
    eventually("the verdict is kept", DEADLINE, async || verdict(&proxy)).await;
    proxy.start_over().await;
    proxy.until_ready().await;
    assert_eq!((self::era(&proxy, "a").await.0.as_str(), count(&record, "initialize")), ("modern", 1));
    fs::remove_file(record).expect("removed");
}

#[tokio::test]
async fn a_complaint_about_the_question_is_not_logged_as_the_servers_words() {
    let (proxy, record, era, _) = found_out(&["--probe", "complains", "--stderr", "hello from the server"]).await;
    assert_eq!(era, "legacy");
    assert!(proxy.log().contains("hello from the server"), "{}", proxy.log());
    assert!(!proxy.log().contains("validation error"), "{}", proxy.log());
    fs::remove_file(record).expect("removed");
}

#[tokio::test]
async fn a_start_that_fails_at_the_question_names_era_and_shows_what_the_server_wrote() {
    let mut entry = fixture("a", &["--never-init", "--stderr", "thinking"]);
    (entry["startTimeout"], entry["restart"]) = (json!(2), json!({"initialDelay": 600.0}));
    let proxy = Proxy::launch(json!({"servers": [entry]})).await;
    let server = proxy.server_until("in backoff", "a", |server| server.state == "backoff").await;
    let error = server.last_error.expect("an error");
    assert!(error.contains("\"era\": \"legacy\"") && error.contains("thinking"), "{error}");
}

#[tokio::test]
async fn answers_whose_ids_came_back_as_texts_are_taken_and_so_are_lists_that_were_not_declared() {
    for era in ["legacy", "modern"] {
        for flag in ["--text-ids", "--declare-nothing"] {
            let (proxy, record, ..) = found_out(&["--era", era, flag]).await;
            let offers = proxy.server("a").await.server.expect("it said what it is");
            for list in ["tools", "prompts", "resources"] {
                assert!(offers[list].as_u64().is_some_and(|count| count > 0), "{era} {flag} {list}: {offers}");
            }
            fs::remove_file(record).expect("removed");
        }
    }
}

#[tokio::test]
async fn p07_a_refusal_that_names_our_version_is_followed_by_one_more_question() {
    let (_proxy, record, era, _) = found_out(&["--era", "modern", "--probe", "refuses-once"]).await;
    assert_eq!((era.as_str(), count(&record, "server/discover"), count(&record, "initialize")), ("modern", 2, 0));
    fs::remove_file(record).expect("removed");
    for probe in ["refuses-for-legacy", "refuses-oddly", "discovers-legacy"] {
        let (_proxy, record, era, _) = found_out(&["--era", "dual", "--probe", probe]).await;
        assert_eq!((era.as_str(), count(&record, "server/discover")), ("legacy", 1), "{probe}");
        fs::remove_file(record).expect("removed");
    }
}

#[tokio::test]
async fn p08_a_verdict_that_is_true_no_longer_is_corrected_in_the_same_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let era_file = dir.path().join("era");
    fs::write(&era_file, "legacy").expect("written");
    // The same command speaks another era after an upgrade.
    let script = "exec \"$0\" --name a --era $(cat \"$1\")";
    let args = json!(["-c", script, crate::support::binary("mcproxy-fixture"), era_file]);
    let mut proxy = Proxy::start(json!({"servers": [{"name": "a", "command": "sh", "args": args}]})).await;
    assert_eq!(era(&proxy, "a").await.0, "legacy");
    proxy.start_over().await;
    proxy.until_ready().await;
    assert_eq!(era(&proxy, "a").await, ("legacy".to_owned(), "as it did before".to_owned()), "it is remembered");
    fs::write(&era_file, "modern").expect("written");
    for probe in ["initialize was refused with -32022", "server/discover was answered"] {
        proxy.start_over().await;
        proxy.until_ready().await;
        let (era, because) = era(&proxy, "a").await;
        assert!(era == "modern" && because.starts_with(probe), "{era}: {because}");
        let server = proxy.server("a").await;
        assert_eq!((server.generation, server.restarts), (1, 0), "{server:?}");
    }
}

#[tokio::test]
async fn p09_text_on_stdout_does_not_disturb_the_question() {
    let (_proxy, record, era, _) = found_out(&["--era", "modern", "--garbage-at-start", "20"]).await;
    assert_eq!((era.as_str(), count(&record, "initialize")), ("modern", 0));
    fs::remove_file(record).expect("removed");
}

#[tokio::test]
async fn what_is_configured_is_not_asked_for() {
    let entry = |name: &str, flags: &[&str], era: &str| {
        let mut entry = fixture(name, flags);
        entry["era"] = era.into();
        entry["restart"] = json!({"maxAttempts": 1});
        entry
    };
    let servers = json!([
        entry("old", &["--era", "dual"], "legacy"),
        entry("new", &["--era", "dual"], "modern"),
        entry("never", &["--era", "legacy"], "modern"),
        entry("nor", &["--era", "modern"], "legacy"),
    ]);
    let proxy = Proxy::launch(json!({"servers": servers})).await;
    for (name, expected) in [("old", "legacy"), ("new", "modern")] {
        proxy.server_until("ready", name, |server| server.is_ready()).await;
        assert_eq!(
            era(&proxy, name).await,
            (
                expected.to_owned(),
                if name == "old" { "as configured" } else { "server/discover was answered" }.to_owned()
            )
        );
    }
    for (name, why) in [("never", "does not speak 2026-07-28"), ("nor", "`auto` would try 2026-07-28")] {
        let server = proxy.server_until("given up", name, |server| server.last_error.is_some()).await;
        assert!(server.last_error.as_ref().is_some_and(|error| error.contains(why)), "{server:?}");
    }
}

#[tokio::test]
async fn a_server_that_ends_whatever_it_is_asked_is_a_crash_like_any_other() {
    let mut entry = modern("a", &["--exit-before-init", "3"]);
    entry["restart"] = json!({"initialDelay": 600.0});
    let proxy = Proxy::launch(json!({"servers": [entry]})).await;
    let server = proxy.server_until("in backoff", "a", |server| server.state == "backoff").await;
    assert!(server.last_error.as_ref().is_some_and(|error| error.contains("code 3")), "{server:?}");
    assert!(server.retry_in_seconds.is_some_and(|wait| wait > 100.0), "{server:?}");
}

#[tokio::test]
async fn by_hand_the_question_and_what_came_of_it_are_shown() {
    let proxy = Proxy::start(json!({"servers": [modern("m", &[]), fixture("l", &[])]})).await;
    for (server, era, because) in
        [("m", "modern", "server/discover was answered"), ("l", "legacy", "refused with -32601")]
    {
        let mut command = tokio::process::Command::new(crate::support::binary("mcproxy-worker"));
        command.args(["--server", server, "--list", "--trace", "--config"]).arg(proxy.dir().join("mcp-servers.json"));
        let output =
            tokio::time::timeout(Duration::from_secs(30), command.output()).await.expect("in time").expect("it runs");
        let shown = String::from_utf8_lossy(&output.stderr);
        for part in ["\"method\":\"server/discover\"", &format!("{era} era"), because] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
