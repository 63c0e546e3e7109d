//! How often a server is called, how long that takes, and how often it fails. Pure: time is an argument.

use std::time::Duration;

use super::record::CallEnding;

/// Minutes for which calls are counted one by one.
pub(crate) const MINUTES: usize = 60;
/// Times are looked back on for one to two of these.
const WINDOW: Duration = Duration::from_secs(300);
/// Classes of times: four to each power of two, in microseconds; the last one is more than half an hour.
const CLASSES: usize = 128;

/// What is shown of one server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallFigures {
    /// Calls that ended, since the start of this gateway.
    pub(crate) total: u64,
    /// Those of them that failed.
    pub(crate) errors: u64,
    /// Calls of each of the last minutes, the oldest first.
    pub(crate) per_minute: [u32; MINUTES],
    /// Half of the last minutes' calls took no longer, in milliseconds; `None`: there were none.
    pub(crate) p50_ms: Option<f64>,
    /// 95 of 100.
    pub(crate) p95_ms: Option<f64>,
}

/// What is counted of one server. Times count from the start of the gateway.
#[derive(Debug)]
pub(super) struct ServerFigures {
    total: u64,
    errors: u64,
    /// By the number of the minute, modulo [`MINUTES`].
    minutes: [u32; MINUTES],
    minute: u64,
    /// The window that is being filled, and the one before.
    times: [Box<[u32; CLASSES]>; 2],
    window: u64,
}

impl Default for ServerFigures {
    fn default() -> Self {
        Self {
            total: 0,
            errors: 0,
            minutes: [0; MINUTES],
            minute: 0,
            times: [Box::new([0; CLASSES]), Box::new([0; CLASSES])],
            window: 0,
        }
    }
}

impl ServerFigures {
    /// A call ended.
    pub(super) fn ended(&mut self, ending: &CallEnding, now: Duration) {
        self.advance(now);
        self.total += 1;
        self.errors += u64::from(ending.verdict.is_failure());
        self.minutes[slot(self.minute)] += 1;
        self.times[0][class(ending.took)] += 1;
    }

    /// The figures as they are then.
    pub(super) fn at(&self, now: Duration) -> CallFigures {
        let minute = now.as_secs() / 60;
        let mut per_minute = [0; MINUTES];
        for (at, count) in per_minute.iter_mut().enumerate() {
            let back = (MINUTES - 1 - at) as u64;
            let Some(of) = minute.checked_sub(back) else { continue };
            let is_counted = of <= self.minute && self.minute - of < MINUTES as u64;
            *count = if is_counted { self.minutes[slot(of)] } else { 0 };
        }
        let windows = match window(now) - self.window {
            0 => &self.times[..],
            1 => &self.times[..1],
            _ => &[],
        };
        let quantile = |part: f64| quantile(windows, part);
        let (total, errors) = (self.total, self.errors);
        CallFigures { total, errors, per_minute, p50_ms: quantile(0.5), p95_ms: quantile(0.95) }
    }

    fn advance(&mut self, now: Duration) {
        let minute = now.as_secs() / 60;
        if minute > self.minute {
            for passed in (self.minute + 1..=minute).rev().take(MINUTES) {
                self.minutes[slot(passed)] = 0;
            }
            self.minute = minute;
        }
        let passed = window(now).saturating_sub(self.window);
        if passed > 0 {
            self.times.swap(0, 1);
            self.times[0].fill(0);
            if passed > 1 {
                self.times[1].fill(0);
            }
            self.window = window(now);
        }
    }
}

fn slot(minute: u64) -> usize {
    (minute % MINUTES as u64) as usize
}

fn window(now: Duration) -> u64 {
    now.as_secs() / WINDOW.as_secs()
}

fn class(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(4);
    let power = us.ilog2();
    let quarter = us >> (power - 2) & 3;
    (power as usize * 4 + quarter as usize).min(CLASSES - 1)
}

