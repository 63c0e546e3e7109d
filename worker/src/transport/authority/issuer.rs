//! The authorization server, and when it is asked for its keys: once a minute at most, whatever the gateway wants.

use std::time::Duration;

use mcproxy_http::Url;
use mcproxy_ipc::{AuthoritySpec, IntrospectResult, KeysResult};
use mcproxy_jwt::KeySet;
use mcproxy_oauth::{Authority, IntrospectionClient, OAuthError, TokenText};
use tokio::{sync::Mutex, time::Instant};

use crate::{login::LoginFetch, mask::Mask};

/// Between two requests for keys.
const KEYS_INTERVAL: Duration = Duration::from_secs(60);
/// Keys are asked for again after this time, if the answer does not say when; and so soon or late at most, whatever it says.
const FRESH: (u64, u64, u64) = (300, 3600, 86_400);
/// The last keys are handed out for so long while there are no newer ones.
const KEEP_KEYS: Duration = Duration::from_secs(86_400);

/// An authorization server.
pub(super) struct Issuer {
    name: String,
    fetch: LoginFetch,
    client: Option<IntrospectionClient>,
    mask: Mask,
    known: Mutex<KnownKeys>,
}

/// What is known of it.
#[derive(Default)]
struct KnownKeys {
    /// Where it answers, its keys, since when they are known, and until when they are fresh.
    found: Option<(Authority, String, Instant, Instant)>,
    /// When it was asked last, and why that came to nothing.
    asked: Option<(Instant, Option<String>)>,
}

/// What a request for keys came to.
#[derive(Debug)]
pub(super) enum KeysOutcome {
    /// They are those of a moment ago.
    Known(KeysResult),
    /// They are new.
    New(KeysResult),
    /// They are older than they should be, and why there are no newer ones.
    Kept(KeysResult, String),
    /// There are none, and why.
    None(String),
}

impl Issuer {
    /// `mask`: the secrets among its settings.
    pub(super) fn new(spec: &AuthoritySpec, mask: Mask) -> Result<Self, String> {
        let name = spec.http.url.expose().to_owned();
        let url = Url::parse(&name).map_err(|error| format!("the issuer cannot be used: {error}"))?;
        let client = spec
            .client
            .as_ref()
            .map(|(id, secret)| IntrospectionClient { id: id.clone(), secret: TokenText::new(secret.expose()) });
        Ok(Self { fetch: LoginFetch::new(&spec.http, &url), name, client, mask, known: Mutex::default() })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its keys. Who asks while it is being asked gets the same answer.
    pub(super) async fn keys(&self) -> KeysOutcome {
        let mut known = self.known.lock().await;
        let now = Instant::now();
        if let Some((at, failure)) = &known.asked
            && now < *at + KEYS_INTERVAL
        {
            return match (known.result(&self.name, now), failure) {
                (Some(keys), _) => KeysOutcome::Known(keys),
                (None, failure) => KeysOutcome::None(failure.clone().unwrap_or_else(|| "there are no keys".to_owned())),
            };
        }
        let fetched = self.fetch().await;
        let now = Instant::now();
        match fetched {
            Ok((authority, keys, seconds)) => {
                known.asked = Some((now, None));
                known.found = Some((authority, keys, now, now + Duration::from_secs(seconds)));
                known.result(&self.name, now).map_or_else(|| KeysOutcome::None(String::new()), KeysOutcome::New)
            }
            Err(error) => {
                let why = self.mask.apply(&error.to_string()).into_owned();
                known.asked = Some((now, Some(why.clone())));
                match known.result(&self.name, now) {
                    Some(keys) => KeysOutcome::Kept(keys, why),
                    None => KeysOutcome::None(why),
                }
            }
        }
    }

    async fn fetch(&self) -> Result<(Authority, String, u64), OAuthError> {
        let authority = Authority::discover(&self.fetch, &self.name).await?;
        let answer = authority.keys(&self.fetch).await?;
        let unusable = |why: &dyn std::fmt::Display| {
            OAuthError::Unusable(format!("the keys of `{}` cannot be used: {why}", self.name))
        };
        KeySet::read(&answer.body).map_err(|error| unusable(&error))?;
        let keys = String::from_utf8(answer.body).map_err(|_| unusable(&"they are not UTF-8"))?;
        Ok((authority, keys, fresh_for(answer.max_age)))
    }

    /// What it says of a token.
    pub(super) async fn introspect(&self, token: &str) -> Result<IntrospectResult, String> {
        let Some(client) = &self.client else {
            return Err("`introspection` is not configured for it".to_owned());
        };
        let authority = match self.authority().await {
            Some(authority) => authority,
            None => match self.keys().await {
                KeysOutcome::None(why) => return Err(why),
                _ => self.authority().await.ok_or("it is not known where it answers")?,
            },
        };
        let said = authority.introspect(&self.fetch, client, token).await;
        let said = said.map_err(|error| self.mask.apply(&error.to_string()).into_owned())?;
        Ok(IntrospectResult { issuer: self.name.clone(), claims: said.map(|claims| claims.to_string()) })
    }

    async fn authority(&self) -> Option<Authority> {
        self.known.lock().await.found.as_ref().map(|(authority, ..)| authority.clone())
    }
}

impl KnownKeys {
    fn result(&self, issuer: &str, now: Instant) -> Option<KeysResult> {
        let (_, keys, since, until) = self.found.as_ref()?;
        (now < *since + KEEP_KEYS).then(|| {
            let left = until.saturating_duration_since(now).as_secs();
            KeysResult { issuer: issuer.to_owned(), keys: keys.clone(), fresh_for: left.max(KEYS_INTERVAL.as_secs()) }
        })
    }
}

/// For how many seconds keys are fresh.
fn fresh_for(max_age: Option<u64>) -> u64 {
    let (least, usual, most) = FRESH;
    max_age.unwrap_or(usual).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fresh_for_as_long_as_is_said_within_bounds() {
        assert_eq!([None, Some(0), Some(600), Some(u64::MAX)].map(fresh_for), [3600, 300, 600, 86_400]);
    }
}
