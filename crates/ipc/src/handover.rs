//! Handing open descriptors to the process at the other end of a local socket (`SCM_RIGHTS`, unix(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::net::UnixStream as StdStream,
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};
use tokio::{io::Interest, net::UnixStream};

/// Most descriptors in one message.
const MOST: usize = 4;
/// Descriptors travel with at least one byte; this one says that it is ours.
const MARK: u8 = 0xFD;

/// Sends copies of `descriptors`, at most [`MOST`], over a socket in non-blocking mode.
pub(crate) async fn send(socket: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let stream = watched(socket)?;
    let sent = stream.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
        }
        Ok(sendmsg(socket, &[IoSlice::new(&[MARK])], &mut control, SendFlags::DONTWAIT)?)
    });
    sent.await.map(|_| ())
}

/// Waits for exactly `N` descriptors. They are closed on `exec`.
pub(crate) async fn receive<const N: usize>(socket: &OwnedFd) -> io::Result<[OwnedFd; N]> {
    let stream = watched(socket)?;
    let received = stream.async_io(Interest::READABLE, || take(socket.as_fd()));
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "another number of descriptors came than was expected");
    received.await?.try_into().map_err(wrong)
}

fn take(socket: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut mark)], &mut control, flags)?;
    // Taken out first, so that whatever else is wrong, none stays open unseen.
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptors: Vec<OwnedFd> = rights.flatten().collect();
    if message.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if mark != [MARK] || message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer sent something else than descriptors"));
    }
    Ok(descriptors)
}

/// The same socket, registered for as long as the hand-over takes.
fn watched(socket: &OwnedFd) -> io::Result<UnixStream> {
    UnixStream::from_std(StdStream::from(socket.try_clone()?))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, time::Duration};

    use tokio::time::timeout;

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let (one, other) = StdStream::pair().expect("a pair");
        for socket in [&one, &other] {
            socket.set_nonblocking(true).expect("non-blocking");
        }
        (one.into(), other.into())
    }

    async fn received<const N: usize>(socket: &OwnedFd) -> io::Result<[OwnedFd; N]> {
        timeout(Duration::from_secs(5), receive(socket)).await.expect("in time")
    }

    #[tokio::test]
    async fn a_descriptor_that_was_handed_over_leads_to_the_same_file() {
        let (ours, theirs) = pair();
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, b"the same").expect("written");
        io::Seek::rewind(&mut file).expect("rewound");
        send(&ours, &[file.as_fd()]).await.expect("sent");
        drop(file);
        let [copy] = received(&theirs).await.expect("received");
        let mut text = String::new();
        File::from(copy).read_to_string(&mut text).expect("read");
        assert_eq!(text, "the same");
    }

    #[tokio::test]
    async fn anything_but_the_expected_descriptors_is_refused() {
        let (ours, theirs) = pair();
        rustix::io::write(&ours, b"M").expect("written");
        assert_eq!(received::<1>(&theirs).await.expect_err("no descriptors").kind(), io::ErrorKind::InvalidData);
        send(&ours, &[ours.as_fd(), ours.as_fd()]).await.expect("sent");
        assert_eq!(received::<1>(&theirs).await.expect_err("two came").kind(), io::ErrorKind::InvalidData);
        drop(ours);
        assert_eq!(received::<1>(&theirs).await.expect_err("the end").kind(), io::ErrorKind::UnexpectedEof);
    }
}
