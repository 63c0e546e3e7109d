//! The gateway process. Started by `mcproxy-supervisor`, never by hand.

use std::{ffi::OsString, io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;
use mcproxy_confine::{Confinement, Hardening, confine_gateway, take_identity};
use mcproxy_ipc::SealedOrder;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The HTTP front of MCProxy. `mcproxy-supervisor` starts it, with the connection between the two as standard input.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Whose gateway it is: the supervisor's socket, which is not called.
    #[arg(long)]
    socket: PathBuf,
    /// The descriptor of the sealed order that says how to confine this process.
    #[arg(long, hide = true)]
    confinement: Option<OsString>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mcproxy-gateway: {error:#}"); // nowhere else to say it
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let parent = rustix::process::getppid();
    let confinement = match &args.confinement {
        Some(number) => SealedOrder::read(number).context("cannot read how this process is to be confined")?,
        None => Confinement { hardening: Hardening::Off, identity: None },
    };
    if confinement.hardening.is_on() {
        take_identity(confinement.identity.as_ref()).context("cannot give up what the gateway must not have")?;
    }
    // After the change of user, which undoes both. The parent-death signal is lost if the parent is gone before it is set: look
    // again afterwards (prctl(2)).
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    anyhow::ensure!(rustix::process::getppid() == parent, "the supervisor is gone");
    mcproxy_ipc::keep_memory_private()?;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let socket = mcproxy_ipc::take_stdin().context("the gateway is started by `mcproxy-supervisor`, not by hand")?;
    // From here on: no file, no socket, no process. Nothing of clients or servers has been read yet.
    let missing = if confinement.hardening.is_on() { confine_gateway() } else { Vec::new() };
    if let (Hardening::Strict, Some(first)) = (confinement.hardening, missing.first()) {
        anyhow::bail!("not all of the confinement can be had: {}", first.reason);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(mcproxy::gateway::run(socket, missing))?)
}
