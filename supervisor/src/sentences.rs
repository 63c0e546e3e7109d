//! The effects of a reload, in sentences for the person who asked for it.

use mcproxy_config::ConfigDiff;
use mcproxy_ipc::ServerName;

/// One sentence for each kind of change. `servers`: how many are configured now; of the `troubled` ones others say how they are.
pub(crate) fn sentences(changes: &ConfigDiff, listen: &str, servers: usize, troubled: &[ServerName]) -> Vec<String> {
    if changes.is_empty() {
        let servers = match servers {
            0 => "no server is configured".to_owned(),
            1 => "the one server was left alone".to_owned(),
            many => format!("all {many} servers were left alone"),
        };
        return vec![format!("Nothing has changed: the file says what is in force, and {servers}.")];
    }
    let well = changes.changed.iter().filter(|change| !troubled.contains(&change.name));
    let (anew, beside): (Vec<_>, Vec<_>) = well.partition(|change| change.needs_new_worker);
    let names = |changes: &[&mcproxy_config::ServerChange]| list(changes.iter().map(|change| &change.name));
    let say = |is_so: bool, sentence: String| is_so.then_some(sentence);
    let kept = servers.saturating_sub(changes.added.len() + changes.changed.len());
    let were = |count: usize| if count == 1 { "was" } else { "were" };
    let parts = [
        say(!changes.added.is_empty(), format!("{} {} added.", list(changes.added.iter()), were(changes.added.len()))),
        say(
            !changes.removed.is_empty(),
            format!("{} {} removed and stopped.", list(changes.removed.iter()), were(changes.removed.len())),
        ),
        say(!anew.is_empty(), format!("{} {} changed and started anew.", names(&anew), were(anew.len()))),
        say(
            !beside.is_empty(),
            format!("{} {} changed without being started anew.", names(&beside), were(beside.len())),
        ),
        say(changes.reordered, "The servers stand in another order, which is the order of the tools.".to_owned()),
        say(changes.gateway_changed, "The settings of the gateway have changed and are in force.".to_owned()),
        say(changes.supervisor_changed, "The log level or `shutdownGrace` has changed and is in force.".to_owned()),
        say(
            changes.listen_changed,
            format!("Clients are accepted at http://{listen}/mcp now; connections to the old address go on."),
        ),
        say(
            !changes.needs_restart.is_empty(),
            format!(
                "Changes of `{}` are in force when MCProxy is started again.",
                changes.needs_restart.join("` and `")
            ),
        ),
        say(
            kept > 0,
            format!(
                "{} left alone.",
                if kept == 1 { "1 other server was".to_owned() } else { format!("{kept} other servers were") }
            ),
        ),
    ];
    parts.into_iter().flatten().collect()
}

/// `a`, `a and b`, `a, b and c`.
fn list<'a>(names: impl Iterator<Item = &'a ServerName>) -> String {
    let names: Vec<&str> = names.map(ServerName::as_str).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_config::ServerChange;

    use super::*;

    fn name(text: &str) -> ServerName {
        ServerName::try_from(text).expect("valid")
    }

    fn said(changes: &ConfigDiff, servers: usize) -> Vec<String> {
        sentences(changes, "127.0.0.1:12991", servers, &[])
    }

    #[test]
    fn a_reload_says_in_sentences_what_it_changed_and_what_it_left_alone() {
        let change = |text: &str, needs_new_worker| ServerChange { name: name(text), needs_new_worker };
        let changes = ConfigDiff {
            added: vec![name("a"), name("b"), name("c")],
            removed: vec![name("d")],
            changed: vec![change("e", true), change("f", false)],
            listen_changed: true,
            gateway_changed: true,
            needs_restart: vec!["hardening", "isolation"],
            ..ConfigDiff::default()
        };
        assert_eq!(
            said(&changes, 7),
            [
                "a, b and c were added.",
                "d was removed and stopped.",
                "e was changed and started anew.",
                "f was changed without being started anew.",
                "The settings of the gateway have changed and are in force.",
                "Clients are accepted at http://127.0.0.1:12991/mcp now; connections to the old address go on.",
                "Changes of `hardening` and `isolation` are in force when MCProxy is started again.",
                "2 other servers were left alone.",
            ]
        );
        let of_others = sentences(&changes, "127.0.0.1:12991", 7, &[name("e")]);
        assert!(!of_others.iter().any(|sentence| sentence.contains("e was")), "{of_others:?}");
    }

    #[test]
    fn a_reload_that_changes_nothing_says_that() {
        let said = said(&ConfigDiff::default(), 2);
        assert_eq!(said, ["Nothing has changed: the file says what is in force, and all 2 servers were left alone."]);
    }
}
