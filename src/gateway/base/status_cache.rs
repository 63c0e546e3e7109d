//! Pages for monitors, prepared for all requests: the supervisor is asked, and pages are written, so often and no more. A monitor that
//! asks now and then gets what is true at that moment; in a flood, what was true a moment ago.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::{
    ServerName, StatusReport,
    control::{Answer, Question},
};
use tokio::sync::Mutex;

use super::supervisor::SupervisorHandle;
use crate::status_view::StatusView;

/// How often a value is prepared anew within [`WINDOW`]; further requests get the last one.
const TIMES: usize = 4;
const WINDOW: Duration = Duration::from_secs(1);

/// When something was prepared lately.
#[derive(Debug, Default)]
struct Pace(VecDeque<Instant>);

impl Pace {
    /// Whether it may be prepared once more, which counts.
    fn admits(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let admits = self.0.len() < TIMES;
        if admits {
            self.0.push_back(now);
        }
        admits
    }
}

/// A value that is prepared anew now and then. While one request prepares it, others get what was prepared within the last
/// [`WINDOW`], or wait for it.
#[derive(Debug, Default)]
struct Refreshed<T> {
    turn: Mutex<Pace>,
    last: RefCell<Option<(Instant, T)>>,
}

impl<T: Clone> Refreshed<T> {
    async fn get(&self, prepare: impl AsyncFnOnce() -> T) -> T {
        let last = || self.last.borrow().clone();
        let mut pace = match (self.turn.try_lock(), last()) {
            (Ok(pace), _) => pace,
            (Err(_), Some((at, known))) if at.elapsed() < WINDOW => return known,
            (Err(_), _) => self.turn.lock().await,
        };
        match last() {
            Some((_, known)) if !pace.admits(Instant::now()) => known,
            Some(_) => self.put(prepare().await),
            None => {
                pace.admits(Instant::now());
                self.put(prepare().await)
            }
        }
    }

    fn put(&self, new: T) -> T {
        *self.last.borrow_mut() = Some((Instant::now(), new.clone()));
        new
    }
}

/// The prepared pages.
#[derive(Debug, Default)]
pub(crate) struct StatusCache {
    /// The last answer of the supervisor; none if it gave none.
    report: Refreshed<Option<Rc<StatusReport>>>,
    /// How many answers there were.
    asked: Cell<u64>,
    /// For the answer of that number.
    health: RefCell<Option<(u64, Bytes)>>,
    metrics: Refreshed<Bytes>,
}

impl StatusCache {
    /// The supervisor's report on all processes; `None`: it does not answer.
    pub(crate) async fn report(self: &Rc<Self>, supervisor: &SupervisorHandle) -> Option<Rc<StatusReport>> {
        let (observed, supervisor) = (self.clone(), supervisor.clone());
        let work = async move {
            let ask = async || {
                let answer = supervisor.ask(Question::Status).await;
                observed.asked.set(observed.asked.get() + 1);
                match answer {
                    Some(Answer::Status(report)) => Some(Rc::new(*report)),
                    _ => None,
                }
            };
            observed.report.get(ask).await
        };
        // The page is for all requests, so the work goes on when the first client has left.
        tokio::task::spawn_local(work).await.ok().flatten()
    }

    /// The same as JSON in the form of [`StatusView`].
    pub(crate) async fn health(self: &Rc<Self>, supervisor: &SupervisorHandle) -> Option<Bytes> {
        let report = self.report(supervisor).await?;
        let number = self.asked.get();
        if let Some((of, page)) = &*self.health.borrow()
            && *of == number
        {
            return Some(page.clone());
        }
        let page = Bytes::from(serde_json::to_vec(&StatusView::of(&report)).ok()?);
        *self.health.borrow_mut() = Some((number, page.clone()));
        Some(page)
    }

    /// The page of Prometheus, which `render` writes.
    pub(crate) async fn metrics(&self, render: impl AsyncFnOnce() -> Bytes) -> Bytes {
        self.metrics.get(render).await
    }
}

/// The part of a report that is about some servers, for those who may use no others: problems of the file may be about any.
pub(crate) fn part_of(report: &StatusReport, shows: impl Fn(&ServerName) -> bool) -> StatusReport {
    let mut part = StatusReport { config_error: None, config_warnings: Vec::new(), ..report.clone() };
    part.servers.retain(|server| shows(&server.name));
    part
}

/// The lines of a page of Prometheus that are about some servers, or about none.
pub(crate) fn lines_of(page: &str, shows: impl Fn(&str) -> bool) -> String {
    const SERVER: &str = "server=\"";
    let server = |line: &str| {
        let (labels, _) = line.split_once('{')?.1.split_once('}')?;
        let at = labels.find(SERVER).filter(|at| *at == 0 || labels[..*at].ends_with(','))?;
        Some(labels[at + SERVER.len()..].split('"').next().unwrap_or_default().to_owned())
    };
    let is_shown = |line: &&str| line.starts_with('#') || server(line).is_none_or(|server| shows(&server));
    page.split_inclusive('\n').filter(is_shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_some_servers_has_no_line_of_another() {
        let page = "# HELP mcproxy_x server=\"b\" {server=\"b\"}\nmcproxy_x{server=\"a\"} 1\nmcproxy_x{server=\"b\"} 2\n\
                    mcproxy_y{outcome=\"ok\",server=\"b\"} 3\nmcproxy_z 4\nmcproxy_w{observer=\"b\"} 5\n# EOF\n";
        let part = "# HELP mcproxy_x server=\"b\" {server=\"b\"}\nmcproxy_x{server=\"a\"} 1\nmcproxy_z 4\n\
                    mcproxy_w{observer=\"b\"} 5\n# EOF\n";
        assert_eq!(lines_of(page, |server| server == "a"), part);
        assert_eq!(lines_of(page, |_| true), page);
    }

    #[test]
    fn what_is_asked_for_now_and_then_is_always_new_and_a_flood_gets_four_a_second() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert!((0..9).all(|n| pace.admits(at(n * 300))), "three a second");
        let flood = (10_000..13_000).filter(|ms| pace.admits(at(*ms))).count();
        assert_eq!(flood, 3 * TIMES);
    }

    #[tokio::test]
    async fn who_asks_while_another_is_answered_gets_the_last_answer_and_the_first_ones_wait() {
        let (prepared, gate) = (Refreshed::<u32>::default(), tokio::sync::Notify::new());
        let slow = async || {
            gate.notified().await;
            1
        };
        let (first, second, ()) = tokio::join!(prepared.get(slow), prepared.get(async || 2), async {
            tokio::task::yield_now().await;
            gate.notify_one();
        });
        assert_eq!((first, second), (1, 2), "there was nothing to give the second");
        let never = std::future::pending::<u32>;
        tokio::select! {
            biased;
            _ = prepared.get(async || never().await) => unreachable!("it never ends"),
            known = prepared.get(async || 3) => assert_eq!(known, 2),
        }
    }
}
