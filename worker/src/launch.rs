//! Starting a server's process.
//!
//! The worker does not exec the server itself: it starts its own binary as a *launcher*, which asks the kernel to be
//! killed when the worker dies, checks that the worker still lives, and then becomes the server (`exec`, same process
//! id). That needs no code between fork and exec, hence no `unsafe`. It also asks the kernel to keep the server from its worker and
//! from all others, and for the server's limits ([0129](../../docs/decisions/0129-how-a-worker-confines-itself.md)).

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
};

use mcproxy_confine::{Domain, ResourceLimits, close_on_exec};
use mcproxy_ipc::{EndReason, LaunchSpec, SealedOrder, Secret, WorkerSpec, find_program};
use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, kill_process_group, pidfd_open, set_parent_process_death_signal,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::unix::AsyncFd,
    net::unix::pipe::{Receiver, Sender},
};

use crate::{cgroup::ServerCgroup, environment, tree::Tree, watched::watched};

/// How the launcher is told apart from a worker.
pub(crate) const LAUNCH_FLAG: &str = "--launch";
/// A shell's exit code for a command that cannot be run.
const CANNOT_EXEC: u8 = 127;

/// A running server and our ends of its pipes.
pub(crate) struct StartedServer {
    pub(crate) process: ServerProcess,
    pub(crate) stdin: Sender,
    pub(crate) stdout: Receiver,
    pub(crate) stderr: Receiver,
}

/// A server's leading process and its group.
pub(crate) struct ServerProcess {
    child: Child,
    pid: Pid,
    /// Readable once the leader has ended. Until it is reaped its process id is not given to anyone else.
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
    tree: Tree,
}

impl ServerProcess {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the leader has ended; it is not reaped yet.
    pub(crate) async fn ended(&self) {
        // Ready is all we want to know; an error here means that the runtime is going away.
        let _ = self.ended.readable().await.map(|mut guard| guard.retain_ready());
    }

    /// Signals the whole group. That nobody is left in it is fine.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }

    /// Takes the exit status of a leader that has ended.
    pub(crate) fn reap(&mut self) -> Option<EndReason> {
        let status = self.child.try_wait().ok()??;
        self.reaped = true;
        Some(EndReason::Exited { code: status.code(), signal: status.signal() })
    }
}

impl Drop for ServerProcess {
    /// However the worker's run ends, the group does not outlive it.
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
        }
        // If it has not ended yet, it is collected like any other.
        self.tree.remove(self.pid());
    }
}

/// Starts the server of `spec` with this command, in a process group of its own, below `tree`; `mark` goes into its environment.
pub(crate) fn spawn(
    spec: &WorkerSpec,
    launch: &LaunchSpec,
    mark: &str,
    tree: &Tree,
) -> Result<StartedServer, EndReason> {
    let confinement = &spec.confinement;
    let environment = environment::of_server(launch, confinement, mark, std::env::vars_os());
    let program = find_program(launch, environment::lookup(&environment, "PATH"))?;
    let order = LaunchOrder {
        parent: std::process::id(),
        waits: spec.cgroup.is_some(),
        program,
        args: launch.args.clone(),
        limits: confinement.hardening.is_on().then_some(confinement.limits),
    };
    let order = SealedOrder::create(&order).map_err(|error| EndReason::Spawn(error.to_string()))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("mcproxy-worker")
        .arg(LAUNCH_FLAG)
        .env_clear()
        .envs(environment)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(cwd) = &launch.cwd {
        command.current_dir(cwd);
    }
    let spawned = order.hand_on(|number| command.arg(number).spawn());
    let spawned = spawned.and_then(|child| in_cgroup(child, spec)).and_then(|child| pipes(child, tree));
    spawned.map_err(|error| EndReason::Spawn(error.to_string()))
}

