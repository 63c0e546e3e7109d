//! Servers that were removed from the file: their tasks until they end, and the last number that each gave a generation.
//!
//! A server that is added again goes on with its numbers, so no reader of the log, and not the gateway, mistakes one generation of
//! it for another.

use std::collections::VecDeque;

use mcproxy_ipc::{Generation, ServerName};

use crate::server::{Predecessor, ServerHandle};

/// So many names are remembered. Beyond that the promise is kept by a number that is higher than all that were forgotten.
const MAX_NAMES: usize = 1024;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct RemovedServers {
    /// A new task of the same name waits for these.
    leaving: Vec<ServerHandle>,
    last: Numbers<MAX_NAMES>,
}

/// The last number of each name, for so many names.
#[derive(Debug, Default)]
struct Numbers<const NAMES: usize> {
    /// The one that left first is forgotten first.
    known: VecDeque<(ServerName, Generation)>,
    /// The highest of those that were forgotten.
    floor: Generation,
}

impl RemovedServers {
    /// It was told to leave.
    pub(crate) fn leaves(&mut self, server: ServerHandle) {
        self.leaving.push(server);
    }

    /// Those that have not left yet.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = &ServerHandle> {
        self.leaving.iter()
    }

    /// Some task has ended: notes what the ones that are gone have said last.
    pub(crate) fn look(&mut self) {
        let last = &mut self.last;
        self.leaving.retain(|server| {
            let gone = server.commands.is_closed();
            if gone {
                last.note(&server.name, server.snapshot.borrow().last_generation);
            }
            !gone
        });
    }

    /// The predecessor of a new task of this name.
    pub(crate) fn before(&mut self, name: &ServerName) -> Predecessor {
        self.look();
        Predecessor {
            last: self.last.of(name),
            task: self.leaving.iter().rev().find(|server| server.name == *name).cloned(),
        }
    }
}

impl<const NAMES: usize> Numbers<NAMES> {
    fn note(&mut self, name: &ServerName, last: Generation) {
        let last = last.max(self.of(name));
        self.known.retain(|(known, _)| known != name);
        self.known.push_back((name.clone(), last));
        if self.known.len() > NAMES
            && let Some((_, forgotten)) = self.known.pop_front()
        {
            self.floor = self.floor.max(forgotten);
        }
    }

    fn of(&self, name: &ServerName) -> Generation {
        let known = self.known.iter().find(|(known, _)| known == name);
        known.map_or(self.floor, |(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn name(number: usize) -> ServerName {
        ServerName::try_from(format!("s{number}").as_str()).expect("valid")
    }

    proptest! {
        #[test]
        fn a_number_is_never_given_twice_however_many_names_come_and_go(
            stays in prop::collection::vec((0usize..9, 0u64..5), 1..300)
        ) {
            let mut numbers = Numbers::<4>::default();
            let mut truth: HashMap<usize, u64> = HashMap::new();
            for (server, starts) in stays {
                let first = numbers.of(&name(server)).0;
                prop_assert!(first >= truth.get(&server).copied().unwrap_or_default());
                let last = first + starts;
                truth.insert(server, last);
                numbers.note(&name(server), Generation(last));
                prop_assert!(numbers.known.len() <= 4);
            }
        }
    }
}
