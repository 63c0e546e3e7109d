//! The workers that ask authorization servers, apart from the servers: no client's request can lead there. And the keys that they
//! fetched, which are kept while a worker or its authorization server is gone.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_ipc::{
    Generation, INTROSPECT_METHOD, IntrospectParams, IntrospectResult, KEYS_METHOD, KeysResult, Route, ServerName,
    TokenBucket, control::IssuerSettings, data::CallContext,
};
use mcproxy_jwt::{Claims, KeySet};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::{
    sync::{Mutex, Notify},
    time::timeout,
};

use super::connection::{CallEnd, CallOutcome, CancelOnDrop, WorkerConnection};
use crate::gateway::base::metrics::OutcomeLabel;

/// Between two requests for keys because of keys that are not known.
const KEYS_INTERVAL: Duration = Duration::from_secs(60);
/// A request waits for keys, or for what a token is worth, for so long at most.
const ANSWER_WAIT: Duration = Duration::from_secs(8);
/// So many requests wait at once at most.
const MOST_WAITING: usize = 256;
/// Keys are used for so long after they were fetched while there are no newer ones.
const KEEP_KEYS: Duration = Duration::from_secs(86_400);
/// How often an authorization server is asked what tokens are worth, in a second, and at once.
const INTROSPECTIONS: (f64, f64) = (20.0, 100.0);
/// What an authorization server says of a token that does not say when it expires holds for so long.
const UNDATED: u64 = 3600;

/// Why an authorization server was not asked, or did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthorityFault {
    /// It cannot be asked now.
    Unavailable,
    /// Too many others wait.
    Busy,
}

/// All of them, by their workers. Lives on the HTTP thread.
#[derive(Default)]
pub(crate) struct Authorities {
    all: RefCell<HashMap<ServerName, Rc<AuthorityState>>>,
    waiting: Cell<usize>,
}

/// One authorization server.
struct AuthorityState {
    route: RefCell<Option<Route>>,
    connection: RefCell<Option<Rc<WorkerConnection>>>,
    attached: Notify,
    keys: RefCell<Option<KnownKeySet>>,
    /// When it was asked for keys last.
    asked: Cell<Option<Instant>>,
    /// Who asks for keys; the others wait for the same answer.
    asking: Mutex<()>,
    introspections: RefCell<TokenBucket>,
}

/// The keys of an authorization server.
struct KnownKeySet {
    issuer: String,
    set: Rc<KeySet>,
    since: Instant,
    /// When newer ones are to be fetched.
    renew_at: Instant,
}

impl AuthorityState {
    fn new(now: Instant) -> Self {
        let (rate, burst) = INTROSPECTIONS;
        Self {
            route: RefCell::default(),
            connection: RefCell::default(),
            attached: Notify::new(),
            keys: RefCell::default(),
            asked: Cell::default(),
            asking: Mutex::default(),
            introspections: RefCell::new(TokenBucket::full(rate, burst, now)),
        }
    }

    /// Its keys, if they are those of this issuer: its worker may have been that of another a moment ago.
    fn known(&self, issuer: &str, now: Instant) -> Option<Rc<KeySet>> {
        let keys = self.keys.borrow();
        let keys = keys.as_ref().filter(|keys| keys.issuer == issuer && now < keys.since + KEEP_KEYS);
        keys.map(|keys| keys.set.clone())
    }

    /// Whether it was asked for keys a moment ago.
    fn was_asked(&self, now: Instant) -> bool {
        self.asked.get().is_some_and(|at| now < at + KEYS_INTERVAL)
    }

    /// The connection to its worker, when there is one.
    async fn connected(&self) -> Rc<WorkerConnection> {
        loop {
            let attached = self.attached.notified();
            if let Some(connection) = self.connection.borrow().clone() {
                return connection;
            }
            attached.await;
        }
    }

    /// Asks for its keys, unless somebody has just done so.
    async fn ask_for_keys(&self) {
        let _asking = self.asking.lock().await;
        let connection = self.connected().await;
        if self.was_asked(Instant::now()) {
            return;
        }
        self.asked.set(Some(Instant::now()));
        let answer: Option<KeysResult> = ask(&connection, KEYS_METHOD, &Map::new()).await;
        let read = answer.and_then(|answer| Some((KeySet::read(answer.keys.as_bytes()).ok()?, answer)));
        if let Some((set, KeysResult { issuer, fresh_for, .. })) = read {
            let now = Instant::now();
            let fresh_for = Duration::from_secs(fresh_for).clamp(KEYS_INTERVAL, KEEP_KEYS);
            let keys = KnownKeySet { issuer, set: Rc::new(set), since: now, renew_at: now + fresh_for };
            *self.keys.borrow_mut() = Some(keys);
        }
    }
}

impl Authorities {
    /// Takes over what the supervisor says of the workers; those that are to be connected to. Of workers that are gone all is forgotten.
    pub(crate) fn told(&self, routes: Vec<Route>) -> Vec<Route> {
        let mut all = self.all.borrow_mut();
        all.retain(|name, authority| {
            let stays = routes.iter().any(|route| route.server == *name);
            if !stays && let Some(connection) = authority.connection.take() {
                connection.retire();
            }
            stays
        });
        let mut ready = Vec::new();
        for route in routes {
            let new = || Rc::new(AuthorityState::new(Instant::now()));
            let authority = all.entry(route.server.clone()).or_insert_with(new);
            let before = authority.route.replace(Some(route.clone()));
            if !route.is_ready() {
                if let Some(connection) = authority.connection.take() {
                    connection.retire();
                }
            } else if !before.is_some_and(|before| before.is_ready() && before.generation == route.generation) {
                ready.push(route);
            }
        }
        ready
    }

