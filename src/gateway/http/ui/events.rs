//! `GET /ui/api/events`: what changes, as it changes. A page that is closed costs nothing: all of this belongs to its stream.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use mcproxy_ipc::{ServerState, ServerStatus, StatusReport, control::OwnedLine};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{
    answer,
    caller::Caller,
    calls::{self, CallRow},
    logs::LogRow,
    state::{self, GatewayRow, ServerRow},
};
use crate::gateway::http::sse::{self, Frame};

/// Pages at once. Each has its own timers.
const MAX_PAGES: usize = 32;
/// Calls that changed are told once in this time.
const CALLS: Duration = Duration::from_millis(200);
/// Every so many of those, rows of servers that changed, and log lines.
const ROWS: u32 = 5;
const LINES: u32 = 2;
/// Calls in one event; of more, the newest.
const MOST_CALLS: usize = 200;
/// Between two questions to the supervisor while nothing happens: it reads the memory of all processes for the answer.
const REPORT: Duration = Duration::from_secs(5);

static PAGES: AtomicUsize = AtomicUsize::new(0);

/// The place of one page.
struct PagePlace;

impl PagePlace {
    fn take() -> Option<Self> {
        let taken = PAGES.fetch_add(1, Ordering::Relaxed) < MAX_PAGES;
        let place = Self;
        taken.then_some(place)
    }
}

impl Drop for PagePlace {
    fn drop(&mut self) {
        PAGES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What changed of servers.
#[derive(Serialize)]
struct ChangedRows<'a> {
    servers: Vec<ServerRow<'a>>,
    removed: Vec<String>,
    gateway: GatewayRow,
}

/// Calls that began or ended.
#[derive(Serialize)]
struct ChangedCalls {
    calls: Vec<CallRow>,
    dropped: usize,
}

/// What is wanted besides.
#[derive(Deserialize)]
pub(super) struct EventsQuery {
    logs: Option<u8>,
}

pub(super) async fn get(request: HttpRequest, caller: Caller, query: web::Query<EventsQuery>) -> HttpResponse {
    let caller = caller.verified().await;
    let wants_logs = query.logs.is_some_and(|logs| logs != 0) && caller.may_administer;
    let Some(place) = PagePlace::take() else {
        let text = format!("{MAX_PAGES} pages are open already");
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, &text, Some("close one of them"));
    };
    let gateway = &caller.gateway;
    let Some(report) = caller.report().await else { return answer::busy() };
    let budget = gateway.budget.clone();
    let feed = Feed::new(caller, report, wants_logs, place);
    let mut response = sse::frames(&request, &budget, feed.frames());
    answer::guard_headers(response.headers_mut());
    response
}

/// What one page is told.
struct Feed {
    caller: Caller,
    report: Rc<StatusReport>,
    reported: Instant,
    /// The last told row of each server, JSON.
    told: HashMap<String, String>,
    told_needs: String,
    /// The number of calls then.
    counted: (u64, Instant),
    /// The last change of a call that was told.
    seen: u64,
    /// The next line of the log, if lines are wanted.
    line: Option<u64>,
    routes: watch::Receiver<u64>,
    tick: Interval,
    ticks: u32,
    ready: VecDeque<Frame>,
    _place: PagePlace,
}

