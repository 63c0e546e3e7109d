//! CPU time spent by the processes of a server between two moments, by name.

use std::{
    collections::{BTreeMap, HashMap},
    io,
};

use crate::process::{self, Process};

/// The MCP server behind every gateway, whose own work is not the gateway's. The kernel's name for it: 15 bytes.
pub(crate) const SERVER: &str = "mcproxy-fixture";

/// Which processes to watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    /// With all descendants, by the kernel's names.
    pub(crate) trees: Vec<u32>,
    /// Alone, by the caller's names.
    pub(crate) single: Vec<(String, u32)>,
}

/// CPU time by pid at one moment.
#[derive(Debug, Default)]
pub(crate) struct Reading(HashMap<u32, (String, u64)>);

/// CPU time in ns, of everything but [`SERVER`] and of it, and all by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) gateway_ns: u64,
    pub(crate) server_ns: u64,
    pub(crate) by_name: BTreeMap<String, u64>,
}

impl Watch {
    pub(crate) fn is_empty(&self) -> bool {
        self.trees.is_empty() && self.single.is_empty()
    }

    pub(crate) fn processes(&self) -> io::Result<Vec<Process>> {
        process::tree(&self.trees)
    }

    pub(crate) fn read(&self) -> io::Result<Reading> {
        let trees = self.processes()?.into_iter().map(|process| (process.pid, process.name));
        let single = self.single.iter().map(|(name, pid)| (*pid, name.clone()));
        let with_time = |(pid, name)| Some((pid, (name, process::cpu_ns(pid).ok()?)));
        Ok(Reading(trees.chain(single).filter_map(with_time).collect()))
    }
}

impl Reading {
    /// What was spent from `self` to `later`. Processes that started in between count in full, those that ended do not.
    pub(crate) fn until(&self, later: &Self) -> Spent {
        let mut spent = Spent::default();
        for (pid, (name, after)) in &later.0 {
            let before = self.0.get(pid).map_or(0, |(_, before)| *before);
            let ns = after.saturating_sub(before);
            *spent.by_name.entry(name.clone()).or_default() += ns;
            if name == SERVER {
                spent.server_ns += ns;
            } else {
                spent.gateway_ns += ns;
            }
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_behind_is_counted_apart() {
        let reading = |list: &[(u32, &str, u64)]| {
            Reading(list.iter().map(|(pid, name, ns)| (*pid, ((*name).to_owned(), *ns))).collect())
        };
        let before = reading(&[(1, "node", 100), (2, SERVER, 50), (3, "sh", 9)]);
        let after = reading(&[(1, "node", 160), (2, SERVER, 70), (4, SERVER, 5)]);
        let spent = before.until(&after);
        assert_eq!((spent.gateway_ns, spent.server_ns), (60, 25));
        assert_eq!(spent.by_name, BTreeMap::from([("node".to_owned(), 60), (SERVER.to_owned(), 25)]));
    }
}
