//! Looks once a second what the package runners of a starting server do.

use std::fs;

use mcproxy_ipc::processes;
use tokio::{sync::mpsc, time::sleep};

use super::{
    CHECK_INTERVAL, InstallLock,
    package_runner::PackageRunner,
    progress::{InstallProgress, Moved},
};
use crate::runner::Order;

/// Tells the run whenever an installation below `root` has come further; holds the turn until that is done. Ends when it is
/// aborted: when the server is ready, or gone.
pub(crate) async fn watch(root: u32, mut lock: Option<InstallLock>, orders: mpsc::Sender<Order>) {
    let mut progress = InstallProgress::default();
    loop {
        sleep(CHECK_INTERVAL).await;
        lock = lock.filter(InstallLock::is_needed);
        if progress.goes_on(moved(root)) && orders.send(Order::Installing).await.is_err() {
            return;
        }
    }
}

fn moved(root: u32) -> Moved {
    let mut sum = Moved::default();
    let mut tree = processes::below(root, |_| false);
    tree.extend(processes::one(root));
    for process in tree {
        match package_runner(process.pid) {
            Some(PackageRunner::Installer) => sum.written += io(process.pid).written,
            Some(PackageRunner::Engine) => {
                let io = io(process.pid);
                sum.heard += io.read + io.written;
            }
            None => {}
        }
    }
    sum
}

/// The command that a process runs as. A script that npm runs for a package it installs is part of that.
fn package_runner(pid: u32) -> Option<PackageRunner> {
    PackageRunner::of(&processes::arguments(pid)).or_else(|| {
        let step = processes::environment(pid, "npm_lifecycle_event")?;
        matches!(step.as_str(), "preinstall" | "install" | "postinstall" | "prepare")
            .then_some(PackageRunner::Installer)
    })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Io {
    read: u64,
    written: u64,
}

/// The bytes that a process, and those that it has waited for, have moved; none for one that is gone (proc_pid_io(5)).
fn io(pid: u32) -> Io {
    parse(&fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default())
}

fn parse(text: &str) -> Io {
    let value =
        |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok()).unwrap_or_default();
    Io { read: value("rchar:"), written: value("wchar:") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_process_is_read() {
        assert_eq!(parse("rchar: 12\nwchar: 34\nsyscr: 5\n"), Io { read: 12, written: 34 });
        assert_eq!(parse(""), Io::default());
        assert!(io(std::process::id()).read > 0);
    }
}