impl Feed {
    fn new(caller: Caller, report: Rc<StatusReport>, wants_logs: bool, place: PagePlace) -> Self {
        let mut tick = interval(CALLS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let routes = caller.gateway.servers.watch();
        let counted = (caller.gateway.calls.total(), Instant::now());
        let mut feed = Self {
            report,
            reported: Instant::now(),
            told: HashMap::new(),
            told_needs: String::new(),
            counted,
            seen: caller.gateway.calls.last_change(),
            line: wants_logs.then(|| caller.gateway.log_tail.end()),
            caller,
            routes,
            tick,
            ticks: 0,
            ready: VecDeque::new(),
            _place: place,
        };
        feed.begin();
        feed
    }

    fn frames(self) -> impl Stream<Item = Frame> {
        stream::unfold(self, |mut feed| async move {
            let frame = feed.next().await?;
            Some((frame, feed))
        })
    }

    /// `None`: there is no page any more.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            self.tick.tick().await;
            let gateway = &self.caller.gateway;
            if !gateway.settings().ui || gateway.supervisor.drain.borrow().is_some() {
                return None;
            }
            self.ticks = self.ticks.wrapping_add(1);
            self.look_at_calls();
            if self.ticks.is_multiple_of(LINES) {
                self.look_at_lines().await;
            }
            if self.ticks.is_multiple_of(ROWS) {
                self.look().await;
            }
        }
    }

    /// Tells which calls began or ended.
    fn look_at_calls(&mut self) {
        let last = self.caller.gateway.calls.last_change();
        if last == self.seen {
            return;
        }
        let (calls, dropped) = calls::changed(&self.caller, self.seen, MOST_CALLS);
        self.seen = last;
        if !calls.is_empty() {
            self.ready.push_back(named("calls", json(&ChangedCalls { calls, dropped })));
        }
    }

    /// Tells what was logged.
    async fn look_at_lines(&mut self) {
        let Some(from) = self.line else { return };
        let gateway = self.caller.gateway.clone();
        gateway.log_tail.refresh(&gateway.supervisor).await;
        let end = gateway.log_tail.end();
        if end == from {
            return;
        }
        self.line = Some(end);
        let rows = |lines: &[&OwnedLine]| -> String {
            json(&lines.iter().map(|line| LogRow::of_owned(line)).collect::<Vec<_>>())
        };
        let (lines, dropped) = gateway.log_tail.since(from, rows);
        self.ready.push_back(named("logs", format!("{{\"lines\":{lines},\"dropped\":{dropped}}}")));
    }

    /// All of it, once.
    fn begin(&mut self) {
        let report = self.report.clone();
        let page = state::page_state(&self.caller, &report);
        self.told = page.servers.iter().map(|row| (row.name.to_owned(), json(row))).collect();
        self.told_needs = json(&page.needs);
        self.ready.push_back(named("state", json(&page)));
    }

    /// Tells what changed since the last look.
    async fn look(&mut self) {
        let gateway = self.caller.gateway.clone();
        // What a starting server says changes no route.
        let is_moving = |server: &ServerStatus| matches!(server.state, ServerState::Starting | ServerState::Stopping);
        let changed = self.routes.has_changed().unwrap_or(true);
        if changed || self.reported.elapsed() >= REPORT || self.report.servers.iter().any(is_moving) {
            self.routes.borrow_and_update();
            if let Some(report) = self.caller.report().await {
                (self.report, self.reported) = (report, Instant::now());
            }
        }
        let report = self.report.clone();
        let now = Instant::now();
        let (before, then) = std::mem::replace(&mut self.counted, (gateway.calls.total(), now));
        let rate = (self.counted.0 - before) as f64 / now.duration_since(then).as_secs_f64().max(0.001);
        let rows = state::rows(&self.caller, &report);
        let removed: Vec<String> =
            self.told.keys().filter(|name| !rows.iter().any(|row| row.name == **name)).cloned().collect();
        removed.iter().for_each(|name| drop(self.told.remove(name)));
        let told = &mut self.told;
        let mut is_news = |row: &ServerRow<'_>| {
            let text = json(row);
            told.insert(row.name.to_owned(), text.clone()).is_none_or(|before| before != text)
        };
        let news = rows.into_iter().filter(|row| is_news(row)).collect();
        let changes = ChangedRows { servers: news, removed, gateway: state::gateway_row(&gateway, &report, rate) };
        self.ready.push_back(named("servers", json(&changes)));
        let open = json(&state::open_needs(&self.caller, &report));
        if open != self.told_needs {
            self.ready.push_back(named("needs", format!("{{\"needs\":{open}}}")));
            self.told_needs = open;
        }
    }
}

fn named(event: &'static str, json: String) -> Frame {
    Frame::Named(event, Bytes::from(json))
}

/// These values always have a JSON form.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
