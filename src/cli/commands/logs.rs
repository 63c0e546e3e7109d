//! `mcproxy logs`.

use mcproxy_ipc::{
    LogLine, LogSource,
    control::{OperatorToSupervisor, SupervisorToOperator},
    moment,
};
use serde_json::json;

use crate::cli::{console::Console, error::CliError, exit::Exit, human::one_line, supervisor::SupervisorClient};

/// The lines to be printed.
pub(crate) struct Logs {
    pub(crate) server: Option<String>,
    pub(crate) follow: bool,
    pub(crate) lines: usize,
}

impl Logs {
    /// Prints the lines, oldest first.
    pub(crate) async fn run(
        self,
        supervisor: &SupervisorClient,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let server = match &self.server {
            Some(name) => Some(supervisor.known_server(name).await?),
            None => None,
        };
        let request = OperatorToSupervisor::Logs { server, lines: self.lines, follow: self.follow };
        let mut answers = supervisor.send(request).await?;
        loop {
            let answer = answers.next().await?.map(|(message, _)| message);
            match answer {
                Some(SupervisorToOperator::Line(line)) => {
                    writeln!(console.out, "{}", if json { as_json(&line) } else { as_text(&line) })?;
                    console.out.flush()?;
                }
                Some(SupervisorToOperator::End) => return Ok(Exit::Ok),
                Some(SupervisorToOperator::Failed(why)) => return Err(CliError::Refused(why)),
                Some(_) => return Err(CliError::SupervisorAnswer),
                None if self.follow => {
                    console.remark("mcproxy: the supervisor has ended");
                    return Ok(Exit::Unavailable);
                }
                None => return Err(CliError::SupervisorGone),
            }
        }
    }
}

fn as_text(line: &LogLine) -> String {
    let source = match line.source {
        LogSource::Own => "",
        LogSource::Stderr => "stderr: ",
    };
    format!("{} {:<5} {source}{}", moment(line.at_ms), line.level.as_str(), one_line(&line.text))
}

fn as_json(line: &LogLine) -> String {
    json!({"at": moment(line.at_ms), "level": line.level, "source": line.source, "text": line.text}).to_string()
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::LogLevel;

    use super::*;

    #[test]
    fn a_line_of_a_server_cannot_forge_another() {
        let line =
            LogLine { at_ms: 0, level: LogLevel::Info, source: LogSource::Stderr, text: "a\n\u{1b}[2Jb\r\nc".into() };
        assert_eq!(as_text(&line), "1970-01-01T00:00:00.000Z info  stderr: a b c");
        assert_eq!(as_json(&line).lines().count(), 1);
    }
}
