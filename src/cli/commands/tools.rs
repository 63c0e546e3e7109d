use mcproxy_mcp::{RawObject, RawValue, method, one_line as one_json_line, split_name};

use crate::cli::{
    console::Console, endpoint::Endpoint, error::CliError, exit::Exit, human::one_line, names, session::Session,
    table::Table,
};

/// Prints the tools that clients see.
pub(crate) async fn run(
    endpoint: Endpoint,
    server: Option<&str>,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let mut session = Session::open(endpoint).await?;
    let tools = session.list(method::TOOLS_LIST, "tools").await;
    session.close().await;
    let mut tools: Vec<Tool> = tools?.into_iter().map(Tool::new).collect();
    if let Some(server) = server {
        let mut known: Vec<&str> = tools.iter().filter_map(Tool::server).collect();
        known.dedup();
        if !known.contains(&server) {
            return Err(names::unknown_server_of_tools(server, known.into_iter()));
        }
        tools.retain(|tool| tool.server() == Some(server));
    }
    if json {
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

/// One tool, as the server describes it.
struct Tool {
    name: String,
    summary: String,
    raw: Box<RawValue>,
}

impl Tool {
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
