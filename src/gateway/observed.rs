//! What monitors read, prepared for all who ask: the supervisor is asked, and pages are written, so often and no more. One who
//! asks now and then gets what is true at that moment; in a flood, what was true a moment ago.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mcproxy_ipc::{
    StatusReport,
    control::{Answer, Question},
};
use tokio::sync::Mutex;

use super::{metrics, state::Gateway};
use crate::status_view::StatusView;

/// So often something is prepared anew within [`WINDOW`]; who asks beyond it gets what was prepared last.
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

/// What is prepared. Those who ask at the same time wait for each other, so that one question is enough for them.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The last answer of the supervisor; none if it gave none.
    report: Mutex<(Pace, Option<Rc<StatusReport>>)>,
    /// How many answers there were.
    asked: Cell<u64>,
    /// For the answer of that number.
    health: RefCell<Option<(u64, Bytes)>>,
    metrics: Mutex<(Pace, Bytes)>,
}

/// What the supervisor knows of all processes; `None`: it does not answer.
pub(crate) async fn report(gateway: &Rc<Gateway>) -> Option<Rc<StatusReport>> {
    let gateway = gateway.clone();
    let work = async move {
        let observed = &gateway.observed;
        let mut known = observed.report.lock().await;
        if known.0.admits(Instant::now()) {
            known.1 = match gateway.supervisor.ask(Question::Status).await {
                Some(Answer::Status(report)) => Some(Rc::new(*report)),
                _ => None,
            };
            observed.asked.set(observed.asked.get() + 1);
        }
        known.1.clone()
    };
    // It is for all who ask, so it goes on when the one who asked first has left.
    tokio::task::spawn_local(work).await.ok().flatten()
}

/// The same as JSON in the form of [`StatusView`].
pub(crate) async fn health(gateway: &Rc<Gateway>) -> Option<Bytes> {
    let report = report(gateway).await?;
    let (number, known) = (gateway.observed.asked.get(), &gateway.observed.health);
    if let Some((of, page)) = &*known.borrow()
        && *of == number
    {
        return Some(page.clone());
    }
    let page = Bytes::from(serde_json::to_vec(&StatusView::of(&report)).ok()?);
    *known.borrow_mut() = Some((number, page.clone()));
    Some(page)
}

/// The page of Prometheus. Without an answer of the supervisor it lacks what only that knows.
pub(crate) async fn metrics(gateway: &Rc<Gateway>) -> Bytes {
    let gateway = gateway.clone();
    let work = async move {
        let mut known = gateway.observed.metrics.lock().await;
        if known.0.admits(Instant::now()) {
            let report = report(&gateway).await;
            known.1 = metrics::render(&gateway, report.as_deref()).into();
        }
        known.1.clone()
    };
    tokio::task::spawn_local(work).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_now_and_then_is_always_new_and_a_flood_gets_four_a_second() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert!((0..9).all(|n| pace.admits(at(n * 300))), "three a second");
        let flood = (10_000..13_000).filter(|ms| pace.admits(at(*ms))).count();
        assert_eq!(flood, 3 * TIMES);
    }
}
