//! One server as the gateway sees it.

use std::{rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use mcproxy_ipc::{CatalogueKey, Generation, Need, Route, ServerName, ServerState, ToolRules};
use mcproxy_mcp::ObjectError;

use super::{call_rates::CallRates, pins::ServerPins};
use crate::gateway::{
    catalogue::{CatalogueWarning, ServerCatalogue},
    upstream::connection::WorkerConnection,
};

/// Where a call for a server can go at this moment.
pub(crate) enum Destination {
    /// Its worker is connected.
    Connected(Rc<WorkerConnection>),
    /// It is starting; a call may wait.
    Starting,
    /// It is at rest; a call wakes it and may wait.
    Asleep,
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

/// One configured server.
pub(super) struct Server {
    pub(super) route: Route,
    /// The route before that.
    pub(super) before: Option<Route>,
    /// The destination of its calls.
    pub(super) serving: Option<Serving>,
    /// The connection to the current generation, until that has said what it offers.
    pub(super) next: Option<Rc<WorkerConnection>>,
    /// Its last offer, while it does not run.
    pub(super) kept: Option<Offer>,
    /// The file that it is being read from.
    pub(super) reading: Option<CatalogueKey>,
    /// How often it may be called.
    pub(super) rates: CallRates,
    /// What its tools were when they were pinned.
    pub(super) pins: ServerPins,
    /// The supervisor was asked to start it, and has not said anything of it since.
    pub(super) woken: bool,
}

/// A connection that takes calls.
pub(super) struct Serving {
    pub(super) connection: Rc<WorkerConnection>,
    pub(super) offer: Offer,
}

/// The offer of a server: as it came, because its tool rules may change while it runs, and prepared.
pub(crate) struct Offer {
    payload: Bytes,
    catalogue: Arc<ServerCatalogue>,
    /// The part of it that is offered, where tools that were not approved are held.
    approved: Option<Arc<ServerCatalogue>>,
}

impl Offer {
    /// Reads a worker's `Catalogue`. It takes as long as the catalogue is large, and nothing of the HTTP thread is needed for it.
    pub(crate) fn read(
        server: &ServerName,
        rules: &ToolRules,
        payload: Bytes,
    ) -> Result<(Self, Vec<CatalogueWarning>), ObjectError> {
        let (catalogue, warnings) = ServerCatalogue::read(server, &payload, rules)?;
        Ok((Self { payload, catalogue: Arc::new(catalogue), approved: None }, warnings))
    }

    /// What clients may see of it.
    fn shown(&self) -> &Arc<ServerCatalogue> {
        self.approved.as_ref().unwrap_or(&self.catalogue)
    }
}

impl Server {
    pub(super) fn new(route: Route) -> Self {
        let rates = CallRates::default().after(&route.rates, Instant::now());
        Self {
            route,
            before: None,
            serving: None,
            next: None,
            kept: None,
            reading: None,
            rates,
            pins: ServerPins::default(),
            woken: false,
        }
    }

    /// The supervisor says something else of it.
    pub(super) fn told(self, route: Route) -> Self {
        // Of another command nothing is known until it has run. (A connection of the old one may go on.)
        let same = self.route.catalogue == route.catalogue;
        let (kept, reading) = if same { (self.kept, self.reading) } else { (None, None) };
        let woken = self.woken && self.route == route;
        let rates = self.rates.after(&route.rates, Instant::now());
        Self { before: Some(self.route), route, kept, reading, rates, woken, ..self }
    }

    /// Whether what it offered last is to be looked up.
    pub(super) fn begin_reading(&mut self) -> bool {
        let new = self.before.as_ref().is_none_or(|before| before.catalogue != self.route.catalogue);
        if new {
            self.reading = self.route.catalogue;
        }
        new && self.reading.is_some()
    }

    /// Whether the current generation is the one that was ready before.
    pub(super) fn is_known(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.is_ready() && before.generation == self.route.generation)
    }

    pub(super) fn holds(&self, connection: &Rc<WorkerConnection>) -> bool {
        let serving = self.serving.as_ref().map(|serving| &serving.connection);
        serving.into_iter().chain(&self.next).any(|held| Rc::ptr_eq(held, connection))
    }

    pub(super) fn wants_connection(&self, generation: Generation) -> bool {
        let serving = self.serving.as_ref().map(|serving| &serving.connection);
        self.route.is_ready()
            && self.route.generation == generation
            && serving.into_iter().chain(&self.next).all(|held| held.generation() != generation)
    }

    /// Takes the connection that takes its calls away. What was offered over it is what the server offered last.
    pub(super) fn cease(&mut self) -> Option<Rc<WorkerConnection>> {
        let Serving { connection, offer } = self.serving.take()?;
        self.kept = Some(offer);
        Some(connection)
    }

    /// Prepares its offer again if other rules are in force.
    pub(super) fn offer_anew(&mut self) {
        let Self { route, before, serving, kept, pins, .. } = self;
        if before.take().is_none_or(|before| before.tools == route.tools) {
            return;
        }
        pins.read_again(&route.server, &route.tools);
        for offer in serving.iter_mut().map(|serving| &mut serving.offer).chain(kept) {
            if let Ok((again, _)) = Offer::read(&route.server, &route.tools, offer.payload.clone()) {
                *offer = again;
            }
        }
        self.compare();
    }

    /// The catalogue that is listed: its present one, or its last one if the supervisor expects it back.
    pub(super) fn listed(&self) -> Option<&Arc<ServerCatalogue>> {
        let kept = self.kept.as_ref().filter(|_| self.route.listed);
        let offer = self.serving.as_ref().map(|serving| &serving.offer).or(kept);
        // Until it is known what was approved, nothing is.
        offer.map(Offer::shown).filter(|_| !self.pins.are_awaited())
    }

    /// Whether a tool of it is held because its texts try to give orders.
    pub(super) fn holds_back(&self, own: &str) -> bool {
        let offer = self.serving.as_ref().map(|serving| &serving.offer).or(self.kept.as_ref());
        offer.is_some_and(|offer| offer.catalogue.holds(own))
    }

    /// Compares what it offers with its pins.
    pub(super) fn compare(&mut self) {
        let Self { serving, kept, pins, .. } = self;
        if let Some(offer) = serving.as_ref().map(|serving| &serving.offer).or(kept.as_ref()) {
            pins.seen(&offer.payload, &offer.catalogue);
        }
        for offer in serving.iter_mut().map(|serving| &mut serving.offer).chain(kept) {
            offer.approved = pins.approved(&offer.catalogue);
        }
    }

    /// Whether a list should wait for it: something is about to be known of it that is not known yet.
    pub(super) fn is_settling(&self) -> bool {
        match &self.route {
            _ if self.listed().is_some() => false,
            _ if self.reading.is_some() => true,
            route if !route.settled || route.state == ServerState::Ready => true,
            // A lazy server whose offer was lost is started to say it again; if that fails no list waits for another try.
            route => {
                let on_its_way =
                    matches!(route.state, ServerState::Idle | ServerState::Starting | ServerState::Stopping);
                route.need != Need::Always && on_its_way && route.last_error.is_none()
            }
        }
    }

    /// Whether it has to be started to learn what it offers.
    pub(super) fn is_unknown(&self) -> bool {
        let nothing = self.serving.is_none() && self.kept.is_none() && self.reading.is_none();
        nothing && self.route.state == ServerState::Idle
    }

    /// Whether it should answer calls.
    pub(super) fn is_wanted(&self) -> bool {
        self.route.state != ServerState::Stopped || !self.route.settled
    }

    /// Whether it is at rest, or would be without calls: a call starts it.
    pub(super) fn is_well(&self) -> bool {
        let on_call = self.route.need != Need::Always && self.listed().is_some();
        let state = matches!(
            self.route.state,
            ServerState::Idle | ServerState::Starting | ServerState::Ready | ServerState::Stopping
        );
        (on_call && state) || matches!(self.destination(), Destination::Connected(_))
    }

    /// The destination of a call.
    pub(super) fn destination(&self) -> Destination {
        match (self.route.state, &self.serving, self.route.need) {
            (ServerState::Ready, Some(serving), _) => Destination::Connected(serving.connection.clone()),
            (_, _, Need::Asleep | Need::Resting) => Destination::Asleep,
            (ServerState::Ready | ServerState::Starting, _, _) => Destination::Starting,
            (ServerState::Stopped, _, _) if !self.route.settled => Destination::Starting,
            _ if self.route.returns => Destination::Starting,
            (state, _, _) => Destination::Down { state, why: self.route.last_error.clone() },
        }
    }
}
