//! The catalogues of instances of single sessions, where they differ from the shared one, and the lists
//! that come of them. Equal catalogues are held once, and so are equal lists.

use std::{
    collections::{HashMap, VecDeque},
    rc::{Rc, Weak},
    sync::Arc,
};

use bytes::Bytes;
use mcproxy_ipc::{ServerName, SessionKey, ToolRules};
use mcproxy_mcp::ObjectError;

use super::{Servers, grants::GrantId, pins::ServerPins, server::Server};
use crate::gateway::{
    base::scope::{EndpointScope, Scope},
    catalogue::{ServerCatalogue, View},
    upstream::connection::WorkerConnection,
};

/// Different catalogues that the instances of one server may have, and their bytes. A session beyond is shown what all are.
const DIFFERENT: usize = 64;
const BYTES: usize = 32 << 20;
/// Lists that are kept prepared for sessions with offers of their own, and their bytes; others are prepared when asked for.
const VIEWS: usize = 64;
const VIEWS_BYTES: usize = 32 << 20;

/// The catalogue of single instances.
#[derive(Debug)]
pub(super) struct OwnOffer {
    /// A unique number.
    id: u64,
    payload: Bytes,
    pub(super) catalogue: Arc<ServerCatalogue>,
}

/// The offers of one session, by server.
pub(super) type Own = Vec<(ServerName, Rc<OwnOffer>)>;

/// Why a session gets the shared catalogue and not that of its own instance.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    /// The catalogue cannot be read.
    #[error("cannot read the catalogue of an instance")]
    Unreadable(#[from] ObjectError),
    /// The instances of the server offer too many different catalogues.
    #[error("its instances offer too many different catalogues")]
    TooMany,
}

/// Lists that were prepared, for which servers' offers.
struct PreparedView {
    place: (GrantId, EndpointScope),
    ids: Vec<u64>,
    revision: u64,
    view: Rc<View>,
}

/// The catalogues of all instances of their own.
#[derive(Default)]
pub(super) struct OwnOffers {
    by_session: HashMap<SessionKey, Own>,
    known: Vec<(ServerName, Weak<OwnOffer>)>,
    /// Servers of which a session was shown what its instance offers, or that this is not known.
    met: HashMap<SessionKey, Vec<ServerName>>,
    views: VecDeque<PreparedView>,
    last: u64,
}

impl OwnOffers {
    /// Whether the same is offered to a session.
    pub(super) fn knows(&self, server: &ServerName, payload: &Bytes) -> bool {
        let mut of_server = self.known.iter().filter(|(of, _)| of == server).filter_map(|(_, known)| known.upgrade());
        of_server.any(|known| known.payload == *payload)
    }

    /// A session is offered this by its instance; an empty payload: what all are. `read`: what was read of it already.
    pub(super) fn set(
        &mut self,
        server: &ServerName,
        rules: &ToolRules,
        session: SessionKey,
        payload: Bytes,
        read: Option<Result<ServerCatalogue, ObjectError>>,
        pins: &ServerPins,
    ) -> Result<(), OwnError> {
        self.unset(server, session);
        if payload.is_empty() {
            return Ok(());
        }
        self.known.retain(|(_, known)| known.strong_count() > 0);
        let mut of_server = self.known.iter().filter(|(of, _)| of == server).filter_map(|(_, known)| known.upgrade());
        let offer = match of_server.find(|known| known.payload == payload) {
            Some(known) => known,
            None => {
                let others =
                    || self.known.iter().filter(|(of, _)| of == server).filter_map(|(_, known)| known.upgrade());
                let bytes: usize = others().map(|known| known.payload.len()).sum();
                if others().count() >= DIFFERENT || bytes + payload.len() > BYTES {
                    return Err(OwnError::TooMany);
                }
                let read = read.map_or_else(
                    || ServerCatalogue::read(server, &payload, rules).map(|(catalogue, _)| catalogue),
                    std::convert::identity,
                );
                let catalogue = pins.approved_of_own(read?);
                self.last += 1;
                let offer = Rc::new(OwnOffer { id: self.last, payload, catalogue: Arc::new(catalogue) });
                self.known.push((server.clone(), Rc::downgrade(&offer)));
                offer
            }
        };
        self.by_session.entry(session).or_default().push((server.clone(), offer));
        Ok(())
    }

