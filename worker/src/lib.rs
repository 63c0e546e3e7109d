//! One generation of one MCP server: owns its stdio, or the connections to it, and speaks its dialect.
//!
//! A worker starts a server, greets it, gathers what it offers, passes calls on and answers each of them exactly once,
//! and reports how it ended; then it ends, too. What follows is the supervisor's to decide.
//!
//! It may: start the one program it was given and read that program's output, or else connect to the one URL it was given; talk to
//! its supervisor and to the gateway. It reads no configuration (unless it is run by hand), and listens for no HTTP.
//!
//! The way of a call: `link` (a frame of the gateway) → `session` (an id, timeouts) → `dialect` (a line) → the server's
//! stdin; then its stdout → `lines` → `session` → `link`. `runner` is the loop around that; nothing on this way is
//! a task of its own. Where each session has an instance of its own, `instances` runs several of them. The process has one thread, because the kernel ties a parent-death signal to a thread.
//!
//! There are two programs: `mcproxy-worker` starts commands, and `mcproxy-remote` connects to servers as well. (`runner::reaches`)

mod args;
mod by_hand;
mod catalogue_writer;
mod cgroup;
mod client_settings;
mod confinement;
mod dialect;
mod environment;
mod install;
mod instances;
mod launch;
mod lines;
mod link;
mod login;
mod mask;
mod permission_hints;
mod runner;
mod secrets;
mod session;
mod stderr;
mod stop;
mod supervised;
mod sweep;
mod timer;
mod transport;
mod tree;
mod usage;
mod watched;
mod working_directory;

use std::{io::Write, process::ExitCode};

use mcproxy_ipc::REMOTE_WORKER;

use crate::{args::Invocation, launch::LauncherProgram, runner::Reaches};

/// sysexits.h: `EX_USAGE`.
const USAGE: u8 = 64;
/// `EX_SOFTWARE`: the supervisor sees how a worker ended; the text is for its stderr.
const SOFTWARE: u8 = 70;

/// The program `mcproxy-worker`: starts commands.
pub fn worker() -> ExitCode {
    run(Reaches { network: None, login: None })
}

/// The program `mcproxy-remote`: connects to servers as well.
pub fn remote_worker() -> ExitCode {
    run(Reaches { network: Some(runner::run_remote), login: Some(|hardening| Box::pin(login::run(hardening))) })
}

/// Does what the command line says.
fn run(reaches: Reaches) -> ExitCode {
    match args::parse(std::env::args_os().collect()) {
        Ok(Invocation::Sweep(order)) => finish(sweep::run(order.as_deref()).map_err(Into::into)),
        Ok(Invocation::Supervised(order)) => {
            // While this process is still who it was started as.
            let launcher = LauncherProgram::find();
            let run = |hardening| block_on(supervised::run(hardening, launcher, reaches)).map(|()| ExitCode::SUCCESS);
            finish(confinement::begin(order.as_deref()).and_then(run))
        }
        Ok(Invocation::Login(order)) => {
            let login = |hardening| match reaches.login {
                Some(login) => block_on(login(hardening)).map(|()| ExitCode::SUCCESS),
                None => Err(anyhow::anyhow!("this program starts commands; `{REMOTE_WORKER}` logs in")),
            };
            finish(confinement::begin(order.as_deref()).and_then(login))
        }
        Ok(Invocation::ByHand(wish)) => finish(block_on(by_hand::run(wish, reaches))),
        Err(error) => {
            // There is no one left to tell when the terminal is gone.
            let _ = error.print();
            if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

fn finish(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::from(SOFTWARE)
    })
}

fn complain(text: &str) {
    // As above.
    let _ = writeln!(std::io::stderr().lock(), "mcproxy-worker: {text}");
}
