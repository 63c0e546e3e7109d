//! How a worker logs in at its server: what is checked of `oauth`, and what it comes to.

use mcproxy_ipc::{OAuthGrant, OAuthSpec, PemSource, Secret};
use url::Url;

use super::checks::ServerChecks;
use crate::raw::{RawGrant, RawOauth, RawRemote};

/// How it logs in; `None`: the entry shows who asks by itself.
pub(super) fn read(remote: &RawRemote) -> Option<OAuthSpec> {
    if has_own_credentials(remote) {
        return None;
    }
    let RawOauth { client_id, client_secret, client_metadata_url, scopes, grant, ca } = &remote.oauth;
    Some(OAuthSpec {
        client: client_id.as_ref().map(|id| (id.trim().to_owned(), client_secret.as_deref().map(Secret::new))),
        client_document: client_metadata_url.as_deref().map(|url| url.trim().to_owned()),
        scope: Some(scopes.join(" ")).filter(|scope| !scope.is_empty()),
        grant: match grant {
            RawGrant::AuthorizationCode => OAuthGrant::Person,
            RawGrant::ClientCredentials => OAuthGrant::Machine,
        },
        ca: ca.as_deref().map(PemSource::new),
        place: None,
    })
}

fn has_own_credentials(remote: &RawRemote) -> bool {
    remote.bearer_token.is_some() || remote.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
}

/// Every text that travels to the worker.
pub(super) fn texts(oauth: &RawOauth) -> impl Iterator<Item = &String> {
    let RawOauth { client_id, client_secret, client_metadata_url, scopes, grant: _, ca } = oauth;
    client_id.iter().chain(client_secret).chain(client_metadata_url).chain(ca).chain(scopes)
}

/// What of it is a secret.
pub(super) fn secrets(oauth: &RawOauth) -> impl Iterator<Item = Secret> {
    oauth.client_secret.iter().map(Secret::new)
}

/// Checks that the schema cannot express.
pub(super) fn check(remote: &RawRemote, checks: &mut ServerChecks<'_>) {
    if let Some(node) = checks.node.get("oauth").filter(|_| has_own_credentials(remote)) {
        let why = "`oauth` is ignored: the entry has an `Authorization` of its own (`bearerToken` or `headers`)";
        return checks.report.warn(node.span.start, why.to_owned());
    }
    let RawOauth { client_id, client_secret, client_metadata_url, scopes, grant, ca: _ } = &remote.oauth;
    if client_secret.is_some() && client_id.is_none() {
        checks.problem(&["oauth"], "`clientSecret` needs a `clientId`");
    }
    if *grant == RawGrant::ClientCredentials && (client_id.is_none() || client_secret.is_none()) {
        checks.problem(&["oauth"], "`client_credentials` needs `clientId` and `clientSecret`");
    }
    let is_https = |url: &String| {
        Url::parse(url.trim()).is_ok_and(|url| url.scheme() == "https" && url.path() != "/" && url.fragment().is_none())
    };
    if client_metadata_url.as_ref().is_some_and(|url| !is_https(url)) {
        checks.problem(&["oauth", "clientMetadataUrl"], "expected the address of a document: https://HOST/PATH");
    }
    let is_of_scope = |byte: u8| byte == b'!' || (b'#'..=b'[').contains(&byte) || (b']'..=b'~').contains(&byte);
    if scopes.iter().any(|scope| scope.is_empty() || !scope.bytes().all(is_of_scope)) {
        checks.problem(&["oauth", "scopes"], "a scope is a word without spaces, quotes and backslashes");
    }
}
