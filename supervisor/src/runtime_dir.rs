//! The directory for the control socket, and the lock that keeps a second supervisor out of it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mcproxy_ipc::{processes, supervisor_socket};
use rustix::fs::{FlockOperation, OFlags, flock};

/// Longest path of a local socket, in bytes (unix(7)).
const MAX_SOCKET_PATH: usize = 107;
const FLAG: &str = "--runtime-dir";

const LOCK: &str = "supervisor.lock";
/// How long a killed supervisor may take to let go of its lock; its threads have to be scheduled for that.
const ENDING: Duration = Duration::from_secs(5);

/// Why there is no runtime directory for us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeDirError {
    /// Another supervisor holds the lock.
    #[error("already running (pid {pid}) in {}", dir.display())]
    AlreadyRunning { pid: String, dir: PathBuf },
    /// Another user could have put things there.
    #[error("{} {problem}; use {flag} to choose another directory", path.display())]
    Untrusted { path: PathBuf, problem: String, flag: &'static str },
    /// The socket's path would not fit.
    #[error("{} is too long for a socket (at most {MAX_SOCKET_PATH} bytes); use a shorter --runtime-dir", path.display())]
    TooLong { path: PathBuf },
    /// The operating system said no.
    #[error("cannot {what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A directory that belongs to us alone, locked as long as this exists.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    paths: Paths,
    _lock: File,
}

/// The names of the files in it.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    dir: PathBuf,
}

impl Paths {
    /// The directory itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the supervisor listens.
    pub(crate) fn supervisor(&self) -> PathBuf {
        supervisor_socket(&self.dir)
    }

    /// A name that no other supervisor has while this one holds its lock.
    pub(crate) fn identity(&self) -> io::Result<String> {
        let lock = fs::metadata(self.dir.join(LOCK))?;
        Ok(format!("mcproxy-{:x}-{:x}", lock.dev(), lock.ino()))
    }
}

impl RuntimeDir {
    /// Creates the directory if needed, checks that it is ours alone, and takes the lock.
    pub(crate) fn open(dir: &Path) -> Result<Self, RuntimeDirError> {
        let dir = std::path::absolute(dir).map_err(io_error("find", dir))?;
        let paths = Paths { dir };
        let socket = paths.supervisor();
        if socket.as_os_str().len() > MAX_SOCKET_PATH {
            return Err(RuntimeDirError::TooLong { path: socket });
        }
        own_directory(&paths.dir, true, FLAG)?;
        let lock = lock(&paths.dir)?;
        Ok(Self { paths, _lock: lock })
    }

    /// The names of the files in it.
    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }
}

pub(crate) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RuntimeDirError {
    let path = path.to_owned();
    move |source| RuntimeDirError::Io { what, path, source }
}

/// Creates the directory if needed and checks that it is ours alone. `flag`: how to choose another one.
pub(crate) fn own_directory(path: &Path, with_parents: bool, flag: &'static str) -> Result<(), RuntimeDirError> {
    if with_parents && let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io_error("create", path)(error)),
    }
    let untrusted = |problem: String| RuntimeDirError::Untrusted { path: path.to_owned(), problem, flag };
    let meta = fs::symlink_metadata(path).map_err(io_error("look at", path))?;
    let us = rustix::process::geteuid().as_raw();
    match meta.mode() & 0o7777 {
        _ if meta.is_symlink() => Err(untrusted("is a symbolic link".to_owned())),
        _ if !meta.is_dir() => Err(untrusted("is not a directory".to_owned())),
        _ if meta.uid() != us => Err(untrusted(format!("belongs to user {}, not to us ({us})", meta.uid()))),
        mode if mode & 0o022 != 0 => Err(untrusted(format!("can be written by others (mode {mode:o})"))),
        _ => Ok(()),
    }
}

/// Takes the lock of a directory, for as long as the file is open.
pub(crate) fn lock(dir: &Path) -> Result<File, RuntimeDirError> {
    let path = dir.join(LOCK);
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(&path)
        .map_err(io_error("open", &path))?;
    let begun = Instant::now();
    while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(io_error("lock", &path)(error.into()));
        }
        let pid = holder(&file);
        if !is_ending(&pid) || begun.elapsed() > ENDING {
            return Err(RuntimeDirError::AlreadyRunning { pid, dir: dir.to_owned() });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io_error("write", &path))?;
    Ok(file)
}

/// Who says that it holds the lock.
fn holder(file: &File) -> String {
    let mut text = [0; 32];
    let len = file.read_at(&mut text, 0).unwrap_or_default();
    let pid = String::from_utf8_lossy(&text[..len]).trim().to_owned();
    if pid.is_empty() { "unknown".to_owned() } else { pid }
}

/// Whether that process was killed a moment ago: it looks dead as soon as its first thread is, and holds the lock until the
/// last one has gone.
fn is_ending(pid: &str) -> bool {
    pid.parse().is_ok_and(|pid| processes::one(pid).is_none_or(|process| process.zombie))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_second_supervisor_learns_the_pid_of_the_first() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("mcproxy");
        let _first = RuntimeDir::open(&path).expect("free");
        let error = RuntimeDir::open(&path).expect_err("taken").to_string();
        assert!(error.contains(&format!("already running (pid {})", std::process::id())), "{error}");
    }

    #[test]
    fn the_lock_of_a_supervisor_that_is_just_being_killed_is_waited_for() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("mcproxy");
        let first = RuntimeDir::open(&path).expect("free");
        let mut dead = std::process::Command::new("true").spawn().expect("it runs");
        dead.wait().expect("it ended");
        fs::write(path.join("supervisor.lock"), dead.id().to_string()).expect("written");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| RuntimeDir::open(&path).map(|_| ()));
            drop(first);
            assert!(second.join().expect("no panic").is_ok());
        });
        assert_eq!(
            fs::read_to_string(path.join("supervisor.lock")).expect("read").trim(),
            std::process::id().to_string()
        );
    }

    #[test]
    fn a_link_or_a_directory_of_others_is_refused() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let real = dir.path().join("real");
        fs::create_dir(&real).expect("created");
        let link = dir.path().join("link");
        symlink(&real, &link).expect("linked");
        assert!(RuntimeDir::open(&link).is_err());
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).expect("set");
        assert!(RuntimeDir::open(&real).is_err());
    }

    #[test]
    fn a_path_that_is_too_long_for_a_socket_is_noticed_before_anything_is_made() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let long = dir.path().join("x".repeat(MAX_SOCKET_PATH));
        let error = RuntimeDir::open(&long).expect_err("too long").to_string();
        assert!(error.contains("too long") && !long.exists(), "{error}");
    }
}
