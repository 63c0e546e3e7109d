//! Answers of the interface: JSON that no cache keeps, and errors that say what to do.

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use serde::Serialize;

use crate::gateway::http::error::HttpError;

/// What the page may load and do: what comes from here, as files, and nothing that a text could become.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      media-src 'self' data: blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// An error of the interface.
#[derive(Debug, Serialize)]
pub(super) struct UiError<'a> {
    error: &'a str,
    remedy: Option<&'a str>,
}

/// Puts on a response what holds for all of the page.
pub(super) fn guard(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
}

/// The same on a response that was made elsewhere.
pub(super) fn guard_headers(headers: &mut HeaderMap) {
    let guarded = guard(&mut HttpResponse::Ok()).finish();
    for (name, value) in guarded.headers() {
        headers.insert(name.clone(), value.clone());
    }
}

/// JSON.
pub(super) fn json(value: &impl Serialize) -> HttpResponse {
    guard(&mut HttpResponse::Ok()).insert_header((header::CACHE_CONTROL, "no-store")).json(value)
}

/// An error, and what to do about it.
pub(super) fn error(status: StatusCode, error: &str, remedy: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    guard(&mut response).insert_header((header::CACHE_CONTROL, "no-store")).json(UiError { error, remedy })
}

/// 404.
pub(super) fn not_found(what: &str, remedy: Option<&str>) -> HttpResponse {
    error(StatusCode::NOT_FOUND, what, remedy)
}

/// 503: the supervisor does not answer.
pub(super) fn busy() -> HttpResponse {
    error(StatusCode::SERVICE_UNAVAILABLE, "the supervisor does not answer", Some("try again in a moment"))
}

/// A request that was refused for its head.
pub(in crate::gateway::http) fn refused(refusal: &HttpError) -> HttpResponse {
    let challenge = refusal.challenge();
    let remedy = challenge.map(|_| "send a token of `auth.tokens` as `Authorization: Bearer …`");
    let mut response = error(refusal.status_code(), &refusal.to_string(), remedy);
    if let Some(challenge) = challenge.and_then(|challenge| HeaderValue::from_str(challenge).ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
