//! What every request passes before anything else looks at it: `Host`, `Origin` and the bearer token.

use std::{
    future::{Ready, ready},
    rc::Rc,
};

use actix_http::{HttpMessage, Request, Response};
use actix_service::Service;
use actix_web::{
    Error, ResponseError,
    body::BoxBody,
    dev::ServiceResponse,
    http::{StatusCode, header},
};
use futures_util::{
    TryFutureExt,
    future::{Either, MapOk},
};
use mcproxy_mcp::ErrorCode;

use super::{connection::Connection, place::Principal, refusal::Refusal};
use crate::gateway::{guard, state::Gateway};

/// Paths that a monitor may read without a token: they say whether we live, nothing else.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// The application behind the guard. Not a middleware of it: those box what passes, twice for each request.
pub(super) struct Guarded<S> {
    app: S,
    gateway: Rc<Gateway>,
}

impl<S> Guarded<S> {
    pub(super) fn new(app: S, gateway: Rc<Gateway>) -> Self {
        Self { app, gateway }
    }
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Future =
        Either<Ready<Result<Response<BoxBody>, Error>>, MapOk<S::Future, fn(ServiceResponse) -> Response<BoxBody>>>;

    actix_service::forward_ready!(app);

    fn call(&self, request: Request) -> Self::Future {
        if let Some(connection) = request.conn_data::<Rc<Connection>>() {
            connection.asked();
        }
        match check(&request, &self.gateway) {
            Ok(principal) => {
                if principal.is_some() {
                    request.extensions_mut().insert(Principal(principal));
                }
                Either::Right(self.app.call(request).map_ok(Response::from))
            }
            Err(refusal) => Either::Left(ready(Ok(refusal.error_response().into()))),
        }
    }
}

fn check(request: &Request, gateway: &Gateway) -> Result<Option<String>, Refusal> {
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
