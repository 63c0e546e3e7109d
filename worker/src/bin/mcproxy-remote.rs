//! The worker of a server that is reached over the network (`docs/decisions/0179`).

use std::process::ExitCode;

fn main() -> ExitCode {
    mcproxy_worker::remote_worker()
}
