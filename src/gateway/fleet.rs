//! All servers as the gateway sees them: where each stands, the link to its worker, what it offers, and the merged views
//! of that.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use indexmap::IndexMap;
use mcproxy_ipc::{CallTimeouts, Generation, Route, ServerName, ServerState, control::Group};
use mcproxy_mcp::ObjectError;
use tokio::{sync::watch, time::Instant};

use super::{
    builtin,
    catalogue::{CatalogueWarning, ServerCatalogue, View},
    link::{Link, Load},
    scope::Scope,
};

/// One configured server.
struct Server {
    route: Route,
    link: Option<Rc<Link>>,
    offer: Option<Offer>,
}

/// What a server offers: as it came, because its tool rules may change while it runs, and prepared.
struct Offer {
    payload: Bytes,
    catalogue: Arc<ServerCatalogue>,
}

impl Offer {
    fn read(route: &Route, payload: Bytes) -> Result<(Self, Vec<CatalogueWarning>), ObjectError> {
        let (catalogue, warnings) = ServerCatalogue::read(&route.server, &payload, &route.tools)?;
        Ok((Self { payload, catalogue: Arc::new(catalogue) }, warnings))
    }
}

/// Where a call for a server can go at this moment.
pub(crate) enum Destination {
    /// Its worker is there.
    Link(Rc<Link>),
    /// It is on its way; a call may wait.
    Starting,
    /// It is down; a call fails with this reason.
    Down {
        /// Its state in one word.
        state: ServerState,
        /// Why, when known.
        why: Option<String>,
    },
    /// No such server is configured.
    Unknown,
}

/// All servers. Lives on the HTTP thread; nothing else touches it.
pub(crate) struct Fleet {
    servers: RefCell<IndexMap<ServerName, Server>>,
    groups: RefCell<Vec<Group>>,
    builtin: (ServerName, Arc<ServerCatalogue>),
    views: RefCell<HashMap<Scope, (u64, Rc<View>)>>,
    revision: Cell<u64>,
    changed: watch::Sender<u64>,
}

impl Fleet {
    /// No servers but the built-in one.
    pub(crate) fn new() -> Self {
        Self {
            servers: RefCell::default(),
            groups: RefCell::default(),
            builtin: (builtin::name(), Arc::new(builtin::catalogue())),
            views: RefCell::default(),
            revision: Cell::new(0),
            changed: watch::channel(0).0,
        }
    }

    fn bump(&self) {
        self.revision.set(self.revision.get() + 1);
        self.changed.send_replace(self.revision.get());
    }

    /// Tells of every change: states, links, catalogues, groups.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes over the configured groups.
    pub(crate) fn set_groups(&self, groups: &[Group]) {
        *self.groups.borrow_mut() = groups.to_vec();
        self.views.borrow_mut().clear();
        self.bump();
    }

    /// Takes over the supervisor's view of all servers and returns those whose worker is new and to be connected to.
    /// A link that is no longer current takes no new calls; those under way end on it.
    pub(crate) fn apply(&self, routes: Vec<Route>) -> Vec<Route> {
        let mut servers = self.servers.borrow_mut();
        let mut old = std::mem::take(&mut *servers);
        let mut connect = Vec::new();
        for route in routes {
            let ready = route.state == ServerState::Ready && route.socket.is_some();
            let known = old.swap_remove(&route.server);
            let same = known.as_ref().is_some_and(|s| {
                ready && s.route.state == ServerState::Ready && s.route.generation == route.generation
            });
            let (link, offer) = match known {
                Some(Server { link, offer: Some(offer), route: before }) if same && before.tools != route.tools => {
                    (link, Offer::read(&route, offer.payload).ok().map(|(offer, _)| offer))
                }
                Some(server) if same => (server.link, server.offer),
                _ => (None, None),
            };
            if ready && !same {
                connect.push(route.clone());
            }
            servers.insert(route.server.clone(), Server { route, link, offer });
        }
        drop(servers);
        self.bump();
        connect
    }

    /// A worker of this incarnation answered; `false` when it is no longer wanted.
    pub(crate) fn attach(&self, server: &ServerName, link: Rc<Link>) -> bool {
        let mut servers = self.servers.borrow_mut();
        match servers.get_mut(server) {
            Some(s) if s.route.state == ServerState::Ready && s.route.generation == link.generation() => {
                s.link = Some(link);
                drop(servers);
                self.bump();
                true
            }
            _ => false,
        }
    }

    /// A link ended: the server's offer goes with it.
    pub(crate) fn detach(&self, server: &ServerName, link: &Rc<Link>) {
        let mut servers = self.servers.borrow_mut();
        if let Some(s) = servers.get_mut(server)
            && s.link.as_ref().is_some_and(|l| Rc::ptr_eq(l, link))
        {
            s.link = None;
            s.offer = None;
            drop(servers);
            self.bump();
        }
    }

