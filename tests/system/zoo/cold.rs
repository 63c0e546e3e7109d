//! Servers that their runners have to fetch first, all at once.

use std::{io::Write, time::Duration};

use serde_json::{Value, json};

use super::entry::entries;
use crate::support::{Proxy, Real, ServerView, eventually};

/// A thousand packages, on two cores.
const ALL_READY: Duration = Duration::from_secs(900);

#[tokio::test]
#[ignore = "fetches twenty-five servers anew; tests/zoo/run runs it"]
async fn twenty_five_servers_from_cold_caches_are_all_ready_in_the_end() {
    let Some(real) = Real::with(&["venv/bin/uvx"]) else { return };
    let Some(entries) = entries() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (cache, uvx) = (dir.path().join("cache"), real.path("venv/bin/uvx"));
    let cold: Vec<_> = entries.iter().filter(|entry| entry.cold).collect();
    assert_eq!(cold.len(), 25);
    let servers: Vec<Value> =
        cold.iter().map(|entry| entry.fetched(&uvx, &entry.prepare(dir.path()), &cache)).collect();
    let begun = std::time::Instant::now();
    let proxy = Proxy::launch(json!({"servers": servers})).await;
    eventually("all are ready, or the time is over", ALL_READY + Duration::from_secs(20), async || {
        let status = proxy.try_status().await?;
        (status.servers.iter().all(ServerView::is_ready) || begun.elapsed() > ALL_READY).then_some(())
    })
    .await;
    let took = begun.elapsed().as_secs();
    let status = proxy.status().await;
    let mut wrong = Vec::new();
    let mut table = vec![format!("all of them after {took} s")];
    for entry in cold {
        let server = status.server(&entry.name);
        let era = server.server.as_ref().map_or("?", |found| found["era"].as_str().unwrap_or("?"));
        table.push(format!("{:18} {:8} {era:8} {} restarts", entry.name, server.state, server.restarts));
        if !server.is_ready() || era != entry.era.name() {
            wrong.push(format!("{}: {}, {era}, {:?}", entry.name, server.state, server.last_error));
        }
    }
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr().lock(), "{}", table.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
