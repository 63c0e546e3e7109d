//! The last configuration that was in force without a mistake, kept in the state directory for a start that finds none in the
//! file (`docs/decisions/0147`).

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use mcproxy_config::MAX_FILE;
use mcproxy_ipc::kept_file;
use slog::{Logger, warn};
use tokio::task::JoinSet;

use crate::runtime_dir::{RuntimeDirError, own_directory};

const DIR: &str = "config";
const FILE: &str = "last-good.json";
/// The first line of the copy, a comment: whose copy it is. The path follows as JSON.
const HEAD: &str = "// In force last, of ";
/// Longest first line that is read, in bytes: a path of 4 KiB in which every byte is escaped, and some.
const MAX_HEAD: usize = 32 * 1024;

/// The copy of one configuration file. It is read and written as that file is: whole, and bounded.
#[derive(Debug, Clone)]
pub(crate) struct LastGood {
    file: PathBuf,
    head: String,
}

impl LastGood {
    /// In this state directory, of the file at `config`.
    ///
    /// # Errors
    /// There is no place for it that belongs to us alone.
    pub(crate) fn open(state: &Path, config: &Path) -> Result<Self, RuntimeDirError> {
        let dir = state.join(DIR);
        own_directory(&dir, false, "--state-dir")?;
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten().filter(|entry| entry.file_name() != FILE) {
            // A writer that was killed left it unfinished; it is looked at again at the next start.
            let _ = fs::remove_file(entry.path());
        }
        let path = serde_json::Value::from(config.to_string_lossy());
        Ok(Self { file: dir.join(FILE), head: format!("{HEAD}{path}\n") })
    }

    /// The bytes that the file had; none if there is no copy, or one of another file.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let bound = u64::try_from(MAX_FILE + MAX_HEAD).unwrap_or(u64::MAX);
        kept_file::open(&self.file).ok()?.take(bound).read_to_end(&mut bytes).ok()?;
        let content = bytes.strip_prefix(self.head.as_bytes())?;
        Some(content.to_vec())
    }

    /// Puts these bytes in its place; the same ones are not written again.
    fn write(&self, content: &[u8]) -> io::Result<()> {
        if self.read().is_some_and(|there| there == content) {
            return Ok(());
        }
        kept_file::replace_durably(&self.file, &[self.head.as_bytes(), content].concat())
    }

    /// Removes the copy, of whichever file it is.
    pub(crate) fn remove(state: &Path) -> io::Result<()> {
        match fs::remove_file(state.join(DIR).join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes the copy beside the supervisor's thread: one at a time, and of those that wait the newest.
pub(crate) struct LastGoodWriter {
    place: Option<LastGood>,
    writing: JoinSet<io::Result<()>>,
    next: Option<Arc<[u8]>>,
    log: Logger,
}

impl LastGoodWriter {
    /// Into `place`; without one nothing is kept.
    pub(crate) fn new(place: Option<LastGood>, log: Logger) -> Self {
        Self { place, writing: JoinSet::new(), next: None, log }
    }

    /// The configuration in these bytes is in force, without a mistake.
    pub(crate) fn keep(&mut self, content: Vec<u8>) {
        if self.place.is_some() {
            self.next = Some(content.into());
            self.write_next();
        }
    }

    fn write_next(&mut self) {
        if self.writing.is_empty()
            && let (Some(place), Some(content)) = (self.place.clone(), self.next.take())
        {
            self.writing.spawn_blocking(move || place.write(&content));
        }
    }

    /// Waits until one is written, and says so if that failed. Never ends while there is nothing to write. Cancel safe.
    pub(crate) async fn written(&mut self) {
        match self.writing.join_next().await {
            Some(written) => {
                if let Err(error) = written.map_err(io::Error::other).flatten() {
                    warn!(self.log, "the configuration in force is not kept for a start without one"; "error" => %error);
                }
                self.write_next();
            }
            None => std::future::pending().await,
        }
    }

    /// Waits until all is written.
    pub(crate) async fn settle(&mut self) {
        while !self.writing.is_empty() {
            self.written().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_copy_is_for_its_own_file_only_and_for_our_eyes_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let of = |file: &str| LastGood::open(dir.path(), Path::new(file)).expect("ours");
        let odd = of("/etc/a \n\"b\".json");
        assert_eq!(odd.read(), None);
        odd.write(b"\xef\xbb\xbf{}\n").expect("written");
        assert_eq!(of("/etc/a \n\"b\".json").read().as_deref(), Some(&b"\xef\xbb\xbf{}\n"[..]));
        assert_eq!(of("/etc/other.json").read(), None, "another file's");
        assert_eq!(fs::metadata(&odd.file).expect("there").permissions().mode() & 0o777, 0o600);
        let unfinished = odd.file.with_extension("json.1-0.tmp");
        fs::write(&unfinished, "half").expect("written");
        of("/etc/other.json").write(b"{}").expect("it takes the place");
        assert!(odd.read().is_none() && !unfinished.exists());
        LastGood::remove(dir.path()).expect("removed");
        LastGood::remove(dir.path()).expect("nothing to remove");
        assert!(!odd.file.exists());
    }

    #[tokio::test]
    async fn of_many_that_wait_the_newest_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = LastGood::open(dir.path(), Path::new("/etc/a.json")).expect("ours");
        let mut writer = LastGoodWriter::new(Some(place.clone()), Logger::root(slog::Discard, slog::o!()));
        (0..100).for_each(|number| writer.keep(format!("{{}} // {number}").into_bytes()));
        writer.settle().await;
        assert_eq!(place.read().as_deref(), Some(&b"{} // 99"[..]));
    }
}
