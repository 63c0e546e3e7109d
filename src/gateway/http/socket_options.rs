//! Socket options that bound the cost of clients' connections. All of them are set on the listening socket, from which accepted ones inherit them, so
//! that no connection costs a system call for it.

use std::{io, os::fd::AsFd};

use mcproxy_ipc::control::ConnectionLimits;
use rustix::{
    net::sockopt,
    process::{Resource, Rlimit, getrlimit},
};
use slog::{Logger, warn};

/// Most bytes that the kernel buffers for a client that does not read.
const SEND_BUFFER: usize = 128 * 1024;
/// Descriptors that connections leave for all else: the supervisor, the workers, and ourselves.
const RESERVED: usize = 256;
/// The least number of connections, whatever the limits of the system.
const FEWEST: usize = 8;

/// Sets what accepted connections inherit. A client that takes nothing, whether it does not read or is not there any more,
/// is given up by the kernel after the stall timeout (`TCP_USER_TIMEOUT`, tcp(7)): that covers streams and plain answers
/// alike, and costs nothing while all is well.
pub(super) fn inherit(listener: impl AsFd, limits: &ConnectionLimits) -> io::Result<()> {
    let stall = u32::try_from(limits.stall_timeout.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER)?;
    sockopt::set_tcp_user_timeout(&listener, stall)?;
    // Messages are small and whole when they are written; nothing is gained by waiting for more.
    sockopt::set_tcp_nodelay(&listener, true)?;
    Ok(())
}

/// How many connections there may be: what is configured, unless the system allows fewer descriptors. (The process has raised their
/// limit to what the system allows when it began.)
pub(super) fn at_once(limits: &ConnectionLimits, log: &Logger) -> usize {
    let Rlimit { current, .. } = getrlimit(Resource::Nofile);
    let possible = bounded(limits.at_once, current);
    if possible < limits.at_once {
        warn!(log, "fewer connections are possible than limits.maxConnections: the system allows too few descriptors";
            "connections" => possible, "descriptors" => current);
    }
    possible
}

/// `descriptors`: how many there may be; `None` for any number.
fn bounded(wanted: usize, descriptors: Option<u64>) -> usize {
    let descriptors = descriptors.map_or(usize::MAX, |number| usize::try_from(number).unwrap_or(usize::MAX));
    wanted.min(descriptors.saturating_sub(RESERVED).max(FEWEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_never_use_up_all_descriptors() {
        assert_eq!(bounded(16_000, None), 16_000);
        assert_eq!(bounded(16_000, Some(1024)), 768);
        assert_eq!(bounded(16_000, Some(64)), FEWEST);
        assert_eq!(bounded(100, Some(20_000)), 100);
    }
}
