//! Why a request is answered with an HTTP error, and the JSON-RPC error in its body.

use std::{borrow::Cow, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, ContentType, HeaderName},
    },
};
use mcproxy_mcp::{EnvelopeError, ErrorCode, RequestId, error_object, write_error_response};

use crate::gateway::base::{auth_error::AuthError, rates::RateExceeded};

/// A request that was refused: an HTTP status with a JSON-RPC error in the body.
#[derive(Debug)]
pub(super) struct HttpError {
    status: StatusCode,
    code: ErrorCode,
    message: String,
    /// The request's id, where it could be read.
    id: Option<RequestId>,
    /// The headers that belong to the status.
    header: Option<(HeaderName, Cow<'static, str>)>,
}

impl HttpError {
    /// A refusal that says what to do instead.
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl fmt::Display) -> Self {
        Self { status, code, message: message.to_string(), id: None, header: None }
    }

    /// 400 with "invalid request".
    pub(super) fn bad_request(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::INVALID_REQUEST, message)
    }

    /// 415: the body is compressed.
    pub(super) fn unsupported_coding(coding: &str) -> Self {
        let coding: String = coding.chars().take(40).collect();
        let message = format!("the Content-Encoding {coding:?} is not taken here; send the body without one");
        let refusal = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::INVALID_REQUEST, message);
        Self { header: Some((header::ACCEPT_ENCODING, "identity".into())), ..refusal }
    }

    /// 405: there is nothing here but POST.
    pub(super) fn post_only(message: impl fmt::Display) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::INVALID_REQUEST, message);
        Self { header: Some((header::ALLOW, "POST".into())), ..refusal }
    }

    /// 503: there is no room now.
    pub(super) fn busy(message: impl fmt::Display) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::INTERNAL_ERROR, message);
        Self { header: Some((header::RETRY_AFTER, "5".into())), ..refusal }
    }

    /// 429: its token is used too often. The time is in whole seconds, of which it has at least one.
    pub(super) fn too_often(exceeded: RateExceeded) -> Self {
        let message = format_args!("this token has {exceeded}");
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::INTERNAL_ERROR, message);
        let seconds = exceeded.wait().as_secs_f64().ceil().max(1.0);
        Self { header: Some((header::RETRY_AFTER, format!("{seconds:.0}").into())), ..refusal }
    }

    /// The whole response, for a connection on which nobody else writes it; it is closed after that.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let body = self.body();
        let (code, reason) = (self.status.as_str(), self.status.canonical_reason().unwrap_or_default());
        let mut response =
            format!("HTTP/1.1 {code} {reason}\r\nconnection: close\r\ncontent-type: application/json\r\n");
        if let Some((name, value)) = &self.header {
            response += &format!("{name}: {value}\r\n");
        }
        response += &format!("content-length: {}\r\n\r\n", body.len());
        [response.into_bytes(), body].concat()
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        write_error_response(&mut body, self.id.as_ref(), error_object(self.code, &self.message).get());
        body
    }

    /// The challenge of a refusal for credentials.
    pub(super) fn challenge(&self) -> Option<&str> {
        self.header.as_ref().filter(|(name, _)| *name == header::WWW_AUTHENTICATE).map(|(_, value)| value.as_ref())
    }

    /// 401: credentials are missing or wrong; 403: they are too little; 503: they cannot be looked at now. `hint`: where a client of
    /// OAuth gets a token.
    pub(super) fn unauthorized(error: AuthError, hint: Option<&str>) -> Self {
        let status = error.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return Self::busy(error);
        }
        let refusal = Self::new(status, ErrorCode::INVALID_REQUEST, error);
        Self { header: Some((header::WWW_AUTHENTICATE, error.challenge(hint).into())), ..refusal }
    }

    /// 403: the token is good, and what was asked for needs these scopes.
    pub(super) fn insufficient_scope(hint: &str, needed: &str) -> Self {
        let message = format_args!("this needs a token with the scopes `{needed}`");
        let refusal = Self::new(StatusCode::FORBIDDEN, ErrorCode::INVALID_REQUEST, message);
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", error_description=\"this needs more scopes than the token has\", {hint}"
        );
        Self { header: Some((header::WWW_AUTHENTICATE, challenge.into())), ..refusal }
    }
}

impl From<EnvelopeError> for HttpError {
    fn from(error: EnvelopeError) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, error.code(), &error);
        Self { id: error.id().cloned(), ..refusal }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some((name, value)) = &self.header {
            response.insert_header((name.clone(), value.as_ref()));
        }
        response.content_type(ContentType::json()).body(self.body())
    }
}
