//! The socket of a client, which keeps its connection informed of what is read and written.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::connection::Connection;

/// Ready with `true` when the client has sent something, which is left in the socket, and with `false` when it has closed its side.
/// Not the readiness alone: that of a new socket is assumed.
pub(super) fn poll_sent(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<bool> {
    let mut byte = [MaybeUninit::uninit()];
    socket.poll_peek(cx, &mut ReadBuf::uninit(&mut byte)).map(|peeked| matches!(peeked, Ok(1..)))
}

/// The client's socket.
pub(super) struct ClientSocket {
    /// There until it is dropped.
    stream: Option<TcpStream>,
    connection: Rc<Connection>,
}

impl ClientSocket {
    pub(super) fn new(stream: TcpStream, connection: Rc<Connection>) -> Self {
        Self { stream: Some(stream), connection }
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is there until this is dropped"))
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        self.stream.take().into_iter().for_each(|stream| self.connection.put_socket(stream));
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.connection.is_ahead() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = self.stream().poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.connection.read(&mut buffer.filled_mut()[before..]);
        }
        read
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write(cx, bytes);
        match written {
            Poll::Ready(Ok(taken @ 1..)) => self.connection.written(taken),
            Poll::Ready(_) => {}
            Poll::Pending => self.connection.blocked(bytes.len()),
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write_vectored(cx, parts);
        match written {
            Poll::Ready(Ok(taken @ 1..)) => self.connection.written(taken),
            Poll::Ready(_) => {}
            Poll::Pending => self.connection.blocked(parts.iter().map(|part| part.len()).sum()),
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The library does this when all is written.
        self.connection.flushed();
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
