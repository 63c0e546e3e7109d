//! The limits that the kernel keeps for each process (setrlimit(2)).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{ResourceLimits, privileges::doing};

impl ResourceLimits {
    /// Puts them in force for this process and all that it starts. What is limited more strictly already stays so.
    ///
    /// # Errors
    /// The kernel does not take one.
    pub fn apply(&self) -> io::Result<()> {
        let limits =
            [(Resource::Nofile, self.files), (Resource::Nproc, self.processes), (Resource::Fsize, self.file_bytes)];
        for (resource, limit) in limits {
            let Some(limit) = limit else { continue };
            let now = getrlimit(resource);
            let within = |bound: Option<u64>| Some(bound.map_or(limit, |bound| bound.min(limit)));
            let new = Rlimit { current: within(now.current), maximum: within(now.maximum) };
            setrlimit(resource, new).map_err(doing(&format!("limit {resource:?} to {limit}")))?;
        }
        Ok(())
    }
}
