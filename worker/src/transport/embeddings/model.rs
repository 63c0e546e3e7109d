//! Requests to the model, over the HTTP client of all, and what an answer means that is none.

use std::time::Duration;

use mcproxy_http::{Client, HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Url, fault, header, http_client};
use mcproxy_ipc::EmbeddingsSpec;
use mcproxy_mcp::RawObject;
use mcproxy_search::{Vector, read_embeddings};
use serde::Serialize;
use tokio::time::timeout;

use crate::{client_settings::client_settings, lines::printable, mask::Mask};

/// Of an answer: the longest vectors of as many texts as go into one request, written at length.
const MAX_ANSWER: usize = 8 << 20;
/// Of an answer that is an error.
const MAX_REFUSAL: usize = 64 * 1024;
/// Of what it says, so much is shown.
const QUOTED: usize = 300;
/// For an answer, all of it. Searches wait for less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Texts that are too long for a model are cut to this, in bytes.
const SHORT_TEXT: usize = 512;

/// Why there are no vectors, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelFailure(pub(super) String);

/// A model behind a URL.
pub(super) struct Model {
    client: Client,
    url: Url,
    /// The URL without what may be secret.
    shown: String,
    name: String,
    headers: HeaderMap,
    has_key: bool,
    mask: Mask,
}

#[derive(Serialize)]
struct EmbeddingsRequest<'a> {
    model: &'a str,
    input: &'a [&'a str],
}

impl Model {
    /// `mask`: the secrets among its settings.
    pub(super) fn new(spec: &EmbeddingsSpec, mask: Mask) -> Result<Self, String> {
        let url = Url::parse(spec.http.url.expose())
            .map_err(|error| format!("the address in `search.embeddings.url` cannot be used: {error}"))?;
        let client = http_client(&client_settings(&spec.http, url.clone())).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &spec.http.headers {
            let pair = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.expose()).ok());
            let (name, mut value) = pair.ok_or_else(|| format!("`{name}` is no header"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
        let has_key = headers.contains_key(header::AUTHORIZATION);
        Ok(Self { client, url, shown, name: spec.model.clone(), headers, has_key, mask })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The vectors of these texts, all of one dimension.
    pub(super) async fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, ModelFailure> {
        let asked = match self.ask(texts).await {
            Err(AskFailure::TooLong(_)) if texts.iter().any(|text| text.len() > SHORT_TEXT) => {
                let short: Vec<&str> = texts.iter().map(|text| &text[..text.floor_char_boundary(SHORT_TEXT)]).collect();
                self.ask(&short).await
            }
            asked => asked,
        };
        asked.map_err(|(AskFailure::TooLong(why) | AskFailure::Other(why))| ModelFailure(why))
    }

    /// It is another one than it was.
    pub(super) fn changed(&self, before: usize, now: usize) -> ModelFailure {
        ModelFailure(format!("{} gave vectors of {before} numbers, and gives some of {now} now", self.shown))
    }

    async fn ask(&self, texts: &[&str]) -> Result<Vec<Vector>, AskFailure> {
        let other = |why: String| AskFailure::Other(why);
        let request = EmbeddingsRequest { model: &self.name, input: texts };
        let body = serde_json::to_vec(&request).expect("texts alone");
        let exchange = async {
            let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
            let response = request.send().await.map_err(|error| other(self.unreachable(&fault(&error).text)))?;
            let status = response.status();
            if !status.is_success() {
                let body = self.body(response, MAX_REFUSAL).await.unwrap_or_default();
                return Err(self.refusal(status, &body));
            }
            self.body(response, MAX_ANSWER).await.map_err(other)
        };
        let in_time = timeout(ANSWER_TIMEOUT, exchange).await;
        let silent = |_| other(self.unreachable(&format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())));
        let body = in_time.map_err(silent)??;
        read_embeddings(&body, texts.len()).map_err(|error| {
            other(format!(
                "{} cannot be used: {error}; check `search.embeddings.url` (it ends in /v1/embeddings most often)",
                self.shown
            ))
        })
    }

    async fn body(&self, mut response: Response, most: usize) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&fault(&error).text))? {
            if body.len() + chunk.len() > most {
                return Err(format!("{} answers with more than {most} bytes", self.shown));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, why: &str) -> String {
        format!("cannot reach {}: {why}", self.shown)
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> AskFailure {
        let said = said(body).map(|said| format!(": {}", self.quoted(&said))).unwrap_or_default();
        let answers = format!("{} answers HTTP {}{said}", self.shown, status.as_u16());
        let help = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.has_key => "check `search.embeddings.key`",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "write its key as `search.embeddings.key`",
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                "check `search.embeddings.url` (it ends in /v1/embeddings most often) and `search.embeddings.model`"
            }
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                return AskFailure::TooLong(format!("{answers}; check `search.embeddings.model`"));
            }
            _ if status.is_redirection() => "it redirects to another origin; write that into `search.embeddings.url`",
            _ => "it is asked again later",
        };
        AskFailure::Other(format!("{answers}; {help}"))
    }

    /// Masked before it is cut, so that no part of a secret is left.
    fn quoted(&self, said: &str) -> String {
        printable(self.mask.apply(said).trim().as_bytes(), QUOTED)
    }
}

/// Why one request came to nothing.
enum AskFailure {
    /// The texts may be too long for it.
    TooLong(String),
    Other(String),
}

/// What an error says of itself.
fn said(body: &[u8]) -> Option<String> {
    let object = RawObject::from_slice(body).ok()?;
    let inner = object.get_object("error");
    let text = |object: &RawObject<'_>, key| object.get_string(key).map(std::borrow::Cow::into_owned);
    inner
        .and_then(|error| text(&error, "message"))
        .or_else(|| ["message", "detail", "error"].iter().find_map(|key| text(&object, key)))
}
