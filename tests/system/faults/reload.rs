use std::{fs, net::TcpListener, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Proxy, Session, eventually, fixture, is_alive, signal};

#[tokio::test]
async fn a_server_that_is_added_or_removed_leaves_the_others_alone() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("c", &[])]}).to_string());
    eventually("c is there and b is not", Duration::from_secs(15), async || {
        let status = proxy.status().await;
        let ready = status.servers.iter().any(|server| server.name == "c" && server.is_ready());
        (ready && status.servers.iter().all(|server| server.name != "b")).then_some(())
    })
    .await;
    stream.notification("notifications/tools/list_changed").await;
    eventually("the list is the new one", Duration::from_secs(10), async || {
        let tools = session.tools().await;
        (tools.contains(&"c__echo".to_owned()) && !tools.contains(&"b__echo".to_owned())).then_some(())
    })
    .await;
    eventually("b has ended", Duration::from_secs(10), async || (!is_alive(b.pid())).then_some(())).await;
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.generation), (a.server_pid, a.generation));
    assert_eq!(session.say("a__echo", json!({"text": "same"})).await, "same");
    assert_eq!(session.say("c__echo", json!({"text": "new"})).await, "new");
}

#[tokio::test]
async fn a_server_that_comes_back_goes_on_with_its_numbers_whenever_it_left() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let with = proxy_config(&["a", "b"]);
    let mut last = proxy.server("b").await.generation;
    // Long gone, or still on its way out when it is added again.
    for waits in [true, false, true] {
        let old = proxy.server("b").await;
        proxy.write_config(&proxy_config(&["a"]));
        eventually("b is not configured", Duration::from_secs(15), async || {
            proxy.status().await.servers.iter().all(|server| server.name != "b").then_some(())
        })
        .await;
        if waits {
            let worker = old.worker_pid.expect("a ready server has a worker");
            eventually("b has ended", Duration::from_secs(10), async || (!is_alive(worker)).then_some(())).await;
        }
        proxy.write_config(&with);
        let back = proxy.server_until("back", "b", |server| server.is_ready()).await;
        assert_eq!(back.generation, last + 1, "{back:?}");
        last = back.generation;
    }
}

fn proxy_config(names: &[&str]) -> String {
    let servers: Vec<Value> = names.iter().map(|name| fixture(name, &[])).collect();
    json!({"servers": servers}).to_string()
}

#[tokio::test]
async fn a_changed_server_is_started_anew_and_its_neighbour_is_not() {
    let proxy = Proxy::of(&["a", "b"]).await;
    let (a, b) = (proxy.server("a").await, proxy.server("b").await);
    proxy.write_config(&json!({"servers": [fixture("a", &["--tools", "2"]), fixture("b", &[])]}).to_string());
    proxy.server_until("another", "a", |server| server.is_ready() && server.generation > a.generation).await;
    let session = proxy.session().await;
    eventually("the new tools are listed", Duration::from_secs(10), async || {
        session.tools().await.contains(&"a__tool_0001".to_owned()).then_some(())
    })
    .await;
    assert_eq!(proxy.server("b").await.server_pid, b.server_pid);
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_says_so_until_it_is_mended() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    for (broken, named) in
        [("{\"servers\": [", "not JSON"), ("{\"servers\": [{\"name\": \"a\", \"comand\": \"x\"}]}", "comand")]
    {
        proxy.write_config(broken);
        eventually(named, Duration::from_secs(15), async || {
            proxy.status().await.config_error.filter(|error| error.contains(named))
        })
        .await;
    }
    let reload = proxy.cli(&["reload"]).await;
    assert_ne!(reload.code, Some(0), "{reload:?}");
    assert!(proxy.cli(&["status"]).await.stdout.contains("comand"));
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.generation), (before.server_pid, before.generation));
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("b", &[])]}).to_string());
    eventually("mended", Duration::from_secs(15), async || proxy.status().await.config_error.is_none().then_some(()))
        .await;
    proxy.server_until("ready", "b", |server| server.is_ready()).await;
    assert_eq!(proxy.server("a").await.server_pid, before.server_pid);
}

#[tokio::test]
async fn a_file_that_is_touched_or_gone_changes_nothing() {
    let proxy = Proxy::of(&["a"]).await;
    let before = proxy.server("a").await;
    let file = proxy.dir().join("mcp-servers.json");
    let text = fs::read_to_string(&file).expect("the file");
    for _ in 0..50 {
        fs::write(&file, &text).expect("written");
    }
    fs::remove_file(&file).expect("removed");
    // The command is refused, so the removal was looked at.
    assert_ne!(proxy.cli(&["reload"]).await.code, Some(0));
    fs::write(&file, &text).expect("written");
    assert_eq!(proxy.cli(&["reload"]).await.code, Some(0));
    let after = proxy.server("a").await;
    assert_eq!((after.server_pid, after.generation, after.restarts), (before.server_pid, before.generation, 0));
}

