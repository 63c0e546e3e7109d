//! The owners of all that the HTTP thread knows. What is done with it is elsewhere.

mod approval_counts;
pub(crate) mod approval_rules;
pub(crate) mod broadcasts;
pub(crate) mod held_calls;
pub(crate) mod kept_results;
pub(crate) mod list_changes;
pub(crate) mod request_state;
pub(crate) mod url_elicitations;

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Instant, SystemTime},
};

use mcproxy_ipc::{
    LogLevel, ServerName,
    control::{GatewaySettings, GatewayToSupervisor},
};
use slog::Logger;
use tokio::sync::Notify;

use self::{
    approval_rules::ApprovalRules,
    broadcasts::Broadcasts,
    held_calls::{HeldCalls, HoldNews},
    kept_results::KeptResults,
    list_changes::ListChanges,
    request_state::RequestStateStore,
    url_elicitations::UrlElicitations,
};
use crate::gateway::{
    base::{
        audit::AuditLog, auth::Auth, budget::Budget, calls::CallLog, log_tail::LogTail, metrics::Metrics,
        oauth::access_tokens::AccessTokens, rates::PrincipalRates, refusals::Refusals, response_timer::ResponseTimer,
        status_cache::StatusCache, supervisor::SupervisorHandle, token_uses::TokenUses, verified_peers::VerifiedPeers,
    },
    sessions::{
        listeners::Listeners, registry::Sessions, replay_budget::ReplayBudget, subscribers::Subscribers,
        tasks::TaskOwners,
    },
    upstream::{authorities::Authorities, connection::Continuation, embedder::Embedder, servers::Servers},
};

/// The state of the HTTP thread. One value, shared by `Rc`, for the life of the process.
pub(crate) struct Gateway {
    settings: RefCell<Rc<GatewaySettings>>,
    /// Follows the settings.
    auth: RefCell<Auth>,
    /// All servers.
    pub(crate) servers: Servers,
    /// The worker that embeds texts, and the embeddings of tools.
    pub(crate) embedder: Embedder,
    /// The workers that ask authorization servers, and the keys of those.
    pub(crate) authorities: Authorities,
    /// Tokens of authorization servers that were verified.
    pub(crate) access_tokens: Rc<AccessTokens>,
    /// All clients of the legacy era.
    pub(crate) sessions: Sessions,
    /// Clients of 2026-07-28 that listen.
    pub(crate) listeners: Listeners,
    /// Calls that wait for clients of 2026-07-28 to come back.
    pub(crate) request_states: RequestStateStore<Continuation>,
    /// Calls that wait for the agreement of a person.
    pub(crate) held_calls: Rc<HeldCalls>,
    /// Answers to those that are kept.
    pub(crate) approval_rules: ApprovalRules,
    /// Results of which clients were shown the beginning.
    pub(crate) kept_results: KeptResults,
    /// Pages that users of sessions were asked to visit.
    pub(crate) url_elicitations: UrlElicitations,
    /// Which servers announced changes of their lists, until clients are told.
    pub(crate) list_changes: ListChanges,
    /// Notifications of servers that wait to be sent to all their readers.
    pub(crate) broadcasts: Broadcasts,
    /// The index of subscriptions.
    pub(crate) subscribers: Subscribers,
    /// Whose tasks are whose.
    pub(crate) task_owners: TaskOwners,
    /// Rung whenever a large list has been put together.
    pub(crate) lists_prepared: Notify,
    /// The memory of the last events of sessions' streams.
    pub(crate) replay_budget: Rc<ReplayBudget>,
    /// The memory that clients and servers make this thread hold.
    pub(crate) budget: Budget,
    /// For questions about processes and logs.
    pub(crate) supervisor: SupervisorHandle,
    /// Ends the wait of requests that take long.
    pub(crate) response_timer: ResponseTimer,
    /// What is recorded of calls.
    pub(crate) audit: Rc<AuditLog>,
    /// The counters.
    pub(crate) metrics: Metrics,
    /// When tokens were last used.
    pub(crate) token_uses: TokenUses,
    /// How often principals may send requests.
    pub(crate) rates: PrincipalRates,
    /// The calls of a moment ago, and figures of each server.
    pub(crate) calls: CallLog,
    /// New log lines, for open pages.
    pub(crate) log_tail: LogTail,
    /// Callers of the web page that the supervisor was asked about.
    pub(crate) verified_peers: VerifiedPeers,
    /// Requests that were refused for their head.
    pub(crate) refusals: Refusals,
    /// The pages for monitors.
    pub(crate) status_cache: Rc<StatusCache>,
    /// Notified when requests are authenticated in another way than before: connections whose admission no longer holds are closed.
    pub(crate) auth_changed: Notify,
    /// Identity is in it.
    pub(crate) log: Logger,
}

