//! `mcproxy schema`.

use crate::cli::{console::Console, error::CliError, exit::Exit};

/// Prints the JSON Schema of the configuration file.
pub(crate) fn run(console: &mut Console) -> Result<Exit, CliError> {
    writeln!(console.out, "{:#}", mcproxy_config::schema())?;
    Ok(Exit::Ok)
}
