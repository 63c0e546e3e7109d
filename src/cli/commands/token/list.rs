//! `mcproxy token list`: the tokens in force, what each may use, and when it was last used.

use std::time::SystemTime;

use data_encoding::HEXLOWER;
use mcproxy_ipc::{
    ApprovalMode,
    control::{TokenAccess, TokenStatus, ToolView},
    moment, unix_seconds,
};
use serde_json::{Value, json};

use crate::cli::{
    console::Console, error::CliError, exit::Exit, human::one_line, supervisor::SupervisorClient, table::Table,
};

/// Prints the tokens.
pub(crate) async fn run(supervisor: &SupervisorClient, json: bool, console: &mut Console) -> Result<Exit, CliError> {
    let tokens = supervisor.tokens().await?;
    if json {
        let all: Vec<Value> = tokens.iter().map(view).collect();
        writeln!(console.out, "{}", Value::from(all))?;
    } else if tokens.is_empty() {
        console.remark("there are no tokens: every client that reaches the port may call");
    } else {
        let mut table = Table::new(&["NAME", "SHA-256", "EXPIRES", "LAST USED", "MAY USE"], &[]);
        for token in &tokens {
            table.row(vec![
                one_line(&token.name),
                format!("{}…", hash(token)),
                token.expires.map_or_else(|| "never".to_owned(), second),
                token.last_used.map_or_else(|| "not since the start".to_owned(), at_second),
                one_line(&may_use(&token.access)),
            ]);
        }
        table.write(&mut console.out, console.width)?;
    }
    Ok(Exit::Ok)
}

fn hash(token: &TokenStatus) -> String {
    HEXLOWER.encode(&token.sha256)
}

/// What a token may use, in few words.
fn may_use(access: &TokenAccess) -> String {
    let servers = access.servers.iter().flatten().map(|name| name.to_string());
    let groups = access.groups.iter().flatten().map(|name| format!("group {name}"));
    let reached: Vec<String> = servers.chain(groups).collect();
    let reached = match (access.servers.is_some() || access.groups.is_some(), reached.is_empty()) {
        (false, _) if access.tools.is_some() => String::new(),
        (false, _) => "all".to_owned(),
        (true, true) => "nothing".to_owned(),
        (true, false) => reached.join(", "),
    };
    let tools = access.tools.as_ref().map(|tools| format!("tools {}", tools.join(", ")));
    let found = (access.view == ToolView::Search).then(|| "by search".to_owned());
    let parts = [Some(reached).filter(|reached| !reached.is_empty()), tools, found];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn second(at: SystemTime) -> String {
    at_second(unix_seconds(at))
}

fn at_second(second: u64) -> String {
    let text = moment(second.saturating_mul(1000));
    text.strip_suffix(".000Z").map_or_else(|| text.clone(), |text| format!("{text}Z"))
}

fn view(token: &TokenStatus) -> Value {
    let TokenAccess { servers, groups, tools, view, approve } = &token.access;
    json!({
        "name": token.name,
        "sha256": hash(token),
        "servers": servers,
        "groups": groups,
        "tools": tools,
        "view": match view { ToolView::List => "list", ToolView::Search => "search" },
        "approve": match approve {
            ApprovalMode::Never => "never",
            ApprovalMode::Destructive => "destructive",
            ApprovalMode::Always => "always",
        },
        "expires": token.expires.map(second),
        "lastUsed": token.last_used.map(at_second),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_may_use_is_said_in_few_words() {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let access = TokenAccess::default();
        assert_eq!(may_use(&access), "all");
        assert_eq!(may_use(&TokenAccess { servers: Some(Vec::new()), ..access.clone() }), "nothing");
        assert_eq!(
            may_use(&TokenAccess { groups: texts(&["home"]), view: ToolView::Search, ..access.clone() }),
            "group home; by search"
        );
        assert_eq!(may_use(&TokenAccess { tools: texts(&["a__*"]), ..access }), "tools a__*");
        assert_eq!(at_second(951_782_400), "2000-02-29T00:00:00Z");
    }
}
