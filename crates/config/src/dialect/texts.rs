//! Texts that a shell would change before a program sees them.

use super::Source;
use crate::interpolate::{Expanded, WORKSPACE};
use crate::report::Report;
use crate::server::SANDBOX_PATHS;
use crate::tree::{ConfigText, Node, TreeValue};

/// Replaces `~` where it is a path's, and warns of what will not be replaced.
pub(super) fn read(entry: &mut Node, source: Source<'_>, report: &mut Report) {
    paths(entry, source);
    for key in ["command", "cwd"] {
        if let Some((text, at)) = entry.get(key).and_then(|node| Some((node.text()?, node.span.start))) {
            unreplaced_variable(text, at, report);
        }
    }
    for argument in entry.get("args").map(Node::elements).unwrap_or_default() {
        let Some(text) = argument.text() else { continue };
        let value = text.written.rsplit_once('=').map_or(text.written.as_str(), |(_, value)| value);
        if below_home(value).is_some() {
            report.warn(argument.span.start, "`~` is not replaced in arguments; write ${HOME}");
        }
        unreplaced_variable(text, argument.span.start, report);
    }
    let headers = entry.get("headers").map(Node::members).unwrap_or_default();
    for header in headers {
        if let Some(text) = header.node.text() {
            unreplaced_variable(text, header.node.span.start, report);
        }
    }
    for variable in entry.get("env").map(Node::members).unwrap_or_default() {
        let Some(text) = variable.node.text() else { continue };
        if below_home(&text.written).is_some() {
            report.warn(variable.node.span.start, "`~` is not replaced in variables; write ${HOME}");
        }
        unreplaced_variable(text, variable.node.span.start, report);
    }
    workspace(entry, report);
}

/// Replaces `~` at the beginning of every path of a server or of the defaults.
pub(super) fn paths(settings: &mut Node, source: Source<'_>) {
    for key in ["command", "cwd"] {
        if let Some(node) = settings.get_mut(key) {
            path(node, source);
        }
    }
    for key in ["ca", "clientCert", "clientKey"] {
        if let Some(node) = settings.get_mut("tls").and_then(|tls| tls.get_mut(key)) {
            path(node, source);
        }
    }
    let Some(sandbox) = settings.get_mut("sandbox") else { return };
    for key in SANDBOX_PATHS {
        if let Some(Node { value: TreeValue::Array(paths), .. }) = sandbox.get_mut(key) {
            paths.iter_mut().for_each(|node| path(node, source));
        }
    }
}

fn path(node: &mut Node, source: Source<'_>) {
    if let TreeValue::String(text) = &mut node.value
        && let Some(rest) = below_home(&text.written)
    {
        *text = home(text, rest, source);
    }
}

/// The part after `~` in a path that begins there.
fn below_home(path: &str) -> Option<&str> {
    path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn home(text: &ConfigText, rest: &str, source: Source<'_>) -> ConfigText {
    let whole = ConfigText::new(format!("${{HOME}}{rest}"), source.lookup);
    ConfigText { written: text.written.clone(), expanded: whole.expanded }
}

/// `$NAME` alone or before a `/`. Other dollars occur in passwords.
fn unreplaced_variable(text: &ConfigText, at: usize, report: &mut Report) {
    let Some(rest) = text.written.strip_prefix('$') else { return };
    let name = rest.split('/').next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') && name.chars().all(is_name) {
        report.warn(at, "`$NAME` is not replaced, because no shell is involved; write `${NAME}`");
    }
}

/// Editors know a folder that is open; MCProxy knows where the file is.
fn workspace(entry: &Node, report: &mut Report) {
    let mut at = None;
    for part in ["command", "args", "env", "cwd"].iter().filter_map(|key| entry.get(key)) {
        part.each_text(&mut |node, text| {
            if text.written.contains(&format!("${{{WORKSPACE}}}")) && !matches!(text.expanded, Expanded::Lacking(_)) {
                at = at.or(Some(node.span.start));
            }
        });
    }
    if let Some(at) = at {
        report.warn(
            at,
            format!("`${{{WORKSPACE}}}` stands for the project that this file lies in; better write the path"),
        );
    }
}
