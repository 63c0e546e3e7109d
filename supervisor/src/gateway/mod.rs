//! The gateway's task: keeps its process alive, holds the listening port meanwhile, tells it settings and routes, answers it.

mod approvals;
mod page;
mod ports;
mod process;
mod questions;

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mcproxy_config::AuditConfig;
use mcproxy_ipc::{
    DataEnd, Generation, LogRecord, ServerName,
    control::{GatewaySettings, GatewayToSupervisor, SupervisorToGateway, TokenHash, TokenStatus},
};
use slog::{Drain as _, Logger, info, o, warn};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use self::approvals::Decided;
pub(crate) use self::ports::{GatewayCommand, GatewaySnapshot};
use crate::{
    approvals::{HeldList, KeptApprovals},
    audit::{AuditTrail, Audited},
    backoff::Jitter,
    bounded_text::cut_error,
    child::{Child, ChildEvent},
    context::{Context, sleep_until},
    kept_sessions::KeptSessions,
    link::{ChildLink, LinkEvent},
    listen::{self, BindError},
    log_ring::{Followed, LogOwner, LogRing, line},
    logging::{emit, one_line},
    operator::OperatorRequest,
    phases::GatewayPhase,
    pins,
    respawn::Respawn,
    server::{ServerCommand, ServerHandle},
    web_page::{ActRequests, LogFeed},
};

/// Beyond the grace, until it is killed.
const DRAIN_MARGIN: Duration = Duration::from_secs(1);
/// Changes of routes within this time are told at once.
const COALESCE: Duration = Duration::from_millis(5);
const QUEUE: usize = 32;
/// For the last records to be written.
const AUDIT_LIMIT: Duration = Duration::from_secs(3);
/// The warning that there is no room for all snapshots is logged at most once per interval.
const SNAPSHOT_WARNING_INTERVAL: Duration = Duration::from_secs(60);

type GatewayConnection = ChildLink<GatewayToSupervisor, SupervisorToGateway>;

/// The task's state.
pub(crate) struct GatewayTask {
    context: Context,
    log: Logger,
    /// `None` once no connection is to be accepted any more.
    listener: Option<TcpListener>,
    settings: GatewaySettings,
    snapshot: watch::Sender<GatewaySnapshot>,
    child: Option<Child>,
    link: GatewayConnection,
    /// Of the one that runs.
    phase: GatewayPhase,
    /// State that each gateway takes over from the one before.
    sessions: KeptSessions,
    /// When it was said that they have no room.
    last_snapshot_warning: Option<Instant>,
    respawn: Respawn,
    /// Since when the one that runs serves.
    serves_since: Option<Instant>,
    /// When the next thing is due: a spawn (no child) or a kill (child that has to call or to end).
    due: Option<Instant>,
    routes_due: Option<Instant>,
    answers: JoinSet<()>,
    ring: LogRing,
    audit: AuditTrail,
    /// When tokens of the settings were last used, in seconds since the Unix epoch.
    tokens_used: HashMap<[u8; 32], u64>,
    ending: bool,
    /// What of the web page concerns the whole supervisor.
    requests: mpsc::Sender<OperatorRequest>,
    acts: ActRequests,
    log_feed: LogFeed,
    /// Calls that wait for a person.
    held: HeldList,
    /// Operators who have decided on one, until the gateway has said how that ended.
    deciding: HashMap<String, Decided>,
    /// Answers that are kept.
    rules: KeptApprovals,
}

/// What the task begins with.
pub(crate) struct GatewayParts {
    /// Where clients are accepted.
    pub(crate) listener: TcpListener,
    /// The first settings.
    pub(crate) settings: GatewaySettings,
    /// What is recorded of calls, and where.
    pub(crate) audit: Option<AuditConfig>,
    /// Those of an earlier run.
    pub(crate) sessions: KeptSessions,
    /// Where it says how the process stands.
    pub(crate) snapshot: watch::Sender<GatewaySnapshot>,
    /// Where requests go that concern the whole supervisor.
    pub(crate) requests: mpsc::Sender<OperatorRequest>,
}

enum GatewayEvent {
    Link(LinkEvent<GatewayToSupervisor>),
    Child(ChildEvent),
}

