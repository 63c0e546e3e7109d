//! Which servers an endpoint shows.

use std::fmt;

use mcproxy_ipc::ServerName;

use crate::gateway::rewrite::Naming;

/// Which servers one endpoint shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum EndpointScope {
    /// `/mcp`, `/sse`: all of them.
    All,
    /// `/servers/{name}/…`: one, under its own names.
    Server(ServerName),
    /// `/groups/{name}/…`: a configured selection.
    Group(String),
    /// `/search/…`, `/groups/{name}/search/…`: all of them or those of a group, whose tools are found instead of listed.
    Search(Option<String>),
}

impl EndpointScope {
    /// How names look there.
    pub(crate) fn naming(&self) -> Naming {
        match self {
            Self::All | Self::Group(_) | Self::Search(_) => Naming::Qualified,
            Self::Server(_) => Naming::Own,
        }
    }

    /// The group that it shows the servers of.
    pub(crate) fn group(&self) -> Option<&str> {
        match self {
            Self::Group(name) | Self::Search(Some(name)) => Some(name),
            Self::All | Self::Server(_) | Self::Search(None) => None,
        }
    }

    /// The same endpoint for those for whom tools are found instead of listed.
    pub(crate) fn searched(self) -> Self {
        match self {
            Self::All => Self::Search(None),
            Self::Group(name) => Self::Search(Some(name)),
            Self::Server(_) | Self::Search(_) => self,
        }
    }
}

impl fmt::Display for EndpointScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Server(name) => write!(f, "server {name}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Search(None) => f.write_str("search"),
            Self::Search(Some(name)) => write!(f, "search of group {name}"),
        }
    }
}
