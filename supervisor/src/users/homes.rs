//! `homes/` and `tmp/` of the state directory: what belongs to each server alone.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use mcproxy_confine::Identity;

use super::uid_table::HomeOwners;

/// The two directories, each with one entry for each server that ever ran.
#[derive(Debug, Clone)]
pub(super) struct Homes {
    homes: PathBuf,
    tmp: PathBuf,
}

impl Homes {
    /// In this state directory; the two are made where they are missing. `shared`: others have to find their way to an entry of
    /// their own, whose name they know.
    pub(super) fn open(state: &Path, shared: bool) -> io::Result<Self> {
        let homes = Self { homes: state.join("homes"), tmp: state.join("tmp") };
        let mode = if shared { 0o711 } else { 0o700 };
        for dir in [&homes.homes, &homes.tmp] {
            make_own(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
        }
        if shared {
            fs::set_permissions(state, fs::Permissions::from_mode(mode))?;
        }
        Ok(homes)
    }

    /// Where the homes lie.
    pub(super) fn dir(&self) -> &Path {
        &self.homes
    }

    /// Who owns which home. One that is still ours was never given away.
    pub(super) fn owners(&self) -> io::Result<HomeOwners> {
        let us = rustix::process::geteuid().as_raw();
        let mut owners = HomeOwners::new();
        for entry in fs::read_dir(&self.homes)? {
            let entry = entry?;
            // A name that no server can have is nothing of ours.
            if let Ok(name) = entry.file_name().into_string() {
                let owner = entry.metadata()?.uid();
                if owner != us {
                    owners.insert(name, owner);
                }
            }
        }
        Ok(owners)
    }

    /// Who owns the home of this server; `None`: it has none, or one that is still ours.
    pub(super) fn owner(&self, name: &str) -> io::Result<Option<u32>> {
        match fs::symlink_metadata(self.homes.join(name)) {
            Ok(meta) => Ok(Some(meta.uid()).filter(|owner| *owner != rustix::process::geteuid().as_raw())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The home of a server with a user of its own, made if need be.
    pub(super) fn home(&self, name: &str, uid: u32) -> io::Result<PathBuf> {
        private(self.homes.join(name), (uid, uid))
    }

    /// Where the server's temporary files lie, made if need be.
    pub(super) fn tmp(&self, name: &str, owner: (u32, u32)) -> io::Result<PathBuf> {
        private(self.tmp.join(name), owner)
    }
}

/// A directory that only this user may enter. What is in it already stays its earlier owner's.
fn private(path: PathBuf, (uid, gid): (u32, u32)) -> io::Result<PathBuf> {
    make_own(&path)?;
    let meta = fs::symlink_metadata(&path)?;
    if (meta.uid(), meta.gid()) != (uid, gid) {
        chown(&path, Some(uid), Some(gid))?;
    }
    Ok(path)
}

/// Whose entries it has is told by its owner, so a link or a file in its place is an error.
fn make_own(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    match fs::symlink_metadata(path)? {
        meta if meta.is_dir() => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is no directory", path.display()))),
    }
}

/// The first directory on the way to `path` that other users cannot pass; with its mode. `path` itself counts, too.
pub(super) fn closed_to_others(path: &Path) -> Option<(PathBuf, u32)> {
    let mut way: Vec<&Path> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    way.reverse();
    way.into_iter().find_map(|part| {
        let mode = fs::metadata(part).ok()?.mode() & 0o7777;
        (mode & 0o001 == 0).then(|| (part.to_owned(), mode))
    })
}

/// Whether a user may read this, as far as its own mode says.
pub(super) fn may_read(identity: &Identity, path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| {
        let groups = identity.groups.iter().chain([&identity.gid]);
        let bit = match () {
            () if identity.uid == 0 || identity.uid == meta.uid() => return true,
            () if groups.into_iter().any(|group| *group == meta.gid()) => 0o040,
            () => 0o004,
        };
        meta.mode() & bit != 0
    })
}

/// Whether all users may execute this file, as far as its own mode says.
pub(super) fn is_executable_by_all(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|meta| meta.mode() & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").mode() & 0o7777
    }

    #[test]
    fn homes_are_private_and_what_is_no_directory_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let us = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let homes = Homes::open(dir.path(), true).expect("made");
        assert_eq!((mode(dir.path()), mode(homes.dir()), mode(&homes.tmp)), (0o711, 0o711, 0o711));
        let tmp = homes.tmp("time", us).expect("made");
        assert_eq!((mode(&tmp), homes.tmp("time", us).expect("still there")), (0o700, tmp));
        symlink("/tmp", homes.tmp.join("link")).expect("linked");
        fs::write(homes.tmp.join("file"), "").expect("written");
        assert!(homes.tmp("link", us).is_err() && homes.tmp("file", us).is_err());
        assert_eq!(mode(Homes::open(dir.path(), false).expect("there").dir()), 0o700);
    }

    #[test]
    fn the_directory_that_keeps_others_out_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let (closed, inner) = (dir.path().join("a"), dir.path().join("a/b"));
        fs::create_dir_all(&inner).expect("made");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("changed");
        assert_eq!(closed_to_others(&inner), None);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o750)).expect("changed");
        assert_eq!(closed_to_others(&inner), Some((closed.clone(), 0o750)));
        let stranger = Identity { uid: 4_000_000, gid: 4_000_000, groups: Vec::new() };
        assert!(may_read(&stranger, Path::new("/etc/passwd")) && !may_read(&stranger, &closed));
        assert!(is_executable_by_all(Path::new("/bin/sh")) && !is_executable_by_all(Path::new("/etc/passwd")));
    }
}
