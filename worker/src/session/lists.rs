//! The lists of the server: asked for page by page, and again when it says that they have changed, when they are too old, and
//! when it refused them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mcproxy_ipc::data::{ServerEra, ServerTraits, WorkerToGateway};
use mcproxy_mcp::{ErrorCode, ListKind, Outcome, RawObject};
use slog::{debug, info, warn};

use super::{
    answer::error_code,
    catalogue::{AfterPage, Gathering},
    context::SessionContext,
    freshness::Age,
    list_state::Lists,
    noise::LOGGED,
    output::SessionEvent,
    own_requests::OwnRequest,
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

impl Lists {
    /// Asks for the lists that the server said have changed.
    pub(super) fn refresh(&mut self, cx: &mut SessionContext, now: Instant) {
        let serves = cx.is_serving();
        for kind in self.take_changed(|kind| cx.requests.is_listing(kind), serves, now) {
            self.gather(cx, kind, now);
        }
    }

    /// Asks for a list that was refused or is too old for a client; for one at a time.
    pub(super) fn refresh_wanted(&mut self, cx: &mut SessionContext, now: Instant) {
        self.note_retries(now);
        if !cx.requests.is_listing_any()
            && let Some(kind) = self.take_wanted()
        {
            self.gather(cx, kind, now);
        }
    }

    /// A client asks for a list. What the gateway knows of it is the answer, unless the server said that it is true no longer.
    pub(super) fn check_list(&mut self, cx: &mut SessionContext, kind: ListKind, now: Instant) {
        let age = if cx.is_serving() { self.freshness.age(kind, now) } else { Age::Fresh };
        let is_listing = cx.requests.is_listing(kind);
        match age {
            Age::Fresh => list_checked(cx, kind),
            Age::Old => {
                self.want(kind, is_listing, false);
                list_checked(cx, kind);
                self.refresh_wanted(cx, now);
            }
            Age::Expired => {
                self.want(kind, is_listing, true);
                self.refresh_wanted(cx, now);
            }
        }
    }

    fn gather(&mut self, cx: &mut SessionContext, kind: ListKind, now: Instant) {
        self.freshness.asked(kind, now);
        let gathering = Gathering::new(kind, &self.catalogue, &cx.limits);
        self.ask_page(cx, gathering, None, now);
    }

    fn ask_page(&self, cx: &mut SessionContext, gathering: Gathering, cursor: Option<&str>, now: Instant) {
        let kind = gathering.kind();
        let limit = match kind {
            _ if cx.is_serving() || !self.declares_nothing => PAGE_TIMEOUT,
            ListKind::Tools => UNDECLARED_TOOLS,
            ListKind::Prompts | ListKind::Resources | ListKind::Templates => UNDECLARED_OTHERS,
        };
        let id = cx.requests.open(OwnRequest::Page { gathering, until: now + limit });
        dialect::list(cx.era, &mut cx.out.server, id, kind, cursor, &cx.terms.extensions);
    }

    pub(super) fn page(
        &mut self,
        cx: &mut SessionContext,
        mut gathering: Gathering,
        outcome: Outcome<'_>,
        now: Instant,
    ) {
        let kind = gathering.kind();
        match outcome {
            Outcome::Result(result) => match gathering.page(result) {
                AfterPage::Page(cursor) => self.ask_page(cx, gathering, Some(&cursor), now),
                AfterPage::Complete => self.listed(cx, gathering, now),
                AfterPage::Cut(why) => {
                    warn!(cx.log, "list is not complete"; "list" => kind.member(), "reason" => why);
                    self.listed(cx, gathering, now);
                }
                AfterPage::NoList(why) => self.not_listed(cx, gathering, why.to_owned(), now),
            },
            // Many servers declare resources and know no templates; only tools are never declared in vain.
            Outcome::Error(error)
                if error_code(error) == Some(ErrorCode::METHOD_NOT_FOUND) && kind != ListKind::Tools =>
            {
                self.listed(cx, gathering, now);
            }
            Outcome::Error(error) => {
                // A server that declares nothing, knows the method and refuses it has tools, and the status should say why
                // there are none.
                let is_known = error_code(error) != Some(ErrorCode::METHOD_NOT_FOUND);
                if is_known && kind == ListKind::Tools && !self.freshness.is_declared(kind) {
                    self.freshness.declare(kind, false);
                }
                let error = printable(error.get().as_bytes(), LOGGED);
                self.not_listed(cx, gathering, error, now);
            }
        }
    }

    /// The server does not give a list: what is known of it stays, or what came of it counts where nothing is.
    fn not_listed(&mut self, cx: &mut SessionContext, gathering: Gathering, error: String, now: Instant) {
        let kind = gathering.kind();
        match self.freshness.failed(kind, error.clone(), now) {
            Some((1, pause)) => {
                let retry = pause.as_millis() as u64;
                warn!(cx.log, "server refused a list"; "list" => kind.member(), "error" => error, "retry_ms" => retry);
            }
            Some((attempt, pause)) => {
                let retry = pause.as_millis() as u64;
                debug!(cx.log, "server refused a list"; "list" => kind.member(), "error" => error, "retry_ms" => retry,
                    "attempt" => attempt);
            }
            None => debug!(cx.log, "server refused a list"; "list" => kind.member(), "error" => error),
        }
        self.report_list_failures(cx, now);
        if cx.is_listing() {
            self.catalogue.replace(gathering);
        }
        self.list_settled(cx, kind, false, now);
    }

    /// A list is as complete as it gets.
    fn listed(&mut self, cx: &mut SessionContext, gathering: Gathering, now: Instant) {
        let kind = gathering.kind();
        // A server that declares nothing says by its list that it has one.
        if !gathering.is_empty() && !self.freshness.is_declared(kind) {
            self.freshness.declare(kind, false);
        }
        if self.freshness.listed(kind, gathering.ttl(), now) {
            info!(cx.log, "server gives a list that it refused before"; "list" => kind.member());
            self.report_list_failures(cx, now);
        }
        let changed = self.catalogue.replace(gathering);
        if changed && cx.is_serving() {
            self.revision += 1;
            self.push(cx);
            cx.out.events.push(SessionEvent::Counts(self.catalogue.counts()));
        }
        self.list_settled(cx, kind, changed, now);
    }

    /// Nothing more comes of the question for a list.
    fn list_settled(&mut self, cx: &mut SessionContext, kind: ListKind, changed: bool, now: Instant) {
        let settled = self.settled(kind, changed, cx.is_serving(), now);
        if !cx.is_serving() {
            return;
        }
        if settled.announce {
            cx.tell(WorkerToGateway::ListChanged { method: kind.method().into(), session: None }, Bytes::new());
        }
        if settled.awaited {
            list_checked(cx, kind);
        }
        self.refresh_wanted(cx, now);
    }

    fn report_list_failures(&self, cx: &mut SessionContext, now: Instant) {
        if cx.is_serving() {
            cx.out.events.push(SessionEvent::ListFailures(self.freshness.failures(now)));
        }
    }

    /// The line may have been a page of a list: what came before it is the list, unless there is an older one.
    pub(super) fn page_unreadable(&mut self, cx: &mut SessionContext, id: Option<u64>, why: &str, now: Instant) {
        let Some(gathering) = id.and_then(|id| cx.requests.take_page(id)) else { return };
        if cx.is_listing() {
            warn!(cx.log, "list is not complete"; "list" => gathering.kind().member(), "reason" => why);
            self.listed(cx, gathering, now);
        } else {
            self.not_listed(cx, gathering, why.to_owned(), now);
        }
    }

    /// A server that declares no lists is ready without those that it does not answer.
    pub(super) fn expire_undeclared(&mut self, cx: &mut SessionContext, now: Instant) {
        if self.declares_nothing {
            cx.requests.take_pages(|until| until <= now);
        }
    }

    /// Time has passed for a server that serves.
    pub(super) fn tick(&mut self, cx: &mut SessionContext, now: Instant) {
        self.give_up_pages(cx, |until| until <= now, now);
        if self.is_refresh_due(now) {
            self.refresh(cx, now);
        }
        if self.freshness.deadline().is_some_and(|at| now >= at) {
            self.refresh_wanted(cx, now);
        }
    }

    /// The time for the start is over. A server that gave one list is ready without those that it still owes; whether it is.
    pub(super) fn give_up_late(&mut self, cx: &mut SessionContext, now: Instant) -> bool {
        let is_of_use = cx.is_listing() && self.freshness.has_any();
        if is_of_use {
            self.give_up_pages(cx, |_| true, now);
        }
        is_of_use
    }

    fn give_up_pages(&mut self, cx: &mut SessionContext, is_late: impl Fn(Instant) -> bool, now: Instant) {
        for (id, gathering) in cx.requests.take_pages(is_late) {
            legacy::cancel(&mut cx.out.server, id, Some("timeout"));
            self.not_listed(cx, gathering, "it did not answer in time".to_owned(), now);
        }
    }

    /// Asks a server that is met for all that it declares; for everything if it declares nothing.
    pub(super) fn ask_all(&mut self, cx: &mut SessionContext, capabilities: &RawObject<'_>, now: Instant) {
        self.declare(capabilities);
        self.declares_nothing = !ListKind::ALL.into_iter().any(|kind| self.freshness.is_declared(kind));
        if self.declares_nothing {
            self.catalogue.declares_nothing();
        }
        for kind in ListKind::ALL {
            if self.declares_nothing || self.freshness.is_declared(kind) {
                self.gather(cx, kind, now);
            }
        }
    }

    /// Whether a server that starts has given all its lists. Servers that register tools once they are initialized announce that
    /// while the first lists are on their way; what they announced then belongs to the first catalogue, because many clients
    /// ask only once.
    pub(super) fn are_complete(&mut self, cx: &mut SessionContext, now: Instant) -> bool {
        if cx.requests.is_listing_any() {
            return false;
        }
        let again = self.takes_another_round();
        if again {
            self.refresh(cx, now);
        }
        !again
    }

    /// The server is ready, and has failed to give these.
    pub(super) fn report_first_failures(&self, cx: &mut SessionContext, now: Instant) {
        let failures = self.freshness.failures(now);
        if !failures.is_empty() {
            cx.out.events.push(SessionEvent::ListFailures(failures));
        }
    }

    /// Sends the catalogue to the gateway, if it is there.
    pub(super) fn push(&self, cx: &mut SessionContext) {
        let payload = if cx.linked { self.catalogue.to_json() } else { Bytes::new() };
        let asks = cx.era == ServerEra::Modern || !cx.terms.features.is_empty();
        let traits = ServerTraits { era: cx.era, asks };
        cx.tell(WorkerToGateway::Catalogue { revision: self.revision, session: None, traits }, payload);
    }

    /// Notes which lists the server declares.
    fn declare(&mut self, capabilities: &RawObject<'_>) {
        for kind in ListKind::ALL {
            let capability = capabilities.get(kind.capability()).filter(|value| value.get() != "null");
            let Some(capability) = capability else { continue };
            let announced = RawObject::from_raw(capability)
                .is_ok_and(|capability| capability.get("listChanged").is_some_and(|value| value.get() == "true"));
            self.freshness.declare(kind, announced);
        }
    }

    /// A server of 2026-07-28 tells of no changes, whatever it declares.
    pub(super) fn nothing_is_announced(&mut self, era: ServerEra) {
        if era == ServerEra::Modern {
            self.freshness.forget_announcements();
        }
    }
}

fn list_checked(cx: &mut SessionContext, kind: ListKind) {
    cx.tell(WorkerToGateway::ListChecked { method: kind.method().into() }, Bytes::new());
}
