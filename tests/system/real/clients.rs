//! The clients: each walks all servers of a fleet and says what it got.

use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, ClientConfig, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt, RunningService},
    transport::StreamableHttpClientTransport,
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::fleet::{Call, Column, Fleet};
use crate::support::{Driver, Proxy, Real, names, run};

/// A way to use an endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Client {
    /// rmcp over Streamable HTTP, in a session.
    Rmcp,
    /// The same SDK of 2026-07-28.
    ModernRmcp,
    /// A script of tests/real, over `http`, `sse` or `modern`.
    Driver(Driver, &'static str),
    /// The inspector's command line: a process for each request.
    Inspector,
}

/// How one thing went; `None`: this client cannot do it.
pub(super) type Cell = Option<Result<(), String>>;

/// What a client said of all of it.
pub(super) struct Row {
    /// Lists of all kinds, with what `mcproxy` says of itself.
    pub(super) lists: Cell,
    /// A call that reports progress.
    pub(super) progress: Cell,
    /// One for each server of the fleet.
    pub(super) servers: Vec<Cell>,
}

impl Client {
    /// For the table's first column.
    pub(super) fn name(self) -> String {
        match self {
            Self::Rmcp => "rmcp 3, sessions".to_owned(),
            Self::ModernRmcp => "rmcp 3, 2026-07-28".to_owned(),
            Self::Driver(Driver::TypeScript, "modern") => "TypeScript 2, 2026-07-28".to_owned(),
            Self::Driver(Driver::Python, "modern") => "Python 2, 2026-07-28".to_owned(),
            Self::Driver(sdk, transport) => format!("{sdk:?} 1, {transport}"),
            Self::Inspector => "inspector 2".to_owned(),
        }
    }

    pub(super) async fn walk(self, real: &Real, fleet: &Fleet) -> Row {
        match self {
            Self::Rmcp => with_rmcp(&rmcp_client(&fleet.proxy).await, fleet).await,
            Self::ModernRmcp => with_rmcp(&modern_rmcp_client(&fleet.proxy).await, fleet).await,
            Self::Driver(driver, transport) => with_driver(real, fleet, driver, transport).await,
            Self::Inspector => with_inspector(real, fleet).await,
        }
    }
}

/// A client of rmcp, initialized.
pub(super) async fn rmcp_client(proxy: &Proxy) -> RunningService<RoleClient, ClientConfig> {
    let transport = StreamableHttpClientTransport::from_uri(proxy.url("/mcp"));
    ClientConfig::default().serve(transport).await.expect("the handshake")
}

pub(super) async fn modern_rmcp_client(proxy: &Proxy) -> RunningService<RoleClient, ClientConfig> {
    let transport = StreamableHttpClientTransport::from_uri(proxy.url("/mcp"));
    let discover = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    ClientConfig::default().serve_with_lifecycle(transport, discover).await.expect("what the server is")
}

async fn with_rmcp(client: &RunningService<RoleClient, ClientConfig>, fleet: &Fleet) -> Row {
    let tools = client.list_all_tools().await.expect("the tools");
    let tools: Vec<String> = tools.into_iter().map(|tool| tool.name.into_owned()).collect();
    let prompts = client.list_all_prompts().await.expect("the prompts");
    let resources = client.list_all_resources().await.expect("the resources");
    let lists =
        if prompts.is_empty() || resources.is_empty() { Err("no prompts or resources".to_owned()) } else { Ok(()) };
    let mut servers = Vec::new();
    for column in &fleet.columns {
        let mut answers = Vec::new();
        for call in &column.calls {
            let arguments = call.arguments.as_object().expect("an object").clone();
            let answer =
                client.call_tool(CallToolRequestParams::new(call.tool.clone()).with_arguments(arguments)).await;
            answers.push(answer.map(|answer| json!(answer)).map_err(|error| error.to_string()));
        }
        servers.push(Some(used(&tools, column, answers)));
    }
    Row { lists: Some(lists), progress: None, servers }
}

