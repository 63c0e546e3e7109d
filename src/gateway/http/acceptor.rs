//! Accepts the connections of clients, counts them, checks their timeouts and closes them.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::HashMap,
    future::pending,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_service::Service;
use futures_util::FutureExt;
use mcproxy_ipc::control::ConnectionLimits;
use slog::{Logger, info, warn};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::yield_now,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    carrier::Carrier,
    client_socket::ClientSocket,
    connection::{Clock, Connection, ConnectionTimeouts},
    connection_task::{ConnectionTask, HttpTask, Others},
    farewell::{Farewell, FarewellStep},
    socket_options,
};
use crate::gateway::{
    background::FAREWELL,
    base::{auth::Auth, budget::Budget, supervisor::SupervisorHandle},
};

/// How long an idle connection is kept. Event streams send a comment more often.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How often the timeouts of all connections are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long to wait after a failed accept (no descriptors left, for example).
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// How long a request may still run after its credentials were removed from the configuration.
const REVOCATION_GRACE: Duration = Duration::from_millis(500);
/// Log the accept failure at most once per interval.
const ACCEPT_WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// One in so many of the idle connections is closed when there is no room for a new one.
const IDLE_SHARE: usize = 16;
/// Time until the next question, after no connection had anything to let go of.
const IN_VAIN: Duration = Duration::from_millis(100);

/// All connections that are open.
pub(super) struct ConnectionSet {
    all: RefCell<HashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    clock: Rc<Clock>,
    left: Notify,
    farewell: Farewell,
    budget: Budget,
    asked_in_vain: Cell<Option<Instant>>,
}

impl ConnectionSet {
    pub(super) fn new(budget: Budget) -> Rc<Self> {
        Rc::new(Self {
            all: RefCell::default(),
            next: Cell::default(),
            clock: Rc::new(Clock::new(Instant::now())),
            left: Notify::new(),
            farewell: Farewell::default(),
            budget,
            asked_in_vain: Cell::new(None),
        })
    }

    /// How far the end of all connections has come.
    pub(super) fn farewell(&self) -> Farewell {
        self.farewell.clone()
    }

    fn count(&self) -> usize {
        self.all.borrow().len()
    }

    /// Takes a connection in; the longest idle give way if there is no room for it.
    async fn admit(
        self: &Rc<Self>,
        (stream, peer): (TcpStream, SocketAddr),
        http: &Rc<dyn Fn(ClientSocket) -> HttpTask>,
    ) {
        let connection = Rc::new(Connection::new(self.clock.clone(), self.budget.clone(), Some(peer)));
        let ways: [fn(&Self); 2] = [|all| _ = all.let_go(), Self::close_idle];
        for make_room in ways {
            if connection.carry(Carrier::New).is_ok() {
                break;
            }
            make_room(self);
            // They go first.
            yield_now().await;
        }
        if connection.carry(Carrier::New).is_err() {
            return;
        }
        let task = ConnectionTask::new(stream, connection.clone(), self.clone(), http.clone());
        let number = self.next.get();
        self.next.set(number + 1);
        self.all.borrow_mut().insert(number, connection);
        let connections = self.clone();
        tokio::task::spawn_local(async move {
            task.await;
            connections.all.borrow_mut().remove(&number);
            connections.left.notify_one();
        });
    }

    fn check_timeouts(&self, limits: &ConnectionLimits) {
        let now = Instant::now();
        self.clock.set(now);
        // The connections took their times from the clock, which may be one interval old.
        let timeouts =
            ConnectionTimeouts { head: limits.head_timeout + CHECK_INTERVAL, rest: KEEP_ALIVE + CHECK_INTERVAL };
        self.all.borrow().values().for_each(|connection| connection.check(timeouts, now));
    }

    /// Closes the connections whose credentials are no longer accepted, once their requests had time to end.
    pub(super) fn recheck_admissions(&self, auth: &Auth) {
        let by = Instant::now() + REVOCATION_GRACE;
        self.all.borrow().values().for_each(|connection| connection.recheck_admission(auth, by));
    }

    /// Closes some of the idle connections, the longest idle first: not one at a time, as all have to be looked at for it.
    fn close_idle(&self) {
        let now = Instant::now();
        let all = self.all.borrow();
        let mut idle: Vec<_> = all.iter().filter_map(|(number, one)| Some((one.idle_for(now)?, number, one))).collect();
        idle.sort_unstable_by_key(|(time, number, _)| (Reverse(*time), *number));
        idle.iter().take(idle.len().div_ceil(IDLE_SHARE)).for_each(|(_, _, connection)| connection.give_up());
    }

    /// Goes on with the end of all connections.
    fn take_leave(&self, step: FarewellStep) {
        self.farewell.reach(step);
        self.all.borrow().values().for_each(|connection| connection.wake());
    }