/// Moves the launcher, which waits for that, into the server's cgroup. The server's tree is ended without one, too.
fn in_cgroup(mut child: Child, spec: &WorkerSpec) -> io::Result<Child> {
    if let Some(path) = &spec.cgroup {
        let refusal = ServerCgroup::at(path).take_in(child.id()).err();
        let word = refusal.map(|error| format!("cannot join {}: {error}", path.display())).unwrap_or_default();
        let stdin = child.stdin.as_mut().ok_or_else(|| io::Error::other("a pipe is missing"))?;
        // A launcher that is gone says why on its stderr.
        let _ = writeln!(stdin, "{}", word.replace('\n', " "));
    }
    Ok(child)
}

fn pipes(mut child: Child, tree: &Tree) -> io::Result<StartedServer> {
    let raw = i32::try_from(child.id()).map_err(io::Error::other)?;
    let pid = Pid::from_raw(raw).ok_or_else(|| io::Error::other("a process without an id"))?;
    let ended = watched(pidfd_open(pid, PidfdFlags::empty())?)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let missing = || io::Error::other("a pipe is missing");
    let stdin = Sender::from_owned_fd(stdin.ok_or_else(missing)?.into())?;
    let stdout = Receiver::from_owned_fd(stdout.ok_or_else(missing)?.into())?;
    let stderr = Receiver::from_owned_fd(stderr.ok_or_else(missing)?.into())?;
    tree.insert(child.id());
    let process = ServerProcess { child, pid, ended, reaped: false, tree: tree.clone() };
    Ok(StartedServer { process, stdin, stdout, stderr })
}

/// What a launcher is told, in a sealed order.
#[derive(Debug, Serialize, Deserialize)]
struct LaunchOrder {
    /// The worker, without which the server must not be.
    parent: u32,
    /// Whether the worker moves the process into the server's cgroup, and says on its stdin when that is done.
    waits: bool,
    program: PathBuf,
    args: Vec<Secret>,
    /// `None`: nothing is asked of the kernel.
    limits: Option<ResourceLimits>,
}

/// The launcher: `--launch NUMBER`, the descriptor of its order. Returns only when the program cannot be run.
pub(crate) fn launcher(order: Option<&OsStr>) -> ExitCode {
    let order: LaunchOrder = match order.map(SealedOrder::read) {
        Some(Ok(order)) => order,
        Some(Err(error)) => return failed(&format!("cannot read what to start: {error}")),
        None => return ExitCode::from(64),
    };
    // Kernels before Linux 5.11 cannot: then the server inherits what MCProxy was started with, and its own order.
    let _ = close_on_exec();
    if order.waits {
        match word_of_worker() {
            Ok(complaint) if complaint.is_empty() => {}
            // This line is found in the server's log.
            Ok(complaint) => say(&complaint),
            Err(error) => return failed(&format!("cannot start {}: {error}", order.program.display())),
        }
    }
    if let Some(limits) = &order.limits
        && let Err(error) = limits.apply().and_then(|()| Domain::default().enter().map(drop))
    {
        return failed(&format!("cannot confine the server: {error}; see `mcproxy doctor security`"));
    }
    let error = match live_no_longer_than(order.parent) {
        Ok(()) => Command::new(&order.program).args(order.args.iter().map(Secret::expose)).exec(),
        Err(error) => error,
    };
    failed(&format!("cannot start {}: {error}", order.program.display()))
}

/// One line from what will be the server's stdin, and not a byte more.
fn word_of_worker() -> io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while rustix::io::read(rustix::stdio::stdin(), &mut byte)? == 1 {
        if byte == *b"\n" {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        line.extend(byte);
    }
    Err(io::Error::other("the process that started it is gone"))
}

fn failed(why: &str) -> ExitCode {
    say(why);
    ExitCode::from(CANNOT_EXEC)
}

fn say(what: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr().lock(), "mcproxy-worker: {what}");
}

/// Asks for SIGKILL at the parent's death, and checks that it has not died before that (prctl(2), PR_SET_PDEATHSIG).
fn live_no_longer_than(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().is_some_and(|pid| pid.as_raw_nonzero().get().cast_unsigned() == parent) {
        Ok(())
    } else {
        Err(io::Error::other("the process that started it is gone"))
    }
}
