//! A worker or the gateway as a process: spawned with a cleared environment, known as ours, killed as a group.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use mcproxy_ipc::{ChildConnection, DUMPABLE_VARIABLE, REMOTE_WORKER, Reach, SealedOrder, WORKER, our_program};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{ChildStderr, Command};

use crate::{children::Children, lines::Lines};

/// Before the number of the descriptor in which a process of ours reads how to confine itself.
const CONFINEMENT_FLAG: &str = "--confinement";

const GATEWAY: &str = "mcproxy-gateway";

/// Our other binaries: they lie beside this one, or where packages put them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    worker: PathBuf,
    gateway: PathBuf,
    /// Where it is not, the text says so at the start of a server that needs it.
    remote_worker: Result<PathBuf, String>,
}

impl Programs {
    /// Each where it is ([`our_program`]): packages have those that people start in one place, and the others in another.
    ///
    /// # Errors
    /// One that every start needs is in no place; the text names all of them.
    pub(crate) fn find() -> io::Result<Self> {
        let remote_worker = our_program(REMOTE_WORKER).map_err(|error| error.to_string());
        Ok(Self { worker: our_program(WORKER)?, gateway: our_program(GATEWAY)?, remote_worker })
    }

    /// The worker of commands.
    pub(crate) fn worker(&self) -> PathBuf {
        self.worker.clone()
    }

    /// The worker of a server that is reached this way.
    ///
    /// # Errors
    /// It is not installed.
    pub(crate) fn worker_for(&self, reach: &Reach) -> io::Result<PathBuf> {
        match (reach, &self.remote_worker) {
            (Reach::Command(_), _) => Ok(self.worker.clone()),
            (Reach::Http(_) | Reach::Embeddings(_) | Reach::Authority(_), Ok(program)) => Ok(program.clone()),
            (Reach::Http(_) | Reach::Embeddings(_) | Reach::Authority(_), Err(why)) => {
                Err(io::Error::new(io::ErrorKind::NotFound, why.clone()))
            }
        }
    }

    /// All that are there.
    pub(crate) fn all(&self) -> impl Iterator<Item = PathBuf> {
        [&self.worker, &self.gateway].into_iter().chain(self.remote_worker.as_ref().ok()).cloned()
    }

    /// The gateway.
    pub(crate) fn gateway(&self) -> PathBuf {
        self.gateway.clone()
    }
}

/// For the tests of the gateway's confinement; nothing in release builds.
fn attempts() -> Option<(&'static str, OsString)> {
    #[cfg(debug_assertions)]
    return std::env::var_os(mcproxy_confine::ATTEMPTS_VARIABLE).map(|wish| (mcproxy_confine::ATTEMPTS_VARIABLE, wish));
    #[cfg(not(debug_assertions))]
    None
}

/// One living process of ours.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    pid: u32,
    stderr: Option<Lines<ChildStderr>>,
    children: Children,
}

/// With what a process of ours is started.
#[derive(Debug)]
pub(crate) struct ChildPlan {
    /// Our program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// Its environment, and nothing else.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// It inherits this, in which it reads how to confine itself.
    pub(crate) order: Option<SealedOrder>,
}

/// What a process of ours brings up besides its messages.
#[derive(Debug)]
pub(crate) enum ChildEvent {
    /// It wrote a line to stderr: a panic, most likely.
    Line(String),
    /// It is gone and was waited for.
    Exited(ExitStatus),
}

impl Child {
    /// Spawns it in a process group of its own, with a control connection to us as its standard input. To be called on the main
    /// thread only: the parent-death signal of the child fires when the thread that forked it ends.
    pub(crate) fn spawn(mut plan: ChildPlan, children: &Children) -> io::Result<(Self, ChildConnection)> {
        match plan.order.take() {
            Some(order) => order.hand_on(|number| {
                plan.args.extend([CONFINEMENT_FLAG.into(), number]);
                Self::spawn_as_planned(plan, children)
            }),
            None => Self::spawn_as_planned(plan, children),
        }
    }

    fn spawn_as_planned(plan: ChildPlan, children: &Children) -> io::Result<(Self, ChildConnection)> {
        let ChildPlan { program, args, environment, order: _ } = plan;
        let (connection, theirs) = ChildConnection::pair()?;
        let mut process = Command::new(&program)
            .args(args)
            .env_clear()
            .envs(environment)
            .envs(std::env::var_os(DUMPABLE_VARIABLE).map(|wish| (DUMPABLE_VARIABLE, wish)))
            .envs(attempts())
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
        let pid = process.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        children.insert(pid);
        let stderr = process.stderr.take().map(Lines::new);
        Ok((Self { process, pid, stderr, children: children.clone() }, connection))
    }

    /// Its process id, and that of its group.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// SIGKILL to its whole group. Nothing happens when it is gone already.
    pub(crate) fn kill(&self) {
        if self.process.id().is_some()
            && let Ok(raw) = i32::try_from(self.pid)
            && let Some(pid) = Pid::from_raw(raw)
        {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// The next thing that happens to it. Cancel safe.
    pub(crate) async fn next(&mut self) -> ChildEvent {
        loop {
            let line = async {
                match &mut self.stderr {
                    Some(lines) => lines.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                line = line => match line {
                    Ok(Some(line)) => return ChildEvent::Line(line),
                    Ok(None) | Err(_) => self.stderr = None,
                },
                status = self.process.wait() => {
                    self.children.remove(self.pid);
                    // It cannot fail for a child that nobody else waits for.
                    return ChildEvent::Exited(status.unwrap_or_default());
                }
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        self.children.remove(self.pid);
    }
}
