//! Finding a server's program, before anything is started for it.

use std::{
    ffi::OsStr,
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
        return Err(EndReason::Spawn(format!("the working directory {} does not exist", cwd.display())));
    }
    let not_found = || EndReason::CommandNotFound { program: program.to_owned() };
    if program.contains('/') {
        let place = launch.cwd.as_deref().unwrap_or(Path::new("")).join(program);
        return match () {
            () if !place.exists() => Err(not_found()),
            () if !place.is_file() => Err(EndReason::Spawn(format!("{program} is a directory, not a program"))),
            () if !is_executable(&place) => Err(not_executable(&place)),
            () => Ok(PathBuf::from(program)),
        };
    }
    let directories = std::env::split_paths(path.ok_or_else(not_found)?).filter(|directory| directory.is_absolute());
    let found: Vec<PathBuf> =
        directories.map(|directory| directory.join(program)).filter(|file| file.is_file()).collect();
    match found.iter().find(|file| is_executable(file)) {
        Some(file) => Ok(file.clone()),
        None => Err(found.first().map_or_else(not_found, |file| not_executable(file))),
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