    fn unset(&mut self, server: &ServerName, session: SessionKey) {
        if let Some(own) = self.by_session.get_mut(&session) {
            own.retain(|(of, _)| of != server);
            if own.is_empty() {
                self.by_session.remove(&session);
            }
        }
    }

    /// The rules for a server's tools have changed.
    pub(super) fn read_again(&mut self, server: &ServerName, rules: &ToolRules, pins: &ServerPins) {
        let held: Vec<(SessionKey, Bytes)> = self
            .by_session
            .iter()
            .flat_map(|(session, own)| own.iter().map(move |(of, offer)| (session, of, offer)))
            .filter(|(_, of, _)| *of == server)
            .map(|(session, _, offer)| (*session, offer.payload.clone()))
            .collect();
        self.drop_offers(server);
        for (session, payload) in held {
            // It could be read before.
            let _ = self.set(server, rules, session, payload, None, pins);
        }
    }

    fn drop_offers(&mut self, server: &ServerName) {
        self.by_session.retain(|_, own| {
            own.retain(|(of, _)| of != server);
            !own.is_empty()
        });
        self.known.retain(|(of, _)| of != server);
    }

    /// The worker of a server is gone, and its instances with it.
    pub(super) fn forget(&mut self, server: &ServerName) {
        self.drop_offers(server);
        self.met.values_mut().for_each(|met| met.retain(|of| of != server));
    }

    /// Forgets a session that is over.
    pub(super) fn release(&mut self, session: SessionKey) {
        self.by_session.remove(&session);
        self.met.remove(&session);
    }

    /// Whether a session was shown what its instance of this server offers.
    pub(super) fn has_met(&self, server: &ServerName, session: SessionKey) -> bool {
        self.met.get(&session).is_some_and(|met| met.contains(server))
    }

    /// Records that a session was shown what its instance of this server offers.
    pub(super) fn meets(&mut self, server: &ServerName, session: SessionKey) {
        if !self.has_met(server, session) {
            self.met.entry(session).or_default().push(server.clone());
        }
    }

    /// The offers of a session from servers that its endpoint shows.
    pub(super) fn of(&self, session: SessionKey, shows: impl Fn(&ServerName) -> bool) -> Own {
        let own = self.by_session.get(&session).map(Vec::as_slice).unwrap_or_default();
        own.iter().filter(|(server, _)| shows(server)).cloned().collect()
    }

    /// Lists that were prepared for these offers.
    pub(super) fn view(&self, place: &(GrantId, EndpointScope), own: &Own, revision: u64) -> Option<Rc<View>> {
        let ids = || own.iter().map(|(_, offer)| offer.id);
        let is_it = |known: &&PreparedView| {
            known.revision == revision && known.place == *place && known.ids.iter().copied().eq(ids())
        };
        self.views.iter().find(is_it).map(|known| known.view.clone())
    }

    /// Stores prepared lists.
    pub(super) fn keep_view(&mut self, place: (GrantId, EndpointScope), own: &Own, revision: u64, view: &Rc<View>) {
        self.views.retain(|known| known.revision == revision);
        let ids = own.iter().map(|(_, offer)| offer.id).collect();
        self.views.push_back(PreparedView { place, ids, revision, view: view.clone() });
        let mut bytes: usize = self.views.iter().map(|known| known.view.bytes()).sum();
        while self.views.len() > VIEWS || (bytes > VIEWS_BYTES && self.views.len() > 1) {
            bytes -= self.views.pop_front().map_or(0, |known| known.view.bytes());
        }
    }
}

impl Servers {
    /// Whether a session's instance that offers this is no news: others do, or it offers what all are.
    pub(crate) fn knows_own(&self, server: &ServerName, payload: &Bytes) -> bool {
        payload.is_empty() || self.own.borrow().knows(server, payload)
    }

