//! `mcproxy import` of the files of clients and of other gateways: their servers are added to a configuration.
//!
//! `file` reads a file, `adapt` and `references` put an entry into words that the configuration has, `merge` finds out which servers
//! are new to it. What is not as it was goes into the report.

mod adapt;
mod file;
mod merge;
mod references;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use mcproxy_config::{EditableConfig, ForeignEntry, MAX_FILE, Problems};
use serde_json::json;

pub(crate) use self::file::ForeignFileError;
use self::{
    file::ForeignFile,
    merge::{MergePlan, Merged, merge},
};
use super::{
    report::{ImportReport, Weight},
    secret_file::SecretFile,
};
use crate::cli::{
    args::ImportArgs,
    clients::ClientProgram,
    commands::edit::{self, checked},
    config_place::ConfigPlace,
    console::Console,
    diff,
    edited_file::{EditedFile, PRIVATE},
    error::CliError,
    exit::Exit,
    human::{one_line, printable, wrapped},
    supervisor::{SupervisorClient, reload_written},
};

/// Most files at once.
const MAX_FILES: usize = 32;

/// A file to be imported.
#[derive(Debug)]
struct ImportFile {
    program: Option<ClientProgram>,
    path: PathBuf,
}

/// The import that was asked for, with everything that it takes.
pub(super) struct ForeignImport<'i> {
    /// Whose files; `None`: whoever's.
    pub(super) program: Option<ClientProgram>,
    /// The files; without any those at their usual places.
    pub(super) files: &'i [PathBuf],
    pub(super) args: &'i ImportArgs,
}

/// An import that can be written.
struct PreparedImport {
    config: EditedFile,
    /// The whole text of the configuration afterwards.
    text: String,
    secrets: SecretFile,
    env_file: PathBuf,
    merged: Merged,
}

