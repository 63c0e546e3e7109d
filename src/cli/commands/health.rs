//! `mcproxy health`, for the probes of containers, service managers and monitors.

use std::time::Duration;

use mcproxy_ipc::{ConfigSource, ServerState, StatusReport};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    cli::{
        console::Console,
        endpoint::{Endpoint, EndpointError},
        error::CliError,
        exit::Exit,
        human::one_line,
        supervisor::SupervisorClient,
    },
    status_view::endpoint_url,
};

/// Most servers that are named; a probe's output is one line.
const MAX_NAMED: usize = 5;

/// What is asked.
#[derive(Debug)]
pub(crate) struct HealthCheck {
    /// Also whether all servers that are wanted are ready.
    pub(crate) ready: bool,
    /// For all of it together.
    pub(crate) timeout: Duration,
}

/// What `/readyz` answers.
#[derive(Deserialize)]
struct ReadinessPage {
    ready: bool,
    #[serde(default)]
    waiting: Vec<WaitingServer>,
}

#[derive(Deserialize)]
struct WaitingServer {
    server: String,
    state: String,
}

impl HealthCheck {
    /// Asks the endpoint that was named; without one the supervisor, and then the gateway where that listens. Says the outcome in
    /// one line.
    ///
    /// # Errors
    /// Whatever is not as it should be, also that there was no answer in time.
    pub(crate) async fn run(
        self,
        named: Option<Endpoint>,
        supervisor: &SupervisorClient,
        token: Option<String>,
        json: bool,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let ask = async {
            let (endpoint, report) = match named {
                Some(endpoint) => (endpoint, None),
                None => {
                    let report = supervisor.status().await?;
                    (Endpoint::new(&endpoint_url(&report), token)?, Some(report))
                }
            };
            endpoint.page("/healthz").await?;
            if self.ready {
                check_ready(&endpoint, report.as_ref()).await?;
            }
            Ok::<_, CliError>((endpoint, report))
        };
        let late = || CliError::NotUp(format!("no answer within {} s", self.timeout.as_secs()));
        let (endpoint, report) = timeout(self.timeout, ask).await.map_err(|_| late())??;
        let is_degraded = report.as_ref().is_some_and(|report| report.config_source == ConfigSource::LastGood);
        if json {
            let ready = self.ready.then_some(true);
            let answer = json!({"healthy": true, "ready": ready, "degraded": is_degraded, "url": endpoint.base()});
            writeln!(console.out, "{answer}")?;
        } else {
            let servers = report.as_ref().map(servers).unwrap_or_default();
            let all = if self.ready { "; all servers are ready" } else { "" };
            let degraded = match is_degraded {
                true => "; DEGRADED: the configuration file cannot be used, see `mcproxy status`",
                false => "",
            };
            writeln!(console.out, "healthy: {} answers{servers}{all}{degraded}", endpoint.base())?;
        }
        Ok(Exit::Ok)
    }
}

fn servers(report: &StatusReport) -> String {
    let ready = report.servers.iter().filter(|server| server.state == ServerState::Ready).count();
    format!("; {ready} of {} servers run", report.servers.len())
}

/// Names are told to those who have a token, and to the operator of the supervisor.
async fn check_ready(endpoint: &Endpoint, report: Option<&StatusReport>) -> Result<(), CliError> {
    let answer = match endpoint.page("/readyz").await {
        Ok(body) => body,
        Err(EndpointError::Status { body, status }) if status.as_u16() == 503 => body,
        Err(error) => return Err(error.into()),
    };
    let wrong = |why: String| CliError::Answer { method: "GET /readyz".to_owned(), why };
    let answer: ReadinessPage = serde_json::from_str(&answer).map_err(|error| wrong(error.to_string()))?;
    if answer.ready {
        return Ok(());
    }
    let mut waiting: Vec<(String, String)> =
        answer.waiting.into_iter().map(|WaitingServer { server, state }| (server, state)).collect();
    if waiting.is_empty() {
        let servers = report.iter().flat_map(|report| &report.servers);
        let unready =
            servers.filter(|server| server.wanted && !matches!(server.state, ServerState::Ready | ServerState::Idle));
        waiting.extend(unready.map(|server| (server.name.to_string(), server.state.to_string())));
    }
    Err(CliError::NotUp(not_ready(&waiting)))
}

/// One line about those that are not ready: name and state.
fn not_ready(waiting: &[(String, String)]) -> String {
    if waiting.is_empty() {
        return "not ready: some servers are not; a token (MCPROXY_TOKEN) tells which".to_owned();
    }
    let named: Vec<String> = waiting
        .iter()
        .take(MAX_NAMED)
        .map(|(name, state)| format!("{} is {}", one_line(name), one_line(state)))
        .collect();
    let more = match waiting.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(", and {more} more are not ready"),
    };
    format!("not ready: {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ready_is_said_in_one_line_however_many_there_are() {
        let of = |count: usize| -> Vec<_> { (0..count).map(|n| (format!("s{n}\n"), "starting".to_owned())).collect() };
        assert_eq!(not_ready(&of(1)), "not ready: s0 is starting");
        let many = not_ready(&of(1000));
        assert!(many.ends_with(", and 995 more are not ready") && many.len() < 200 && !many.contains('\n'), "{many}");
        assert!(not_ready(&[]).contains("MCPROXY_TOKEN"));
    }
}
