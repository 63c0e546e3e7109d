//! `mcproxy approvals`: calls that wait until a person agrees to them, and the answers that are kept.

use std::time::{Duration, SystemTime};

use mcproxy_ipc::{
    ApprovalDecision, ApprovalRule, HeldCall,
    control::{OperatorToSupervisor, SupervisorToOperator},
    moment, unix_millis,
};
use serde_json::{Value, json};

use crate::cli::{
    args::{AllowArgs, ApprovalsAction, ForgetArgs},
    console::Console,
    error::CliError,
    exit::Exit,
    human::{duration, one_line, wrapped},
    supervisor::{SupervisorClient, act_and_tell},
    table::Table,
};

/// Lists the calls that wait, or decides on one.
pub(crate) async fn run(
    action: Option<ApprovalsAction>,
    supervisor: &SupervisorClient,
    json: bool,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let request = match action {
        None => return list(supervisor, json, console).await,
        Some(ApprovalsAction::Rules) => return rules(supervisor, json, console).await,
        Some(ApprovalsAction::Allow(allow)) => {
            let decision = decision(&allow);
            OperatorToSupervisor::Decide { id: allow.id, decision }
        }
        Some(ApprovalsAction::Refuse { id }) => OperatorToSupervisor::Decide { id, decision: ApprovalDecision::Refuse },
        Some(ApprovalsAction::Forget(ForgetArgs { id, .. })) => OperatorToSupervisor::ForgetApproval(id),
    };
    act_and_tell(supervisor, request, json, console).await
}

fn decision(allow: &AllowArgs) -> ApprovalDecision {
    match allow {
        AllowArgs { always: true, .. } => ApprovalDecision::Always,
        AllowArgs { session: true, .. } => ApprovalDecision::Session,
        AllowArgs { .. } => ApprovalDecision::Once,
    }
}

async fn list(supervisor: &SupervisorClient, json: bool, console: &mut Console) -> Result<Exit, CliError> {
    let held = match supervisor.question(OperatorToSupervisor::HeldCalls).await? {
        SupervisorToOperator::HeldCalls(held) => held,
        _ => return Err(CliError::SupervisorAnswer),
    };
    if json {
        writeln!(console.out, "{}", held.iter().map(held_view).collect::<Value>())?;
        return Ok(Exit::Ok);
    }
    if held.is_empty() {
        console.remark("no call waits for approval");
        return Ok(Exit::Ok);
    }
    let now = Duration::from_millis(unix_millis(SystemTime::now()));
    for call in &held {
        for line in lines_of(call, now) {
            writeln!(console.out, "{}", wrapped(&line, console.width, "    "))?;
        }
    }
    console.remark("`mcproxy approvals allow ID` allows one, `mcproxy approvals refuse ID` refuses it");
    Ok(Exit::Ok)
}

/// A call, for people: who wants what, with which arguments, and until when.
fn lines_of(call: &HeldCall, now: Duration) -> [String; 2] {
    let left = Duration::from_millis(call.until_ms).saturating_sub(now);
    let client = call.client.as_ref().map(|client| format!(" ({client})")).unwrap_or_default();
    let who = call.principal.as_deref().unwrap_or("a client");
    let user = if call.asks_user { "; its user is asked as well" } else { "" };
    let what = format!(
        "{} {who}{client} wants to call {} of {} at {}; refused in {}{user}",
        call.id,
        call.tool,
        call.server,
        call.endpoint,
        duration(left)
    );
    [one_line(&what), format!("    {}", one_line(&call.arguments))]
}

fn held_view(call: &HeldCall) -> Value {
    json!({
        "id": call.id,
        "since": moment(call.at_ms),
        "until": moment(call.until_ms),
        "principal": call.principal,
        "client": call.client,
        "endpoint": call.endpoint,
        "server": call.server.as_str(),
        "tool": call.tool,
        "arguments": call.arguments,
        "asksUser": call.asks_user,
    })
}

async fn rules(supervisor: &SupervisorClient, json: bool, console: &mut Console) -> Result<Exit, CliError> {
    let rules = match supervisor.question(OperatorToSupervisor::ApprovalRules).await? {
        SupervisorToOperator::ApprovalRules(rules) => rules,
        _ => return Err(CliError::SupervisorAnswer),
    };
    if json {
        writeln!(console.out, "{}", rules.iter().map(rule_view).collect::<Value>())?;
    } else if rules.is_empty() {
        console.remark("no approval is kept");
    } else {
        let mut table = Table::new(&["ID", "SINCE", "TOKEN", "SERVER", "TOOL", "BY"], &[]);
        for rule in &rules {
            let token = rule.principal.as_deref().unwrap_or("-");
            table.row(vec![
                one_line(&rule.id),
                moment(rule.at_ms),
                one_line(token),
                rule.server.to_string(),
                one_line(&rule.tool),
                one_line(&rule.by),
            ]);
        }
        table.write(&mut console.out, console.width)?;
    }
    Ok(Exit::Ok)
}

fn rule_view(rule: &ApprovalRule) -> Value {
    let definition: String = rule.definition.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "id": rule.id,
        "since": moment(rule.at_ms),
        "by": rule.by,
        "principal": rule.principal,
        "server": rule.server.as_str(),
        "tool": rule.tool,
        "definitionSha256": definition,
    })
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::ServerName;

    use super::*;

    #[test]
    fn a_call_is_told_with_who_what_and_how_long() {
        let call = HeldCall {
            id: "0a1b".into(),
            at_ms: 0,
            until_ms: 90_000,
            principal: Some("ann".into()),
            client: Some("editor 1".into()),
            endpoint: "all".into(),
            server: ServerName::try_from("files").expect("a name"),
            tool: "delete".into(),
            arguments: "{\"path\":\"/x\"}".into(),
            asks_user: true,
        };
        let [what, arguments] = lines_of(&call, Duration::from_secs(30));
        assert_eq!(
            what,
            "0a1b ann (editor 1) wants to call delete of files at all; refused in 1m 0s; its user is asked as well"
        );
        assert_eq!(arguments.trim(), "{\"path\":\"/x\"}");
    }
}
