//! The gateway process: every client dialect on one side, the workers on the other.
//!
//! It is started by the supervisor, with a connection to it as standard input, over which it is handed the bound listener and
//! the connections to workers, and learns the settings and the servers. It holds no server secret, reads no file and starts no process.
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

use std::pin::pin;

use mcproxy_ipc::log::ControlDrain;
use slog::{Drain, Logger, o};
use tokio::sync::{mpsc, oneshot};

pub use self::base::supervisor::ControlError;
use self::base::supervisor::SupervisorConnection;
pub(crate) use crate::gateway::catalogue::glob;

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

/// Serves clients until the supervisor, to which standard input leads, says to drain (`Ok`) or goes away.
pub async fn run() -> Result<(), GatewayError> {
    let (logs_to, logs) = mpsc::channel(LOG_QUEUE);
    let drain = ControlDrain::new(logs_to);
    let drained = (drain.threshold(), drain.dropped_records());
    let log = Logger::root(drain.fuse(), o!());
    let (connection, supervisor, listener) = SupervisorConnection::open(logs, drained).await?;
    let mut server = http::serve(listener, supervisor.clone(), &log).map_err(GatewayError::Http)?;
    let mut control = pin!(connection.serve());
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
