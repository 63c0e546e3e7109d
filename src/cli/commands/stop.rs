//! `mcproxy stop`.

use std::time::Duration;

use mcproxy_ipc::control::OperatorToSupervisor;

use crate::cli::{
    console::Console,
    error::CliError,
    exit::Exit,
    supervisor::{SupervisorClient, tell_done},
};

/// Longest wait for calls in flight and servers to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// Stops everything and waits until it has stopped, so that a script can go on with what needs it stopped.
pub(crate) async fn run(supervisor: &SupervisorClient, json: bool, console: &mut Console) -> Result<Exit, CliError> {
    supervisor.act(OperatorToSupervisor::Stop).await?;
    if !console.waiting("waiting for calls and servers to end", supervisor.is_gone_within(STOP_TIMEOUT)).await {
        let waited = STOP_TIMEOUT.as_secs();
        return Err(CliError::Refused(format!("it is stopping, but has not stopped within {waited} s")));
    }
    tell_done("stopped", json, console)?;
    Ok(Exit::Ok)
}
