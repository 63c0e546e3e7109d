//! One connection of a client: where it stands, and the socket that keeps track of that.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    io::{self, IoSlice},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use mcproxy_ipc::control::GatewaySettings;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{admission::Admission, framing::Framing};

/// The time as of the last look at all connections. Reading it costs no call.
#[derive(Debug)]
pub(super) struct Clock(Cell<Instant>);

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self(Cell::new(now))
    }

    pub(super) fn set(&self, now: Instant) {
        self.0.set(now);
    }
}

/// What a connection is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is owed to the client, or an answer is on its way.
    Resting,
    /// A request is being read or thought about; its own time limits hold. That it was told to go on (100, RFC 9110 §10.1.1) is
    /// no answer.
    Request,
    /// A stream is its answer, and has not ended.
    Streaming,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    /// For the head of a request.
    pub(super) head: Duration,
    /// For its next request, or ours for something to say.
    pub(super) rest: Duration,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    clock: Rc<Clock>,
    phase: Cell<Phase>,
    /// What the client has sent.
    framing: RefCell<Framing>,
    /// Requests that came while an earlier one was not answered.
    waiting: Cell<u32>,
    /// Of the phase, of the head that is not complete, or of the last byte that was ours.
    since: Cell<Instant>,
    given_up: Cell<bool>,
    /// What let the request in that is under way, or the stream that is its answer.
    admission: RefCell<Option<Admission>>,
    /// When it has to be over, because that does not hold any more.
    over_by: Cell<Option<Instant>>,
    task: OnceCell<Waker>,
}

impl Connection {
    pub(super) fn new(clock: Rc<Clock>) -> Self {
        let since = Cell::new(clock.0.get());
        Self {
            clock,
            phase: Cell::new(Phase::Resting),
            framing: RefCell::new(Framing::new()),
            waiting: Cell::new(0),
            since,
            given_up: Cell::new(false),
            admission: RefCell::default(),
            over_by: Cell::new(None),
            task: OnceCell::new(),
        }
    }

    /// Drives the connection until it is over, or given up.
    pub(super) async fn carry(&self, dispatcher: impl Future) {
        let mut dispatcher = pin!(dispatcher);
        poll_fn(|cx| {
            if self.given_up.get() {
                return Poll::Ready(());
            }
            // A task has one waker for all its life.
            self.task.get_or_init(|| cx.waker().clone());
            dispatcher.as_mut().poll(cx).map(drop)
        })
        .await;
    }

    /// Has its task look around.
    pub(super) fn wake(&self) {
        self.task.get().inspect(|task| task.wake_by_ref());
    }

    /// The request that is under way was let in.
    pub(super) fn admitted(&self, admission: Admission) {
        *self.admission.borrow_mut() = Some(admission);
    }

    /// Other tokens are in force: who was let in by one that is gone has until then to be answered.
    pub(super) fn look_at_admission(&self, settings: &GatewaySettings, by: Instant) {
        if self.admission.borrow().as_ref().is_some_and(|admission| !admission.holds(settings)) {
            self.over_by.set(Some(by));
        }
    }

    /// Gives the connection up if the client has taken longer than it may, or may stay no longer.
    pub(super) fn check(&self, patience: Patience, now: Instant) {
        if self.over_by.get().is_some_and(|by| by <= now) {
            self.given_up.set(true);
            return self.wake();
        }
        let limit = match self.phase.get() {
            Phase::Request => return,
            // The head of a request behind others that are not answered is in no hurry.
            Phase::Resting if self.waiting.get() == 0 && self.framing.borrow().is_in_head() => patience.head,
            Phase::Resting | Phase::Streaming => patience.rest,
        };
        if now.saturating_duration_since(self.since.get()) > limit {
            self.given_up.set(true);
            self.wake();
        }
    }

    /// The application has been given the next request.
    pub(super) fn asked(&self) {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        self.phase.set(Phase::Request);
    }

    /// The application has given its answer, all of it.
    pub(super) fn answered(&self) {
        self.admission.take();
        self.over_by.set(None);
        self.enter(Phase::Resting);
    }

