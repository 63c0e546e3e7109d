//! Problems of a configuration that is in force all the same: mistakes of single servers, and what is not understood.

use mcproxy_config::{Config, Problems, Severity};
use slog::{Logger, error, warn};

use crate::bounded_text::{MAX_CONFIG_ERROR, cut};

/// Logs each of them.
pub(crate) fn log(problems: &Problems, log: &Logger) {
    for (problem, line) in problems.list().iter().zip(problems.lines()) {
        match problem.severity {
            Severity::Error => {
                error!(log, "a server's entry has a mistake, the others are in force"; "problem" => line)
            }
            Severity::Warning => warn!(log, "configuration is not understood in full"; "problem" => line),
        }
    }
    if problems.more() > 0 {
        warn!(log, "configuration is not understood in full"; "problem" => format!("{} more problems", problems.more()));
    }
}

/// The problems as a status shows them: one line each, as many as fit.
pub(crate) fn told(problems: &Problems) -> Vec<String> {
    let mut room = MAX_CONFIG_ERROR;
    let fits = |line: &String| {
        room = room.saturating_sub(line.len());
        room > 0
    };
    problems.lines().into_iter().map(|line| cut(line, MAX_CONFIG_ERROR / 16)).take_while(fits).collect()
}

/// A server that runs is not given up for a mistake in its new entry: the earlier one stays in force. Returns the mistakes.
pub(crate) fn keep_earlier(new: &mut Config, old: &Config) -> Vec<String> {
    let mistaken: Vec<usize> =
        (0..new.servers.len()).filter(|&at| new.mistaken().any(|server| server.name == new.servers[at].name)).collect();
    for at in mistaken {
        let earlier = old.server(new.servers[at].name.as_str());
        if let Some(earlier) = earlier.filter(|earlier| !old.mistaken().any(|server| server.name == earlier.name)) {
            new.servers[at] = earlier.clone();
        }
    }
    let errors = new.problems.list().iter().zip(new.problems.lines());
    errors.filter(|(problem, _)| problem.severity == Severity::Error).map(|(_, line)| line).collect()
}

/// Whether there is a mistake among them, and not only what is not understood.
pub(crate) fn has_mistakes(problems: &Problems) -> bool {
    problems.more() > 0 || problems.list().iter().any(|problem| problem.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text, &|_| None).expect("in force")
    }

    #[test]
    fn a_mistake_in_an_entry_keeps_its_earlier_form_and_costs_the_others_nothing() {
        let old = parse(r#"{"mcpServers": {"a": {"command": "x"}, "b": {"command": "x"}}}"#);
        let mut new = parse(
            r#"{"mcpServers": {"a": {"command": "y", "timeout": "1"}, "b": {"command": "y"}, "c": {"command": ""}}}"#,
        );
        let mistakes = keep_earlier(&mut new, &old);
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert_eq!(new.server("a"), old.server("a"));
        assert_ne!(new.server("b"), old.server("b"));
        assert!(new.mistaken().all(|server| server.name.as_str() == "c"));
    }

    #[test]
    fn what_a_status_shows_of_them_is_bounded() {
        let keys: Vec<String> =
            (0..100).map(|n| format!(r#""s{n}": {{"command": "x", "{}{n}": 1}}"#, "k".repeat(5000))).collect();
        let told = told(&parse(&format!(r#"{{"mcpServers": {{{}}}}}"#, keys.join(","))).problems);
        assert!(told.len() > 10 && told.iter().map(String::len).sum::<usize>() <= MAX_CONFIG_ERROR + 3 * told.len());
    }
}
