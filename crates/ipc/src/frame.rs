//! Frames: a fixed header, a message head, and (on the data plane) a raw payload.
//!
//! ```text
//!  0      2        4             8               12
//!  | "MP" | version | head length | payload length | head … | payload … |     integers big-endian
//! ```
//! The header is checked (magic, version, both lengths) before a byte of the rest is allocated.

use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    codec::{self, CodecError, MAX_HEAD},
    large::{LARGE, Large},
};

/// Raised whenever a message changes shape; both ends must agree.
pub const WIRE_VERSION: u16 = 44;
/// Most payload bytes in one data frame: above the largest line or body that configuration allows.
pub const MAX_PAYLOAD: usize = 64 * 1024 * 1024;

const MAGIC: [u8; 2] = *b"MP";
const HEADER: usize = 12;
/// Bytes that one read asks the socket for.
const READ_CHUNK: usize = 16 * 1024;
/// Frames written by one system call at most; bounds how long one queue may hold a socket.
pub(crate) const BATCH: usize = 64;

/// Why a frame could not be read or written. After any of these the connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer does not speak this protocol.
    #[error("the peer does not speak MCProxy's protocol")]
    Magic,
    /// The peer was built from another version of MCProxy.
    #[error("the peer speaks wire version {theirs}, this binary speaks {ours}; restart both from the same build")]
    Version {
        /// The version that the peer announced.
        theirs: u16,
        /// [`WIRE_VERSION`].
        ours: u16,
    },
    /// A length is beyond its bound; nothing was allocated.
    #[error("a frame's {part} of {len} bytes is over the limit of {max}")]
    TooLarge {
        /// `head` or `payload`.
        part: &'static str,
        /// The announced length in bytes.
        len: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// The connection ended inside a frame.
    #[error("the connection ended in the middle of a frame")]
    Truncated,
    /// The head is not a message of this direction.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] std::io::Error),
}

/// The lengths that a header announces, already within their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lengths {
    head: usize,
    payload: usize,
}

fn check_header(header: &[u8; HEADER], max_payload: usize) -> Result<Lengths, FrameError> {
    let [m0, m1, v0, v1, h @ .., p0, p1, p2, p3] = *header;
    if [m0, m1] != MAGIC {
        return Err(FrameError::Magic);
    }
    let theirs = u16::from_be_bytes([v0, v1]);
    if theirs != WIRE_VERSION {
        return Err(FrameError::Version { theirs, ours: WIRE_VERSION });
    }
    let head = u32::from_be_bytes(h) as usize;
    if head > MAX_HEAD {
        return Err(FrameError::TooLarge { part: "head", len: head, max: MAX_HEAD });
    }
    let payload = u32::from_be_bytes([p0, p1, p2, p3]) as usize;
    if payload > max_payload {
        return Err(FrameError::TooLarge { part: "payload", len: payload, max: max_payload });
    }
    Ok(Lengths { head, payload })
}

/// Appends one frame to `out`; for callers that gather several frames before a write.
pub fn encode_frame<M: Serialize>(message: &M, payload: &[u8], out: &mut BytesMut) -> Result<(), FrameError> {
    if payload.len() > MAX_PAYLOAD {
        return Err(FrameError::TooLarge { part: "payload", len: payload.len(), max: MAX_PAYLOAD });
    }
    let start = out.len();
    out.reserve(HEADER + 64 + payload.len());
    out.put_slice(&MAGIC);
    out.put_u16(WIRE_VERSION);
    out.put_u32(0);
    out.put_u32(payload.len() as u32);
    let head = match codec::encode(message, out) {
        Ok(head) if head <= MAX_HEAD => head,
        Ok(head) => {
            out.truncate(start);
            return Err(FrameError::TooLarge { part: "head", len: head, max: MAX_HEAD });
        }
        Err(error) => {
            out.truncate(start);
            return Err(error.into());
        }
    };
    out[start + 4..start + 8].copy_from_slice(&(head as u32).to_be_bytes());
    out.put_slice(payload);
    Ok(())
}

/// A frame as it comes in.
#[derive(Debug)]
pub enum Part<M> {
    /// All of it.
    Whole(M, Bytes),
    /// One whose payload of so many bytes is still to be read.
    Large(M, usize),
}

/// The reading half of a connection that carries messages `M` towards us.
#[derive(Debug)]
pub struct Receiver<M, R = crate::ReadHalf> {
    io: R,
    buffer: BytesMut,
    /// A frame whose payload has a block of its own.
    large: Option<Large>,
    max_payload: usize,
    direction: PhantomData<fn() -> M>,
}

impl<M: DeserializeOwned, R: AsyncRead + Unpin> Receiver<M, R> {
    /// Reads messages from `io`, with payloads of at most `max_payload` bytes (0 on the control plane).
    pub fn new(io: R, max_payload: usize) -> Self {
        Self { io, buffer: BytesMut::new(), large: None, max_payload, direction: PhantomData }
    }

    /// The next message with its payload; `None` when the peer closed the connection between two frames.
    /// Cancel safe: what was read so far stays in the buffer.
    pub async fn next(&mut self) -> Result<Option<(M, Bytes)>, FrameError> {
        self.read_frame().await
    }

