//! Who holds the other end of a loopback connection, by what the kernel says (proc(5), `/proc/net/tcp`): without authentication that is all
//! there is to tell an operator's browser from another user, or from a server that calls its own gateway.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use mcproxy_ipc::processes;

use crate::{
    ancestry::{self, CallerOrigin},
    children::Children,
};

/// Processes whose descriptors are looked through, at most.
const MAX_PROCESSES: usize = 20_000;

/// Why a caller is not taken for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoOperator {
    /// It is not of this machine.
    #[error("the request does not come from this machine")]
    Elsewhere,
    /// Its connection cannot be found.
    #[error("the connection of the request cannot be found any more")]
    Gone,
    /// Its connection is of another user.
    #[error("the request comes from another user than MCProxy's own")]
    OtherUser,
    /// A server made it.
    #[error("the request comes from a process that a server started")]
    Server,
    /// It cannot be told which process made it.
    #[error("it cannot be told which process the request comes from")]
    Unclear,
}

/// A socket, as `/proc/net/tcp` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ListedSocket {
    local: SocketAddr,
    uid: u32,
    inode: u64,
}

/// Whether the caller whose connection comes from here is an operator: a process of MCProxy's own user (or root) that no server
/// started. Reads `/proc`, which takes some milliseconds.
pub(crate) fn check(peer: SocketAddr, children: &Children) -> Result<(), NoOperator> {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    if !peer.ip().is_loopback() {
        return Err(NoOperator::Elsewhere);
    }
    let sockets: Vec<ListedSocket> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| of_table(&table))
        .collect();
    let us = rustix::process::geteuid().as_raw();
    let mut inodes = Vec::new();
    for socket in sockets.iter().filter(|socket| socket.local == peer) {
        if socket.uid != us && socket.uid != 0 {
            return Err(NoOperator::OtherUser);
        }
        inodes.push(socket.inode);
    }
    if inodes.is_empty() {
        return Err(NoOperator::Gone);
    }
    match holders(&inodes) {
        SocketHolders::None => Err(NoOperator::Unclear),
        SocketHolders::Some(pids) => {
            let is_operator = |pid: &u32| ancestry::standing(*pid) == CallerOrigin::Operator;
            if pids.iter().all(is_operator) { Ok(()) } else { Err(NoOperator::Server) }
        }
        // Its holder hides what it holds, as some browsers do, or can do more than we. If no server's process can be hiding it, none
        // holds it. Gateway and workers hide everything, and connect to nothing of the kind.
        SocketHolders::Hidden => {
            let servers = processes::below(std::process::id(), |_| false);
            let hides = |process: &processes::Process| {
                let may_be_it =
                    !process.zombie && !children.contains(process.pid) && processes::user(process.pid) == Some(us);
                may_be_it && held(process.pid, &inodes).is_err()
            };
            if servers.iter().any(hides) { Err(NoOperator::Unclear) } else { Ok(()) }
        }
    }
}

/// The processes that hold a socket.
enum SocketHolders {
    /// These.
    Some(Vec<u32>),
    /// None that can be looked into.
    Hidden,
    /// There are too many processes to look at.
    None,
}

fn holders(inodes: &[u64]) -> SocketHolders {
    let all = processes::all();
    if all.len() > MAX_PROCESSES {
        return SocketHolders::None;
    }
    let found: Vec<u32> =
        all.iter().filter(|process| held(process.pid, inodes).unwrap_or(false)).map(|process| process.pid).collect();
    if found.is_empty() { SocketHolders::Hidden } else { SocketHolders::Some(found) }
}

/// Whether a process holds one of these sockets. An error: it is not ours to look at, or gone.
fn held(pid: u32, inodes: &[u64]) -> io::Result<bool> {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let inode =
            target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
        if inode.is_some_and(|inode| inodes.contains(&inode)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The connected sockets of a table.
fn of_table(table: &str) -> Vec<ListedSocket> {
    table.lines().skip(1).filter_map(of_line).collect()
}

fn of_line(line: &str) -> Option<ListedSocket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let local = address(words.next()?)?;
    let state = words.nth(1)?;
    let mut rest = words.skip(3);
    let uid = rest.next()?.parse().ok()?;
    let inode = rest.nth(1)?.parse().ok()?;
    // One that is closed has no owner any more.
    (state == "01" || state == "08" || state == "04").then_some(ListedSocket { local, uid, inode })
}

/// An address as the kernel prints it: words of the machine's byte order, in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:2EE9 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 x 100 0 0 10 0\n   \
            1: 0100007F:9C40 0100007F:2EE9 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 x 20 4 30 10 -1\n   \
            2: 00000000000000000000000001000000:9C41 00000000000000000000000001000000:2EE9 01 0:0 0:0 0 0 0 333 1\n   \
            3: 0000000000000000FFFF00000100007F:9C42 0000000000000000FFFF00000100007F:2EE9 01 0:0 0:0 0 5 0 444 1\nnonsense\n";
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(
            of_table(table),
            [
                ListedSocket { local: at("127.0.0.1:40000"), uid: 1000, inode: 222 },
                ListedSocket { local: at("[::1]:40001"), uid: 0, inode: 333 },
                ListedSocket { local: at("127.0.0.1:40002"), uid: 5, inode: 444 },
            ]
        );
    }

    #[test]
    fn a_connection_of_this_very_process_is_found_and_one_that_is_gone_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (peer, ours) = (client.local_addr().expect("an address"), Children::default());
        // This process stands for the supervisor, and what that holds is no operator's.
        assert_eq!(check(peer, &ours), Err(NoOperator::Server));
        drop(client);
        drop(listener);
        assert_eq!(check(SocketAddr::from(([127, 0, 0, 1], 1)), &ours), Err(NoOperator::Gone));
        assert_eq!(check(SocketAddr::from(([192, 0, 2, 1], 1)), &ours), Err(NoOperator::Elsewhere));
    }
}
