//! Finding a server's program, before anything is started for it.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use crate::{EndReason, LaunchSpec};

/// Finds the program as a shell would; an error says why it cannot be started. `path`: the `PATH` of the server's environment.
/// A relative path with a `/` is left as it is for the launcher, which stands in the right directory.
pub fn find_program(launch: &LaunchSpec, path: Option<&OsStr>) -> Result<PathBuf, EndReason> {
    let program = launch.program.as_str();
    if let Some(cwd) = &launch.cwd
        && !cwd.is_dir()
    {
        if let Some(closed) = ClosedDirectory::before(cwd) {
            return Err(EndReason::Spawn(format!(
                "the working directory {} cannot be entered: {closed}",
                cwd.display()
            )));
        }
        return Err(EndReason::Spawn(format!("the working directory {} does not exist", cwd.display())));
    }
    let not_found = || EndReason::CommandNotFound { program: program.to_owned() };
    if program.contains('/') {
        let place = launch.cwd.as_deref().unwrap_or(Path::new("")).join(program);
        return match () {
            () if !place.exists() => Err(ClosedDirectory::before(&place)
                .map_or_else(not_found, |closed| EndReason::Spawn(format!("{program} cannot be reached: {closed}")))),
            () if !place.is_file() => Err(EndReason::Spawn(format!("{program} is a directory, not a program"))),
            () if !is_executable(&place) => Err(not_executable(&place)),
            () => Ok(PathBuf::from(program)),
        };
    }
    let directories = std::env::split_paths(path.ok_or_else(not_found)?).filter(|directory| directory.is_absolute());
    let places: Vec<PathBuf> = directories.map(|directory| directory.join(program)).collect();
    let found: Vec<&PathBuf> = places.iter().filter(|file| file.is_file()).collect();
    if let Some(file) = found.iter().find(|file| is_executable(file)) {
        return Ok((*file).clone());
    }
    let closed = || places.iter().find_map(|place| Some((place, ClosedDirectory::before(place)?)));
    Err(match (found.first(), closed()) {
        (Some(file), _) => not_executable(file),
        // It may well be there.
        (None, Some((place, closed))) => EndReason::Spawn(format!(
            "command not found: {program} in the directories of PATH that can be searched, and {} cannot: {closed}",
            place.parent().unwrap_or(place).display()
        )),
        (None, None) => not_found(),
    })
}

/// A directory that our user may not pass.
#[derive(Debug, PartialEq, Eq)]
struct ClosedDirectory {
    path: PathBuf,
    mode: u32,
}

impl ClosedDirectory {
    /// Links to follow at most (path_resolution(7)).
    const LINKS: usize = 40;

    /// The one that keeps us from `path`, if one does.
    fn before(path: &Path) -> Option<Self> {
        Self::on_the_way(path, Self::LINKS)
    }

    fn on_the_way(path: &Path, links: usize) -> Option<Self> {
        let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        if !fs::metadata(path).is_err_and(|error| denied(&error)) {
            return None;
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty())?;
        if let Some(closed) = Self::on_the_way(parent, links) {
            return Some(closed);
        }
        match fs::symlink_metadata(path) {
            // The link can be seen, so it leads to where we may not go.
            Ok(_) => Self::on_the_way(&parent.join(fs::read_link(path).ok()?), links.checked_sub(1)?),
            Err(_) => {
                let directory = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned());
                let mode = fs::metadata(&directory).ok()?.mode() & 0o7777;
                Some(Self { path: directory, mode })
            }
        }
    }
}

impl std::fmt::Display for ClosedDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, mode } = self;
        let us = rustix::process::geteuid().as_raw();
        write!(
            f,
            "{} is closed to user {us} (mode {mode:o}). Put it where all users may go, let them pass (`chmod o+x`), or run this \
             server as an account that may (`runAs`)",
            path.display()
        )
    }
}

fn is_executable(file: &Path) -> bool {
    access(file, Access::EXEC_OK).is_ok()
}

fn not_executable(file: &Path) -> EndReason {
    EndReason::Spawn(format!("{} is not executable (permission denied); see `chmod +x`", file.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn launch(program: &str, cwd: Option<&Path>) -> LaunchSpec {
        LaunchSpec {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: cwd.map(Path::to_owned),
            looked_up: Vec::new(),
        }
    }

    #[test]
    fn a_program_is_looked_up_in_the_path_of_its_own_environment() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("tool");
        fs::write(&file, "").expect("written");
        let find = |path: Option<&OsStr>| find_program(&launch("tool", None), path);
        let here = Some(dir.path().as_os_str());
        let missing = Err(EndReason::CommandNotFound { program: "tool".into() });
        assert!(matches!(find(here), Err(EndReason::Spawn(why)) if why.contains("not executable")));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("changed");
        assert_eq!(find(here), Ok(file));
        assert_eq!(find(Some(OsStr::new("/nowhere"))), missing);
        assert_eq!(find(None), missing);
    }

    /// Does it on a thread that is no more than a user, even where the tests are run by root.
    fn as_a_user<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
        const NONE: CapabilitySet = CapabilitySet::empty();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let sets = CapabilitySets { effective: NONE, permitted: NONE, inheritable: NONE };
                set_capabilities(None, sets).expect("given up");
                work()
            });
            thread.join().expect("no panic")
        })
    }

    #[test]
    fn a_directory_that_keeps_a_program_from_its_user_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let (closed, link) = (dir.path().join("closed"), dir.path().join("link"));
        fs::create_dir_all(closed.join("bin")).expect("made");
        fs::write(closed.join("bin/tool"), "").expect("written");
        std::os::unix::fs::symlink(closed.join("bin"), &link).expect("linked");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).expect("changed");
        let path = std::env::join_paths(["/nowhere".as_ref(), link.as_path()]).expect("a PATH");
        let says = |program: &str, cwd: Option<&Path>| {
            let found = as_a_user(|| find_program(&launch(program, cwd), Some(&path)));
            let why = found.expect_err("closed").to_string();
            assert!(why.contains(&format!("{} is closed to user", closed.display())), "{why}");
            why
        };
        assert!(says("tool", None).contains("command not found: tool in the directories of PATH"));
        assert!(says(&closed.join("bin/tool").display().to_string(), None).contains("cannot be reached"));
        assert!(says("/bin/sh", Some(&link)).contains("the working directory"));
        let missing = as_a_user(|| find_program(&launch("tool", None), Some("/nowhere".as_ref())));
        assert_eq!(missing, Err(EndReason::CommandNotFound { program: "tool".into() }));
    }

    #[test]
    fn what_cannot_be_started_is_told_by_its_reason() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("tool"), "").expect("written");
        let why = |program: &str, cwd: Option<&Path>| match find_program(&launch(program, cwd), None) {
            Ok(found) => panic!("{program}: {found:?}"),
            Err(reason) => reason.to_string(),
        };
        let here = Some(dir.path());
        assert!(why("./tool", here).contains("not executable"));
        assert!(why("./other", here).contains("command not found: ./other"));
        assert!(why("/", None).contains("a directory"));
        assert!(why("/nowhere/tool", None).contains("command not found"));
        assert!(why("/bin/sh", Some(Path::new("/nowhere"))).contains("working directory /nowhere does not exist"));
        assert_eq!(find_program(&launch("/bin/sh", here), None), Ok("/bin/sh".into()));
    }
}
