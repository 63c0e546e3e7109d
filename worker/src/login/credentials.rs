//! The token that requests to a server show, kept fresh.

use std::{
    io,
    sync::{Arc, Mutex as SyncMutex, MutexGuard},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use mcproxy_http::{HeaderValue, Url};
use mcproxy_ipc::{HttpSpec, OAuthGrant, OAuthSpec, ServerName, unix_seconds};
use mcproxy_oauth::{
    AuthChallenge, ClientChoice, KeptLogin, LoginGrant, OAuthError, TokenFreshness, TokenRequest, TokenSet, TokenText,
    choose, discover, due_after, retry_after,
};
use memchr::memmem;
use slog::{Logger, debug, warn};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep_until},
};

use super::{fetch::LoginFetch, random, store::LoginStore};

/// A token that was obtained at a later time than now: the clock was set back by more than this, and says nothing of its age.
const CLOCK_SKEW: u64 = 60;

/// The token of one server. Clones are the same.
#[derive(Clone)]
pub(crate) struct Credentials(Arc<CredentialParts>);

struct CredentialParts {
    server: ServerName,
    url: Url,
    spec: OAuthSpec,
    store: LoginStore,
    fetch: LoginFetch,
    current: SyncMutex<Option<CurrentToken>>,
    /// One renewal at a time.
    renewal: Mutex<Renewal>,
    /// Rung when there is another token.
    changed: Notify,
    log: Logger,
}

/// The token as requests show it.
#[derive(Clone)]
struct CurrentToken {
    access: TokenText,
    header: HeaderValue,
    obtained: Instant,
    due: Duration,
    lifetime: Option<Duration>,
    /// There is a way to another one.
    renewable: bool,
}

/// How renewing goes.
#[derive(Default)]
struct Renewal {
    /// In vain, in a row.
    attempts: u32,
    /// No other attempt before that, and why not.
    paused: Option<(Instant, String)>,
}

/// Why there is no token to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CredentialFailure {
    /// Only another login helps.
    NeedsLogin(String),
    /// It will come by itself.
    Unavailable(String),
}

impl Credentials {
    /// Of this server; `None`: its entry has credentials of its own, or there is no place to keep a login in.
    pub(crate) fn of(http: &HttpSpec, url: &Url, server: &ServerName, log: &Logger) -> Option<Self> {
        let spec = http.oauth.as_ref()?;
        let store = LoginStore::new(spec.place.as_ref()?, server);
        let credentials = Self(Arc::new(CredentialParts {
            server: server.clone(),
            url: url.clone(),
            spec: spec.clone(),
            fetch: LoginFetch::new(http, url),
            current: SyncMutex::default(),
            renewal: Mutex::default(),
            changed: Notify::new(),
            log: log.clone(),
            store,
        }));
        credentials.load();
        Some(credentials)
    }

    fn load(&self) {
        match self.0.store.read() {
            Ok(Some(kept)) if self.is_ours(&kept) && kept.refused.is_none() => self.adopt(&kept),
            Ok(_) => {}
            Err(error) => warn!(self.0.log, "the login cannot be read"; "error" => %error),
        }
    }

    /// A login at another URL, or with another client than the entry names now, is none.
    fn is_ours(&self, kept: &KeptLogin) -> bool {
        let is_same_client = self.0.spec.client.as_ref().is_none_or(|(id, _)| *id == kept.client.id);
        kept.is_for(&self.0.url) && is_same_client && (kept.grant == LoginGrant::Machine) == self.is_machine()
    }

    /// Whether MCProxy itself logs in.
    pub(crate) fn is_machine(&self) -> bool {
        self.0.spec.grant == OAuthGrant::Machine
    }

