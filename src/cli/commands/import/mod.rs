//! `mcproxy import`: from the files of other programs to a configuration of MCProxy. `foreign` reads those of clients and of most
//! gateways; the rest is for installations of MetaMCP, which are more than servers:
//!
//! The way of an installation: `input` reads and recognises the files (`psql` takes decorations off; `dump`, `export` and
//! `environment` are the three kinds), `installation` is all that they say, `configuration` makes the file of it (`servers`, `groups`;
//! `names`, `secret_file`), `files` writes it. What is not as it was goes into the `report`. `compare` asks both programs.

mod compare;
mod configuration;
mod dump;
mod environment;
mod export;
mod files;
mod foreign;
mod groups;
mod input;
mod installation;
mod names;
mod psql;
mod report;
mod secret_file;
mod servers;
mod values;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use mcproxy_config::{Config, Severity};
use serde_json::{Value, json};
use similar::TextDiff;

use self::{
    configuration::Imported,
    foreign::ForeignImport,
    installation::Installation,
    report::{ImportReport, Weight},
};
use crate::cli::{
    args::ImportArgs, clients::ClientProgram, console::Console, error::CliError, exit::Exit, human,
    supervisor::SupervisorClient,
};

pub(crate) use self::{configuration::SeveralUsers, files::WriteError, foreign::ForeignFileError, input::ImportError};

/// Whose files are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImportSource {
    /// Whoever's.
    Auto,
    Metamcp,
    Client(ClientProgram),
}

impl ImportSource {
    /// The first word may say it.
    fn of(what: &[PathBuf]) -> (Self, &[PathBuf]) {
        let Some((first, rest)) = what.split_first() else { return (Self::Auto, what) };
        let word = first.to_str().filter(|word| !word.contains(['/', '.'])).unwrap_or_default();
        match (word.to_ascii_lowercase().as_str(), ClientProgram::of_word(word)) {
            ("auto", _) => (Self::Auto, rest),
            ("metamcp", _) => (Self::Metamcp, rest),
            (_, Some(program)) => (Self::Client(program), rest),
            (_, None) => (Self::Auto, what),
        }
    }
}

impl ImportArgs {
    /// Reads, converts, checks and writes. With `json` it tells data.
    pub(crate) async fn run(
        self,
        supervisor: &SupervisorClient,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let (source, files) = ImportSource::of(&self.what);
        let program = match source {
            ImportSource::Metamcp => {
                let out = self.out.clone().unwrap_or_else(|| "mcp-servers.json".into());
                return MetamcpImport { files, out: &out, args: &self }.run(json, console).await;
            }
            ImportSource::Auto => None,
            ImportSource::Client(program) => Some(program),
        };
        ForeignImport { program, files, args: &self }.run(supervisor, json, console).await
    }
}

/// Takes over what the clients that are here have, for `mcproxy init`; where they have nothing it says so.
pub(crate) fn import_found(out: &Path, yes: bool, console: &mut Console) -> Result<(), CliError> {
    let args = ImportArgs {
        what: Vec::new(),
        out: Some(out.to_owned()),
        env_file: None,
        select: Vec::new(),
        yes,
        listen: None,
        user: None,
        dry_run: false,
        force: false,
        compare: None,
        with: None,
    };
    ForeignImport { program: None, files: &[], args: &args }.run_found(out, console)
}

/// The import of an installation of MetaMCP.
struct MetamcpImport<'i> {
    files: &'i [PathBuf],
    out: &'i Path,
    args: &'i ImportArgs,
}

