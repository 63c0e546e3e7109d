//! The gateway process: every client dialect on one side, the workers on the other.
//!
//! It is started by the supervisor, with a connection to it as standard input, over which it is handed the bound listener and
//! the connections to workers, and learns the settings and the servers. It holds no server secret, opens no file and starts no process, and asks
//! the kernel to see to that before it begins (`src/bin/mcproxy-gateway.rs`).
//!
//! Everything that clients touch lives on one HTTP thread and is shared by `Rc`; the control connection has the main
//! thread (`docs/decisions/0010-one-http-thread.md`).

mod background;
mod base;
mod builtin;
mod call;
mod catalogue;
mod dialect;
mod downstream;
mod http;
mod notify;
pub(crate) mod rewrite;
mod sessions;
mod state;
mod upstream;

use std::{os::fd::OwnedFd, pin::pin};

use mcproxy_confine::Degradation;
use mcproxy_ipc::log::ControlDrain;
use slog::{Drain, Logger, o};
use tokio::sync::{mpsc, oneshot};

pub use self::base::supervisor::ControlError;
use self::base::supervisor::SupervisorConnection;
pub(crate) use crate::gateway::{
    builtin::tool_names as builtin_tools,
    catalogue::{fits as glob_fits, unused_rules},
};

/// Log records that may wait for the control connection; beyond it they are dropped and counted.
const LOG_QUEUE: usize = 1024;

/// Why the gateway ended.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The control connection could not be made, or ended.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The HTTP server could not be started, or failed.
    #[error("the HTTP server failed")]
    Http(#[source] std::io::Error),
}

/// Serves clients until the supervisor, to which `socket` leads, says to drain (`Ok`) or goes away; `missing` of this process's
/// confinement is what the kernel did not give.
pub async fn run(socket: OwnedFd, missing: Vec<Degradation>) -> Result<(), GatewayError> {
    let (logs_to, logs) = mpsc::channel(LOG_QUEUE);
    let drain = ControlDrain::new(logs_to);
    let drained = (drain.threshold(), drain.dropped_records());
    let log = Logger::root(drain.fuse(), o!());
    #[cfg(debug_assertions)]
    log_escapes(&log);
    let (connection, supervisor, listener) = SupervisorConnection::open(socket, logs, drained).await?;
    let mut server = http::serve(listener, supervisor.clone(), &log).map_err(GatewayError::Http)?;
    let mut control = pin!(connection.serve(missing));
    let mut drain = supervisor.drain.clone();
    tokio::select! {
        end = &mut server => return over(end),
        error = &mut control => return Err(error.into()),
        _ = drain.wait_for(Option::is_some) => slog::info!(log, "draining"),
    }
    // Both go on meanwhile: the one answers what it has taken up, the other carries heartbeats and log lines.
    tokio::select! {
        end = server => over(end),
        error = control => Err(error.into()),
    }
}

fn over(end: Result<std::io::Result<()>, oneshot::error::RecvError>) -> Result<(), GatewayError> {
    end.unwrap_or_else(|_| Err(std::io::Error::other("its thread ended"))).map_err(GatewayError::Http)
}

/// For the tests of the confinement: tries what an intruder would. There is none of this in release builds.
#[cfg(debug_assertions)]
fn log_escapes(log: &Logger) {
    let Some(control) = std::env::var_os(mcproxy_confine::ATTEMPTS_VARIABLE) else { return };
    for (attempt, outcome) in mcproxy_confine::attempt_escapes(control.as_ref()) {
        let outcome = outcome.map_or_else(|error| format!("refused: {error}"), |()| "succeeded".to_owned());
        slog::info!(log, "escape attempt"; "attempt" => attempt, "outcome" => outcome);
    }
}
