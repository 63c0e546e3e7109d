//! What the running MCProxy says of itself and of its servers.

use mcproxy_ipc::{ConfigSource, ServerState, ServerStatus, StatusReport};

use super::finding::DoctorFinding;
use crate::{cli::human::one_line, status_view::endpoint_url};

/// Looks at the report; without one MCProxy does not run.
pub(super) fn look(report: Option<&StatusReport>) -> Vec<DoctorFinding> {
    let Some(report) = report else {
        return vec![DoctorFinding::hint(
            "MCProxy",
            "it does not run, or not for you",
            "`mcproxy init`, or `mcproxy-supervisor --log`",
        )];
    };
    let mut findings =
        vec![DoctorFinding::good("MCProxy", format!("{} runs at {}", report.version, endpoint_url(report)))];
    if report.version != env!("CARGO_PKG_VERSION") {
        let text = format!("it is version {}, this program is {}", report.version, env!("CARGO_PKG_VERSION"));
        findings.push(DoctorFinding::bad("MCProxy", text, "start it anew, so that all programs are of one build"));
    }
    if report.gateway.is_none() {
        findings.push(DoctorFinding::bad("gateway", "it does not run", "`mcproxy logs` says why"));
    }
    if report.config_source == ConfigSource::LastGood {
        findings.push(DoctorFinding::bad(
            "configuration",
            "MCProxy runs with an older one, because the file cannot be used",
            "mend the file; `mcproxy check` says what is wrong",
        ));
    } else if report.config_error.is_some() {
        findings.push(DoctorFinding::bad(
            "configuration",
            "the file on disk is not in force, or not all of it",
            "`mcproxy check` says what is wrong",
        ));
    }
    findings.extend(report.servers.iter().filter_map(of_server));
    findings
}

fn of_server(server: &ServerStatus) -> Option<DoctorFinding> {
    let name = server.name.as_str();
    if !server.wanted {
        return None;
    }
    let why = server.last_error.as_deref().and_then(|error| error.lines().map(one_line).find(|line| !line.is_empty()));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let help = match server.state {
        ServerState::NeedsLogin => format!("mcproxy login {name}"),
        ServerState::Blocked => "mend its entry, or set what it names; `mcproxy check` says where".to_owned(),
        ServerState::Failed => format!("`mcproxy logs {name}`, then `mcproxy restart {name}`"),
        ServerState::Backoff => format!("it is started again by itself; `mcproxy logs {name}` says what it wrote"),
        _ => {
            let failure = server.list_failures.first()?;
            let text = format!("{} fails: {}", failure.method, one_line(&failure.error));
            return Some(DoctorFinding::bad(name, text, format!("`mcproxy logs {name}`")));
        }
    };
    Some(DoctorFinding::bad(name, format!("{}{why}", server.state), help))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Gravity, *};

    #[test]
    fn a_server_that_does_not_run_is_named_with_what_to_do() {
        assert_eq!(look(None)[0].gravity, Gravity::Hint);
        let mut report = crate::status_view::tests::report();
        report.servers.truncate(1);
        let server = &mut report.servers[0];
        server.wanted = true;
        for (state, help) in [
            (ServerState::NeedsLogin, "mcproxy login"),
            (ServerState::Failed, "mcproxy restart"),
            (ServerState::Blocked, "mcproxy check"),
        ] {
            server.state = state;
            server.last_error = Some("\nboom\nmore".into());
            let found = of_server(server).expect("it is named");
            assert!(
                found.help.as_deref().is_some_and(|said| said.contains(help)) && found.message.ends_with(": boom"),
                "{found:?}"
            );
        }
        server.wanted = false;
        assert_eq!(of_server(server), None);
    }
}
