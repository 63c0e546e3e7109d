//! Starting a server's process: through the launcher, a small program that becomes the server (`mcproxy-launch`).

use std::{
    ffi::OsString,
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, Stdio},
    rc::Rc,
};

use mcproxy_confine::hand_on;
use mcproxy_ipc::{EndReason, LaunchSpec, WorkerSpec, find_program, our_program};
use mcproxy_launch::LaunchOrder;
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::read,
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use tokio::{
    io::unix::AsyncFd,
    net::unix::pipe::{Receiver, Sender},
};

use crate::{cgroup::ServerCgroup, environment, tree::Tree, watched::watched};

/// Most bytes of why a launcher failed: what one write puts into a pipe as a whole (pipe(7), PIPE_BUF).
const LONGEST_COMPLAINT: usize = 4096;

/// The launcher's program, opened while this process may still reach it: the user that it becomes may not, and whoever installs
/// another version meanwhile does not change what this worker starts.
#[derive(Debug, Clone)]
pub(crate) struct LauncherProgram(Rc<Result<OwnedFd, String>>);

impl LauncherProgram {
    /// Where the programs of MCProxy are. That there is none is an error of the first start.
    pub(crate) fn find() -> Self {
        let open = || {
            let path = our_program(mcproxy_launch::PROGRAM)?;
            let opened = openat(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            opened.map_err(|error| io::Error::other(format!("{} cannot be opened: {error}", path.display())))
        };
        Self(Rc::new(open().map_err(|error: io::Error| error.to_string())))
    }

    /// For the domain in which it is to be executed.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().as_ref().ok().map(AsFd::as_fd)
    }

    fn command(&self) -> Result<Command, EndReason> {
        match &*self.0 {
            Ok(program) => {
                let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
                command.arg0(mcproxy_launch::PROGRAM);
                Ok(command)
            }
            Err(why) => Err(EndReason::Spawn(why.clone())),
        }
    }
}

/// Starts servers below this worker.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    pub(crate) program: LauncherProgram,
    pub(crate) tree: Tree,
}

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
    complaints: Complaints,
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

    /// Takes the exit status of a leader that has ended, or why it never was the server.
    pub(crate) fn reap(&mut self) -> Option<EndReason> {
        let status = self.child.try_wait().ok()??;
        self.reaped = true;
        let exited = EndReason::Exited { code: status.code(), signal: status.signal() };
        Some(self.complaints.read().map_or(exited, EndReason::Spawn))
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

impl Launcher {
    /// Starts the server of `spec` with this command, in a process group of its own; `mark` goes into its environment.
    pub(crate) fn start(&self, spec: &WorkerSpec, launch: &LaunchSpec, mark: &str) -> Result<StartedServer, EndReason> {
        let confinement = &spec.confinement;
        let environment = environment::of_server(launch, confinement, mark, std::env::vars_os());
        let order = LaunchOrder {
            parent: std::process::id(),
            waits: spec.cgroup.is_some(),
            limits: confinement.hardening.is_on().then_some(confinement.limits),
            program: find_program(launch, environment::lookup(&environment, "PATH"))?,
            args: launch.args.iter().map(|arg| arg.expose().into()).collect(),
        };
        let mut command = self.program.command()?;
        command
            .env_clear()
            .envs(environment)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(cwd) = &launch.cwd {
            command.current_dir(cwd);
        }
        let started = Complaints::open().and_then(|(complaints, theirs)| {
            let order = order.seal()?;
            let spawn = |order: OsString| hand_on(theirs, |number| command.args([order, number]).spawn());
            let child = order.hand_on(spawn)?;
            self.started(in_cgroup(child, spec)?, complaints)
        });
        started.map_err(|error| EndReason::Spawn(error.to_string()))
    }

    fn started(&self, mut child: Child, complaints: Complaints) -> io::Result<StartedServer> {
        let raw = i32::try_from(child.id()).map_err(io::Error::other)?;
        let pid = Pid::from_raw(raw).ok_or_else(|| io::Error::other("a process without an id"))?;
        let ended = watched(pidfd_open(pid, PidfdFlags::empty())?)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let missing = || io::Error::other("a pipe is missing");
        let stdin = Sender::from_owned_fd(stdin.ok_or_else(missing)?.into())?;
        let stdout = Receiver::from_owned_fd(stdout.ok_or_else(missing)?.into())?;
        let stderr = Receiver::from_owned_fd(stderr.ok_or_else(missing)?.into())?;
        self.tree.insert(child.id());
        let process = ServerProcess { child, pid, ended, complaints, reaped: false, tree: self.tree.clone() };
        Ok(StartedServer { process, stdin, stdout, stderr })
    }
}

/// Moves the launcher, which waits for that, into the server's cgroup. The server's tree is ended without one, too.
fn in_cgroup(mut child: Child, spec: &WorkerSpec) -> io::Result<Child> {
    if let Some(path) = &spec.cgroup {
        let refusal = ServerCgroup::at(path).take_in(child.id()).err();
        let word = refusal.map(|error| format!("cannot join {}: {error}", path.display())).unwrap_or_default();
        let stdin = child.stdin.as_mut().ok_or_else(|| io::Error::other("a pipe is missing"))?;
        // A launcher that is gone has complained.
        let _ = writeln!(stdin, "{}", word.replace('\n', " "));
    }
    Ok(child)
}

/// Where a launcher says why it did not become its server. The server does not inherit the other end.
#[derive(Debug)]
struct Complaints(OwnedFd);

impl Complaints {
    /// With the launcher's end.
    fn open() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // How much the pipes of a user may hold is limited (pipe(7)). In vain, it holds more.
        let _ = fcntl_setpipe_size(&ours, LONGEST_COMPLAINT);
        Ok((Self(ours), theirs))
    }

    /// What it said before it ended.
    fn read(&self) -> Option<String> {
        let mut bytes = [0; LONGEST_COMPLAINT];
        // Nothing there is the end of the pipe, or EAGAIN where a process that was started has the other end.
        let length = read(&self.0, &mut bytes).ok().filter(|length| *length > 0)?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}
