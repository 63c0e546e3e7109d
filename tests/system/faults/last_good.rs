//! A start that cannot use the file: what was in force last is used, and that is said everywhere.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio, time::Duration};

use serde_json::json;

use crate::support::{DEADLINE, Proxy, binary, eventually, fixture, supervisor};

const COPY: &str = "state/config/last-good.json";
const WRONG: &str = r#"{"servers": [], "listen": "nowhere"}"#;
/// What its mistake is called by.
const MISTAKE: &str = "/listen";
const END: Duration = Duration::from_secs(20);

/// Ends a proxy in order, whose configuration has then been kept.
async fn ended(mut proxy: Proxy) -> Proxy {
    proxy.terminate();
    assert_eq!(proxy.exit_code(END).await, Some(0));
    proxy
}

#[tokio::test]
async fn a_start_that_cannot_use_the_file_uses_what_was_in_force_last_and_says_so_everywhere() {
    let mut proxy = ended(Proxy::of(&["a", "b"]).await).await;
    let good = fs::read_to_string(proxy.dir().join("mcp-servers.json")).expect("the file");
    let mode = fs::metadata(proxy.dir().join(COPY)).expect("the copy").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");

    proxy.write_config(WRONG);
    proxy.start_again().await;
    proxy.until_ready().await;
    assert_eq!(proxy.session().await.say("a__echo", json!({"text": "served"})).await, "served");
    let status = proxy.status().await;
    assert_eq!(status.config_source, "last-good");
    assert!(status.config_error.as_deref().is_some_and(|error| error.contains(MISTAKE)), "{status:?}");
    proxy.logged(&["configuration rejected, what was in force before the start is used", MISTAKE]).await;
    let said = proxy.cli(&["status"]).await.stdout;
    assert!(said.contains("DEGRADED") && said.contains(MISTAKE), "{said}");
    let health = proxy.cli(&["health", "--ready"]).await;
    assert!(health.code == Some(0) && health.stdout.contains("DEGRADED"), "{health:?}");
    assert!(proxy.get("/health").await.body.contains(r#""configSource":"last-good""#));
    let metrics = proxy.get("/metrics").await.body;
    for line in ["mcproxy_config_last_good 1", "mcproxy_config_error 1"] {
        assert!(metrics.lines().any(|said| said == line), "{line}: {metrics}");
    }

    let reload = proxy.cli(&["reload"]).await;
    assert_eq!(reload.code, Some(1), "{reload:?}");
    assert_eq!(proxy.status().await.config_source, "last-good");
    let pid = proxy.server("a").await.server_pid;
    proxy.write_config(&good);
    eventually("the file is in force", DEADLINE, async || {
        let status = proxy.status().await;
        (status.config_source == "file" && status.config_error.is_none()).then_some(())
    })
    .await;
    assert_eq!(proxy.server("a").await.server_pid, pid, "nothing changed for it");
}

#[tokio::test]
async fn a_start_without_a_copy_or_told_to_use_none_ends_with_the_mistakes_of_the_file() {
    let proxy = ended(Proxy::of(&["a"]).await).await;
    proxy.write_config(WRONG);
    let refused = |config: &str, flags: &[&str]| {
        let mut command = std::process::Command::new(binary("mcproxy-supervisor"));
        command.args(["--config", config, "--runtime-dir", "run", "--state-dir", "state"]).args(flags);
        command.current_dir(proxy.dir()).stdin(Stdio::null());
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{said}");
        said
    };
    fs::write(proxy.dir().join("other.json"), WRONG).expect("written");
    let of_another = refused("other.json", &[]);
    assert!(of_another.contains("other.json") && proxy.dir().join(COPY).exists(), "{of_another}");
    let told = refused("mcp-servers.json", &["--no-last-good"]);
    assert!(told.contains(MISTAKE) && !proxy.dir().join(COPY).exists(), "{told}");
    refused("mcp-servers.json", &[]);
    fs::remove_dir_all(proxy.dir().join("state")).expect("removed");
    refused("mcp-servers.json", &[]);
    assert!(!proxy.dir().join("state").exists(), "for a file that cannot be used nothing is made");
}

#[tokio::test]
async fn a_mistake_in_one_entry_costs_that_server_nothing_at_the_next_start() {
    let config = json!({"servers": [fixture("a", &[]), fixture("b", &[])]});
    let mut proxy = ended(Proxy::start(config.clone()).await).await;
    let mut mistaken = config;
    mistaken["servers"][0]["timeout"] = json!("soon");
    proxy.write_config(&mistaken.to_string());
    proxy.start_again().await;
    proxy.until_ready().await;
    let status = proxy.status().await;
    assert_eq!((status.config_source.as_str(), status.server("a").state.as_str()), ("file", "ready"));
    assert!(status.config_error.is_some_and(|error| error.contains("timeout")));
}

#[tokio::test]
async fn a_copy_that_is_broken_or_too_large_is_none() {
    let proxy = ended(Proxy::of(&["a"]).await).await;
    proxy.write_config(WRONG);
    let copy = proxy.dir().join(COPY);
    let whole = fs::read(&copy).expect("the copy");
    let mut far_too_long = whole.clone();
    far_too_long.resize(11 << 20, b' ');
    for broken in [&whole[..whole.len() / 2], b"", &far_too_long] {
        fs::write(&copy, broken).expect("written");
        let output = supervisor(proxy.dir()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(78), "{} bytes", broken.len());
    }
}
