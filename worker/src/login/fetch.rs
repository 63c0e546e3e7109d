//! Requests to authorization servers, over the HTTP client of all.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use mcproxy_http::{Client, HeaderValue, RequestBuilder, TlsSettings, Url, fault, header, http_client};
use mcproxy_ipc::HttpSpec;
use mcproxy_oauth::{FetchedAnswer, OAuthFetch, OAuthPost, max_age};
use tokio::time::timeout;

use crate::client_settings::client_settings;

/// Of an answer; what is longer is none.
const MAX_ANSWER: usize = 256 * 1024;
/// For an answer, all of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Origins that connections are kept to: the server's own and those of its authorization servers.
const MAX_ORIGINS: usize = 8;

/// Sends requests to the server's authorization server, as its entry says that one is reached.
pub(crate) struct LoginFetch {
    http: HttpSpec,
    /// Of the server.
    url: Url,
    clients: Mutex<HashMap<String, Client>>,
}

impl LoginFetch {
    /// For the server of this entry, which is at `url`.
    pub(crate) fn new(http: &HttpSpec, url: &Url) -> Self {
        Self { http: http.clone(), url: url.clone(), clients: Mutex::default() }
    }

    /// A client for that origin. What is trusted of the server's host is what its entry says; of any other host, what `oauth.ca` does.
    fn client(&self, url: &Url) -> Result<Client, String> {
        let origin = url.origin().ascii_serialization();
        let mut clients = self.clients.lock().expect("no thread panics with it");
        if let Some(client) = clients.get(&origin) {
            return Ok(client.clone());
        }
        let mut settings = client_settings(&self.http, url.clone());
        if url.host_str() != self.url.host_str() {
            let ca = self.http.oauth.as_ref().and_then(|oauth| oauth.ca.as_ref());
            settings.tls = TlsSettings { ca: ca.map(|ca| ca.expose().to_owned()), client: None };
        }
        let client = http_client(&settings).map_err(|error| error.to_string())?;
        if clients.len() >= MAX_ORIGINS {
            clients.clear();
        }
        clients.insert(origin, client.clone());
        Ok(client)
    }

    async fn send(&self, request: RequestBuilder) -> Result<FetchedAnswer, String> {
        let request = request.header(header::ACCEPT, "application/json");
        let exchange = async {
            let mut response = request.send().await.map_err(|error| fault(&error).text)?;
            let status = response.status().as_u16();
            let caching = response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
            let max_age = caching.and_then(max_age);
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error).text)? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(FetchedAnswer { status, body, max_age })
        };
        let in_time = timeout(ANSWER_TIMEOUT, exchange).await;
        in_time.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())))
    }
}

impl OAuthFetch for LoginFetch {
    async fn get(&self, url: &Url) -> Result<FetchedAnswer, String> {
        self.send(self.client(url)?.get(url.clone())).await
    }

    async fn post(&self, url: &Url, post: OAuthPost) -> Result<FetchedAnswer, String> {
        let mut request =
            self.client(url)?.post(url.clone()).header(header::CONTENT_TYPE, post.content_type).body(post.body);
        if let Some(authorization) = post.authorization {
            let mut value = HeaderValue::from_str(&authorization).map_err(|_| "its credentials fit no header")?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        self.send(request).await
    }
}
