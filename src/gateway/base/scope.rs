//! What an endpoint shows, and to whom.

use std::fmt;

pub(crate) use super::endpoint_scope::EndpointScope;
use super::principal::Principal;
use crate::gateway::rewrite::Naming;

/// What is shown at one endpoint to one principal: of all that the endpoint shows, what the principal may use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    /// The endpoint's part.
    pub(crate) endpoint: EndpointScope,
    /// Who asks.
    pub(crate) holder: Principal,
}

impl Scope {
    /// Of an endpoint, what this principal may use.
    pub(crate) fn new(endpoint: EndpointScope, holder: Principal) -> Self {
        Self { endpoint, holder }
    }

    /// Everything there is: that of nobody's requests, but of the gateway's own work.
    pub(crate) fn all() -> Self {
        Self::new(EndpointScope::All, Principal::default())
    }

    /// How names look there.
    pub(crate) fn naming(&self) -> Naming {
        self.endpoint.naming()
    }

    /// The group that it shows the servers of.
    pub(crate) fn group(&self) -> Option<&str> {
        self.endpoint.group()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}
