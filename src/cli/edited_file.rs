//! Files of people that a command edits: written whole, with a backup beside them, and only if nobody else changed them meanwhile.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use mcproxy_config::{Config, LoadError, MAX_FILE};
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// What the file was before the last edit is beside it, under its name and this.
pub(crate) const BACKUP: &str = ".bak";
/// For files that may hold secrets, or whose readers are not known.
pub(crate) const PRIVATE: u32 = 0o600;

/// Why a file was not edited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditedFileError {
    /// Somebody else was faster.
    #[error("{} was changed by another program meanwhile; nothing was written, try again", .0.display())]
    Changed(PathBuf),
    /// It is too large to be meant.
    #[error("{} is larger than {MAX_FILE} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written. What was there is there.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A file as it was when it was read.
#[derive(Debug)]
pub(crate) struct EditedFile {
    /// Where it is, links followed: what they lead to is edited, and they stay.
    path: PathBuf,
    /// `None`: it is not there.
    content: Option<Vec<u8>>,
    /// What is behind its name in that of its backup.
    suffix: &'static str,
}

impl EditedFile {
    /// Reads a file, which may not be there.
    pub(crate) fn open(path: &Path) -> Result<Self, EditedFileError> {
        Self::open_with_backup(path, BACKUP)
    }

    /// The same of one whose backup has this behind its name.
    pub(crate) fn open_with_backup(path: &Path, suffix: &'static str) -> Result<Self, EditedFileError> {
        let failed = |source| EditedFileError::Read { path: path.to_owned(), source };
        let path = match fs::canonicalize(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok() {
                    let why = "it is a link to something that is not there";
                    return Err(failed(io::Error::new(io::ErrorKind::NotFound, why)));
                }
                return Ok(Self { path: std::path::absolute(path).map_err(failed)?, content: None, suffix });
            }
            Err(error) => return Err(failed(error)),
        };
        let content = read(&path)?;
        if content.len() > MAX_FILE {
            return Err(EditedFileError::TooLarge(path));
        }
        Ok(Self { path, content: Some(content), suffix })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it, if it is there.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Where its backup is written.
    pub(crate) fn backup(&self) -> PathBuf {
        with_suffix(&self.path, self.suffix)
    }

    /// Puts the backup, the file that it was, in its place again, or takes a file away that was not there before.
    pub(crate) fn restore(&self) -> Result<(), EditedFileError> {
        let backup = self.backup();
        let restored = match backup.exists() {
            true => self.put_back(&backup),
            false if self.is_as_read(&self.path) => fs::remove_file(&self.path).map_err(EditFault::from),
            false => Err(EditFault::Changed),
        };
        restored.map_err(|fault| self.error(fault))
    }

    fn put_back(&self, backup: &Path) -> Result<(), EditFault> {
        match renameat_with(CWD, backup, CWD, &self.path, RenameFlags::EXCHANGE) {
            Ok(()) if !self.is_as_read(backup) => {
                renameat_with(CWD, backup, CWD, &self.path, RenameFlags::EXCHANGE).map_err(io::Error::from)?;
                Err(EditFault::Changed)
            }
            Ok(()) => Ok(fs::remove_file(backup)?),
            Err(_) if !self.is_as_read(&self.path) => Err(EditFault::Changed),
            Err(_) => Ok(fs::rename(backup, &self.path)?),
        }
    }

    fn error(&self, fault: EditFault) -> EditedFileError {
        match fault {
            EditFault::Changed => EditedFileError::Changed(self.path.clone()),
            EditFault::Io(source) => EditedFileError::Write { path: self.path.clone(), source },
        }
    }

    /// Writes it. What was in it is in its backup afterwards, with its owner and mode, which the new one has, too; `mode` is for a
    /// file that was not there. Returns where the backup is.
    pub(crate) fn write(&self, content: &[u8], mode: u32) -> Result<Option<PathBuf>, EditedFileError> {
        let new = with_suffix(&self.path, &format!(".new-{}", std::process::id()));
        let written = match self.content {
            Some(_) => self.replace(&new, content).map(Some),
            None => self.create(&new, content, mode).map(|()| None),
        };
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        if let Some(directory) = self.path.parent() {
            // What is written is written; whether it outlives a loss of power now is the disk's.
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
        }
        written.map_err(|fault| self.error(fault))
    }

