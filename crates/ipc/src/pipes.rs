//! The two pipes that calls travel on. A round trip through pipes costs about two thirds of one through a Unix socket, so
//! the data plane uses the socket for what only a socket can do: find the peer, see who it is, hand the pipes over.

use std::{io, os::fd::AsFd};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::{
    half::{ReadHalf, WriteHalf},
    handover,
};

/// What the pipe towards the caller holds, so that a large result takes few turns. The other one keeps the system's size
/// (64 KiB): all pipes of a user share one allowance (`pipe-user-pages-soft`, pipe(7)), and servers need theirs as well.
const ANSWERS: usize = 256 * 1024;

/// Makes both pipes and hands the other ends over. The caller's part.
pub(crate) async fn offer(socket: WriteHalf) -> io::Result<(ReadHalf, WriteHalf)> {
    let (their_read, our_write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (our_read, their_write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Where the allowance is used up, the size that there is has to do.
    let _ = fcntl_setpipe_size(&our_read, ANSWERS);
    handover::send(socket.descriptor(), &[their_read.as_fd(), their_write.as_fd()]).await?;
    // With our copies of their ends closed, the end of either process is the end of both pipes.
    Ok((ReadHalf::pipe(our_read)?, WriteHalf::pipe(our_write)?))
}

/// Waits for the pipes. The listener's part.
pub(crate) async fn accept(socket: WriteHalf) -> io::Result<(ReadHalf, WriteHalf)> {
    let [read, write] = handover::receive(socket.descriptor()).await?;
    Ok((ReadHalf::pipe(read)?, WriteHalf::pipe(write)?))
}