impl Gateway {
    /// With the settings of this moment, and no servers yet. Must be called on the HTTP thread.
    pub(crate) fn new(supervisor: SupervisorHandle, log: Logger) -> Self {
        let settings = Rc::new(supervisor.settings.borrow().clone());
        let restore_state = supervisor.take_restore_state().expect("there is one HTTP thread");
        let budget = Budget::new(settings.total_buffered);
        let access_tokens = Rc::<AccessTokens>::default();
        let gateway = Self {
            embedder: Embedder::new(&budget),
            authorities: Authorities::default(),
            auth: RefCell::new(Auth::of(&settings, SystemTime::now(), &access_tokens)),
            access_tokens,
            budget,
            settings: RefCell::new(settings),
            servers: Servers::new(),
            replay_budget: ReplayBudget::new(restore_state.generation),
            listeners: Listeners::default(),
            sessions: Sessions::new(restore_state, Instant::now()),
            request_states: RequestStateStore::new(),
            held_calls: HeldCalls::new(tell_of_held(supervisor.clone())),
            approval_rules: ApprovalRules::default(),
            kept_results: KeptResults::default(),
            url_elicitations: UrlElicitations::default(),
            list_changes: ListChanges::default(),
            broadcasts: Broadcasts::default(),
            subscribers: Subscribers::default(),
            task_owners: TaskOwners::default(),
            lists_prepared: Notify::new(),
            audit: AuditLog::new(supervisor.audited.clone()),
            supervisor,
            response_timer: ResponseTimer::default(),
            metrics: Metrics::new(),
            token_uses: TokenUses::default(),
            rates: PrincipalRates::default(),
            calls: CallLog::default(),
            log_tail: LogTail::default(),
            verified_peers: VerifiedPeers::default(),
            refusals: Refusals::default(),
            status_cache: Rc::default(),
            auth_changed: Notify::new(),
            log,
        };
        gateway.approval_rules.set(gateway.supervisor.approval_rules.borrow().clone());
        let settings = gateway.settings();
        gateway.servers.set_endpoints(&settings);
        gateway.audit.set(settings.audit.as_ref());
        gateway.rates.set(settings.tokens.as_deref().unwrap_or_default(), settings.anonymous_rate, Instant::now());
        gateway.replay_budget.set_bound(gateway.settings().replay_total);
        gateway
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Rc<GatewaySettings> {
        self.settings.borrow().clone()
    }

    /// How requests are authenticated.
    pub(crate) fn auth(&self) -> Auth {
        self.auth.borrow().clone()
    }

    /// Puts other settings in force.
    pub(crate) fn set_settings(&self, new: Rc<GatewaySettings>) {
        self.audit.set(new.audit.as_ref());
        self.rates.set(new.tokens.as_deref().unwrap_or_default(), new.anonymous_rate, Instant::now());
        if self.settings.borrow().oauth != new.oauth {
            self.access_tokens.forget();
        }
        self.settings.replace(new);
        self.renew_auth(SystemTime::now());
    }

    /// Leaves out tokens whose time is over.
    pub(crate) fn renew_auth(&self, now: SystemTime) {
        let auth = Auth::of(&self.settings.borrow(), now, &self.access_tokens);
        self.auth.replace(auth);
    }

    /// The level at which each call is logged, if at all.
    pub(crate) fn call_level(&self) -> Option<slog::Level> {
        self.settings.borrow().log_calls.map(LogLevel::to_slog)
    }

    /// How many calls of one session may be in flight.
    pub(crate) fn max_calls(&self) -> usize {
        self.settings.borrow().max_calls
    }

    /// Removes the counters of servers that are gone, with their last call.
    pub(crate) fn forget_removed_servers(&self) {
        let is_authority = |server: &str| ServerName::try_from(server).is_ok_and(|name| self.authorities.has(&name));
        let concerns = |server: &str| self.servers.concerns(server) || self.embedder.is(server) || is_authority(server);
        self.metrics.forget(concerns);
        self.calls.forget(|server| self.servers.concerns(server));
        self.held_calls.forget(|server| self.servers.concerns(server));
    }
}

/// Tells the supervisor of calls that wait. One that cannot be told is not shown to operators; its client's user is asked all the same.
fn tell_of_held(supervisor: SupervisorHandle) -> impl Fn(HoldNews) {
    move |news| {
        supervisor.tell_of_held(match news {
            HoldNews::Held(call) => GatewayToSupervisor::Held(call),
            HoldNews::Ended(id, end) => GatewayToSupervisor::HoldEnded { id, end: Some(end) },
            HoldNews::Keep(rule) => GatewayToSupervisor::KeepApproval(rule),
        });
    }
}
