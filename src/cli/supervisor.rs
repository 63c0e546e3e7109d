//! The connection of `mcproxy` to the supervisor.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mcproxy_ipc::{
    Receiver, SYSTEM_RUNTIME_DIR, Sender, ServerName, StatusReport,
    control::{OperatorToSupervisor, SupervisorToOperator, TokenStatus},
    introduce, runtime_dirs, supervisor_socket,
};
use tokio::time::timeout;

use super::{
    console::Console,
    error::CliError,
    exit::Exit,
    human::{one_line, wrapped},
    names,
};

/// Longest wait for an answer that should come at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two calls while there is no room for one.
const CROWDED: Duration = Duration::from_millis(5);
/// Between two looks at whether it is gone.
const POLL: Duration = Duration::from_millis(50);
/// A restart or reload is answered when it was accepted; a busy supervisor may take its time.
const ACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the supervisor is to be asked; one connection per question.
#[derive(Debug, Clone)]
pub(crate) struct SupervisorClient {
    sockets: Vec<PathBuf>,
    /// Where a service of the system may run, of which people are told if there is none of theirs.
    system_service: Option<&'static str>,
}

impl SupervisorClient {
    /// The supervisor of this runtime directory, or of the usual ones.
    pub(crate) fn new(runtime_dir: Option<&Path>) -> Self {
        let dirs = runtime_dir.map_or_else(runtime_dirs, |dir| vec![dir.to_owned()]);
        let system_service = runtime_dir.is_none().then_some(SYSTEM_RUNTIME_DIR);
        Self { sockets: dirs.iter().map(|dir| supervisor_socket(dir)).collect(), system_service }
    }

    /// The status of everything.
    pub(crate) async fn status(&self) -> Result<StatusReport, CliError> {
        match self.ask(OperatorToSupervisor::Status, ANSWER_TIMEOUT).await? {
            SupervisorToOperator::Status(report) => Ok(*report),
            SupervisorToOperator::Failed(why) => Err(CliError::Refused(why)),
            _ => Err(CliError::SupervisorAnswer),
        }
    }

    /// The tokens of clients.
    pub(crate) async fn tokens(&self) -> Result<Vec<TokenStatus>, CliError> {
        match self.ask(OperatorToSupervisor::Tokens, ANSWER_TIMEOUT).await? {
            SupervisorToOperator::Tokens(tokens) => Ok(tokens),
            SupervisorToOperator::Failed(why) => Err(CliError::Refused(why)),
            _ => Err(CliError::SupervisorAnswer),
        }
    }

    /// Asks something that is answered at once.
    pub(crate) async fn question(&self, question: OperatorToSupervisor) -> Result<SupervisorToOperator, CliError> {
        match self.ask(question, ANSWER_TIMEOUT).await? {
            SupervisorToOperator::Failed(why) => Err(CliError::Refused(why)),
            answer => Ok(answer),
        }
    }

    /// Has something done; returns the supervisor's sentence about it.
    pub(crate) async fn act(&self, request: OperatorToSupervisor) -> Result<String, CliError> {
        match self.ask(request, ACTION_TIMEOUT).await? {
            SupervisorToOperator::Done(sentence) => Ok(sentence),
            SupervisorToOperator::Failed(why) => Err(CliError::Refused(why)),
            _ => Err(CliError::SupervisorAnswer),
        }
    }

    /// Checks that there is such a server; otherwise the error names the nearest one.
    pub(crate) async fn known_server(&self, name: &str) -> Result<ServerName, CliError> {
        let report = self.status().await?;
        match report.servers.iter().find(|s| s.name.as_str() == name) {
            Some(server) => Ok(server.name.clone()),
            None => Err(names::unknown_server(name, report.servers.iter().map(|s| s.name.as_str()))),
        }
    }

    /// Sends a request; the answers follow.
    pub(crate) async fn send(&self, request: OperatorToSupervisor) -> Result<Receiver<SupervisorToOperator>, CliError> {
        self.converse(request).await.map(|(receiver, _)| receiver)
    }

    /// The same for a request on which more follow.
    pub(crate) async fn converse(
        &self,
        request: OperatorToSupervisor,
    ) -> Result<(Receiver<SupervisorToOperator>, Sender<OperatorToSupervisor>), CliError> {
        let mut connection = self.connect().await?;
        introduce(&mut connection).await.map_err(CliError::SupervisorHello)?;
        let (receiver, mut sender) = connection.control::<SupervisorToOperator, OperatorToSupervisor>();
        sender.send(&request).await?;
        Ok((receiver, sender))
    }

