//! What needs a person, and what that person can do about it. Pure.

use std::{borrow::Cow, time::Duration};

use mcproxy_ipc::{HeldCall, ServerName, ServerState, ServerStatus, StatusReport};
use serde::Serialize;

/// A server that waits for so long before its next start has failed often.
const LONG_WAIT: Duration = Duration::from_secs(15);

/// Something that goes on only when a person does something.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct OpenNeed<'a> {
    kind: &'static str,
    server: Option<Cow<'a, str>>,
    text: Cow<'a, str>,
    remedy: Cow<'a, str>,
    /// What `approve` is to name, where that is what a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a str>,
    /// What `allow` and `refuse` are to name, where a call waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
}

/// All of them: calls that wait for approval first, then the file, then servers in its order. `unapproved`: how many tools of each are not as they were pinned.
pub(super) fn of<'a>(
    report: &'a StatusReport,
    unapproved: &[(ServerName, usize)],
    held_calls: &[HeldCall],
) -> Vec<OpenNeed<'a>> {
    let of_file = |text: &'static str| {
        move |problem| OpenNeed {
            kind: "config",
            server: None,
            text: Cow::Borrowed(problem),
            remedy: Cow::Borrowed(text),
            approval: None,
            held: None,
        }
    };
    let errors = report.config_error.as_deref().into_iter().flat_map(str::lines);
    let errors = errors.map(of_file(
        "mend the file; it is read again when it changes, and what was in force before stays in force until then",
    ));
    let warnings = report.config_warnings.iter().map(String::as_str);
    let warnings = warnings.map(of_file("mend the file; it is read again when it changes"));
    let servers = report.servers.iter().flat_map(|server| {
        let changed = unapproved.iter().find(|(name, count)| *name == server.name && *count > 0);
        of_server(server).chain(changed.map(|(_, count)| held(server, *count))).chain(of_lists(server))
    });
    held_calls.iter().map(of_call).chain(errors).chain(warnings).chain(servers).collect()
}

/// A call that waits for somebody who agrees to it.
fn of_call<'a>(call: &HeldCall) -> OpenNeed<'a> {
    let who = call.principal.as_deref().or(call.client.as_deref()).unwrap_or("a client");
    let text = format!("{who} wants to call `{}` with {}", call.tool, call.arguments);
    let remedy =
        format!("decide here, or with `mcproxy approvals allow {}`; without a decision it is refused", call.id);
    OpenNeed {
        kind: "approval",
        server: Some(call.server.to_string().into()),
        text: text.into(),
        remedy: remedy.into(),
        approval: None,
        held: Some(call.id.clone()),
    }
}

fn of_server(server: &ServerStatus) -> impl Iterator<Item = OpenNeed<'_>> {
    let kind = match server.state {
        ServerState::Blocked => Some("blocked"),
        ServerState::Failed => Some("failed"),
        ServerState::NeedsLogin => Some("needs-login"),
        // It has failed for some time, or will not work without somebody.
        ServerState::Backoff if server.retry_in.is_some_and(|wait| wait >= LONG_WAIT) => Some("failed"),
        ServerState::Stopped
        | ServerState::Idle
        | ServerState::Starting
        | ServerState::Ready
        | ServerState::Stopping
        | ServerState::Backoff => None,
    };
    kind.into_iter().map(move |kind| OpenNeed {
        kind,
        server: Some(server.name.as_str().into()),
        text: server.last_error.as_deref().unwrap_or("it does not run").into(),
        remedy: remedy(server).unwrap_or_default().into(),
        approval: None,
        held: None,
    })
}

/// Tools that a person has to look at.
fn held(server: &ServerStatus, count: usize) -> OpenNeed<'_> {
    let name = server.name.as_str();
    let text = match count {
        1 => "1 tool is not as approved".to_owned(),
        count => format!("{count} tools are not as approved"),
    };
    let remedy = format!(
        "`mcproxy tools diff {name}` shows what has changed; approve it here, or with `mcproxy tools approve {name}`"
    );
    OpenNeed {
        kind: "held",
        server: Some(name.into()),
        text: text.into(),
        remedy: remedy.into(),
        approval: Some(name),
        held: None,
    }
}

fn of_lists(server: &ServerStatus) -> impl Iterator<Item = OpenNeed<'_>> {
    server.list_failures.iter().map(|failure| OpenNeed {
        kind: "degraded",
        server: Some(server.name.as_str().into()),
        text: format!("it refuses {}: {}", failure.method, failure.error).into(),
        remedy: "MCProxy asks again; until then what this list would hold is missing. Look at the server's log, or restart it".into(),
        approval: None,
        held: None,
    })
}

/// What a person can do for a server.
pub(super) fn remedy(server: &ServerStatus) -> Option<String> {
    let name = &server.name;
    match server.state {
        ServerState::Blocked => {
            Some("change its entry, or set what it names; the file is read again when it changes".to_owned())
        }
        ServerState::Failed => {
            Some(format!("look at what it wrote, mend that, and restart it here or with `mcproxy restart {name}`"))
        }
        ServerState::NeedsLogin => Some(format!("run `mcproxy login {name}`")),
        ServerState::Backoff => {
            Some("mend what it says; it is started again by itself, and a restart does not wait".to_owned())
        }
        ServerState::Stopped
        | ServerState::Idle
        | ServerState::Starting
        | ServerState::Ready
        | ServerState::Stopping => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status_view::tests::report;

    #[test]
    fn what_waits_for_a_person_is_told_with_what_to_do_and_nothing_else_is() {
        let mut report = report();
        report.config_warnings.clear();
        assert_eq!(of(&report, &[], &[]), []);
        report.config_error = Some("a:1:2 wrong\na:3:4 wrong too".to_owned());
        report.servers[0].state = ServerState::NeedsLogin;
        report.servers[0].last_error = Some("needs login: 401".to_owned());
        let needs = of(&report, &[], &[]);
        assert_eq!(needs.iter().map(|need| need.kind).collect::<Vec<_>>(), ["config", "config", "needs-login"]);
        assert!(needs.iter().all(|need| !need.remedy.is_empty()));
        assert!(needs[2].remedy.contains("mcproxy login time"), "{needs:?}");
        report.config_error = None;
        report.servers[0].state = ServerState::Backoff;
        report.servers[0].retry_in = Some(Duration::from_secs(2));
        assert_eq!(of(&report, &[], &[]), [], "it will be back in a moment");
        report.servers[0].retry_in = Some(Duration::from_secs(60));
        assert_eq!(of(&report, &[], &[]).iter().map(|need| need.kind).collect::<Vec<_>>(), ["failed"]);
        report.servers[0].state = ServerState::Ready;
        let changed = [(report.servers[0].name.clone(), 2)];
        let needs = of(&report, &changed, &[]);
        assert_eq!(needs.iter().map(|need| (need.kind, need.approval)).collect::<Vec<_>>(), [("held", Some("time"))]);
        let call = HeldCall {
            id: "0a".into(),
            at_ms: 0,
            until_ms: 0,
            principal: Some("ann".into()),
            client: None,
            endpoint: "all".into(),
            server: report.servers[0].name.clone(),
            tool: "set".into(),
            arguments: "{}".into(),
            asks_user: false,
        };
        let needs = of(&report, &changed, &[call]);
        assert_eq!((needs[0].kind, needs[0].held.as_deref()), ("approval", Some("0a")));
        assert_eq!(needs[0].text, "ann wants to call `set` with {}");
    }
}
