//! Whose tokens are accepted, as people write it: MCProxy as a resource server of OAuth.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RawApprove;

/// Tokens of authorization servers (OAuth 2.1). Clients find these by what MCProxy says of itself, and log in there by themselves.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawResourceServer {
    /// The authorization servers whose tokens are accepted.
    #[schemars(length(min = 1, max = 8))]
    pub(crate) issuers: Vec<RawIssuer>,
    /// Whom a token has to be for (`aud`): one of these. Without it: `publicUrl`, or the address of the endpoint that it is shown to. Write it where the authorization server calls MCProxy by another name, such as Entra's `api://…`.
    #[serde(default)]
    pub(crate) audience: Vec<String>,
    /// What each scope lets a token use; scopes of one token add up, and one without any of these gets 403. Without it every valid token may use everything.
    #[serde(default)]
    pub(crate) scopes: BTreeMap<String, RawScope>,
    /// The scopes that clients are told to ask for when they have no token. For more they are asked when a call needs more. Without it, all of `scopes`.
    #[serde(default)]
    pub(crate) initial_scopes: Vec<String>,
    /// The claim that says whose a token is: sessions belong to who it names, and logs name them. It must be one that the authorization server gives to nobody else, and that people cannot choose for themselves.
    #[serde(default = "subject")]
    #[schemars(length(min = 1, max = 64))]
    pub(crate) principal: String,
}

fn subject() -> String {
    "sub".to_owned()
}

/// An authorization server.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawIssuer {
    /// Its name, an `https://` URL, exactly as its tokens and its metadata have it (`iss`, `issuer`). Its keys are found from there.
    pub(crate) issuer: String,
    /// Who MCProxy is there when it asks what a token is worth that it cannot read (RFC 7662). Without it only signed tokens (JWT) are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawIntrospection")]
    pub(crate) introspection: Option<RawIntrospection>,
    /// The authorities that are trusted of it over TLS, instead of the system's: a PEM file, relative to this file, or its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) ca: Option<String>,
}

/// The client that MCProxy is at an authorization server.
#[derive(Deserialize, Serialize, JsonSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawIntrospection {
    /// Its id there.
    #[schemars(length(min = 1))]
    pub(crate) client_id: String,
    /// What proves that, best as `"${VARIABLE}"`.
    #[schemars(length(min = 1))]
    pub(crate) client_secret: String,
}

/// What a scope lets a token use: all of it that is named. Without anything, everything.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawScope {
    /// The servers; `mcproxy` is the built-in one. Together with `groups`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) servers: Option<Vec<String>>,
    /// The groups whose servers it reaches, with those of their tools that the group shows, at every endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) groups: Option<Vec<String>>,
    /// The tools, as `/mcp` names them: `{server}__{tool}`, where `*` stands for any characters. Without `servers` and `groups`, these tools and no prompt or resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) tools: Option<Vec<String>>,
    /// Which calls with it wait until a person agrees, as for a token.
    pub(crate) approve: RawApprove,
}
