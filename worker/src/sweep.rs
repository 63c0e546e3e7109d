//! Ending whatever is left of a server that had a user of its own: this process becomes that user and kills everything that it may
//! signal, which is everything of that user and nothing else (kill(2)). No process can hide from it or outrun it, because the
//! kernel finds them all in one call.

use std::{ffi::OsStr, io, process::ExitCode, time::Duration};

use mcproxy_confine::{Identity, take_identity};
use mcproxy_ipc::{SealedOrder, processes};
use rustix::{
    io::Errno,
    process::{Pid, Signal, geteuid, kill_process_group},
};

/// How this is told apart from a worker; the number of the descriptor of its order follows, which says whose processes.
pub(crate) const SWEEP_FLAG: &str = "--sweep";

/// From a kill to the next look.
const PAUSE: Duration = Duration::from_millis(5);
/// So many times all are killed: one in an uninterruptible wait is left behind after about a second.
const KILLS: u32 = 200;
/// sysexits.h: `EX_TEMPFAIL`.
const LEFT: u8 = 75;

/// Ends all processes of a user but this one.
///
/// # Errors
/// It is not told whose, or may not become that user.
pub(crate) fn run(order: Option<&OsStr>) -> io::Result<ExitCode> {
    let order = order.ok_or_else(|| io::Error::other("there is no order"))?;
    let identity: Identity = SealedOrder::read(order)?;
    if identity.uid == 0 {
        return Err(io::Error::other("the processes of root are not to be swept"));
    }
    take_identity(Some(&identity))?;
    if geteuid().as_raw() != identity.uid {
        return Err(io::Error::other("this process is not the user that it should be"));
    }
    for _ in 0..KILLS {
        // The group of process 1 means everything (kill(2), -1).
        match kill_process_group(Pid::INIT, Signal::KILL) {
            Err(Errno::SRCH) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error.into()),
            Ok(()) if !is_anyone_left(identity.uid) => return Ok(ExitCode::SUCCESS),
            Ok(()) => std::thread::sleep(PAUSE),
        }
    }
    Ok(ExitCode::from(LEFT))
}

/// Whether a process of this user lives, besides this one. Zombies can be signalled, too.
fn is_anyone_left(uid: u32) -> bool {
    let us = std::process::id();
    processes::all()
        .into_iter()
        .any(|process| !process.zombie && process.pid != us && processes::user(process.pid) == Some(uid))
}
