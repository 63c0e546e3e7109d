//! Starting a server's process.
//!
//! The worker does not exec the server itself: it starts its own binary as a *launcher*, which asks the kernel to be
//! killed when the worker dies, checks that the worker still lives, and then becomes the server (`exec`, same process
//! id). That needs no code between fork and exec, hence no `unsafe`. A sandbox goes into the same place.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

use mcproxy_ipc::{EndReason, LaunchSpec, WorkerSpec, find_program};
use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, kill_process_group, pidfd_open, set_parent_process_death_signal,
};
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
    let environment = environment::of_server(launch, mark, std::env::vars_os());
    let program = find_program(launch, environment::lookup(&environment, "PATH"))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("mcproxy-worker")
        .args([LAUNCH_FLAG, &std::process::id().to_string()])
        .arg(spec.cgroup.as_deref().unwrap_or(Path::new("")))
        .arg(program)
        .args(launch.args.iter().map(|arg| arg.expose()))
        .env_clear()
        .envs(environment)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(cwd) = &launch.cwd {
        command.current_dir(cwd);
    }
    let spawned = command.spawn().and_then(|child| pipes(child, tree));
    spawned.map_err(|error| EndReason::Spawn(error.to_string()))
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

/// The launcher: `--launch WORKER_PID CGROUP PROGRAM ARGS…`, CGROUP may be empty. Returns only when the program cannot be run.
pub(crate) fn launcher(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(parent), Some(cgroup), Some(program)) = (args.next(), args.next(), args.next()) else {
        return ExitCode::from(64);
    };
    if !cgroup.is_empty()
        && let Err(error) = ServerCgroup::at(Path::new(&cgroup)).enter()
    {
        // The server's tree is ended without it, too; this line is found in the server's log.
        let _ = writeln!(io::stderr().lock(), "mcproxy-worker: cannot join {}: {error}", cgroup.display());
    }
    let error = match live_no_longer_than(parent.to_str().and_then(|pid| pid.parse().ok())) {
        Ok(()) => Command::new(&program).args(args).exec(),
        Err(error) => error,
    };
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(io::stderr().lock(), "mcproxy-worker: cannot start {}: {error}", program.display());
    ExitCode::from(CANNOT_EXEC)
}

/// Asks for SIGKILL at the parent's death, and checks that it has not died before that (prctl(2), PR_SET_PDEATHSIG).
fn live_no_longer_than(parent: Option<i32>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if parent.is_some() && getppid().map(|pid| pid.as_raw_nonzero().get()) == parent {
        Ok(())
    } else {
        Err(io::Error::other("the process that started it is gone"))
    }
}
