//! Which sessions want to hear log lines, from which level on: counted by endpoint and level, so that neither a log line nor a new level
//! has to look at sessions that hear none. Pure.

use std::collections::HashMap;

use mcproxy_ipc::SessionKey;
use mcproxy_mcp::{Level, OwnKeyMap};

use crate::gateway::base::scope::Scope;

/// How many sessions hear each level, and those above it.
type Counts = [usize; Level::COUNT];

/// The sessions that read log lines, by endpoint and level.
#[derive(Debug, Default)]
pub(crate) struct LogListeners {
    by_session: OwnKeyMap<SessionKey, Level>,
    by_scope: HashMap<Scope, Counts>,
}

impl LogListeners {
    /// From now on a session at this endpoint hears log lines of this level and above; `None`: no more.
    pub(crate) fn set(&mut self, session: SessionKey, scope: &Scope, level: Option<Level>) {
        let before = match level {
            Some(level) => self.by_session.insert(session, level),
            None => self.by_session.remove(&session),
        };
        if level.is_none() && before.is_none() {
            return;
        }
        let counts = self.by_scope.entry(scope.clone()).or_default();
        if let Some(level) = level {
            counts[level as usize] += 1;
        }
        if let Some(before) = before {
            counts[before as usize] -= 1;
        }
        if counts.iter().all(|count| *count == 0) {
            self.by_scope.remove(scope);
        }
    }

    /// How many sessions read lines of this level.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.by_scope.values().flat_map(|counts| counts.iter().take(level as usize + 1)).sum()
    }

    /// The most verbose level that is asked for at these endpoints.
    pub(crate) fn most_verbose(&self, concerns: impl Fn(&Scope) -> bool) -> Option<Level> {
        let of_scope = |counts: &Counts| Level::all().find(|level| counts[*level as usize] > 0);
        self.by_scope.iter().filter(|(scope, _)| concerns(scope)).filter_map(|(_, counts)| of_scope(counts)).min()
    }

    /// All sessions that read lines of some level.
    pub(crate) fn keys(&self) -> Vec<SessionKey> {
        self.by_session.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::base::{principal::Principal, scope::EndpointScope};

    fn scope(n: u8) -> Scope {
        Scope::new(EndpointScope::Group(n.to_string()), Principal::default())
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_a_walk_over_all_sessions_finds(
            wishes in prop::collection::vec((0_u8..12, prop::option::of(0..Level::COUNT)), 0..60),
        ) {
            let mut listeners = LogListeners::default();
            let mut all: HashMap<u8, Level> = HashMap::new();
            for (session, level) in wishes {
                let level = level.and_then(|n| Level::all().nth(n));
                listeners.set(SessionKey([session; 16]), &scope(session % 3), level);
                match level {
                    Some(level) => all.insert(session, level),
                    None => all.remove(&session),
                };
                for level in Level::all() {
                    prop_assert_eq!(listeners.count(level), all.values().filter(|wish| level >= **wish).count());
                }
                for n in 0..3 {
                    let found = all.iter().filter(|(session, _)| **session % 3 == n).map(|(_, level)| *level).min();
                    prop_assert_eq!(listeners.most_verbose(|of| *of == scope(n)), found);
                }
                prop_assert_eq!(listeners.keys().len(), all.len());
                prop_assert!(listeners.by_scope.len() <= 3 && (!all.is_empty() || listeners.by_scope.is_empty()));
            }
        }
    }
}
