//! Becoming a server.

use std::{
    convert::Infallible,
    ffi::OsStr,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::Command,
};

use mcproxy_confine::{Domain, close_on_exec};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::{LaunchFailure, LaunchOrder, PROGRAM};

/// Does what the order with this number says. Returns only when that fails.
///
/// # Errors
/// Why this process has not become the server.
pub fn launch(order: &OsStr) -> Result<Infallible, LaunchFailure> {
    let order = LaunchOrder::read(order).map_err(LaunchFailure::Order)?;
    // Kernels before Linux 5.11 cannot: then the server inherits what MCProxy was started with, and its own order.
    let _ = close_on_exec();
    if order.waits {
        let complaint = word_of_worker()?;
        if !complaint.is_empty() {
            // This line is found in the server's log. Nobody is left to tell when stderr is gone.
            let _ = writeln!(io::stderr().lock(), "{PROGRAM}: {complaint}");
        }
    }
    if let Some(limits) = &order.limits {
        limits.apply().and_then(|()| Domain::default().enter()).map_err(LaunchFailure::Confine)?;
    }
    live_no_longer_than(order.parent)?;
    let source = Command::new(&order.program).args(order.args).exec();
    Err(LaunchFailure::Exec { program: order.program, source })
}

/// One line from what will be the server's stdin, and not a byte more.
fn word_of_worker() -> Result<String, LaunchFailure> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut byte)) {
            Ok(0) => return Err(LaunchFailure::Orphaned),
            Ok(_) if byte == *b"\n" => return Ok(String::from_utf8_lossy(&line).into_owned()),
            Ok(_) => line.extend(byte),
            Err(error) => return Err(LaunchFailure::Wait(error.into())),
        }
    }
}

/// Asks for SIGKILL at the parent's death, and checks that it has not died before that (prctl(2), PR_SET_PDEATHSIG).
fn live_no_longer_than(parent: u32) -> Result<(), LaunchFailure> {
    let asked = set_parent_process_death_signal(Some(Signal::KILL));
    asked.map_err(|error| LaunchFailure::Confine(error.into()))?;
    if getppid().is_some_and(|pid| pid.as_raw_nonzero().get().cast_unsigned() == parent) {
        Ok(())
    } else {
        Err(LaunchFailure::Orphaned)
    }
}
