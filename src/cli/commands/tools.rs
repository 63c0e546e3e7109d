//! `mcproxy tools`.

use mcproxy_ipc::ServerState;
use mcproxy_mcp::{RawObject, RawValue, method, one_line as one_json_line, split_name};

use crate::cli::{
    console::Console, endpoint::Endpoint, error::CliError, exit::Exit, human::one_line, names, session::Session,
    supervisor::SupervisorClient, table::Table,
};

/// Which tools are to be printed, and how.
pub(crate) struct Tools {
    pub(crate) server: Option<String>,
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
        if self.json {
            let all: Vec<_> = tools.iter().map(|tool| one_json_line(tool.raw.get())).collect();
            writeln!(console.out, "[{}]", all.join(",\n"))?;
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

    fn server(&self) -> Option<&str> {
        split_name(&self.name).map(|(server, _)| server)
    }
}
