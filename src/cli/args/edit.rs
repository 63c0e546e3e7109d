//! What edits of the configuration take.

use std::path::PathBuf;

use clap::Args;

/// Of every command that edits the configuration.
#[derive(Debug, Default, Args)]
pub(crate) struct EditOptions {
    /// The configuration [default: that of the MCProxy that runs, else the one of this directory, of yours, of the system]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Write nothing; show what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A new server.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name: its tools are NAME__TOOL
    #[arg(value_name = "NAME")]
    pub(crate) server: String,
    /// The address of a server that is reached over the network
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The command of a server that is started, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// A variable of its environment: NAME=VALUE, or NAME for MCProxy's own value. Again for more
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// A header of each request to the URL: 'NAME: VALUE'. Again for more
    #[arg(long, value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// Its working directory
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// The URL is one of HTTP+SSE, the transport of 2024-11-05; without it that is found out
    #[arg(long)]
    pub(crate) sse: bool,
    /// Start it with its first call
    #[arg(long)]
    pub(crate) lazy: bool,
    #[command(flatten)]
    pub(crate) options: EditOptions,
}
