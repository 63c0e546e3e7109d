//! Tokens of authorization servers as one of the ways in which requests are authenticated, under one set of settings.

use std::rc::Rc;

use mcproxy_ipc::control::{OAuthSettings, ScopeGrant};

use super::access_tokens::{AccessToken, AccessTokens, TokenDigest};

/// What is accepted, and what was verified of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct OAuthScheme {
    settings: Rc<OAuthSettings>,
    tokens: Rc<AccessTokens>,
}

impl PartialEq for OAuthScheme {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for OAuthScheme {}

impl OAuthScheme {
    pub(crate) fn new(settings: Rc<OAuthSettings>, tokens: Rc<AccessTokens>) -> Self {
        Self { settings, tokens }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Rc<OAuthSettings> {
        &self.settings
    }

    /// A token that was verified.
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<Rc<AccessToken>> {
        self.tokens.find(digest)
    }

    /// Whether a text may be a token that is worth verifying.
    pub(crate) fn may_be_token(&self, text: &str) -> bool {
        text.split('.').count() == 3 || self.settings.issuers.iter().any(|issuer| issuer.introspects)
    }

    /// Whether what a token of these scopes admitted under the settings `before` goes on: it would still be accepted, and may use no
    /// less. It may say no where only a closer look would say yes.
    pub(crate) fn still_allows(&self, before: &OAuthSettings, scopes: &str) -> bool {
        let now = &*self.settings;
        let same = now.public_url == before.public_url
            && now.audiences == before.audiences
            && now.principal_claim == before.principal_claim
            // With another number of them the names are others.
            && now.issuers.len() == before.issuers.len()
            && before.issuers.iter().all(|issuer| now.issuers.iter().any(|one| one.issuer == issuer.issuer));
        let of = |grants: &[ScopeGrant], scope: &str| {
            grants.iter().find(|grant| grant.scope == scope).map(|grant| grant.access.clone())
        };
        let allows = |scope: &str| match (of(&now.scopes, scope), of(&before.scopes, scope)) {
            (Some(now), Some(before)) => now.still_allows(&before),
            (Some(_) | None, _) => false,
        };
        let everything = now.scopes.is_empty();
        same && (everything || (!before.scopes.is_empty() && scopes.split_whitespace().all(allows)))
    }
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::control::{IssuerSettings, TokenAccess};

    use super::*;

    fn settings(issuers: &[&str], scopes: &[(&str, Option<&[&str]>)]) -> OAuthSettings {
        let issuer = |name: &&str| IssuerSettings {
            issuer: (*name).to_owned(),
            worker: mcproxy_ipc::authority_name(0),
            introspects: false,
        };
        let grant = |(scope, servers): &(&str, Option<&[&str]>)| ScopeGrant {
            scope: (*scope).to_owned(),
            access: TokenAccess {
                servers: servers.map(|names| names.iter().map(|name| (*name).try_into().expect("a name")).collect()),
                ..TokenAccess::default()
            },
        };
        OAuthSettings {
            public_url: "https://r".to_owned(),
            issuers: issuers.iter().map(issuer).collect(),
            audiences: Vec::new(),
            scopes: scopes.iter().map(grant).collect(),
            initial_scopes: Vec::new(),
            principal_claim: "sub".to_owned(),
        }
    }

    #[test]
    fn what_a_token_admitted_ends_when_it_may_use_less() {
        let allows = |now: OAuthSettings, before: &OAuthSettings, scopes| {
            OAuthScheme::new(Rc::new(now), Rc::default()).still_allows(before, scopes)
        };
        let before = settings(&["https://as"], &[("r", Some(&["a"])), ("w", Some(&["a", "b"]))]);
        assert!(allows(before.clone(), &before, "r w"));
        let more = settings(&["https://as"], &[("r", Some(&["a", "b"])), ("w", None)]);
        assert!(allows(more.clone(), &before, "r w") && !allows(before.clone(), &more, "r"));
        let without = settings(&["https://as"], &[("r", Some(&["a"]))]);
        assert!(allows(without.clone(), &before, "r") && !allows(without, &before, "r w"));
        let everything = settings(&["https://as"], &[]);
        assert!(allows(everything.clone(), &before, "r") && !allows(before.clone(), &everything, ""));
        for other in [
            settings(&["https://other"], &[("r", None)]),
            settings(&["https://as", "https://other"], &[("r", None)]),
            OAuthSettings { audiences: vec!["x".into()], ..more.clone() },
            OAuthSettings { principal_claim: "email".into(), ..more },
        ] {
            assert!(!allows(other, &before, "r"));
        }
    }
}
