//! What an import takes.

use std::path::PathBuf;

use clap::Args;

/// What is imported, and where to.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Whose files they are [default: auto], and the files [default: those at their usual places]; `-` is the standard input
    #[arg(value_name = "FORMAT] [FILE")]
    pub(crate) what: Vec<PathBuf>,
    /// The configuration to write [default: that of the MCProxy that runs, else the one of this directory, of yours, of the system]
    #[arg(long, visible_alias = "config", value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Move secrets to this file, readable by its user only [MetaMCP: always, by default to mcproxy.env beside the configuration]
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Only servers of these names; `*` stands for any characters. Again for more
    #[arg(long, value_name = "NAME")]
    pub(crate) select: Vec<String>,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Where to listen, such as 0.0.0.0:12008 [default: where MetaMCP was reached, as far as the files say]
    #[arg(long, value_name = "ADDRESS", help_heading = "MetaMCP only")]
    pub(crate) listen: Option<String>,
    /// Whose private servers, endpoints and keys, if several people have some
    #[arg(long, value_name = "EMAIL", help_heading = "MetaMCP only")]
    pub(crate) user: Option<String>,
    /// Write nothing; show the configuration, or how it would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace files that are there
    #[arg(long, help_heading = "MetaMCP only")]
    pub(crate) force: bool,
    /// Compare the tools of each endpoint with those of the MetaMCP that runs there, such as http://127.0.0.1:12008
    #[arg(long, value_name = "URL", help_heading = "MetaMCP only")]
    pub(crate) compare: Option<String>,
    /// The MCProxy to compare with [default: where the new configuration listens]
    #[arg(long, value_name = "URL", requires = "compare", help_heading = "MetaMCP only")]
    pub(crate) with: Option<String>,
}
