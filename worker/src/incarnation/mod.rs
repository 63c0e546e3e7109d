//! One run of one server, from spawn to the last report: the shell around the session.
//!
//! One loop on one thread owns everything. It reads what is ready, lets the session decide, and writes what came of it:
//! one write for all lines that a batch of calls became, one queue operation per message to the gateway.
//!
//! Backpressure: while the gateway does not take messages, the server's stdout is not read; while the server does not
//! read its stdin, the gateway's calls are not read. Neither stops the other direction, timeouts or the supervisor.

mod finish;
mod once_more;
mod wait;

use std::{
    cell::Cell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_ipc::{EndReason, Ended, Listener, WorkerSpec, control::WorkerToSupervisor, data::GatewayToWorker};
use rustix::process::Signal;
use slog::{Logger, debug};
use tokio::{
    net::unix::pipe::{Receiver, Sender},
    sync::mpsc,
    task::JoinHandle,
};

use self::wait::Woke;
pub(crate) use self::wait::poll_once;
use crate::{
    alarm::Alarm,
    environment,
    keep::Keeper,
    launch::{self, Process, Server},
    lines::{Line, Splitter},
    link::{Incoming, Link, Outgoing, Pumped, doorman},
    session::{Event, Session, TAIL_IN_ERRORS},
    stderr::{self, Stderr},
    stop::{Ladder, Step},
    tree::Tree,
};

/// Bytes that wait for the server's stdin before the gateway has to wait as well.
const BACKLOG: usize = 1024 * 1024;
/// From the end of stdout, or of stdin, to the exit that usually comes with it.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);
/// How long the last words of a dead server are waited for; something it started may hold its pipes open.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Frames that are taken before anything is written.
const FRAMES_PER_TURN: usize = 64;
/// Both ends of a line over the limit that are looked at.
const KEEP: usize = 256;
const STDERR_CHUNK: usize = 8 * 1024;

/// What others want of a run.
pub(crate) enum Order {
    /// End it.
    Stop,
    /// End it when the gateway has let go, or after this time.
    Drain(Duration),
    /// End it at once.
    Kill,
    /// The same, because the server uses more than it may: this.
    Exceeded(String),
    /// Here is the gateway.
    Serve(Box<Link>),
}

/// Which way a traced line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    FromServer,
}

/// Sees every line of JSON-RPC.
pub(crate) type Trace = Box<dyn FnMut(Way, &[u8])>;

/// How a run is connected to the rest.
pub(crate) struct Ports {
    /// The sending half is for the doorman.
    pub(crate) orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    pub(crate) reports: mpsc::Sender<WorkerToSupervisor>,
    /// Where there is no socket to wait at.
    pub(crate) link: Option<Link>,
    pub(crate) stderr: stderr::Sink,
    pub(crate) trace: Option<Trace>,
    pub(crate) tree: Tree,
    /// Which of several that run at once.
    pub(crate) instance: Option<u32>,
    /// Becomes true when no further call has a chance, which may be a while before the end.
    pub(crate) given_up: Rc<Cell<bool>>,
    pub(crate) log: Logger,
}

/// Starts the server, serves until it ends or is told to, and leaves nothing of it behind.
pub(crate) async fn run(spec: WorkerSpec, ports: Ports) -> Ended {
    let mark = environment::mark(&spec, ports.instance);
    let alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => {
            let reason = EndReason::Worker(format!("cannot make a timer: {error}"));
            return Ended { reason, stderr_tail: String::new() };
        }
    };
    let server = match launch::spawn(&spec, &mark, &ports.tree) {
        Ok(server) => server,
        Err(reason) => return Ended { reason, stderr_tail: String::new() },
    };
    let mut incarnation = Incarnation::new(spec, server, ports);
    incarnation.begun();
    incarnation.serve(alarm).await;
    let rest = incarnation.rest();
    let ended = incarnation.finish().await;
    rest.sweep().await;
    ended
}

fn report(reports: &mpsc::Sender<WorkerToSupervisor>, log: &Logger, message: WorkerToSupervisor) {
    // The queue is longer than a run has reports, unless the supervisor hangs; then a count more or less is no matter.
    if reports.try_send(message).is_err() {
        debug!(log, "report dropped");
    }
}

