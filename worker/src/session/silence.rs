//! How long a server may say nothing while it is asked what it speaks. Pure: the time, and whether the server has read what
//! it was asked, are arguments.
//!
//! Silence begins when the server has read all that was written to it. `npx`, `uvx` and a busy boot pass their stdin on
//! unread, so that however long they take, they do not decide which era is spoken.

use std::time::{Duration, Instant};

/// For an answer to `server/discover` before `initialize` is asked as well.
const DISCOVER: Duration = Duration::from_secs(5);
/// The same of a server that spoke 2026-07-28 when it last ran.
const KNOWN_MODERN: Duration = Duration::from_secs(20);
/// For an answer to `initialize` of a server that has answered `server/discover`.
const INITIALIZE: Duration = Duration::from_secs(10);
/// For an answer to either.
const BOTH: Duration = Duration::from_secs(20);
/// How often it is checked whether the server has read.
const LOOK: Duration = Duration::from_millis(200);

/// Where the questions stand, as far as silence is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Silence decides nothing (any more).
    Decided,
    /// `server/discover` was asked.
    Asked,
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

impl Standing {
    /// How long the server may be silent; `None`: until its start is over.
    pub(super) fn patience(self) -> Option<Duration> {
        match self {
            Self::Decided => None,
            Self::Asked | Self::TooLate => Some(DISCOVER),
            Self::KnownModernAsked => Some(KNOWN_MODERN),
            Self::BothAsked => Some(BOTH),
            Self::NotGreeted | Self::NotUsable => Some(INITIALIZE),
        }
    }
}

/// The silence of one server.
#[derive(Debug)]
pub(super) struct Silence {
    since: Option<Instant>,
    look_at: Instant,
}

impl Silence {
    /// It has not read anything yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: None, look_at: now }
    }

    /// It has read all that was written to it.
    pub(super) fn begins(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// It said something, or there is more for it to read.
    pub(super) fn is_over(&mut self) {
        self.since = None;
    }

    /// Whether it has read all, and says nothing.
    pub(super) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// It was checked whether it has read.
    pub(super) fn look(&mut self, now: Instant) {
        if self.look_at <= now {
            self.look_at = now + LOOK;
        }
    }

    /// When to check that next.
    pub(super) fn next_look(&self) -> Instant {
        self.look_at
    }

    /// When it has lasted too long.
    pub(super) fn deadline(&self, standing: Standing) -> Option<Instant> {
        Some(self.since? + standing.patience()?)
    }
}
