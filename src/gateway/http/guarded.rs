//! What every request passes before anything else looks at it: `Host`, `Origin` and the bearer token.

use std::rc::Rc;

use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
};
use mcproxy_mcp::ErrorCode;

use super::{place::Principal, refusal::Refusal};
use crate::gateway::{guard, state::Gateway};

/// Paths that a monitor may read without a token: they say whether we live, nothing else.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// The middleware.
pub(super) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check(&request) {
        Ok(principal) => {
            if principal.is_some() {
                request.extensions_mut().insert(Principal(principal));
            }
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(refusal) => Ok(request.into_response(refusal.error_response())),
    }
}

fn check(request: &ServiceRequest) -> Result<Option<String>, Refusal> {
    let gateway = request.app_data::<Rc<Gateway>>().expect("every App of ours is given its Gateway");
    let settings = gateway.settings();
    let text = |name: header::HeaderName| request.headers().get(name).map(|v| v.to_str().unwrap_or("?"));
    if request.headers().get_all(header::HOST).count() > 1
        || !guard::host_allowed(text(header::HOST), &settings.allowed_hosts)
    {
        let host = text(header::HOST).unwrap_or("(none)");
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            ErrorCode::INVALID_REQUEST,
            format_args!("the Host header {host:?} is not allowed here; add it to `allowedHosts`"),
        ));
    }
    // An absolute target says the host, whatever the header says (RFC 9112 §3.2.2).
    let target = request.uri().authority();
    if target.is_some_and(|target| !guard::host_allowed(Some(target.as_str()), &settings.allowed_hosts)) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            ErrorCode::INVALID_REQUEST,
            "the host in the request's target is not allowed here; add it to `allowedHosts`",
        ));
    }
    if !guard::origin_allowed(text(header::ORIGIN), &settings.allowed_origins) {
        let origin = text(header::ORIGIN).unwrap_or_default();
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            ErrorCode::INVALID_REQUEST,
            format_args!("the Origin header {origin:?} is not allowed here; add it to `allowedOrigins`"),
        ));
    }
    if OPEN.contains(&request.path()) {
        return Ok(None);
    }
    match guard::principal(text(header::AUTHORIZATION), settings.tokens.as_deref()) {
        Ok(principal) => Ok(principal.map(str::to_owned)),
        Err(error) => Err(Refusal::unauthorized(error)),
    }
}
