//! What the servers offer, as clients see it.
//!
//! A worker's `Catalogue` payload is read once into a [`ServerCatalogue`]: entries that would break or deceive a client
//! are left out and reported, tool rules are applied, and everything else keeps its bytes. A [`View`] merges the
//! catalogues of one scope (all servers, a group, one server) and holds the answers to list requests ready to send.

mod capabilities;
mod cursor;
mod entry;
mod glob;
mod hints;
mod list;
mod server;
mod text;
mod view;
mod warning;

#[cfg(test)]
mod tests;

pub(crate) use cursor::CursorError;
pub(crate) use hints::Hints;
pub(crate) use server::ServerCatalogue;
pub(crate) use text::{first_line, visible};
pub(crate) use view::{Changes, Offered, Target, View};
pub(crate) use warning::{CatalogueWarning, Problem};

/// How entries are called in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `{server}__{name}` and `{server}+{uri}`: where several servers share an endpoint.
    Qualified,
    /// The server's own names: at `/servers/{name}`.
    Own,
}

/// Who reads a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Clients of revisions with `initialize`.
    Sessions,
    /// Those of 2026-07-28, where what a tool returns need not be an object (SEP-2106).
    Visitors,
}

/// The four lists of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ListKind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl ListKind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The member of the result that holds the entries; the same in a worker's payload.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The word for one entry.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Prompts => "prompt",
            Self::Resources => "resource",
            Self::Templates => "resource template",
        }
    }

    fn name_field(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    fn has_uris(self) -> bool {
        matches!(self, Self::Resources | Self::Templates)
    }
}
