//! A worker or the gateway as a process: spawned with a cleared environment, known as ours, killed as a group.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use mcproxy_ipc::{ChildConnection, DUMPABLE_VARIABLE, SealedOrder};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{ChildStderr, Command};

use crate::{children::Children, lines::Lines};

/// Before the number of the descriptor in which a process of ours reads how to confine itself.
const CONFINEMENT_FLAG: &str = "--confinement";

/// Where packages put programs that people do not call (Filesystem Hierarchy Standard, 4.7).
const PACKAGED: [&str; 2] = ["/usr/libexec/mcproxy", "/usr/lib/mcproxy"];
const WORKER: &str = "mcproxy-worker";
const GATEWAY: &str = "mcproxy-gateway";

/// Our other binaries: they lie beside this one, or where packages put them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// The first place that has both: beside the running binary, in `libexec/mcproxy` or `lib/mcproxy` of the same prefix, or of
    /// `/usr`.
    ///
    /// # Errors
    /// There is none; the text names all places.
    pub(crate) fn find() -> io::Result<Self> {
        let exe = std::env::current_exe()?;
        let places = places(&exe);
        let found = places.iter().find(|dir| [WORKER, GATEWAY].iter().all(|program| dir.join(program).is_file()));
        match found {
            Some(dir) => Ok(Self { dir: dir.clone() }),
            None => {
                let places: Vec<String> = places.iter().map(|dir| dir.display().to_string()).collect();
                let text = format!(
                    "{WORKER} and {GATEWAY} are not installed: they belong beside {}; looked for in {}",
                    exe.display(),
                    places.join(", ")
                );
                Err(io::Error::new(io::ErrorKind::NotFound, text))
            }
        }
    }

    /// The worker.
    pub(crate) fn worker(&self) -> PathBuf {
        self.dir.join(WORKER)
    }

    /// The gateway.
    pub(crate) fn gateway(&self) -> PathBuf {
        self.dir.join(GATEWAY)
    }
}

/// The places in which they may be, for a binary of this path.
fn places(exe: &Path) -> Vec<PathBuf> {
    let beside = exe.parent().unwrap_or_else(|| Path::new("/"));
    let prefix = beside.parent().unwrap_or_else(|| Path::new("/"));
    let ours = [beside.to_owned(), prefix.join("libexec/mcproxy"), prefix.join("lib/mcproxy")];
    let mut places: Vec<PathBuf> = Vec::new();
    for place in ours.into_iter().chain(PACKAGED.map(PathBuf::from)) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_programs_are_beside_us_or_where_packages_put_them() {
        let of = |exe: &str| places(Path::new(exe)).iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>();
        assert_eq!(of("/usr/bin/mcproxy-supervisor"), ["/usr/bin", "/usr/libexec/mcproxy", "/usr/lib/mcproxy"]);
        let local = of("/usr/local/bin/mcproxy-supervisor");
        assert_eq!(local[..3], ["/usr/local/bin", "/usr/local/libexec/mcproxy", "/usr/local/lib/mcproxy"]);
        assert_eq!(local[3..], PACKAGED);
    }
}
