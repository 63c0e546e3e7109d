//! Which files a server may reach: what its entry says, and what real servers cannot live without.

use std::path::{Path, PathBuf};

use crate::{FileRules, Reading, Sandbox};

/// Devices that belong to nobody, and the memory that processes of one server share.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    // POSIX shared memory and semaphores: python's multiprocessing, Chromium.
    "/dev/shm",
];

/// What every program reads: itself, its libraries, and what the system says of itself.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    // Systems that have their programs elsewhere.
    "/nix/store",
    "/gnu/store",
    "/snap",
    // Where `/etc/resolv.conf` and the like point to.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/current-system",
    "/var/lib/ca-certificates",
    "/var/cache/fontconfig",
];

/// Where a server has its things. All paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerPlaces {
    /// HOME in its environment.
    pub home: Option<PathBuf>,
    /// Its working directory.
    pub cwd: Option<PathBuf>,
    /// TMPDIR in its environment.
    pub tmp: Option<PathBuf>,
    /// Where its environment tells package runners and libraries to keep caches, settings and data.
    pub caches: Vec<PathBuf>,
    /// The program, as it is started.
    pub program: PathBuf,
    /// PATH in its environment: scripts name their interpreters only.
    pub path: Vec<PathBuf>,
    /// The first argument that is a file: what an interpreter runs.
    pub script: Option<PathBuf>,
}

impl ServerPlaces {
    /// The files of a server with this sandbox; `None`: all that its user may.
    pub fn file_rules(&self, sandbox: &Sandbox, hidden: &[PathBuf]) -> Option<FileRules> {
        if !sandbox.files {
            return None;
        }
        // Started by a service manager, MCProxy is in `/`; to allow writing there says nothing.
        let cwd = self.cwd.iter().filter(|cwd| cwd.as_path() != Path::new("/"));
        let own = self.home.iter().chain(cwd).chain(&self.tmp).chain(&self.caches).cloned();
        let mut write: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).chain(own).collect();
        if sandbox.namespaces {
            // Who makes a namespace of users writes who is who in it.
            write.push("/proc".into());
        }
        let read = match &sandbox.reading {
            Reading::Everything => vec!["/".into()],
            Reading::Only(named) => self.own_trees().chain(named.iter().cloned()).collect(),
        };
        let hidden = hidden.iter().chain(&sandbox.deny).cloned().collect();
        Some(FileRules { read, write, write_whole: sandbox.write.clone(), hidden })
    }

    fn own_trees(&self) -> impl Iterator<Item = PathBuf> {
        let programs = self.path.iter().cloned().chain(self.program.parent().map(Path::to_owned));
        let real = self.program.canonicalize().ok();
        let real = real.as_deref().and_then(Path::parent).map(Path::to_owned);
        let trees = programs.chain(real).map(|directory| tree_of(&directory)).filter(|tree| tree != Path::new("/"));
        let script = self.script.as_deref().and_then(Path::parent).map(Path::to_owned);
        SYSTEM.iter().map(PathBuf::from).chain(trees).chain(script)
    }
}

/// What belongs to the programs of a directory: `/opt/node` for `/opt/node/bin`.
fn tree_of(directory: &Path) -> PathBuf {
    let is_part = directory.file_name().is_some_and(|name| name == "bin" || name == "sbin" || name == "shims");
    match directory.parent() {
        Some(above) if is_part && above != Path::new("/") => above.to_owned(),
        _ => directory.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> ServerPlaces {
        ServerPlaces {
            home: Some("/home/u".into()),
            cwd: Some("/srv/work".into()),
            tmp: Some("/var/lib/mcproxy/tmp/x".into()),
            caches: vec!["/var/cache/uv".into()],
            program: "/opt/node/bin/node".into(),
            path: vec!["/usr/bin".into(), "/opt/tools/bin".into(), "/bin".into()],
            script: Some("/srv/app/index.js".into()),
        }
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn by_default_a_server_reads_everything_and_writes_what_is_its_own() {
        let sandbox = Sandbox { write: paths(&["/data"]), deny: paths(&["/home/u/.ssh"]), ..Sandbox::default() };
        let rules = places().file_rules(&sandbox, &paths(&["/run/mcproxy"])).expect("restricted");
        assert_eq!(rules.read, paths(&["/"]));
        let own = paths(&["/home/u", "/srv/work", "/var/lib/mcproxy/tmp/x", "/var/cache/uv"]);
        assert_eq!(rules.write[DEVICES.len()..], own);
        assert_eq!(rules.write_whole, paths(&["/data"]));
        assert_eq!(rules.hidden, paths(&["/run/mcproxy", "/home/u/.ssh"]));
    }

    #[test]
    fn a_strict_server_reads_the_system_its_own_tree_and_what_is_named() {
        let sandbox = Sandbox { reading: Reading::Only(paths(&["/data"])), ..Sandbox::default() };
        let rules = places().file_rules(&sandbox, &[]).expect("restricted");
        for path in ["/usr", "/etc", "/opt/node", "/opt/tools", "/srv/app", "/data"] {
            assert!(rules.read.contains(&path.into()), "{path}");
        }
        for path in ["/", "/home", "/home/u", "/srv", "/opt"] {
            assert!(!rules.read.contains(&path.into()), "{path}");
        }
    }

    #[test]
    fn the_root_as_working_directory_allows_no_writing() {
        let rules = ServerPlaces { cwd: Some("/".into()), ..places() }.file_rules(&Sandbox::default(), &[]);
        assert!(!rules.expect("restricted").write.contains(&"/".into()));
    }

    #[test]
    fn a_server_without_a_sandbox_has_no_rules() {
        assert_eq!(places().file_rules(&Sandbox { files: false, ..Sandbox::default() }, &[]), None);
    }
}
