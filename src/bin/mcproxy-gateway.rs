//! The gateway process. Started by `mcproxy-supervisor`, never by hand.

use std::{ffi::OsString, io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;

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
    if let Some(number) = &args.confinement {
        let order: mcproxy_confine::Confinement = mcproxy_ipc::SealedOrder::read(number)?;
        if order.hardening.is_on() {
            mcproxy_confine::take_identity(order.identity.as_ref())?;
        }
    }
    // The parent-death signal is lost if the parent is gone before it is set: look again afterwards (prctl(2)).
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    anyhow::ensure!(rustix::process::getppid() == parent, "the supervisor is gone");
    mcproxy_ipc::keep_memory_private()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(mcproxy::gateway::run())?)
}
