//! Writing what was imported: whole files or none, and never over another one unasked.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// For the user of the file only.
pub(super) const PRIVATE: u32 = 0o600;
/// Readable by all.
pub(super) const PUBLIC: u32 = 0o644;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// It is there already.
    #[error("{} is there already; choose another --out and --env-file, or replace them with --force", .0.display())]
    Exists(PathBuf),
    /// It could not be written.
    #[error("cannot write {}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Whether a file may be written there.
pub(super) fn check(path: &Path, force: bool) -> Result<(), WriteError> {
    match fs::symlink_metadata(path) {
        Ok(_) if !force => Err(WriteError::Exists(path.to_owned())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes a file whole, with these permissions from its beginning.
pub(super) fn write(path: &Path, text: &str, mode: u32, force: bool) -> Result<(), WriteError> {
    let failed = |source| WriteError::Failed { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let mut new = name.to_owned();
    new.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(new);
    let written = write_new(&new, text, mode).and_then(|()| match force {
        true => fs::rename(&new, path),
        // Unlike a rename, this fails if the file has come into being meanwhile.
        false => fs::hard_link(&new, path).and_then(|()| fs::remove_file(&new)),
    });
    written.map_err(|source| {
        let _ = fs::remove_file(&new);
        match source.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists(path.to_owned()),
            _ => failed(source),
        }
    })
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_written_whole_and_none_is_replaced_unasked() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("env");
        write(&path, "a", PRIVATE, false).expect("written");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, PRIVATE);
        assert!(matches!(check(&path, false), Err(WriteError::Exists(_))));
        assert!(matches!(write(&path, "b", PRIVATE, false), Err(WriteError::Exists(_))));
        assert_eq!(fs::read_to_string(&path).expect("a file"), "a");
        check(&path, true).expect("may be replaced");
        write(&path, "c", PRIVATE, true).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "c");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing else is left");
        assert!(write(&directory.path().join("none/env"), "a", PRIVATE, false).is_err());
    }
}
