//! The first call: once the servers have settled, a tool that changes nothing is called, as a client would.

use std::time::{Duration, Instant};

use mcproxy_ipc::{ServerState, StatusReport};
use mcproxy_mcp::{RawObject, RawValue, json_string, method, split_name};
use tokio::time::timeout;

use crate::{
    cli::{
        commands::status::start_line,
        console::Console,
        endpoint::Endpoint,
        error::CliError,
        human::{duration, one_line, wrapped},
        session::Session,
        supervisor::SupervisorClient,
        table::cut,
    },
    status_view::endpoint_url,
};

/// Longest wait for servers; a first start may install packages.
const SETTLE: Duration = Duration::from_secs(180);
/// Between two looks.
const POLL: Duration = Duration::from_millis(300);
/// For the call itself.
const CALL: Duration = Duration::from_secs(60);
/// So much of an answer is shown.
const ANSWER: usize = 76;
/// Words in the names of tools whose answers may be secret.
const SECRETIVE: [&str; 5] = ["env", "secret", "token", "key", "config"];
/// What every MCProxy has.
const BUILTIN: &str = "mcproxy__status";

/// Waits for the servers, says how each is, and calls one. Returns the address.
pub(super) async fn call(
    supervisor: &SupervisorClient,
    servers: usize,
    console: &mut Console,
) -> Result<String, CliError> {
    let report = settled(supervisor, console).await?;
    for server in &report.servers {
        let line = match (server.state, &server.last_error) {
            (ServerState::Ready | ServerState::Idle, _) | (_, None) => format!("{}: {}", server.name, server.state),
            (state, Some(error)) => {
                format!("{}: {state}: {}", server.name, one_line(error.lines().next().unwrap_or_default()))
            }
        };
        if server.wanted {
            writeln!(console.out, "{}", wrapped(&line, console.width, "  "))?;
        }
    }
    let url = endpoint_url(&report);
    let token = std::env::var("MCPROXY_TOKEN").ok().filter(|token| !token.is_empty());
    let endpoint = Endpoint::new(&url, token)?;
    let mut session = Session::open(endpoint).await?;
    let outcome = called(&mut session, servers, console).await;
    session.close().await;
    outcome?;
    Ok(url)
}

async fn called(session: &mut Session, servers: usize, console: &mut Console) -> Result<(), CliError> {
    let tools = session.list(method::TOOLS_LIST, "tools").await?;
    let tool = harmless(&tools).unwrap_or_else(|| BUILTIN.to_owned());
    let own = tools.iter().filter(|tool| name(tool).is_some_and(|name| !name.starts_with("mcproxy__"))).count();
    writeln!(console.out, "{own} tools of {servers} servers.\n$ mcproxy call {tool}")?;
    let begun = Instant::now();
    let params = format!("{{\"name\":{},\"arguments\":{{}}}}", json_string(&tool).get());
    let mut ignored = |_: &str, _: Option<&RawValue>| {};
    let call = session.request(method::TOOLS_CALL, &params, &mut ignored);
    let late = |_| CliError::NotUp(format!("`{tool}` did not answer within {} s", CALL.as_secs()));
    let result = timeout(CALL, call).await.map_err(late)??;
    let millis = begun.elapsed().as_millis();
    writeln!(console.out, "{}\n(answered in {millis} ms)", cut(&beginning(&result), Some(ANSWER)))?;
    Ok(())
}

/// The first words of an answer; the whole of it may be long, and nobody asked for it.
fn beginning(result: &RawValue) -> String {
    let value: serde_json::Value = serde_json::from_str(result.get()).unwrap_or_default();
    let text = value["content"].as_array().and_then(|content| content.iter().find_map(|part| part["text"].as_str()));
    one_line(text.unwrap_or("(an answer without text)"))
}

/// Waits until no server is starting any more, and says meanwhile what they do.
async fn settled(supervisor: &SupervisorClient, console: &mut Console) -> Result<StatusReport, CliError> {
    let begun = Instant::now();
    loop {
        let report = supervisor.status().await?;
        let starting: Vec<String> = report
            .servers
            .iter()
            .filter(|server| server.wanted && server.state == ServerState::Starting)
            .map(start_line)
            .collect();
        if report.gateway.is_some() && starting.is_empty() || begun.elapsed() > SETTLE {
            console.show_wait("");
            return Ok(report);
        }
        console.show_wait(&format!("{} … {}", starting.join(", "), duration(begun.elapsed())));
        tokio::time::sleep(POLL).await;
    }
}

fn name(tool: &RawValue) -> Option<String> {
    Some(RawObject::from_raw(tool).ok()?.get_string("name")?.into_owned())
}

/// The first tool of a server that says it changes nothing, and that takes no arguments.
fn harmless(tools: &[Box<RawValue>]) -> Option<String> {
    let is_harmless = |tool: &serde_json::Value| {
        let reads_only = tool["annotations"]["readOnlyHint"] == true;
        let required = tool["inputSchema"]["required"].as_array().is_some_and(|required| !required.is_empty());
        reads_only && !required
    };
    tools.iter().find_map(|tool| {
        let value: serde_json::Value = serde_json::from_str(tool.get()).ok()?;
        let name = value["name"].as_str()?;
        let is_own = split_name(name).is_some_and(|(server, _)| server == "mcproxy");
        // What it answers is shown, and is nobody's business.
        let tells_secrets = SECRETIVE.iter().any(|word| name.to_ascii_lowercase().contains(word));
        (!is_own && !tells_secrets && is_harmless(&value)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tool_that_says_it_changes_nothing_and_takes_nothing_is_called_unasked() {
        let tools = |texts: &[&str]| -> Vec<Box<RawValue>> {
            texts.iter().map(|text| RawValue::from_string((*text).to_owned()).expect("JSON")).collect()
        };
        let all = tools(&[
            r#"{"name": "mcproxy__status", "annotations": {"readOnlyHint": true}, "inputSchema": {}}"#,
            r#"{"name": "a__wipe", "inputSchema": {}}"#,
            r#"{"name": "a__get-env", "annotations": {"readOnlyHint": true}, "inputSchema": {}}"#,
            r#"{"name": "a__read", "annotations": {"readOnlyHint": true}, "inputSchema": {"required": ["path"]}}"#,
            r#"{"name": "a__list", "annotations": {"readOnlyHint": true}, "inputSchema": {"required": []}}"#,
        ]);
        assert_eq!(harmless(&all).as_deref(), Some("a__list"));
        assert_eq!(harmless(&all[..4]), None);
    }
}
