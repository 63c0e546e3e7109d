//! A person's `mcproxy`: one request, one answer.

use std::time::Duration;

use mcproxy_config::nearest;
use mcproxy_ipc::{
    ApprovalDecision, Connection, HoldEnd, LogLevel, LogLine, LogSource, Receiver, Remember, Sender, ServerName,
    Verdict,
    control::{OperatorToSupervisor, ShownConfig, SupervisorToOperator},
    disk::on_disk,
};
use slog::info;
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::timeout,
};

use crate::{
    ask::ask,
    context::Context,
    gateway::GatewayCommand,
    log_ring::{Followed, LogOwner, now_ms},
    login, pins,
    server::{ServerCommand, ServerHandle},
    status,
};

/// For each answer to be taken.
const LIMIT: Duration = Duration::from_secs(10);
/// Most old lines in one answer.
const MAX_LINES: usize = 10_000;
/// They stay for as long as they like, and others need places among the operators too.
const MAX_FOLLOWERS: usize = 32;

type In = Receiver<OperatorToSupervisor>;
type Out = Sender<SupervisorToOperator>;

/// Requests of operators that concern the whole supervisor.
#[derive(Debug)]
pub(crate) enum OperatorRequest {
    /// Read the configuration again; answered with a sentence.
    Reload(oneshot::Sender<Result<String, String>>),
    /// Drain and stop.
    Stop,
    /// Want a server up or not until the configuration is read again; answered with a sentence.
    Switch {
        /// Which one.
        server: ServerName,
        /// Whether it is wanted.
        enabled: bool,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<String, String>>,
    },
    /// Look at the configuration file, and say what reading it would change.
    DescribeFile(oneshot::Sender<ShownConfig>),
    /// Say what the entry of a server comes to, as JSON; `None`: there is no such server.
    DescribeEntry {
        /// Which one.
        server: ServerName,
        /// Where the answer goes.
        reply: oneshot::Sender<Option<String>>,
    },
}

/// A caller that has asked.
pub(crate) struct Operator {
    request: OperatorToSupervisor,
    receiver: In,
    sender: Out,
}

impl Operator {
    /// Lets a caller in that has said hello, and waits for its question. `None` when it goes instead.
    pub(crate) async fn asks(mut connection: Connection) -> Option<Self> {
        connection.answer(Verdict::Accepted).await.ok()?;
        let (mut receiver, sender): (In, Out) = connection.control();
        let (request, _) = receiver.next().await.ok()??;
        Some(Self { request, receiver, sender })
    }

    /// Says why there is no answer.
    pub(crate) async fn turn_away(mut self, why: String) {
        say(&mut self.sender, SupervisorToOperator::Failed(why)).await;
    }
}

/// Serves one caller.
pub(crate) async fn serve(
    operator: Operator,
    context: &Context,
    gateway: &mpsc::Sender<GatewayCommand>,
    requests: &mpsc::Sender<OperatorRequest>,
) {
    let Operator { request, mut receiver, mut sender } = operator;
    match request {
        OperatorToSupervisor::Status => {
            let report = status::report(context).await;
            say(&mut sender, SupervisorToOperator::Status(Box::new(report))).await;
        }
        OperatorToSupervisor::Restart(name) => {
            info!(context.log, "restart requested by an operator"; "server" => %name);
            say(&mut sender, outcome(restart(context, &name).await)).await;
        }
        OperatorToSupervisor::Reload => {
            let (reply, answer) = oneshot::channel();
            let asked = requests.send(OperatorRequest::Reload(reply)).await.is_ok();
            let done = if asked { answer.await.ok() } else { None };
            say(&mut sender, outcome(done.unwrap_or_else(|| Err("the supervisor is stopping".to_owned())))).await;
        }
        OperatorToSupervisor::Approve(name) => {
            info!(context.log, "tools approved by an operator"; "server" => %name);
            let done = approve(context, &name).await;
            if done.is_ok() {
                // It may be ending; the next one reads the pins anew.
                let _ = gateway.send(GatewayCommand::Approved(name)).await;
            }
            say(&mut sender, outcome(done)).await;
        }
        OperatorToSupervisor::HeldCalls => {
            let held = context.gateway.borrow().held.to_vec();
            say(&mut sender, SupervisorToOperator::HeldCalls(held)).await;
        }
        OperatorToSupervisor::Decide { id, decision } => {
            let most = context.gateway.borrow().remember;
            say(&mut sender, outcome(decide(gateway, id, decision, most).await)).await;
        }
        OperatorToSupervisor::ApprovalRules => {
            let rules = context.gateway.borrow().rules.to_vec();
            say(&mut sender, SupervisorToOperator::ApprovalRules(rules)).await;
        }
        OperatorToSupervisor::ForgetApproval(id) => {
            say(&mut sender, outcome(forget(gateway, id).await)).await;
        }
        OperatorToSupervisor::Tokens => {
            let tokens = context.gateway.borrow().tokens.clone();
            say(&mut sender, SupervisorToOperator::Tokens(tokens)).await;
        }
        OperatorToSupervisor::Stop => {
            info!(context.log, "stop requested by an operator");
            say(&mut sender, SupervisorToOperator::Done("stopping".to_owned())).await;
            // It may be stopping already.
            let _ = requests.send(OperatorRequest::Stop).await;
        }
        OperatorToSupervisor::Login { server, task } => {
            let done = login::serve(context, &server, task, (&mut receiver, &mut sender)).await;
            say(&mut sender, outcome(done)).await;
        }
        OperatorToSupervisor::Callback(_) => {
            say(&mut sender, SupervisorToOperator::Failed("nobody logs in on this connection".to_owned())).await;
        }
        OperatorToSupervisor::Logs { server, lines, follow } => {
            logs(context, gateway, (&mut receiver, &mut sender), server, lines, follow).await;
        }
    }
}

