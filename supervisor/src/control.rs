//! The control socket. Only people's `mcproxy` calls here: workers and the gateway inherit their connections, and what
//! a server started is refused, because every process of the user can reach the path
//! (`docs/decisions/0116-the-control-socket-is-for-operators.md`).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use mcproxy_ipc::{Connection, FrameError, Hello, HelloError, Listener, processes, receive_hello};
use slog::{debug, warn};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    ancestry::{self, CallerOrigin},
    callers::Callers,
    context::Context,
    gateway::GatewayCommand,
    link::refuse,
    operator::{self, Operator, OperatorRequest},
};

/// Callers that have not said what they want. Beyond that the one that waits longest is cut off.
const SILENT: usize = 64;
/// Refused callers that are given the time to read why. Beyond that the same.
const REFUSED: usize = 16;
/// Operators that are being answered. Beyond that new ones are told to come back.
const OPERATORS: usize = 64;
/// How long a caller may take to say hello, and then to ask.
const SILENCE: Duration = Duration::from_secs(1);
/// Calls of servers are logged at most once in this time; the others are counted.
const COMPLAINT: Duration = Duration::from_secs(1);
/// The place of a process in the tree is remembered for so long, so that one that calls without end costs little.
const REMEMBERED: Duration = Duration::from_secs(1);
/// So many of those at most; then all are forgotten.
const KNOWN: usize = 256;
/// Until accepting is tried again when it is impossible (no descriptors left, say).
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts callers until the task is dropped.
pub(crate) async fn serve(
    listener: Listener,
    context: Context,
    gateway: mpsc::Sender<GatewayCommand>,
    requests: mpsc::Sender<OperatorRequest>,
) {
    let mut entrance = Entrance::new(context.clone());
    let mut operators = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept() => match connection {
                Ok(connection) => entrance.admit(connection),
                Err(error) => {
                    warn!(context.log, "control connection failed"; "error" => %error);
                    sleep(PAUSE).await;
                }
            },
            Some(operator) = entrance.next() => {
                if operators.len() < OPERATORS {
                    let (context, gateway, requests) = (context.clone(), gateway.clone(), requests.clone());
                    operators.spawn(async move { operator::serve(operator, &context, &gateway, &requests).await });
                } else {
                    entrance.turn_away(operator);
                }
            }
            Some(_) = operators.join_next() => {}
        }
    }
}

/// Callers up to the moment in which it is known what they want.
struct Entrance {
    context: Context,
    silent: Callers<Id>,
    refused: Callers<Id>,
    /// One for each of both.
    tasks: JoinSet<Option<Operator>>,
    handles: HashMap<Id, AbortHandle>,
    /// Processes that called a moment ago, with the time at which each was started.
    known: HashMap<(u32, u64), (Instant, CallerOrigin)>,
    complaint: Complaint,
}

/// How much is said of callers that are refused.
#[derive(Debug, Default)]
struct Complaint {
    said: Option<Instant>,
    unsaid: u64,
}

impl Complaint {
    /// One more. How many there were since it was said last, if it is to be said now.
    fn due(&mut self, now: Instant) -> Option<u64> {
        self.unsaid += 1;
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < COMPLAINT) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

impl Entrance {
    fn new(context: Context) -> Self {
        Self {
            context,
            silent: Callers::new(SILENT),
            refused: Callers::new(REFUSED),
            tasks: JoinSet::new(),
            handles: HashMap::new(),
            known: HashMap::new(),
            complaint: Complaint::default(),
        }
    }

    /// Gives a caller a place.
    fn admit(&mut self, connection: Connection) {
        let (peer, log) = (connection.peer(), self.context.log.clone());
        let us = rustix::process::geteuid().as_raw();
        if !matches!(peer.uid, Some(uid) if uid == us || uid == 0) {
            warn!(log, "control connection of another user refused"; "uid" => peer.uid, "pid" => peer.pid);
            return self.refuse(connection, "another user".to_owned());
        }
        match self.standing(peer.pid) {
            CallerOrigin::Operator => {
                if let Some(gone) = self.silent.make_room(peer.pid) {
                    self.cut_off(gone);
                    debug!(log, "a silent caller of the control socket was cut off");
                }
                let handle = self.tasks.spawn(async move { greet(connection, &log).await });
                self.silent.add(handle.id(), peer.pid);
                self.handles.insert(handle.id(), handle);
            }
            other => {
                if let Some(count) = self.complaint.due(Instant::now()) {
                    let server = match other {
                        CallerOrigin::Ours(child) => self.server_of(child),
                        CallerOrigin::Operator | CallerOrigin::Unclear => None,
                    };
                    warn!(log, "a server called the control socket and was refused";
                        "server" => server, "pid" => peer.pid, "count" => count);
                }
                self.refuse(
                    connection,
                    "the control socket is for operators, and this process was started by a server".to_owned(),
                );
            }
        }
    }

