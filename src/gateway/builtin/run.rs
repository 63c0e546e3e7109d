use std::rc::Rc;

use mcproxy_ipc::control::{Answer, Question};

use super::{
    Plan, plan,
    render::{render_error, render_logs, render_search, render_status},
};
use crate::gateway::{catalogue::View, observed, reply::Reply, state::Gateway};

/// Answers a call of a built-in tool. `view` is what the client sees, `arguments` the text of the member of that name.
pub(crate) async fn run(gateway: &Rc<Gateway>, view: &View, tool: &str, arguments: Option<&str>) -> Reply {
    const BUSY: &str = "the supervisor does not answer; try again in a moment";
    let result = match plan(tool, arguments) {
        Plan::AskStatus => match observed::report(gateway).await {
            Some(report) => render_status(&report),
            None => render_error(BUSY),
        },
        Plan::AskLogs { server, lines } => {
            match gateway.supervisor.ask(Question::Logs { server: server.clone(), lines }).await {
                Some(Answer::Logs(lines)) => render_logs(server.as_str(), &lines),
                Some(Answer::UnknownServer) => {
                    render_error(&format!("there is no server `{server}`; mcproxy__status lists all of them"))
                }
                _ => render_error(BUSY),
            }
        }
        Plan::Search { query, limit } => render_search(view, &query, limit),
        Plan::Invalid(why) => render_error(&why),
    };
    Reply::Result(result.into())
}