    /// The instance of a session offers this; nothing: what all are offered. `read`: what was read of it already, by which rules.
    pub(crate) fn set_own(
        &self,
        server: &ServerName,
        connection: &Rc<WorkerConnection>,
        session: SessionKey,
        payload: Bytes,
        read: Option<(ToolRules, Result<ServerCatalogue, ObjectError>)>,
    ) -> Result<(), OwnError> {
        let servers = self.servers.borrow();
        let serving =
            |s: &&Server| s.serving.as_ref().is_some_and(|serving| Rc::ptr_eq(&serving.connection, connection));
        match servers.get(server).filter(serving) {
            Some(s) => {
                let read = read.filter(|(rules, _)| *rules == s.route.tools).map(|(_, read)| read);
                self.own.borrow_mut().set(server, &s.route.tools, session, payload, read, &s.pins)
            }
            None => Ok(()),
        }
    }

    /// Servers with an instance for each session that were not asked yet what they show this one.
    pub(crate) fn unmet(&self, scope: &Scope, session: SessionKey) -> Vec<(ServerName, Rc<WorkerConnection>)> {
        let mut connections = self.connections(scope);
        let own = self.own.borrow();
        connections.retain(|(server, connection)| connection.is_per_session() && !own.has_met(server, session));
        connections
    }

    /// Records that a session was shown what its instance of this server offers.
    pub(crate) fn meets(&self, server: &ServerName, session: SessionKey) {
        self.own.borrow_mut().meets(server, session);
    }

    /// Forgets a session that is over.
    pub(crate) fn release(&self, session: SessionKey) {
        self.own.borrow_mut().release(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::catalogue::ListKind;

    fn session(n: u128) -> SessionKey {
        SessionKey(n.to_be_bytes())
    }

    fn server() -> ServerName {
        ServerName::try_from("a").expect("a name")
    }

    fn set(own: &mut OwnOffers, n: u128, tool: &str) -> Result<(), OwnError> {
        let text = format!("{{\"tools\":[{{\"name\":\"{tool}\",\"inputSchema\":{{\"type\":\"object\"}}}}]}}");
        own.set(&server(), &ToolRules::default(), session(n), text.into(), None, &ServerPins::default())
    }

    fn of(own: &OwnOffers, n: u128) -> Own {
        own.of(session(n), |_| true)
    }

    #[test]
    fn equal_catalogues_of_sessions_are_held_once_and_go_with_the_last() {
        let mut own = OwnOffers::default();
        (0..3).for_each(|n| set(&mut own, n, "x").expect("it fits"));
        assert_eq!(own.known.len(), 1);
        assert!(Rc::ptr_eq(&of(&own, 0)[0].1, &of(&own, 2)[0].1));
        assert_eq!(of(&own, 1)[0].1.catalogue.count(ListKind::Tools), 1);
        own.set(&server(), &ToolRules::default(), session(1), Bytes::new(), None, &ServerPins::default())
            .expect("what all are");
        assert!(of(&own, 1).is_empty() && own.of(session(0), |_| false).is_empty());
        own.release(session(0));
        own.release(session(2));
        set(&mut own, 3, "y").expect("it fits");
        assert_eq!(own.known.len(), 1);
        own.meets(&server(), session(3));
        own.forget(&server());
        assert!(of(&own, 3).is_empty() && !own.has_met(&server(), session(3)));
    }

    #[test]
    fn different_catalogues_are_bounded_and_who_is_beyond_sees_what_all_see() {
        let mut own = OwnOffers::default();
        (0..DIFFERENT as u128).for_each(|n| set(&mut own, n, &format!("t{n}")).expect("it fits"));
        let beyond = DIFFERENT as u128;
        assert!(matches!(set(&mut own, beyond, "more"), Err(OwnError::TooMany)));
        assert!(of(&own, beyond).is_empty());
        set(&mut own, beyond, "t1").expect("it is known");
        own.release(session(0));
        set(&mut own, beyond, "more").expect("there is room again");
    }

    #[test]
    fn other_rules_for_tools_hold_for_the_offers_of_sessions_too() {
        let mut own = OwnOffers::default();
        set(&mut own, 1, "x").expect("it fits");
        own.read_again(
            &server(),
            &ToolRules { deny: vec!["x".to_owned()], ..ToolRules::default() },
            &ServerPins::default(),
        );
        assert_eq!(of(&own, 1)[0].1.catalogue.count(ListKind::Tools), 0);
    }
}