    /// The server to which this process of ours belongs.
    fn server_of(&self, child: u32) -> Option<String> {
        let servers = self.context.servers();
        let server = servers.iter().find(|server| server.snapshot.borrow().worker_pid == Some(child));
        server.map(|server| server.name.to_string())
    }

    fn standing(&mut self, pid: Option<u32>) -> CallerOrigin {
        // A process that has no number here is in no namespace below ours, and all that servers start are.
        let Some(pid) = pid.filter(|pid| *pid != 0) else { return CallerOrigin::Operator };
        let Some(started) = processes::started(pid) else { return CallerOrigin::Unclear };
        let now = Instant::now();
        if let Some((at, standing)) = self.known.get(&(pid, started))
            && now.saturating_duration_since(*at) < REMEMBERED
        {
            return *standing;
        }
        let standing = ancestry::standing(pid);
        // Another process may have its number by now.
        if standing != CallerOrigin::Unclear && processes::started(pid) == Some(started) {
            if self.known.len() >= KNOWN {
                self.known.clear();
            }
            self.known.insert((pid, started), (now, standing));
        }
        standing
    }

    /// Tells a caller why not, and leaves it a moment to read that.
    fn refuse(&mut self, connection: Connection, reason: String) {
        let pid = connection.peer().pid;
        if let Some(gone) = self.refused.make_room(pid) {
            self.cut_off(gone);
        }
        let handle = self.tasks.spawn(async move {
            let mut connection = connection;
            // With its hello unread the end of the connection would be an error to it before the reason is.
            let _ = timeout(SILENCE, receive_hello(&mut connection)).await;
            refuse(connection, reason).await;
            None
        });
        self.refused.add(handle.id(), pid);
        self.handles.insert(handle.id(), handle);
    }

    /// There are too many operators.
    fn turn_away(&mut self, operator: Operator) {
        let why = format!("{OPERATORS} others are being answered; try again");
        let handle = self.tasks.spawn(async move {
            operator.turn_away(why).await;
            None
        });
        if let Some(gone) = self.refused.make_room(None) {
            self.cut_off(gone);
        }
        self.refused.add(handle.id(), None);
        self.handles.insert(handle.id(), handle);
    }

    /// The next caller that has said what it wants; nothing when there is no caller at all. Cancel safe.
    async fn next(&mut self) -> Option<Operator> {
        loop {
            let (id, operator) = match self.tasks.join_next_with_id().await? {
                Ok((id, operator)) => (id, operator),
                Err(error) => (error.id(), None), // it was cut off
            };
            self.silent.remove(id);
            self.refused.remove(id);
            self.handles.remove(&id);
            if operator.is_some() {
                return operator;
            }
        }
    }

    fn cut_off(&mut self, id: Id) {
        if let Some(handle) = self.handles.remove(&id) {
            handle.abort();
        }
    }
}

/// Waits until a caller has said what it wants.
async fn greet(mut connection: Connection, log: &slog::Logger) -> Option<Operator> {
    let pid = connection.peer().pid;
    match timeout(SILENCE, receive_hello(&mut connection)).await {
        Ok(Ok(Hello { version })) => debug!(log, "control connection"; "version" => version, "pid" => pid),
        Ok(Err(HelloError::Frame(error @ FrameError::Version { .. }))) => {
            warn!(log, "a process of another build refused"; "error" => %error, "pid" => pid);
            // It cannot read this either, but the frame's header tells it why.
            refuse(connection, error.to_string()).await;
            return None;
        }
        Ok(Err(error)) => {
            debug!(log, "control connection without a hello"; "error" => %error, "pid" => pid);
            return None;
        }
        Err(_) => {
            debug!(log, "control connection without a hello"; "pid" => pid);
            return None;
        }
    }
    timeout(SILENCE, Operator::asks(connection)).await.ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_said_once_a_second_and_counted() {
        let mut complaint = Complaint::default();
        let now = Instant::now();
        assert_eq!(complaint.due(now), Some(1));
        assert!((0..1_000).all(|_| complaint.due(now).is_none()));
        assert_eq!(complaint.due(now + COMPLAINT), Some(1_001));
    }
}
