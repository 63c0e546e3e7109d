//! `mcproxy-launch ORDER COMPLAINT`: two descriptors that it inherits from its worker. The first says what to start; into the second
//! it writes why that is not possible.

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    io::{self, Write},
    process::ExitCode,
};

use mcproxy_confine::inherited;
use mcproxy_launch::{LaunchFailure, PROGRAM, launch};

/// sysexits.h: `EX_USAGE`.
const USAGE: u8 = 64;
/// A shell's exit code for a command that cannot be run.
const CANNOT_EXEC: u8 = 127;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [order, complaint] = args.as_slice() else {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(
            io::stderr(),
            "{PROGRAM} is started by mcproxy-worker, with two descriptors, and becomes a server"
        );
        return ExitCode::from(USAGE);
    };
    let Err(failure) = launch(order);
    complain(complaint, &failure);
    ExitCode::from(CANNOT_EXEC)
}

/// To the worker, or where that cannot be, to whoever reads the server's stderr.
fn complain(complaint: &OsStr, failure: &LaunchFailure) {
    let told = inherited(complaint, OpenOptions::new().write(true))
        .and_then(|mut file| file.write_all(failure.to_string().as_bytes()));
    if told.is_err() {
        let _ = writeln!(io::stderr(), "{PROGRAM}: {failure}"); // as above
    }
}
