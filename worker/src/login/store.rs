//! The file in which a login is kept, sealed, and its lock.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mcproxy_ipc::{HttpSpec, LoginKey, LoginPlace, ServerName, disk::on_disk, kept_file};
use mcproxy_oauth::{KeptLogin, LoginSeal};
use tokio::time::{Instant, sleep};

use super::random;

/// The file, and the one that is locked.
const LOGIN: &str = "login";
const LOCK: &str = "lock";
/// What is longer was not written by us.
const MAX_FILE: u64 = 256 * 1024;
/// How long the lock is waited for: as long as two requests may take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
const LOCK_POLL: Duration = Duration::from_millis(20);

/// The login at one server.
#[derive(Clone)]
pub(crate) struct LoginStore(Arc<StoreParts>);

struct StoreParts {
    dir: PathBuf,
    seal: LoginSeal,
}

/// Nobody else reads or writes the login while this exists.
pub(super) struct LoginLock(#[expect(dead_code, reason = "held for its lock, which ends with it")] File);

impl LoginStore {
    /// At this place.
    pub(super) fn new(place: &LoginPlace, server: &ServerName) -> Self {
        let seal = LoginSeal::new(place.key.expose(), server.as_str());
        Self(Arc::new(StoreParts { dir: place.dir.clone(), seal }))
    }

    /// Waits for the lock.
    pub(super) async fn lock(&self) -> io::Result<LoginLock> {
        let path = self.0.dir.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let until = Instant::now() + LOCK_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(LoginLock(file)),
                Err(fs::TryLockError::WouldBlock) if Instant::now() < until => sleep(LOCK_POLL).await,
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another worker of the server holds the login",
                    ));
                }
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// What is kept; `None`: nothing, or nothing that can be opened.
    pub(super) fn read(&self) -> io::Result<Option<KeptLogin>> {
        let file = match kept_file::open(&self.0.dir.join(LOGIN)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut sealed = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut sealed)?;
        let plain = self.0.seal.open(&sealed).map_err(io::Error::other)?;
        Ok(KeptLogin::from_bytes(&plain))
    }

    /// Keeps it: when this returns, the disk has it.
    pub(super) async fn write(&self, login: &KeptLogin, _lock: &LoginLock) -> io::Result<()> {
        let sealed = self.0.seal.seal(&login.to_bytes(), random::bytes()?);
        let path = self.0.dir.join(LOGIN);
        on_disk(move || kept_file::replace_durably(&path, &sealed)).await.map_err(io::Error::other)?
    }

    /// Forgets it.
    pub(super) fn remove(&self, _lock: &LoginLock) -> io::Result<()> {
        match fs::remove_file(self.0.dir.join(LOGIN)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Where MCProxy keeps the login at a server, if this process may read its key: of a worker that a person runs.
pub(crate) fn kept_place(state_dir: &Path, server: &ServerName) -> Option<LoginPlace> {
    let key = fs::read(state_dir.join("login-keys").join(server.as_str())).ok()?;
    let dir = state_dir.join("logins").join(server.as_str());
    Some(LoginPlace { dir, key: LoginKey::new(key.try_into().ok()?) })
}

/// The TCP ports that what is kept of a login leads to.
pub(crate) fn kept_ports(http: &HttpSpec, server: &ServerName) -> Vec<u16> {
    let place = http.oauth.as_ref().and_then(|oauth| oauth.place.as_ref());
    let kept = place.and_then(|place| LoginStore::new(place, server).read().ok().flatten());
    kept.map(|kept| kept.ports().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use mcproxy_oauth::{ClientAuth, ClientIdentity, Discovered, IssuerMetadata, LoginGrant};

    use super::*;

    fn login() -> KeptLogin {
        let url = mcproxy_http::Url::parse("http://127.0.0.1/mcp").expect("one");
        let issuer =
            IssuerMetadata { token_endpoint: "http://127.0.0.1:8123/token".into(), ..IssuerMetadata::default() };
        let discovered = Discovered { resource: url.to_string(), issuer, scope: None };
        let client = ClientIdentity { id: "c".into(), secret: None, auth: ClientAuth::None };
        KeptLogin::begun(&url, &discovered, (client, LoginGrant::Person), None)
    }

    #[tokio::test]
    async fn a_login_is_kept_for_its_server_only_and_is_gone_when_it_was_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = LoginPlace { dir: dir.path().to_owned(), key: LoginKey::new([7; 32]) };
        let name = |name: &str| ServerName::try_from(name).expect("a name");
        let store = LoginStore::new(&place, &name("a"));
        assert_eq!(store.read().expect("nothing is no error"), None);
        let lock = store.lock().await.expect("free");
        store.write(&login(), &lock).await.expect("written");
        assert_eq!(store.read().expect("there"), Some(login()));
        LoginStore::new(&place, &name("b")).read().expect_err("another server's");
        let raw = fs::read(dir.path().join(LOGIN)).expect("there");
        assert!(!raw.windows(5).any(|part| part == b"token"), "it is sealed");
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(dir.path().join(LOGIN)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        store.remove(&lock).expect("removed");
        store.remove(&lock).expect("gone already");
        assert_eq!(store.read().expect("nothing"), None);
    }

    #[tokio::test]
    async fn one_at_a_time_has_the_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = LoginPlace { dir: dir.path().to_owned(), key: LoginKey::new([7; 32]) };
        let store = LoginStore::new(&place, &ServerName::try_from("a").expect("a name"));
        let lock = store.lock().await.expect("free");
        let mut second = std::pin::pin!(store.lock());
        assert!(futures_none(&mut second).await, "it is held");
        drop(lock);
        second.await.expect("free again");
    }

    /// Whether it is not ready when it is asked once.
    async fn futures_none<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}
