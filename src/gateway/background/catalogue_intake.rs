//! Catalogues on their way into force: what a worker says of its server's offer is read off the HTTP thread where it is long, in its
//! order, and no more often than is good for all other work (`docs/decisions/0111`).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use indexmap::IndexMap;
use mcproxy_ipc::{ServerName, SessionKey, ToolRules};
use mcproxy_mcp::{ListKind, ObjectError};
use slog::{Logger, warn};
use tokio::time::{sleep, sleep_until};

use crate::gateway::{
    base::{offload::offload, throttle::Throttle},
    catalogue::{CatalogueWarning, ServerCatalogue},
    notify::{list_changed, subscriptions},
    state::Gateway,
    upstream::{connection::WorkerConnection, servers::Offer},
};

/// Bytes of a catalogue up to which it is read at once, where it comes: that takes less than a millisecond.
const SMALL: usize = 64 * 1024;
/// Bytes of catalogues of single sessions that may wait to be read; one more is read at once.
const WAITING: usize = 32 << 20;

/// The catalogues of one connection.
pub(crate) struct CatalogueIntake {
    gateway: Rc<Gateway>,
    server: ServerName,
    connection: Rc<WorkerConnection>,
    log: Logger,
    waiting: RefCell<PendingCatalogues>,
    pace: Cell<Throttle>,
}

/// Catalogues that are not taken in yet.
#[derive(Default)]
struct PendingCatalogues {
    /// Something is being read, or waits for its time.
    busy: bool,
    /// The newest shared catalogue.
    shared: Option<Bytes>,
    /// The newest of each session that has an instance of its own.
    own: IndexMap<SessionKey, Bytes>,
    /// Of these lists the server says that they changed: to be passed on with what it says of them.
    announced: Vec<(ListKind, Option<SessionKey>)>,
}

/// The catalogue that is read next.
enum NextCatalogue {
    Shared,
    Own(SessionKey, Bytes),
}

impl CatalogueIntake {
    /// No catalogue waits.
    pub(crate) fn new(
        gateway: &Rc<Gateway>,
        server: &ServerName,
        connection: &Rc<WorkerConnection>,
        log: &Logger,
    ) -> Rc<Self> {
        let (gateway, server, connection, log) = (gateway.clone(), server.clone(), connection.clone(), log.clone());
        Rc::new(Self { gateway, server, connection, log, waiting: RefCell::default(), pace: Cell::default() })
    }

    /// The server offers this to all. What waits to be read is out of date by that.
    pub(crate) fn catalogue(self: &Rc<Self>, payload: Bytes) {
        let now = Instant::now();
        if !self.is_busy() && payload.len() <= SMALL && self.pace.get().due(now) <= now {
            if let Some(rules) = self.gateway.servers.rules(&self.server) {
                self.take_over(Offer::read(&self.server, &rules, payload));
            }
            return self.was(Duration::ZERO, false);
        }
        self.waiting.borrow_mut().shared = Some(payload);
        self.begin();
    }

    /// The instance of one session offers this to it; nothing: what all are offered.
    pub(crate) fn own(self: &Rc<Self>, session: SessionKey, payload: Bytes) {
        // It may have been on the way when its session ended.
        if !self.gateway.sessions.concerns(session) {
            return;
        }
        let waiting: usize = self.waiting.borrow().own.values().map(Bytes::len).sum();
        let is_short = payload.len() <= SMALL || self.gateway.servers.knows_own(&self.server, &payload);
        if (is_short && !self.is_busy()) || waiting + payload.len() > WAITING {
            return self.take_over_own(session, payload, None);
        }
        self.waiting.borrow_mut().own.insert(session, payload);
        self.begin();
    }

