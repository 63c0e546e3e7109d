//! How busy a tree of processes is: what it has used of the processors so far, and whether it wants more at this moment.

use std::{fs, time::Duration};

use crate::processes;

/// `USER_HZ`: the unit of times in `/proc/PID/stat`, 100 a second on every architecture that we are built for.
const TICKS_PER_SECOND: u64 = 100;

/// The activity of a tree of processes up to a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Processor time of all of them, and of those that have ended.
    pub cpu: Duration,
    /// One of them runs, waits for a processor, or waits for the disk.
    pub runnable: bool,
}

impl Activity {
    /// Of `root` and everything below it.
    pub fn of(root: u32) -> Self {
        let mut sum = Self::below(root);
        if let Some(one) = read(root) {
            sum.cpu += one.own;
            sum.runnable |= one.runnable;
        }
        sum
    }

    /// Of everything below `root`, which itself does not count.
    pub fn below(root: u32) -> Self {
        // The time of a process that has ended is in the account of the one that waited for it.
        let mut sum = Self { cpu: read(root).map_or(Duration::ZERO, |own| own.of_children), runnable: false };
        for process in processes::below(root, |_| false) {
            if let Some(one) = read(process.pid) {
                sum.cpu += one.own + one.of_children;
                sum.runnable |= one.runnable;
            }
        }
        sum
    }
}

/// One process.
#[derive(Debug, PartialEq, Eq)]
struct TreeActivity {
    own: Duration,
    of_children: Duration,
    runnable: bool,
}

fn read(pid: u32) -> Option<TreeActivity> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<TreeActivity> {
    // The name in parentheses may contain anything, parentheses included.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let runnable = matches!(fields.next()?, "R" | "D");
    // From the parent to the page faults: proc_pid_stat(5), fields 4 to 13.
    let mut ticks = fields.skip(10).map_while(|field| field.parse::<u64>().ok());
    let mut both = || Some(ticks.next()?.saturating_add(ticks.next()?));
    let time = |ticks: u64| Duration::from_millis(ticks.saturating_mul(1000 / TICKS_PER_SECOND));
    Some(TreeActivity { runnable, own: time(both()?), of_children: time(both()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_any_name() {
        let stat = "7 (a) R 1 (b) R 3 4 5 0 -1 4194304 1 2 3 4 100 20 3000 400 20 0";
        let second = Duration::from_secs(1);
        let expected = TreeActivity { runnable: true, own: second.mul_f64(1.2), of_children: 34 * second };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse("7 (a) S 1"), None);
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn a_tree_that_works_is_told_from_one_that_sleeps() {
        let us = std::process::id();
        let mut busy = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("sh runs");
        let begun = std::time::Instant::now();
        let mut seen = Activity::default();
        while seen.cpu < Duration::from_millis(50) && begun.elapsed() < Duration::from_secs(20) {
            seen = Activity::below(us);
        }
        let (of_it, below_it) = (Activity::of(busy.id()), Activity::below(busy.id()));
        busy.kill().expect("killed");
        busy.wait().expect("waited");
        assert!(of_it.cpu >= Duration::from_millis(50) && below_it == Activity::default(), "{of_it:?} {below_it:?}");
        assert!(seen.runnable && seen.cpu >= Duration::from_millis(50), "{seen:?}");
        assert!(Activity::below(us).cpu >= seen.cpu, "what has ended still counts");
    }
}