    /// Whether a connection is open that has not said anything.
    fn has_new(&self) -> bool {
        self.all.borrow().values().any(|connection| connection.carrier() == Carrier::New)
    }
}

impl Others for ConnectionSet {
    fn end(&self, carrier: Carrier) -> bool {
        self.farewell.ends(carrier)
    }

    fn let_go(&self) -> bool {
        let now = Instant::now();
        if self.asked_in_vain.get().is_some_and(|at| now.saturating_duration_since(at) < IN_VAIN) {
            return false;
        }
        let any = self.all.borrow().values().filter(|connection| connection.let_go()).count() > 0;
        self.asked_in_vain.set((!any).then_some(now));
        any
    }
}

/// Accepts connections and serves them with the service that `build` returns. When the supervisor asks for a drain, says farewell for
/// a while, stops accepting and waits until all connections are closed; the supervisor kills a gateway that takes too long.
pub(super) async fn serve<S>(
    listener: StdListener,
    build: impl AsyncFn(&ConnectionLimits) -> io::Result<S>,
    connections: Rc<ConnectionSet>,
    supervisor: SupervisorHandle,
    log: Logger,
) -> io::Result<()>
where
    S: Service<(ClientSocket, Option<SocketAddr>)> + 'static,
    S::Future: 'static,
{
    let (mut settings, mut drain) = (supervisor.settings.clone(), supervisor.drain.clone());
    let mut new_listener = supervisor.listener.clone();
    let mut limits = settings.borrow_and_update().connections;
    let mut at_once = socket_options::at_once(&limits, &log);
    socket_options::inherit(&listener, &limits)?;
    let mut listener = TcpListener::from_std(listener)?;
    let mut http = per_connection(build(&limits).await?);
    let mut check = interval(CHECK_INTERVAL);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_warning: Option<Instant> = None;
    let mut last_accept: Option<Instant> = None;
    loop {
        let count = connections.count();
        if last_accept.is_some() && count == 0 {
            break;
        }
        tokio::select! {
            accepted = listener.accept(), if count < at_once => match accepted {
                Ok(accepted) => connections.admit(accepted, &http).await,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if last_warning.is_none_or(|at| at.elapsed() >= ACCEPT_WARNING_INTERVAL) {
                        last_warning = Some(Instant::now());
                        warn!(log, "cannot accept connections"; "error" => %error, "connections" => count);
                    }
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
            () = connections.left.notified(), if count >= at_once => {}
            _ = check.tick() => connections.check_timeouts(&limits),
            Ok(()) = settings.changed() => {
                let new = settings.borrow_and_update().connections;
                if new != limits {
                    limits = new;
                    at_once = socket_options::at_once(&limits, &log);
                    socket_options::inherit(&listener, &limits)?;
                    http = per_connection(build(&limits).await?);
                }
            }
            Ok(()) = new_listener.changed() => {
                let Some(new) = new_listener.borrow_and_update().clone() else { continue };
                // Clients whose connections are already queued at the old address are still served.
                while let Some(Ok(accepted)) = listener.accept().now_or_never() {
                    connections.admit(accepted, &http).await;
                }
                let new = new.try_clone()?;
                socket_options::inherit(&new, &limits)?;
                listener = TcpListener::from_std(new)?;
                info!(log, "listening on a new address"; "address" => %listener.local_addr()?);
            }
            grace = drain.wait_for(Option::is_some), if last_accept.is_none() => {
                let grace = grace.map(|grace| grace.unwrap_or_default()).unwrap_or_default();
                last_accept = Some(Instant::now() + FAREWELL.min(grace));
                connections.take_leave(FarewellStep::Announced);
            }
            () = until(last_accept) => break,
            () = connections.left.notified(), if last_accept.is_some() => {}
        }
    }
    drop(listener);
    connections.take_leave(FarewellStep::Kept);
    let mut end = connections.has_new().then(|| Instant::now() + FAREWELL);
    if end.is_none() {
        connections.take_leave(FarewellStep::All);
    }
    while connections.count() > 0 {
        tokio::select! {
            () = connections.left.notified() => {}
            () = until(end) => {
                end = None;
                connections.take_leave(FarewellStep::All);
            }
            _ = check.tick() => connections.check_timeouts(&limits),
        }
    }
    Ok(())
}

/// Until then; for ever without a time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}

/// The beginning of the HTTP library on a connection, for whenever a request comes.
fn per_connection<S>(service: S) -> Rc<dyn Fn(ClientSocket) -> HttpTask>
where
    S: Service<(ClientSocket, Option<SocketAddr>)> + 'static,
    S::Future: 'static,
{
    Rc::new(move |socket| {
        let peer = socket.connection().peer();
        Box::pin(service.call((socket, peer)).map(drop))
    })
}

/// Whether the error concerns one client that disconnected while it waited; the next one can be accepted at once (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