#[tokio::test]
async fn settings_of_the_gateway_change_without_a_restart() {
    let proxy = Proxy::of(&["a"]).await;
    let (server, gateway) = (proxy.server("a").await, proxy.status().await.gateway_pid());
    proxy.write_config(&json!({"servers": [fixture("a", &[])], "groups": {"all": {"servers": ["a"]}}}).to_string());
    eventually("the group is there", Duration::from_secs(15), async || {
        let hello = crate::support::initialize("2025-11-25").to_string();
        let answer = proxy.post("/groups/all/mcp").body(hello).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    assert_eq!(proxy.server("a").await.server_pid, server.server_pid);
    assert_eq!(proxy.status().await.gateway_pid(), gateway);
}

#[tokio::test]
async fn sighup_reads_the_file_again() {
    let proxy = Proxy::of(&["a"]).await;
    proxy.write_config(&json!({"servers": [fixture("a", &[]), fixture("b", &[])]}).to_string());
    signal(proxy.pid(), Signal::HUP);
    proxy.server_until("ready", "a", |server| server.is_ready()).await;
    eventually("b is there", Duration::from_secs(15), async || {
        proxy.status().await.servers.iter().any(|server| server.name == "b" && server.is_ready()).then_some(())
    })
    .await;
}

/// One that waits for nobody.
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client")
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port()
}

#[tokio::test]
async fn a_changed_listen_is_where_clients_are_accepted_from_then_on_and_nobody_is_dropped() {
    let config = |listen: &str| json!({"listen": listen, "auth": "none", "servers": [fixture("a", &[])]});
    let proxy = Proxy::launch_where_configured(config(&format!("127.0.0.1:{}", free_port()))).await;
    proxy.until_ready().await;
    let session = proxy.session().await;
    let mut stream = session.stream().await;
    let before = proxy.status().await;
    let new = free_port();
    // The second change is to an address that overlaps the first.
    for (listen, called) in [
        (format!("127.0.0.1:{new}"), format!("127.0.0.1:{new}")),
        (format!("0.0.0.0:{new}"), format!("127.0.0.2:{new}")),
    ] {
        proxy.write_config(&config(&listen).to_string());
        let reload = proxy.cli(&["reload"]).await;
        assert_eq!(reload.code, Some(0), "{reload:?}");
        assert_eq!(proxy.status().await.listen, listen);
        let http = client();
        eventually("the new address is answered", Duration::from_secs(15), async || {
            http.get(format!("http://{called}/healthz")).send().await.ok()
        })
        .await;
        let elsewhere = Session::open(&http, &format!("http://{called}/mcp")).await;
        assert_eq!(elsewhere.say("a__echo", json!({"text": "new"})).await, "new");
    }
    eventually("the old address is closed", Duration::from_secs(15), async || {
        client().get(proxy.url("/healthz")).send().await.is_err().then_some(())
    })
    .await;
    let after = proxy.status().await;
    assert_eq!(after.gateway_pid(), before.gateway_pid());
    assert_eq!(after.server("a").server_pid, before.server("a").server_pid);
    // The stream of the first address hears what happens after both changes.
    let mut grown = config(&format!("0.0.0.0:{new}"));
    grown["servers"].as_array_mut().expect("servers").push(fixture("b", &[]));
    proxy.write_config(&grown.to_string());
    stream.notification("notifications/tools/list_changed").await;
    // And the next gateway begins there.
    signal(after.gateway_pid(), Signal::KILL);
    eventually("another gateway answers", Duration::from_secs(15), async || {
        client().get(format!("http://127.0.0.2:{new}/healthz")).send().await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_listen_that_cannot_be_had_rejects_the_whole_file() {
    let config = |listen: &str, servers: &[&str]| {
        let servers: Vec<_> = servers.iter().map(|name| fixture(name, &[])).collect();
        json!({"listen": listen, "servers": servers})
    };
    let old = format!("127.0.0.1:{}", free_port());
    let proxy = Proxy::launch_where_configured(config(&old, &["a"])).await;
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    proxy.write_config(&config(&taken, &["a", "b"]).to_string());
    let reload = proxy.cli(&["reload"]).await;
    assert!(reload.code != Some(0) && reload.stderr.contains(&taken) && reload.stderr.contains("in use"), "{reload:?}");
    let status = proxy.status().await;
    assert_eq!(status.listen, old);
    assert!(status.servers.iter().all(|server| server.name != "b"), "nothing of the file is in force");
    assert_eq!(proxy.get("/healthz").await.status, 200);
}