/// Where a run stands.
enum Stage {
    Running,
    /// Given up; the ladder goes on until the leader has ended.
    Ending(EndReason, Ladder),
    /// The leader has ended, of its own accord or not. What is left in the pipes is read until then.
    Exited {
        reason: EndReason,
        until: Instant,
        unasked: bool,
    },
    /// That was its answer to being asked what it speaks: it is to be started once more.
    OnceMore,
    Over(EndReason),
}

struct Incarnation {
    spec: WorkerSpec,
    session: Session,
    stage: Stage,
    process: Process,
    stdin: Option<Sender>,
    /// How much of the session's output is in the pipe.
    written: usize,
    /// How much of it was shown to the trace.
    traced: usize,
    /// Ends the run at that time, unless the server moves or exits before.
    suspicion: Option<(Instant, EndReason)>,
    /// It hung up when it was asked what it speaks, and we killed it for that.
    hung_up: bool,
    stdout: Option<Receiver>,
    splitter: Splitter,
    stderr_pipe: Option<Receiver>,
    stderr_chunk: Vec<u8>,
    stderr: Stderr,
    incoming: Option<Incoming>,
    outgoing: Option<Outgoing>,
    /// The gateway takes nothing at present.
    deaf: bool,
    /// Told to end once the gateway has let go, and by then at the latest.
    drained_by: Option<Instant>,
    doorman: Option<JoinHandle<()>>,
    keeper: Option<Keeper>,
    tree: Tree,
    instance: Option<u32>,
    /// Watches what the server uses.
    usage: Option<JoinHandle<()>>,
    ports_orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    reports: mpsc::Sender<WorkerToSupervisor>,
    trace: Option<Trace>,
    given_up: Rc<Cell<bool>>,
    log: Logger,
}

impl Incarnation {
    fn new(spec: WorkerSpec, server: Server, ports: Ports) -> Self {
        let now = Instant::now();
        let session = Session::new(&spec, ports.link.is_some(), ports.log.clone(), now);
        let (incoming, outgoing) = ports.link.map(|link| (link.incoming, link.outgoing)).unzip();
        Self {
            session,
            stage: Stage::Running,
            process: server.process,
            stdin: Some(server.stdin),
            written: 0,
            traced: 0,
            suspicion: None,
            hung_up: false,
            stdout: Some(server.stdout),
            splitter: Splitter::new(spec.limits.line_bytes, KEEP),
            stderr_pipe: Some(server.stderr),
            stderr_chunk: Vec::with_capacity(STDERR_CHUNK),
            stderr: Stderr::new(spec.limits.stderr_lines, ports.stderr, now),
            incoming,
            outgoing,
            deaf: false,
            drained_by: None,
            doorman: None,
            keeper: spec.catalogue_file.clone().map(|file| Keeper::start(file, ports.log.clone())),
            tree: ports.tree,
            instance: ports.instance,
            usage: None,
            ports_orders: ports.orders,
            reports: ports.reports,
            trace: ports.trace,
            given_up: ports.given_up,
            log: ports.log,
            spec,
        }
    }

    async fn serve(&mut self, mut alarm: Alarm) {
        loop {
            let now = Instant::now();
            self.read_lines(now);
            self.session.tick(self.deaf, now);
            self.heed_events(now);
            self.advance(now);
            match self.stage {
                Stage::Over(_) => return,
                Stage::OnceMore => {
                    self.start_once_more().await;
                    continue;
                }
                Stage::Running | Stage::Ending(..) | Stage::Exited { .. } => {}
            }
            self.write_server(now);
            let was_deaf = self.deaf;
            self.write_gateway();
            if was_deaf && !self.deaf {
                continue; // lines that were left wake nobody
            }
            match self.wait(&mut alarm, now).await {
                Woke::Order(Some(Order::Serve(link))) => {
                    self.session.link_up(Instant::now());
                    (self.incoming, self.outgoing) = (Some(link.incoming), Some(link.outgoing));
                }
                Woke::Order(Some(Order::Stop) | None) => self.end(EndReason::Stopped, Instant::now()),
                Woke::Order(Some(Order::Drain(grace))) => self.drained_by = Some(Instant::now() + grace),
                Woke::Order(Some(Order::Kill)) => self.kill(EndReason::Stopped, Instant::now()),
                Woke::Order(Some(Order::Exceeded(what))) => self.kill(EndReason::Limit(what), Instant::now()),
                Woke::Frame(Ok(Some((message, payload)))) => self.take_frames(message, &payload).await,
                Woke::Frame(Ok(None)) => self.unlink(),
                Woke::Frame(Err(error)) => {
                    debug!(self.log, "gateway connection failed"; "error" => %error);
                    self.unlink();
                }
                Woke::Stdout(Ok(1..)) => {}
                Woke::Stdout(Ok(0) | Err(_)) => self.stdout_over(),
                Woke::Stderr(read) => self.take_stderr(read),
                Woke::Exit => self.exited(Instant::now()),
                Woke::Look => {}
            }
        }
    }

