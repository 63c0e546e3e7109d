//! What a person does once: logging in, and out.

use std::{io, time::Duration};

use mcproxy_http::{HeaderValue, Method, Url, header, http_client};
use mcproxy_ipc::{HttpSpec, OAuthSpec, ServerName};
use mcproxy_oauth::{
    AuthChallenge, AuthorizationRequest, ClientChoice, KeptLogin, LoginGrant, OAuthError, TokenRequest, TokenText,
    choose, discover, register, revoke,
};
use tokio::time::timeout;

use super::{
    credentials::{lasts, seconds_since_1970},
    fetch::LoginFetch,
    random,
    store::LoginStore,
};
use crate::client_settings::client_settings;

/// For the answer to the question whether the server wants a login.
const ASK_TIMEOUT: Duration = Duration::from_secs(20);
/// For the tokens to be given back, which is a courtesy.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The conversation with the person.
pub(super) trait LoginPorts {
    /// Shows the page.
    async fn page(&mut self, page: &Url) -> io::Result<()>;

    /// Says that a callback was none of this login.
    async fn not_ours(&mut self, why: String) -> io::Result<()>;

    /// Waits for the query of the next callback.
    async fn callback(&mut self) -> io::Result<String>;
}

/// The login at one server.
pub(super) struct LoginFlow<'a> {
    server: &'a ServerName,
    http: &'a HttpSpec,
    oauth: &'a OAuthSpec,
    url: Url,
    fetch: LoginFetch,
    store: LoginStore,
}

