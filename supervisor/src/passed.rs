//! What the service manager passes at the start: the port, which it holds over restarts (`mcproxy.socket`,
//! `docs/decisions/0149`), and what the run before left with it (`docs/decisions/0150`).

use std::{
    io,
    net::TcpListener,
    os::fd::{AsFd as _, OwnedFd},
};

use mcproxy_confine::{PassedDescriptor, take_passed_descriptors};
use rustix::{
    fs::{FileType, fstat},
    net::{AddressFamily, SocketType, sockopt},
};

/// The name of the sessions among what the service manager keeps for us.
pub(crate) const SESSIONS: &str = "mcproxy-sessions";

/// Why it does not fit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassedError {
    /// It is some other socket.
    #[error(
        "the service manager passes `{0}`, which is no TCP socket that listens; in mcproxy.socket use one `ListenStream=` with a port, and no `Accept=yes`"
    )]
    NotOurs(String),
    /// There is more than one.
    #[error(
        "the service manager passes more than one socket; MCProxy listens at one: leave one `ListenStream=` in mcproxy.socket"
    )]
    Several,
    /// The operating system said no.
    #[error("the service manager passes `{name}`, which cannot be used")]
    Io {
        name: String,
        #[source]
        source: io::Error,
    },
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The port.
    pub(crate) listener: Option<TcpListener>,
    /// The sessions of the run before.
    pub(crate) sessions: Option<OwnedFd>,
    /// The names of what is none of these. It is closed.
    pub(crate) strangers: Vec<String>,
}

impl Passed {
    /// Takes it. To be called before anything is opened.
    ///
    /// # Errors
    /// There is a socket that we cannot serve at: clients would wait there for nobody.
    pub(crate) fn take() -> Result<Self, PassedError> {
        Self::sort(take_passed_descriptors())
    }

    fn sort(all: Vec<PassedDescriptor>) -> Result<Self, PassedError> {
        let mut passed = Self::default();
        for PassedDescriptor { name, descriptor } in all {
            let failed = |source: rustix::io::Errno| PassedError::Io { name: name.clone(), source: source.into() };
            let is_socket = FileType::from_raw_mode(fstat(&descriptor).map_err(failed)?.st_mode) == FileType::Socket;
            match name.as_str() {
                _ if is_socket => {
                    if !is_tcp_listener(&descriptor).map_err(failed)? {
                        return Err(PassedError::NotOurs(name));
                    }
                    if passed.listener.replace(descriptor.into()).is_some() {
                        return Err(PassedError::Several);
                    }
                }
                SESSIONS => passed.sessions = Some(descriptor),
                _ => passed.strangers.push(name),
            }
        }
        Ok(passed)
    }
}

fn is_tcp_listener(socket: &OwnedFd) -> rustix::io::Result<bool> {
    let socket = socket.as_fd();
    let family = sockopt::socket_domain(socket)?;
    Ok([AddressFamily::INET, AddressFamily::INET6].contains(&family)
        && sockopt::socket_type(socket)? == SocketType::STREAM
        && sockopt::socket_acceptconn(socket)?)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpStream,
        os::unix::net::{UnixListener, UnixStream},
    };

    use super::*;

    fn sorted(all: Vec<(&str, OwnedFd)>) -> Result<Passed, PassedError> {
        let passed = |(name, descriptor): (&str, OwnedFd)| PassedDescriptor { name: name.to_owned(), descriptor };
        Passed::sort(all.into_iter().map(passed).collect())
    }

    fn listener() -> OwnedFd {
        TcpListener::bind("127.0.0.1:0").expect("a free port").into()
    }

    #[test]
    fn the_port_is_taken_by_what_it_is_and_the_sessions_by_their_name() {
        let file = || OwnedFd::from(tempfile::tempfile().expect("a file"));
        let passed = sorted(vec![("http", listener()), (SESSIONS, file()), ("other", file())]).expect("ours");
        assert!(passed.listener.is_some() && passed.sessions.is_some());
        assert_eq!(passed.strangers, ["other"]);
        assert!(sorted(Vec::new()).expect("nothing").listener.is_none());
    }

    #[test]
    fn a_socket_at_which_clients_would_wait_for_nobody_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().expect("a directory");
        let local = UnixListener::bind(dir.path().join("socket")).expect("bound");
        let accepted = TcpStream::connect(TcpListener::from(listener()).local_addr().expect("bound"));
        let (pair, _other) = UnixStream::pair().expect("a pair");
        let strange: Vec<OwnedFd> = vec![local.into(), pair.into()];
        for socket in strange.into_iter().chain(accepted.ok().map(OwnedFd::from)) {
            let error = sorted(vec![("http", socket)]).expect_err("not ours").to_string();
            assert!(error.contains("ListenStream="), "{error}");
        }
        let error = sorted(vec![("a", listener()), ("b", listener())]).expect_err("too many");
        assert!(matches!(error, PassedError::Several), "{error}");
    }
}