impl GatewayTask {
    /// Starts the task, which spawns the gateway and has it accept clients at the listening socket.
    pub(crate) fn spawn(
        context: Context,
        parts: GatewayParts,
        tasks: &mut JoinSet<KeptSessions>,
    ) -> mpsc::Sender<GatewayCommand> {
        let GatewayParts { listener, settings, audit, sessions, snapshot, requests } = parts;
        let (commands, queue) = mpsc::channel(QUEUE);
        let (rules, unreadable) = KeptApprovals::open(context.catalogues.as_deref());
        if let Some(error) = unreadable {
            warn!(context.log, "approvals of before cannot be read and do not count"; "error" => %error);
        }
        let mut gateway = Self {
            log: context.log.new(o!("process" => "gateway")),
            audit: AuditTrail::new(audit, context.audit.clone(), context.log.clone()),
            context,
            listener: Some(listener),
            settings,
            snapshot,
            child: None,
            link: ChildLink::Closed,
            phase: GatewayPhase::default(),
            sessions,
            last_snapshot_warning: None,
            respawn: Respawn::new(Jitter::random()),
            serves_since: None,
            due: Some(Instant::now()),
            routes_due: None,
            answers: JoinSet::new(),
            ring: LogRing::default(),
            tokens_used: HashMap::new(),
            ending: false,
            requests,
            acts: ActRequests::new(Instant::now()),
            log_feed: LogFeed::default(),
            held: HeldList::default(),
            deciding: HashMap::new(),
            rules,
        };
        gateway.tell_tokens();
        tasks.spawn(gateway.run(queue));
        commands
    }

    /// Returns the sessions that a later gateway may continue.
    async fn run(mut self, mut commands: mpsc::Receiver<GatewayCommand>) -> KeptSessions {
        while !(self.ending && self.child.is_none()) {
            tokio::select! {
                command = commands.recv() => self.command(command.unwrap_or(GatewayCommand::Kill)).await,
                news = next_event(&mut self.child, &mut self.link) => match news {
                    GatewayEvent::Link(news) => self.heard(news),
                    GatewayEvent::Child(ChildEvent::Line(line)) => {
                        warn!(self.log, "gateway stderr"; "line" => %one_line(&line));
                    }
                    GatewayEvent::Child(ChildEvent::Exited(status)) => self.exited(&status.to_string()).await,
                },
                () = self.context.routes_changed.notified() => {
                    self.routes_due.get_or_insert(Instant::now() + COALESCE);
                }
                () = sleep_until(self.routes_due) => {
                    self.routes_due = None;
                    self.tell(SupervisorToGateway::Routes(self.routes()));
                }
                () = sleep_until(self.due) => self.due(),
                Some(_) = self.answers.join_next() => {}
                Audited { written, error } = self.audit.news() => {
                    self.tell(SupervisorToGateway::Audited { written, error });
                }
            }
        }
        // What calls were made is known even if this is the end.
        let _ = tokio::time::timeout(AUDIT_LIMIT, self.audit.settle()).await;
        self.sessions
    }

    async fn command(&mut self, command: GatewayCommand) {
        match command {
            GatewayCommand::Listen { address, reply } => {
                let _ = reply.send(self.listen(address)); // who asked may have given up
            }
            GatewayCommand::Logs { lines, reply } => {
                let _ = reply.send(self.ring.last(lines)); // the same
            }
            GatewayCommand::Configure { settings, audit } => {
                self.settings = *settings;
                self.tell_tokens();
                self.audit.configure(audit);
                self.tell(SupervisorToGateway::Configure(Box::new(self.settings.clone())));
            }
            GatewayCommand::Approved(server) => self.tell(SupervisorToGateway::Approved(server)),
            GatewayCommand::Decide { id, decision, reply } => self.decide(id, decision, reply),
            GatewayCommand::ForgetApproval { id, reply } => {
                let _ = reply.send(self.forget_approval(id.as_deref())); // the operator may have left
            }
            GatewayCommand::Drain { grace } => {
                self.ending = true;
                self.listener = None;
                self.due = Some(Instant::now() + grace + DRAIN_MARGIN);
                if !self.link.send(SupervisorToGateway::Drain { grace }) {
                    self.kill();
                }
            }
            GatewayCommand::Kill => {
                self.ending = true;
                self.listener = None;
                self.kill();
            }
        }
    }

    fn listen(&mut self, address: SocketAddr) -> Result<SocketAddr, BindError> {
        let Some(old) = &self.listener else { return Err(BindError::Ending) };
        let new = listen::bind_beside(address, old)?;
        let bound = new.local_addr().map_err(|source| BindError::Io { address, source })?;
        self.listener = Some(new);
        // A gateway that has not called yet is told when it calls.
        if self.link.link().is_some() {
            self.tell_listener();
        }
        Ok(bound)
    }