/// Why nobody is logged in or out.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    /// OAuth.
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    /// This server is not logged in at.
    #[error("{0}")]
    NotHere(&'static str),
    /// The file.
    #[error("the login cannot be kept: {0}")]
    Store(#[source] io::Error),
    /// The person, or the supervisor between.
    #[error("nobody waits for this login any more: {0}")]
    Gone(#[source] io::Error),
}

impl<'a> LoginFlow<'a> {
    /// At this server.
    pub(super) fn new(server: &'a ServerName, http: &'a HttpSpec) -> Result<Self, LoginError> {
        let url = Url::parse(http.url.expose()).map_err(|_| LoginError::NotHere("its `url` cannot be used"))?;
        let own = "its entry has credentials of its own (`bearerToken` or `headers`); take them out to log in instead";
        let oauth = http.oauth.as_ref().ok_or(LoginError::NotHere(own))?;
        let place = oauth.place.as_ref().ok_or(LoginError::NotHere(
            "MCProxy has no state directory to keep a login in; start it with --state-dir, or with a HOME",
        ))?;
        let store = LoginStore::new(place, server);
        Ok(Self { server, http, oauth, fetch: LoginFetch::new(http, &url), url, store })
    }

    /// Logs in; returns a sentence for the person.
    pub(super) async fn log_in(
        &self,
        redirect: &str,
        scope: Option<&str>,
        person: &mut impl LoginPorts,
    ) -> Result<String, LoginError> {
        if self.oauth.grant == mcproxy_ipc::OAuthGrant::Machine {
            return Err(LoginError::NotHere("MCProxy logs in by itself (`oauth.grant`)"));
        }
        let discovered = discover(&self.fetch, &self.url, &self.challenge().await?).await?;
        let scope = discovered.scope_for_people(scope.or(self.oauth.scope.as_deref()));
        let secret = self.oauth.client.as_ref().and_then(|(_, secret)| secret.as_ref());
        let secret = secret.map(|secret| TokenText::new(secret.expose()));
        let configured = self.oauth.client.as_ref().map(|(id, _)| (id.as_str(), secret.as_ref()));
        let client = match choose(configured, self.oauth.client_document.as_deref(), &discovered.issuer)? {
            ClientChoice::Known(client) => client,
            ClientChoice::Register => register(&self.fetch, &discovered.issuer, redirect, scope.as_deref()).await?,
        };
        let request =
            AuthorizationRequest { discovered: &discovered, client: &client, redirect, scope: scope.as_deref() };
        let random = || random::bytes().map_err(LoginError::Store);
        let (pending, page) = request.begin(random()?, random()?)?;
        person.page(&page).await.map_err(LoginError::Gone)?;
        let code = loop {
            match pending.code(&person.callback().await.map_err(LoginError::Gone)?) {
                Ok(code) => break code,
                Err(OAuthError::Unusable(why)) => person.not_ours(why).await.map_err(LoginError::Gone)?,
                Err(refused) => return Err(refused.into()),
            }
        };
        let mut login = KeptLogin::begun(&self.url, &discovered, (client, LoginGrant::Person), scope);
        let asked = TokenRequest::Code { pending: &pending, code: &code };
        login.tokens = asked.send(&self.fetch, &login, seconds_since_1970()).await?;
        let lock = self.store.lock().await.map_err(LoginError::Store)?;
        self.store.write(&login, &lock).await.map_err(LoginError::Store)?;
        let issuer = Url::parse(&login.issuer).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization());
        Ok(format!("logged in to {} at {issuer}; {}", self.server, lasts(&login.tokens)))
    }

    /// Gives the tokens back and forgets them; returns a sentence for the person.
    pub(super) async fn log_out(&self) -> Result<String, LoginError> {
        let lock = self.store.lock().await.map_err(LoginError::Store)?;
        // What cannot be read can be removed all the same.
        let kept = self.store.read().ok().flatten();
        let revoked = match kept.as_ref().and_then(|kept| Some((kept, kept.revocation_endpoint.as_deref()?))) {
            Some((kept, endpoint)) => {
                let revoked = timeout(REVOKE_TIMEOUT, revoke(&self.fetch, endpoint, &kept.client, &kept.tokens)).await;
                revoked.unwrap_or_else(|_| Err(OAuthError::Unavailable("no answer in time".to_owned())))
            }
            None => Err(OAuthError::Unusable("the authorization server takes none back".to_owned())),
        };
        self.store.remove(&lock).map_err(LoginError::Store)?;
        Ok(match (kept, revoked) {
            (None, _) => format!("nobody was logged in to {}", self.server),
            (Some(_), Ok(())) => format!("logged out of {}; the tokens were given back", self.server),
            (Some(_), Err(why)) => {
                format!(
                    "logged out of {}; the tokens are forgotten here, and end there in their time: {why}",
                    self.server
                )
            }
        })
    }

    /// What the server says to a request that shows nothing.
    async fn challenge(&self) -> Result<AuthChallenge, LoginError> {
        const QUESTION: &str = r#"{"jsonrpc":"2.0","id":"mcproxy","method":"ping"}"#;
        let unavailable = |why: String| OAuthError::Unavailable(format!("cannot reach the server: {why}"));
        let client = http_client(&client_settings(self.http, self.url.clone()));
        let client = client.map_err(|error| OAuthError::Unusable(error.to_string()))?;
        // A server of HTTP+SSE wants to be asked by GET.
        let method = if self.http.dialect == mcproxy_ipc::HttpDialect::Sse { Method::GET } else { Method::POST };
        let mut request = client.request(method.clone(), self.url.clone());
        request = request.header(header::ACCEPT, "application/json, text/event-stream");
        for (name, value) in &self.http.headers {
            if let Ok(value) = HeaderValue::from_str(value.expose()) {
                request = request.header(name, value);
            }
        }
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/json").body(QUESTION);
        }
        let response = match timeout(ASK_TIMEOUT, request.send()).await {
            Ok(response) => response.map_err(|error| unavailable(mcproxy_http::fault(&error).text))?,
            Err(_) => return Err(unavailable("no answer in time".to_owned()).into()),
        };
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let challenge = challenges.filter_map(|value| AuthChallenge::parse(value.to_str().ok()?)).next();
        Ok(challenge.unwrap_or_default())
    }
}