    /// The application has begun its answer.
    pub(super) fn streams(&self) {
        self.enter(Phase::Streaming);
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.clock.0.get());
    }

    /// Bytes of the client, before anything else sees them.
    fn read(&self, bytes: &mut [u8]) {
        let mut framing = self.framing.borrow_mut();
        let was_in_head = framing.is_in_head();
        let heads = framing.take(bytes);
        self.waiting.set(self.waiting.get().saturating_add(heads));
        if framing.is_in_head() && (heads > 0 || !was_in_head) {
            self.since.set(self.clock.0.get());
        }
    }

    /// Whoever receives something is no stranger, and may take its time.
    fn written(&self) {
        self.since.set(self.clock.0.get());
    }
}

/// The client's socket.
pub(super) struct Client {
    stream: TcpStream,
    connection: Rc<Connection>,
}

impl Client {
    pub(super) fn new(stream: TcpStream, connection: Rc<Connection>) -> Self {
        Self { stream, connection }
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl AsyncRead for Client {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.connection.read(&mut buffer.filled_mut()[before..]);
        }
        read
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.connection.written();
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.connection.written();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), rest: Duration::from_secs(60) };

    struct Scene {
        start: Instant,
        clock: Rc<Clock>,
        connection: Connection,
    }

    fn scene() -> Scene {
        let start = Instant::now();
        let clock = Rc::new(Clock::new(start));
        Scene { start, connection: Connection::new(clock.clone()), clock }
    }

    impl Scene {
        fn at(&self, second: u64) -> &Connection {
            let now = self.start + Duration::from_secs(second);
            self.clock.set(now);
            self.connection.check(PATIENCE, now);
            &self.connection
        }

        fn is_given_up(&self, second: u64) -> bool {
            self.at(second).given_up.get()
        }
    }

    /// The head of a request, without its end.
    const HEAD: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";

    impl Connection {
        fn reads(&self, text: &str) {
            self.read(&mut text.as_bytes().to_vec());
        }

        fn reads_request(&self) {
            self.reads(HEAD);
            self.reads("\r\n");
        }
    }

    #[test]
    fn a_head_that_drips_in_is_given_up_whichever_request_of_the_connection_it_is() {
        let scene = scene();
        let first = scene.at(1);
        first.reads_request();
        first.asked();
        first.answered();
        first.written();
        for second in 20..30 {
            scene.at(second).reads("G");
            assert!(!scene.is_given_up(second));
        }
        assert!(scene.is_given_up(31));
    }

    #[test]
    fn a_request_takes_as_long_as_it_takes() {
        let scene = scene();
        scene.at(0).reads("POST /mcp HTTP/1.1\r\nContent-Length: 9\r\n\r\n");
        scene.at(1).asked();
        scene.at(30).reads("upgrade: "); // its body
        assert!(!scene.is_given_up(3600));
    }

    #[test]
    fn a_request_that_was_told_to_go_on_takes_as_long_as_it_takes() {
        let scene = scene();
        scene.at(0).reads("POST /mcp HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
        scene.at(0).asked();
        scene.at(0).written();
        scene.at(1).reads("{");
        assert!(!scene.is_given_up(3600));
    }

    #[test]
    fn a_request_behind_another_has_time_until_that_one_is_answered() {
        let scene = scene();
        scene.at(0).reads_request();
        scene.at(0).asked();
        scene.at(1).reads_request();
        scene.at(1).reads(HEAD);
        assert!(!scene.is_given_up(600), "the first is thought about");
        scene.at(600).answered();
        scene.at(600).written();
        assert!(!scene.is_given_up(630), "the second is about to be");
        scene.at(630).asked();
        assert!(!scene.is_given_up(700));
        scene.at(700).answered();
        scene.at(700).written();
        assert!(!scene.is_given_up(710));
        assert!(scene.is_given_up(711), "the third has had its time");
    }

    #[test]
    fn who_has_nothing_more_to_ask_is_let_go() {
        let scene = scene();
        scene.at(0).reads_request();
        scene.at(0).asked();
        scene.at(5).answered();
        scene.at(5).written();
        assert!(!scene.is_given_up(65));
        assert!(scene.is_given_up(66));
    }

    #[test]
    fn a_stream_that_says_something_now_and_then_stays_even_if_the_client_sends_ahead() {
        let scene = scene();
        scene.at(0).reads_request();
        scene.at(0).asked();
        scene.at(0).streams();
        for second in (0..600).step_by(15) {
            scene.at(second).written();
            scene.at(second).reads("G");
            assert!(!scene.is_given_up(second + 14));
        }
        scene.at(600).answered();
        assert!(!scene.is_given_up(610));
        assert!(scene.is_given_up(611), "what it sent ahead is the next request now");
    }
}
