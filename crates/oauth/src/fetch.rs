//! Requests to authorization servers, as this crate has them sent.

use std::future::Future;

use url::Url;

/// Sends requests. Answers are of bounded length, redirects are not followed to other origins, and each has a deadline.
pub trait OAuthFetch: Sync {
    /// A GET for JSON.
    ///
    /// # Errors
    /// There was no answer: why.
    fn get(&self, url: &Url) -> impl Future<Output = Result<FetchedAnswer, String>> + Send;

    /// A POST whose answer is JSON.
    ///
    /// # Errors
    /// There was no answer: why.
    fn post(&self, url: &Url, post: OAuthPost) -> impl Future<Output = Result<FetchedAnswer, String>> + Send;
}

/// An answer of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedAnswer {
    /// Of HTTP.
    pub status: u16,
    /// All of it.
    pub body: Vec<u8>,
    /// For how many seconds it may be used again, if it says so (`Cache-Control`).
    pub max_age: Option<u64>,
}

impl FetchedAnswer {
    /// Whether the status says yes.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What is posted.
#[derive(Clone)]
pub struct OAuthPost {
    /// Of the body.
    pub content_type: &'static str,
    /// A form, or JSON.
    pub body: String,
    /// The header `Authorization`, if there is to be one.
    pub authorization: Option<String>,
}

impl OAuthPost {
    /// A form of these fields.
    pub(crate) fn form<'a>(
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        authorization: Option<String>,
    ) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self { content_type: "application/x-www-form-urlencoded", body, authorization }
    }

    /// JSON.
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self { content_type: "application/json", body: body.to_string(), authorization: None }
    }
}
