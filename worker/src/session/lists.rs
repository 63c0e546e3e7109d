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

/// How long a page of a list may take once the server is ready.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the start of a server that declares no lists waits for its tools, and for the rest: many a server does not answer
/// methods that it does not know.
const UNDECLARED_TOOLS: Duration = Duration::from_secs(5);
const UNDECLARED_OTHERS: Duration = Duration::from_secs(2);

impl Session {
    /// Asks for the lists that the server said have changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        let serves = matches!(self.phase, SessionPhase::Serving);
        for kind in self.lists.take_changed(|kind| self.requests.is_listing(kind), serves, now) {
            self.gather(kind, now);
        }
    }

    /// Asks for a list that was refused or is too old for a client; for one at a time.
    pub(super) fn refresh_wanted(&mut self, now: Instant) {
        self.lists.note_retries(now);
        if !self.requests.is_listing_any()
            && let Some(kind) = self.lists.take_wanted()
        {
            self.gather(kind, now);
        }
    }

    /// A client asks for a list. What the gateway knows of it is the answer, unless the server said that it is true no longer.
    pub(super) fn check_list(&mut self, kind: ListKind, now: Instant) {
        let age =
            if matches!(self.phase, SessionPhase::Serving) { self.lists.freshness.age(kind, now) } else { Age::Fresh };
        let is_listing = self.requests.is_listing(kind);
        match age {
            Age::Fresh => self.list_checked(kind),
            Age::Old => {
                self.lists.want(kind, is_listing, false);
                self.list_checked(kind);
                self.refresh_wanted(now);
            }
            Age::Expired => {
                self.lists.want(kind, is_listing, true);
                self.refresh_wanted(now);
            }
        }
    }

    fn list_checked(&mut self, kind: ListKind) {
        self.tell(WorkerToGateway::ListChecked { method: kind.method().into() }, Bytes::new());
    }

    pub(super) fn gather(&mut self, kind: ListKind, now: Instant) {
        self.lists.freshness.asked(kind, now);
        let gathering = Gathering::new(kind, &self.lists.catalogue, &self.limits);
        self.ask_page(gathering, None, now);
    }

    fn ask_page(&mut self, gathering: Gathering, cursor: Option<&str>, now: Instant) {
        let kind = gathering.kind();
        let limit = match kind {
            _ if matches!(self.phase, SessionPhase::Serving) || !self.lists.declares_nothing => PAGE_TIMEOUT,
            ListKind::Tools => UNDECLARED_TOOLS,
            ListKind::Prompts | ListKind::Resources | ListKind::Templates => UNDECLARED_OTHERS,
        };
        let id = self.requests.open(OwnRequest::Page { gathering, until: now + limit });
        dialect::list(self.era, &mut self.out.server, id, kind, cursor, &self.terms.extensions);
    }

    /// What the server offers, in the form that is pushed to the gateway.
    pub(crate) fn catalogue(&self) -> Bytes {
        self.lists.catalogue.to_json()
    }

    /// The same when it is worth keeping for the next start: what the server never gave would overwrite what it gave in an
    /// earlier one.
    pub(crate) fn catalogue_to_keep(&self) -> Option<Bytes> {
        (!self.lists.freshness.is_any_unknown()).then(|| self.catalogue())
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
                if is_known && kind == ListKind::Tools && !self.lists.freshness.is_declared(kind) {
                    self.lists.freshness.declare(kind, false);
                }
                let error = printable(error.get().as_bytes(), LOGGED);
                self.not_listed(gathering, error, now);
            }
        }
    }

    /// The server does not give a list: what is known of it stays, or what came of it counts where nothing is.
    fn not_listed(&mut self, gathering: Gathering, error: String, now: Instant) {
        let kind = gathering.kind();
        match self.lists.freshness.failed(kind, error.clone(), now) {
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
            self.lists.catalogue.replace(gathering);
        }
        self.list_settled(kind, false, now);
    }

    /// A list is as complete as it gets.
    fn listed(&mut self, gathering: Gathering, now: Instant) {
        let kind = gathering.kind();
        // A server that declares nothing says by its list that it has one.
        if !gathering.is_empty() && !self.lists.freshness.is_declared(kind) {
            self.lists.freshness.declare(kind, false);
        }
        if self.lists.freshness.listed(kind, gathering.ttl(), now) {
            info!(self.log, "server gives a list that it refused before"; "list" => kind.member());
            self.report_list_failures(now);
        }
        let changed = self.lists.catalogue.replace(gathering);
        if changed && matches!(self.phase, SessionPhase::Serving) {
            self.lists.revision += 1;
            self.push_catalogue();
            self.out.events.push(SessionEvent::Counts(self.lists.catalogue.counts()));
        }
        self.list_settled(kind, changed, now);
    }

    /// Nothing more comes of the question for a list.
    fn list_settled(&mut self, kind: ListKind, changed: bool, now: Instant) {
        let settled = self.lists.settled(kind, changed, matches!(self.phase, SessionPhase::Serving), now);
        match self.phase {
            SessionPhase::Listing { .. } => return self.ready_when_listed(now),
            SessionPhase::Serving => {}
            SessionPhase::Opening { .. } | SessionPhase::Ending => return,
        }
        if settled.announce {
            self.tell(WorkerToGateway::ListChanged { method: kind.method().into(), session: None }, Bytes::new());
        }
        if settled.awaited {
            self.list_checked(kind);
        }
        self.refresh_wanted(now);
    }

    fn report_list_failures(&mut self, now: Instant) {
        if matches!(self.phase, SessionPhase::Serving) {
            self.out.events.push(SessionEvent::ListFailures(self.lists.freshness.failures(now)));
        }
    }

    /// The line may have been a page of a list: what came before it is the list, unless there is an older one.
    pub(super) fn page_unreadable(&mut self, id: Option<u64>, why: &str, now: Instant) {
        let Some(gathering) = id.and_then(|id| self.requests.take_page(id)) else { return };
        if matches!(self.phase, SessionPhase::Listing { .. }) {
            warn!(self.log, "list is not complete"; "list" => gathering.kind().member(), "reason" => why);
            self.listed(gathering, now);
        } else {
            self.not_listed(gathering, why.to_owned(), now);
        }
    }

    /// A server that declares no lists is ready without those that it does not answer.
    pub(super) fn expire_undeclared(&mut self, now: Instant) {
        if self.lists.declares_nothing && !self.requests.take_pages(|until| until <= now).is_empty() {
            self.ready_when_listed(now);
        }
    }

    /// Gives up on the pages that took too long.
    pub(super) fn expire_pages(&mut self, now: Instant) {
        self.give_up_pages(|until| until <= now, now);
    }

    /// The time for the start is over. A server that gave one list is ready without those that it still owes; whether it is.
    pub(super) fn give_up_late_lists(&mut self, now: Instant) -> bool {
        let is_of_use = matches!(self.phase, SessionPhase::Listing { .. }) && self.lists.freshness.has_any();
        if is_of_use {
            self.give_up_pages(|_| true, now);
        }
        is_of_use
    }

    fn give_up_pages(&mut self, is_late: impl Fn(Instant) -> bool, now: Instant) {
        for (id, gathering) in self.requests.take_pages(is_late) {
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
            self.lists.freshness.declare(kind, announced);
        }
    }

    /// A server of 2026-07-28 tells of no changes, whatever it declares.
    pub(super) fn nothing_is_announced(&mut self) {
        if self.era == ServerEra::Modern {
            self.lists.freshness.forget_announcements();
        }
    }
}
