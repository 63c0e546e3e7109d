//! How a worker logs in at a server that is reached over the network, and where what comes of it is kept.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{PemSource, Secret};

/// How a worker logs in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthSpec {
    /// Who it is to the authorization server, if it was registered there: the id, and what proves it.
    pub client: Option<(String, Option<Secret>)>,
    /// The URL of a document that says who it is, for authorization servers that read such.
    pub client_document: Option<String>,
    /// What is asked for; `None`: what the server wants.
    pub scope: Option<String>,
    /// Who logs in.
    pub grant: OAuthGrant,
    /// The authorities that are trusted of an authorization server on another host, instead of the system's.
    pub ca: Option<PemSource>,
    /// Where logins are kept. The supervisor says it; without it there is no login.
    pub place: Option<LoginPlace>,
}

/// Who logs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OAuthGrant {
    /// A person, by `mcproxy login`.
    #[default]
    Person,
    /// MCProxy itself, with its client id and secret.
    Machine,
}

/// Where the logins at one server are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginPlace {
    /// A directory that belongs to the worker's user alone.
    pub dir: PathBuf,
    /// The key that they are sealed with.
    pub key: LoginKey,
}

/// The key that the logins at one server are sealed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginKey([u8; 32]);

impl LoginKey {
    /// From random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to seal with.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for LoginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginKey(..)")
    }
}