    /// Whether there is one of this name.
    pub(crate) fn has(&self, worker: &ServerName) -> bool {
        self.all.borrow().contains_key(worker)
    }

    /// Whether the connection to this generation is wanted.
    pub(crate) fn wants(&self, worker: &ServerName, generation: Generation) -> bool {
        let route = self.of(worker).and_then(|authority| authority.route.borrow().clone());
        route.is_some_and(|route| route.is_ready() && route.generation == generation)
    }

    /// From now on it is asked there.
    pub(crate) fn attach(&self, worker: &ServerName, connection: Rc<WorkerConnection>) {
        let Some(authority) = self.of(worker) else { return };
        if let Some(before) = authority.connection.replace(Some(connection)) {
            before.retire();
        }
        // A new run has its own keys.
        authority.asked.set(None);
        authority.attached.notify_waiters();
    }

    /// A connection has ended.
    pub(crate) fn detach(&self, worker: &ServerName, connection: &Rc<WorkerConnection>) {
        if let Some(authority) = self.of(worker) {
            authority.connection.borrow_mut().take_if(|ours| Rc::ptr_eq(ours, connection));
        }
    }

    /// Fetches its keys if it is time; how long to wait until it may be time again.
    pub(crate) async fn renew(&self, worker: &ServerName) -> Duration {
        let Some(authority) = self.of(worker) else { return KEYS_INTERVAL };
        let is_due = |now| authority.keys.borrow().as_ref().is_none_or(|keys| keys.renew_at <= now);
        // A connection that goes away meanwhile ends the wait for it with the run.
        if is_due(Instant::now()) {
            let _ = timeout(ANSWER_WAIT * 3, authority.ask_for_keys()).await;
        }
        let renew_at = authority.keys.borrow().as_ref().map(|keys| keys.renew_at);
        let wait = renew_at.map_or(KEYS_INTERVAL, |at| at.saturating_duration_since(Instant::now()));
        wait.max(Duration::from_secs(1))
    }

    /// The keys that are known.
    pub(crate) fn keys(&self, issuer: &IssuerSettings) -> Option<Rc<KeySet>> {
        self.of(&issuer.worker)?.known(&issuer.issuer, Instant::now())
    }

    /// The same, newer if they can be: for a token whose key is not among them. Asked for once a minute, whatever is shown.
    pub(crate) async fn newer_keys(&self, issuer: &IssuerSettings) -> Result<Rc<KeySet>, AuthorityFault> {
        let authority = self.of(&issuer.worker).ok_or(AuthorityFault::Unavailable)?;
        let now = Instant::now();
        if authority.was_asked(now)
            && let Some(known) = authority.known(&issuer.issuer, now)
        {
            return Ok(known);
        }
        let _place = self.wait()?;
        // In time or not: what counts is what there is then.
        let _ = timeout(ANSWER_WAIT, authority.ask_for_keys()).await;
        authority.known(&issuer.issuer, Instant::now()).ok_or(AuthorityFault::Unavailable)
    }

    /// What it says of a token; `None`: it is not valid, or says what cannot be read. `now`: in seconds since 1970.
    pub(crate) async fn introspect(
        &self,
        issuer: &IssuerSettings,
        token: &str,
        now: u64,
    ) -> Result<Option<Claims>, AuthorityFault> {
        let authority = self.of(&issuer.worker).ok_or(AuthorityFault::Unavailable)?;
        let _place = self.wait()?;
        if !authority.introspections.borrow_mut().try_spend(1.0, Instant::now()) {
            return Err(AuthorityFault::Busy);
        }
        let exchange = async {
            let connection = authority.connected().await;
            ask::<IntrospectResult>(&connection, INTROSPECT_METHOD, &IntrospectParams { token: token.to_owned() }).await
        };
        let answer = timeout(ANSWER_WAIT, exchange).await.ok().flatten();
        let answer = answer.filter(|answer| answer.issuer == issuer.issuer).ok_or(AuthorityFault::Unavailable)?;
        let members = answer.claims.and_then(|claims| serde_json::from_str::<Map<String, Value>>(&claims).ok());
        Ok(members.and_then(|mut members| {
            members.entry("exp").or_insert_with(|| (now + UNDATED).into());
            Claims::read(members).ok()
        }))
    }

    /// A place among those who wait.
    fn wait(&self) -> Result<impl Drop + '_, AuthorityFault> {
        if self.waiting.get() >= MOST_WAITING {
            return Err(AuthorityFault::Busy);
        }
        self.waiting.set(self.waiting.get() + 1);
        Ok(WaitingPlace(&self.waiting))
    }

    fn of(&self, worker: &ServerName) -> Option<Rc<AuthorityState>> {
        self.all.borrow().get(worker).cloned()
    }
}

/// Given back when dropped.
struct WaitingPlace<'a>(&'a Cell<usize>);

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Asks a worker; `None`: there is no answer. The worker logs why.
async fn ask<T: DeserializeOwned>(
    connection: &Rc<WorkerConnection>,
    method: &'static str,
    params: &impl Serialize,
) -> Option<T> {
    let begun = Instant::now();
    let params = serde_json::to_vec(params).ok()?;
    let call = connection.call(method, &params, params.len(), CallContext::default()).await?;
    let _cancel = CancelOnDrop::new(call.handle());
    let answer = match call.wait(|_| ()).await {
        CallOutcome::Over(CallEnd::Result(result, _)) => serde_json::from_slice(&result).ok(),
        CallOutcome::Over(_) | CallOutcome::NeedsInput(_) => None,
    };
    let label = if answer.is_some() { OutcomeLabel::Result } else { OutcomeLabel::Error };
    connection.metrics().ended(label, begun.elapsed());
    answer
}
