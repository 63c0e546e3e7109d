//! How the server of an entry is reached.
//!
//! To add a way: its keys in `raw/server.rs`, and in this file what is checked of them and the [`Reach`] that they come to.

use std::path::PathBuf;

use mcproxy_ipc::{LaunchSpec, Reach, Secret};

use super::checks::ServerChecks;
use crate::interpolate::Expanded;
use crate::raw::RawServer;
use crate::tree::Node;

/// How it is reached, with the node that it was read from.
pub(super) fn read(raw: &RawServer, node: &Node) -> Reach {
    Reach::Command(LaunchSpec {
        program: raw.command.clone(),
        args: raw.args.iter().map(Secret::new).collect(),
        env: raw.settings.env.iter().map(|(name, value)| (name.clone(), Secret::new(value))).collect(),
        cwd: raw.settings.cwd.as_ref().map(PathBuf::from),
        looked_up: looked_up(node),
    })
}

/// The command as written in the file, for people; references in it are not replaced. Empty without one.
pub(super) fn written(node: &Node) -> String {
    node.get("command").and_then(Node::text).map_or_else(String::new, |text| text.written.clone())
}

/// Every text that travels to the worker, for the bound on them.
pub(crate) fn texts(raw: &RawServer) -> impl Iterator<Item = &str> {
    let env = raw.settings.env.iter().flat_map(|(name, value)| [name, value]);
    [&raw.command].into_iter().chain(&raw.args).chain(env).chain(&raw.settings.cwd).map(String::as_str)
}

/// Checks that the schema cannot express.
pub(super) fn check(raw: &RawServer, checks: &mut ServerChecks<'_>) {
    if !raw.kind.eq_ignore_ascii_case("stdio") {
        checks.problem(&["type"], "the only type is `stdio`");
    }
    check_command(&raw.command, checks);
    check_texts(raw, checks);
}

fn check_command(command: &str, checks: &mut ServerChecks<'_>) {
    // A missing one has been reported.
    if checks.node.get("command").is_none() {
        return;
    }
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        [] => checks.problem(&["command"], "the command is empty"),
        // A path may have spaces in it; a name that is looked up has none.
        [program, ..] if !program.contains('/') && command.contains(char::is_whitespace) => {
            checks.problem(&["command"], "a command contains no spaces; write its arguments in `args`");
        }
        _ => {}
    }
}

/// Texts that the operating system cannot pass on.
fn check_texts(raw: &RawServer, checks: &mut ServerChecks<'_>) {
    let node = checks.node;
    let nul = "a NUL character cannot be passed to a program";
    let args = node.get("args").map(Node::elements).unwrap_or_default();
    let env = node.get("env").map(Node::members).unwrap_or_default();
    let single = [node.get("command"), node.get("cwd")].into_iter().flatten();
    for text in args.iter().chain(env.iter().map(|member| &member.node)).chain(single) {
        if text.text().is_some_and(|text| text.value().contains('\0')) {
            checks.report.add(text.span.start, nul);
        }
    }
    for variable in env {
        if variable.key.is_empty() || variable.key.contains(['=', '\0']) {
            checks
                .report
                .add(variable.key_span.start, "the name of an environment variable is not empty and has no `=`");
        }
    }
    if raw.settings.cwd.as_deref() == Some("") {
        checks.problem(&["cwd"], "the working directory is empty; leave the key out instead");
    }
}

/// Values of the environment in the command and its arguments. (`env` holds such values anyway.)
fn looked_up(node: &Node) -> Vec<Secret> {
    let mut values = Vec::new();
    for part in ["command", "args"].into_iter().filter_map(|key| node.get(key)) {
        part.each_text(&mut |_, text| {
            if let Expanded::Replaced(_, of) = &text.expanded {
                values.extend(of.iter().map(Secret::new));
            }
        });
    }
    values
}
