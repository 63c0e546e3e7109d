//! `mcproxy doctor` (`general`), and `mcproxy doctor security`: what the kernel enforces on the running processes, and what it does not.

mod allowed;
mod config_file;
mod findings;
mod general;
mod process;

use std::path::PathBuf;

use mcproxy_ipc::StatusReport;
use serde_json::json;

use self::{
    config_file::ConfigInForce,
    findings::{OwnPaths, SecurityFinding},
    process::ProcessFacts,
};
use crate::cli::{
    console::Console,
    error::CliError,
    exit::Exit,
    human::{one_line, wrapped},
    supervisor::SupervisorClient,
    table::Table,
};

pub(crate) use self::general::Examination;

/// All that the command shows.
struct SecurityExamination {
    report: StatusReport,
    processes: Vec<ProcessFacts>,
    config: Option<ConfigInForce>,
    findings: Vec<SecurityFinding>,
}

/// Looks at the running MCProxy and tells what it found; exit code 1 when there is something to mend.
pub(crate) async fn security(
    supervisor: &SupervisorClient,
    runtime_dir: Option<PathBuf>,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let report = supervisor.status().await?;
    let processes = process::of_report(&report);
    let config = ConfigInForce::read(report.config_path.as_ref());
    let runtime = runtime_dir.unwrap_or_else(mcproxy_ipc::default_runtime_dir);
    let own = OwnPaths { runtime, state: mcproxy_ipc::default_state_dir() };
    let findings = findings::all(&report, &processes, config.as_ref(), &own);
    let examination = SecurityExamination { report, processes, config, findings };
    if json {
        writeln!(console.out, "{}", examination.json())?;
    } else {
        examination.print(console)?;
    }
    Ok(if examination.findings.is_empty() { Exit::Ok } else { Exit::Failed })
}

impl SecurityExamination {
    fn json(&self) -> serde_json::Value {
        let servers = self.config.iter().flat_map(ConfigInForce::servers);
        json!({
            "ok": self.findings.is_empty(),
            "hardening": self.report.hardening.name(),
            "processes": self.processes,
            "servers": servers.map(|server| json!({
                "name": server.name,
                "may": allowed::sentences(server),
            })).collect::<Vec<_>>(),
            "findings": self.findings,
        })
    }

    fn print(&self, console: &mut Console) -> Result<(), CliError> {
        let width = console.width;
        writeln!(console.out, "hardening {}", self.report.hardening.name())?;
        writeln!(console.out)?;
        let mut table =
            Table::new(&["PROCESS", "PID", "USER", "CAPS", "NO NEW", "SECCOMP", "GROUPS", "FILES"], &[1, 3, 6, 7]);
        self.processes.iter().for_each(|process| table.row(process.cells()));
        table.write(&mut console.out, width)?;
        for process in self.processes.iter().filter(|process| !process.capabilities.is_empty()) {
            let line = format!("{} has {}", process.name, process.capability_names());
            writeln!(console.out, "{}", wrapped(&line, width, "  "))?;
        }
        match &self.config {
            Some(config) => {
                writeln!(console.out, "\nWhat servers may do, as the configuration says:")?;
                for server in config.servers() {
                    let line = format!("{}: {}", server.name, allowed::sentences(server).join("; "));
                    writeln!(console.out, "{}", wrapped(&one_line(&line), width, "  "))?;
                }
            }
            None => writeln!(
                console.out,
                "\nThe configuration cannot be read from here, so what servers may do is not shown."
            )?,
        }
        writeln!(console.out)?;
        for finding in &self.findings {
            let line = format!("{}: {}", finding.about, one_line(&finding.message));
            writeln!(console.out, "{}", wrapped(&line, width, "  "))?;
            writeln!(console.out, "  {}", wrapped(&format!("help: {}", one_line(&finding.help)), width, "    "))?;
        }
        let said = match self.findings.len() {
            0 => "Nothing is missing.".to_owned(),
            1 => "\n1 thing to mend or to accept.".to_owned(),
            many => format!("\n{many} things to mend or to accept."),
        };
        writeln!(console.out, "{said} What all this means: docs/security.md")?;
        Ok(())
    }
}