    /// Gives the session the lines that are there, unless their consequences would pile up.
    fn read_lines(&mut self, now: Instant) {
        while !self.deaf {
            let Some(line) = self.splitter.next() else { break };
            self.read_line(line, now);
            if self.session.out.gateway.len() >= FRAMES_PER_TURN {
                self.write_gateway();
            }
        }
    }

    fn read_line(&mut self, line: Line, now: Instant) {
        if let Some(trace) = &mut self.trace {
            match &line {
                Line::Text(text) => trace(Way::FromServer, text),
                Line::TooLong { head, len, .. } => {
                    trace(Way::FromServer, format!("{} … ({len} bytes)", String::from_utf8_lossy(head)).as_bytes());
                }
            }
        }
        self.session.line(line, now);
    }

    /// Takes the frame that woke us and those that came with it, so that their lines make one write.
    async fn take_frames(&mut self, message: GatewayToWorker, payload: &[u8]) {
        let now = Instant::now();
        self.session.frame(message, payload, now);
        for _ in 1..FRAMES_PER_TURN {
            let Some(incoming) = &mut self.incoming else { return };
            if self.session.out.server.len() - self.written >= BACKLOG {
                return;
            }
            match poll_once(incoming.next()).await {
                Some(Ok(Some((message, payload)))) => self.session.frame(message, &payload, now),
                Some(Ok(None) | Err(_)) => return self.unlink(),
                None => return,
            }
        }
    }

    fn unlink(&mut self) {
        self.session.link_down();
        (self.incoming, self.outgoing, self.deaf) = (None, None, false);
    }

    fn write_server(&mut self, now: Instant) {
        let out = &mut self.session.out.server;
        if let Some(trace) = &mut self.trace {
            for line in out[self.traced..].split_inclusive(|b| *b == b'\n') {
                trace(Way::ToServer, line.strip_suffix(b"\n").unwrap_or(line));
            }
            self.traced = out.len();
        }
        while let Some(stdin) = self.stdin.as_ref().filter(|_| self.written < out.len()) {
            match stdin.try_write(&out[self.written..]) {
                Ok(n) => {
                    self.written += n;
                    self.suspicion.take_if(|(_, reason)| *reason == EndReason::Unresponsive);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.suspicion.get_or_insert((now + self.spec.limits.write_timeout, EndReason::Unresponsive));
                    return;
                }
                Err(_) => {
                    self.stdin = None;
                    self.suspicion = Some((now + EXIT_FOLLOWS, EndReason::Unresponsive));
                }
            }
        }
        if out.capacity() > BACKLOG / 4 {
            *out = Vec::new(); // one large call must not be held for the life of the server
        }
        out.clear();
        (self.written, self.traced) = (0, 0);
    }

    fn write_gateway(&mut self) {
        let Some(outgoing) = &mut self.outgoing else { return };
        match outgoing.pump(&mut self.session.out.gateway) {
            Pumped::All => self.deaf = false,
            Pumped::Full => self.deaf = true,
            Pumped::Closed => self.unlink(),
        }
    }

    fn take_stderr(&mut self, read: io::Result<usize>) {
        if !matches!(read, Ok(1..)) {
            self.stderr_pipe = None;
        }
        self.stderr.take(&self.stderr_chunk, Instant::now());
        self.stderr_chunk.clear();
    }

    fn stdout_over(&mut self) {
        self.stdout = None;
        if let Some(rest) = self.splitter.finish() {
            self.read_line(rest, Instant::now());
        }
        self.suspicion = Some((Instant::now() + EXIT_FOLLOWS, EndReason::StdoutClosed));
    }