    /// Waits until no process listens any more.
    pub(crate) async fn is_gone_within(&self, limit: Duration) -> bool {
        let gone = async {
            while self.connect().await.is_ok() {
                tokio::time::sleep(POLL).await;
            }
        };
        timeout(limit, gone).await.is_ok()
    }

    async fn ask(&self, request: OperatorToSupervisor, wait: Duration) -> Result<SupervisorToOperator, CliError> {
        let answer = async {
            let next = self.send(request).await?.next().await?;
            next.map(|(message, _)| message).ok_or(CliError::SupervisorGone)
        };
        timeout(wait, answer).await.map_err(|_| CliError::SupervisorSilent(wait.as_secs()))?
    }

    async fn connect(&self) -> Result<mcproxy_ipc::Connection, CliError> {
        for path in &self.sockets {
            match connect_with_retries(path).await {
                Ok(connection) => {
                    let uid = connection.peer().uid;
                    let ours = rustix::process::geteuid().as_raw();
                    // `/tmp` is open to all: another user could pose as our supervisor.
                    return match uid {
                        Some(uid) if uid != ours && uid != 0 && ours != 0 => {
                            Err(CliError::ForeignSupervisor { path: path.clone(), uid })
                        }
                        _ => Ok(connection),
                    };
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
                Err(source) => return Err(CliError::SupervisorSocket { path: path.clone(), source }),
            }
        }
        if let Some(dir) = self.system_service {
            let found = others_service(dir);
            if let Some(found) = found {
                return Err(found);
            }
        }
        Err(CliError::NoSupervisor(self.sockets[0].clone()))
    }
}

/// The service that keeps its sockets in this directory, if that is another user's and not ours to look into.
fn others_service(dir: &'static str) -> Option<CliError> {
    let owner = std::fs::metadata(dir).ok().filter(|found| found.is_dir())?.uid();
    let us = rustix::process::geteuid().as_raw();
    if owner == us || us == 0 {
        return None;
    }
    Some(CliError::OthersService { dir: dir.into(), user: user_name(owner) })
}

/// The name of a local account; its number where there is none of that number.
fn user_name(uid: u32) -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_uid = |line: &&str| line.split(':').nth(2).and_then(|number| number.parse().ok()) == Some(uid);
    let name = accounts.lines().find(of_uid).and_then(|line| line.split(':').next()).filter(|name| !name.is_empty());
    name.map_or_else(|| format!("user {uid}"), str::to_owned)
}

/// Calls the supervisor. While so many others wait to be let in that there is no room for one more (connect(2), EAGAIN), again and
/// again.
async fn connect_with_retries(path: &Path) -> io::Result<mcproxy_ipc::Connection> {
    let begun = Instant::now();
    loop {
        match mcproxy_ipc::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && begun.elapsed() < ANSWER_TIMEOUT => {
                tokio::time::sleep(CROWDED).await;
            }
            other => return other,
        }
    }
}

/// Has something done and prints what the supervisor says about it.
pub(crate) async fn act_and_tell(
    supervisor: &SupervisorClient,
    request: OperatorToSupervisor,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let sentence = console.waiting("waiting for the supervisor", supervisor.act(request)).await?;
    tell_done(&sentence, json, console)?;
    Ok(Exit::Ok)
}

/// Has the configuration read that was just written, and says what came of it. Whether all that changed is as it should be.
pub(crate) async fn reload_written(supervisor: &SupervisorClient, console: &mut Console) -> Result<bool, CliError> {
    let reload = supervisor.act(OperatorToSupervisor::Reload);
    let (outcome, good) = match console.waiting("MCProxy reads it", reload).await {
        Ok(sentence) => (sentence, true),
        Err(CliError::Refused(why)) => (why, false),
        Err(error) => return Err(error),
    };
    for line in outcome.lines() {
        console.remark(wrapped(&one_line(line), console.width, "  "));
    }
    Ok(good)
}

/// Prints a sentence about what was done.
pub(crate) fn tell_done(sentence: &str, json: bool, console: &mut Console) -> Result<(), CliError> {
    if json {
        writeln!(console.out, "{}", serde_json::json!({"done": sentence}))?;
    } else {
        writeln!(console.out, "{}", super::human::printable(sentence))?;
    }
    Ok(())
}
