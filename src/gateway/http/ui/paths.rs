//! Paths of endpoints, as the page shows them.

use crate::gateway::base::scope::EndpointScope;

/// The path of an endpoint.
pub(super) fn path_of(endpoint: &EndpointScope) -> String {
    match endpoint {
        EndpointScope::All => "/mcp".to_owned(),
        EndpointScope::Server(server) => format!("/servers/{server}/mcp"),
        EndpointScope::Group(group) => format!("/groups/{group}/mcp"),
        EndpointScope::Search(None) => "/search/mcp".to_owned(),
        EndpointScope::Search(Some(group)) => format!("/groups/{group}/search/mcp"),
    }
}
