//! Open descriptors that come along with the messages of a control connection (`SCM_RIGHTS`, unix(7)).
//!
//! A descriptor is attached to the first byte of the frame that it belongs to. The kernel never reads past the bytes of one
//! such attachment together with the next one, and a descriptor is lost only to who reads its bytes without asking for it.
//! So a process that may be sent one always reads with [`DescriptorHalf`], and takes what came in the order of the messages.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};
use tokio::{
    io::{AsyncRead, Interest, ReadBuf, unix::AsyncFd},
    sync::mpsc,
};

use crate::{FrameError, Receiver, Sender, WriteHalf, frame::BATCH};

/// Most descriptors of one message. More are an error at the sender.
const MOST: usize = 4;
/// Messages whose descriptors may wait to be taken. More are an error that ends the connection: no read goes beyond the first
/// message that has any, and who reads takes what belongs to a message before it reads on.
const WAITING: usize = 4;

/// A message and the descriptors that go with it, most often none.
pub type Parcel<M> = (M, Vec<OwnedFd>);

/// The reading direction of a control connection on which descriptors may come.
#[derive(Debug)]
pub struct DescriptorHalf {
    socket: AsyncFd<OwnedFd>,
    /// Descriptors that came and were not taken yet: one entry for each message that had any, complete or not.
    came: VecDeque<Vec<OwnedFd>>,
}

impl DescriptorHalf {
    /// Reads from a socket in non-blocking mode.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: watched(socket, Interest::READABLE)?, came: VecDeque::new() })
    }
}

impl AsyncRead for DescriptorHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let mut guard = ready!(this.socket.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match guard.try_io(|socket| take(socket.as_fd(), room)) {
                Ok(Ok((read, descriptors))) => {
                    buf.advance(read);
                    if let Some(descriptors) = descriptors {
                        if this.came.len() >= WAITING {
                            return Poll::Ready(Err(io::Error::other("more descriptors came than any message has")));
                        }
                        this.came.push_back(descriptors);
                    }
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

#[expect(deprecated, reason = "its successor is `unsafe`, for descriptors that may change; an OwnedFd cannot")]
fn watched(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, interest)
}

/// One read: how many bytes, and the descriptors that came along, if any did.
fn take(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<(usize, Option<Vec<OwnedFd>>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(room)], &mut control, flags)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptors: Vec<OwnedFd> = rights.flatten().collect();
    // Where we may open no more, some are missing. Their message is still the one that they belong to.
    let came = !descriptors.is_empty() || message.flags.contains(ReturnFlags::CTRUNC);
    Ok((message.bytes, came.then_some(descriptors)))
}

impl<M> Receiver<M, DescriptorHalf> {
    /// The descriptors of the message that was read last, if that is of a kind that has any: exactly `N`. To be called for each
    /// such message, before the next one is read.
    pub fn descriptors<const N: usize>(&mut self) -> io::Result<[OwnedFd; N]> {
        let came = self.io_mut().came.pop_front().unwrap_or_default();
        came.try_into().map_err(|came: Vec<OwnedFd>| {
            io::Error::other(format!("{} of {N} descriptors came; this process may have no more open", came.len()))
        })
    }
}

impl<M: serde::Serialize> Sender<M, WriteHalf> {
    /// Writes one message and copies of the descriptors that belong to it, at most `MOST`.
    pub async fn send_along(&mut self, message: &M, descriptors: &[OwnedFd]) -> Result<(), FrameError> {
        if descriptors.is_empty() {
            return self.send(message).await;
        }
        self.flush().await?;
        self.buffer(message, &[])?;
        self.flush_along(descriptors).await
    }

    /// Adds a message to what waits to be written; nothing is waited for while it is borrowed.
    fn take_over(&mut self, message: M) -> Result<(), FrameError> {
        self.buffer(&message, &[])
    }

    /// Writes the one frame that waits, with its descriptors.
    async fn flush_along(&mut self, descriptors: &[OwnedFd]) -> Result<(), FrameError> {
        let (io, bytes) = self.parts();
        let sent = attach(io.descriptor(), bytes, descriptors).await?;
        self.written(sent);
        self.flush().await
    }

    /// Writes all that comes out of `queue` until every sender of it is gone, several frames per system call when they
    /// pile up. A frame over its limit ends the connection: senders check sizes before they queue.
    pub async fn drain(mut self, mut queue: mpsc::Receiver<Parcel<M>>) -> Result<(), FrameError> {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            for (message, descriptors) in batch.drain(..) {
                if !descriptors.is_empty() {
                    self.flush().await?;
                }
                self.take_over(message)?;
                if !descriptors.is_empty() {
                    self.flush_along(&descriptors).await?;
                }
            }
            self.flush().await?;
        }
        Ok(())
    }
}

