//! The descriptors that a program inherits.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::unsafe_calls;

/// The first descriptor that a service manager passes (sd_listen_fds(3)).
const FIRST: RawFd = 3;
/// Most of them that are looked at.
const MOST: RawFd = 64;

/// A descriptor that the service manager passed to this process at its start: a socket that it listens at, or what the service left
/// with it before.
#[derive(Debug)]
pub struct PassedDescriptor {
    /// The name that the service manager has for it (`FileDescriptorName=`, `FDNAME=`); `unknown` without one.
    pub name: String,
    /// The descriptor, which is ours from now on.
    pub descriptor: OwnedFd,
}

/// Takes the descriptors that the service manager passed to this process (`LISTEN_FDS`, sd_listen_fds(3)). To be called first of all
/// in `main`: a descriptor that was opened before would be taken for one of them. A second call gets nothing.
pub fn take_passed_descriptors() -> Vec<PassedDescriptor> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let variable = |name| std::env::var(name).ok();
    let passed = passed(std::process::id(), variable("LISTEN_PID"), variable("LISTEN_FDS"), variable("LISTEN_FDNAMES"));
    // One that is not open was promised and not passed.
    let adopted = passed.into_iter().filter_map(|(number, name)| {
        unsafe_calls::adopt(number).ok().map(|descriptor| PassedDescriptor { name, descriptor })
    });
    adopted.collect()
}

/// Numbers and names, from the variables: they are for the process of that id only.
fn passed(us: u32, pid: Option<String>, count: Option<String>, names: Option<String>) -> Vec<(RawFd, String)> {
    let is_for_us = pid.and_then(|pid| pid.parse().ok()) == Some(us);
    let count: RawFd = count.filter(|_| is_for_us).and_then(|count| count.parse().ok()).unwrap_or_default();
    let names = names.unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    (FIRST..FIRST + count.clamp(0, MOST)).map(|number| (number, names.next().unwrap_or("unknown").to_owned())).collect()
}

/// Lets no program that this process becomes or starts inherit a descriptor, except the standard streams and what is handed to it by
/// name: whoever started MCProxy may have left some open.
///
/// # Errors
/// The kernel is older than Linux 5.11, or a filter keeps it from it.
pub fn close_on_exec() -> io::Result<()> {
    unsafe_calls::close_on_exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_to_another_process_or_written_wrongly_is_nothing() {
        let passed = |pid: &str, count: &str, names: Option<&str>| {
            passed(7, Some(pid.to_owned()), Some(count.to_owned()), names.map(str::to_owned))
        };
        assert_eq!(passed("7", "2", Some("http:sessions")), [(3, "http".to_owned()), (4, "sessions".to_owned())]);
        assert_eq!(passed("7", "2", Some("http")), [(3, "http".to_owned()), (4, "unknown".to_owned())]);
        assert_eq!(passed("7", "2147483647", None).len(), 64);
        for (pid, count) in [("8", "2"), ("", "2"), ("7", "-1"), ("7", "many"), ("7", "0")] {
            assert_eq!(passed(pid, count, None), [], "{pid} {count}");
        }
    }
}