    /// The server says that a list has changed; what it offers now came before.
    pub(crate) fn list_changed(&self, kind: ListKind, only: Option<SessionKey>) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.busy {
            drop(waiting);
            return list_changed::list_changed(&self.gateway, &self.server, kind, only);
        }
        if !waiting.announced.contains(&(kind, only)) {
            waiting.announced.push((kind, only));
        }
    }

    fn is_busy(&self) -> bool {
        self.waiting.borrow().busy
    }

    fn begin(self: &Rc<Self>) {
        if !std::mem::replace(&mut self.waiting.borrow_mut().busy, true) {
            self.connection.begin_intake();
            tokio::task::spawn_local(self.clone().run());
        }
    }

    async fn run(self: Rc<Self>) {
        while let Some(next) = self.next() {
            match next {
                NextCatalogue::Shared => self.read_shared().await,
                NextCatalogue::Own(session, payload) => self.read_own(session, payload).await,
            }
        }
        let announced = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.busy = false;
            std::mem::take(&mut waiting.announced)
        };
        for (kind, only) in announced {
            list_changed::list_changed(&self.gateway, &self.server, kind, only);
        }
        self.connection.end_intake();
    }

    fn next(&self) -> Option<NextCatalogue> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.shared.is_some() {
            return Some(NextCatalogue::Shared);
        }
        waiting.own.shift_remove_index(0).map(|(session, payload)| NextCatalogue::Own(session, payload))
    }

    async fn read_shared(&self) {
        let now = Instant::now();
        let due = self.pace.get().due(now);
        if due > now {
            sleep_until(due.into()).await;
        }
        // The newest by now.
        let Some(payload) = self.waiting.borrow_mut().shared.take() else { return };
        let mut cost = Duration::ZERO;
        // Other rules may be in force when it has been read.
        while let Some(rules) = self.gateway.servers.rules(&self.server) {
            let (server, used, payload) = (self.server.clone(), rules.clone(), payload.clone());
            let read = offload(move || {
                let begun = Instant::now();
                (Offer::read(&server, &used, payload), begun.elapsed())
            });
            let read = read.await.map(|(read, took)| {
                cost += took;
                read
            });
            if self.gateway.servers.rules(&self.server).is_none_or(|now| now == rules) {
                if let Some(read) = read {
                    self.take_over(read);
                }
                break;
            }
        }
        self.was(cost, due > now);
    }

    fn was(&self, cost: Duration, held: bool) {
        let mut pace = self.pace.get();
        pace.was(Instant::now(), cost, held);
        self.pace.set(pace);
    }

    fn take_over(&self, read: Result<(Offer, Vec<CatalogueWarning>), ObjectError>) {
        match read {
            Ok((offer, warnings)) => {
                if self.gateway.servers.set_offer(&self.server, &self.connection, offer) {
                    for warning in warnings {
                        warn!(self.log, "catalogue"; "warning" => %warning);
                    }
                    for (tool, named) in self.gateway.servers.naming_others(&self.server) {
                        warn!(self.log, "suspicious: a tool speaks of another server's tool"; "tool" => %tool, "name" => named);
                    }
                }
                subscriptions::renew(&self.gateway, &self.server);
            }
            Err(error) => warn!(self.log, "cannot read a catalogue"; "error" => #error),
        }
    }

    async fn read_own(&self, session: SessionKey, payload: Bytes) {
        let begun = Instant::now();
        let rules = self.gateway.servers.rules(&self.server).unwrap_or_default();
        if self.gateway.servers.knows_own(&self.server, &payload) {
            return self.take_over_own(session, payload, None);
        }
        let (server, used, bytes) = (self.server.clone(), rules.clone(), payload.clone());
        let read = offload(move || ServerCatalogue::read(&server, &bytes, &used).map(|(catalogue, _)| catalogue)).await;
        self.take_over_own(session, payload, read.map(|catalogue| (rules, catalogue)));
        // One session that has much to say leaves time to the others.
        sleep(begun.elapsed()).await;
    }

    fn take_over_own(
        &self,
        session: SessionKey,
        payload: Bytes,
        read: Option<(ToolRules, Result<ServerCatalogue, ObjectError>)>,
    ) {
        if !self.gateway.sessions.concerns(session) {
            return;
        }
        match self.gateway.servers.set_own(&self.server, &self.connection, session, payload, read) {
            Ok(()) => list_changed::own_lists(&self.gateway, session),
            Err(error) => warn!(self.log, "session gets the shared catalogue"; "error" => #error),
        }
    }
}
