//! `mcproxy check`: everything that can be known of a configuration without starting anything.

mod filters;
mod machine;
mod summary;

use std::path::{Path, PathBuf};

use mcproxy_config::{Config, LoadError, Places, Problems, ServerConfig};
use mcproxy_ipc::control::Group;
use serde_json::json;

use self::{filters::KnownTools, machine::Machine, summary::problem_json};
use crate::cli::{
    console::Console,
    error::CliError,
    exit::Exit,
    human::{one_line, wrapped},
};

/// The subject of a check, and the form of its report.
pub(crate) struct Check {
    pub(crate) file: PathBuf,
    /// Warnings count as well.
    pub(crate) strict: bool,
    pub(crate) json: bool,
    pub(crate) state_dir: Option<PathBuf>,
}

/// Something about a server that the file alone does not tell.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// The key of its entry that it is about.
    key: &'static str,
    message: String,
}

/// What this machine lacks for a server.
pub(super) fn machine_warnings(server: &ServerConfig) -> Vec<String> {
    Machine::this().look(server).into_iter().map(|finding| finding.message).collect()
}

impl Check {
    /// Reads the file as the supervisor would, looks at this machine, and says what it found.
    pub(crate) fn run(self, console: &mut Console) -> Result<Exit, CliError> {
        // Waits for input that a person pipes in.
        let content = match &self.file {
            stdin if stdin == Path::new("/dev/stdin") => Config::content_of(std::io::stdin().lock(), stdin),
            file => Config::content(file),
        };
        let read = content.and_then(|bytes| {
            let config = Config::of_file(&bytes, &self.file, &|variable| std::env::var(variable).ok())?;
            Ok((config, bytes))
        });
        match read {
            Ok((config, bytes)) => self.tell(&self.look(config, &bytes), console),
            Err(LoadError::Invalid(problems)) if self.json => {
                let each = problems.list().iter().map(problem_json);
                writeln!(console.out, "{}", json!({"ok": false, "problems": each.collect::<Vec<_>>()}))?;
                Ok(Exit::Config)
            }
            Err(LoadError::Invalid(problems)) => {
                print(&problems, console)?;
                Ok(Exit::Config)
            }
            Err(source) => Err(CliError::Config { path: self.file.display().to_string(), source }),
        }
    }

    /// The configuration with what this machine lacks for it among its problems.
    fn look(&self, mut config: Config, bytes: &[u8]) -> Config {
        let Some(places) = Places::of_file(bytes) else { return config };
        let machine = Machine::this();
        let state = self.state_dir.clone().or_else(mcproxy_ipc::default_state_dir);
        let catalogues = state.map(|dir| dir.join("catalogues"));
        let known = catalogues.map(|dir| KnownTools::read(&config, &dir));
        let about = |server| {
            let filters = known.iter().flat_map(|known| known.unused_of_server(server));
            let filters = filters.map(|message| Finding { key: "tools", message });
            machine.look(server).into_iter().chain(filters).collect::<Vec<_>>()
        };
        let of_servers = config
            .servers
            .iter()
            .enumerate()
            .flat_map(|(at, server)| about(server).into_iter().map(move |finding| (at, finding)))
            .map(|(at, finding)| places.warning(at, finding.key, finding.message));
        let of_group = |group: &Group| {
            let said = known.iter().flat_map(|known| known.unused_of_group(group));
            said.map(|message| places.warning_of_group(&group.name, message)).collect::<Vec<_>>()
        };
        let found: Vec<_> = of_servers.chain(config.gateway.groups.iter().flat_map(of_group)).collect();
        config.problems = config.problems.with(found);
        config
    }

    fn tell(&self, config: &Config, console: &mut Console) -> Result<Exit, CliError> {
        let failed = config.problems.has_errors() || (self.strict && !config.problems.is_empty());
        if self.json {
            writeln!(console.out, "{}", summary::json(config, !failed))?;
        } else {
            print(&config.problems, console)?;
            summary::text(&self.file, config, console)?;
        }
        Ok(if failed { Exit::Config } else { Exit::Ok })
    }
}

fn print(problems: &Problems, console: &mut Console) -> Result<(), CliError> {
    for line in problems.lines() {
        writeln!(console.out, "{}", wrapped(&one_line(&line), console.width, "    "))?;
    }
    Ok(())
}
