//! The TCP port. The supervisor holds it, so that no connection is refused while the gateway is being replaced.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Connections that wait while there is no gateway.
const BACKLOG: i32 = 1024;

/// Why the port is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// Somebody else has it.
    #[error(
        "cannot listen on {0}: the address is already in use (by another MCProxy or MetaMCP?); choose another with --port or `listen`"
    )]
    InUse(SocketAddr),
    /// Any other reason.
    #[error("cannot listen on {address}")]
    Io {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// Binds `address`; the standard library sets SO_REUSEADDR.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        _ => ListenError::Io { address, source },
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    // Listening again only changes the backlog.
    rustix::net::listen(&listener, BACKLOG).map_err(|error| refused(error.into()))?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_named() {
        let free: SocketAddr = ([127, 0, 0, 1], 0).into();
        let first = bind(free).expect("a free port");
        let taken = first.local_addr().expect("bound");
        let error = bind(taken).expect_err("taken").to_string();
        assert!(error.contains(&taken.to_string()) && error.contains("in use"), "{error}");
    }
}
