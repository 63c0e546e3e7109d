//! What servers offered is known before they are ready again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Proxy, Session, binary, eventually, fixture, kill};

/// Longer than a list takes on any machine.
const SLOW: &[&str] = &["--start-delay-ms", "6000"];

/// The files in which catalogues are kept.
fn files(proxy: &Proxy) -> Vec<PathBuf> {
    let entries = fs::read_dir(proxy.dir().join("state/catalogues")).expect("the directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn is_of(file: &Path, server: &str) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{server}.")))
}

async fn until_kept(proxy: &Proxy, server: &str) -> PathBuf {
    eventually("what it offers is kept", DEADLINE, async || {
        files(proxy).into_iter().find(|file| is_of(file, server) && file.extension().is_some_and(|e| e == "json"))
    })
    .await
}

async fn lists(session: &Session) -> Vec<Value> {
    vec![
        session.list("tools/list", "tools").await,
        session.list("prompts/list", "prompts").await,
        session.list("resources/list", "resources").await,
        session.list("resources/templates/list", "resourceTemplates").await,
    ]
}

/// A server that runs as long as there is no file `broken` beside it.
fn breakable(name: &str, delay: &str) -> Value {
    let script = format!("test ! -e broken || exit 7; exec \"$0\" --name {name} --start-delay-ms {delay}");
    json!({"name": name, "command": "sh", "args": ["-c", script, binary("mcproxy-fixture")], "cwd": "."})
}

#[tokio::test]
async fn lists_are_complete_at_once_after_a_restart_of_everything() {
    let servers: Vec<Value> = ["a", "b", "c"].iter().map(|name| fixture(name, SLOW)).collect();
    let mut proxy = Proxy::start(json!({"servers": servers})).await;
    let before = lists(&proxy.session().await).await;
    for name in ["a", "b", "c"] {
        assert!(!proxy.server(name).await.stale);
        until_kept(&proxy, name).await;
    }
    proxy.start_over().await;
    let session = proxy.session().await;
    let after = lists(&session).await;
    for server in &proxy.status().await.servers {
        assert_eq!((server.state.as_str(), server.stale), ("starting", true), "the lists came before the servers");
    }
    assert_eq!(after, before);
    // A call waits for its server as ever.
    assert_eq!(session.say("b__echo", json!({"text": "in time"})).await, "in time");
    proxy.until_ready().await;
    let status = proxy.status().await;
    assert!(status.servers.iter().all(|server| !server.stale), "{status:?}");
}

#[tokio::test]
async fn a_difference_to_what_was_offered_last_is_announced_and_kept() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", SLOW)]})).await;
    proxy.session().await.say("a__add_tool", json!({"name": "extra"})).await;
    let file = until_kept(&proxy, "a").await;
    let holds = |text: &str| fs::read_to_string(&file).is_ok_and(|kept| kept.contains(text));
    eventually("the new tool is kept", DEADLINE, async || holds("\"extra\"").then_some(())).await;
    proxy.start_over().await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    assert!(session.tools().await.contains(&"a__extra".to_owned()));
    // The new server knows nothing of that tool.
    stream.notification("notifications/tools/list_changed").await;
    assert!(!session.tools().await.contains(&"a__extra".to_owned()));
    eventually("that is kept, too", DEADLINE, async || (!holds("\"extra\"")).then_some(())).await;
}

#[tokio::test]
async fn a_catalogue_that_is_the_same_again_is_not_announced() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", SLOW)]})).await;
    until_kept(&proxy, "a").await;
    proxy.start_over().await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    proxy.until_ready().await;
    let news = stream.rest(Duration::from_secs(1)).await;
    assert!(news.iter().all(|message| message["method"] != "notifications/tools/list_changed"), "{news:?}");
}