/// The middle of a class, in milliseconds.
fn middle(class: usize) -> f64 {
    let (power, quarter) = ((class / 4) as i32, (class % 4) as f64);
    (4.0 + quarter + 0.5) * 2f64.powi(power - 2) / 1000.0
}

fn quantile(windows: &[Box<[u32; CLASSES]>], part: f64) -> Option<f64> {
    let of = |class: usize| windows.iter().map(|times| u64::from(times[class])).sum::<u64>();
    let all: u64 = (0..CLASSES).map(of).sum();
    let wanted = ((all as f64 * part).ceil() as u64).max(1);
    let mut seen = 0;
    (0..CLASSES)
        .find(|at| {
            seen += of(*at);
            seen >= wanted
        })
        .filter(|_| all > 0)
        .map(middle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::base::{
        calls::record::{CallVerdict, CallWaits},
        metrics::OutcomeLabel,
    };

    fn ending(ms: u64, verdict: CallVerdict) -> CallEnding {
        let took = Duration::from_millis(ms);
        let ending = CallEnding::of(OutcomeLabel::Cancelled, None, took, CallWaits::default());
        CallEnding { verdict, ..ending }
    }

    #[test]
    fn calls_are_counted_by_the_minute_and_old_minutes_go() {
        let mut figures = ServerFigures::default();
        let at = |minute: u64| Duration::from_secs(minute * 60 + 1);
        figures.ended(&ending(1, CallVerdict::Ok), at(0));
        figures.ended(&ending(1, CallVerdict::Error), at(2));
        figures.ended(&ending(1, CallVerdict::Cancelled), at(2));
        let now = figures.at(at(2));
        assert_eq!((now.total, now.errors), (3, 1));
        assert_eq!(now.per_minute[57..], [1, 0, 2]);
        let later = figures.at(at(61));
        assert_eq!((later.per_minute[0], later.per_minute[1..].iter().sum::<u32>()), (2, 0), "an hour later");
        assert!(figures.at(at(500)).per_minute.iter().all(|count| *count == 0));
        figures.ended(&ending(1, CallVerdict::Ok), at(1000));
        assert_eq!(figures.at(at(1000)).per_minute.iter().sum::<u32>(), 1);
    }

    #[test]
    fn times_are_those_of_the_last_minutes() {
        let mut figures = ServerFigures::default();
        assert_eq!(figures.at(Duration::ZERO).p50_ms, None);
        for ms in 1..=100 {
            figures.ended(&ending(ms, CallVerdict::Ok), Duration::from_secs(10));
        }
        let near = |value: Option<f64>, wanted: f64| value.is_some_and(|value| (value / wanted - 1.0).abs() < 0.15);
        let soon = figures.at(Duration::from_secs(400));
        assert!(near(soon.p50_ms, 50.0) && near(soon.p95_ms, 95.0), "{soon:?}");
        assert_eq!(figures.at(Duration::from_secs(700)).p50_ms, None, "they are too old");
        figures.ended(&ending(2000, CallVerdict::Ok), Duration::from_secs(1000));
        assert!(near(figures.at(Duration::from_secs(1000)).p50_ms, 2000.0));
    }

    proptest! {
        #[test]
        fn every_time_is_near_the_middle_of_its_class(us in 4u64..2_000_000_000) {
            let middle = middle(class(Duration::from_micros(us))) * 1000.0;
            prop_assert!((middle / us as f64 - 1.0).abs() <= 0.13, "{us} {middle}");
        }

        #[test]
        fn whatever_the_clock_says_counting_does_not_fail(times in prop::collection::vec((0u64..100_000, 0u64..10_000_000), 0..50)) {
            let mut figures = ServerFigures::default();
            let mut now = Duration::ZERO;
            for (step, ms) in times {
                now += Duration::from_secs(step);
                figures.ended(&ending(ms, CallVerdict::Ok), now);
                let shown = figures.at(now);
                prop_assert!(shown.per_minute[MINUTES - 1] >= 1 && shown.p95_ms >= shown.p50_ms);
            }
        }
    }
}
