//! The verification of a token that nobody has looked at yet: its signature by the keys of its issuer, which may have to be fetched, or
//! what its issuer says of it.

use std::{
    rc::Rc,
    time::{Instant, SystemTime},
};

use actix_web::http::header::HeaderMap;
use mcproxy_ipc::{
    MAX_INTROSPECTED,
    control::{IssuerSettings, OAuthSettings},
    unix_seconds,
};
use mcproxy_jwt::{Jwt, JwtError, SignatureVerdict};

use crate::gateway::{
    base::{
        auth::{bearer_token, token_digest},
        auth_error::AuthError,
        oauth::{
            access_tokens::TokenDigest,
            token_worth::{TokenFault, TokenWorth, judge},
        },
    },
    state::Gateway,
    upstream::authorities::AuthorityFault,
};

/// Verifies the token of a request, and remembers what it is worth.
pub(super) async fn verify(gateway: &Rc<Gateway>, headers: &HeaderMap) -> Result<(), AuthError> {
    let auth = gateway.auth();
    let settings = auth.oauth().ok_or(AuthError::Unknown)?.settings();
    let token = bearer_token(headers).ok_or(AuthError::Unknown)?;
    let digest = token_digest(token);
    let (worth, is_asked_again) = match Jwt::parse(token) {
        Ok(jwt) => (signed(gateway, settings, &jwt).await?, false),
        Err(JwtError::NotAJwt) => (opaque(gateway, settings, token, digest).await?, true),
        Err(error) => return Err(TokenFault::from(error).into()),
    };
    // They may have changed while somebody was asked.
    if gateway.auth().oauth().is_none_or(|oauth| oauth.settings() != settings) {
        return Err(AuthError::Unverified);
    }
    if !gateway.servers.learn(&worth.principal) {
        return Err(AuthError::Busy);
    }
    gateway.access_tokens.add(digest, worth, is_asked_again, Instant::now());
    Ok(())
}

/// What a signed token is worth.
async fn signed(gateway: &Gateway, settings: &OAuthSettings, jwt: &Jwt<'_>) -> Result<TokenWorth, AuthError> {
    let named = |issuer: &&IssuerSettings| Some(issuer.issuer.as_str()) == jwt.issuer();
    let issuer = settings.issuers.iter().find(named).ok_or(TokenFault::Issuer)?;
    let worth = judge(jwt.claims(), issuer, settings, SystemTime::now());
    // For what is worth nothing anyway nobody is asked. That it has too few scopes is believed of a real one only.
    if let Err(fault) = &worth
        && *fault != TokenFault::Scope
    {
        return Err((*fault).into());
    }
    let known = gateway.authorities.keys(issuer);
    let mut verdict = known.map_or(SignatureVerdict::UnknownKey, |keys| jwt.verify(&keys));
    if verdict == SignatureVerdict::UnknownKey {
        verdict = jwt.verify(&*gateway.authorities.newer_keys(issuer).await.map_err(unanswered)?);
    }
    match verdict {
        SignatureVerdict::Verified => Ok(worth?),
        SignatureVerdict::UnknownKey => Err(TokenFault::UnknownKey.into()),
        SignatureVerdict::Forged => Err(TokenFault::Forged.into()),
    }
}

/// What a token is worth that only its issuer can read.
async fn opaque(
    gateway: &Gateway,
    settings: &OAuthSettings,
    token: &str,
    digest: TokenDigest,
) -> Result<TokenWorth, AuthError> {
    let mut asked = settings.issuers.iter().filter(|issuer| issuer.introspects).peekable();
    if asked.peek().is_none() {
        return Err(AuthError::Unknown);
    }
    let tokens = &gateway.access_tokens;
    if token.len() > MAX_INTROSPECTED || tokens.is_refused(&digest, Instant::now()) {
        return Err(TokenFault::Inactive.into());
    }
    let mut unanswered_by_one = None;
    for issuer in asked {
        let now = SystemTime::now();
        match gateway.authorities.introspect(issuer, token, unix_seconds(now)).await {
            Ok(Some(claims)) => return Ok(judge(&claims, issuer, settings, now)?),
            Ok(None) => {}
            Err(fault) => unanswered_by_one = Some(unanswered(fault)),
        }
    }
    match unanswered_by_one {
        Some(error) => Err(error),
        None => {
            if tokens.refuse(digest, Instant::now()) {
                // What it admitted ends.
                gateway.auth_changed.notify_one();
            }
            Err(TokenFault::Inactive.into())
        }
    }
}

fn unanswered(fault: AuthorityFault) -> AuthError {
    match fault {
        AuthorityFault::Unavailable => AuthError::Unavailable,
        AuthorityFault::Busy => AuthError::Busy,
    }
}
