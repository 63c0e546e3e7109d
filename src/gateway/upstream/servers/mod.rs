//! All servers as the gateway sees them: where each stands, the connection to its worker, and what it offers.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
    time::Instant,
};

use indexmap::IndexMap;
use mcproxy_ipc::{
    CallTimeouts, CatalogueCounts, CatalogueKey, Generation, Route, ServerName, ServerState, ToolRules,
    control::{GatewaySettings, PinPolicy},
};
use tokio::sync::watch;

mod access;
mod approvals;
mod call_rates;
mod derived_catalogues;
mod grants;
mod groups;
mod naming;
mod own_catalogues;
mod pinning;
mod pins;
mod rest;
mod server;
mod settling;
mod view_cache;
mod views;

pub(crate) use self::call_rates::RateRefusal;
pub(crate) use self::server::{Destination, Offer};
use self::{
    grants::Grants,
    groups::Groups,
    own_catalogues::OwnOffers,
    server::{Server, Serving},
    view_cache::ViewCache,
};
use crate::gateway::{
    base::{rates::RateTicket, scope::Scope},
    builtin,
    catalogue::{ListKind, ServerCatalogue},
    upstream::connection::{Load, WorkerConnection},
};

/// The work that a new view of the supervisor asks for.
#[derive(Default)]
pub(crate) struct Applied {
    /// Servers whose worker is new: to be connected to.
    pub(crate) connect: Vec<Route>,
    /// Servers of which it is to be looked up what they offered last.
    pub(crate) read: Vec<Route>,
    /// Servers of which it is to be looked up how they were pinned.
    pub(crate) unpinned: Vec<ServerName>,
}

/// All servers. Lives on the HTTP thread; nothing else touches it.
pub(crate) struct Servers {
    servers: RefCell<IndexMap<ServerName, Server>>,
    groups: RefCell<Groups>,
    /// Patterns of tools that are listed where others are found.
    pinned: RefCell<Vec<String>>,
    /// Links that were let go while calls were under way on them.
    leaving: RefCell<Vec<(ServerName, Weak<WorkerConnection>)>>,
    builtin: (ServerName, Arc<ServerCatalogue>),
    /// Who may use what.
    grants: RefCell<Grants>,
    /// What happens to tools that are not as they were pinned.
    pin_policy: Cell<PinPolicy>,
    /// The same where results of some server may be too large to be shown whole.
    builtin_reader: Arc<ServerCatalogue>,
    /// Whether that is so.
    keeps_results: Cell<bool>,
    /// Whether some call may need the agreement of a person.
    holds: Cell<bool>,
    /// Whether that is so for what groups and tokens say.
    endpoints_hold: Cell<bool>,
    views: RefCell<ViewCache>,
    /// The offers of instances of single sessions.
    own: RefCell<OwnOffers>,
    revision: Cell<u64>,
    /// Whether all that should answer calls did, at that revision.
    ready: Cell<Option<(u64, bool)>>,
    changed: watch::Sender<u64>,
}

impl Servers {
    /// No servers but the built-in one.
    pub(crate) fn new() -> Self {
        Self {
            servers: RefCell::default(),
            groups: RefCell::default(),
            pinned: RefCell::default(),
            leaving: RefCell::default(),
            grants: RefCell::new(Grants::new(&[], None, &[], &builtin::name())),
            pin_policy: Cell::new(PinPolicy::Off),
            builtin: (builtin::name(), Arc::new(builtin::catalogue(false))),
            builtin_reader: Arc::new(builtin::catalogue(true)),
            keeps_results: Cell::new(false),
            holds: Cell::new(false),
            endpoints_hold: Cell::new(false),
            views: RefCell::default(),
            own: RefCell::default(),
            revision: Cell::new(0),
            ready: Cell::new(None),
            changed: watch::channel(0).0,
        }
    }

    fn bump(&self) {
        self.revision.set(self.revision.get() + 1);
        self.changed.send_replace(self.revision.get());
    }

    /// Tells of every change: states, connections, catalogues, groups.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Wakes the watchers although nothing here has changed.
    pub(crate) fn nudge(&self) {
        self.changed.send_replace(self.revision.get());
    }

