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
    let (mut model, mut told) = (LiveModel::default(), Told::new());
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

/// What was told of each server, and how often it had been started again.
type Told = BTreeMap<String, (String, u64)>;

fn tell(model: &LiveModel, told: &mut Told, console: &mut Console) -> Result<(), CliError> {
    for line in changes(&model.servers, told) {
        writeln!(console.out, "{line}")?;
    }
    console.out.flush()?;
    Ok(())
}

/// A line for each server that is otherwise than it was told, or that was started again between two looks.
fn changes(servers: &[LiveServer], told: &mut Told) -> Vec<String> {
    let mut lines = Vec::new();
    for server in servers {
        let remark = server.remark();
        let now = if remark.is_empty() { server.state.clone() } else { format!("{} ({remark})", server.state) };
        let restarts = server.restarts.unwrap_or_default();
        let again = match told.get(&server.name) {
            Some((before, count)) if *before == now && *count == restarts => continue,
            Some((before, count)) if *before == now && *count < restarts => ", after a restart",
            Some(_) | None => "",
        };
        lines.push(format!("{}: {now}{again}", server.name));
        told.insert(server.name.clone(), (now, restarts));
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
        let mut told = Told::new();
        assert_eq!(changes(&[server("a", "ready"), server("b", "starting")], &mut told), ["a: ready", "b: starting"]);
        assert!(changes(&[server("a", "ready"), server("b", "starting")], &mut told).is_empty());
        let failed = LiveServer { last_error: Some("boom\nmore".into()), ..server("b", "backoff") };
        assert_eq!(changes(&[failed], &mut told), ["b: backoff (boom)", "a: removed"]);
        let restarted = |count| LiveServer { restarts: Some(count), ..server("c", "ready") };
        assert_eq!(changes(&[restarted(0)], &mut told), ["c: ready", "b: removed"]);
        assert_eq!(changes(&[restarted(1)], &mut told), ["c: ready, after a restart"]);
        assert!(changes(&[restarted(1)], &mut told).is_empty());
    }
}
