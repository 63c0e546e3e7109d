//! Rules for tools: from what is written to what the gateway follows, and what makes a new name unfit.

use std::collections::{BTreeMap, HashSet};

use mcproxy_ipc::{SuspicionRule, ToolAnnotations, ToolRules};

use crate::raw::{RawAnnotations, RawSuspicious, RawTools};

/// The rules of a server.
pub(crate) fn of_server(raw: &RawTools) -> ToolRules {
    ToolRules {
        allow: raw.allow.clone().unwrap_or_default(),
        deny: raw.deny.clone(),
        rename: pairs(&raw.rename),
        describe: pairs(&raw.describe),
        title: pairs(&raw.title),
        annotations: raw.annotations.iter().map(|(tool, new)| (tool.clone(), annotations(new))).collect(),
        suspicious: match raw.suspicious {
            RawSuspicious::Ignore => SuspicionRule::Ignore,
            RawSuspicious::Report => SuspicionRule::Report,
            RawSuspicious::Hold => SuspicionRule::Hold,
        },
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(tool, new)| (tool.clone(), new.clone())).collect()
}

/// What is written of a tool's annotations.
pub(crate) fn annotations(raw: &RawAnnotations) -> ToolAnnotations {
    ToolAnnotations {
        title: raw.title.clone(),
        read_only: raw.read_only_hint,
        destructive: raw.destructive_hint,
        idempotent: raw.idempotent_hint,
        open_world: raw.open_world_hint,
    }
}

/// The new names that no tool can have, by the tool's own name. `of`: the server of a tool, among whose tools a name is there
/// once.
pub(crate) fn rename_complaints<'r>(
    rename: impl Iterator<Item = (&'r String, &'r String)>,
    of: impl Fn(&'r str) -> &'r str,
) -> Vec<(&'r str, &'static str)> {
    let mut taken = HashSet::new();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let complaint = |(old, new): (&'r String, &'r String)| {
        let twice = !taken.insert((of(old), new.as_str()));
        let message = if new.is_empty() || new.len() > 128 || !new.chars().all(fits) {
            "a tool's name is 1 to 128 letters, digits, `_`, `-`, `.` or `/`"
        } else if twice {
            "another tool gets the same name"
        } else {
            return None;
        };
        Some((old.as_str(), message))
    };
    rename.filter_map(complaint).collect()
}
