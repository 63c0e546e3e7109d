//! Files of other programs, turned into ours.
//!
//! Claude Desktop, Claude Code, Cursor, VS Code, Cline, Roo, Windsurf, Copilot CLI, Gemini CLI, Zed, opencode, FastMCP and
//! several gateways write the same few facts under different names. Each step is one table or one rule:
//!
//! 1. `containers`: where the servers are (`mcpServers`, a map or list called `servers`, `context_servers`, …).
//! 2. `remote`: which of them are reached over the network; `oauth`: how one logs in there.
//! 3. `entry`: keys that mean one of ours (`keys` has the tables), `values` in another form, `filters` of tools,
//!    `timeouts` in milliseconds, `texts` with `~` or `$HOME`.
//! 4. `names`: safe ones for those that are none.
//!
//! Keys that are not understood are left where they are, and the shape says so (`docs/decisions/0100`).

mod containers;
mod entry;
mod filters;
mod keys;
mod names;
mod oauth;
mod remote;
mod texts;
mod timeouts;
mod values;

pub(crate) use containers::{ServerEntry, take_entries};
pub(crate) use entry::{translate, translate_settings};
pub(crate) use keys::{Stranger, of_entry, of_file};
pub use names::{RESERVED_NAME, safe as safe_name};
pub(crate) use names::{assign, directory};

use crate::tree::{Node, TreeMember, TreeValue};

/// The file that is being read, for what a translation needs of it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The whole text, for numbers as they are written.
    pub(crate) text: &'a str,
    /// The environment.
    pub(crate) lookup: crate::interpolate::EnvLookup<'a>,
}

/// A value that stands for another one of the file, at its place.
fn in_place_of(node: &Node, value: TreeValue) -> Node {
    Node { span: node.span.clone(), value }
}

/// The members of an object, to change them; nothing else has any.
fn members_mut(node: &mut Node) -> Option<&mut Vec<TreeMember>> {
    match &mut node.value {
        TreeValue::Object(members) => Some(members),
        _ => None,
    }
}

/// Takes a member out.
fn take(node: &mut Node, key: &str) -> Option<TreeMember> {
    let members = members_mut(node)?;
    let at = members.iter().position(|member| member.key == key)?;
    Some(members.remove(at))
}

/// The text of a string without references.
fn word(node: &Node) -> Option<&str> {
    node.text().map(crate::tree::ConfigText::value)
}