async fn with_driver(real: &Real, fleet: &Fleet, driver: Driver, transport: &str) -> Row {
    let path = if transport == "sse" { "/sse" } else { "/mcp" };
    let mut script: Vec<Value> =
        ["info", "listTools", "listPrompts", "listResources", "listTemplates"].map(|op| json!({"op": op})).into();
    // There is no such method any more.
    if transport != "modern" {
        script.push(json!({"op": "ping"}));
    }
    let first = script.len();
    let calls = fleet.columns.iter().flat_map(|column| &column.calls);
    script.extend(calls.map(|call| json!({"op": "call", "name": call.tool, "args": call.arguments})));
    let progress = json!({"op": "call", "name": "everything__trigger-long-running-operation", "args": {"duration": 1, "steps": 4}, "progress": true});
    script.push(progress);
    let lines = real.drive(driver, transport, &fleet.proxy.url(path), &json!(script)).await;
    assert_eq!(lines.len(), script.len(), "{lines:?}");
    let tools = names(&lines[1]["ok"]["tools"]);
    let mut answers = lines[first..].iter().map(|line| match line.get("error") {
        Some(error) => Err(error.to_string()),
        None => Ok(line["ok"].clone()),
    });
    let servers = fleet
        .columns
        .iter()
        .map(|column| Some(used(&tools, column, answers.by_ref().take(column.calls.len()).collect())))
        .collect();
    let last = lines.last().expect("a line");
    // The TypeScript SDK may forget the report that comes together with the answer.
    let reported = last["progress"].as_array().is_some_and(|reports| reports.len() >= 3);
    let progress = if reported { Ok(()) } else { Err(last.to_string()) };
    Row { lists: Some(listed(&lines[..first], transport)), progress: Some(progress), servers }
}

fn listed(lines: &[Value], transport: &str) -> Result<(), String> {
    if let Some(wrong) = lines.iter().find(|line| line.get("error").is_some()) {
        return Err(wrong.to_string());
    }
    let info = &lines[0]["ok"];
    if info["server"]["name"] != "mcproxy" {
        return Err(format!("who is this: {info}"));
    }
    if let Some(version) = info.get("protocolVersion")
        && (version == "2026-07-28") != (transport == "modern")
    {
        return Err(format!("speaks {version}"));
    }
    if !names(&lines[2]["ok"]["prompts"]).iter().any(|name| name.starts_with("everything__")) {
        return Err(lines[2].to_string());
    }
    match lines[3]["ok"]["resources"].as_array() {
        Some(resources) if !resources.is_empty() => Ok(()),
        _ => Err(lines[3].to_string()),
    }
}

async fn with_inspector(real: &Real, fleet: &Fleet) -> Row {
    let listed = inspect(real, fleet, &["--method", "tools/list"]).await;
    let tools = listed.as_ref().map(|answer| names(&answer["tools"])).unwrap_or_default();
    let mut servers = Vec::new();
    for column in &fleet.columns {
        let mut answers = Vec::new();
        for Call { tool, arguments, .. } in &column.calls {
            let mut args = vec!["--method".to_owned(), "tools/call".to_owned(), "--tool-name".to_owned(), tool.clone()];
            for (name, value) in arguments.as_object().expect("an object") {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                args.extend(["--tool-arg".to_owned(), format!("{name}={value}")]);
            }
            answers.push(inspect(real, fleet, &args.iter().map(String::as_str).collect::<Vec<_>>()).await);
        }
        servers.push(Some(used(&tools, column, answers)));
    }
    Row { lists: Some(listed.map(|_| ())), progress: None, servers }
}

async fn inspect(real: &Real, fleet: &Fleet, args: &[&str]) -> Result<Value, String> {
    const CLI: &str = "inspector/node_modules/@modelcontextprotocol/inspector/clients/cli/build/index.js";
    let home = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(real.path("inspector/node"));
    command.arg(real.path(CLI)).arg(fleet.proxy.url("/mcp")).args(["--transport", "http"]).args(args);
    let finished = run(command.env("HOME", home.path()), "").await;
    match (finished.code, serde_json::from_str(&finished.stdout)) {
        (Some(0), Ok(answer)) => Ok(answer),
        _ => Err(format!("{:?}: {}{}", finished.code, finished.stdout, finished.stderr)),
    }
}

/// Whether a server's tools are listed, and answered as they should.
fn used(tools: &[String], column: &Column, answers: Vec<Result<Value, String>>) -> Result<(), String> {
    for (call, answer) in column.calls.iter().zip(answers) {
        if !tools.contains(&call.tool) {
            return Err(format!("{} is not listed", call.tool));
        }
        let answer = answer?;
        if answer["isError"] == true || !answer.to_string().contains(&call.holds) {
            return Err(answer.to_string());
        }
    }
    Ok(())
}
