//! The start on a terminal: one line for each server as it settles, then where to connect and how to stop.

use std::time::{Duration, Instant};

use mcproxy_ipc::ServerState;
use slog::Logger;
use tokio::{task::JoinSet, time::timeout_at};

use crate::{
    context::Directory,
    logging::{say, say_last},
    server::Snapshot,
};

/// The person at the terminal does not wait longer for the last lines; servers that are still starting are named.
const LONGEST: Duration = Duration::from_secs(60);

/// Shows how the start goes; until that is over, records are held back.
pub(crate) async fn show(log: Logger, servers: Directory, listen: String, config: String) {
    let begun = Instant::now();
    let name_width = servers.iter().map(|server| server.name.as_str().len()).max().unwrap_or_default();
    let count = match servers.len() {
        1 => "1 server".to_owned(),
        many => format!("{many} servers"),
    };
    say(&log, &format!("mcproxy {}: {count} of {config}\n", env!("CARGO_PKG_VERSION")));
    let mut waits = JoinSet::new();
    for server in servers.iter() {
        let (name, mut snapshot) = (server.name.clone(), server.snapshot.clone());
        waits.spawn(async move {
            let until = (begun + LONGEST).into();
            // One whose task has ended is as it was last.
            let _ = timeout_at(until, snapshot.wait_for(is_settled)).await;
            let line = in_a_line(&snapshot.borrow(), begun.elapsed());
            (name, line)
        });
    }
    while let Some(Ok((name, line))) = waits.join_next().await {
        say(&log, &format!("  {:name_width$}  {line}", name.as_str()));
    }
    say(&log, &format!("\nConnect MCP clients to {}. Ctrl-C stops everything.", url(&listen)));
    say_last(&log, "`mcproxy status` shows all servers, `mcproxy logs NAME -f` what one of them says.\n");
}

/// Whether there is something to say about it.
fn is_settled(snapshot: &Snapshot) -> bool {
    match snapshot.route.state {
        ServerState::Starting | ServerState::Stopping => false,
        ServerState::Stopped => !snapshot.wanted,
        ServerState::Ready
        | ServerState::Idle
        | ServerState::Backoff
        | ServerState::NeedsLogin
        | ServerState::Blocked
        | ServerState::Failed => true,
    }
}

fn in_a_line(snapshot: &Snapshot, after: Duration) -> String {
    let why = snapshot.last_error.as_deref().and_then(|error| error.lines().next()).unwrap_or("for no known reason");
    match snapshot.route.state {
        ServerState::Ready => {
            let tools = snapshot.description.as_ref().map_or(0, |about| about.counts.tools);
            format!(
                "ready      {tools:>4} {}  {:.1} s",
                if tools == 1 { "tool " } else { "tools" },
                after.as_secs_f64()
            )
        }
        ServerState::Idle => "idle       is started by its first call".to_owned(),
        ServerState::Stopped => "disabled".to_owned(),
        ServerState::Starting | ServerState::Stopping => "starting   takes long; see `mcproxy status`".to_owned(),
        state @ (ServerState::Backoff | ServerState::NeedsLogin | ServerState::Blocked | ServerState::Failed) => {
            let word = match state {
                ServerState::Blocked => "blocked",
                ServerState::NeedsLogin => "login",
                _ => "failed",
            };
            format!("{word:<9}  {why}")
        }
    }
}

/// As clients on this machine reach it.
fn url(listen: &str) -> String {
    let address = match listen.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
        Ok(_) | Err(_) => listen.to_owned(),
    };
    format!("http://{address}/mcp")
}
