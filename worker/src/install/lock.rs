//! Whose turn it is to install into an entry of `npx`'s cache: npm before version 11 lets two installations of one package write
//! into each other. The folder itself is locked, which leaves nothing behind and holds between all workers of a machine.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mcproxy_ipc::LaunchSpec;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::entry::npx_entry;

/// Time between two attempts to take the lock.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// The process that held a lock of npm is gone when the lock was not touched for so long.
const LOCK_IS_STALE: Duration = Duration::from_secs(5);

/// The turn, for as long as this exists.
#[derive(Debug)]
pub(crate) struct InstallLock {
    entry: PathBuf,
    _lock: File,
}

/// How a wait for the turn went on.
#[derive(Debug)]
pub(crate) enum LockWait {
    /// The start may begin. There is nothing to hold when everything is installed, or nothing is.
    Over(Option<InstallLock>),
    /// Another start is installing; look again after this time.
    Again(Duration),
}

impl InstallLock {
    /// One look of a start that wants to begin, and waits until then at the latest.
    pub(crate) fn look(
        launch: &LaunchSpec,
        variable: &dyn Fn(&str) -> Option<PathBuf>,
        until: Instant,
        now: Instant,
    ) -> LockWait {
        let Some(entry) = npx_entry(launch, variable).map(|entry| entry.path()) else { return LockWait::Over(None) };
        if is_installed(&entry) || now >= until {
            return LockWait::Over(None);
        }
        // As npm does; what it cannot have either, it will say itself.
        let taken = fs::create_dir_all(&entry).and_then(|()| Self::take(&entry));
        match taken {
            Ok(Some(_)) if npm_installs(&entry) => LockWait::Again(RETRY_INTERVAL),
            Ok(Some(lock)) => LockWait::Over(Some(lock)),
            Ok(None) => LockWait::Again(RETRY_INTERVAL),
            Err(_) => LockWait::Over(None),
        }
    }

    /// Takes the turn for this folder; `None`: another has it.
    pub(super) fn take(entry: &Path) -> io::Result<Option<Self>> {
        // A folder, and nothing that would be waited for.
        let flags = (OFlags::DIRECTORY | OFlags::NONBLOCK).bits().cast_signed();
        let lock = OpenOptions::new().read(true).custom_flags(flags).open(entry)?;
        match flock(lock.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // It may have been removed, and made again, since it was opened.
        let (ours, there) = (lock.metadata()?, fs::symlink_metadata(entry)?);
        let same = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
        Ok(same.then(|| Self { entry: entry.to_owned(), _lock: lock }))
    }

    /// Whether the installation is not over yet.
    pub(super) fn is_needed(&self) -> bool {
        !is_installed(&self.entry)
    }
}

/// Whether an `npx` that is none of ours holds the lock of npm 11, which it touches every second. One that was killed leaves the
/// lock behind, and npm would wait a minute for it: it is removed.
fn npm_installs(entry: &Path) -> bool {
    let lock = entry.join("concurrency.lock");
    let Ok(touched) = fs::symlink_metadata(&lock).and_then(|found| found.modified()) else { return false };
    if touched.elapsed().is_ok_and(|age| age < LOCK_IS_STALE) {
        return true;
    }
    // It is an empty folder, or not npm's; then npm will say what is wrong with it.
    let _ = fs::remove_dir(&lock);
    false
}

/// npm writes this file when all others are there.
fn is_installed(entry: &Path) -> bool {
    entry.join("node_modules/.package-lock.json").is_file()
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::Secret;

    use super::*;

    #[test]
    fn one_start_at_a_time_installs_and_the_next_begins_when_that_is_done() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().to_owned();
        let variable = move |name: &str| (name == "HOME").then(|| path.clone());
        let args = vec![Secret::new("-y"), Secret::new("x")];
        let npx = LaunchSpec { program: "npx".into(), args, env: Vec::new(), cwd: None, looked_up: Vec::new() };
        let now = Instant::now();
        let until = now + Duration::from_secs(60);
        let look = |at: Instant| InstallLock::look(&npx, &variable, until, at);
        let LockWait::Over(Some(first)) = look(now) else { panic!("no other start is there") };
        assert!(matches!(look(now), LockWait::Again(_)));
        assert!(matches!(look(until), LockWait::Over(None)), "no start waits for ever");
        assert!(first.is_needed());
        let modules = first.entry.join("node_modules");
        fs::create_dir(&modules).expect("made");
        assert!(matches!(look(now), LockWait::Again(_)));
        fs::write(modules.join(".package-lock.json"), "{}").expect("written");
        assert!(!first.is_needed());
        assert!(matches!(look(now), LockWait::Over(None)));
        fs::remove_dir_all(&modules).expect("removed");
        drop(first);
        assert!(matches!(look(now), LockWait::Over(Some(_))));
    }

    #[test]
    fn a_lock_that_a_killed_npm_left_is_removed_and_one_that_is_held_is_waited_for() {
        let entry = tempfile::tempdir().expect("a directory");
        let lock = entry.path().join("concurrency.lock");
        assert!(!npm_installs(entry.path()));
        fs::create_dir(&lock).expect("made");
        assert!(npm_installs(entry.path()) && lock.exists());
        let made = fs::metadata(&lock).and_then(|found| found.modified()).expect("it has a time");
        File::open(&lock).and_then(|lock| lock.set_modified(made - 2 * LOCK_IS_STALE)).expect("touched");
        assert!(!npm_installs(entry.path()) && !lock.exists());
    }

    #[test]
    fn what_is_no_package_runner_waits_for_nobody() {
        let program =
            LaunchSpec { program: "node".into(), args: Vec::new(), env: Vec::new(), cwd: None, looked_up: Vec::new() };
        let now = Instant::now();
        assert!(matches!(InstallLock::look(&program, &|_| None, now, now), LockWait::Over(None)));
    }
}
