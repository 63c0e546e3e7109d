//! The lists of the server: asked for page by page, and again when it says that they have changed, when they are too old, and
//! when it refused them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mcproxy_ipc::data::{ServerEra, WorkerToGateway};
use mcproxy_mcp::{ErrorCode, ListKind, Outcome, RawObject};
use slog::{debug, info, warn};

use super::{
    OwnRequest, Session, SessionEvent, SessionPhase,
    answer::error_code,
    catalogue::{AfterPage, Gathering},
    freshness::Age,
    noise::LOGGED,
};
use crate::{
    dialect::{self, legacy},
    lines::printable,
};

/// Servers announce several changes in a row; one new list answers them all.
pub(super) const DEBOUNCE: Duration = Duration::from_millis(200);
/// How long a page of a list may take once the server is ready.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the start of a server that declares no lists waits for its tools, and for the rest: many a server does not answer
/// methods that it does not know.
const UNDECLARED_TOOLS: Duration = Duration::from_secs(5);
const UNDECLARED_OTHERS: Duration = Duration::from_secs(2);
/// Announcements of a list that is as it was are passed on no more often than that.
const REPEATED: Duration = Duration::from_secs(1);

/// What is still to be done about one list.
#[derive(Debug, Default)]
pub(super) struct ListWork {
    /// The server said that it has changed.
    stale: bool,
    /// It is asked for because the server said so.
    announcing: bool,
    /// It is too old for a client, or was refused: it is asked for when no other is.
    wanted: bool,
    /// The gateway waits for it.
    awaited: bool,
    /// When clients were last told that it has changed although it has not.
    repeated: Option<Instant>,
}

impl Session {
    /// The server says that these have changed.
    pub(super) fn changed(&mut self, kinds: &[ListKind], now: Instant) {
        for kind in kinds {
            self.list_work[*kind as usize].stale = true;
        }
        // Not moved by further changes, or a talkative server would never be asked.
        self.refresh_at.get_or_insert(now + DEBOUNCE);
    }

    /// Whether the server said that a list has changed, and was not asked for it since.
    pub(super) fn has_stale_lists(&self) -> bool {
        self.list_work.iter().any(|work| work.stale)
    }

