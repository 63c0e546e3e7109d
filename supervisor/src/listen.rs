//! The TCP port. The supervisor holds it, so that no connection is refused while the gateway is being replaced.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

/// Connections that wait while there is no gateway.
const BACKLOG: i32 = 1024;

/// Why the port is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Another process listens there.
    #[error(
        "cannot listen on {0}: the address is already in use (by another MCProxy or MetaMCP?); choose another with --port or `listen`"
    )]
    InUse(SocketAddr),
    /// The service manager's socket is of no use.
    #[error("cannot listen at the socket that the service manager passes")]
    Passed {
        #[source]
        source: io::Error,
    },
    /// There is no more listening here.
    #[error("MCProxy is being stopped")]
    Ending,
    /// Any other reason.
    #[error("cannot listen on {address}")]
    Io {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// Binds `address`; the standard library sets SO_REUSEADDR.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        _ => BindError::Io { address, source },
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    // Listening again only changes the backlog.
    rustix::net::listen(&listener, BACKLOG).map_err(|error| refused(error.into()))?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// Serves at a socket that the service manager listens at.
pub(crate) fn adopt(listener: TcpListener) -> Result<(TcpListener, SocketAddr), BindError> {
    let address = listener.local_addr().map_err(|source| BindError::Passed { source })?;
    rustix::net::listen(&listener, BACKLOG).map_err(|error| BindError::Passed { source: error.into() })?;
    listener.set_nonblocking(true).map_err(|source| BindError::Passed { source })?;
    Ok((listener, address))
}

/// The same as [`bind`] while `old` is listening, and goes on to. Without more ado that is impossible for two addresses of one port
/// that overlap (a loopback address and all addresses, say): both sockets then share the port for the moment (SO_REUSEPORT,
/// socket(7)).
pub(crate) fn bind_beside(address: SocketAddr, old: &TcpListener) -> Result<TcpListener, BindError> {
    let same_port = old.local_addr().is_ok_and(|old| old.port() == address.port() && old != address);
    match bind(address) {
        Err(BindError::InUse(_)) if same_port => share(address, old).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            _ => BindError::Io { address, source },
        }),
        bound => bound,
    }
}

fn share(address: SocketAddr, old: &TcpListener) -> io::Result<TcpListener> {
    sockopt::set_socket_reuseport(old, true)?;
    let new = sharing(address);
    // No other process is to take part of our clients.
    sockopt::set_socket_reuseport(old, false)?;
    new
}

fn sharing(address: SocketAddr) -> io::Result<TcpListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let new = socket_with(
        if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 },
        SocketType::STREAM,
        flags,
        None,
    )?;
    sockopt::set_socket_reuseaddr(&new, true)?;
    sockopt::set_socket_reuseport(&new, true)?;
    rustix::net::bind(&new, &address)?;
    rustix::net::listen(&new, BACKLOG)?;
    sockopt::set_socket_reuseport(&new, false)?;
    Ok(new.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn an_address_in_use_is_named() {
        let free: SocketAddr = ([127, 0, 0, 1], 0).into();
        let first = bind(free).expect("a free port");
        let taken = first.local_addr().expect("bound");
        let error = bind(taken).expect_err("taken").to_string();
        assert!(error.contains(&taken.to_string()) && error.contains("in use"), "{error}");
    }

    #[test]
    fn an_address_that_overlaps_ours_can_take_its_place_while_we_listen() {
        let old = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let port = old.local_addr().expect("bound").port();
        let new = bind_beside(([0, 0, 0, 0], port).into(), &old).expect("beside the old one");
        drop(old);
        let _client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        sockopt::socket_acceptconn(&new).expect("a listening socket");
        new.accept().expect("the client");
    }

    #[test]
    fn what_another_process_holds_is_not_shared() {
        let old = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let theirs = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let error = bind_beside(theirs.local_addr().expect("bound"), &old).expect_err("taken");
        assert!(matches!(error, BindError::InUse(_)), "{error}");
    }
}