impl MetamcpImport<'_> {
    async fn run(&self, json: bool, console: &mut Console) -> Result<Exit, CliError> {
        let mut report = ImportReport::default();
        let installation = self.installation(&mut report)?;
        let imported = configuration::convert(&installation, self.args.listen.as_deref(), &new_token, &mut report);
        let problems = check(&imported, self.out, &mut report)?;
        let env_file = self.args.env_file.clone().unwrap_or_else(|| self.out.with_file_name("mcproxy.env"));
        let before = std::fs::read_to_string(self.out).ok();
        if !self.args.dry_run {
            self.write(&imported, &env_file)?;
        }
        let differences = match &self.args.compare {
            Some(metamcp) => {
                let own =
                    format!("http://{}", imported.listen.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]"));
                compare::compare(&installation, metamcp, self.args.with.as_deref().unwrap_or(&own), console).await
            }
            None => Vec::new(),
        };
        let same = differences.iter().all(compare::Difference::is_none);
        if json {
            let whole = json!({
                "written": !self.args.dry_run,
                "out": self.out,
                "envFile": imported.secrets.text().map(|_| &env_file),
                "variables": imported.secrets.names().collect::<Vec<_>>(),
                "config": serde_json::from_str::<Value>(&imported.text).unwrap_or_default(),
                "report": report.json(),
                "compared": differences.iter().map(compare::Difference::json).collect::<Vec<_>>(),
            });
            writeln!(console.out, "{whole:#}")?;
        } else {
            self.tell(&imported, before.as_deref(), &env_file, console)?;
            report.write(console)?;
            if !differences.is_empty() {
                writeln!(console.out, "\nTools of MetaMCP and of MCProxy")?;
                differences.iter().try_for_each(|difference| difference.write(console))?;
            }
        }
        Ok(match (problems, same) {
            (true, _) => Exit::Config,
            (false, false) => Exit::Failed,
            (false, true) => Exit::Ok,
        })
    }

    fn installation(&self, report: &mut ImportReport) -> Result<Installation, CliError> {
        if self.files.is_empty() {
            let text = "which files? `mcproxy import metamcp FILE …`: the dump of its database, the export of its web interface";
            return Err(CliError::Usage(text.to_owned()));
        }
        if self.files.len() > input::MAX_FILES {
            return Err(CliError::Usage(format!("at most {} files are imported at once", input::MAX_FILES)));
        }
        let mut installation = Installation::default();
        for path in self.files {
            input::read(path, &mut installation, report)
                .map_err(|source| CliError::Import { path: path.clone(), source })?;
        }
        if installation.servers.is_empty() {
            let message = "there is no server in these files: give the export of MetaMCP's web interface, or the dump of its \
                           database (deploy/metamcp-export.sql)";
            return Err(CliError::Usage(message.to_owned()));
        }
        configuration::choose_user(&mut installation, self.args.user.as_deref(), report)?;
        Ok(installation)
    }

    /// The secrets first: without them the configuration is of no use.
    fn write(&self, imported: &Imported, env_file: &Path) -> Result<(), WriteError> {
        let secrets = imported.secrets.text();
        files::check(self.out, self.args.force)?;
        if let Some(text) = &secrets {
            files::check(env_file, self.args.force)?;
            files::write(env_file, text, files::PRIVATE, self.args.force)?;
        }
        let mode = if imported.keeps_secrets { files::PRIVATE } else { files::PUBLIC };
        files::write(self.out, &imported.text, mode, self.args.force)
    }

    fn tell(
        &self,
        imported: &Imported,
        before: Option<&str>,
        env_file: &Path,
        console: &mut Console,
    ) -> Result<(), CliError> {
        let out = self.out.display();
        let variables: Vec<&str> = imported.secrets.names().collect();
        if self.args.dry_run {
            match before {
                Some(before) => {
                    writeln!(console.out, "Would change {out}:")?;
                    let diff = TextDiff::from_lines(before, &imported.text);
                    let diff = diff.unified_diff().context_radius(2).to_string();
                    write!(console.out, "{}", human::printable(&diff))?;
                }
                None => {
                    writeln!(console.out, "Would write {out}:")?;
                    write!(console.out, "{}", human::printable(&imported.text))?;
                }
            }
        } else {
            writeln!(console.out, "Wrote {out}")?;
        }
        if !variables.is_empty() {
            let verb = if self.args.dry_run { "Would write" } else { "Wrote" };
            let line = format!("{verb} {} (mode 0600): {}", env_file.display(), variables.join(", "));
            writeln!(console.out, "{}", human::wrap(&human::one_line(&line), 78, usize::MAX).join("\n  "))?;
        }
        Ok(())
    }
}

/// Reads the result as MCProxy will, and notes what it says. Whether it is refused, in part or as a whole.
fn check(imported: &Imported, out: &Path, report: &mut ImportReport) -> Result<bool, CliError> {
    let lookup = |name: &str| imported.secrets.value(name).map(str::to_owned).or_else(|| std::env::var(name).ok());
    let config = match Config::of_file(imported.text.as_bytes(), out, &lookup) {
        Ok(config) => config,
        Err(source) => return Err(CliError::Config { path: out.display().to_string(), source }),
    };
    for server in config.servers.iter().filter(|server| server.enabled) {
        if let Some(blocked) = server.blocked() {
            report.add(Weight::ToDo, server.name.as_str(), format!("cannot be started: {blocked}"));
        }
    }
    let errors = config.problems.list().iter().filter(|problem| problem.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|problem| format!("{}: {}", problem.pointer, problem.message)).collect();
    for error in &errors {
        report.add(Weight::ToDo, "mistake", error);
    }
    Ok(!errors.is_empty())
}

/// A token that nobody can guess.
fn new_token() -> String {
    let mut bytes = [0_u8; 32];
    // Without randomness there is no token: an empty one is refused by the check that follows.
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