    /// Asks for the lists that the server said have changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        self.refresh_at = None;
        for kind in ListKind::ALL {
            let is_listing = self.is_listing(kind);
            let work = &mut self.list_work[kind as usize];
            match (work.stale, is_listing) {
                (false, _) => {}
                (true, true) => self.refresh_at = Some(now + DEBOUNCE),
                (true, false) => {
                    (work.stale, work.announcing, work.wanted) = (false, true, false);
                    self.gather(kind, now);
                }
            }
        }
    }

    /// Asks for a list that was refused or is too old for a client; for one at a time.
    pub(super) fn refresh_wanted(&mut self, now: Instant) {
        for kind in self.freshness.due(now).collect::<Vec<_>>() {
            self.freshness.retrying(kind, now);
            self.list_work[kind as usize].wanted = true;
        }
        if self.is_listing_any() {
            return;
        }
        if let Some(kind) = ListKind::ALL.into_iter().find(|kind| self.list_work[*kind as usize].wanted) {
            self.list_work[kind as usize].wanted = false;
            self.gather(kind, now);
        }
    }

    /// A client asks for a list. What the gateway knows of it is the answer, unless the server said that it is true no longer.
    pub(super) fn check_list(&mut self, kind: ListKind, now: Instant) {
        let age = if matches!(self.phase, SessionPhase::Serving) { self.freshness.age(kind, now) } else { Age::Fresh };
        let is_listing = self.is_listing(kind);
        let work = &mut self.list_work[kind as usize];
        match age {
            Age::Fresh => self.list_checked(kind),
            Age::Old => {
                work.wanted |= !is_listing;
                self.list_checked(kind);
                self.refresh_wanted(now);
            }
            Age::Expired => {
                (work.wanted, work.awaited) = (!is_listing, true);
                self.refresh_wanted(now);
            }
        }
    }

    fn list_checked(&mut self, kind: ListKind) {
        self.tell(WorkerToGateway::ListChecked { method: kind.method().into() }, Bytes::new());
    }

    fn is_listing(&self, kind: ListKind) -> bool {
        self.asked.iter().any(|(_, a)| matches!(a, OwnRequest::Page { gathering, .. } if gathering.kind() == kind))
    }

    pub(super) fn is_listing_any(&self) -> bool {
        self.asked.iter().any(|(_, asked)| matches!(asked, OwnRequest::Page { .. }))
    }

    pub(super) fn gather(&mut self, kind: ListKind, now: Instant) {
        self.freshness.asked(kind, now);
        let gathering = Gathering::new(kind, &self.catalogue, &self.limits);
        self.ask_page(gathering, None, now);
    }

    fn ask_page(&mut self, gathering: Gathering, cursor: Option<&str>, now: Instant) {
        let id = self.mint();
        dialect::list(self.era, &mut self.out.server, id, gathering.kind(), cursor, &self.extensions);
        let limit = match gathering.kind() {
            _ if matches!(self.phase, SessionPhase::Serving) || !self.declares_nothing => PAGE_TIMEOUT,
            ListKind::Tools => UNDECLARED_TOOLS,
            ListKind::Prompts | ListKind::Resources | ListKind::Templates => UNDECLARED_OTHERS,
        };
        self.asked.push((id, OwnRequest::Page { gathering, until: now + limit }));
    }

    /// What the server offers, in the form that is pushed to the gateway.
    pub(crate) fn catalogue(&self) -> Bytes {
        self.catalogue.to_json()
    }

    /// The same when it is worth keeping for the next start: what the server never gave would overwrite what it gave in an
    /// earlier one.
    pub(crate) fn catalogue_to_keep(&self) -> Option<Bytes> {
        (!self.freshness.is_any_unknown()).then(|| self.catalogue())
    }

    pub(super) fn page(&mut self, mut gathering: Gathering, outcome: Outcome<'_>, now: Instant) {
        let kind = gathering.kind();
        match outcome {
            Outcome::Result(result) => match gathering.page(result) {
                AfterPage::Page(cursor) => self.ask_page(gathering, Some(&cursor), now),
                AfterPage::Complete => self.listed(gathering, now),
                AfterPage::Cut(why) => {
                    warn!(self.log, "list is not complete"; "list" => kind.member(), "reason" => why);
                    self.listed(gathering, now);
                }
                AfterPage::NoList(why) => self.not_listed(gathering, why.to_owned(), now),
            },
            // Many servers declare resources and know no templates; only tools are what nobody declares in vain.
            Outcome::Error(error)
                if error_code(error) == Some(ErrorCode::METHOD_NOT_FOUND) && kind != ListKind::Tools =>
            {
                self.listed(gathering, now);
            }
            Outcome::Error(error) => {
                // A server that declares nothing, knows the method and refuses it has tools, and the status should say why
                // there are none.
                let is_known = error_code(error) != Some(ErrorCode::METHOD_NOT_FOUND);
                if is_known && kind == ListKind::Tools && !self.freshness.is_declared(kind) {
                    self.freshness.declare(kind, false);
                }
                let error = printable(error.get().as_bytes(), LOGGED);
                self.not_listed(gathering, error, now);
            }
        }
    }

    /// The server does not give a list: what is known of it stays, or what came of it counts where nothing is.
    fn not_listed(&mut self, gathering: Gathering, error: String, now: Instant) {
        let kind = gathering.kind();
        match self.freshness.failed(kind, error.clone(), now) {
            Some((1, pause)) => {
                let retry = pause.as_millis() as u64;
                warn!(self.log, "server refused a list"; "list" => kind.member(), "error" => error, "retry_ms" => retry);
            }
            Some((attempt, pause)) => {
                let retry = pause.as_millis() as u64;
                debug!(self.log, "server refused a list"; "list" => kind.member(), "error" => error, "retry_ms" => retry,
                    "attempt" => attempt);
            }
            None => debug!(self.log, "server refused a list"; "list" => kind.member(), "error" => error),
        }
        self.report_list_failures(now);
        if matches!(self.phase, SessionPhase::Listing { .. }) {
            self.catalogue.replace(gathering);
        }
        self.list_settled(kind, false, now);
    }

    /// A list is as complete as it gets.
    fn listed(&mut self, gathering: Gathering, now: Instant) {
        let kind = gathering.kind();
        // A server that declares nothing says by its list that it has one.
        if !gathering.is_empty() && !self.freshness.is_declared(kind) {
            self.freshness.declare(kind, false);
        }
        if self.freshness.listed(kind, gathering.ttl(), now) {
            info!(self.log, "server gives a list that it refused before"; "list" => kind.member());
            self.report_list_failures(now);
        }
        let changed = self.catalogue.replace(gathering);
        if changed && matches!(self.phase, SessionPhase::Serving) {
            self.revision += 1;
            self.push_catalogue();
            self.out.events.push(SessionEvent::Counts(self.catalogue.counts()));
        }
        self.list_settled(kind, changed, now);
    }

    /// Nothing more comes of the question for a list.
    fn list_settled(&mut self, kind: ListKind, changed: bool, now: Instant) {
        let work = &mut self.list_work[kind as usize];
        let (announcing, awaited) = (std::mem::take(&mut work.announcing), std::mem::take(&mut work.awaited));
        match self.phase {
            SessionPhase::Listing { .. } => return self.ready_when_listed(now),
            SessionPhase::Serving => {}
            SessionPhase::Opening { .. } | SessionPhase::Ending => return,
        }
        // The announcement is the server's word, even where we see no difference.
        let is_due = changed || work.repeated.is_none_or(|before| before + REPEATED <= now);
        if announcing && is_due {
            if !changed {
                work.repeated = Some(now);
            }
            self.tell(WorkerToGateway::ListChanged { method: kind.method().into(), session: None }, Bytes::new());
        }
        if awaited {
            self.list_checked(kind);
        }
        self.refresh_wanted(now);
    }

    fn report_list_failures(&mut self, now: Instant) {
        if matches!(self.phase, SessionPhase::Serving) {
            self.out.events.push(SessionEvent::ListFailures(self.freshness.failures(now)));
        }
    }

    /// The line may have been a page of a list: what came before it is the list, unless there is an older one.
    pub(super) fn page_unreadable(&mut self, id: Option<u64>, why: &str, now: Instant) {
        let is_page = |(asked, what): &(u64, OwnRequest)| Some(*asked) == id && matches!(what, OwnRequest::Page { .. });
        let Some(at) = self.asked.iter().position(is_page) else { return };
        if let (_, OwnRequest::Page { gathering, .. }) = self.asked.swap_remove(at) {
            if matches!(self.phase, SessionPhase::Listing { .. }) {
                warn!(self.log, "list is not complete"; "list" => gathering.kind().member(), "reason" => why);
                self.listed(gathering, now);
            } else {
                self.not_listed(gathering, why.to_owned(), now);
            }
        }
    }

    /// When the pages that were asked for should be there.
    pub(super) fn page_deadlines(&self) -> impl Iterator<Item = Instant> {
        self.asked.iter().filter_map(|(_, asked)| match asked {
            OwnRequest::Page { until, .. } => Some(*until),
            OwnRequest::Probe | OwnRequest::Initialize | OwnRequest::Ping | OwnRequest::Listen => None,
        })
    }

    /// A server that declares no lists is ready without those that it does not answer.
    pub(super) fn expire_undeclared(&mut self, now: Instant) {
        let late = |asked: &OwnRequest| matches!(asked, OwnRequest::Page { until, .. } if *until <= now);
        if self.declares_nothing && self.asked.iter().any(|(_, asked)| late(asked)) {
            self.asked.retain(|(_, asked)| !late(asked));
            self.ready_when_listed(now);
        }
    }

    /// Gives up on the pages that took too long.
    pub(super) fn expire_pages(&mut self, now: Instant) {
        self.give_up_pages(|until| until <= now, now);
    }

    /// The time for the start is over. A server that gave one list is ready without those that it still owes; whether it is.
    pub(super) fn give_up_late_lists(&mut self, now: Instant) -> bool {
        let is_of_use = matches!(self.phase, SessionPhase::Listing { .. }) && self.freshness.has_any();
        if is_of_use {
            self.give_up_pages(|_| true, now);
        }
        is_of_use
    }

    fn give_up_pages(&mut self, is_late: impl Fn(Instant) -> bool, now: Instant) {
        let late =
            |(_, asked): &mut (u64, OwnRequest)| matches!(asked, OwnRequest::Page { until, .. } if is_late(*until));
        for (id, asked) in self.asked.extract_if(.., late).collect::<Vec<_>>() {
            let OwnRequest::Page { gathering, .. } = asked else { continue };
            legacy::cancel(&mut self.out.server, id, Some("timeout"));
            self.not_listed(gathering, "it did not answer in time".to_owned(), now);
        }
    }

    /// What the server declares of its lists.
    pub(super) fn declare_lists(&mut self, capabilities: &RawObject<'_>) {
        for kind in ListKind::ALL {
            let capability = capabilities.get(kind.capability()).filter(|value| value.get() != "null");
            let Some(capability) = capability else { continue };
            let announced = RawObject::from_raw(capability)
                .is_ok_and(|capability| capability.get("listChanged").is_some_and(|value| value.get() == "true"));
            self.freshness.declare(kind, announced);
        }
    }

    /// A server of 2026-07-28 tells of no changes, whatever it declares.
    pub(super) fn nothing_is_announced(&mut self) {
        if self.era == ServerEra::Modern {
            self.freshness.forget_announcements();
        }
    }
}