    /// Hands the gateway the listening socket that counts.
    fn tell_listener(&mut self) {
        let Some(listener) = &self.listener else { return };
        match listener.try_clone() {
            Ok(copy) => self.tell_along(SupervisorToGateway::Listen, vec![OwnedFd::from(copy)]),
            Err(error) => {
                // The next gateway begins with it.
                warn!(self.log, "the listening socket cannot be handed over"; "error" => %error);
                self.kill();
            }
        }
    }

    /// The gateway has called: it is told all that it begins with.
    fn attach(&mut self) {
        self.link.open();
        if !self.ending {
            self.due = None;
        }
        self.tell_listener();
        self.send_restore_state();
        self.tell(SupervisorToGateway::Configure(Box::new(self.settings.clone())));
        self.tell_rules();
        self.tell(SupervisorToGateway::Routes(self.routes()));
    }

    /// Gives the gateway and the worker of one generation a new connection to each other.
    fn connect(&mut self, id: u64, server: &ServerName, generation: Generation) {
        if self.link.link().is_none() {
            return; // a last word
        }
        match self.make_connection(server, generation) {
            Ok(end) => self.tell_along(SupervisorToGateway::Connected { id }, end.into_descriptors()),
            Err(reason) => self.tell(SupervisorToGateway::NotConnected { id, reason }),
        }
    }

    /// The gateway's end of it. The other one is on its way to the worker; if that is gone, so is the connection.
    fn make_connection(&self, server: &ServerName, generation: Generation) -> Result<DataEnd, String> {
        let server = self.context.server(server.as_str()).ok_or("there is no such server")?;
        let (ours, end) = DataEnd::pair().map_err(|error| format!("the system gives no pipes: {error}"))?;
        let command = ServerCommand::Serve { generation, end };
        server.commands.try_send(command).map_err(|_| "its task is busy or gone")?;
        Ok(ours)
    }

    /// Sends the gateway what it needs to restore sessions. It asks for their snapshots when they return, so it serves at once
    /// however many there are.
    fn send_restore_state(&mut self) {
        self.tell(SupervisorToGateway::RestoreState {
            seal: self.sessions.seal.clone(),
            generation: self.sessions.generation,
        });
    }

    fn heard(&mut self, news: LinkEvent<GatewayToSupervisor>) {
        if let LinkEvent::Message(message) = &news
            && let Err(violation) = self.phase.admit(message)
        {
            warn!(self.log, "gateway broke the protocol and is killed"; "reason" => %violation);
            self.link.close();
            return self.kill();
        }
        match news {
            LinkEvent::Hello => self.attach(),
            LinkEvent::Message(GatewayToSupervisor::Connect { id, server, generation }) => {
                self.connect(id, &server, generation);
            }
            LinkEvent::Message(GatewayToSupervisor::Listening { missing }) => {
                self.context.degraded.add_unless_known(missing, &self.log);
                info!(self.log, "gateway is accepting requests"; "pid" => self.child.as_ref().map(Child::pid));
                self.serves_since.get_or_insert_with(Instant::now);
                self.answered();
            }
            LinkEvent::Message(GatewayToSupervisor::Log(record)) => self.record(&record),
            // One that is full is told again with the next change.
            LinkEvent::Message(GatewayToSupervisor::Shown { server, counts }) => {
                let _ = self.context.server(server.as_str()).map(|s| s.commands.try_send(ServerCommand::Shown(counts)));
            }
            LinkEvent::Message(GatewayToSupervisor::Pong(number)) => {
                self.link.pong(number);
                self.answered();
            }
            // A queue that is full is read soon, and a caller that waits asks again.
            LinkEvent::Message(GatewayToSupervisor::Wake(server)) => {
                let _ =
                    self.context.server(server.as_str()).map(|server| server.commands.try_send(ServerCommand::Wake));
            }
            LinkEvent::Message(GatewayToSupervisor::OpenCatalogue { id, server, key }) => {
                self.open_catalogue(id, &server, key);
            }
            LinkEvent::Message(GatewayToSupervisor::OpenPins { id, server }) => {
                let catalogues = self.context.catalogues.clone();
                self.hand_over(id, move || catalogues.map(|dir| pins::open(&dir, &server)).transpose());
            }
            LinkEvent::Message(GatewayToSupervisor::Ask { id, question }) => self.answer(id, question),
            LinkEvent::Message(GatewayToSupervisor::Act { id, act, by }) => self.act(id, act, by),
            LinkEvent::Message(GatewayToSupervisor::StoreSnapshot { key, snapshot }) => {
                if !self.sessions.snapshots.store(key, snapshot) {
                    self.report_dropped_snapshots();
                }
            }
            LinkEvent::Message(GatewayToSupervisor::Forget(keys)) => {
                self.sessions.snapshots.forget(keys, Instant::now())
            }
            LinkEvent::Message(GatewayToSupervisor::TokensUsed(used)) => {
                self.tokens_used.extend(used);
                self.tell_tokens();
            }
            LinkEvent::Message(GatewayToSupervisor::Audit { records, dropped }) => self.audit.add(records, dropped),
            LinkEvent::Message(GatewayToSupervisor::Held(call)) => self.held(*call),
            LinkEvent::Message(GatewayToSupervisor::HoldEnded { id, end }) => self.hold_ended(&id, end),
            LinkEvent::Message(GatewayToSupervisor::KeepApproval(rule)) => self.keep_approval(*rule),
            LinkEvent::PingDue(number) => {
                self.log_feed.rest(Instant::now());
                self.tell(SupervisorToGateway::Ping(number));
            }
            LinkEvent::Silent => {
                warn!(self.log, "gateway does not answer and is killed");
                self.kill();
            }
            LinkEvent::Lost(why) => {
                if !self.ending {
                    warn!(self.log, "gateway connection lost"; "reason" => why);
                }
                self.link.close();
                // While it drains it may end in its own time.
                if !self.ending {
                    self.kill();
                }
            }
        }
    }

