//! The lists of the server: asked for page by page, and again when it says that they have changed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mcproxy_mcp::{ErrorCode, ListKind, Outcome};
use slog::warn;

use super::{
    Asked, Event, Phase, Session,
    catalogue::{Gathering, Next},
    input::{LOGGED, error_code},
};
use crate::{dialect, lines::printable};

/// Servers announce several changes in a row; one new list answers them all.
pub(super) const DEBOUNCE: Duration = Duration::from_millis(200);
/// How long a page of a list may take once the server is ready.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the start of a server that declares no lists waits for its tools, and for the rest: many a server does not answer
/// methods that it does not know.
const UNDECLARED_TOOLS: Duration = Duration::from_secs(10);
const UNDECLARED_OTHERS: Duration = Duration::from_secs(2);

impl Session {
    pub(super) fn changed(&mut self, kinds: &[ListKind], now: Instant) {
        for kind in kinds {
            self.stale[*kind as usize] = true;
        }
        // Not moved by further changes, or a talkative server would never be asked.
        self.refresh_at.get_or_insert(now + DEBOUNCE);
    }

    /// Asks for the lists that the server said have changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        self.refresh_at = None;
        for kind in ListKind::ALL {
            let under_way =
                self.asked.iter().any(|(_, a)| matches!(a, Asked::Page { gathering, .. } if gathering.kind() == kind));
            match (self.stale[kind as usize], under_way) {
                (false, _) => {}
                (true, true) => self.refresh_at = Some(now + DEBOUNCE),
                (true, false) => {
                    self.stale[kind as usize] = false;
                    self.gather(kind, now);
                }
            }
        }
    }

    pub(super) fn gather(&mut self, kind: ListKind, now: Instant) {
        let gathering = Gathering::new(kind, &self.catalogue, &self.limits);
        self.ask_page(gathering, None, now);
    }

    fn ask_page(&mut self, gathering: Gathering, cursor: Option<&str>, now: Instant) {
        let id = self.mint();
        dialect::list(self.era, &mut self.out.server, id, gathering.kind(), cursor);
        let limit = match gathering.kind() {
            _ if matches!(self.phase, Phase::Serving) || !self.declares_nothing => PAGE_TIMEOUT,
            ListKind::Tools => UNDECLARED_TOOLS,
            ListKind::Prompts | ListKind::Resources | ListKind::Templates => UNDECLARED_OTHERS,
        };
        self.asked.push((id, Asked::Page { gathering, until: now + limit }));
    }

    /// What the server offers, in the form that is pushed to the gateway.
    pub(crate) fn catalogue(&self) -> Bytes {
        self.catalogue.to_json()
    }

    pub(super) fn page(&mut self, mut gathering: Gathering, outcome: Outcome<'_>, now: Instant) {
        let kind = gathering.kind().member();
        match outcome {
            Outcome::Result(result) => match gathering.page(result) {
                Next::Page(cursor) => return self.ask_page(gathering, Some(&cursor), now),
                Next::Complete => {}
                Next::Cut(why) => warn!(self.log, "list is not complete"; "list" => kind, "reason" => why),
            },
            // Many servers declare resources and know no templates.
            Outcome::Error(error) if error_code(error) == Some(ErrorCode::METHOD_NOT_FOUND) => {}
            Outcome::Error(error) => {
                let error = printable(error.get().as_bytes(), LOGGED);
                warn!(self.log, "server refused a list"; "list" => kind, "error" => error);
                if matches!(self.phase, Phase::Serving) {
                    return; // the old list stays
                }
            }
        }
        self.listed(gathering, now);
    }

    /// A list is as complete as it gets.
    fn listed(&mut self, gathering: Gathering, now: Instant) {
        let changed = self.catalogue.replace(gathering);
        match self.phase {
            Phase::Listing { .. } => self.ready_when_listed(now),
            Phase::Serving if changed => {
                self.revision += 1;
                self.push_catalogue();
                self.out.events.push(Event::Counts(self.catalogue.counts()));
            }
            Phase::Serving | Phase::Opening { .. } | Phase::Ending => {}
        }
    }

    /// The line may have been a page of a list: what came before it is the list, unless there is an older one.
    pub(super) fn page_unreadable(&mut self, id: Option<u64>, why: &str, now: Instant) {
        let is_page = |(asked, what): &(u64, Asked)| Some(*asked) == id && matches!(what, Asked::Page { .. });
        let Some(at) = self.asked.iter().position(is_page) else { return };
        if let (_, Asked::Page { gathering, .. }) = self.asked.swap_remove(at) {
            let list = gathering.kind().member();
            warn!(self.log, "list is not complete"; "list" => list, "reason" => why);
            if matches!(self.phase, Phase::Listing { .. }) {
                self.listed(gathering, now);
            }
        }
    }

    /// When the pages that were asked for should be there.
    pub(super) fn page_deadlines(&self) -> impl Iterator<Item = Instant> {
        self.asked.iter().filter_map(|(_, asked)| match asked {
            Asked::Page { until, .. } => Some(*until),
            Asked::Probe | Asked::Initialize | Asked::Ping | Asked::Listen => None,
        })
    }

    /// A server that declares no lists is ready without those that it does not answer.
    pub(super) fn expire_undeclared(&mut self, now: Instant) {
        let late = |asked: &Asked| matches!(asked, Asked::Page { until, .. } if *until <= now);
        if self.declares_nothing && self.asked.iter().any(|(_, asked)| late(asked)) {
            self.asked.retain(|(_, asked)| !late(asked));
            self.ready_when_listed(now);
        }
    }

    pub(super) fn expire_pages(&mut self, now: Instant) {
        let late = |asked: &Asked| matches!(asked, Asked::Page { until, .. } if *until <= now);
        if self.asked.iter().any(|(_, asked)| late(asked)) {
            self.asked.retain(|(_, asked)| !late(asked));
            warn!(self.log, "server did not list again in time; the old list stays");
        }
    }
}
