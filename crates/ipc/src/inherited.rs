//! The control connection of a process that the supervisor starts. It is a pair of sockets without a name, one of which the
//! process has as its standard input from its first moment: who holds the other end is the supervisor, and no other process can be
//! there. A path would be open to every process of the user (`docs/decisions/0115-control-connections-are-inherited.md`).

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    os::unix::net::UnixStream,
};

use rustix::net::{AddressFamily, SocketType, sockopt};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{
    DescriptorHalf, FrameError, Hello, HelloError, Receiver, Sender, Verdict, WriteHalf,
    half::{self, ReadHalf},
    hello::HELLO_TIMEOUT,
    socket::{self, Never},
};

/// The supervisor's end, until the process at the other one has said hello.
#[derive(Debug)]
pub struct ChildConnection {
    receiver: Receiver<Never>,
    sender: Sender<Never>,
}

/// The end of the process that was started.
#[derive(Debug)]
pub struct Inherited {
    read: DescriptorHalf,
    write: WriteHalf,
}

impl ChildConnection {
    /// Makes both ends. The second one becomes the standard input of the process, and is closed here once that is spawned: then
    /// the end of the process is the end of the connection.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (read, write) = half::split(ours.into())?;
        Ok((Self { receiver: Receiver::new(read, 0), sender: Sender::new(write) }, theirs.into()))
    }

    /// Waits, as long as it takes, until the process says hello: who started it knows how long a start may take. Cancel safe.
    pub async fn hello(&mut self) -> Result<Hello, HelloError> {
        self.receiver.next_as().await?.ok_or(HelloError::Closed)
    }

    /// Says why there is nothing more to come. A process of another build cannot read it, but the frame's header tells it so.
    pub async fn refuse(mut self, reason: String) {
        // It may be gone already.
        let _ = timeout(HELLO_TIMEOUT, socket::send_raw(&mut self.sender, &Verdict::Refused(reason))).await;
    }

    /// From here on: control messages.
    pub fn control<In: DeserializeOwned, Out: Serialize>(self) -> (Receiver<In, ReadHalf>, Sender<Out>) {
        (self.receiver.retype(0), self.sender.retype())
    }
}

impl Inherited {
    /// Takes standard input over, as [`take_stdin`] does.
    ///
    /// # Errors
    /// Standard input is no such connection: the process was started by hand.
    pub fn from_stdin() -> io::Result<Self> {
        Self::new(take_stdin()?)
    }

    /// The same for a socket that was taken over before, or came another way.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        let write = half::write_half(socket.try_clone()?.into());
        Ok(Self { read: DescriptorHalf::new(socket.into())?, write })
    }

    /// Says hello. What comes then are control messages, some of them with descriptors.
    pub async fn introduce<In: DeserializeOwned, Out: Serialize>(
        self,
    ) -> Result<(Receiver<In, DescriptorHalf>, Sender<Out>), FrameError> {
        let mut sender = Sender::<Never>::new(self.write);
        socket::send_raw(&mut sender, &Hello::ours()).await?;
        Ok((Receiver::new(self.read, 0), sender.retype()))
    }
}

/// Takes over the socket that is standard input, which is empty from then on: what this process starts inherits nothing of it.
///
/// # Errors
/// Standard input is no such connection: the process was started by hand.
pub fn take_stdin() -> io::Result<OwnedFd> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let is_ours = || {
        let family = sockopt::socket_domain(&socket)?;
        Ok::<_, rustix::io::Errno>(
            family == AddressFamily::UNIX && sockopt::socket_type(&socket)? == SocketType::STREAM,
        )
    };
    if !is_ours().unwrap_or(false) {
        let what = "standard input is no connection to a supervisor; `mcproxy-supervisor` starts this program";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::{SupervisorToWorker, WorkerToSupervisor};

    #[tokio::test]
    async fn both_ends_of_an_inherited_connection_speak_after_the_hello() {
        let (mut ours, theirs) = ChildConnection::pair().expect("a pair");
        let child = Inherited::new(theirs).expect("taken over");
        let all = async {
            let (mut orders, mut reports) =
                child.introduce::<SupervisorToWorker, WorkerToSupervisor>().await.expect("said");
            assert_eq!(ours.hello().await.expect("heard"), Hello::ours());
            let (mut receiver, mut sender) = ours.control::<WorkerToSupervisor, SupervisorToWorker>();
            sender.send(&SupervisorToWorker::Ping(1)).await.expect("sent");
            assert_eq!(orders.next().await.expect("a frame").expect("no end").0, SupervisorToWorker::Ping(1));
            reports.send(&WorkerToSupervisor::Pong(1)).await.expect("sent");
            assert_eq!(receiver.next().await.expect("a frame").expect("no end").0, WorkerToSupervisor::Pong(1));
            drop((orders, reports));
            assert!(receiver.next().await.expect("a clean end").is_none());
        };
        timeout(Duration::from_secs(5), all).await.expect("in time");
    }
}
