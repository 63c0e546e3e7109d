//! The control socket: who calls is asked who it is, and handed to whom it concerns.

use mcproxy_ipc::{Connection, FrameError, Hello, HelloError, Listener, Role, receive_hello};
use slog::{debug, warn};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{context::Context, gateway::GatewayCommand, link::refuse, operator, server::Command};

/// Connections that may be in their hello, and operators, at once.
const MAX_CALLERS: usize = 64;

/// What a person may ask that concerns the whole.
#[derive(Debug)]
pub(crate) enum Request {
    /// Read the configuration again; answered with a sentence.
    Reload(oneshot::Sender<Result<String, String>>),
    /// Drain and stop.
    Stop,
}

/// Accepts callers until the task is dropped.
pub(crate) async fn serve(
    listener: Listener,
    context: Context,
    gateway: mpsc::Sender<GatewayCommand>,
    requests: mpsc::Sender<Request>,
) {
    let mut callers = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept(), if callers.len() < MAX_CALLERS => match connection {
                Ok(connection) => {
                    let caller = greet(connection, context.clone(), gateway.clone(), requests.clone());
                    callers.spawn(caller);
                }
                Err(error) => {
                    warn!(context.log, "control connection failed"; "error" => %error);
                    // Out of descriptors, most likely; some will be closed.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = callers.join_next() => {}
        }
    }
}

async fn greet(
    mut connection: Connection,
    context: Context,
    gateway: mpsc::Sender<GatewayCommand>,
    requests: mpsc::Sender<Request>,
) {
    let peer = connection.peer();
    let us = rustix::process::geteuid().as_raw();
    if !matches!(peer.uid, Some(uid) if uid == us || uid == 0) {
        warn!(context.log, "control connection of another user refused"; "uid" => peer.uid, "pid" => peer.pid);
        refuse(connection, "another user".to_owned()).await;
        return;
    }
    let Hello { role, version } = match receive_hello(&mut connection).await {
        Ok(hello) => hello,
        Err(HelloError::Frame(error @ FrameError::Version { .. })) => {
            warn!(context.log, "a process of another build refused"; "error" => %error, "pid" => peer.pid);
            // It cannot read this either, but the frame's header tells it why.
            refuse(connection, error.to_string()).await;
            return;
        }
        Err(error) => {
            debug!(context.log, "control connection without a hello"; "error" => %error, "pid" => peer.pid);
            return;
        }
    };
    debug!(context.log, "control connection"; "role" => ?role, "version" => version, "pid" => peer.pid);
    match role {
        Role::Worker { server, generation } => match context.server(server.as_str()) {
            Some(handle) => {
                let connection = Box::new(connection);
                // A task that is gone needs no worker: dropping the connection tells it so.
                let _ = handle.commands.send(Command::Attach { connection, generation }).await;
            }
            None => refuse(connection, format!("no server is named {server}")).await,
        },
        Role::Gateway => {
            let _ = gateway.send(GatewayCommand::Attach(Box::new(connection))).await;
        }
        Role::Acceptor => {
            let _ = gateway.send(GatewayCommand::Fetch(Box::new(connection))).await;
        }
        Role::Operator => operator::serve(connection, &context, &gateway, &requests).await,
        Role::Caller => refuse(connection, "this is the supervisor's control socket, not a worker's".to_owned()).await,
    }
}
