//! One entry, in our words.

use super::filters::Filters;
use super::keys::{Use, in_entry};
use super::{ServerEntry, Source, members_mut, oauth, remote, take, texts, timeouts, values, word};
use crate::server::Blocked;
use crate::tree::{Node, TreeMember, TreeValue};

/// Turns what is said in another program's words into ours. `local`, `process` and the like are `stdio` there.
pub(crate) fn translate(entry: &mut ServerEntry, source: Source<'_>) {
    without_nulls(&mut entry.node);
    unfold(&mut entry.node);
    let remote = remote::translate(&mut entry.node, &mut entry.report);
    if let Some(Err((at, blocked))) = remote {
        entry.report.warn(at, blocked.to_string());
        entry.blocked = Some(blocked);
        // The rest is not worth checking; whether it is wanted, is.
        if let Some(members) = members_mut(&mut entry.node) {
            members.retain(|member| matches!(member.key.as_str(), "enabled" | "disabled" | "isActive" | "active"));
        }
    }
    oauth::translate(&mut entry.node, &mut entry.report);
    let milliseconds = timeouts::in_milliseconds(&entry.node);
    let mut filters = Filters::default();
    filters.tools(&mut entry.node, &mut entry.report);
    filters.options(&mut entry.node, &mut entry.report);
    rename(entry, &mut filters);
    filters.put(&mut entry.node);
    values::command(&mut entry.node);
    kind(&mut entry.node);
    for key in ["enabled", "disabled"] {
        if let Some(node) = entry.node.get_mut(key) {
            values::truth(node, &mut entry.report);
        }
    }
    if entry.blocked.is_some() {
        if let Some(members) = members_mut(&mut entry.node) {
            members.retain(|member| matches!(member.node.value, TreeValue::Bool(_)));
        }
        return;
    }
    if let Some(node) = entry.node.get_mut("args") {
        values::arguments(node, source, &mut entry.report);
    }
    values::without_shell_of_windows(&mut entry.node, &mut entry.report);
    for key in ["env", "headers"] {
        if let Some(node) = entry.node.get_mut(key) {
            values::variables(node, source, &mut entry.report);
        }
    }
    timeouts::convert(&mut entry.node, milliseconds, &mut entry.report);
    strict_reading(&mut entry.node);
    texts::read(&mut entry.node, source, &mut entry.report);
    if leads_back(&entry.node) {
        let at = entry.node.get("command").map_or(entry.node.span.start, |node| node.span.start);
        entry.report.warn(at, Blocked::Itself.to_string());
        entry.blocked = Some(Blocked::Itself);
    }
}

/// What of it the settings in `defaults` need, too.
pub(crate) fn translate_settings(settings: &mut Node, source: Source<'_>) {
    strict_reading(settings);
    texts::paths(settings, source);
}

/// `sandbox: "strict"` in words that what an entry and the defaults say besides can be merged with.
fn strict_reading(settings: &mut Node) {
    let Some(sandbox) = settings.get_mut("sandbox") else { return };
    if word(sandbox) != Some("strict") {
        return;
    }
    let span = sandbox.span.clone();
    let nothing = Node { span: span.clone(), value: TreeValue::Array(Vec::new()) };
    sandbox.value = TreeValue::Object(vec![TreeMember { key: "read".into(), key_span: span, node: nothing }]);
}

/// Continue writes all of a server below `transport`, old files of others below `config`.
fn unfold(node: &mut Node) {
    for key in ["transport", "config"] {
        if !node.get(key).is_some_and(|inner| inner.get("command").is_some() || inner.get("type").is_some()) {
            continue;
        }
        let Some(TreeMember { node: Node { value: TreeValue::Object(inner), .. }, .. }) = take(node, key) else {
            continue;
        };
        let Some(members) = members_mut(node) else { continue };
        for member in inner {
            if !members.iter().any(|own| own.key == member.key) {
                members.push(member);
            }
        }
    }
}

/// Keys that mean one of ours. Where both are written ours wins, and the other is named.
fn rename(entry: &mut ServerEntry, filters: &mut Filters) {
    let ServerEntry { node, report, .. } = entry;
    let Some(members) = members_mut(node) else { return };
    let own: Vec<String> = members.iter().map(|member| member.key.clone()).collect();
    members.retain_mut(|member| match in_entry(&member.key) {
        Some(Use::Means(ours)) if own.iter().any(|key| key == ours) => {
            report
                .warn(member.key_span.start, format!("`{}` is ignored: it means `{ours}`, which is there", member.key));
            false
        }
        Some(Use::Means(ours)) => {
            member.key = (*ours).to_owned();
            true
        }
        Some(Use::Allow) => {
            filters.allow(member, report);
            false
        }
        Some(Use::Deny) => {
            filters.deny(member, report);
            false
        }
        Some(Use::Quiet) => false,
        Some(Use::Ignored(_)) | None => true,
    });
}

/// Keys that are read here, before the shape leaves out what is null.
const READ_HERE: &[&str] =
    &["command", "args", "env", "cwd", "type", "url", "headers", "enabled", "disabled", "tools", "options", "timeout"];

/// To other programs null is no value.
fn without_nulls(node: &mut Node) {
    let Some(members) = members_mut(node) else { return };
    members.retain(|member| {
        let key = member.key.as_str();
        !matches!(member.node.value, TreeValue::Null) || !(READ_HERE.contains(&key) || in_entry(key).is_some())
    });
}

/// Words for a server that is started.
fn kind(node: &mut Node) {
    let Some(kind) = node.get("type").and_then(word) else { return };
    if matches!(kind.to_ascii_lowercase().as_str(), "" | "local" | "process" | "command" | "custom" | "stdio") {
        take(node, "type");
    }
}

/// Whether it starts the client of this very MCProxy: a file that was made for one has such an entry.
fn leads_back(node: &Node) -> bool {
    let program = node.get("command").and_then(word).unwrap_or_default();
    let args: Vec<&str> = node.get("args").map(Node::elements).unwrap_or_default().iter().filter_map(word).collect();
    program.rsplit('/').next() == Some("mcproxy") && args == ["connect"]
}
