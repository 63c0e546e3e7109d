//! Keeps other processes of this user from reading the memory of ours.

use std::{ffi::OsStr, io};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// With the value `1` our processes are as others are, for debuggers, profilers, core dumps and tests that count descriptors.
pub const DUMPABLE_VARIABLE: &str = "MCPROXY_DUMPABLE";

/// Keeps other processes of the same user from reading this one's memory and environment, attaching to it (ptrace(2)) and opening
/// its descriptors through `/proc/PID/fd`: servers run as the same user, and what they must not see is in here. What this process
/// starts is not affected, because `exec` undoes it (`PR_SET_DUMPABLE`, prctl(2)). There are no core dumps either; root, and
/// a process with `CAP_SYS_PTRACE`, can do all of it still. The person who starts MCProxy may wish otherwise
/// ([`DUMPABLE_VARIABLE`]).
pub fn keep_memory_private() -> io::Result<()> {
    keep_private_unless(std::env::var_os(DUMPABLE_VARIABLE).as_deref())
}

fn keep_private_unless(wish: Option<&OsStr>) -> io::Result<()> {
    if wish == Some(OsStr::new("1")) {
        return Ok(());
    }
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn a_process_that_keeps_its_memory_private_still_reads_its_own() {
        keep_private_unless(Some("1".as_ref())).expect("nothing to do");
        assert_eq!(dumpable_behavior().expect("known"), DumpableBehavior::Dumpable);
        keep_private_unless(None).expect("allowed");
        assert_eq!(dumpable_behavior().expect("known"), DumpableBehavior::NotDumpable);
        assert!(std::fs::read_dir("/proc/self/fd").expect("its own").count() > 0);
        assert!(std::fs::read_link("/proc/self/exe").is_ok());
        set_dumpable_behavior(DumpableBehavior::Dumpable).expect("allowed");
    }
}