#[tokio::test]
async fn a_damaged_or_endless_file_is_as_good_as_none() {
    let names = ["cut", "binary", "other", "endless", "folder"];
    let servers: Vec<Value> = names.iter().map(|name| fixture(name, &["--start-delay-ms", "500"])).collect();
    let mut proxy = Proxy::start(json!({"servers": servers})).await;
    for name in names {
        let file = until_kept(&proxy, name).await;
        let whole = fs::read(&file).expect("the file");
        match name {
            "cut" => fs::write(&file, &whole[..whole.len() / 2]).expect("written"),
            "binary" => fs::write(&file, [0xff, 0, 0x7b]).expect("written"),
            "other" => fs::write(&file, "[1, 2]").expect("written"),
            _ => {
                fs::remove_file(&file).expect("removed");
                match name {
                    "endless" => std::os::unix::fs::symlink("/dev/zero", &file).expect("linked"),
                    _ => fs::create_dir(&file).expect("created"),
                }
            }
        }
    }
    proxy.start_over().await;
    // The list waits for them as for servers that never ran.
    let tools = proxy.session().await.tools().await;
    for name in names {
        assert!(tools.contains(&format!("{name}__echo")), "{name}: {tools:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_logged_and_served_all_the_same() {
    let mut proxy = Proxy::start(json!({"servers": [fixture("a", &[])]})).await;
    until_kept(&proxy, "a").await;
    // As with a disk that is full: the directory is there no more.
    fs::remove_dir_all(proxy.dir().join("state/catalogues")).expect("removed");
    let session = proxy.session().await;
    session.say("a__add_tool", json!({"name": "extra"})).await;
    proxy.logged(&["what the server offers cannot be kept", "WARN"]).await;
    assert!(session.tools().await.contains(&"a__extra".to_owned()));
    assert_eq!(proxy.server("a").await.restarts, 0);
    // And a directory that cannot be one.
    proxy.terminate();
    assert_eq!(proxy.exit_code(Duration::from_secs(25)).await, Some(0));
    fs::remove_dir_all(proxy.dir().join("state")).expect("removed");
    fs::write(proxy.dir().join("state"), "a file").expect("written");
    proxy.start_again().await;
    proxy.logged(&["what servers offer is not kept for the next start", "WARN"]).await;
    proxy.until_ready().await;
}

#[tokio::test]
async fn the_file_of_a_server_that_is_gone_is_removed_and_that_of_another_command_is_not_used() {
    let config = |servers: Value| json!({"servers": servers});
    let mut proxy = Proxy::start(config(json!([fixture("a", &[]), fixture("b", &[])]))).await;
    let (a, b) = (until_kept(&proxy, "a").await, until_kept(&proxy, "b").await);
    proxy.write_config(&config(json!([fixture("a", &["--tools", "1"])])).to_string());
    eventually("both files are gone", DEADLINE, async || (!a.exists() && !b.exists()).then_some(())).await;
    let new = eventually("the new one is kept", DEADLINE, async || {
        let whole = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "json");
        files(&proxy).into_iter().find(|file| is_of(file, "a") && *file != a && whole(file))
    })
    .await;
    fs::write(proxy.dir().join("state/catalogues/stray.json"), "{}").expect("written");
    proxy.start_over().await;
    let mut left = files(&proxy);
    left.sort_unstable();
    assert_eq!(left, [new.with_extension("era"), new]);
}

#[tokio::test]
async fn tools_of_a_server_that_fails_to_come_back_are_not_listed() {
    let mut proxy = Proxy::start(json!({"servers": [breakable("a", "0"), fixture("b", &[])]})).await;
    until_kept(&proxy, "a").await;
    fs::write(proxy.dir().join("broken"), "").expect("written");
    proxy.start_over().await;
    let server = proxy.server_until("has failed", "a", |server| server.state == "backoff").await;
    assert!(!server.stale, "nothing is listed: {server:?}");
    let session = proxy.session().await;
    assert!(!session.tools().await.iter().any(|tool| tool.starts_with("a__")));
    fs::remove_file(proxy.dir().join("broken")).expect("removed");
    eventually("it is back", DEADLINE, async || session.tools().await.contains(&"a__echo".to_owned()).then_some(()))
        .await;
}

#[tokio::test]
async fn a_new_gateway_lists_servers_that_are_starting() {
    let proxy = Proxy::start(json!({"servers": [fixture("a", SLOW)]})).await;
    until_kept(&proxy, "a").await;
    assert_eq!(proxy.cli(&["restart", "a"]).await.code, Some(0));
    proxy.server_until("starting", "a", |server| server.state == "starting").await;
    let gateway = proxy.status().await.gateway_pid();
    kill(gateway);
    eventually("another gateway answers", DEADLINE, async || {
        let other = proxy.try_status().await?.gateway.is_some_and(|gateway| gateway.restarts > 0);
        (other && proxy.http.get(proxy.url("/healthz")).send().await.is_ok()).then_some(())
    })
    .await;
    let begun = Instant::now();
    let tools = proxy.session().await.tools().await;
    assert!(tools.contains(&"a__echo".to_owned()), "{tools:?}");
    let server = proxy.server("a").await;
    assert!(server.stale || begun.elapsed() > Duration::from_secs(3), "{server:?}");
}

#[tokio::test]
async fn a_kept_catalogue_is_for_nobody_else_to_read_and_names_no_argument() {
    use std::os::unix::fs::MetadataExt as _;
    let proxy = Proxy::start(json!({"servers": [fixture("a", &["--stderr", "hunter2"])]})).await;
    let file = until_kept(&proxy, "a").await;
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    // Users of servers may pass it on the way to a home whose name they know.
    assert_eq!(mode(&proxy.dir().join("state")) & !0o011, 0o700);
    assert!(!file.display().to_string().contains("hunter2"));
    assert!(!fs::read_to_string(&file).expect("text").contains("hunter2"));
}
