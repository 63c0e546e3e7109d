//! Datagrams to a local socket of the service manager, which take a descriptor along or are one.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::UnixDatagram,
    },
};

use mcproxy_confine::sealed_file;
use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

/// Sends a datagram with a descriptor.
pub(crate) fn send_with(socket: &UnixDatagram, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Sends what is too long for a datagram as a sealed file.
pub(crate) fn send_as_file(socket: &UnixDatagram, bytes: &[u8]) -> io::Result<()> {
    send_with(socket, &[], sealed_file("mcproxy-record", bytes)?.as_fd())
}
