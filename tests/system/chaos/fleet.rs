//! The servers of a run: of every era, and of every way to be started.

use serde_json::{Value, json};

use super::{
    dice::Dice,
    plan::{LAZY, PER_SESSION, SERVERS},
};
use crate::support::{ServerView, fixture};

/// What all clients present, and what some do whose token comes and goes.
pub(super) const OWN_TOKEN: &str = "a-token-of-all-clients";
pub(super) const GUEST_TOKEN: &str = "a-token-that-comes-and-goes";

/// How one of them is started, and how its health is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One process, which always runs.
    Eager,
    /// None while nobody calls.
    Lazy,
    /// One for each session.
    PerSession,
}

pub(super) fn name(server: usize) -> String {
    format!("s{server}")
}

/// The server of that name; `None`: one that comes and goes.
pub(super) fn number(name: &str) -> Option<usize> {
    name.strip_prefix('s')?.parse().ok()
}

pub(super) fn kind(server: usize) -> Kind {
    match server {
        LAZY => Kind::Lazy,
        PER_SESSION => Kind::PerSession,
        _ => Kind::Eager,
    }
}

/// What it speaks. Those with endpoints of their own differ, too.
fn era(server: usize) -> &'static str {
    match server {
        1 | 3 | LAZY => "modern",
        2 | 5 => "dual",
        _ => "legacy",
    }
}

/// Any server; the lazy one so seldom that it comes to rest in between.
pub(super) fn any_server(dice: &mut Dice) -> usize {
    let weighted: Vec<(u64, usize)> =
        (0..SERVERS).map(|server| (if kind(server) == Kind::Lazy { 1 } else { 20 }, server)).collect();
    dice.choose(&weighted)
}

/// Whether it is as it should be when nothing is wrong.
pub(super) fn is_well(server: &ServerView) -> bool {
    match number(&server.name).map_or(Kind::Eager, kind) {
        Kind::Eager => server.is_ready() && server.server_pid.is_some(),
        Kind::Lazy => server.is_ready() || server.state == "idle",
        Kind::PerSession => server.is_ready(),
    }
}

/// How many processes it has, its worker among them, when nobody calls; `None`: it has not come to rest yet.
pub(super) fn processes_at_rest(server: &ServerView) -> Option<usize> {
    match number(&server.name).map_or(Kind::Eager, kind) {
        Kind::Eager => Some(2),
        Kind::Lazy => (server.state == "idle").then_some(0),
        Kind::PerSession => (server.running() == 0).then_some(1),
    }
}

/// The configuration as the run has changed it so far.
#[derive(Debug, Default)]
pub(super) struct Setup {
    pub(super) changes: [u64; SERVERS],
    pub(super) extra: bool,
    /// Guests have no token.
    pub(super) revoked: bool,
}

impl Setup {
    /// The names of all that are configured.
    pub(super) fn servers(&self) -> Vec<String> {
        (0..SERVERS).map(name).chain(self.extra.then(|| "extra".to_owned())).collect()
    }

    /// The file, with one of them left out.
    pub(super) fn json(&self, without: Option<usize>) -> Value {
        let known = (0..SERVERS).filter(|server| Some(*server) != without).map(|server| self.entry(server));
        let servers: Vec<Value> = known.chain(self.extra.then(|| fixture("extra", &[]))).collect();
        let defaults = json!({
            "timeout": 20, "restart": {"initialDelay": 0.2, "maxDelay": 1}, "limits": {"maxLine": 1 << 20}
        });
        let guest = (!self.revoked).then(|| json!({"name": "guest", "token": GUEST_TOKEN}));
        let tokens: Vec<Value> = [json!({"name": "own", "token": OWN_TOKEN})].into_iter().chain(guest).collect();
        json!({"servers": servers, "defaults": defaults, "auth": {"tokens": tokens}})
    }

    fn entry(&self, server: usize) -> Value {
        let change = format!("change {}", self.changes[server]);
        let mut entry = fixture(&name(server), &["--era", era(server), "--stderr", &change]);
        match kind(server) {
            Kind::Eager => (),
            Kind::Lazy => {
                entry["start"] = "lazy".into();
                entry["idleTimeout"] = json!(0.3);
            }
            Kind::PerSession => {
                entry["instances"] = "per-session".into();
                entry["maxInstances"] = json!(8);
                entry["idleTimeout"] = json!(2);
            }
        }
        entry
    }
}

#[test]
fn servers_of_every_era_and_kind_are_in_the_file() {
    let file = Setup::default().json(None);
    let text = file.to_string();
    for word in ["\"legacy\"", "\"modern\"", "\"dual\"", "\"lazy\"", "\"per-session\""] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(Setup::default().servers().len(), SERVERS);
}
