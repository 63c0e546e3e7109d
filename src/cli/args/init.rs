//! What `init` takes.

use std::path::PathBuf;

use clap::Args;

/// How somebody gets in.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Ask nothing, and take what would be proposed; clients are not linked then, unless --link says so
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// The configuration [default: /etc/mcproxy/mcp-servers.json for root, else ~/.config/mcproxy/mcp-servers.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Enter MCProxy into the files of all clients that are found
    #[arg(long)]
    pub(crate) link: bool,
    /// Start it in the background, also where systemd could run it as a service
    #[arg(long)]
    pub(crate) background: bool,
    /// Write the configuration, and start nothing
    #[arg(long)]
    pub(crate) no_start: bool,
}
