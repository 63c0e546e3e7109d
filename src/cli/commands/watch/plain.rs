//! What changes, as lines, where there is no terminal.

use std::collections::BTreeMap;

use crate::cli::{
    console::Console,
    error::CliError,
    exit::Exit,
    live::{LiveEvent, LiveFeed, LiveModel, LiveServer, call_line},
};

/// Prints every change.
pub(super) async fn run(mut feed: LiveFeed, console: &mut Console) -> Result<Exit, CliError> {
    if !feed.has_calls() {
        console.remark(super::NO_CALLS);
    }
    let (mut model, mut told) = (LiveModel::default(), BTreeMap::new());
    if let Some(now) = feed.now().await {
        model.apply(now);
        tell(&model, &mut told, console)?;
    }
    while let Some(event) = feed.next().await? {
        if let LiveEvent::Calls { calls, .. } = &event {
            for line in calls.iter().filter_map(call_line) {
                writeln!(console.out, "{line}")?;
            }
        }
        model.apply(event);
        tell(&model, &mut told, console)?;
    }
    console.remark("mcproxy: MCProxy has ended, or the connection to it");
    Ok(Exit::Unavailable)
}

fn tell(model: &LiveModel, told: &mut BTreeMap<String, String>, console: &mut Console) -> Result<(), CliError> {
    for line in changes(&model.servers, told) {
        writeln!(console.out, "{line}")?;
    }
    console.out.flush()?;
    Ok(())
}

/// A line for each server that is otherwise than it was told.
fn changes(servers: &[LiveServer], told: &mut BTreeMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for server in servers {
        let remark = server.remark();
        let now = if remark.is_empty() { server.state.clone() } else { format!("{} ({remark})", server.state) };
        if told.get(&server.name) != Some(&now) {
            lines.push(format!("{}: {now}", server.name));
            told.insert(server.name.clone(), now);
        }
    }
    let gone: Vec<String> =
        told.keys().filter(|name| !servers.iter().any(|server| server.name == **name)).cloned().collect();
    for name in gone {
        told.remove(&name);
        lines.push(format!("{name}: removed"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told() {
        let server =
            |name: &str, state: &str| LiveServer { name: name.into(), state: state.into(), ..LiveServer::default() };
        let mut told = BTreeMap::new();
        assert_eq!(changes(&[server("a", "ready"), server("b", "starting")], &mut told), ["a: ready", "b: starting"]);
        assert!(changes(&[server("a", "ready"), server("b", "starting")], &mut told).is_empty());
        let failed = LiveServer { last_error: Some("boom\nmore".into()), ..server("b", "backoff") };
        assert_eq!(changes(&[failed], &mut told), ["b: backoff (boom)", "a: removed"]);
    }
}
