//! How names and URIs look to the clients of an endpoint.

/// How entries are called in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `{server}__{name}` and `{server}+{uri}`: where several servers share an endpoint.
    Qualified,
    /// The server's own names: at `/servers/{name}`.
    Own,
}
