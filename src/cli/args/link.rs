//! What `link` and `unlink` take.

use std::path::PathBuf;

use clap::Args;

/// Which clients.
#[derive(Debug, Args)]
pub(crate) struct LinkChoice {
    /// Whose files: claude-desktop, claude-code, cursor, vscode, windsurf, zed, codex, gemini, opencode, or all that are found
    #[arg(value_name = "CLIENT")]
    pub(crate) clients: Vec<String>,
    /// The file, where it is not at its usual place; for one client, such as the one of a project
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Write nothing; show what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Which clients are linked to what.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    #[command(flatten)]
    pub(crate) choice: LinkChoice,
    /// Only the servers of this group
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
}
