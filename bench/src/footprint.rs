//! The memory that a server and all its processes hold at one moment.

use std::{collections::BTreeMap, io};

use serde::Serialize;

use crate::{cost::SERVER, process};

/// In KiB. What counts as the gateway is everything but the fixture servers behind it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Footprint {
    pub(crate) gateway_processes: i64,
    pub(crate) gateway_rss_kib: i64,
    pub(crate) gateway_pss_kib: i64,
    server_processes: i64,
    server_pss_kib: i64,
    pids: Vec<u32>,
    pss_kib_by_name: BTreeMap<String, Vec<u64>>,
}

/// Reads the memory of those processes and their descendants.
pub(crate) fn take(roots: &[u32]) -> io::Result<Footprint> {
    let mut sum = Footprint::default();
    for process in process::tree(roots)? {
        sum.pids.push(process.pid);
        let Ok(memory) = process::memory(process.pid) else { continue }; // it has just ended
        let pss = memory.pss_kib as i64;
        if process.name == SERVER {
            sum.server_processes += 1;
            sum.server_pss_kib += pss;
        } else {
            sum.gateway_processes += 1;
            sum.gateway_pss_kib += pss;
            sum.gateway_rss_kib += memory.rss_kib as i64;
        }
        sum.pss_kib_by_name.entry(process.name).or_default().push(memory.pss_kib);
    }
    Ok(sum)
}

impl Footprint {
    pub(crate) fn processes(&self) -> i64 {
        self.gateway_processes + self.server_processes
    }

    pub(crate) fn all_pss_kib(&self) -> i64 {
        self.gateway_pss_kib + self.server_pss_kib
    }
}
