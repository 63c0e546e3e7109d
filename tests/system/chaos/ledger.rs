//! What became of every call, and what must never happen.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Violations that are kept word for word; all are counted.
const KEPT: usize = 20;

/// Shared by all clients.
pub(super) struct Ledger {
    /// Clients go on until it is over.
    pub(super) over: Cell<bool>,
    /// What calls came to.
    outcomes: RefCell<BTreeMap<String, u64>>,
    /// What else was seen.
    notes: RefCell<BTreeMap<&'static str, u64>>,
    violations: RefCell<BTreeMap<&'static str, (u64, Vec<String>)>>,
    /// When the gateway was taken away, and when all was well again.
    outages: RefCell<Vec<(Instant, Option<Instant>)>>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            over: Cell::new(false),
            outcomes: RefCell::default(),
            notes: RefCell::default(),
            violations: RefCell::default(),
            outages: RefCell::default(),
        }
    }

    /// One call came to this.
    pub(super) fn count(&self, outcome: impl Into<String>) {
        *self.outcomes.borrow_mut().entry(outcome.into()).or_default() += 1;
    }

    /// Something happened that is no call.
    pub(super) fn note(&self, what: &'static str) {
        *self.notes.borrow_mut().entry(what).or_default() += 1;
    }

    /// Something that must never happen.
    pub(super) fn violated(&self, promise: &'static str, what: String) {
        let mut violations = self.violations.borrow_mut();
        let (count, kept) = violations.entry(promise).or_default();
        *count += 1;
        if kept.len() < KEPT {
            kept.push(what);
        }
    }

    /// The gateway is taken away now.
    pub(super) fn outage_begins(&self) {
        self.outages.borrow_mut().push((Instant::now(), None));
    }

    /// All is well again.
    pub(super) fn outage_ends(&self) {
        for (_, end) in self.outages.borrow_mut().iter_mut() {
            end.get_or_insert_with(Instant::now);
        }
    }

    /// Whether a connection that was used from `begun` until now may have broken without anybody being to blame.
    pub(super) fn excused(&self, begun: Instant) -> bool {
        self.outages.borrow().iter().any(|(_, end)| end.is_none_or(|end| end >= begun))
    }

    /// A connection broke: the transport's error, if the gateway was taken away meanwhile.
    pub(super) fn broke(&self, begun: Instant, what: impl FnOnce() -> String) {
        if self.excused(begun) {
            self.count("connection of a killed gateway broke");
        } else {
            self.violated("no answer is lost", what());
        }
    }

    /// A request of that client brought no response at all.
    pub(super) fn failed(&self, client: u64, begun: Instant, error: &reqwest::Error) {
        let what = || format!("client {client} after {:?}: {error:?}", begun.elapsed());
        if error.is_timeout() {
            self.violated("no answer is lost", what());
        } else if error.is_connect() {
            self.violated("no connection is refused", what());
        } else {
            self.broke(begun, what);
        }
    }

    pub(super) fn calls(&self) -> u64 {
        self.outcomes.borrow().values().sum()
    }

    pub(super) fn answered(&self) -> u64 {
        self.outcomes.borrow().get("answered").copied().unwrap_or_default()
    }

    pub(super) fn outcomes(&self) -> BTreeMap<String, u64> {
        self.outcomes.borrow().clone()
    }

    pub(super) fn notes(&self) -> BTreeMap<&'static str, u64> {
        self.notes.borrow().clone()
    }

    /// How often each promise was broken, with examples.
    pub(super) fn violations(&self) -> Vec<String> {
        let describe = |(promise, (count, kept)): (&&str, &(u64, Vec<String>))| {
            format!("{promise}: broken {count} times\n    {}", kept.join("\n    "))
        };
        self.violations.borrow().iter().map(describe).collect()
    }
}

/// The longest each kind of fault took to be over.
#[derive(Debug, Default)]
pub(super) struct Recoveries(BTreeMap<&'static str, (u64, Duration)>);

impl Recoveries {
    pub(super) fn note(&mut self, kind: &'static str, took: Option<Duration>) {
        let (count, worst) = self.0.entry(kind).or_default();
        *count += 1;
        *worst = (*worst).max(took.unwrap_or_default());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64, Duration)> {
        self.0.iter().map(|(kind, (count, worst))| (*kind, *count, *worst))
    }

    pub(super) fn faults(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }
}

#[test]
fn a_broken_connection_is_excused_only_while_the_gateway_is_away() {
    let ledger = Ledger::new();
    let begun = Instant::now();
    ledger.broke(begun, || "before".into());
    assert_eq!(ledger.violations().len(), 1);
    ledger.outage_begins();
    ledger.broke(begun, String::new);
    ledger.outage_ends();
    ledger.broke(begun, String::new);
    assert_eq!(ledger.outcomes().into_values().collect::<Vec<_>>(), [2]);
    let after = Instant::now() + Duration::from_millis(1);
    ledger.broke(after, || "after".into());
    assert!(ledger.violations()[0].contains("broken 2 times"), "{:?}", ledger.violations());
}
