//! What `mcproxy approvals` can do.

use clap::{Args, Subcommand};

/// What `approvals` can do; without one it lists the calls that wait.
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsAction {
    /// Allow a call that waits
    Allow(AllowArgs),
    /// Refuse a call that waits
    Refuse {
        /// Which one, as `mcproxy approvals` shows it
        id: String,
    },
    /// Show the answers that are kept for later calls
    Rules,
    /// Forget an answer that is kept: calls of that tool are asked for again
    Forget(ForgetArgs),
}

/// Which call is allowed, and for how long that counts.
#[derive(Debug, Args)]
pub(crate) struct AllowArgs {
    /// Which one, as `mcproxy approvals` shows it
    pub(crate) id: String,
    /// Also later calls of the same tool, until the client's session ends
    #[arg(long, conflicts_with = "always")]
    pub(crate) session: bool,
    /// Also later calls of the same tool by the same token, until `mcproxy approvals forget`
    #[arg(long)]
    pub(crate) always: bool,
}

/// Which answers are forgotten.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ForgetArgs {
    /// Which one, as `mcproxy approvals rules` shows it
    pub(crate) id: Option<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}
