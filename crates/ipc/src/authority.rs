//! How the gateway asks the worker of an authorization server: calls of methods of our own, on the data connection of that worker.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ServerName;

/// Asks for the keys of the authorization server. No client can call it: the gateway keeps such workers apart from the servers that
/// clients reach.
pub const KEYS_METHOD: &str = "mcproxy/keys";
/// Asks what a token is worth that only its authorization server can read (RFC 7662). The same.
pub const INTROSPECT_METHOD: &str = "mcproxy/introspect";
/// The longest token that it is asked about, in bytes.
pub const MAX_INTROSPECTED: usize = 16 * 1024;
/// Most authorization servers.
pub const MAX_AUTHORITIES: usize = 8;

/// What the names begin with under which the workers of authorization servers are run, as servers that no client sees.
const AUTHORITY: &str = "mcproxy-authority-";

/// What the names of principals begin with who log in at an authorization server. No token of the configuration has such a name, so that
/// neither can be taken for the other.
pub const OAUTH_PRINCIPAL: &str = "oauth:";

/// The name of the worker of an authorization server, by its place in the configuration.
pub fn authority_name(place: usize) -> ServerName {
    ServerName::try_from(format!("{AUTHORITY}{}", place + 1)).expect("letters, hyphens and a number")
}

/// Whether this is the name of one. No entry has such a name.
pub fn is_authority(name: &ServerName) -> bool {
    let number = name.as_str().strip_prefix(AUTHORITY);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The result of [`KEYS_METHOD`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysResult {
    /// Whose they are: after a change of the configuration a worker may still be that of another.
    pub issuer: String,
    /// A set of keys (RFC 7517), as it was answered.
    pub keys: String,
    /// For how many seconds from now it may be used before it is asked for again.
    pub fresh_for: u64,
}

/// The params of [`INTROSPECT_METHOD`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntrospectParams {
    /// The token.
    pub token: String,
}

impl fmt::Debug for IntrospectParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectParams").finish_non_exhaustive()
    }
}

/// Its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntrospectResult {
    /// Who says so.
    pub issuer: String,
    /// What the authorization server says of the token: a JSON object; `None`: it is not valid.
    pub claims: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_told_from_servers_by_their_names() {
        assert_eq!(authority_name(0).as_str(), "mcproxy-authority-1");
        assert!((0..MAX_AUTHORITIES).all(|place| is_authority(&authority_name(place))));
        for other in ["mcproxy-authority", "mcproxy-authority-", "mcproxy-authority-x", "mcproxy-authority-1x", "time"]
        {
            assert!(!ServerName::try_from(other).is_ok_and(|name| is_authority(&name)), "{other}");
        }
    }
}
