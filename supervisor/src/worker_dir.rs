//! Directories in the state directory that belong to the workers of one server alone.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown},
    path::Path,
};

use crate::users::ServerUser;

/// Makes the directory if need be, for workers that run as this user. Of what was another user's, files of these names go along.
pub(crate) fn own(dir: &Path, user: &ServerUser, files: &[&str]) -> io::Result<()> {
    directory(dir, 0o700)?;
    let owner = match &user.identity {
        Some(identity) => (identity.uid, identity.gid),
        None => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
    };
    let meta = fs::symlink_metadata(dir)?;
    if (meta.uid(), meta.gid()) != owner {
        hand_over(dir, owner, files)?;
    }
    Ok(())
}

/// A directory of this mode; a link or a file in its place is an error.
pub(crate) fn directory(path: &Path, mode: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => return fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is no directory", path.display())))
}

/// Gives the directory and what is kept in it to another user. Meanwhile it is ours, so that nobody changes what lies there.
fn hand_over(dir: &Path, (uid, gid): (u32, u32), files: &[&str]) -> io::Result<()> {
    let us = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    chown(dir, Some(us.0), Some(us.1))?;
    for name in files {
        let path = dir.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() && meta.nlink() == 1 => lchown(&path, Some(uid), Some(gid))?,
            Ok(_) => fs::remove_file(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    chown(dir, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_goes_along_when_a_server_gets_another_user() {
        if !rustix::process::geteuid().is_root() {
            return; // nobody else can give files away
        }
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("login"), "sealed").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("lock")).expect("linked");
        hand_over(dir.path(), (60_001, 60_002), &["login", "lock"]).expect("given");
        for path in [dir.path().to_owned(), dir.path().join("login")] {
            let meta = fs::metadata(&path).expect("there");
            assert_eq!((meta.uid(), meta.gid()), (60_001, 60_002), "{}", path.display());
        }
        assert!(!dir.path().join("lock").exists() && fs::metadata("/etc/passwd").expect("there").uid() == 0);
    }
}