    /// Logs, at most once per interval, that there is no room for all session snapshots.
    fn report_dropped_snapshots(&mut self) {
        let (now, left_out) = (Instant::now(), self.sessions.snapshots.left_out());
        self.snapshot.send_modify(|snapshot| snapshot.notes_dropped = left_out);
        if self.last_snapshot_warning.is_none_or(|at| now.saturating_duration_since(at) >= SNAPSHOT_WARNING_INTERVAL) {
            self.last_snapshot_warning = Some(now);
            warn!(self.log, "no room for all session snapshots; the sessions that were idle for longest lose theirs at the next end of the gateway"; "left_out" => left_out);
        }
    }

    /// Says which tokens there are, and forgets what is known of others.
    fn tell_tokens(&mut self) {
        let tokens = self.settings.tokens.as_deref().unwrap_or_default();
        self.tokens_used.retain(|hash, _| tokens.iter().any(|token| token.sha256 == *hash));
        let status = |token: &TokenHash| TokenStatus {
            name: token.name.clone(),
            sha256: *token.sha256.first_chunk().expect("4 of 32 bytes"),
            expires: token.expires,
            access: token.access.clone(),
            last_used: self.tokens_used.get(&token.sha256).copied(),
        };
        let tokens = tokens.iter().map(status).collect();
        let remember = self.settings.approvals.remember;
        self.snapshot.send_modify(|snapshot| {
            snapshot.tokens = tokens;
            snapshot.remember = remember;
        });
    }

    /// Logs a record of the gateway, and remembers it as far as its level is in force.
    fn record(&mut self, record: &LogRecord) {
        emit(&self.log, record);
        if self.log.is_enabled(record.level.to_slog()) {
            let line = line(record);
            // No one may be following.
            let _ = self.context.follow.send(Followed { owner: LogOwner::Gateway, line: line.clone() });
            self.ring.push(line);
        }
    }

    fn answered(&self) {
        self.snapshot.send_modify(|snapshot| snapshot.answered = Some(Instant::now()));
    }

    fn tell(&mut self, message: SupervisorToGateway) {
        self.tell_along(message, Vec::new());
    }

    fn tell_along(&mut self, message: SupervisorToGateway, descriptors: Vec<OwnedFd>) {
        if self.link.link().is_some_and(|link| !link.send_along(message, descriptors)) {
            warn!(self.log, "gateway does not read and is killed");
            self.kill();
        }
    }

    fn routes(&self) -> Vec<mcproxy_ipc::Route> {
        let servers = self.context.servers();
        let route = |server: &ServerHandle| {
            let mut route = server.snapshot.borrow().route.clone();
            route.last_error = cut_error(route.last_error, servers.len());
            route
        };
        servers.iter().map(route).collect()
    }
}

async fn next_event(child: &mut Option<Child>, link: &mut GatewayConnection) -> GatewayEvent {
    let child = async {
        match child {
            Some(child) => child.next().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        news = link.next() => GatewayEvent::Link(news),
        news = child => GatewayEvent::Child(news),
    }
}
