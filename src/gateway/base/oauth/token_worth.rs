//! What a token is worth here, by what its issuer says in it. Pure; whether the issuer says so is checked elsewhere.

use std::time::{Duration, SystemTime};

use mcproxy_ipc::{
    OAUTH_PRINCIPAL,
    control::{IssuerSettings, OAuthSettings},
    unix_seconds,
};
use mcproxy_jwt::{ClaimError, Claims, JwtError};

use super::resource;
use crate::gateway::base::principal::Principal;

/// The longest name of a person, in bytes: sessions and log records carry it.
const LONGEST_NAME: usize = 200;
/// A token is remembered for so long at most, however long it is good: then its signature is looked at again.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// Why a token of an authorization server is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFault {
    /// It cannot be read, or says what no access token says.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// Nobody whose tokens are accepted.
    #[error("the token is of an issuer that is not accepted here")]
    Issuer,
    /// There is no key that it names.
    #[error("the token is signed with a key that its issuer does not have")]
    UnknownKey,
    /// The key that it names did not sign it.
    #[error("the signature of the token is wrong")]
    Forged,
    /// Its issuer says so (RFC 7662).
    #[error("the token is not valid any more")]
    Inactive,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Whose it is cannot be told.
    #[error("the token does not say whose it is, in a form that can be used")]
    Nameless,
    /// Nothing that it may do is anything here.
    #[error("the token has none of the scopes that are worth something here")]
    Scope,
}

/// What a token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenWorth {
    /// Whose it is, with its scopes.
    pub(crate) principal: Principal,
    /// From then on it is not accepted.
    pub(crate) expires: SystemTime,
    /// The endpoints that it is for, by their paths; `None`: for all.
    pub(crate) endpoints: Option<Box<[Box<str>]>>,
}

impl TokenWorth {
    /// Whether it is the same, if for less time.
    pub(crate) fn is_no_more_than(&self, other: &Self) -> bool {
        self.principal == other.principal && self.endpoints == other.endpoints && self.expires <= other.expires
    }
}

/// What these claims of an issuer are worth.
pub(crate) fn judge(
    claims: &Claims,
    issuer: &IssuerSettings,
    settings: &OAuthSettings,
    now: SystemTime,
) -> Result<TokenWorth, TokenFault> {
    if claims.issuer.as_deref().is_some_and(|said| said != issuer.issuer) {
        return Err(TokenFault::Issuer);
    }
    let now = unix_seconds(now);
    claims.check(now).map_err(JwtError::from)?;
    let endpoints = endpoints(&claims.audiences, settings)?;
    let name = name(claims, issuer, settings).ok_or(TokenFault::Nameless)?;
    // In the order of the configuration, so that equal sets are equal texts.
    let granted = settings.scopes.iter().map(|of| of.scope.as_str());
    let granted: Vec<&str> = granted.filter(|scope| claims.scopes.iter().any(|one| one == scope)).collect();
    if granted.is_empty() && !settings.scopes.is_empty() {
        return Err(TokenFault::Scope);
    }
    // To the second, as the token says it.
    let expires = claims.expires.min(now + LONGEST_LIFE.as_secs());
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(expires);
    Ok(TokenWorth { principal: Principal::with_scopes(&name, &granted.join(" ")), expires, endpoints })
}

/// The endpoints that a token of these audiences is for; `None`: for all.
fn endpoints(audiences: &[String], settings: &OAuthSettings) -> Result<Option<Box<[Box<str>]>>, TokenFault> {
    let is_for_all = match settings.audiences.as_slice() {
        [] => audiences.iter().any(|audience| audience.trim_end_matches('/') == settings.public_url),
        accepted => audiences.iter().any(|audience| accepted.contains(audience)),
    };
    if is_for_all {
        return Ok(None);
    }
    if !settings.audiences.is_empty() {
        return Err(TokenFault::Audience);
    }
    let path = |audience: &String| {
        let path = audience.strip_prefix(&settings.public_url)?.trim_end_matches('/');
        path.starts_with('/').then(|| Box::from(resource::endpoint_path(path)))
    };
    let paths: Box<[Box<str>]> = audiences.iter().filter_map(path).collect();
    if paths.is_empty() { Err(TokenFault::Audience) } else { Ok(Some(paths)) }
}