/// False when the caller is gone or does not read.
pub(crate) async fn say(sender: &mut Out, message: SupervisorToOperator) -> bool {
    matches!(timeout(LIMIT, sender.send(&message)).await, Ok(Ok(())))
}

fn outcome(result: Result<String, String>) -> SupervisorToOperator {
    match result {
        Ok(done) => SupervisorToOperator::Done(done),
        Err(why) => SupervisorToOperator::Failed(why),
    }
}

pub(crate) fn find(context: &Context, name: &ServerName) -> Result<ServerHandle, String> {
    context.server(name.as_str()).ok_or_else(|| {
        let servers = context.servers();
        let mut known: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
        known.sort_unstable();
        match nearest(name.as_str(), known.iter().copied()) {
            Some(near) => format!("no server is named `{name}`; did you mean `{near}`?"),
            None if known.is_empty() => format!("no server is named `{name}`; none is configured"),
            None => format!("no server is named `{name}`; there are {}", known.join(", ")),
        }
    })
}

pub(crate) async fn restart(context: &Context, name: &ServerName) -> Result<String, String> {
    let server = find(context, name)?;
    let (reply, answer) = oneshot::channel();
    let busy = || format!("{name} is busy; try again");
    timeout(LIMIT, server.commands.send(ServerCommand::Restart(reply)))
        .await
        .map_err(|_| busy())?
        .map_err(|_| busy())?;
    match timeout(LIMIT, answer).await {
        Ok(Ok(true)) => Ok(format!("{name} is being restarted")),
        Ok(Ok(false)) => Err(format!("{name} is disabled in the configuration")),
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

/// Decides on a call that waits, if an answer may count for so long.
async fn decide(
    gateway: &mpsc::Sender<GatewayCommand>,
    id: String,
    decision: ApprovalDecision,
    most: Remember,
) -> Result<String, String> {
    if decision.remembered() > most {
        return Err("this answer may not count for so long; set `approvals.remember` in the configuration".to_owned());
    }
    let command = |reply| GatewayCommand::Decide { id: id.clone(), decision, reply };
    match ask(gateway, LIMIT, command).await.ok_or("the gateway is busy or has ended; try again")? {
        Some(HoldEnd::Allowed) => Ok(format!("call {id} is allowed")),
        Some(HoldEnd::Refused) => Ok(format!("call {id} is refused")),
        Some(end @ (HoldEnd::Expired | HoldEnd::Cancelled)) => Err(format!("call {id} is {} already", end.as_str())),
        None => Err(format!("no call {id} waits for approval; `mcproxy approvals` lists those that do")),
    }
}

async fn forget(gateway: &mpsc::Sender<GatewayCommand>, id: Option<String>) -> Result<String, String> {
    let command = |reply| GatewayCommand::ForgetApproval { id: id.clone(), reply };
    match (ask(gateway, LIMIT, command).await.ok_or("the gateway's task is busy; try again")?, id) {
        (0, Some(id)) => Err(format!("no approval {id} is kept; `mcproxy approvals rules` lists those that are")),
        (0, None) => Ok("no approval was kept".to_owned()),
        (1, _) => Ok("1 approval is forgotten".to_owned()),
        (count, _) => Ok(format!("{count} approvals are forgotten")),
    }
}

/// Pins what a server offered last.
pub(crate) async fn approve(context: &Context, name: &ServerName) -> Result<String, String> {
    let server = find(context, name)?;
    let key = server.snapshot.borrow().route.catalogue;
    let kept = context.catalogues.clone().zip(key);
    let (catalogues, key) = kept.ok_or_else(|| format!("nothing is kept of what {name} offers; it has to run once"))?;
    let of = name.clone();
    let pinned = on_disk(move || pins::approve(&catalogues, &catalogues.join(key.file_name(&of)), &of)).await;
    match pinned.map_err(std::io::Error::other).flatten() {
        Ok(()) => Ok(format!("the tools of {name} are approved as they are")),
        Err(error) => Err(format!("the tools of {name} cannot be approved: {error}")),
    }
}

async fn logs(
    context: &Context,
    gateway: &mpsc::Sender<GatewayCommand>,
    (receiver, sender): (&mut In, &mut Out),
    only: Option<ServerName>,
    lines: usize,
    follow: bool,
) {
    if follow && context.follow.receiver_count() >= MAX_FOLLOWERS {
        let why = format!("{MAX_FOLLOWERS} others follow the log already");
        say(sender, SupervisorToOperator::Failed(why)).await;
        return;
    }
    // Subscribed first, so that no line falls between the old ones and the new ones.
    let new = context.follow.subscribe();
    let old = match &only {
        Some(name) => match find(context, name) {
            Ok(server) => server.logs(lines.min(MAX_LINES)).await,
            Err(why) => {
                say(sender, SupervisorToOperator::Failed(why)).await;
                return;
            }
        },
        None => all_logs(context, gateway, lines.min(MAX_LINES)).await,
    };
    for line in old {
        if !say(sender, SupervisorToOperator::Line(line)).await {
            return;
        }
    }
    if follow {
        tokio::select! {
            () = pass_on(new, sender, only) => {}
            // It says nothing more, so this is its end.
            _ = receiver.next() => return,
        }
    }
    say(sender, SupervisorToOperator::End).await;
}

/// The last lines of all servers and of the gateway, in the order of their time, each with whose it is.
async fn all_logs(context: &Context, gateway: &mpsc::Sender<GatewayCommand>, lines: usize) -> Vec<LogLine> {
    let mut all = Vec::new();
    // As with a server's task: one that has no time for us has no lines.
    let of_gateway = ask(gateway, LIMIT, |reply| GatewayCommand::Logs { lines, reply }).await.unwrap_or_default();
    all.extend(of_gateway.into_iter().map(|line| named(&LogOwner::Gateway, line)));
    for server in context.servers().iter() {
        let owner = LogOwner::Server(server.name.clone());
        all.extend(server.logs(lines).await.into_iter().map(|line| named(&owner, line)));
    }
    all.sort_by_key(|line: &LogLine| line.at_ms);
    all.split_off(all.len().saturating_sub(lines))
}

fn named(owner: &LogOwner, line: LogLine) -> LogLine {
    LogLine { text: format!("{owner}: {}", line.text), ..line }
}

async fn pass_on(mut new: broadcast::Receiver<Followed>, sender: &mut Out, only: Option<ServerName>) {
    loop {
        let line = match new.recv().await {
            Ok(Followed { owner, line }) => match &only {
                Some(name) if LogOwner::Server(name.clone()) == owner => line,
                Some(_) => continue,
                None => named(&owner, line),
            },
            Err(broadcast::error::RecvError::Lagged(count)) => LogLine {
                at_ms: now_ms(),
                level: LogLevel::Warn,
                source: LogSource::Own,
                text: format!("{count} lines were dropped because they were not read fast enough"),
            },
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if !say(sender, SupervisorToOperator::Line(line)).await {
            return;
        }
    }
}
