//! Whether an edited configuration may be written: it is read as MCProxy will read it.

use std::path::Path;

use mcproxy_config::{Blocked, Config, LoadError, Problems};

use crate::cli::{
    commands::check::machine_warnings,
    console::Console,
    error::CliError,
    exit::Exit,
    human::{one_line, wrapped},
};

/// A configuration that MCProxy would take.
pub(crate) struct EditedConfig {
    pub(crate) config: Config,
}

/// Reads it.
pub(crate) fn check(text: &str, path: &Path) -> Result<EditedConfig, Problems> {
    check_with(text, path, &|variable| std::env::var(variable).ok())
}

/// Reads it with these variables.
pub(crate) fn check_with(
    text: &str,
    path: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<EditedConfig, Problems> {
    match Config::of_file(text.as_bytes(), path, lookup) {
        Ok(config) => Ok(EditedConfig { config }),
        Err(LoadError::Invalid(problems)) => Err(problems),
        // The bytes are here; only a working directory that is gone is left.
        Err(LoadError::Read { .. }) => Err(Problems::default()),
    }
}

/// Says what is wrong with it, and that nothing was written.
pub(crate) fn refuse(problems: &Problems, path: &str, console: &mut Console) -> Result<Exit, CliError> {
    for line in problems.lines() {
        console.remark(wrapped(&one_line(&line), console.width, "  "));
    }
    console.remark(format_args!("mcproxy: {path} would have mistakes, or has some; nothing was written"));
    Ok(Exit::Config)
}

impl EditedConfig {
    /// Why a server could never be started as it is written.
    pub(crate) fn mistake_of(&self, server: &str) -> Option<String> {
        match self.config.server(server)?.blocked()? {
            Blocked::Mistake(mistake) => Some(mistake.clone()),
            blocked @ (Blocked::Kind(_) | Blocked::Itself) => Some(blocked.to_string()),
            Blocked::Variables(_) | Blocked::Reference(_) | Blocked::Secret(_) => None,
        }
    }

    /// What a server needs besides, and this machine or this environment does not have.
    pub(crate) fn warnings_of(&self, server: &str) -> Vec<String> {
        let Some(server) = self.config.server(server) else { return Vec::new() };
        let blocked = server.blocked().map(ToString::to_string);
        blocked.into_iter().chain(machine_warnings(server)).collect()
    }

    /// Says it.
    pub(crate) fn tell_warnings(&self, server: &str, console: &mut Console) {
        for warning in self.warnings_of(server) {
            console.remark(wrapped(&format!("{server}: {}", one_line(&warning)), console.width, "  "));
        }
    }
}