    /// Takes over the configured groups, the patterns of tools that are listed where others are found, and who may use what.
    pub(crate) fn set_endpoints(&self, settings: &GatewaySettings) {
        let GatewaySettings { groups, pinned, tokens, oauth, .. } = settings;
        self.pin_policy.set(settings.pins);
        for server in self.servers.borrow_mut().values_mut() {
            server.pins.set_policy(settings.pins);
            server.compare();
        }
        *self.groups.borrow_mut() = Groups::new(groups);
        *self.pinned.borrow_mut() = pinned.clone();
        let tokens = tokens.as_deref().unwrap_or_default();
        let mut grants = Grants::new(tokens, oauth.as_ref(), groups, &self.builtin.0);
        // Those of sessions that go on.
        for scopes in self.grants.borrow().learnt() {
            grants.learn(&scopes);
        }
        // One by one they say which of them would do.
        let scopes = oauth.as_ref().map_or(&[][..], |oauth| &oauth.scopes);
        for scope in scopes {
            grants.learn(&scope.scope);
        }
        *self.grants.borrow_mut() = grants;
        self.endpoints_hold.set(approvals::of_endpoints(groups, tokens, scopes));
        self.look_for_approvals();
        self.views.borrow_mut().clear();
        self.bump();
    }

    /// Takes over the supervisor's view of all servers and says what is to be done about it. A new
    /// generation beside one that serves takes over when it has said what it offers; until then the old one goes on. A connection
    /// that is let go takes no new calls; those under way end on it.
    pub(crate) fn apply(&self, routes: Vec<Route>) -> Applied {
        let mut servers = self.servers.borrow_mut();
        let mut old = std::mem::take(&mut *servers);
        let mut applied = Applied::default();
        for route in routes {
            let mut server = match old.swap_remove(&route.server) {
                Some(known) => known.told(route),
                None => {
                    applied.unpinned.push(route.server.clone());
                    let mut server = Server::new(route);
                    server.pins.set_policy(self.pin_policy.get());
                    server
                }
            };
            if server.begin_reading() {
                applied.read.push(server.route.clone());
            }
            if !server.route.is_ready() {
                self.retire(&mut server);
            } else if !server.is_known() {
                self.let_go(&server.route.server, server.next.take());
                applied.connect.push(server.route.clone());
            }
            if server.before.as_ref().is_some_and(|before| before.tools != server.route.tools) {
                self.own.borrow_mut().read_again(&server.route.server, &server.route.tools, &server.pins);
            }
            server.offer_anew();
            servers.insert(server.route.server.clone(), server);
        }
        for (_, mut server) in old {
            self.retire(&mut server);
        }
        self.keeps_results.set(servers.values().any(|server| server.route.result_bytes.is_some()));
        drop(servers);
        self.look_for_approvals();
        self.bump();
        applied
    }

    /// Attaches the connection to a worker; `false` when its generation is no longer wanted. It takes calls once it has said what it
    /// offers.
    pub(crate) fn attach(&self, server: &ServerName, connection: Rc<WorkerConnection>) -> bool {
        let mut servers = self.servers.borrow_mut();
        match servers.get_mut(server) {
            Some(s) if s.wants_connection(connection.generation()) => {
                s.next = Some(connection);
                true
            }
            _ => false,
        }
    }

    /// Removes a connection that ended, with the offer that came over it.
    pub(crate) fn detach(&self, server: &ServerName, connection: &Rc<WorkerConnection>) {
        let mut servers = self.servers.borrow_mut();
        let Some(s) = servers.get_mut(server) else { return };
        s.next.take_if(|next| Rc::ptr_eq(next, connection));
        if s.serving.as_ref().is_some_and(|serving| Rc::ptr_eq(&serving.connection, connection)) {
            s.cease();
            self.own.borrow_mut().forget(server);
            drop(servers);
            self.bump();
        }
    }

