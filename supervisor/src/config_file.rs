//! Reading the configuration beside the supervisor's thread: a disk that does not answer (a network file system whose server is
//! gone, say) stops nothing else.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use mcproxy_config::{Config, LoadError};
use tokio::{sync::Semaphore, time::timeout};

/// Longest wait for the content of the file. Beyond that the file counts as unreadable.
pub(crate) const READ_LIMIT: Duration = Duration::from_secs(5);

/// A digest of what a file holds, or why it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    fn of(content: Result<&[u8], &[String]>) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The file at one moment. (It has no `Debug`: secrets may be written in it.)
pub(crate) struct ConfigReading {
    pub(crate) fingerprint: Fingerprint,
    /// Its bytes; none when it cannot be read.
    pub(crate) content: Option<Vec<u8>>,
    /// The configuration in it, or its mistakes: every problem is one line.
    pub(crate) config: Result<Config, Vec<String>>,
}

impl ConfigReading {
    /// As it is. Blocks as long as the disk does.
    fn now(path: &Path) -> Self {
        match Config::content(path) {
            Ok(bytes) => {
                let config = parsed(&bytes, path);
                Self { fingerprint: Fingerprint::of(Ok(&bytes)), content: Some(bytes), config }
            }
            Err(error) => Self::failed(problems(&error)),
        }
    }

    /// The disk did not answer.
    fn late(path: &Path) -> Self {
        let what = format!("cannot read {}: no answer within {} s", path.display(), READ_LIMIT.as_secs());
        Self::failed(vec![what])
    }

    fn failed(problems: Vec<String>) -> Self {
        Self { fingerprint: Fingerprint::of(Err(&problems)), content: None, config: Err(problems) }
    }

    /// At the start, before there is anything that could be held up. The program that started us is told in time all the same.
    pub(crate) fn first(path: &Path) -> Self {
        let (to, read) = mpsc::channel();
        let file = path.to_owned();
        // Its answer may come when no caller waits any more.
        thread::spawn(move || {
            let _ = to.send(Self::now(&file));
        });
        read.recv_timeout(READ_LIMIT).unwrap_or_else(|_| Self::late(path))
    }
}

/// The configuration in these bytes, as if they were the file at `path`.
pub(crate) fn parsed(bytes: &[u8], path: &Path) -> Result<Config, Vec<String>> {
    Config::of_file(bytes, path, &|name| std::env::var(name).ok()).map_err(|error| problems(&error))
}

fn problems(error: &LoadError) -> Vec<String> {
    let text = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let help = error.help().map(|help| format!("{help}; or name the configuration with --config FILE"));
    text.lines().map(str::to_owned).chain(help).collect()
}

/// The file that is read again and again.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    /// One thread reads at a time: where none comes back, no more follow it.
    turn: Arc<Semaphore>,
    limit: Duration,
}

impl ConfigFile {
    /// At this path.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, turn: Arc::new(Semaphore::new(1)), limit: READ_LIMIT }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file as it is now; an error after [`READ_LIMIT`].
    pub(crate) async fn read(self) -> ConfigReading {
        let (path, turn) = (self.path.clone(), self.turn);
        let read = async {
            let turn = turn.acquire_owned().await.ok()?;
            let file = self.path;
            let reading = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                ConfigReading::now(&file)
            });
            // A panic ends the process before this is seen.
            reading.await.ok()
        };
        timeout(self.limit, read).await.ok().flatten().unwrap_or_else(|| ConfigReading::late(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_file_is_a_problem_that_names_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mcp-servers.json");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        let file = ConfigFile::new(path.clone());
        let problems = file.clone().read().await.config.expect_err("a pipe");
        assert!(problems[0].contains("named pipe"), "{problems:?}");
        assert_eq!(ConfigReading::first(&path).config.expect_err("a pipe"), problems);
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, "{}").expect("written");
        let reading = file.clone().read().await;
        assert!(reading.config.is_ok() && reading.fingerprint == file.clone().read().await.fingerprint);
        std::fs::write(&path, "{ }").expect("written");
        assert_ne!(file.read().await.fingerprint, reading.fingerprint);
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_waited_for_once_and_not_for_ever() {
        let file =
            ConfigFile { limit: Duration::from_millis(100), ..ConfigFile::new("/nowhere/mcp-servers.json".into()) };
        let stuck = file.turn.clone().acquire_owned().await.expect("open");
        let problems = file.clone().read().await.config.expect_err("no answer");
        assert!(problems[0].contains("no answer within 5 s"), "{problems:?}");
        drop(stuck);
        let file = ConfigFile { limit: READ_LIMIT, ..file };
        assert!(!file.read().await.config.expect_err("no such file")[0].contains("no answer"));
    }
}
