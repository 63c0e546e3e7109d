//! How real servers are found to speak what they speak: on the wire, message by message.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fleet::PARTS;
use crate::support::{Proxy, Real};

/// Keeps a copy of everything that is written to the server, which begins to read so many seconds late.
const TAPPED: &str = r#"record=$0 late=$1; shift; tee "$record" | { sleep "$late"; exec "$@"; }"#;

/// Servers whose input is on record.
struct Tapped {
    proxy: Proxy,
    records: tempfile::TempDir,
}

impl Tapped {
    /// Starts servers of this name, delay and command, and waits until each is ready.
    async fn start(real: &Real, servers: &[(&str, u32, &[String])]) -> Self {
        let records = tempfile::tempdir().expect("a directory");
        let entry = |(name, late, command): &(&str, u32, &[String])| {
            let record = record_of(records.path(), name).display().to_string();
            let mut args = vec!["-c".to_owned(), TAPPED.to_owned(), record, late.to_string()];
            args.extend_from_slice(command);
            json!({"name": name, "command": "sh", "args": args, "env": {"MCPROXY_REAL": real.path("")},
                "sandbox": {"write": [records.path()]}})
        };
        let entries: Vec<Value> = servers.iter().map(entry).collect();
        Self { proxy: Proxy::start(json!({"servers": entries})).await, records }
    }

    /// The methods that the server was sent, in their order.
    fn methods(&self, name: &str) -> Vec<String> {
        let record = std::fs::read_to_string(record_of(self.records.path(), name)).expect("a record");
        let messages = record.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        messages.filter_map(|message| message["method"].as_str().map(str::to_owned)).collect()
    }

    /// That the server is spoken to in this era, and was started once for it.
    async fn speaks(&self, name: &str, era: &str) {
        let server = self.proxy.server(name).await;
        let found = server.server.expect("a server that is ready was asked");
        assert_eq!(found["era"], era, "{name}: {found}");
        assert_eq!((server.generation, server.restarts), (1, 0), "{name}");
    }
}

fn record_of(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.jsonl"))
}

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// P01, P02: whoever does not know the question is asked `initialize` on the same process.
#[tokio::test]
async fn servers_that_refuse_the_question_are_initialized_on_the_same_process() {
    let Some(real) = Real::with(&PARTS) else { return };
    let everything = real.node("@modelcontextprotocol/server-everything/dist/index.js");
    let node = command(&["node", &everything]);
    let python = command(&[&real.path("venv/bin/python"), "-m", "mcp_server_time"]);
    let tapped = Tapped::start(&real, &[("everything", 0, &node), ("time", 0, &python)]).await;
    for name in ["everything", "time"] {
        tapped.speaks(name, "legacy").await;
        let methods = tapped.methods(name);
        assert_eq!(methods[..3], ["server/discover", "initialize", "notifications/initialized"], "{name}");
        assert!(!methods[3..].iter().any(|method| method == "server/discover"), "{name}: {methods:?}");
    }
}

/// The other side of it: who knows the question is asked nothing of the legacy era.
#[tokio::test]
async fn servers_that_know_the_question_never_see_initialize() {
    let Some(real) = Real::with(&PARTS) else { return };
    let script = Real::server("on-typescript-sdk.mjs");
    let node = command(&["node", &script]);
    let python = command(&[&real.path("modern/bin/python"), "-m", "mcp_server_time"]);
    let tapped = Tapped::start(&real, &[("typescript", 0, &node), ("time", 0, &python)]).await;
    for name in ["typescript", "time"] {
        tapped.speaks(name, "modern").await;
        let methods = tapped.methods(name);
        assert_eq!(methods[0], "server/discover", "{name}");
        assert!(!methods.iter().any(|method| method.contains("initialize")), "{name}: {methods:?}");
    }
}

/// P05, P06: a server that is late finds both questions waiting. One that answers both has made itself one of the legacy era
/// by that, and is started once more; one that knows only 2026-07-28 refuses the second.
#[tokio::test]
async fn servers_that_are_late_are_asked_both_and_spoken_to_in_2026_07_28() {
    const LATE_S: u32 = 7;
    let Some(real) = Real::with(&PARTS) else { return };
    let script = Real::server("on-typescript-sdk.mjs");
    let (both, strict) = (command(&["node", &script]), command(&["node", &script, "--strict"]));
    let tapped = Tapped::start(&real, &[("both", LATE_S, &both), ("strict", LATE_S, &strict)]).await;
    tapped.speaks("both", "modern").await;
    // The record is that of the second process.
    assert!(!tapped.methods("both").iter().any(|method| method == "initialize"), "{:?}", tapped.methods("both"));
    tapped.speaks("strict", "modern").await;
    assert_eq!(tapped.methods("strict")[..2], ["server/discover", "initialize"]);
}
