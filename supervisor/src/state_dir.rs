//! The directory for what outlives all processes: what each server offered last and which era of MCP it
//! spoke (`docs/decisions/0035`, `0062`).
//!
//! Nothing depends on it. Without it, or when it cannot be written, servers are asked once more for what they speak, and
//! lists are complete a little later after a start.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use mcproxy_config::ServerConfig;
use mcproxy_ipc::EMBEDDINGS_SERVER;

use crate::pins;
use crate::runtime_dir::{RuntimeDirError, io_error, lock, own_directory};

const FLAG: &str = "--state-dir";

/// A directory that belongs to us alone, locked as long as this exists.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    catalogues: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Creates the directory if needed, checks that it is ours alone and takes the lock.
    pub(crate) fn open(dir: &Path) -> Result<Self, RuntimeDirError> {
        // With `DynamicUser` systemd gives us a link; what it leads to has to be ours.
        let dir = fs::canonicalize(dir).or_else(|_| std::path::absolute(dir)).map_err(io_error("find", dir))?;
        own_directory(&dir, true, FLAG)?;
        let lock = lock(&dir)?;
        let catalogues = dir.join("catalogues");
        own_directory(&catalogues, false, FLAG)?;
        Ok(Self { path: dir, catalogues, _lock: lock })
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the catalogues of servers are kept.
    pub(crate) fn catalogues(&self) -> &Path {
        &self.catalogues
    }

    /// Where embeddings of texts are kept.
    pub(crate) fn embeddings(&self) -> PathBuf {
        self.path.join("embeddings")
    }

    /// Removes what belongs to none of these servers, and what a writer left unfinished.
    pub(crate) fn keep_only(&self, servers: &[ServerConfig]) {
        pins::keep_only(&self.catalogues, |name| servers.iter().any(|server| server.name.as_str() == name));
        if !servers.iter().any(|server| server.name.as_str() == EMBEDDINGS_SERVER) {
            let _ = fs::remove_dir_all(self.embeddings());
        }
        let wanted = WantedFiles::of(servers);
        let Ok(entries) = fs::read_dir(&self.catalogues) else { return };
        for entry in entries.flatten() {
            if !wanted.has(&entry.file_name()) {
                // It is looked at again at the next start.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Which files are still of use.
struct WantedFiles {
    files: HashSet<String>,
    /// Servers that cannot be started at present: which of their files is the right one will be known when they can.
    undecided: HashSet<String>,
}

impl WantedFiles {
    fn of(servers: &[ServerConfig]) -> Self {
        let mut wanted = Self { files: HashSet::new(), undecided: HashSet::new() };
        for server in servers {
            match server.catalogue_key() {
                Some(key) => {
                    wanted.files.extend([key.file_name(&server.name), key.era_file_name(&server.name)]);
                }
                None => {
                    wanted.undecided.insert(server.name.to_string());
                }
            }
        }
        wanted
    }

    fn has(&self, file: &OsString) -> bool {
        let Some(name) = file.to_str() else { return false };
        let server = name.split('.').next().unwrap_or_default();
        let finished = [".json", ".era"].iter().any(|end| name.ends_with(end));
        self.files.contains(name) || (self.undecided.contains(server) && finished)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use mcproxy_config::Config;

    use super::*;

    #[test]
    fn files_of_servers_that_are_gone_are_removed_and_those_of_blocked_ones_are_not() {
        let text = r#"{"servers":[{"name":"a","command":"x"},{"name":"b","command":"x","args":["${UNSET}"]}]}"#;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("servers.json");
        fs::write(&path, text).expect("written");
        let config = Config::load(&path, &|_| None).expect("valid");
        let state = StateDir::open(&dir.path().join("state")).expect("ours");
        let a = config.servers[0].catalogue_key().expect("it can be started").file_name(&config.servers[0].name);
        let era = a.replace(".json", ".era");
        let files = [
            &*a,
            &*era,
            "a.old.json",
            "a.old.era",
            "b.some.json",
            "b.some.era",
            "b.some.json.17.tmp",
            "gone.x.json",
            "stray",
        ];
        for file in files {
            fs::write(state.catalogues().join(file), "{}").expect("written");
        }
        fs::create_dir(state.embeddings()).expect("made");
        state.keep_only(&config.servers);
        assert!(!state.embeddings().exists(), "nothing is embedded");
        let mut left: Vec<_> = fs::read_dir(state.catalogues())
            .expect("there")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
            .collect();
        left.sort_unstable();
        assert_eq!(left, [&*era, &*a, "b.some.era", "b.some.json"]);
    }

    #[test]
    fn a_link_to_a_directory_of_ours_will_do_and_a_second_supervisor_is_kept_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("link");
        fs::create_dir(dir.path().join("real")).expect("created");
        symlink(dir.path().join("real"), &link).expect("linked");
        let first = StateDir::open(&link).expect("ours");
        assert!(matches!(StateDir::open(&dir.path().join("real")), Err(RuntimeDirError::AlreadyRunning { .. })));
        drop(first);
        StateDir::open(&dir.path().join("deep/er")).expect("parents are made");
    }
}