    /// Whether the connection to this incarnation is still wanted and missing.
    pub(crate) fn wants_link(&self, server: &ServerName, generation: Generation) -> bool {
        self.servers.borrow().get(server).is_some_and(|s| {
            s.route.state == ServerState::Ready && s.route.generation == generation && s.link.is_none()
        })
    }

    /// A server's offer arrived or changed; the warnings are for its operator.
    pub(crate) fn set_offer(
        &self,
        server: &ServerName,
        generation: Generation,
        payload: Bytes,
    ) -> Result<Vec<CatalogueWarning>, ObjectError> {
        let mut servers = self.servers.borrow_mut();
        let Some(s) = servers.get_mut(server).filter(|s| s.route.generation == generation) else {
            return Ok(Vec::new());
        };
        let (offer, warnings) = Offer::read(&s.route, payload)?;
        s.offer = Some(offer);
        drop(servers);
        self.bump();
        Ok(warnings)
    }

    /// What the supervisor says of a server.
    pub(crate) fn route(&self, server: &str) -> Option<Route> {
        self.servers.borrow().get(server).map(|s| s.route.clone())
    }

    /// What the supervisor says of all servers.
    pub(crate) fn routes(&self) -> Vec<Route> {
        self.servers.borrow().values().map(|s| s.route.clone()).collect()
    }

    /// Every server with what is under way on its link.
    pub(crate) fn load(&self) -> Vec<(ServerName, Load)> {
        let servers = self.servers.borrow();
        let load = |s: &Server| s.link.as_ref().map(|link| link.load()).unwrap_or_default();
        servers.iter().map(|(name, s)| (name.clone(), load(s))).collect()
    }

    /// Links that take calls.
    pub(crate) fn links(&self, scope: &Scope) -> Vec<(ServerName, Rc<Link>)> {
        let servers = self.servers.borrow();
        servers
            .iter()
            .filter(|(name, _)| self.shows(scope, name))
            .filter_map(|(name, s)| Some((name.clone(), s.link.clone()?)))
            .collect()
    }

    /// How long a call to a server may take.
    pub(crate) fn timeouts(&self, server: &str) -> Option<CallTimeouts> {
        self.servers.borrow().get(server).map(|s| s.route.timeouts)
    }

    /// Where a call goes.
    pub(crate) fn destination(&self, server: &str) -> Destination {
        let servers = self.servers.borrow();
        let Some(s) = servers.get(server) else { return Destination::Unknown };
        match (s.route.state, &s.link) {
            (ServerState::Ready, Some(link)) if s.offer.is_some() => Destination::Link(link.clone()),
            (ServerState::Ready | ServerState::Starting, _) => Destination::Starting,
            (ServerState::Stopped, _) if !s.route.settled => Destination::Starting,
            (state, _) => Destination::Down { state, why: s.route.last_error.clone() },
        }
    }

    /// Whether a call to a server would reach it at this moment.
    pub(crate) fn answers(&self, server: &str) -> bool {
        matches!(self.destination(server), Destination::Link(_))
    }

    /// Whether an endpoint exists.
    pub(crate) fn has(&self, scope: &Scope) -> bool {
        match scope {
            Scope::All => true,
            Scope::Server(name) => *name == self.builtin.0 || self.servers.borrow().contains_key(name),
            Scope::Group(name) => self.groups.borrow().iter().any(|g| g.name == *name),
        }
    }

    /// Whether an endpoint shows a server.
    pub(crate) fn shows(&self, scope: &Scope, server: &ServerName) -> bool {
        match scope {
            Scope::All => true,
            Scope::Server(name) => name == server,
            Scope::Group(name) => {
                *server == self.builtin.0
                    || self.groups.borrow().iter().any(|g| g.name == *name && g.servers.contains(server))
            }
        }
    }

    /// What an endpoint shows, merged; built once per change.
    pub(crate) fn view(&self, scope: &Scope) -> Rc<View> {
        let revision = self.revision.get();
        if let Some((built, view)) = self.views.borrow().get(scope)
            && *built == revision
        {
            return view.clone();
        }
        let mut parts: Vec<(ServerName, Arc<ServerCatalogue>)> = self
            .servers
            .borrow()
            .iter()
            .filter(|(name, _)| self.shows(scope, name))
            .filter_map(|(name, s)| Some((name.clone(), s.offer.as_ref()?.catalogue.clone())))
            .collect();
        if self.shows(scope, &self.builtin.0) {
            parts.push(self.builtin.clone());
        }
        let view = Rc::new(View::build(scope.naming(), &parts));
        self.views.borrow_mut().insert(scope.clone(), (revision, view.clone()));
        view
    }

    /// Waits until every server that the endpoint shows has come through its first start, one way or the other.
    pub(crate) async fn settled(&self, scope: &Scope, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut changes = self.watch();
        while self.is_settling(scope) {
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return;
            }
        }
    }

    fn is_settling(&self, scope: &Scope) -> bool {
        self.servers
            .borrow()
            .iter()
            .filter(|(name, _)| self.shows(scope, name))
            .any(|(_, s)| !s.route.settled || (s.route.state == ServerState::Ready && s.offer.is_none()))
    }
}
