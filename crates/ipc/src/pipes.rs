//! The two pipes that calls travel on, between the gateway and one worker. A round trip through pipes costs about two thirds of
//! one through a Unix socket. The supervisor makes them and hands each of the two its ends over the control connection that it
//! inherited, so no other process can hold one.

use std::{io, os::fd::OwnedFd};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Receiver, Sender,
    frame::MAX_PAYLOAD,
    half::{ReadHalf, WriteHalf},
};

/// Bytes that the pipe towards the gateway holds, so that a large result takes few turns. The other one keeps the system's size
/// (64 KiB): all pipes of a user share one allowance (`pipe-user-pages-soft`, pipe(7)), and servers need theirs as well.
const ANSWERS: usize = 256 * 1024;

/// The ends that one of the two gets: where it reads, and where it writes.
#[derive(Debug)]
pub struct DataEnd {
    read: OwnedFd,
    write: OwnedFd,
}

impl DataEnd {
    /// Makes both pipes. The gateway's end, then the worker's.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (worker_reads, gateway_writes) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let (gateway_reads, worker_writes) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Where the allowance is used up, the size that there is has to do.
        let _ = fcntl_setpipe_size(&gateway_reads, ANSWERS);
        let gateway = Self { read: gateway_reads, write: gateway_writes };
        Ok((gateway, Self { read: worker_reads, write: worker_writes }))
    }

    /// To be handed over. With our copies closed, the end of either process is the end of both pipes.
    pub fn into_descriptors(self) -> Vec<OwnedFd> {
        vec![self.read, self.write]
    }

    /// The descriptors that were handed over.
    pub fn from_descriptors([read, write]: [OwnedFd; 2]) -> Self {
        Self { read, write }
    }

    /// Data messages with payloads. To be called where they are read and written.
    pub fn open<In: DeserializeOwned, Out: Serialize>(self) -> io::Result<(Receiver<In>, Sender<Out>)> {
        let (read, write) = (ReadHalf::pipe(self.read)?, WriteHalf::pipe(self.write)?);
        Ok((Receiver::new(read, MAX_PAYLOAD), Sender::new(write)))
    }
}
