//! A network of its own, in which there is nothing but loopback.

use std::{fs, io};

use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
    process::{DumpableBehavior, dumpable_behavior, getegid, geteuid, set_dumpable_behavior},
    thread::{CapabilitySet, UnshareFlags, capabilities},
};

use crate::privileges::{doing, give_up_capabilities};

/// Moves this process into a network of its own, with loopback up. Where only root may make one, it gets a user namespace first, in
/// which it is the same user, without capabilities. To be called by a process that has one thread; what it starts is in that
/// network as well.
///
/// # Errors
/// The kernel gives no namespaces to this user, or a container does not. The network is the same as before then.
pub fn leave_network() -> io::Result<()> {
    if unshare(UnshareFlags::NEWNET).is_err() {
        unshare_as_user()?;
    }
    bring_loopback_up().map_err(doing("bring loopback up in a network namespace"))?;
    give_up_capabilities()
}

fn unshare_as_user() -> io::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    // Afterwards it would be nobody at all.
    if uid == 0 && !capabilities(None)?.effective.contains(CapabilitySet::SETFCAP) {
        let why = "root without capabilities cannot be root in a user namespace; servers with users of their own can";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).map_err(doing("make a network namespace"))?;
    // Files of a process that keeps its memory private belong to root, and who is who could not be written.
    let dumpable = dumpable_behavior()?;
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let mapped = fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")))
        .and_then(|()| fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")));
    set_dumpable_behavior(dumpable)?;
    mapped
}

#[expect(deprecated, reason = "its successor is `unsafe`, because of one flag that is not used here")]
fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(flags)
}

/// Asks over rtnetlink(7). Loopback is the first interface of every network.
fn bring_loopback_up() -> rustix::io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut request = Vec::with_capacity(32);
    // nlmsghdr: length, type, flags, sequence number, port
    request.extend(32u32.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    request.extend([0; 8]);
    // ifinfomsg: family, padding, type, index, flags, which flags are meant
    request.extend([0; 4]);
    request.extend(1i32.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes());
    // NETLINK_ROUTE is the protocol of number 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &request, SendFlags::empty())?;
    let mut answer = [0u8; 64];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    // After the header: 0, or the negative number of an error.
    let code =
        answer.get(16..20).filter(|_| length >= 20).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(rustix::io::Errno::from_raw_os_error(-code)),
        None => Err(rustix::io::Errno::BADMSG),
    }
}
