//! What is kept of a login. Pure.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{ClientIdentity, Discovered, TokenSet};

/// A login at one server, as it is kept from one start to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLogin {
    /// The server's URL as it was configured: a login is shown to no other.
    pub server_url: String,
    /// What the tokens are for.
    pub resource: String,
    /// Who gave them.
    pub issuer: String,
    /// Where others are given.
    pub token_endpoint: String,
    /// Where they are given back.
    pub revocation_endpoint: Option<String>,
    /// Who they were given to.
    pub client: ClientIdentity,
    /// How they were asked for.
    pub grant: LoginGrant,
    /// The scope that was asked for.
    pub scope: Option<String>,
    /// They.
    pub tokens: TokenSet,
    /// Why the authorization server gives no more of them: only another login helps.
    pub refused: Option<String>,
}

/// How tokens are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginGrant {
    /// A person logged in.
    Person,
    /// MCProxy itself is known there.
    Machine,
}

impl KeptLogin {
    /// A login that has no token yet.
    pub fn begun(
        server_url: &Url,
        discovered: &Discovered,
        (client, grant): (ClientIdentity, LoginGrant),
        scope: Option<String>,
    ) -> Self {
        let issuer = &discovered.issuer;
        Self {
            server_url: server_url.to_string(),
            resource: discovered.resource.clone(),
            issuer: issuer.issuer.clone(),
            token_endpoint: issuer.token_endpoint.clone(),
            revocation_endpoint: issuer.revocation_endpoint.clone(),
            client,
            grant,
            scope,
            tokens: TokenSet {
                access: crate::TokenText::new(""),
                refresh: None,
                obtained_at: 0,
                lifetime: Some(0),
                scope: None,
            },
            refused: None,
        }
    }

    /// Whether it is one at the server at this URL.
    pub fn is_for(&self, url: &Url) -> bool {
        self.server_url == url.as_str()
    }

    /// The TCP ports that it leads to.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        let endpoints = std::iter::once(&self.token_endpoint).chain(&self.revocation_endpoint);
        endpoints.filter_map(|endpoint| Url::parse(endpoint).ok()?.port_or_known_default())
    }

    /// As a text to be sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written")
    }

    /// From such a text; `None`: it is none.
    pub fn from_bytes(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientAuth, IssuerMetadata};

    #[test]
    fn a_login_is_read_as_it_was_written_and_is_for_its_url_only() {
        let url = Url::parse("https://h/mcp").expect("one");
        let issuer = IssuerMetadata {
            issuer: "https://as".into(),
            token_endpoint: "https://as:8443/token".into(),
            revocation_endpoint: Some("https://as/revoke".into()),
            ..IssuerMetadata::default()
        };
        let discovered = Discovered { resource: "https://h/mcp".into(), issuer, scope: None };
        let client = ClientIdentity { id: "c".into(), secret: None, auth: ClientAuth::None };
        let login = KeptLogin::begun(&url, &discovered, (client, LoginGrant::Person), Some("a".into()));
        assert_eq!(KeptLogin::from_bytes(&login.to_bytes()).as_ref(), Some(&login));
        assert!(login.is_for(&url) && !login.is_for(&Url::parse("https://h/other").expect("one")));
        assert_eq!(login.ports().collect::<Vec<_>>(), [8443, 443]);
        assert_eq!(KeptLogin::from_bytes(b"{}"), None);
    }
}
