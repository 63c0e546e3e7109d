//! `mcproxy token`: tokens of clients (`auth.tokens`).

mod change;
mod list;
mod new;

pub(crate) use self::{list::run as list, new::NewToken};
use crate::cli::{args::EditOptions, console::Console, error::CliError, exit::Exit, supervisor::SupervisorClient};

/// Takes tokens out of the configuration.
pub(crate) async fn revoke(
    which: &str,
    options: &EditOptions,
    supervisor: &SupervisorClient,
    console: &mut Console,
) -> Result<Exit, CliError> {
    change::TokenChange::Revoke(which).run(options, supervisor, console).await
}
