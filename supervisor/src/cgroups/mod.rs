//! Control groups of version 2 (cgroups(7)) for the trees of servers: one for each incarnation, below our own cgroup, where
//! that is ours to divide. What is in one can be killed at once, whoever its parent is and whatever user it became, and is
//! found by the next start when all of us were killed. Where the controllers are ours as well, it bounds what its server uses.
//! Without any, trees are found by their parents (`orphans`), and bounded by looking (the worker).
//!
//! ```text
//! our own cgroup            as the service manager, the container or a person made it; without a process from now on
//! └─ mcproxy-…              named for our runtime directory
//!    ├─ main                supervisor, gateway, workers; only with controllers
//!    ├─ time.1              server `time`, generation 1, with all that it starts
//!    └─ git.2               where the server has a user of its own:
//!       ├─ worker
//!       └─ server           the user may move from `worker` to here, and nothing else
//! ```

mod bounds;
mod controllers;
mod error;
mod missing_bounds;
mod own;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mcproxy_ipc::{Generation, Instances, ServerLimits, ServerName};

use self::{
    bounds::bounds,
    controllers::{Controllers, put},
    error::io_error,
    own::OwnCgroup,
};
pub(crate) use self::{error::CgroupsError, missing_bounds::MissingBounds};

/// How long killed leftovers may take to go.
const GONE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// The directory of our cgroups. Removed at the end, where that needs no privilege; else an empty one stays for the next start.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// The one that we were started in.
    home: PathBuf,
    base: PathBuf,
    controllers: Option<Controllers>,
}

/// The cgroup of one incarnation. Whatever is in it at the end is killed.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    of_server: PathBuf,
    /// The worker's, where it is not in ours.
    of_worker: Option<PathBuf>,
}

impl Cgroups {
    /// Below our own cgroup, under a name that belongs to our runtime directory: what is in there already is what an earlier
    /// supervisor left ([`Cgroups::open`]). To be called before privileges are given up: the root of a hierarchy is a directory that
    /// nobody may write to, and there root needs one of them to make another.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn make(identity: &str) -> Result<Self, CgroupsError> {
        Self::below(OwnCgroup::delegated()?, identity)
    }

    fn below(own: OwnCgroup, identity: &str) -> Result<Self, CgroupsError> {
        let base = own.path.join(identity);
        if !base.exists() {
            create(&base)?;
        }
        let cgroups = Self { home: own.path, base, controllers: None };
        if cgroups.base.join("cgroup.kill").exists() { Ok(cgroups) } else { Err(CgroupsError::NoKill) }
    }

    /// Kills what an earlier supervisor left in there, once what is known to be of it by its parents was ended: a worker that dies
    /// here leaves nobody by whom what it started elsewhere could be found. With `bounded` they get controllers. Says what cannot be
    /// had, too, for those who want it.
    pub(crate) fn open(made: Result<Self, CgroupsError>, bounded: bool) -> (Option<Self>, Option<MissingBounds>) {
        match made.and_then(|cgroups| clear(&cgroups.base).map(|()| cgroups)) {
            Ok(mut cgroups) => {
                let missing = if bounded { cgroups.bound() } else { None };
                (Some(cgroups), missing)
            }
            Err(error) => (None, Some(MissingBounds::all(&error))),
        }
    }

    fn bound(&mut self) -> Option<MissingBounds> {
        match Controllers::enable(&self.home, &self.base) {
            Ok(controllers) => {
                let missing = controllers.missing();
                self.controllers = Some(controllers);
                let names: Vec<&str> = missing.iter().map(|controller| controller.name()).collect();
                let reason = format!("{} lacks controllers: {}", self.home.display(), names.join(", "));
                let help =
                    "with systemd, write Delegate=yes into the unit; for services of users, also for user@.service";
                (!missing.is_empty()).then(|| MissingBounds::some(missing, reason, help))
            }
            Err(error) => Some(MissingBounds::all(&error)),
        }
    }

    /// A new one for this incarnation. `user` is the server's, where that is not ours. What of its limits cannot be written is
    /// returned beside it.
    pub(crate) fn create(
        &self,
        (server, generation): (&ServerName, Generation),
        (limits, instances): (&ServerLimits, &Instances),
        user: Option<u32>,
    ) -> Result<(Cgroup, Vec<CgroupsError>), CgroupsError> {
        let path = self.base.join(format!("{server}.{generation}"));
        create(&path)?;
        let mut cgroup = Cgroup { of_server: path.clone(), of_worker: None, path };
        if let Some(user) = user {
            cgroup.divide(user, self.controllers.as_ref())?;
        }
        let Some(controllers) = &self.controllers else { return Ok((cgroup, Vec::new())) };
        let bounds = bounds(limits, instances).into_iter().filter(|(controller, ..)| controllers.has(*controller));
        let refused = bounds.filter_map(|(_, file, value)| {
            let file = cgroup.of_server.join(file);
            // Not every kernel accounts for swap.
            if file.ends_with("memory.swap.max") && !file.exists() {
                return None;
            }
            put(&file, &value).map_err(io_error("write", &file)).err()
        });
        let refused = refused.collect();
        Ok((cgroup, refused))
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // Those that were not empty yet when their worker had ended.
        remove_below(&self.base);
        self.controllers = None;
        let _ = fs::remove_dir(&self.base);
    }
}

