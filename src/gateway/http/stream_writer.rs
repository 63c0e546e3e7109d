//! A stream that is the answer of a connection, written without the HTTP library once it lasts: each part as a chunk
//! (RFC 9112 §7.1). The head of the response has been written.

use std::{
    io::Write as _,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::{io::AsyncWrite, net::TcpStream};

use super::{client_socket::poll_sent, connection::Connection, write_queue::SLICE};

/// The chunk that is the end.
const LAST: &[u8] = b"0\r\n\r\n";

/// Writes the stream of a connection.
pub(super) struct StreamWriter {
    connection: Rc<Connection>,
    /// There until the end.
    socket: Option<TcpStream>,
    /// Bytes that the client has not taken, and how many of them have been written.
    unsent: Vec<u8>,
    sent: usize,
    /// The last chunk is in it.
    ended: bool,
    /// The client has sent its next request already, which is read after the end.
    ahead: bool,
}

impl StreamWriter {
    pub(super) fn new(socket: TcpStream, connection: Rc<Connection>) -> Self {
        Self { connection, socket: Some(socket), unsent: Vec::new(), sent: 0, ended: false, ahead: false }
    }

    /// Ready at the end of the stream, with the socket, or when the client is gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<TcpStream>> {
        loop {
            let more = self.gather(cx);
            match self.poll_write(cx) {
                Poll::Ready(true) if self.ended => return Poll::Ready(self.socket.take()),
                Poll::Ready(true) if more => {}
                Poll::Ready(true) | Poll::Pending => return self.poll_gone(cx).map(|()| None),
                Poll::Ready(false) => return Poll::Ready(None),
            }
        }
    }

    /// Takes the parts that the stream has now, up to one slice and whatever goes beyond it; whether there may be more.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.ended && self.unsent.len() < SLICE {
            match self.connection.poll_stream(cx) {
                Poll::Ready(Some(part)) => push_chunk(&mut self.unsent, &part),
                Poll::Ready(None) => {
                    self.unsent.extend_from_slice(LAST);
                    self.ended = true;
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    /// Ready with `false` when nothing can be written any more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.unsent.is_empty() {
            return Poll::Ready(true);
        }
        let Some(socket) = &mut self.socket else { return Poll::Ready(false) };
        while self.sent < self.unsent.len() {
            match Pin::new(&mut *socket).poll_write(cx, &self.unsent[self.sent..]) {
                Poll::Ready(Ok(written @ 1..)) => {
                    self.sent += written;
                    self.connection.written(written);
                }
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => {
                    self.connection.blocked(self.unsent.len() - self.sent);
                    return Poll::Pending;
                }
            }
        }
        // Nothing is kept for the next time: that may be long from now.
        (self.unsent, self.sent) = (Vec::new(), 0);
        self.connection.flushed();
        Poll::Ready(true)
    }

    /// Ready when the client has closed its side. What it sends is left in the socket.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(socket) = self.socket.as_ref().filter(|_| !self.ahead) else { return Poll::Pending };
        self.ahead = ready!(poll_sent(socket, cx));
        if self.ahead { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.connection.end_stream();
    }
}

fn push_chunk(out: &mut Vec<u8>, part: &[u8]) {
    // An empty one would be the end.
    if !part.is_empty() {
        out.reserve(part.len() + 16);
        // Writing to a vector cannot fail.
        let _ = write!(out, "{:X}\r\n", part.len());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}