impl ForeignImport<'_> {
    /// Reads, shows and writes.
    pub(super) async fn run(
        self,
        supervisor: &SupervisorClient,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let files = self.read()?;
        let place = ConfigPlace::find(self.args.out.as_deref(), supervisor).await;
        let mut report = ImportReport::default();
        let prepared = match self.prepare(&place.path, &files, &mut report)? {
            Ok(prepared) => prepared,
            Err(problems) => return checked::refuse(&problems, &place.path.display().to_string(), console),
        };
        let is_new = !prepared.merged.new.is_empty();
        if !json {
            self.show(&files, &prepared, console)?;
            report.write(console)?;
        }
        let wanted = is_new
            && !self.args.dry_run
            && (json
                || self.args.yes
                || console.confirm(&format!("\nWrite {}?", prepared.config.path().display()), true)?);
        if wanted {
            self.write(&prepared)?;
        }
        if json {
            writeln!(console.out, "{:#}", self.json(&files, &prepared, &report, wanted))?;
        } else if !is_new {
            writeln!(console.out, "\nNothing to import.")?;
        } else if self.args.dry_run {
            writeln!(console.out, "\nNothing was written (--dry-run).")?;
        } else if !wanted {
            writeln!(console.out, "Nothing was written.")?;
        } else {
            writeln!(console.out, "\nWrote {}", printable(&prepared.config.path().display().to_string()))?;
        }
        if wanted && place.is_running {
            // Those that do not run are told; they are imported all the same.
            reload_written(supervisor, console).await?;
        }
        Ok(Exit::Ok)
    }

    /// The same of all that is found, for somebody who begins: a file that cannot be read is told, and nothing else is lost.
    pub(super) fn run_found(self, out: &Path, console: &mut Console) -> Result<(), CliError> {
        let Ok(sources) = self.sources() else {
            return Ok(writeln!(console.out, "No client with servers of its own was found here.")?);
        };
        let mut files = Vec::new();
        for source in &sources {
            match read_file(source) {
                Ok(file) if file.entries.is_empty() => {}
                Ok(file) => files.push(file),
                Err(error) => console.remark(format_args!("passed over: {error}")),
            }
        }
        if files.is_empty() {
            return Ok(writeln!(console.out, "No client here has servers of its own.")?);
        }
        let mut report = ImportReport::default();
        let prepared = match self.prepare(out, &files, &mut report)? {
            Ok(prepared) => prepared,
            Err(problems) => {
                checked::refuse(&problems, &out.display().to_string(), console)?;
                return Ok(());
            }
        };
        self.show(&files, &prepared, console)?;
        report.write(console)?;
        if prepared.merged.new.is_empty() {
            return Ok(writeln!(console.out, "\nNothing new among them.")?);
        }
        let count = prepared.merged.new.len();
        let question = format!(
            "\nTake over {}?",
            if count == 1 { "this server".to_owned() } else { format!("these {count} servers") }
        );
        if self.args.yes || console.confirm(&question, true)? {
            self.write(&prepared)?;
        }
        Ok(())
    }

    fn read(&self) -> Result<Vec<ForeignFile>, CliError> {
        let sources = self.sources()?;
        if sources.len() > MAX_FILES {
            return Err(CliError::Usage(format!("at most {MAX_FILES} files are imported at once")));
        }
        sources.iter().map(read_file).collect()
    }

    fn sources(&self) -> Result<Vec<ImportFile>, CliError> {
        if !self.files.is_empty() {
            let source = |path: &PathBuf| ImportFile { program: self.program, path: path.clone() };
            return Ok(self.files.iter().map(source).collect());
        }
        let programs: Vec<ClientProgram> = self.program.map_or_else(|| ClientProgram::ALL.to_vec(), |one| vec![one]);
        let found: Vec<ImportFile> = programs
            .iter()
            .flat_map(|program| program.files().into_iter().map(|path| ImportFile { program: Some(*program), path }))
            .filter(|source| source.path.is_file())
            .collect();
        match (found.is_empty(), self.program) {
            (false, _) => Ok(found),
            (true, None) => Err(CliError::Usage(
                "no file of a known client was found; name one: `mcproxy import auto FILE`".to_owned(),
            )),
            (true, Some(program)) => {
                let usual: Vec<String> = program.files().iter().map(|path| path.display().to_string()).collect();
                let looked = if usual.is_empty() { String::new() } else { format!(" at {}", usual.join(", ")) };
                let (title, word) = (program.title(), program.word());
                Err(CliError::Usage(format!(
                    "there is no file of {title}{looked}; name it: `mcproxy import {word} FILE`"
                )))
            }
        }
    }

    /// The outer error ends the command, the inner one says what is wrong with the configuration that it would come to.
    fn prepare(
        &self,
        out: &Path,
        files: &[ForeignFile],
        report: &mut ImportReport,
    ) -> Result<Result<PreparedImport, Problems>, CliError> {
        let config = EditedFile::open(out)?;
        let before = config.content().unwrap_or(edit::EMPTY).to_vec();
        let (mut editable, present) = match (EditableConfig::of_file(&before), ForeignEntry::all(&before)) {
            (Ok(editable), Ok(present)) => (editable, present),
            (Err(problems), _) | (_, Err(problems)) => return Ok(Err(problems.in_file(config.path()))),
        };
        let env_file = self.args.env_file.clone().unwrap_or_else(|| env_file_beside(config.path()));
        let old_env = EditedFile::open(&env_file)?.content().map(|text| String::from_utf8_lossy(text).into_owned());
        let mut secrets = SecretFile::of(old_env, title(files));
        let own_port =
            checked::check(&String::from_utf8_lossy(&before), config.path()).ok().map(|c| c.config.listen.port());
        let plan = MergePlan {
            present: &present,
            select: &self.args.select,
            moves_secrets: self.args.env_file.is_some(),
            own_port,
        };
        let merged = merge(files, &plan, &mut secrets, report);
        let mut text = String::from_utf8_lossy(&before).into_owned();
        for (name, entry) in &merged.new {
            text = editable.with_server(name, entry).map_err(|error| CliError::Usage(error.to_string()))?;
            editable = match EditableConfig::of_file(text.as_bytes()) {
                Ok(editable) => editable,
                Err(problems) => return Ok(Err(problems)),
            };
        }
        let moves = plan.moves_secrets;
        let lookup = |name: &str| {
            let set = secrets.value(name).filter(|_| moves).map(str::to_owned);
            set.or_else(|| std::env::var(name).ok())
        };
        let checked = match checked::check_with(&text, config.path(), &lookup) {
            Ok(checked) => checked,
            Err(problems) => return Ok(Err(problems)),
        };
        for (name, _) in &merged.new {
            for warning in checked.warnings_of(name.as_str()) {
                report.add(Weight::ToDo, name.as_str(), warning);
            }
        }
        if moves && secrets.has_new() {
            let text =
                format!("start MCProxy with the variables of {} (EnvironmentFile= of its unit)", env_file.display());
            report.add(Weight::ToDo, "secrets", text);
        }
        for (server, count) in &merged.literal_secrets {
            let what = if *count == 1 { "a secret is".to_owned() } else { format!("{count} secrets are") };
            let text = format!(
                "{what} written out, as before; `--env-file {}` puts them into a file of mode 0600 instead",
                env_file.display()
            );
            report.add(Weight::Note, server, text);
        }
        Ok(Ok(PreparedImport { config, text, secrets, env_file, merged }))
    }

    fn show(&self, files: &[ForeignFile], prepared: &PreparedImport, console: &mut Console) -> Result<(), CliError> {
        for file in files {
            let title = file.program.map_or("an unknown program", ClientProgram::title);
            let count = match file.entries.len() {
                1 => "1 server".to_owned(),
                count => format!("{count} servers"),
            };
            let line = format!("{}: {count} of {title}", file.shown);
            writeln!(console.out, "{}", wrapped(&one_line(&line), console.width, "  "))?;
        }
        if !prepared.merged.new.is_empty() {
            writeln!(console.out, "\n{}", printable(&prepared.config.path().display().to_string()))?;
            let before = String::from_utf8_lossy(prepared.config.content().unwrap_or_default());
            diff::write(&before, &prepared.text, console)?;
        }
        if self.args.env_file.is_some() && prepared.secrets.has_new() {
            let names = prepared.secrets.names().collect::<Vec<_>>().join(", ");
            let line = format!("{} (mode 0600): {names}", prepared.env_file.display());
            writeln!(console.out, "\n{}", wrapped(&one_line(&line), console.width, "  "))?;
        }
        Ok(())
    }

    /// The secrets first: without them the configuration is of no use.
    fn write(&self, prepared: &PreparedImport) -> Result<(), CliError> {
        if let Some(path) = self.args.env_file.as_ref().filter(|_| prepared.secrets.has_new()) {
            let file = EditedFile::open(path)?;
            file.write(prepared.secrets.text().unwrap_or_default().as_bytes(), PRIVATE)?;
        }
        prepared.config.write(prepared.text.as_bytes(), PRIVATE)?;
        Ok(())
    }

    fn json(
        &self,
        files: &[ForeignFile],
        prepared: &PreparedImport,
        report: &ImportReport,
        written: bool,
    ) -> serde_json::Value {
        let file = |file: &ForeignFile| json!({"file": file.shown, "program": file.program.map(ClientProgram::word), "servers": file.entries.len()});
        json!({
            "written": written,
            "out": prepared.config.path(),
            "envFile": self.args.env_file.as_ref().filter(|_| prepared.secrets.has_new()),
            "variables": prepared.secrets.names().collect::<Vec<_>>(),
            "files": files.iter().map(file).collect::<Vec<_>>(),
            "added": prepared.merged.new.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "report": report.json(),
        })
    }
}

fn read_file(source: &ImportFile) -> Result<ForeignFile, CliError> {
    let bytes = if source.path == Path::new("-") {
        mcproxy_config::Config::content_of(std::io::stdin().lock(), &source.path)
    } else {
        mcproxy_config::Config::content(&source.path)
    };
    let bytes = bytes.map_err(|source| CliError::Config { path: "to import".to_owned(), source })?;
    if bytes.len() > MAX_FILE {
        return Err(CliError::Usage(format!("{} is larger than {MAX_FILE} bytes", source.path.display())));
    }
    let failed = |error| CliError::ImportForeign { path: source.path.clone(), source: error };
    file::read(source.program, &source.path, &bytes).map_err(failed)
}

/// Where the variables of a service are, beside its configuration.
fn env_file_beside(config: &Path) -> PathBuf {
    let is_service = config.parent().and_then(Path::file_name).is_some_and(|name| name == "mcproxy");
    config.with_file_name(if is_service { "env" } else { "mcproxy.env" })
}

fn title(files: &[ForeignFile]) -> &'static str {
    match files {
        [one] => one.program.map_or("another program", ClientProgram::title),
        _ => "other programs",
    }
}
