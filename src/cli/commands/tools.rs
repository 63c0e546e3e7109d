//! `mcproxy tools`.

use std::cmp::Reverse;

use mcproxy_ipc::ServerState;
use mcproxy_mcp::{RawObject, RawValue, method, one_line as one_json_line, split_name};
use mcproxy_search::{Document, Segment, estimate_tokens, search, too_much};
use serde::Serialize;

use crate::cli::{
    console::Console, endpoint::Endpoint, error::CliError, exit::Exit, human::one_line, names, session::Session,
    supervisor::SupervisorClient, table::Table,
};

/// Which tools are to be printed, and how.
pub(crate) struct Tools {
    pub(crate) server: Option<String>,
    /// Those that fit these words, the best first.
    pub(crate) search: Option<String>,
    /// What they cost a model instead.
    pub(crate) cost: bool,
    pub(crate) json: bool,
}

impl Tools {
    /// Prints the tools that clients see. The supervisor, if it is known, says why a server has none.
    pub(crate) async fn run(
        self,
        endpoint: Endpoint,
        supervisor: Option<&SupervisorClient>,
        console: &mut Console,
    ) -> Result<Exit, CliError> {
        let mut session = console.waiting("connecting", Session::open(endpoint)).await?;
        let tools = console.waiting("waiting for the list", session.list(method::TOOLS_LIST, "tools")).await;
        session.left_out().iter().for_each(|bad| console.remark(format_args!("left out: {bad}")));
        session.close().await;
        let mut tools: Vec<ListedTool> = tools?.into_iter().map(ListedTool::new).collect();
        if let Some(server) = &self.server {
            if !tools.iter().any(|tool| tool.server() == Some(server)) {
                return Err(no_tools(server, &tools, supervisor).await);
            }
            tools.retain(|tool| tool.server() == Some(server));
        }
        if let Some(words) = &self.search {
            tools = best_first(tools, words);
        }
        if self.cost {
            return cost(&tools, self.server.is_some(), self.json, console);
        }
        if self.json {
            let all: Vec<_> = tools.iter().map(|tool| one_json_line(tool.raw.get())).collect();
            writeln!(console.out, "[{}]", all.join(",\n"))?;
        } else if let (true, Some(words)) = (tools.is_empty(), &self.search) {
            console.remark(format_args!("no tool fits {words:?}; `mcproxy tools` lists all of them"));
        } else if tools.is_empty() {
            console.remark("no tools; `mcproxy status` says how the servers are");
        } else {
            let mut table = Table::new(&["TOOL", "DESCRIPTION"], &[]);
            for tool in &tools {
                table.row(vec![one_line(&tool.name), tool.summary.clone()]);
            }
            table.write(&mut console.out, console.width)?;
        }
        Ok(Exit::Ok)
    }
}

/// Prints what the list of tools costs a model, by server or by tool, the dearest first.
fn cost(tools: &[ListedTool], by_tool: bool, json: bool, console: &mut Console) -> Result<Exit, CliError> {
    let mut costs: Vec<Cost<'_>> = Vec::new();
    for tool in tools {
        let name = if by_tool { &tool.name } else { tool.server().unwrap_or(&tool.name) };
        let tokens = estimate_tokens(tool.raw.get());
        match costs.iter_mut().find(|cost| cost.name == name) {
            Some(cost) => (cost.tools, cost.tokens) = (cost.tools + 1, cost.tokens + tokens),
            None => costs.push(Cost { name, tools: 1, tokens }),
        }
    }
    costs.sort_by_key(|cost| Reverse(cost.tokens));
    let all: usize = costs.iter().map(|cost| cost.tokens).sum();
    if json {
        let all = serde_json::to_string(&costs).unwrap_or_default();
        writeln!(console.out, "{all}")?;
        return Ok(Exit::Ok);
    }
    let heads: [&str; 3] = [if by_tool { "TOOL" } else { "SERVER" }, "TOOLS", "TOKENS"];
    let mut table = Table::new(&heads, &[1, 2]);
    for cost in &costs {
        table.row(vec![one_line(cost.name), cost.tools.to_string(), cost.tokens.to_string()]);
    }
    table.row(vec!["all".into(), tools.len().to_string(), all.to_string()]);
    table.write(&mut console.out, console.width)?;
    console.remark("tokens are an estimate (o200k, within about 15 %)");
    if let Some(why) = too_much(tools.len(), all) {
        console.remark(why);
    }
    Ok(Exit::Ok)
}

/// What tools cost a model.
#[derive(Serialize)]
struct Cost<'t> {
    name: &'t str,
    tools: usize,
    tokens: usize,
}

/// The tools that fit the words, the best first.
fn best_first(tools: Vec<ListedTool>, words: &str) -> Vec<ListedTool> {
    let segments: Vec<Segment> = tools.iter().map(ListedTool::segment).collect();
    let hits = search(&segments.iter().collect::<Vec<_>>(), words);
    let mut tools: Vec<_> = tools.into_iter().map(Some).collect();
    hits.iter().filter_map(|hit| tools[hit.segment].take()).collect()
}

/// Why there are no tools of this server.
async fn no_tools(server: &str, tools: &[ListedTool], supervisor: Option<&SupervisorClient>) -> CliError {
    let report = match supervisor {
        Some(supervisor) => supervisor.status().await.ok(),
        None => None,
    };
    let configured = report.as_ref().and_then(|r| r.servers.iter().find(|s| s.name.as_str() == server));
    if let Some(status) = configured {
        return CliError::NotUp(match status.state {
            ServerState::Ready => format!("the server `{server}` is ready and has no tools"),
            state => {
                format!("the server `{server}` has no tools now, its state is {state} (`mcproxy status {server}`)")
            }
        });
    }
    let mut known: Vec<&str> = tools.iter().filter_map(ListedTool::server).collect();
    known.extend(report.iter().flat_map(|r| &r.servers).map(|s| s.name.as_str()));
    known.sort_unstable();
    known.dedup();
    names::unknown_server(server, known.into_iter())
}

/// One tool, as the server describes it.
struct ListedTool {
    name: String,
    summary: String,
    raw: Box<RawValue>,
}

impl ListedTool {
    fn new(raw: Box<RawValue>) -> Self {
        let object = RawObject::from_raw(&raw).unwrap_or_default();
        let text = |key: &str| object.get_string(key).map(|t| t.into_owned());
        let description = text("description").or_else(|| text("title")).unwrap_or_default();
        let summary = description.lines().map(one_line).find(|line| !line.is_empty()).unwrap_or_default();
        Self { name: text("name").unwrap_or_default(), summary, raw }
    }

    /// Its words: each tool is a segment of its own, whose server is known by its name.
    fn segment(&self) -> Segment {
        let (server, own) = split_name(&self.name).unwrap_or(("", &self.name));
        Segment::build(server, [Document::of_tool(own, self.raw.get())])
    }

    fn server(&self) -> Option<&str> {
        split_name(&self.name).map(|(server, _)| server)
    }
}
