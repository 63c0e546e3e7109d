use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use mcproxy_ipc::{
    LogLevel, Route, ServerName, SessionKey,
    control::{GatewaySettings, TokenHash},
    disk::on_disk,
};
use slog::{Logger, debug, info, o, warn};
use tokio::sync::Notify;

use super::{
    announce::{self, Announced},
    archive::Archive,
    budget::Budget,
    catalogue::Changes,
    fanout::{self, Fanout},
    fleet::{Applied, Destination, Fleet, Offer},
    guard,
    intake::Intake,
    kept,
    link::{Continuation, Link, News},
    metrics::Metrics,
    note::Note,
    notify,
    observed::Observed,
    pages::{self, Pages},
    patience::Patience,
    scope::Scope,
    session::{Session, short},
    sessions::Sessions,
    stateless::Listeners,
    subscribers::Subscribers,
    subscriptions,
    supervisor::Supervisor,
    tasks::{self, TaskOwners},
    tickets::Tickets,
};

/// How often it is looked, while draining, who has all its answers.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// How often expired sessions are looked for, at least and at most.
const SWEEP: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(1));
/// So long the stream of an answered call is kept for a client that was cut off.
const REPLAY_TIME: Duration = Duration::from_secs(300);
/// First and longest pause between attempts to reach a worker that the supervisor calls ready.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What the HTTP thread knows. One value, shared by `Rc`, for the life of the process.
pub(crate) struct Gateway {
    settings: RefCell<Rc<GatewaySettings>>,
    /// All servers.
    pub(crate) fleet: Fleet,
    /// All clients of the initialize era.
    pub(crate) sessions: Sessions,
    /// Clients of 2026-07-28 that listen.
    pub(crate) listeners: Listeners,
    /// Calls that wait for clients of 2026-07-28 to come back.
    pub(crate) tickets: Tickets<Continuation>,
    /// Pages that users of sessions were asked to visit.
    pub(crate) pages: Pages,
    /// Which servers announced changes of their lists, until clients are told.
    pub(crate) announced: Announced,
    /// What servers say to all who listen, on its way.
    pub(crate) fanout: Fanout,
    /// Who listens to what.
    pub(crate) subscribers: Subscribers,
    /// Whose tasks are whose.
    pub(crate) task_owners: TaskOwners,
    /// Rung whenever a large list has been put together.
    pub(crate) lists_prepared: Notify,
    /// What streams of sessions said lately.
    pub(crate) archive: Rc<Archive>,
    /// What clients and servers make this thread hold.
    pub(crate) budget: Budget,
    /// For questions about processes and logs.
    pub(crate) supervisor: Supervisor,
    /// Ends the wait of requests that take long.
    pub(crate) patience: Patience,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// What monitors read.
    pub(crate) observed: Observed,
    /// Rung when other tokens are in force, or none: who was let in by one that is gone has to go.
    pub(crate) tokens_changed: Notify,
    /// Identity is in it.
    pub(crate) log: Logger,
}

