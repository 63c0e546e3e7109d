//! Tells whether a caller of the control socket is an operator, or something that a server started. Every process of the user may call
//! there, so it is told by what it descends from. A server cannot leave its place: whatever it starts stays below its worker,
//! which adopts what double-forks away (`docs/decisions/0045-every-worker-adopts-its-own.md`).

use mcproxy_ipc::processes;

/// Longer lines of ancestors are not followed. No operator has one; a process that makes one is taken for a server.
const DEPTH: usize = 256;
/// A line of ancestors that changes while it is read is read again so often. One that still changes belongs to something that
/// forks without end, which is no operator.
const TRIES: usize = 8;

/// Where a process stands in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallerOrigin {
    /// Not below the supervisor.
    Operator,
    /// Below the supervisor: a server, what one started, or a process of ours. With the process of ours that it is below.
    Ours(u32),
    /// Its place is not known, so it is not trusted.
    Unclear,
}

/// Where the process stands that has this number now.
pub(crate) fn standing(pid: u32) -> CallerOrigin {
    of(pid, std::process::id(), |pid| processes::one(pid).map(|process| process.parent))
}

fn of(pid: u32, us: u32, parent: impl Fn(u32) -> Option<u32>) -> CallerOrigin {
    let mut before = None;
    for _ in 0..TRIES {
        let Some(line) = line(pid, us, &parent) else {
            if parent(pid).is_none() {
                return CallerOrigin::Unclear; // it is gone
            }
            before = None;
            continue;
        };
        match line.as_slice() {
            [.., below, last] if *last == us => return CallerOrigin::Ours(*below),
            [last] if *last == us => return CallerOrigin::Ours(us),
            _ if line.len() > DEPTH => return CallerOrigin::Unclear,
            _ => {}
        }
        // Numbers of processes are used again: two looks must agree.
        if before.as_ref() == Some(&line) {
            return CallerOrigin::Operator;
        }
        before = Some(line);
    }
    CallerOrigin::Unclear
}

/// The process and those above it, up to `us` or the first of all. Nothing when one of them went meanwhile.
fn line(pid: u32, us: u32, parent: impl Fn(u32) -> Option<u32>) -> Option<Vec<u32>> {
    let mut line = vec![pid];
    let mut at = pid;
    while at != us && line.len() <= DEPTH {
        match parent(at)? {
            0 => break,
            above => {
                line.push(above);
                at = above;
            }
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::HashMap,
    };

    use super::*;

    /// 1 ← 10 (we) ← 11 (a worker) ← 12 (its server) ← 13; 1 ← 20 (a shell) ← 21.
    fn tree() -> HashMap<u32, u32> {
        HashMap::from([(1, 0), (10, 1), (11, 10), (12, 11), (13, 12), (20, 1), (21, 20)])
    }

    #[test]
    fn what_is_below_a_worker_is_told_from_what_is_not() {
        let parent = |pid: u32| tree().get(&pid).copied();
        assert_eq!(of(13, 10, parent), CallerOrigin::Ours(11));
        assert_eq!(of(11, 10, parent), CallerOrigin::Ours(11));
        assert_eq!(of(10, 10, parent), CallerOrigin::Ours(10));
        assert_eq!(of(21, 10, parent), CallerOrigin::Operator);
        assert_eq!(of(1, 10, parent), CallerOrigin::Operator);
        assert_eq!(of(99, 10, parent), CallerOrigin::Unclear, "gone");
        assert_eq!(of(12, 1, parent), CallerOrigin::Ours(10), "as process 1");
    }

    #[test]
    fn a_parent_that_goes_meanwhile_hides_nobody() {
        // 13's parent ends while the line is read: 13 is adopted by the worker, and the number of its parent is a shell's now.
        let tree = RefCell::new(tree());
        let looks = Cell::new(0);
        let parent = |pid: u32| {
            let found = tree.borrow().get(&pid).copied();
            looks.set(looks.get() + 1);
            if looks.get() == 1 {
                tree.borrow_mut().extend([(13, 11), (12, 20)]);
            }
            found
        };
        assert_eq!(of(13, 10, parent), CallerOrigin::Ours(11));
    }

    #[test]
    fn what_never_stands_still_or_never_ends_is_not_trusted() {
        let looks = Cell::new(100);
        let restless = |pid: u32| {
            looks.set(looks.get() + 1);
            Some(if pid == 1 {
                0
            } else if pid == 5 {
                looks.get()
            } else {
                1
            })
        };
        assert_eq!(of(5, 10, restless), CallerOrigin::Unclear);
        assert_eq!(of(5_000, 10, |pid| Some(pid - 1)), CallerOrigin::Unclear, "deeper than any process");
    }

    #[test]
    fn a_child_of_this_process_is_ours_and_its_own_parent_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("it runs");
        let us = std::process::id();
        assert_eq!(standing(child.id()), CallerOrigin::Ours(child.id()));
        assert_eq!(standing(us), CallerOrigin::Ours(us));
        assert_eq!(standing(std::os::unix::process::parent_id()), CallerOrigin::Operator);
        child.kill().expect("killed");
        child.wait().expect("waited");
    }
}