    fn create(&self, new: &Path, content: &[u8], mode: u32) -> Result<(), EditFault> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        write_new(new, content)?.set_permissions(fs::Permissions::from_mode(mode))?;
        // Unlike a rename, this fails if the file has come into being meanwhile.
        match fs::hard_link(new, &self.path) {
            Ok(()) => Ok(fs::remove_file(new)?),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(EditFault::Changed),
            Err(error) => Err(error.into()),
        }
    }

    fn replace(&self, new: &Path, content: &[u8]) -> Result<PathBuf, EditFault> {
        let before = fs::metadata(&self.path)?;
        let file = write_new(new, content)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            fchown(&file, Some(before.uid()), Some(before.gid())).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("it belongs to user {}, and would not any more: {error}", before.uid()),
                )
            })?;
        }
        file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o7777))?;
        let backup = self.backup();
        match renameat_with(CWD, new, CWD, &self.path, RenameFlags::EXCHANGE) {
            // What was there is looked at when nobody can change it under its name any more.
            Ok(()) if !self.is_as_read(new) => {
                renameat_with(CWD, new, CWD, &self.path, RenameFlags::EXCHANGE).map_err(io::Error::from)?;
                return Err(EditFault::Changed);
            }
            Ok(()) => fs::rename(new, &backup)?,
            // Not every file system can do that.
            Err(_) if !self.is_as_read(&self.path) => return Err(EditFault::Changed),
            Err(_) => {
                let _ = fs::remove_file(&backup);
                fs::hard_link(&self.path, &backup).or_else(|_| fs::copy(&self.path, &backup).map(drop))?;
                fs::rename(new, &self.path)?;
            }
        }
        Ok(backup)
    }

    fn is_as_read(&self, path: &Path) -> bool {
        read(path).is_ok_and(|content| Some(content) == self.content)
    }
}

enum EditFault {
    Changed,
    Io(io::Error),
}

impl From<io::Error> for EditFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// At most one byte more than is taken.
fn read(path: &Path) -> Result<Vec<u8>, EditedFileError> {
    Config::content(path).map_err(|error| match error {
        LoadError::Read { path, source } => EditedFileError::Read { path, source },
        LoadError::Invalid(problems) => {
            EditedFileError::Read { path: path.to_owned(), source: io::Error::other(problems.to_string()) }
        }
    })
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(file)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_edited_file_keeps_its_mode_and_leaves_a_backup() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f.json");
        fs::write(&path, "one").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        for (from, to) in [("one", "two"), ("two", "three")] {
            let file = EditedFile::open(&path).expect("read");
            assert_eq!(file.content(), Some(from.as_bytes()));
            let backup = file.write(to.as_bytes(), PRIVATE).expect("written").expect("a backup");
            assert_eq!(fs::read_to_string(backup).expect("a backup"), from);
            assert_eq!(fs::read_to_string(&path).expect("a file"), to);
            assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o7777, 0o640);
        }
        assert_eq!(names(dir.path()), ["f.json", "f.json.bak"]);
    }

    #[test]
    fn a_file_that_somebody_else_changed_stays_as_that_one_left_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f.json");
        let file = EditedFile::open(&path).expect("it may be absent");
        assert_eq!(file.content(), None);
        fs::write(&path, "theirs").expect("written");
        assert!(matches!(file.write(b"ours", PRIVATE), Err(EditedFileError::Changed(_))));
        let file = EditedFile::open(&path).expect("read");
        fs::write(&path, "theirs again").expect("written");
        assert!(matches!(file.write(b"ours", PRIVATE), Err(EditedFileError::Changed(_))));
        assert_eq!(fs::read_to_string(&path).expect("a file"), "theirs again");
        assert_eq!(names(dir.path()), ["f.json"]);
    }

    #[test]
    fn what_is_restored_is_the_very_file_that_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f.json");
        fs::write(&path, "one").expect("written");
        let number = fs::metadata(&path).expect("a file").ino();
        let open = || EditedFile::open_with_backup(&path, ".before").expect("read");
        open().write(b"two", PRIVATE).expect("written");
        let stale = open();
        fs::write(&path, "theirs").expect("written");
        assert!(matches!(stale.restore(), Err(EditedFileError::Changed(_))));
        assert_eq!(fs::read_to_string(&path).expect("a file"), "theirs");
        open().restore().expect("restored");
        assert_eq!(
            (fs::read_to_string(&path).expect("a file").as_str(), fs::metadata(&path).expect("a file").ino()),
            ("one", number)
        );
        assert_eq!(names(dir.path()), ["f.json"]);
        let new = EditedFile::open(&dir.path().join("new.json")).expect("absent");
        new.write(b"one", PRIVATE).expect("written");
        EditedFile::open(new.path()).expect("read").restore().expect("taken away");
        assert_eq!(names(dir.path()), ["f.json"]);
    }

    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_edited() {
        let dir = tempfile::tempdir().expect("a directory");
        let (link, path) = (dir.path().join("link"), dir.path().join("sub/f.json"));
        let made = EditedFile::open(&path).expect("absent").write(b"one", 0o644).expect("written");
        assert_eq!((made, fs::metadata(&path).expect("a file").mode() & 0o7777), (None, 0o644));
        symlink("sub/f.json", &link).expect("a link");
        EditedFile::open(&link).expect("read").write(b"two", PRIVATE).expect("written");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(fs::read_to_string(&path).expect("a file"), "two");
        symlink("nowhere", dir.path().join("broken")).expect("a link");
        assert!(EditedFile::open(&dir.path().join("broken")).is_err());
        assert!(EditedFile::open(dir.path()).is_err(), "a directory is no file");
    }
}
