//! The worker of a server that is a command, without what reaches others (`docs/decisions/0179`).

use std::process::ExitCode;

fn main() -> ExitCode {
    mcproxy_worker::worker()
}