    fn current(&self) -> MutexGuard<'_, Option<CurrentToken>> {
        self.0.current.lock().expect("no thread panics with it")
    }

    /// From now on this is shown.
    fn adopt(&self, kept: &KeptLogin) {
        let tokens = &kept.tokens;
        let Ok(mut header) = HeaderValue::from_str(&format!("Bearer {}", tokens.access.expose())) else { return };
        header.set_sensitive(true);
        let now = seconds_since_1970();
        // Of a token from the future nothing is known but that it is to be renewed.
        let age = match now.checked_sub(tokens.obtained_at) {
            Some(age) => age,
            None if tokens.obtained_at - now <= CLOCK_SKEW => 0,
            None => tokens.lifetime.unwrap_or_default(),
        };
        let (mut age, mut lifetime) = (Duration::from_secs(age), tokens.lifetime.map(Duration::from_secs));
        // This machine may have been started since.
        let obtained = Instant::now().checked_sub(age).unwrap_or_else(|| {
            (age, lifetime) = (Duration::ZERO, lifetime.map(|_| Duration::ZERO));
            Instant::now()
        });
        let due = lifetime.map_or(Duration::MAX, |lifetime| due_after(lifetime, random::chance()));
        let renewable = tokens.refresh.is_some() || self.is_machine();
        *self.current() =
            Some(CurrentToken { access: tokens.access.clone(), header, obtained, due, lifetime, renewable });
        self.0.changed.notify_waiters();
    }

    /// The header to show; `None`: there is no login, and the server may want none.
    ///
    /// # Errors
    /// There is a login, and no token at present.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, CredentialFailure> {
        let Some(current) = self.current().clone() else { return Ok(None) };
        match current.freshness() {
            TokenFreshness::Fresh | TokenFreshness::Due => return Ok(Some(current.header)),
            TokenFreshness::Expired => {}
        }
        self.renew(Some(&current.access), &AuthChallenge::default()).await?;
        Ok(self.current().as_ref().map(|current| current.header.clone()))
    }

    /// What a server says, without the token that it was shown: it may end up in a log.
    pub(crate) fn masked(&self, said: Bytes) -> Bytes {
        let current = self.current();
        let Some(token) = current.as_ref().map(|current| current.access.expose()) else { return said };
        let mut rest = &said[..];
        let mut masked = Vec::new();
        while let Some(at) = memmem::find(rest, token.as_bytes()) {
            masked.extend_from_slice(&rest[..at]);
            masked.extend_from_slice(b"***");
            rest = &rest[at + token.len()..];
        }
        if masked.is_empty() {
            return said;
        }
        masked.extend_from_slice(rest);
        masked.into()
    }

    /// The server did not take what it was shown: gets another token. `false`: there is no login that could be renewed.
    ///
    /// # Errors
    /// There is none, at present or for good.
    pub(crate) async fn refused(
        &self,
        shown: Option<&HeaderValue>,
        challenge: &AuthChallenge,
    ) -> Result<bool, CredentialFailure> {
        let current = self.current().clone();
        match (&current, shown) {
            // Another request has got another one meanwhile.
            (Some(current), shown) if Some(&current.header) != shown => return Ok(true),
            (None, _) if !self.is_machine() => return self.look_again(),
            _ => {}
        }
        self.renew(current.as_ref().map(|current| &current.access), challenge).await.map(|()| true)
    }

    /// Somebody may have logged in since.
    fn look_again(&self) -> Result<bool, CredentialFailure> {
        let kept = self.0.store.read().ok().flatten().filter(|kept| self.is_ours(kept));
        match kept {
            Some(KeptLogin { refused: Some(why), .. }) => Err(self.needs_login(&why)),
            Some(kept) => {
                self.adopt(&kept);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Renews the token before it ends, for as long as this is polled; returns when only another login helps.
    pub(crate) async fn keep_fresh(self) -> CredentialFailure {
        loop {
            let changed = self.0.changed.notified();
            let due = self.current().as_ref().filter(|current| current.renewable).and_then(CurrentToken::due_at);
            let paused = self.0.renewal.lock().await.paused.as_ref().map(|(until, _)| *until);
            let wait = async {
                match due.map(|due| paused.map_or(due, |paused| due.max(paused))) {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => continue,
                () = wait => {}
            }
            let shown = self.current().as_ref().map(|current| current.access.clone());
            match self.renew(shown.as_ref(), &AuthChallenge::default()).await {
                Ok(()) | Err(CredentialFailure::Unavailable(_)) => {}
                Err(lost @ CredentialFailure::NeedsLogin(_)) => return lost,
            }
        }
    }

    /// Gets another token in the place of this one, or waits for whoever is doing that.
    async fn renew(&self, old: Option<&TokenText>, challenge: &AuthChallenge) -> Result<(), CredentialFailure> {
        let mut renewal = self.0.renewal.lock().await;
        if self.current().as_ref().map(|current| &current.access) != old {
            return Ok(());
        }
        if let Some((until, why)) = &renewal.paused
            && Instant::now() < *until
        {
            return Err(CredentialFailure::Unavailable(why.clone()));
        }
        match self.renew_in_store(old, challenge).await {
            Ok(()) => {
                *renewal = Renewal::default();
                Ok(())
            }
            Err(CredentialFailure::Unavailable(why)) => {
                renewal.attempts = renewal.attempts.saturating_add(1);
                let pause = retry_after(renewal.attempts, random::chance());
                let delay = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                warn!(self.0.log, "the token cannot be renewed at present"; "error" => &why, "delay_ms" => delay);
                renewal.paused = Some((Instant::now() + pause, why.clone()));
                Err(CredentialFailure::Unavailable(why))
            }
            Err(lost) => {
                // What is shown from now on is nothing, until somebody has logged in.
                *self.current() = None;
                Err(lost)
            }
        }
    }

    async fn renew_in_store(
        &self,
        old: Option<&TokenText>,
        challenge: &AuthChallenge,
    ) -> Result<(), CredentialFailure> {
        let unreadable = |error: io::Error| {
            CredentialFailure::Unavailable(format!("the login of `{}` cannot be read: {error}", self.0.server))
        };
        let lock = self.0.store.lock().await.map_err(unreadable)?;
        let kept = self.0.store.read().map_err(unreadable)?.filter(|kept| self.is_ours(kept));
        let now = seconds_since_1970();
        let (mut kept, asked) = match kept {
            Some(KeptLogin { refused: Some(why), .. }) if !self.is_machine() => return Err(self.needs_login(&why)),
            // Another worker of this server was faster.
            Some(kept) if Some(&kept.tokens.access) != old && kept.refused.is_none() => {
                self.adopt(&kept);
                return Ok(());
            }
            Some(kept) if self.is_machine() => {
                let asked = TokenRequest::Machine(kept.scope.as_deref()).send(&self.0.fetch, &kept, now).await;
                (kept, asked)
            }
            Some(kept) => {
                let Some(refresh) = &kept.tokens.refresh else {
                    return Err(
                        self.needs_login("the login is over, and the authorization server gave no refresh token")
                    );
                };
                let asked = TokenRequest::Refresh(refresh).send(&self.0.fetch, &kept, now).await;
                (kept, asked)
            }
            None if self.is_machine() => {
                let begun = self.begun(challenge).await.map_err(|error| self.failed(&error))?;
                let asked = TokenRequest::Machine(begun.scope.as_deref()).send(&self.0.fetch, &begun, now).await;
                (begun, asked)
            }
            None => return Err(self.needs_login("nobody is logged in any more")),
        };
        match asked {
            Ok(tokens) => {
                kept.tokens = tokens;
                kept.refused = None;
                // Ahead of its use: whatever ends this process from here on, the next one begins with it.
                if let Err(error) = self.0.store.write(&kept, &lock).await {
                    warn!(self.0.log, "the renewed login cannot be kept"; "error" => %error);
                }
                self.adopt(&kept);
                debug!(self.0.log, "the token was renewed");
                Ok(())
            }
            Err(OAuthError::Refused(why)) if !self.is_machine() => {
                kept.refused = Some(why.clone());
                if let Err(error) = self.0.store.write(&kept, &lock).await {
                    warn!(self.0.log, "the renewed login cannot be kept"; "error" => %error);
                }
                Err(self.needs_login(&why))
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Of a machine: what has to be known for a token.
    async fn begun(&self, challenge: &AuthChallenge) -> Result<KeptLogin, OAuthError> {
        let discovered = discover(&self.0.fetch, &self.0.url, challenge).await?;
        let secret = self.0.spec.client.as_ref().and_then(|(_, secret)| secret.as_ref());
        let secret = secret.map(|secret| TokenText::new(secret.expose()));
        let client = self.0.spec.client.as_ref().map(|(id, _)| (id.as_str(), secret.as_ref()));
        let ClientChoice::Known(client) = choose(client, None, &discovered.issuer)? else {
            return Err(OAuthError::Unusable("`oauth.clientId` and `oauth.clientSecret` are needed".to_owned()));
        };
        let scope = self.0.spec.scope.clone().or_else(|| discovered.scope.clone());
        Ok(KeptLogin::begun(&self.0.url, &discovered, (client, LoginGrant::Machine), scope))
    }

    fn failed(&self, error: &OAuthError) -> CredentialFailure {
        match error {
            OAuthError::Unavailable(why) => {
                CredentialFailure::Unavailable(format!("{why}; the login is kept, and tried again"))
            }
            OAuthError::Refused(why) | OAuthError::Unusable(why) if self.is_machine() => {
                CredentialFailure::NeedsLogin(format!("{why}; check `oauth` in the entry of `{}`", self.0.server))
            }
            OAuthError::Refused(why) | OAuthError::Unusable(why) => self.needs_login(why),
        }
    }

    fn needs_login(&self, why: &str) -> CredentialFailure {
        CredentialFailure::NeedsLogin(format!("{why}; log in again: `mcproxy login {}`", self.0.server))
    }
}

impl CurrentToken {
    fn freshness(&self) -> TokenFreshness {
        TokenFreshness::of(self.obtained.elapsed(), self.due, self.lifetime)
    }

    fn due_at(&self) -> Option<Instant> {
        self.lifetime?;
        self.obtained.checked_add(self.due)
    }
}

/// Of the wall clock, which a login has to outlive a restart of the machine by.
pub(super) fn seconds_since_1970() -> u64 {
    unix_seconds(SystemTime::now())
}

/// What a person is told of how long a login lasts.
pub(super) fn lasts(tokens: &TokenSet) -> String {
    match (&tokens.refresh, tokens.lifetime) {
        (Some(_), _) => "it is kept, and renewed by itself".to_owned(),
        (None, Some(seconds)) => {
            format!("it lasts for {} minutes: the authorization server gives no refresh tokens", seconds.div_ceil(60))
        }
        (None, None) => "it is kept for as long as the server takes it".to_owned(),
    }
}
