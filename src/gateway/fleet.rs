//! All servers as the gateway sees them: where each stands, the link to its worker, what it offers, and the merged views
//! of that.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::{Rc, Weak},
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
    /// What the supervisor said of it before that.
    before: Option<Route>,
    /// Where its calls go.
    serving: Option<Serving>,
    /// The link to the current incarnation, until that has said what it offers.
    next: Option<Rc<Link>>,
}

/// A link that takes calls.
struct Serving {
    link: Rc<Link>,
    offer: Offer,
}

impl Server {
    /// Whether the current incarnation is the one that was ready before.
    fn is_known(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.is_ready() && before.generation == self.route.generation)
    }

    fn holds(&self, link: &Rc<Link>) -> bool {
        let serving = self.serving.as_ref().map(|serving| &serving.link);
        serving.into_iter().chain(&self.next).any(|held| Rc::ptr_eq(held, link))
    }

    fn wants_link(&self, generation: Generation) -> bool {
        let serving = self.serving.as_ref().map(|serving| &serving.link);
        self.route.is_ready()
            && self.route.generation == generation
            && serving.into_iter().chain(&self.next).all(|held| held.generation() != generation)
    }

    /// Prepares its offer again if other rules are in force.
    fn offer_anew(&mut self) {
        if let Some(serving) = &mut self.serving
            && self.before.take().is_some_and(|before| before.tools != self.route.tools)
            && let Ok((offer, _)) = Offer::read(&self.route, serving.offer.payload.clone())
        {
            serving.offer = offer;
        }
    }
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
    /// Links that were let go while calls were under way on them.
    leaving: RefCell<Vec<(ServerName, Weak<Link>)>>,
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
            leaving: RefCell::default(),
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

    /// Takes over the supervisor's view of all servers and returns those whose worker is new and to be connected to. A new
    /// incarnation beside one that serves takes over when it has said what it offers; until then the old one goes on. A link
    /// that is let go takes no new calls; those under way end on it.
    pub(crate) fn apply(&self, routes: Vec<Route>) -> Vec<Route> {
        let mut servers = self.servers.borrow_mut();
        let mut old = std::mem::take(&mut *servers);
        let mut connect = Vec::new();
        for route in routes {
            let mut server = match old.swap_remove(&route.server) {
                Some(known) => Server { route, before: Some(known.route), ..known },
                None => Server { route, before: None, serving: None, next: None },
            };
            if !server.route.is_ready() {
                self.retire(&mut server);
            } else if !server.is_known() {
                self.let_go(&server.route.server, server.next.take());
                connect.push(server.route.clone());
            }
            server.offer_anew();
            servers.insert(server.route.server.clone(), server);
        }
        for (_, mut server) in old {
            self.retire(&mut server);
        }
        drop(servers);
        self.bump();
        connect
    }

    /// A worker of this incarnation answered; `false` when it is no longer wanted. It takes calls once it has said what it
    /// offers.
    pub(crate) fn attach(&self, server: &ServerName, link: Rc<Link>) -> bool {
        let mut servers = self.servers.borrow_mut();
        match servers.get_mut(server) {
            Some(s) if s.wants_link(link.generation()) => {
                s.next = Some(link);
                true
            }
            _ => false,
        }
    }

    /// A link ended: what was offered over it goes with it.
    pub(crate) fn detach(&self, server: &ServerName, link: &Rc<Link>) {
        let mut servers = self.servers.borrow_mut();
        let Some(s) = servers.get_mut(server) else { return };
        s.next.take_if(|next| Rc::ptr_eq(next, link));
        if s.serving.take_if(|serving| Rc::ptr_eq(&serving.link, link)).is_some() {
            drop(servers);
            self.bump();
        }
    }

    /// Whether the connection to this incarnation is still wanted and missing.
    pub(crate) fn wants_link(&self, server: &ServerName, generation: Generation) -> bool {
        self.servers.borrow().get(server).is_some_and(|s| s.wants_link(generation))
    }

    /// A server's offer arrived or changed; the warnings are for its operator. With its first, a link takes over from the one
    /// before.
    pub(crate) fn set_offer(
        &self,
        server: &ServerName,
        link: &Rc<Link>,
        payload: Bytes,
    ) -> Result<Vec<CatalogueWarning>, ObjectError> {
        let mut servers = self.servers.borrow_mut();
        let Some(s) = servers.get_mut(server).filter(|s| s.holds(link)) else { return Ok(Vec::new()) };
        let (offer, warnings) = Offer::read(&s.route, payload)?;
        s.next.take_if(|next| Rc::ptr_eq(next, link));
        let before = s.serving.replace(Serving { link: link.clone(), offer });
        self.let_go(server, before.map(|before| before.link).filter(|before| !Rc::ptr_eq(before, link)));
        drop(servers);
        self.bump();
        Ok(warnings)
    }

    fn retire(&self, server: &mut Server) {
        self.let_go(&server.route.server, server.next.take());
        self.let_go(&server.route.server, server.serving.take().map(|serving| serving.link));
    }

    fn let_go(&self, server: &ServerName, link: Option<Rc<Link>>) {
        let mut leaving = self.leaving.borrow_mut();
        leaving.retain(|(_, link)| link.upgrade().is_some_and(|link| link.load().calls > 0));
        if let Some(link) = link {
            link.retire();
            leaving.push((server.clone(), Rc::downgrade(&link)));
        }
    }

    /// What the supervisor says of a server.
    pub(crate) fn route(&self, server: &str) -> Option<Route> {
        self.servers.borrow().get(server).map(|s| s.route.clone())
    }

    /// What the supervisor says of all servers.
    pub(crate) fn routes(&self) -> Vec<Route> {
        self.servers.borrow().values().map(|s| s.route.clone()).collect()
    }

    /// Every server with what is under way on its links.
    pub(crate) fn load(&self) -> Vec<(ServerName, Load)> {
        let leaving = self.leaving.borrow();
        let load = |(name, s): (&ServerName, &Server)| {
            let left = leaving.iter().filter(|(of, _)| of == name).filter_map(|(_, link)| link.upgrade());
            let links = left.chain(s.serving.as_ref().map(|serving| serving.link.clone()));
            (name.clone(), links.map(|link| link.load()).fold(Load::default(), Load::and))
        };
        self.servers.borrow().iter().map(load).collect()
    }

    /// Gives up all calls that are under way.
    pub(crate) fn abandon_calls(&self) {
        let left = self.leaving.borrow().iter().filter_map(|(_, link)| link.upgrade()).collect::<Vec<_>>();
        for link in self.links(&Scope::All).into_iter().map(|(_, link)| link).chain(left) {
            link.abandon();
        }
    }

    /// Links that take calls.
    pub(crate) fn links(&self, scope: &Scope) -> Vec<(ServerName, Rc<Link>)> {
        let servers = self.servers.borrow();
        servers
            .iter()
            .filter(|(name, _)| self.shows(scope, name))
            .filter_map(|(name, s)| Some((name.clone(), s.serving.as_ref()?.link.clone())))
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
        match (s.route.state, &s.serving) {
            (ServerState::Ready, Some(serving)) => Destination::Link(serving.link.clone()),
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
            .filter_map(|(name, s)| Some((name.clone(), s.serving.as_ref()?.offer.catalogue.clone())))
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
            .any(|(_, s)| !s.route.settled || (s.route.state == ServerState::Ready && s.serving.is_none()))
    }
}