/// The name of the principal. Where there are several issuers each has names of its own: an issuer's URL has no `#`.
fn name(claims: &Claims, issuer: &IssuerSettings, settings: &OAuthSettings) -> Option<String> {
    let name = claims.text(&settings.principal_claim)?;
    if !(1..=LONGEST_NAME).contains(&name.len()) || name.chars().any(char::is_control) {
        return None;
    }
    Some(match settings.issuers.len() {
        0 | 1 => format!("{OAUTH_PRINCIPAL}{name}"),
        _ => format!("{OAUTH_PRINCIPAL}{}#{name}", issuer.issuer),
    })
}

/// Whether a fault is that of the time alone.
pub(crate) fn is_expiry(fault: TokenFault) -> bool {
    fault == TokenFault::Token(JwtError::Claims(ClaimError::Expired))
}

#[cfg(test)]
mod tests {
    use mcproxy_ipc::control::{ScopeGrant, TokenAccess};
    use serde_json::{Value, json};

    use super::*;

    fn settings(issuers: &[&str], audiences: &[&str], scopes: &[&str]) -> OAuthSettings {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let issuer = |name: &&str| IssuerSettings {
            issuer: (*name).to_owned(),
            worker: mcproxy_ipc::authority_name(0),
            introspects: false,
        };
        let grant = |scope: &&str| ScopeGrant { scope: (*scope).to_owned(), access: TokenAccess::default() };
        OAuthSettings {
            public_url: "https://r/base".to_owned(),
            issuers: issuers.iter().map(issuer).collect(),
            audiences: texts(audiences),
            scopes: scopes.iter().map(grant).collect(),
            initial_scopes: Vec::new(),
            principal_claim: "sub".to_owned(),
        }
    }

    fn judged(settings: &OAuthSettings, more: Value) -> Result<TokenWorth, TokenFault> {
        let mut members =
            json!({"iss": "https://as", "aud": "https://r/base", "exp": 2000, "sub": "ann", "scope": "b x a"});
        members.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        let claims = Claims::read(members.as_object().expect("one").clone()).expect("claims");
        judge(&claims, &settings.issuers[0], settings, SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500))
    }

    #[test]
    fn a_token_is_worth_its_scopes_until_it_expires() {
        let settings = settings(&["https://as"], &[], &["a", "b", "c"]);
        let worth = judged(&settings, json!({})).expect("worth something");
        assert_eq!(worth.principal, Principal::with_scopes("oauth:ann", "a b"));
        assert_eq!(worth.expires, SystemTime::UNIX_EPOCH + Duration::from_secs(2000));
        assert_eq!(worth.endpoints, None);
        assert_eq!(judged(&settings, json!({"scope": "x"})), Err(TokenFault::Scope));
        assert!(judged(&settings, json!({"exp": 1000})).is_err_and(is_expiry));
        assert_eq!(judged(&settings, json!({"iss": "https://other"})), Err(TokenFault::Issuer));
        let far = judged(&settings, json!({"exp": 9_000_000_000_000_000_u64})).expect("worth something").expires;
        assert!(far < SystemTime::UNIX_EPOCH + Duration::from_secs(1001) + LONGEST_LIFE);
    }

    #[test]
    fn a_token_is_for_this_gateway_or_for_the_endpoints_that_it_names() {
        let own = settings(&["https://as"], &[], &["a"]);
        let of =
            |settings: &OAuthSettings, aud: Value| judged(settings, json!({"aud": aud})).map(|worth| worth.endpoints);
        assert_eq!(of(&own, json!(["other", "https://r/base/"])), Ok(None));
        let one = of(&own, json!(["https://r/base/servers/x/mcp", "https://r/base/mcp"])).expect("accepted");
        assert_eq!(one.as_deref(), Some(&["/servers/x".into(), "".into()][..]));
        for other in
            [json!("https://r"), json!("https://r/basement/mcp"), json!("https://evil/base"), json!([]), json!(null)]
        {
            assert_eq!(of(&own, other.clone()), Err(TokenFault::Audience), "{other}");
        }
        let named = settings(&["https://as"], &["api://x"], &["a"]);
        assert_eq!(of(&named, json!("api://x")), Ok(None));
        assert_eq!(of(&named, json!("https://r/base")), Err(TokenFault::Audience));
    }

    #[test]
    fn names_of_several_issuers_never_meet() {
        let two = settings(&["https://as", "https://as/x"], &[], &["a"]);
        let worth = judged(&two, json!({})).expect("worth something");
        assert_eq!(worth.principal.name(), Some("oauth:https://as#ann"));
        for bad in [json!(""), json!("a\nb"), json!(4), json!(null), json!("x".repeat(LONGEST_NAME + 1))] {
            assert_eq!(judged(&two, json!({"sub": bad})), Err(TokenFault::Nameless));
        }
    }
}
