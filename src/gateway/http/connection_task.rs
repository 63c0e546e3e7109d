//! The task of one connection: which carrier has it, and when that changes.
//!
//! The HTTP library keeps two buffers for a connection as long as it carries it, whatever the client does. So it is there for
//! requests only: an idle connection waits for the next one without it, and a stream that lasts is written by [`StreamWriter`]
//! (docs/decisions/0140).

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::net::TcpStream;

use super::{
    carrier::Carrier,
    client_socket::{ClientSocket, poll_sent},
    connection::Connection,
    error::HttpError,
    stream_writer::StreamWriter,
};

/// The HTTP library at work on one connection.
pub(super) type HttpTask = Pin<Box<dyn Future<Output = ()>>>;

/// All connections, as the task of one sees them.
pub(super) trait Others {
    /// Whether a connection with this carrier is to end, if it has nothing under way.
    fn end(&self, carrier: Carrier) -> bool;

    /// Connections with nothing to do let go of the HTTP library. Whether there were such.
    fn let_go(&self) -> bool;
}

enum Carried {
    Idle(TcpStream),
    Http(HttpTask),
    Stream(StreamWriter),
}

/// Carries a connection until its end.
pub(super) struct ConnectionTask<O> {
    connection: Rc<Connection>,
    others: Rc<O>,
    http: Rc<dyn Fn(ClientSocket) -> HttpTask>,
    /// `None` at the end, and while one follows another.
    carried: Option<Carried>,
    /// The others were asked to make room for it.
    asked: bool,
}

impl<O: Others> ConnectionTask<O> {
    pub(super) fn new(
        socket: TcpStream,
        connection: Rc<Connection>,
        others: Rc<O>,
        http: Rc<dyn Fn(ClientSocket) -> HttpTask>,
    ) -> Self {
        Self { connection, others, http, carried: Some(Carried::Idle(socket)), asked: false }
    }

    /// Hands what has come to the HTTP library, or refuses it. Pending: others are asked for room.
    fn poll_begin(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.connection.carry(Carrier::Http) {
            Err(_) if !self.asked && self.others.let_go() => {
                self.asked = true;
                // After those who were asked.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Err(full) => {
                if let Some(Carried::Idle(socket)) = self.carried.take() {
                    // As much of it as goes out at once; the client has not sent a whole request, perhaps.
                    let _ = socket.try_write(&HttpError::busy(full).to_bytes());
                }
            }
            Ok(()) => {
                if let Some(Carried::Idle(socket)) = self.carried.take() {
                    self.carried = Some(Carried::Http((self.http)(ClientSocket::new(socket, self.connection.clone()))));
                }
            }
        }
        self.asked = false;
        Poll::Ready(())
    }

    /// Takes the connection from the HTTP library, which is done with it for now.
    fn go_on_as(&mut self, carrier: Carrier) {
        // There is room: it costs less than the library.
        let _ = self.connection.carry(carrier);
        self.carried = None;
        self.carried = self.connection.take_socket().map(|socket| match carrier {
            Carrier::Stream => Carried::Stream(StreamWriter::new(socket, self.connection.clone())),
            Carrier::New | Carrier::Idle | Carrier::Http => Carried::Idle(socket),
        });
    }
}

impl<O: Others> Future for ConnectionTask<O> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.connection.begin_turn(cx) {
            return Poll::Ready(());
        }
        loop {
            match &mut this.carried {
                None => return Poll::Ready(()),
                Some(Carried::Idle(_)) if this.others.end(this.connection.carrier()) => return Poll::Ready(()),
                Some(Carried::Idle(socket)) => match ready!(poll_sent(socket, cx)) {
                    true => ready!(this.poll_begin(cx)),
                    false => return Poll::Ready(()),
                },
                Some(Carried::Http(http)) => {
                    if http.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    match this.connection.next_carrier() {
                        Some(next) => this.go_on_as(next),
                        None => return Poll::Pending,
                    }
                }
                Some(Carried::Stream(writer)) => match ready!(writer.poll(cx)) {
                    Some(socket) => {
                        let _ = this.connection.carry(Carrier::Idle);
                        this.carried = Some(Carried::Idle(socket));
                    }
                    None => return Poll::Ready(()),
                },
            }
        }
    }
}

impl<O> Drop for ConnectionTask<O> {
    fn drop(&mut self) {
        self.carried = None;
        // Others may still know the connection; its socket is closed now.
        drop(self.connection.take_socket());
    }
}
