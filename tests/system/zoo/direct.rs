//! A client on a server's own pipes, without MCProxy.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::entry::{Entry, Era};
use crate::support::{initialize, within};

/// The slowest of them take some seconds to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A conversation with a server.
pub(super) struct Direct {
    era: Era,
    // Killed when dropped.
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    next: u64,
}

impl Direct {
    /// Starts the server and introduces itself in its era.
    pub(super) async fn start(entry: &Entry, cwd: &Path) -> Self {
        let mut command = Command::new(entry.program());
        let keep = ["PATH", "HOME", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.args(entry.args()).env_clear().envs(keep).envs(entry.env()).current_dir(cwd);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        let stdin = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut direct = Self { era: entry.era, _child: child, stdin, lines, next: 1 };
        if direct.era == Era::Legacy {
            let mut hello = initialize("2025-11-25");
            hello["id"] = json!("hello");
            direct.send(&hello).await;
            direct.answer(&json!("hello")).await;
            direct.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        }
        direct
    }

    /// The response to a request, without the envelope.
    pub(super) async fn ask(&mut self, method: &str, mut params: Value) -> Value {
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "system-test", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let id = json!(self.next);
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        self.answer(&id).await
    }

    async fn send(&mut self, message: &Value) {
        self.stdin.write_all(format!("{message}\n").as_bytes()).await.expect("the server reads");
    }

    async fn answer(&mut self, id: &Value) -> Value {
        within("a direct answer", PATIENCE, async {
            loop {
                let line = self.lines.next_line().await.expect("text").expect("the server goes on");
                let Ok(mut message) = serde_json::from_str::<Value>(&line) else { continue };
                if message["id"] == *id && message.get("method").is_none() {
                    let which =
                        if message.get("error").is_some_and(|error| !error.is_null()) { "error" } else { "result" };
                    return json!({which: message[which].take()});
                }
            }
        })
        .await
    }
}
