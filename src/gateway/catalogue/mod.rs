//! The catalogues of servers, as clients see them.
//!
//! A worker's `Catalogue` payload is read once into a [`ServerCatalogue`]: entries that would break or deceive a client
//! are left out and reported, tool rules are applied, and everything else keeps its bytes. A [`View`] merges the
//! catalogues of one scope (all servers, a group, one server) and holds the answers to list requests ready to send.

mod arguments;
mod capabilities;
mod changes;
mod check;
mod cursor;
mod declared;
mod definition;
mod derived;
mod entry;
mod glob;
mod grant;
mod group;
mod list;
mod naming_others;
mod outline;
mod overrides;
mod pins;
mod search;
mod server;
mod suspicion;
mod text;
mod tool_vectors;
mod unlisted;
pub(crate) mod unused_rules;
mod view;
mod warning;

#[cfg(test)]
mod tests;

pub(crate) use self::changes::Changes;
pub(crate) use self::cursor::CursorError;
pub(crate) use self::glob::fits;
pub(crate) use self::grant::{Extent, Grant};
pub(crate) use self::group::name_before_group;
pub(crate) use self::outline::Outline;
pub(crate) use self::pins::ToolDifferences;
pub(crate) use self::search::{Finder, Meaning, VectorSurvey};
pub(crate) use self::server::{NamedCatalogue, ServerCatalogue};
pub(crate) use self::text::{first_line, visible};
pub(crate) use self::tool_vectors::{TextDigest, ToolVectors};
pub(crate) use self::unlisted::unlisted_name;
pub(crate) use self::view::{Offered, Preparation, View};
pub(crate) use self::warning::{CatalogueProblem, CatalogueWarning};
pub(crate) use mcproxy_mcp::{CacheHints, ListKind};

/// The readers of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Clients of revisions with `initialize`.
    Sessions,
    /// Those of 2026-07-28, where what a tool returns need not be an object (SEP-2106).
    Stateless,
}
