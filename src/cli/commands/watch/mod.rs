//! `mcproxy watch`: servers and calls as they are now, and as they change; `mcproxy trace`: each call as one line.

mod plain;
mod screen;

use crate::cli::{
    console::Console,
    endpoint::Endpoint,
    error::CliError,
    exit::Exit,
    live::{LiveEvent, LiveFeed, call_line, phases_line},
    supervisor::SupervisorClient,
};

/// Said where the gateway does not tell of calls.
const NO_CALLS: &str =
    "this gateway does not say which calls pass: its page is switched off (`ui`), or it is of an older build";

/// Shows it until the person or MCProxy ends it.
pub(crate) async fn watch(
    endpoint: &Endpoint,
    supervisor: SupervisorClient,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let feed = console.waiting("connecting", LiveFeed::open(endpoint, supervisor)).await?;
    if console.width.is_some() && console.input_is_terminal && screen::has_room() {
        return screen::run(feed, endpoint.base()).await;
    }
    plain::run(feed, console).await
}

/// Prints each call when it has ended, of one server or of all.
pub(crate) async fn trace(
    server: Option<&str>,
    endpoint: &Endpoint,
    supervisor: SupervisorClient,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    if let Some(server) = server {
        supervisor.known_server(server).await?;
    }
    let mut feed = console.waiting("connecting", LiveFeed::open(endpoint, supervisor)).await?;
    if !feed.has_calls() {
        return Err(CliError::Refused(format!(
            "{NO_CALLS}; `\"logging\": {{\"calls\": \"info\"}}` has them in `mcproxy logs -f`"
        )));
    }
    console.remark("each call when it has ended; Ctrl-C ends this");
    while let Some(event) = feed.next().await? {
        let LiveEvent::Calls { calls, dropped } = event else { continue };
        if dropped > 0 {
            console.remark(format_args!("{dropped} more were not told one by one"));
        }
        for call in calls.iter().filter(|call| server.is_none_or(|server| call.server.as_deref() == Some(server))) {
            let Some(line) = call_line(call) else { continue };
            if json {
                writeln!(console.out, "{}", serde_json::to_string(call).unwrap_or_default())?;
                continue;
            }
            writeln!(console.out, "{line}")?;
            if let Some(phases) = phases_line(call) {
                writeln!(console.out, "             {phases}")?;
            }
        }
        console.out.flush()?;
    }
    console.remark("mcproxy: MCProxy has ended, or the connection to it");
    Ok(Exit::Unavailable)
}
