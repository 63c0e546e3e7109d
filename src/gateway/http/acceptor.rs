//! Lets clients in: accepts connections, keeps count of them, and sees them off.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    rc::Rc,
    time::{Duration, Instant},
};

use actix_service::Service;
use futures_util::FutureExt;
use mcproxy_ipc::control::{ConnectionLimits, GatewaySettings};
use slog::{Logger, info, warn};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    connection::{Client, Clock, Connection, ConnectionTimeouts},
    socket_options,
};
use crate::gateway::base::{budget::Budget, supervisor::Supervisor};

/// A connection on which nothing is said is kept for so long. Streams say a comment more often.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How often all connections are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Until accepting is tried again when it is impossible (no descriptors left, say).
const PAUSE: Duration = Duration::from_millis(100);
/// Who was let in by a token that is gone has so long to be answered in order.
const FAREWELL: Duration = Duration::from_millis(500);
/// That it is impossible is said once in this time.
const COMPLAINT: Duration = Duration::from_secs(10);

/// Everybody who is connected.
pub(super) struct ConnectionSet {
    all: RefCell<HashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    clock: Rc<Clock>,
    left: Notify,
    draining: Rc<Cell<bool>>,
    budget: Budget,
}

impl ConnectionSet {
    pub(super) fn new(budget: Budget) -> Rc<Self> {
        Rc::new(Self {
            all: RefCell::default(),
            next: Cell::default(),
            clock: Rc::new(Clock::new(Instant::now())),
            left: Notify::new(),
            draining: Rc::default(),
            budget,
        })
    }

    /// Becomes true when connections are to end after the answers they owe.
    pub(super) fn draining(&self) -> Rc<Cell<bool>> {
        self.draining.clone()
    }

    fn count(&self) -> usize {
        self.all.borrow().len()
    }

    fn admit<S>(self: &Rc<Self>, stream: TcpStream, http: &S)
    where
        S: Service<(Client, Option<SocketAddr>)>,
        S::Future: 'static,
    {
        let connection = Rc::new(Connection::new(self.clock.clone(), self.budget.clone()));
        let dispatcher = http.call((Client::new(stream, connection.clone()), None));
        let number = self.next.get();
        self.next.set(number + 1);
        self.all.borrow_mut().insert(number, connection.clone());
        let connections = self.clone();
        tokio::task::spawn_local(async move {
            connection.carry(dispatcher).await;
            connections.all.borrow_mut().remove(&number);
            connections.left.notify_one();
        });
    }

    fn look(&self, limits: &ConnectionLimits) {
        let now = Instant::now();
        self.clock.set(now);
        // Their times are those of the look before, at worst.
        let timeouts = ConnectionTimeouts { head: limits.head_timeout + LOOK, rest: KEEP_ALIVE + LOOK };
        self.all.borrow().values().for_each(|connection| connection.check(timeouts, now));
    }

    /// Other tokens are in force.
    pub(super) fn look_at_admissions(&self, settings: &GatewaySettings) {
        let by = Instant::now() + FAREWELL;
        self.all.borrow().values().for_each(|connection| connection.look_at_admission(settings, by));
    }

    fn drain(&self) {
        self.draining.set(true);
        self.all.borrow().values().for_each(|connection| connection.wake());
    }
}

/// Accepts connections, which the service that `build` makes serves, until the supervisor wants the gateway to go, then waits until all are over. The
/// supervisor knows how long that may take, and ends what exceeds it.
pub(super) async fn serve<S>(
    listener: StdListener,
    build: impl AsyncFn(&ConnectionLimits) -> io::Result<S>,
    connections: Rc<ConnectionSet>,
    supervisor: Supervisor,
    log: Logger,
) -> io::Result<()>
where
    S: Service<(Client, Option<SocketAddr>)>,
    S::Future: 'static,
{
    let (mut settings, mut drain) = (supervisor.settings.clone(), supervisor.drain.clone());
    let mut elsewhere = supervisor.listener.clone();
    let mut limits = settings.borrow_and_update().connections;
    let mut at_once = socket_options::at_once(&limits, &log)?;
    socket_options::inherit(&listener, &limits)?;
    let mut listener = TcpListener::from_std(listener)?;
    let mut http = build(&limits).await?;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complained: Option<Instant> = None;
    loop {
        let count = connections.count();
        tokio::select! {
            accepted = listener.accept(), if count < at_once => match accepted {
                Ok((stream, _)) => connections.admit(stream, &http),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if complained.is_none_or(|at| at.elapsed() >= COMPLAINT) {
                        complained = Some(Instant::now());
                        warn!(log, "cannot accept connections"; "error" => %error, "connections" => count);
                    }
                    sleep(PAUSE).await;
                }
            },
            () = connections.left.notified(), if count >= at_once => {}
            _ = look.tick() => connections.look(&limits),
            Ok(()) = settings.changed() => {
                let new = settings.borrow_and_update().connections;
                if new != limits {
                    limits = new;
                    at_once = socket_options::at_once(&limits, &log)?;
                    socket_options::inherit(&listener, &limits)?;
                    http = build(&limits).await?;
                }
            }
            Ok(()) = elsewhere.changed() => {
                let Some(new) = elsewhere.borrow_and_update().clone() else { continue };
                // Who waits to be accepted has been promised nothing else.
                while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
                    connections.admit(stream, &http);
                }
                let new = new.try_clone()?;
                socket_options::inherit(&new, &limits)?;
                listener = TcpListener::from_std(new)?;
                info!(log, "accepting elsewhere"; "address" => %listener.local_addr()?);
            }
            _ = drain.wait_for(Option::is_some) => break,
        }
    }
    drop(listener);
    connections.drain();
    while connections.count() > 0 {
        tokio::select! {
            () = connections.left.notified() => {}
            _ = look.tick() => connections.look(&limits),
        }
    }
    Ok(())
}

/// The client went away while it waited; the next one can be accepted at once (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
