//! The command line for people. All of it is in [`mcproxy::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    mcproxy::cli::run(std::env::args_os(), &mut mcproxy::cli::Console::standard()).into()
}