    /// Notes that the server behind a connection has ended: calls wait for the next generation from now on, and those under way end on it.
    pub(crate) fn ended(&self, server: &ServerName, connection: &Rc<WorkerConnection>) {
        let mut servers = self.servers.borrow_mut();
        let is_it =
            |s: &&mut Server| s.serving.as_ref().is_some_and(|serving| Rc::ptr_eq(&serving.connection, connection));
        let Some(s) = servers.get_mut(server).filter(is_it) else { return };
        let connection = s.cease();
        self.own.borrow_mut().forget(server);
        self.let_go(server, connection);
        drop(servers);
        self.bump();
    }

    /// Whether the connection to this generation is still wanted and missing.
    pub(crate) fn wants_connection(&self, server: &ServerName, generation: Generation) -> bool {
        self.servers.borrow().get(server).is_some_and(|s| s.wants_connection(generation))
    }

    /// Which tools of a server are shown, and how; `None`: it is not configured any more.
    pub(crate) fn rules(&self, server: &ServerName) -> Option<ToolRules> {
        self.servers.borrow().get(server).map(|s| s.route.tools.clone())
    }

    /// A server's offer arrived or changed; `false`: this connection is not the server's any more. With its first, a connection takes over from the one
    /// before.
    pub(crate) fn set_offer(&self, server: &ServerName, connection: &Rc<WorkerConnection>, offer: Offer) -> bool {
        let mut servers = self.servers.borrow_mut();
        let Some(s) = servers.get_mut(server).filter(|s| s.holds(connection)) else { return false };
        s.next.take_if(|next| Rc::ptr_eq(next, connection));
        let before = s.serving.replace(Serving { connection: connection.clone(), offer });
        s.compare();
        let replaced = before.map(|before| before.connection).filter(|before| !Rc::ptr_eq(before, connection));
        if replaced.is_some() {
            self.own.borrow_mut().forget(server);
        }
        self.let_go(server, replaced);
        drop(servers);
        self.bump();
        true
    }

    /// Takes in the last offer of a server, which was looked up; `None`: nothing is known.
    pub(crate) fn set_kept(&self, server: &ServerName, key: CatalogueKey, offer: Option<Offer>) {
        let mut servers = self.servers.borrow_mut();
        let Some(s) = servers.get_mut(server).filter(|s| s.reading == Some(key)) else { return };
        s.reading = None;
        // An offer that came meanwhile is newer.
        if s.kept.is_none() {
            s.kept = offer;
            s.compare();
        }
        drop(servers);
        self.bump();
    }

    /// How many entries of each server clients see, as far as it has said what it offers.
    pub(crate) fn shown(&self) -> Vec<(ServerName, CatalogueCounts)> {
        let servers = self.servers.borrow();
        servers.iter().filter_map(|(name, server)| Some((name.clone(), server.listed()?.counts()))).collect()
    }

    fn names(&self, wanted: impl Fn(&Server) -> bool) -> Vec<ServerName> {
        let servers = self.servers.borrow();
        servers.iter().filter(|(_, s)| wanted(s)).map(|(name, _)| name.clone()).collect()
    }

    fn retire(&self, server: &mut Server) {
        self.let_go(&server.route.server, server.next.take());
        let connection = server.cease();
        if connection.is_some() {
            self.own.borrow_mut().forget(&server.route.server);
        }
        self.let_go(&server.route.server, connection);
    }

    fn let_go(&self, server: &ServerName, connection: Option<Rc<WorkerConnection>>) {
        let mut leaving = self.leaving.borrow_mut();
        leaving.retain(|(_, connection)| connection.upgrade().is_some_and(|connection| connection.load().calls > 0));
        if let Some(connection) = connection {
            connection.retire();
            leaving.push((server.clone(), Rc::downgrade(&connection)));
        }
    }

    /// The route of one server.
    pub(crate) fn route(&self, server: &str) -> Option<Route> {
        self.servers.borrow().get(server).map(|s| s.route.clone())
    }

    /// The largest result of its tools that clients are shown whole, in bytes; `None`: any.
    pub(crate) fn result_bytes(&self, server: &str) -> Option<usize> {
        // Most installations bound none.
        if !self.keeps_results.get() {
            return None;
        }
        self.servers.borrow().get(server)?.route.result_bytes
    }