    fn heed_events(&mut self, now: Instant) {
        for event in std::mem::take(&mut self.session.out.events) {
            match event {
                Event::Ready(description) => match self.open_door() {
                    Ok(()) => {
                        report(&self.reports, &self.log, WorkerToSupervisor::Ready(description));
                        self.keep_catalogue();
                    }
                    Err(error) => self.end(EndReason::Worker(format!("cannot bind the data socket: {error}")), now),
                },
                Event::Counts(counts) => {
                    report(&self.reports, &self.log, WorkerToSupervisor::Counts(counts));
                    self.keep_catalogue();
                }
                Event::NothingToDo => report(&self.reports, &self.log, WorkerToSupervisor::NothingToDo),
                Event::Work => report(&self.reports, &self.log, WorkerToSupervisor::Work),
                Event::Left => self.end(EndReason::Stopped, now),
                Event::Broken(reason) => self.end(reason, now),
            }
        }
    }

    fn keep_catalogue(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.keep(self.session.catalogue());
        }
    }

    fn open_door(&mut self) -> io::Result<()> {
        if let Some(path) = &self.spec.data_socket {
            let listener = Listener::bind(path)?;
            self.doorman = Some(tokio::spawn(doorman(listener, self.ports_orders.0.clone(), self.log.clone())));
        }
        Ok(())
    }

    /// Gives the server up. The first reason counts.
    fn end(&mut self, reason: EndReason, now: Instant) {
        if matches!(self.stage, Stage::Running) {
            self.given_up.set(true);
            self.session.end(&reason, &self.stderr.tail(TAIL_IN_ERRORS));
            let ladder = match reason {
                EndReason::Stopped | EndReason::Handshake(_) => Ladder::polite(now),
                _ => Ladder::firm(now),
            };
            self.stage = Stage::Ending(reason, ladder);
        }
    }

    /// The same without asking it first, even when it is being asked already.
    fn kill(&mut self, reason: EndReason, now: Instant) {
        self.end(reason, now);
        if let Stage::Ending(_, ladder) = &mut self.stage {
            *ladder = Ladder::last(now);
        }
    }

    /// The leader's end is the server's: what it started goes with it.
    fn exited(&mut self, now: Instant) {
        self.given_up.set(true);
        self.process.signal(Signal::KILL);
        let exit = self.process.reap().unwrap_or(EndReason::Exited { code: None, signal: None });
        let unasked = matches!(self.stage, Stage::Running) && (self.hung_up || is_its_own(&exit));
        let reason = match &self.stage {
            Stage::Ending(reason, _) => reason.clone(),
            Stage::Running | Stage::Exited { .. } | Stage::OnceMore | Stage::Over(_) => exit,
        };
        self.stage = Stage::Exited { reason, until: now + LAST_WORDS, unasked };
    }

    /// Does what the time, or the end of the pipes, has made due.
    fn advance(&mut self, now: Instant) {
        if let Some((_, reason)) = self.suspicion.take_if(|(at, _)| *at <= now) {
            if self.session.excuses_an_end() {
                self.hung_up = true; // it has closed a pipe and lives on, which says the same as an exit
                self.process.signal(Signal::KILL);
            } else {
                self.end(reason, now);
            }
        }
        // Calls are in flight only as long as the gateway that waits for them is there.
        if self.drained_by.is_some_and(|by| self.incoming.is_none() || by <= now) {
            self.end(EndReason::Stopped, now);
            self.drained_by = None;
        }
        match &mut self.stage {
            Stage::Running | Stage::OnceMore | Stage::Over(_) => {}
            Stage::Exited { reason, until, unasked } => {
                if *until <= now || (self.stdout.is_none() && self.stderr_pipe.is_none()) {
                    let excused = *unasked && self.session.excuses_an_end();
                    self.stage = if excused { Stage::OnceMore } else { Stage::Over(reason.clone()) };
                }
            }
            Stage::Ending(reason, ladder) => match ladder.step(now) {
                None => {}
                Some(Step::CloseStdin) => self.stdin = None,
                Some(Step::Terminate) => {
                    self.process.signal(Signal::CONT); // a stopped process would not see the next one
                    self.process.signal(Signal::TERM);
                }
                Some(Step::Kill) => self.process.signal(Signal::KILL),
                Some(Step::GiveUp) => self.stage = Stage::Over(reason.clone()),
            },
        }
    }
}

/// Whether a process ended of its own accord, and was not killed by somebody.
fn is_its_own(exit: &EndReason) -> bool {
    let others = [Signal::KILL.as_raw(), Signal::TERM.as_raw(), Signal::INT.as_raw(), Signal::HUP.as_raw()];
    matches!(exit, EndReason::Exited { signal, .. } if signal.is_none_or(|signal| !others.contains(&signal)))
}
