//! How MCProxy logs in at a server, as people write it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A login by OAuth.
#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RawOauth {
    /// The id that MCProxy has at the server's authorization server, if it was registered there by hand. Without it MCProxy shows `clientMetadataUrl` or registers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) client_id: Option<String>,
    /// What proves `clientId`, if it was given something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub(crate) client_secret: Option<String>,
    /// The `https://` address of a document that says who this MCProxy is (client id metadata document), for authorization servers that read such.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) client_metadata_url: Option<String>,
    /// What is asked for. Without it: what the server wants.
    pub(crate) scopes: Vec<String>,
    /// Who logs in: a person, with `mcproxy login NAME` (`authorization_code`), or MCProxy itself with `clientId` and `clientSecret` (`client_credentials`).
    pub(crate) grant: RawGrant,
    /// The authorities that are trusted of an authorization server on another host than `url`, instead of the system's: a PEM file, or its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) ca: Option<String>,
}

/// Who logs in.
#[derive(Deserialize, Serialize, JsonSchema, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawGrant {
    #[default]
    AuthorizationCode,
    ClientCredentials,
}
