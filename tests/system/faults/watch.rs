//! The configuration file in the hands of editors, tools and clusters.

use std::{fs, io::Write, os::unix::fs::symlink, time::Duration};

use serde_json::json;

use crate::support::{Proxy, ServerView, eventually, fixture};

/// What is promised are two seconds; a loaded machine adds the start of a server.
const PICKED_UP: Duration = Duration::from_secs(20);

fn config(names: &[&str]) -> String {
    let servers: Vec<_> = names.iter().map(|name| fixture(name, &[])).collect();
    json!({"servers": servers}).to_string()
}

async fn until_servers(proxy: &Proxy, names: &[&str]) {
    eventually(&format!("the servers are {names:?}"), PICKED_UP, async || {
        let status = proxy.try_status().await?;
        let ready: Vec<&str> = status.servers.iter().filter(|s| s.is_ready()).map(|s| s.name.as_str()).collect();
        (ready == names).then_some(())
    })
    .await;
}

fn identity(server: &ServerView) -> (Option<u32>, u64) {
    (server.server_pid, server.generation)
}

#[tokio::test]
async fn a_file_that_is_written_slowly_is_in_force_once_it_is_whole() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    let new = config(&["a", "b"]);
    let (half, rest) = new.split_at(new.len() / 2);
    let mut file = fs::File::create(proxy.dir().join("mcp-servers.json")).expect("opened");
    file.write_all(half.as_bytes()).expect("written");
    let error =
        eventually("the half file is rejected", PICKED_UP, async || proxy.try_status().await?.config_error).await;
    assert!(error.contains("mcp-servers.json:1:"), "it says where: {error}");
    assert_eq!(identity(&proxy.server("a").await), identity(&before));
    file.write_all(rest.as_bytes()).expect("written");
    drop(file);
    until_servers(&proxy, &["a", "b"]).await;
    assert_eq!(proxy.status().await.config_error, None);
    assert_eq!(identity(&proxy.server("a").await), identity(&before));
}

#[tokio::test]
async fn a_link_into_another_directory_that_is_swapped_is_followed() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    let (file, out) = (proxy.dir().join("mcp-servers.json"), proxy.dir().join("out"));
    // As Kubernetes mounts a ConfigMap: the file is a link through a directory that is a link.
    for (version, names) in [("v1", &["a"][..]), ("v2", &["a", "b"]), ("v3", &["a", "c"])] {
        fs::create_dir(out.join(version)).expect("a directory");
        fs::write(out.join(version).join("mcp-servers.json"), config(names)).expect("written");
    }
    let swap = |version: &str| {
        symlink(version, out.join("..tmp")).expect("a link");
        fs::rename(out.join("..tmp"), out.join("..data")).expect("swapped");
    };
    swap("v1");
    symlink(out.join("..data/mcp-servers.json"), proxy.dir().join("link")).expect("a link");
    fs::rename(proxy.dir().join("link"), &file).expect("replaced");
    until_servers(&proxy, &["a"]).await;
    for (version, names) in [("v2", ["a", "b"]), ("v3", ["a", "c"])] {
        swap(version);
        until_servers(&proxy, &names).await;
    }
    // The file itself, behind the link.
    fs::write(out.join("v3/mcp-servers.json"), config(&["a"])).expect("written");
    until_servers(&proxy, &["a"]).await;
    assert_eq!(identity(&proxy.server("a").await), identity(&before));
}

#[tokio::test]
async fn a_file_that_is_renamed_away_changes_nothing_until_it_is_back() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    let (file, away) = (proxy.dir().join("mcp-servers.json"), proxy.dir().join("away"));
    fs::rename(&file, &away).expect("renamed");
    eventually("the loss is told", PICKED_UP, async || proxy.try_status().await?.config_error).await;
    assert_eq!(identity(&proxy.server("a").await), identity(&before));
    fs::rename(&away, &file).expect("renamed back");
    eventually("all is well", PICKED_UP, async || proxy.try_status().await?.config_error.is_none().then_some(())).await;
    assert_eq!(identity(&proxy.server("a").await), identity(&before));
}

#[tokio::test]
async fn a_thousand_touches_are_no_reload_and_a_change_after_them_is_one() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    let file = proxy.dir().join("mcp-servers.json");
    let text = fs::read_to_string(&file).expect("the file");
    for _ in 0..1000 {
        fs::write(&file, &text).expect("written");
    }
    fs::write(&file, config(&["a", "b"])).expect("written");
    until_servers(&proxy, &["a", "b"]).await;
    let after = proxy.server("a").await;
    assert_eq!((identity(&after), after.restarts), (identity(&before), 0));
    // Whatever was read while it was being rewritten was rejected, and no touch put anything in force.
    let in_force =
        proxy.log().lines().filter(|line| line.contains("configuration read again") && line.contains("added")).count();
    assert_eq!(in_force, 1, "{}", proxy.log());
}