    /// Whether a server is configured, or calls are under way that it got before it was removed.
    pub(crate) fn concerns(&self, server: &str) -> bool {
        let is_busy = |connection: &Weak<WorkerConnection>| {
            connection.upgrade().is_some_and(|connection| connection.load().calls > 0)
        };
        self.servers.borrow().contains_key(server)
            || self.leaving.borrow().iter().any(|(of, connection)| of.as_str() == server && is_busy(connection))
    }

    /// The routes of all servers.
    pub(crate) fn routes(&self) -> Vec<Route> {
        self.servers.borrow().values().map(|s| s.route.clone()).collect()
    }

    /// Every server with what is under way on its connections.
    pub(crate) fn load(&self) -> Vec<(ServerName, Load)> {
        let leaving = self.leaving.borrow();
        let load = |(name, s): (&ServerName, &Server)| {
            let left = leaving.iter().filter(|(of, _)| of == name).filter_map(|(_, connection)| connection.upgrade());
            let connections = left.chain(s.serving.as_ref().map(|serving| serving.connection.clone()));
            (name.clone(), connections.map(|connection| connection.load()).fold(Load::default(), Load::and))
        };
        self.servers.borrow().iter().map(load).collect()
    }

    /// Abandons all calls that are under way.
    pub(crate) fn abandon_calls(&self) {
        let left = self.leaving.borrow().iter().filter_map(|(_, connection)| connection.upgrade()).collect::<Vec<_>>();
        for connection in self.connections(&Scope::all()).into_iter().map(|(_, connection)| connection).chain(left) {
            connection.abandon();
        }
    }

    /// Connections that take calls.
    pub(crate) fn connections(&self, scope: &Scope) -> Vec<(ServerName, Rc<WorkerConnection>)> {
        let servers = self.servers.borrow();
        servers
            .iter()
            .filter(|(name, _)| self.shows(scope, name))
            .filter_map(|(name, s)| Some((name.clone(), s.serving.as_ref()?.connection.clone())))
            .collect()
    }

    /// Whether each session has an instance of this server for itself.
    pub(crate) fn is_per_session(&self, server: &ServerName) -> bool {
        self.servers.borrow().get(server).is_some_and(|s| s.route.per_session)
    }

    /// One more call of a server, of this tool where it is one; the rate that it is too much for, if it is.
    pub(crate) fn begin_call(&self, server: &str, tool: Option<&str>) -> Result<Vec<RateTicket>, RateRefusal> {
        match self.servers.borrow().get(server) {
            Some(s) if !s.route.rates.is_empty() => s.rates.begin(tool, Instant::now()),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    /// How long a call to a server may take.
    pub(crate) fn timeouts(&self, server: &str) -> Option<CallTimeouts> {
        self.servers.borrow().get(server).map(|s| s.route.timeouts)
    }

    /// Whether a server says of its lists for how long they are true.
    pub(crate) fn states_ttl(&self, server: &ServerName, kind: ListKind) -> bool {
        self.servers.borrow().get(server).and_then(Server::listed).is_some_and(|offer| offer.hints(kind).is_some())
    }

    /// The destination of a call.
    pub(crate) fn destination(&self, server: &str) -> Destination {
        let servers = self.servers.borrow();
        servers.get(server).map_or(Destination::Unknown, Server::destination)
    }

    /// Where a server stands, for the supervisor.
    pub(crate) fn state_of(&self, server: &str) -> Option<ServerState> {
        self.servers.borrow().get(server).map(|s| s.route.state)
    }

    /// The servers that should answer calls.
    pub(crate) fn wanted(&self) -> Vec<ServerName> {
        self.names(Server::is_wanted)
    }

    /// Whether all of those do; looked at once per change.
    pub(crate) fn is_ready(&self) -> bool {
        let revision = self.revision.get();
        match self.ready.get() {
            Some((of, ready)) if of == revision => ready,
            Some(_) | None => {
                let ready = self.servers.borrow().values().all(|s| !s.is_wanted() || s.is_well());
                self.ready.set(Some((revision, ready)));
                ready
            }
        }
    }

    /// Whether a call to a server would be answered, at once or after a start that is nothing out of the ordinary.
    pub(crate) fn answers(&self, server: &str) -> bool {
        self.servers.borrow().get(server).is_some_and(Server::is_well)
    }
}