    /// The same, and of a frame with a large payload only what it says: [`Receiver::payload`] must be asked for next.
    pub async fn next_part(&mut self) -> Result<Option<Part<M>>, FrameError> {
        loop {
            if let Some(large) = &self.large {
                return Ok(Some(Part::Large(codec::decode(large.head())?, large.payload_len())));
            }
            if let Some((message, payload)) = self.take_frame()? {
                return Ok(Some(Part::Whole(message, payload)));
            }
            if self.large.is_none() && !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The payload of the frame that [`Receiver::next_part`] told of. One that is not wanted is empty, and takes no memory.
    pub async fn payload(&mut self, wanted: bool) -> Result<Bytes, FrameError> {
        let Some(large) = &mut self.large else { return Ok(Bytes::new()) };
        large.fill(&mut self.io, &mut self.buffer, wanted).await?;
        Ok(self.large.take().map(|large| large.into_payload()).unwrap_or_default())
    }

    async fn read_frame<N: DeserializeOwned>(&mut self) -> Result<Option<(N, Bytes)>, FrameError> {
        loop {
            if let Some(large) = &self.large {
                let message = codec::decode(large.head())?;
                return Ok(Some((message, self.payload(true).await?)));
            }
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            if self.large.is_none() && !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Reads what there is; `false` at the end of the connection.
    async fn fill(&mut self) -> Result<bool, FrameError> {
        if self.buffer.capacity() - self.buffer.len() < READ_CHUNK / 2 {
            self.buffer.reserve(READ_CHUNK);
        }
        match (self.io.read_buf(&mut self.buffer).await?, self.buffer.is_empty()) {
            (0, true) => Ok(false),
            (0, false) => Err(FrameError::Truncated),
            _ => Ok(true),
        }
    }

    /// The next frame as a message of another type: the two halves of a hello come before the direction is known.
    pub(crate) async fn next_as<N: DeserializeOwned>(&mut self) -> Result<Option<N>, FrameError> {
        let next: Option<(N, Bytes)> = self.read_frame().await?;
        Ok(next.map(|(message, _)| message))
    }

    fn take_frame<N: DeserializeOwned>(&mut self) -> Result<Option<(N, Bytes)>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let Lengths { head, payload } = check_header(header, self.max_payload)?;
        let whole = HEADER + head + payload;
        if payload > LARGE {
            if self.buffer.len() < HEADER + head {
                self.buffer.reserve(HEADER + head - self.buffer.len());
                return Ok(None);
            }
            self.buffer.advance(HEADER);
            self.large = Some(Large::begin(&self.buffer[..head], payload));
            self.buffer.advance(head);
            return Ok(None);
        }
        if self.buffer.len() < whole {
            self.buffer.reserve(whole - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        let message = codec::decode(&self.buffer[..head])?;
        self.buffer.advance(head);
        let payload = self.buffer.split_to(payload).freeze();
        Ok(Some((message, payload)))
    }

    /// The same connection, from here on read as messages of another type (after a hello).
    pub(crate) fn retype<N: DeserializeOwned>(self, max_payload: usize) -> Receiver<N, R> {
        Receiver { io: self.io, buffer: self.buffer, large: self.large, max_payload, direction: PhantomData }
    }
}

impl<M, R> Receiver<M, R> {
    /// The stream that it reads from.
    pub(crate) fn io_mut(&mut self) -> &mut R {
        &mut self.io
    }
}

/// The writing half of a connection that carries messages `M` away from us.
#[derive(Debug)]
pub struct Sender<M, W = crate::WriteHalf> {
    io: W,
    buffer: BytesMut,
    direction: PhantomData<fn(M)>,
}

impl<M: Serialize, W: AsyncWrite + Unpin> Sender<M, W> {
    /// Writes messages to `io`.
    pub fn new(io: W) -> Self {
        Self { io, buffer: BytesMut::new(), direction: PhantomData }
    }

    /// Writes one message that has no payload.
    pub async fn send(&mut self, message: &M) -> Result<(), FrameError> {
        self.send_with(message, &[]).await
    }

    /// Writes one message and its payload.
    pub async fn send_with(&mut self, message: &M, payload: &[u8]) -> Result<(), FrameError> {
        encode_frame(message, payload, &mut self.buffer)?;
        self.flush().await
    }

    pub(crate) async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        Ok(self.io.write_all(bytes).await?)
    }

    /// Appends one frame to what is to be written; for callers that write with [`Sender::poll_write`].
    pub fn buffer(&mut self, message: &M, payload: &[u8]) -> Result<(), FrameError> {
        encode_frame(message, payload, &mut self.buffer)
    }

    /// How many bytes wait to be written.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Writes what waits; ready when all of it is written.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        while !self.buffer.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.buffer))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into()));
            }
            self.buffer.advance(written);
        }
        self.buffer.clear();
        if self.buffer.capacity() > 16 * READ_CHUNK {
            self.buffer = BytesMut::new(); // one large answer must not be held for the life of the connection
        }
        Poll::Ready(Ok(()))
    }

    /// The stream that it writes to, and the bytes that wait to be written.
    pub(crate) fn parts(&self) -> (&W, &[u8]) {
        (&self.io, &self.buffer)
    }

    /// So many of the bytes that waited were written another way.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
    }

    pub(crate) async fn flush(&mut self) -> Result<(), FrameError> {
        poll_fn(|cx| self.poll_write(cx)).await
    }

    /// The same connection, from here on written as messages of another type (after a hello).
    pub(crate) fn retype<N: Serialize>(self) -> Sender<N, W> {
        Sender { io: self.io, buffer: self.buffer, direction: PhantomData }
    }
}

#[cfg(test)]
mod tests;
