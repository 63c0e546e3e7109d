//! One direction of a connection.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat},
    io::Errno,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::unix::pipe,
};

// Each direction has a descriptor of its own, registered for that direction only and, for writing, only while the socket
// is full. A stream socket registered for both wakes its owner each time the peer reads (unix(7) sockets report room
// for writing at every read), which on the path of a call costs two context switches each way. `pipe` is what tokio
// calls a descriptor of one direction; nothing in it is peculiar to pipes.

/// The reading direction of a connection: of a local socket, which is closed when both directions are dropped, or a pipe.
#[derive(Debug)]
pub struct ReadHalf(pipe::Receiver);

/// The writing direction of a connection.
#[derive(Debug)]
pub struct WriteHalf {
    descriptor: OwnedFd,
    /// Present while there is no room.
    blocked: Option<pipe::Sender>,
}

impl ReadHalf {
    /// The reading end of a pipe; anything else is an error.
    pub(crate) fn pipe(descriptor: OwnedFd) -> io::Result<Self> {
        make_ready(&descriptor, OFlags::RDONLY)?;
        pipe::Receiver::from_owned_fd_unchecked(descriptor).map(Self)
    }
}

impl WriteHalf {
    /// The writing end of a pipe; anything else is an error.
    pub(crate) fn pipe(descriptor: OwnedFd) -> io::Result<Self> {
        make_ready(&descriptor, OFlags::WRONLY)?;
        Ok(Self { descriptor, blocked: None })
    }

    /// The stream that is written to.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }
}

/// Checks that it is an end of a pipe in this direction, and puts it in non-blocking mode. What tokio has for this asks by `fstat` of
/// the C library, which is a call by path on some systems: the gateway may not make such calls (docs/decisions/0133).
fn make_ready(descriptor: &OwnedFd, direction: OFlags) -> io::Result<()> {
    let flags = fcntl_getfl(descriptor)?;
    let is_pipe = FileType::from_raw_mode(fstat(descriptor)?.st_mode) == FileType::Fifo;
    if !is_pipe || flags & OFlags::RWMODE != direction {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no such end of a pipe"));
    }
    Ok(fcntl_setfl(descriptor, flags | OFlags::NONBLOCK)?)
}

/// The writing direction of a socket that is in non-blocking mode.
pub(crate) fn write_half(socket: OwnedFd) -> WriteHalf {
    WriteHalf { descriptor: socket, blocked: None }
}

/// Splits a socket that is in non-blocking mode.
pub(crate) fn split(socket: OwnedFd) -> io::Result<(ReadHalf, WriteHalf)> {
    let read = pipe::Receiver::from_owned_fd_unchecked(socket.try_clone()?)?;
    Ok((ReadHalf(read), write_half(socket)))
}

impl AsyncRead for ReadHalf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.blocked.is_none() {
            match rustix::io::write(&self.descriptor, bytes) {
                Err(Errno::AGAIN) => {
                    let copy = self.descriptor.as_fd().try_clone_to_owned()?;
                    self.blocked = Some(pipe::Sender::from_owned_fd_unchecked(copy)?);
                }
                outcome => return Poll::Ready(outcome.map_err(io::Error::from)),
            }
        }
        let sender = self.blocked.as_mut().expect("set above");
        let outcome = ready!(Pin::new(sender).poll_write(cx, bytes));
        self.blocked = None;
        Poll::Ready(outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The end of a connection is the drop of both its directions; none is ended alone.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixStream, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    fn pair() -> ((ReadHalf, WriteHalf), (ReadHalf, WriteHalf)) {
        let (one, other) = UnixStream::pair().expect("a pair");
        let of = |stream: UnixStream| {
            stream.set_nonblocking(true).expect("non-blocking");
            split(stream.into()).expect("splits")
        };
        (of(one), of(other))
    }

    #[tokio::test]
    async fn more_than_the_socket_holds_gets_through_in_both_directions() {
        let ((mut read_a, mut write_a), (mut read_b, mut write_b)) = pair();
        let big: Vec<u8> = (0..3_000_000u32).map(|i| i as u8).collect();
        let (mut at_a, mut at_b) = (vec![0; big.len()], vec![0; big.len()]);
        let all = async {
            let (a, b, c, d) = tokio::join!(
                write_a.write_all(&big),
                write_b.write_all(&big),
                read_a.read_exact(&mut at_a),
                read_b.read_exact(&mut at_b),
            );
            (a.expect("written"), b.expect("written"), c.expect("read"), d.expect("read"))
        };
        timeout(Duration::from_secs(20), all).await.expect("in time");
        assert!(at_a == big && at_b == big);
    }

    #[tokio::test]
    async fn the_end_of_one_side_is_seen_by_the_other() {
        let ((mut read, write), (other_read, other_write)) = pair();
        drop((other_read, other_write));
        let mut rest = Vec::new();
        let end = timeout(Duration::from_secs(5), read.read_to_end(&mut rest)).await.expect("in time");
        assert_eq!(end.expect("a clean end"), 0);
        drop(write);
    }
}
