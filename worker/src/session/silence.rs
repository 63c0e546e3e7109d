//! How long a server may say nothing while it is asked what it speaks. Pure: the time, whether the server has read what it was
//! asked, and what its processes do are arguments.
//!
//! Silence begins when the server has read all that was written to it. `npx`, `uvx` and a busy boot pass their stdin on
//! unread, so that however long they take, they do not decide which era is spoken. A server that works is not silent either,
//! for a while: something may have read for it, and it may still be loading what it needs.

use std::time::{Duration, Instant};

use mcproxy_ipc::Activity;

/// For an answer to `server/discover` before `initialize` is asked as well.
const DISCOVER: Duration = Duration::from_secs(5);
/// The same of a server that spoke 2026-07-28 when it last ran.
const KNOWN_MODERN: Duration = Duration::from_secs(20);
/// For an answer to `initialize` of a server that has answered `server/discover`.
const INITIALIZE: Duration = Duration::from_secs(10);
/// For an answer to either.
const BOTH: Duration = Duration::from_secs(20);
/// Time between two checks whether the server has read, and later of what it does.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// How long it may work and not be taken for silent.
const WORK: Duration = Duration::from_secs(30);
/// A process that uses less than this part of a processor does not work.
const IDLE_SHARE: u32 = 20;

/// Where the questions stand, as far as silence is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SilenceStage {
    /// Silence decides nothing (any more).
    Decided,
    /// `server/discover` was asked.
    OwnRequest,
    /// The same of a server that spoke 2026-07-28 when it last ran.
    KnownModernAsked,
    /// `server/discover` and `initialize` were asked, and neither was answered.
    BothAsked,
    /// 2026-07-28 is spoken, but `initialize` was asked behind the question, and is not answered.
    TooLate,
    /// `server/discover` was refused, and `initialize` is not answered.
    NotGreeted,
    /// `initialize` was refused, and `server/discover` is not answered.
    NotUsable,
}

impl SilenceStage {
    /// How long the server may be silent; `None`: until its start is over.
    pub(super) fn time_limit(self) -> Option<Duration> {
        match self {
            Self::Decided => None,
            Self::OwnRequest | Self::TooLate => Some(DISCOVER),
            Self::KnownModernAsked => Some(KNOWN_MODERN),
            Self::BothAsked => Some(BOTH),
            Self::NotGreeted | Self::NotUsable => Some(INITIALIZE),
        }
    }
}

/// A check that the session asks of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing at present.
    No,
    /// Whether the server has read all that was written to it.
    Reading,
    /// The activity of its processes.
    Activity,
}

/// The silence of one server.
#[derive(Debug)]
pub(super) struct Silence {
    /// When it had read all that was written to it.
    read_at: Option<Instant>,
    /// Since when it says and does nothing.
    since: Option<Instant>,
    /// The activity of its processes at the last check.
    seen: Option<(Activity, Instant)>,
    look_at: Instant,
}

impl Silence {
    /// It has not read anything yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { read_at: None, since: None, seen: None, look_at: now }
    }

    /// It has read all that was written to it.
    pub(super) fn begins(&mut self, now: Instant) {
        if self.since.is_none() {
            (self.read_at, self.since) = (Some(now), Some(now));
        }
    }

    /// It said something, or there is more for it to read.
    pub(super) fn is_over(&mut self) {
        (self.read_at, self.since) = (None, None);
    }

    /// Whether it has read all, and says nothing.
    pub(super) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Takes in the activity of its processes up to now.
    pub(super) fn looked_at(&mut self, activity: Activity, now: Instant) {
        self.look(now);
        let works = match self.seen.replace((activity, now)) {
            Some((before, at)) => {
                activity.cpu.saturating_sub(before.cpu) * IDLE_SHARE > now.saturating_duration_since(at)
            }
            None => false,
        };
        let may_work = self.read_at.is_some_and(|read_at| now < read_at + WORK);
        if (works || activity.runnable) && may_work {
            self.since = Some(now);
        }
    }

    /// It was looked at.
    pub(super) fn look(&mut self, now: Instant) {
        if self.look_at <= now {
            self.look_at = now + CHECK_INTERVAL;
        }
    }

    /// When to look next.
    pub(super) fn next_look(&self) -> Instant {
        self.look_at
    }

    /// When it has lasted too long.
    pub(super) fn deadline(&self, standing: SilenceStage) -> Option<Instant> {
        Some(self.since? + standing.time_limit()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(200);

    /// How long a server is not taken for silent that does this in each step, before it does nothing.
    fn silent_after(works_for: u32, cpu: Duration, runnable: bool) -> Duration {
        let start = Instant::now();
        let mut silence = Silence::new(start);
        silence.begins(start);
        let (mut now, mut used) = (start, Duration::from_secs(7));
        for step in 0.. {
            if silence.deadline(SilenceStage::OwnRequest).is_some_and(|deadline| deadline <= now) {
                break;
            }
            used += if step < works_for { cpu } else { Duration::ZERO };
            silence.looked_at(Activity { cpu: used, runnable: runnable && step < works_for }, now);
            now += STEP;
        }
        now - start
    }

    #[test]
    fn a_server_that_works_is_not_silent_for_a_while() {
        let (idle, busy) = (Duration::from_millis(2), Duration::from_millis(50));
        assert_eq!(silent_after(1000, idle, false), DISCOVER, "little is nothing");
        assert!((DISCOVER..DISCOVER + STEP).contains(&silent_after(0, busy, false)));
        for (cpu, runnable) in [(busy, false), (Duration::ZERO, true)] {
            let after = silent_after(40, cpu, runnable);
            assert!((DISCOVER + 39 * STEP..DISCOVER + 41 * STEP).contains(&after), "{after:?}");
            let never_quiet = silent_after(u32::MAX, cpu, runnable);
            assert!(never_quiet <= WORK + DISCOVER, "{never_quiet:?}");
        }
    }
}
