//! The tokens of authorization servers that are accepted, as the gateway knows them, and what their scopes are worth.

use serde::{Deserialize, Serialize};

use super::TokenAccess;
use crate::ServerName;

/// The tokens of authorization servers that are accepted (`auth.oauth`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthSettings {
    /// Under which URL clients reach the gateway: `https://host[:port][/path]`, without a slash at its end.
    pub public_url: String,
    /// Who issues them.
    pub issuers: Vec<IssuerSettings>,
    /// Whom they have to be for (`aud`); none: for this gateway or the endpoint, by their URLs.
    pub audiences: Vec<String>,
    /// What each scope is worth; none: a valid token may use everything.
    pub scopes: Vec<ScopeGrant>,
    /// The scopes that a client without a token is told to ask for.
    pub initial_scopes: Vec<String>,
    /// The claim that says whose a token is.
    pub principal_claim: String,
}

/// An authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerSettings {
    /// Its name, a URL, as `iss` has it.
    pub issuer: String,
    /// The worker that asks it.
    pub worker: ServerName,
    /// Whether it is asked what tokens are worth that cannot be read here (RFC 7662).
    pub introspects: bool,
}

/// What a scope is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeGrant {
    /// The scope.
    pub scope: String,
    /// What it lets a token use.
    pub access: TokenAccess,
}