impl Gateway {
    /// Takes over settings and servers and starts the tasks that follow them. Must be called on the HTTP thread.
    pub(crate) fn start(supervisor: Supervisor, log: Logger) -> Rc<Self> {
        let settings = Rc::new(supervisor.settings.borrow().clone());
        let inheritance = supervisor.inherit().expect("there is one HTTP thread");
        let gateway = Rc::new(Self {
            budget: Budget::new(settings.total_buffered),
            settings: RefCell::new(settings),
            fleet: Fleet::new(),
            archive: Archive::new(inheritance.generation),
            listeners: Listeners::default(),
            sessions: Sessions::new(inheritance, Instant::now()),
            tickets: Tickets::new(),
            pages: Pages::default(),
            announced: Announced::default(),
            fanout: Fanout::default(),
            subscribers: Subscribers::default(),
            task_owners: TaskOwners::default(),
            lists_prepared: Notify::new(),
            supervisor,
            patience: Patience::default(),
            metrics: Metrics::new(),
            observed: Observed::default(),
            tokens_changed: Notify::new(),
            log,
        });
        gateway.fleet.set_groups(&gateway.settings().groups);
        gateway.archive.set_bound(gateway.settings().replay_total);
        gateway.take_routes();
        // These tasks live as long as the process; a panic in one aborts it, and the supervisor starts a new gateway.
        tokio::task::spawn_local(gateway.clone().follow_routes());
        tokio::task::spawn_local(gateway.clone().follow_settings());
        tokio::task::spawn_local(gateway.clone().follow_drain());
        tokio::task::spawn_local(announce::run(gateway.clone()));
        tokio::task::spawn_local(fanout::run(gateway.clone()));
        tokio::task::spawn_local(gateway.clone().sweep_sessions());
        tokio::task::spawn_local(gateway.clone().learn_heirs());
        let patient = gateway.clone();
        tokio::task::spawn_local(async move { patient.patience.run().await });
        gateway
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Rc<GatewaySettings> {
        self.settings.borrow().clone()
    }

    /// The level at which each call is logged, if at all.
    pub(crate) fn call_level(&self) -> Option<slog::Level> {
        self.settings.borrow().log_calls.map(LogLevel::to_slog)
    }

    /// How many calls of one session may be in flight.
    pub(crate) fn max_calls(&self) -> usize {
        self.settings.borrow().max_calls
    }

    fn take_routes(self: &Rc<Self>) {
        let routes = self.supervisor.routes.clone().borrow_and_update().clone();
        let Applied { connect, read } = self.fleet.apply(routes);
        for route in connect {
            tokio::task::spawn_local(self.clone().follow_worker(route));
        }
        for route in read {
            tokio::task::spawn_local(self.clone().look_up(route));
        }
        // Between here and there no call can begin: all of it is this thread's.
        for server in self.fleet.resting() {
            if !subscriptions::has_any(self, &server) {
                self.fleet.leave(&server);
            }
        }
        self.forget_removed_servers();
        self.wake_for_ourselves();
    }

    /// What is counted of servers ends with them, or with their last call.
    pub(crate) fn forget_removed_servers(&self) {
        self.metrics.forget(|server| self.fleet.concerns(server));
    }

    /// Starts servers at rest without a call: to learn what they offer, and to hear what clients subscribed to.
    fn wake_for_ourselves(&self) {
        for server in self.fleet.unknown() {
            self.wake(&server);
        }
        for server in self.fleet.asleep() {
            if subscriptions::has_any(self, &server) {
                self.wake(&server);
            }
        }
    }

    /// Starts a server at rest that somebody has begun to listen to.
    pub(crate) fn wake_for_listeners(&self, server: &ServerName) {
        if matches!(self.fleet.destination(server.as_str()), Destination::Asleep) {
            self.wake(server);
        }
    }

    /// Asks the supervisor to start a server that is at rest; once for each rest.
    pub(crate) fn wake(&self, server: &ServerName) {
        self.fleet.wake(server, || self.supervisor.wake(server));
    }

    /// Reads what a server offered when it last ran.
    async fn look_up(self: Rc<Self>, route: Route) {
        let Some(key) = route.catalogue else { return };
        let Some(rules) = self.fleet.rules(&route.server) else { return };
        let file = self.settings().catalogues.as_ref().map(|dir| dir.join(key.file_name(&route.server)));
        let server = route.server.clone();
        let look = move || -> Result<Option<Offer>, String> {
            let payload = file.map_or(Ok(None), |file| kept::read(&file)).map_err(|error| error.to_string())?;
            // The warnings of that time are not repeated.
            let read = payload.map(|payload| Offer::read(&server, &rules, payload)).transpose();
            read.map(|read| read.map(|(offer, _)| offer)).map_err(|error| error.to_string())
        };
        let offer = match on_disk(look).await {
            Ok(Ok(offer)) => offer,
            Ok(Err(error)) => {
                warn!(self.log, "what a server offered last cannot be read"; "server" => %route.server, "error" => error);
                None
            }
            Err(_) => None,
        };
        self.fleet.set_kept(&route.server, key, offer);
        self.wake_for_ourselves();
    }

    async fn follow_routes(self: Rc<Self>) {
        let mut routes = self.supervisor.routes.clone();
        while routes.changed().await.is_ok() {
            self.take_routes();
        }
    }

    async fn follow_settings(self: Rc<Self>) {
        let mut settings = self.supervisor.settings.clone();
        while settings.changed().await.is_ok() {
            let new = Rc::new(settings.borrow_and_update().clone());
            self.fleet.set_groups(&new.groups);
            self.archive.set_bound(new.replay_total);
            self.budget.set_total(new.total_buffered);
            let before = self.settings.replace(new.clone());
            info!(self.log, "settings changed");
            if before.tokens != new.tokens {
                self.end_revoked(before.tokens.as_deref(), new.tokens.as_deref());
            }
        }
    }

    /// Ends what clients have here by tokens that are gone: their sessions, with calls and streams, and calls that wait for
    /// them. What else they have under way ends with its connection.
    fn end_revoked(self: &Rc<Self>, before: Option<&[TokenHash]>, now: Option<&[TokenHash]>) {
        let is_revoked = |principal: Option<&str>| guard::is_revoked(principal, before, now);
        let ended: Vec<_> = self.sessions.all().into_iter().filter(|session| is_revoked(session.principal())).collect();
        for session in &ended {
            self.sessions.close(session.id());
            self.release(session);
        }
        let given_up = self.tickets.give_up(is_revoked);
        info!(self.log, "other tokens are in force"; "sessions_ended" => ended.len(), "calls_given_up" => given_up);
        self.tokens_changed.notify_one();
    }

    /// Streams without an end would hold up a graceful stop; clients open them again at the next gateway.
    async fn follow_drain(self: Rc<Self>) {
        let mut drain = self.supervisor.drain.clone();
        let Ok(grace) = drain.wait_for(Option::is_some).await.map(|grace| grace.unwrap_or_default()) else { return };
        let end = Instant::now() + grace;
        let mut look = tokio::time::interval(DRAIN_LOOK);
        // Until the process ends.
        loop {
            look.tick().await;
            if Instant::now() >= end {
                self.fleet.abandon_calls();
                self.sessions.all().iter().for_each(|session| session.questions.drop_all());
            }
            // A call of a 2024-11-05 client is answered on its session's stream.
            for session in self.sessions.all().iter().filter(|session| session.calls.is_empty()) {
                session.close_stream();
            }
            self.listeners.finish();
        }
    }

    async fn sweep_sessions(self: Rc<Self>) {
        loop {
            tokio::time::sleep((self.settings().session_idle / 4).clamp(SWEEP.1, SWEEP.0)).await;
            let (max_idle, now) = (self.settings().session_idle, Instant::now());
            for session in self.sessions.sweep(max_idle, now) {
                debug!(self.log, "session expired"; "session" => short(session.id()));
                self.release(&session);
            }
            if let Some(moment) = now.checked_sub(REPLAY_TIME) {
                self.sessions.all().iter().for_each(|session| session.tidy_streams(moment));
            }
            self.archive.tidy();
            self.tickets.tidy(now);
            let lost = self.sessions.heirs.expire(max_idle, now);
            if !lost.is_empty() {
                debug!(self.log, "sessions of earlier gateways are given up"; "count" => lost.len());
                self.forget(&lost);
                self.release_instances(&Scope::All, &lost);
            }
        }
    }

    /// Learns which sessions earlier gateways left, a part after the other. Nobody waits for that: of one that comes back before,
    /// the supervisor is asked, and it is known whom to give up when they do not.
    async fn learn_heirs(self: Rc<Self>) {
        let mut after = None;
        loop {
            let Some((keys, more)) = self.supervisor.heirs(after).await else {
                return warn!(self.log, "the supervisor does not say which sessions earlier gateways left");
            };
            self.sessions.heirs.await_these(&keys);
            after = keys.last().copied().or(after);
            if !more {
                return self.sessions.heirs.are_all_known();
            }
        }
    }

    /// The next gateway is to find this session as it is now.
    pub(crate) fn remember(&self, session: &Session) {
        if let Some(note) = session.note()
            && !self.supervisor.keep(session.key(), note.to_bytes())
        {
            debug!(self.log, "the supervisor keeps nothing now"; "session" => short(session.id()));
        }
    }

    /// A session of an earlier gateway goes on here. What changed meanwhile is not known, so its client is told to look
    /// at everything again.
    pub(crate) fn resume(&self, session: &Rc<Session>, note: Note) {
        if let Some(level) = note.level {
            self.sessions.set_level(session, level);
        }
        if let Some(declaration) = note.declaration {
            session.set_declaration(declaration);
        }
        subscriptions::resume(self, session, note.subscriptions);
        session.begin_lists(self.fleet.view(session.scope()).outline());
        session.announce(Changes::ALL);
        self.remember(session);
    }

    /// The next gateway must not take these up.
    fn forget(&self, keys: &[SessionKey]) {
        if !self.supervisor.forget(keys) {
            debug!(self.log, "the supervisor keeps nothing now"; "count" => keys.len());
        }
    }

    /// A session is over: its calls, subscriptions and instances are given up.
    pub(crate) fn release(self: &Rc<Self>, session: &Rc<Session>) {
        if session.end() {
            self.forget(&[session.key()]);
        }
        session.close_streams();
        session.cancel_all("the client's session ended");
        subscriptions::release(self, session);
        tasks::release(self, session);
        self.release_instances(session.scope(), &[session.key()]);
    }

    fn release_instances(&self, scope: &Scope, keys: &[SessionKey]) {
        keys.iter().for_each(|key| self.fleet.release(*key));
        for (_, link) in self.fleet.links(scope).iter().filter(|(_, link)| link.is_per_session()) {
            keys.iter().for_each(|key| link.release(*key));
        }
    }

    /// Keeps the connection to one incarnation of a server for as long as the supervisor calls it ready.
    async fn follow_worker(self: Rc<Self>, route: Route) {
        let Route { server, generation, .. } = route.clone();
        let log = self.log.new(o!("server" => server.to_string(), "generation" => generation.0));
        let mut pause = RECONNECT.0;
        let mut changes = self.fleet.watch();
        while self.fleet.wants_link(&server, generation) {
            if self.fleet.rests(&server) {
                // It was left and ends, unless a call reached it before.
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            match Link::open(&route, &self.supervisor, self.metrics.server(server.as_str()), self.budget.clone()).await
            {
                Ok((link, receiver)) => {
                    if !self.fleet.attach(&server, link.clone()) {
                        return;
                    }
                    pause = RECONNECT.0;
                    let gateway = self.clone();
                    let (name, intake) = (server.clone(), Intake::new(&self, &server, &link, &log));
                    let end = link
                        .clone()
                        .read(receiver, move |news| match news {
                            News::Catalogue(payload) => intake.catalogue(payload),
                            News::ListChanged(kind, only) => intake.list_changed(kind, only),
                            News::Notification(method, params, only) => {
                                notify::to_clients(&gateway, &name, &method, &params, only);
                            }
                            News::OwnCatalogue(payload, session) => intake.own(session, payload),
                            News::LikelyLog(params, caller) => {
                                announce::log_message(&gateway, &name, &params, caller);
                            }
                            News::Log(params, None) => announce::log_message(&gateway, &name, &params, None),
                            News::Log(params, Some(session)) => {
                                announce::log_to_one(&gateway, &name, session, &params);
                            }
                            News::PageDone(params, only) => pages::done(&gateway, &name, &params, only),
                            News::Updated(params, only) => subscriptions::updated(&gateway, &name, &params, only),
                            News::TaskChanged(params, only) => tasks::changed(&gateway, &name, &params, only),
                        })
                        .await;
                    if let Err(error) = end {
                        warn!(log, "the connection to the worker failed"; "error" => #error);
                    }
                    self.fleet.detach(&server, &link);
                }
                Err(error) => debug!(log, "the worker cannot be reached yet"; "error" => #error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RECONNECT.1);
        }
    }
}
