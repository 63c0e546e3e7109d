//! The gateway process: every client dialect on one side, the workers on the other.
//!
//! It is started by the supervisor, with a connection to it as standard input, over which it is handed the bound listener and
//! the connections to workers, and learns the settings and the servers. It holds no server secret, reads no file and starts no process.
//!
//! Everything that clients touch lives on one HTTP thread and is shared by `Rc`; the control connection has the main
//! thread (`docs/decisions/0010-one-http-thread.md`).

mod announce;
mod archive;
mod asking;
mod background;
mod broadcast;
mod budget;
mod builtin;
mod call;
mod caller;
mod catalogue;
mod client;
mod declaration;
mod dispatch;
mod elicitation_complete;
mod event_id;
mod exchange;
mod fair;
mod fanout;
mod fleet;
mod forward;
mod guard;
mod heirs;
mod http;
mod input;
mod intake;
mod kept;
mod lifetime;
mod link;
mod list_changes;
mod listeners;
mod lists;
mod log_messages;
mod lost;
mod mailbox;
mod metrics;
mod note;
mod notice;
mod notify;
mod observed;
mod offload;
mod outbox;
mod pace;
mod pages;
mod patience;
mod pieces;
mod principal;
mod progress;
mod queue;
mod reason;
mod reply;
mod request;
pub(crate) mod rewrite;
mod same_call;
mod scope;
mod seal;
mod session;
mod session_tasks;
mod sessions;
mod shares;
mod skills;
mod slices;
mod state;
mod stateless;
mod stream;
mod streams;
mod subscribers;
mod subscriptions;
mod supervisor;
mod tape;
mod task_requests;
mod task_status;
mod tasks;
mod tickets;
mod visits;

use std::pin::pin;

use mcproxy_ipc::log::ControlDrain;
use slog::{Drain, Logger, o};
use tokio::sync::{mpsc, oneshot};

pub(crate) use catalogue::glob;
pub use supervisor::ControlError;

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
    let (connection, supervisor, listener) = supervisor::Connection::open(logs, drained).await?;
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
