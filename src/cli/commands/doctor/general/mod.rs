//! `mcproxy doctor`: whether this machine, the configuration and what runs are as MCProxy needs them, and what to do where they are not.
//!
//! Each file looks at one thing and says what it found; `repair` does what can be done without asking.

mod directories;
mod environment;
mod finding;
mod programs;
mod repair;
mod running;
mod tools;

use std::path::PathBuf;

use mcproxy_config::{Config, Places};
use serde_json::json;

use self::finding::{DoctorFinding, Gravity};
use crate::cli::{
    args::Global,
    config_place::ConfigPlace,
    console::Console,
    error::CliError,
    exit::Exit,
    human::{one_line, wrap},
    supervisor::SupervisorClient,
};

/// What is looked at.
pub(crate) struct Examination<'g> {
    pub(crate) global: &'g Global,
    pub(crate) config: Option<PathBuf>,
    /// Mend what can be mended.
    pub(crate) fix: bool,
}

/// The configuration, as far as it can be read.
struct ReadConfig {
    path: PathBuf,
    config: Option<Config>,
    literal_secrets: Vec<String>,
}

impl Examination<'_> {
    /// Looks at everything and tells it; exit code 1 when something has to be done.
    pub(crate) async fn run(
        self,
        supervisor: &SupervisorClient,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let place = ConfigPlace::find(self.config.as_deref(), supervisor).await;
        let report = supervisor.status().await.ok();
        let (read, mut findings) = read(&place.path);
        findings.extend(programs::look(read.config.as_ref()));
        findings.extend(environment::look(read.config.as_ref(), report.is_some() && place.is_running));
        findings.extend(directories::look(&read, self.global.runtime_dir.as_deref()));
        findings.extend(running::look(report.as_ref()));
        if report.is_some() {
            findings.extend(console.waiting("looking at the tools", tools::look(self.global, supervisor)).await);
        }
        if self.fix {
            findings.iter_mut().for_each(repair::mend);
        }
        let is_good = findings.iter().all(|finding| finding.gravity != Gravity::Bad);
        if json {
            let each: Vec<_> = findings.iter().map(DoctorFinding::json).collect();
            writeln!(console.out, "{:#}", json!({"ok": is_good, "config": read.path, "findings": each}))?;
        } else {
            print(&findings, self.fix, console)?;
        }
        Ok(if is_good { Exit::Ok } else { Exit::Failed })
    }
}

fn read(path: &std::path::Path) -> (ReadConfig, Vec<DoctorFinding>) {
    let shown = path.display().to_string();
    let mut read = ReadConfig { path: path.to_owned(), config: None, literal_secrets: Vec::new() };
    let bytes = match Config::content(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let finding =
                DoctorFinding::bad("configuration", error.to_string(), "`mcproxy init` makes one, `mcproxy add` too");
            return (read, vec![finding]);
        }
    };
    read.literal_secrets = Places::of_file(&bytes).map(|places| places.literal_secrets()).unwrap_or_default();
    let finding = match Config::of_file(&bytes, path, &|variable| std::env::var(variable).ok()) {
        Ok(config) => {
            let count = config.servers.iter().filter(|server| server.enabled).count();
            let mistakes = config.mistaken().count();
            let finding = match (mistakes, config.problems.list().len()) {
                (0, 0) => DoctorFinding::good("configuration", format!("{shown}: {count} servers enabled")),
                (0, some) => DoctorFinding::hint(
                    "configuration",
                    format!("{shown} has {some} warnings"),
                    format!("mcproxy check {shown}"),
                ),
                (some, _) => DoctorFinding::bad(
                    "configuration",
                    format!("{some} servers of {shown} have mistakes"),
                    format!("mcproxy check {shown}"),
                ),
            };
            read.config = Some(config);
            finding
        }
        Err(_) => {
            DoctorFinding::bad("configuration", format!("{shown} cannot be used"), format!("mcproxy check {shown}"))
        }
    };
    (read, vec![finding])
}

fn print(findings: &[DoctorFinding], fix: bool, console: &mut Console) -> Result<(), CliError> {
    let width = console.width.unwrap_or(80).max(40);
    for finding in findings {
        let mark = console.style.paint(finding.gravity.paint(), finding.gravity.word()).into_owned();
        let padding = " ".repeat(6 - finding.gravity.word().len());
        let text = format!("{}: {}", one_line(&finding.about), one_line(&finding.message));
        for (at, line) in wrap(&text, width - 6, usize::MAX).iter().enumerate() {
            match at {
                0 => writeln!(console.out, "{mark}{padding}{line}")?,
                _ => writeln!(console.out, "      {line}")?,
            }
        }
        let help = if finding.is_mended {
            Some("mended".to_owned())
        } else {
            finding.help.as_ref().map(|help| format!("→ {}", one_line(help)))
        };
        for line in help.iter().flat_map(|help| wrap(help, width - 6, usize::MAX)) {
            writeln!(console.out, "      {line}")?;
        }
    }
    let bad = findings.iter().filter(|finding| finding.gravity == Gravity::Bad).count();
    let mendable = findings.iter().filter(|finding| finding.repair.is_some() && !finding.is_mended).count();
    match bad {
        0 => writeln!(console.out, "\nNothing has to be done.")?,
        1 => writeln!(console.out, "\n1 thing has to be done.")?,
        bad => writeln!(console.out, "\n{bad} things have to be done.")?,
    }
    if mendable > 0 && !fix {
        writeln!(console.out, "`mcproxy doctor --fix` does {mendable} of them.")?;
    }
    writeln!(console.out, "What the kernel enforces: `mcproxy doctor security`.")?;
    Ok(())
}
