//! Where the logins at servers are kept, in the state directory: a directory for each server that its worker's user alone may enter, and
//! apart from it the key that its file is sealed with. The supervisor makes both and hands them to the workers of that server; it
//! never reads a login.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcproxy_ipc::{LoginKey, LoginPlace, ServerName, kept_file};

use crate::{
    users::ServerUser,
    worker_dir::{self, directory},
};

/// The directories of all servers, and those servers at which somebody logs in just now.
#[derive(Debug, Clone)]
pub(crate) struct Logins {
    logins: PathBuf,
    keys: PathBuf,
    under_way: Arc<Mutex<BTreeSet<ServerName>>>,
}

/// While this exists, nobody else logs in or out at that server.
#[derive(Debug)]
pub(crate) struct LoginUnderWay {
    logins: Logins,
    server: ServerName,
}

impl Logins {
    /// In this state directory.
    pub(crate) fn in_state(state: &Path) -> Self {
        Self { logins: state.join("logins"), keys: state.join("login-keys"), under_way: Arc::default() }
    }

    /// The place of a server whose worker runs as this user; made if need be.
    pub(crate) fn place(&self, server: &ServerName, user: &ServerUser) -> io::Result<LoginPlace> {
        // Others have to find their way to their own, whose name they know.
        directory(&self.logins, 0o711)?;
        directory(&self.keys, 0o700)?;
        let dir = self.logins.join(server.as_str());
        worker_dir::own(&dir, user, &["login", "lock"])?;
        Ok(LoginPlace { dir, key: self.key(server)? })
    }

    /// The key of a server; a new one is on the disk before anything is sealed with it.
    fn key(&self, server: &ServerName) -> io::Result<LoginKey> {
        let path = self.keys.join(server.as_str());
        match kept_file::open(&path) {
            Ok(file) => read_key(file).map_err(|error| {
                io::Error::new(error.kind(), format!("the key of its login, {}, is damaged; remove it", path.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).map_err(io::Error::other)?;
                kept_file::replace_durably(&path, &bytes)?;
                Ok(LoginKey::new(bytes))
            }
            Err(error) => Err(error),
        }
    }

    /// Somebody wants to log in or out there; `None`: somebody does already.
    pub(crate) fn begin(&self, server: &ServerName) -> Option<LoginUnderWay> {
        self.lock().insert(server.clone()).then(|| LoginUnderWay { logins: self.clone(), server: server.clone() })
    }

    /// Whether somebody does.
    pub(crate) fn is_under_way(&self, server: &ServerName) -> bool {
        self.lock().contains(server)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ServerName>> {
        // A panic ends the process, so the lock is never poisoned.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LoginUnderWay {
    fn drop(&mut self) {
        self.logins.lock().remove(&self.server);
    }
}

fn read_key(mut file: File) -> io::Result<LoginKey> {
    let mut bytes = [0; 32];
    file.read_exact(&mut bytes)?;
    Ok(LoginKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn name(name: &str) -> ServerName {
        ServerName::try_from(name).expect("a name")
    }

    #[test]
    fn each_server_has_a_private_place_and_a_key_that_stays() {
        let state = tempfile::tempdir().expect("a directory");
        let logins = Logins::in_state(state.path());
        let place = logins.place(&name("a"), &ServerUser::ours()).expect("made");
        assert_eq!(logins.place(&name("a"), &ServerUser::ours()).expect("there"), place);
        assert_ne!(logins.place(&name("b"), &ServerUser::ours()).expect("made").key, place.key);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
        let key = state.path().join("login-keys/a");
        assert_eq!((mode(&place.dir), mode(&state.path().join("login-keys")), mode(&key)), (0o700, 0o700, 0o600));
        fs::write(&key, "short").expect("written");
        let error = logins.place(&name("a"), &ServerUser::ours()).expect_err("no key").to_string();
        assert!(error.contains("login-keys/a, is damaged; remove it"), "{error}");
        std::os::unix::fs::symlink("/tmp", state.path().join("logins/c")).expect("linked");
        logins.place(&name("c"), &ServerUser::ours()).expect_err("a link");
    }

    #[test]
    fn one_person_at_a_time_logs_in_at_a_server() {
        let logins = Logins::in_state(Path::new("/nowhere"));
        let first = logins.begin(&name("a")).expect("nobody else");
        assert!(logins.begin(&name("a")).is_none() && logins.is_under_way(&name("a")));
        assert!(logins.begin(&name("b")).is_some());
        drop(first);
        assert!(logins.begin(&name("a")).is_some());
    }
}