/// Sends the beginning of `bytes`, at least one, with the descriptors; says how many.
async fn attach(socket: &OwnedFd, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<usize> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    loop {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(rustix::io::Errno::AGAIN) => {}
            outcome => return Ok(outcome?),
        }
        // Registered for as long as it is full only, as everywhere (see `half.rs`).
        let full = watched(socket.try_clone()?, Interest::WRITABLE)?;
        full.writable().await?.retain_ready();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::unix::net::UnixStream, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::{
        control::SupervisorToWorker,
        half::{ReadHalf, split},
    };

    fn pair() -> (Sender<SupervisorToWorker>, Receiver<SupervisorToWorker, DescriptorHalf>, ReadHalf) {
        let (one, other) = UnixStream::pair().expect("a pair");
        for socket in [&one, &other] {
            socket.set_nonblocking(true).expect("non-blocking");
        }
        let (read, write) = split(one.into()).expect("split");
        (Sender::new(write), Receiver::new(DescriptorHalf::new(other.into()).expect("registered"), 0), read)
    }

    fn file(text: &str) -> OwnedFd {
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, text.as_bytes()).expect("written");
        io::Seek::rewind(&mut file).expect("rewound");
        file.into()
    }

    fn text(descriptor: OwnedFd) -> String {
        let mut text = String::new();
        File::from(descriptor).read_to_string(&mut text).expect("read");
        text
    }

    #[tokio::test]
    async fn descriptors_come_with_their_messages_however_many_messages_are_read_at_once() {
        let (mut sender, mut receiver, _read) = pair();
        let (queue, queued) = mpsc::channel(64);
        for number in 0..20 {
            queue.send((SupervisorToWorker::Ping(number), Vec::new())).await.expect("room");
            if number % 3 == 0 {
                let descriptors = vec![file(&format!("one of {number}")), file(&format!("other of {number}"))];
                queue.send((SupervisorToWorker::Serve, descriptors)).await.expect("room");
            }
        }
        drop(queue);
        sender.send(&SupervisorToWorker::Stop).await.expect("sent");
        sender.drain(queued).await.expect("sent");
        let mut last = 0;
        while last < 19 {
            let next = timeout(Duration::from_secs(5), receiver.next()).await.expect("in time").expect("a frame");
            match next.expect("no end").0 {
                SupervisorToWorker::Ping(number) => last = number,
                SupervisorToWorker::Serve => {
                    let [one, other] = receiver.descriptors().expect("both");
                    assert_eq!((text(one), text(other)), (format!("one of {last}"), format!("other of {last}")));
                }
                _ => {}
            }
        }
    }

    #[tokio::test]
    async fn a_message_whose_descriptors_are_missing_is_an_error_of_that_message_alone() {
        let (mut sender, mut receiver, _read) = pair();
        sender.send_along(&SupervisorToWorker::Serve, &[file("a")]).await.expect("sent");
        sender.send_along(&SupervisorToWorker::Serve, &[file("b"), file("c")]).await.expect("sent");
        let mut next =
            async || timeout(Duration::from_secs(5), receiver.next()).await.expect("in time").expect("a frame");
        next().await.expect("the first");
        assert!(receiver.descriptors::<2>().is_err(), "one came");
        let mut next =
            async || timeout(Duration::from_secs(5), receiver.next()).await.expect("in time").expect("a frame");
        next().await.expect("the second");
        let [one, other] = receiver.descriptors().expect("two came");
        assert_eq!((text(one), text(other)), ("b".to_owned(), "c".to_owned()));
    }

    #[tokio::test]
    async fn descriptors_wait_for_room_as_messages_do() {
        let (mut sender, mut receiver, _read) = pair();
        let full = async {
            for number in 0..20_000 {
                sender.send(&SupervisorToWorker::Ping(number)).await.expect("sent");
            }
            sender.send_along(&SupervisorToWorker::Serve, &[file("at last")]).await.expect("sent");
        };
        let read = async {
            let mut pings = 0;
            while let Some((message, _)) = receiver.next().await.expect("a frame") {
                match message {
                    SupervisorToWorker::Ping(_) => pings += 1,
                    _ => {
                        return (
                            pings,
                            text(receiver.descriptors::<1>().expect("it came").into_iter().next().expect("one")),
                        );
                    }
                }
            }
            (pings, String::new())
        };
        let all = timeout(Duration::from_secs(20), async { tokio::join!(full, read) }).await.expect("in time");
        assert_eq!(all.1, (20_000, "at last".to_owned()));
    }
}
