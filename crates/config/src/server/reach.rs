//! How the server of an entry is reached.
//!
//! To add a way: its keys in `raw/server.rs`, and in this file what is checked of them and the [`Reach`] that they come to.

use std::path::PathBuf;

use mcproxy_ipc::{LaunchSpec, Reach, Secret};

use super::checks::ServerChecks;
use super::remote;
use crate::interpolate::Expanded;
use crate::raw::RawServer;
use crate::tree::Node;

/// How it is reached, with the node that it was read from.
pub(super) fn read(raw: &RawServer, node: &Node) -> Reach {
    if remote::is_remote(raw) {
        let parts = ["url", "headers", "bearerToken", "oauth", "tls", "proxy"];
        return Reach::Http(Box::new(remote::read(raw, looked_up(node, &parts))));
    }
    Reach::Command(LaunchSpec {
        program: raw.command.clone(),
        args: raw.args.iter().map(Secret::new).collect(),
        env: raw.settings.env.iter().map(|(name, value)| (name.clone(), Secret::new(value))).collect(),
        cwd: raw.settings.cwd.as_ref().map(PathBuf::from),
        looked_up: looked_up(node, &["command", "args"]),
    })
}

/// The command as written in the file, or the address without what may be secret, for people; references in it are not replaced.
pub(super) fn written(node: &Node) -> String {
    let of = |key: &str| node.get(key).and_then(Node::text).map(|text| text.written.as_str());
    match (of("command").filter(|command| !command.is_empty()), of("url")) {
        (Some(command), _) => command.to_owned(),
        (None, Some(url)) => {
            let shown = url.split(['?', '#']).next().unwrap_or_default();
            let (scheme, rest) = shown.split_once("://").unwrap_or(("", shown));
            let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
            let host = authority.rsplit('@').next().unwrap_or_default();
            let slash = if rest.contains('/') { "/" } else { "" };
            if scheme.is_empty() { shown.to_owned() } else { format!("{scheme}://{host}{slash}{path}") }
        }
        (None, None) => String::new(),
    }
}

/// Every text that travels to the worker, for the bound on them.
pub(crate) fn texts(raw: &RawServer) -> impl Iterator<Item = &str> {
    let env = raw.settings.env.iter().flat_map(|(name, value)| [name, value]);
    [&raw.command]
        .into_iter()
        .chain(&raw.args)
        .chain(env)
        .chain(&raw.settings.cwd)
        .map(String::as_str)
        .chain(remote::texts(&raw.remote))
}

/// Checks that the schema cannot express.
pub(super) fn check(raw: &RawServer, checks: &mut ServerChecks<'_>) {
    let kind = raw.kind.as_deref();
    let is_stdio = kind.is_none_or(|kind| kind.eq_ignore_ascii_case("stdio"));
    if remote::is_remote(raw) {
        return remote::check(raw, checks);
    }
    if !is_stdio {
        checks.problem(&["type"], "expected `stdio`, `http` or `sse`");
    } else if checks.node.get("command").is_none() && checks.report.first_error().is_none() {
        checks.problem(&[], "`command` is missing, or `url` for a server that is reached over the network");
    }
    remote::check_command(checks);
    check_command(&raw.command, checks);
    check_texts(raw, checks);
}

fn check_command(command: &str, checks: &mut ServerChecks<'_>) {
    // A missing one has been reported, and one that is wrong left out.
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

/// Values of the environment in these parts of an entry. (`env` holds such values anyway.)
fn looked_up(node: &Node, parts: &[&str]) -> Vec<Secret> {
    let mut values = Vec::new();
    for part in parts.iter().filter_map(|key| node.get(key)) {
        part.each_text(&mut |_, text| {
            if let Expanded::Replaced(_, of) = &text.expanded {
                values.extend(of.iter().map(Secret::new));
            }
        });
    }
    values
}