impl Cgroup {
    /// The one that the server and all it starts belong in.
    pub(crate) fn of_server(&self) -> &Path {
        &self.of_server
    }

    /// A process may be moved by who may write to both ends and to what is above both: with a user of its own a server starts
    /// in `worker`, from where this user may move to `server` and nowhere else, and may move nobody but its own processes.
    fn divide(&mut self, user: u32, controllers: Option<&Controllers>) -> Result<(), CgroupsError> {
        let (server, worker) = (self.path.join("server"), self.path.join("worker"));
        for path in [&server, &worker] {
            create(path)?;
        }
        if let Some(controllers) = controllers {
            controllers.pass_on(&self.path)?;
        }
        for file in [self.path.join("cgroup.procs"), server.join("cgroup.procs"), server.join("cgroup.kill")] {
            std::os::unix::fs::chown(&file, Some(user), None).map_err(io_error("give away", &file))?;
        }
        (self.of_server, self.of_worker) = (server, Some(worker));
        Ok(())
    }

    /// Takes a worker in whose server has a user of its own; before it starts the server.
    pub(crate) fn take_in(&self, worker: u32) -> Result<(), CgroupsError> {
        let Some(path) = &self.of_worker else { return Ok(()) };
        put(&path.join("cgroup.procs"), &worker.to_string()).map_err(io_error("move a worker to", path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        // In vain while a process in it is still ending; then it is done at the end.
        remove_below(&self.path);
        let _ = fs::remove_dir(&self.path);
    }
}

/// Whatever our umask is, users of servers have to find their way to their own.
fn create(path: &Path) -> Result<(), CgroupsError> {
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .map_err(io_error("create", path))
}

/// Kills what is in there and removes the cgroups below.
fn clear(base: &Path) -> Result<(), CgroupsError> {
    let until = Instant::now() + GONE;
    while let Some(below) = cgroups_below(base).next() {
        // It holds for all cgroups below as well.
        let _ = fs::write(base.join("cgroup.kill"), "1");
        remove_below(base);
        match fs::remove_dir(&below) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) if Instant::now() > until => return Err(io_error("remove", &below)(source)),
            Err(_) => std::thread::sleep(LOOK),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn cgroups_below(base: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// Removes the cgroups below that one; those with a process stay.
fn remove_below(base: &Path) {
    for below in cgroups_below(base) {
        remove_below(&below);
        let _ = fs::remove_dir(below);
    }
}
