//! Checks `Host`, `Origin` and credentials of every request before any other code sees it.

use std::{
    fmt,
    future::{Ready, ready},
    net::SocketAddr,
    rc::Rc,
    time::{Instant, SystemTime},
};

use actix_http::{HttpMessage, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_service};
use actix_web::{
    Error, HttpResponse, ResponseError,
    body::BoxBody,
    dev::ServiceResponse,
    http::{
        Method, StatusCode, Version,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use futures_util::future::Either;
use mcproxy_mcp::ErrorCode;
use slog::warn;

use super::{
    answering::{Answering, Asked},
    body, cors,
    error::HttpError,
    farewell::Farewell,
    path,
    ui::{answer, gate},
};
use crate::gateway::{
    base::{
        access,
        auth::{self, Admission},
        client_address::client_address,
        principal::Principal,
        refusals::RefusalReason,
    },
    state::Gateway,
};

/// Paths that a monitor may read without credentials: without them they tell whether the gateway works, nothing else.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Headers besides credentials that a request may have once. Of two, one program would read the first and another the last
/// (RFC 9110 §5.3). Other headers may be lists. (A second `Content-Length` is refused while the head is read.) The headers in which
/// 2026-07-28 repeats members of the body have their own error for that, see `dialect/stateless/validate.rs`.
const SINGLE: [&str; 7] =
    ["host", "origin", "content-type", "content-length", "last-event-id", "mcp-session-id", "mcp-protocol-version"];

/// Of a path and of a message with a header of the client's, so much is logged.
const LOGGED_CHARS: usize = 200;

/// The application behind the guard. Not a middleware of it: those box what passes, twice for each request.
pub(super) struct AuthService<S> {
    app: S,
    gateway: Rc<Gateway>,
    farewell: Farewell,
}

impl<S> AuthService<S> {
    pub(super) fn new(app: S, gateway: Rc<Gateway>, farewell: Farewell) -> Self {
        Self { app, gateway, farewell }
    }
}

impl<S> Service<Request> for AuthService<S>
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
    S::Future: Unpin,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Future = Either<Ready<Result<Response<BoxBody>, Error>>, Answering<S::Future>>;

    actix_service::forward_ready!(app);

    fn call(&self, mut request: Request) -> Self::Future {
        let page = page(&request, &self.gateway);
        let may_call = may_call(&request, page.as_ref());
        let mut asked = Asked::of(&request, page, self.farewell.clone());
        route(&mut request, &self.gateway);
        match admit(&request, may_call, &self.gateway) {
            Ok(Admitted::By(admission)) => {
                if let Some(admission) = admission {
                    let principal = admission.principal();
                    if let Some(hash) = admission.token_hash() {
                        self.gateway.token_uses.note(hash, SystemTime::now());
                    }
                    if let Err(refusal) = paced(&request, &principal, &self.gateway) {
                        refusal.record(&request, &self.gateway);
                        return Either::Left(ready(Ok(asked.answer(refusal.error.error_response()))));
                    }
                    if !principal.is_anonymous() {
                        request.extensions_mut().insert(principal);
                    }
                    asked.admitted(admission);
                }
                Either::Right(Answering { asked, application: self.app.call(request) })
            }
            Ok(Admitted::Answered(answer)) => Either::Left(ready(Ok(asked.answer(answer)))),
            Err(refusal) => {
                refusal.record(&request, &self.gateway);
                Either::Left(ready(Ok(asked.answer(refusal.answer(&request)))))
            }
        }
    }
}

/// The answer to a client that asks whether it may send its body (`Expect: 100-continue`, RFC 9110 §10.1.1): if its request will
/// be refused for what its head says, it learns so at once and keeps the body to itself.
pub(super) fn expecting(
    gateway: Rc<Gateway>,
    farewell: Farewell,
) -> impl ServiceFactory<Request, Config = (), Response = Request, Error = Response<BoxBody>, InitError = ()> {
    fn_service(move |mut request: Request| {
        route(&mut request, &gateway);
        let page = page(&request, &gateway);
        let refused = match admit(&request, may_call(&request, page.as_ref()), &gateway) {
            Ok(Admitted::By(_)) if request.method() == Method::POST => {
                body::check_head(request.headers(), &gateway.settings()).err()
            }
            Ok(_) => None,
            Err(refusal) => {
                refusal.record(&request, &gateway);
                Some(refusal.error)
            }
        };
        ready(match refused {
            None => Ok(request),
            Some(refusal) => Err(Asked::of(&request, page, farewell.clone()).answer(refusal.error_response())),
        })
    })
    .into_factory()
}

/// The verdict on a request before anything is done for it.
enum Admitted {
    /// The application answers it. `None`: it needs no admission.
    By(Option<Admission>),
    /// That is answered already.
    Answered(HttpResponse),
}

/// A request that is refused for its head.
struct Refusal {
    reason: RefusalReason,
    error: HttpError,
}

impl Refusal {
    /// 403: it is addressed to a host, or comes from a page, that the configuration does not allow.
    fn forbidden(reason: RefusalReason, message: impl fmt::Display) -> Self {
        Self { reason, error: HttpError::new(StatusCode::FORBIDDEN, ErrorCode::INVALID_REQUEST, message) }
    }

    fn answer(&self, request: &Request) -> HttpResponse {
        match gate::is_interface(request.path()) {
            true => answer::refused(&self.error),
            false => self.error.error_response(),
        }
    }

    /// Counts it, and logs it unless one of its kind was logged just now.
    fn record(&self, request: &Request, gateway: &Gateway) {
        if let Some(unlogged) = gateway.refusals.count(self.reason, Instant::now()) {
            let settings = gateway.settings();
            let client = |peer: SocketAddr| client_address(peer.ip(), request.headers(), &settings.trusted_proxies);
            let peer = request.peer_addr().map_or_else(String::new, |peer| client(peer).to_string());
            let cut = |text: &str| text.chars().take(LOGGED_CHARS).collect::<String>();
            warn!(gateway.log, "request refused"; "reason" => self.reason.as_str(), "peer" => peer,
                "path" => cut(request.path()), "error" => cut(&self.error.to_string()), "unlogged" => unlogged);
        }
    }
}

/// Brings the target of a request into the form that routes and groups are looked up with.
fn route(request: &mut Request, gateway: &Gateway) {
    if let Some(target) = path::routed(request.uri()) {
        *request.uri_mut() = target;
    }
    if let Some(target) = path::in_group(request.uri(), &gateway.settings().groups) {
        *request.uri_mut() = target;
    }
}

/// The origin of the page that a request is of, if such a page may call.
fn page(request: &Request, gateway: &Gateway) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    let settings = gateway.settings();
    // Our own page, under whatever name or address of ours the browser has opened it.
    let is_ours = || {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(|host| {
            access::host_allowed(Some(host), &settings.allowed_hosts) && access::is_same_origin(text, host)
        })
    };
    (access::origin_allowed(Some(text), &settings.allowed_origins) || is_ours()).then(|| origin.clone())
}

/// Whether a request is of no page, or of one that may call.
fn may_call(request: &Request, page: Option<&HeaderValue>) -> bool {
    page.is_some() || !request.headers().contains_key(header::ORIGIN)
}

/// A header that came twice and must not.
fn doubled(headers: &HeaderMap) -> Option<&HeaderName> {
    // Mostly there is none.
    if headers.len() == headers.len_keys() {
        return None;
    }
    let is_single = |name: &HeaderName| auth::is_credential(name) || SINGLE.contains(&name.as_str());
    headers.keys().find(|name| is_single(name) && headers.get_all(*name).count() > 1)
}

/// Whether a principal may send one more message now.
fn paced(request: &Request, principal: &Principal, gateway: &Gateway) -> Result<(), Refusal> {
    let limiter = (request.method() == Method::POST).then(|| gateway.rates.of(principal.name())).flatten();
    let admitted = limiter.map_or(Ok(()), |limiter| limiter.admit(Instant::now()));
    admitted.map_err(|exceeded| Refusal { reason: RefusalReason::Rate, error: HttpError::too_often(exceeded) })
}

fn admit(request: &Request, may_call: bool, gateway: &Gateway) -> Result<Admitted, Refusal> {
    if let Some(name) = doubled(request.headers()) {
        let error = HttpError::bad_request(format_args!("the request has more than one {name} header"));
        return Err(Refusal { reason: RefusalReason::DoubledHeader, error });
    }
    let settings = gateway.settings();
    let text = |name: HeaderName| request.headers().get(name).map(|v| v.to_str().unwrap_or("?"));
    // Before HTTP/1.1 it need not be there. A browser always sends it, and only in one could a page rebind its name.
    let may_lack_host = request.version() < Version::HTTP_11 && !request.headers().contains_key(header::HOST);
    if !(may_lack_host || access::host_allowed(text(header::HOST), &settings.allowed_hosts)) {
        let host = text(header::HOST).unwrap_or("(none)");
        let message = format_args!("the Host header {host:?} is not allowed here; add it to `allowedHosts`");
        return Err(Refusal::forbidden(RefusalReason::Host, message));
    }
    // An absolute target says the host, whatever the header says (RFC 9112 §3.2.2).
    let target = request.uri().authority();
    if target.is_some_and(|target| !access::host_allowed(Some(target.as_str()), &settings.allowed_hosts)) {
        let message = "the host in the request's target is not allowed here; add it to `allowedHosts`";
        return Err(Refusal::forbidden(RefusalReason::Host, message));
    }
    if !may_call {
        let origin = text(header::ORIGIN).unwrap_or_default();
        let message = format_args!("the Origin header {origin:?} is not allowed here; add it to `allowedOrigins`");
        return Err(Refusal::forbidden(RefusalReason::Origin, message));
    }
    if gate::is_interface(request.path())
        && let Err(other) = gate::is_of_our_page(request.headers())
    {
        return Err(Refusal::forbidden(RefusalReason::Page, other));
    }
    if request.headers().contains_key(header::ORIGIN)
        && let Some(answer) = cors::preflight(request.method(), request.headers())
    {
        return Ok(Admitted::Answered(answer));
    }
    // Which methods a path has is no secret, and browsers ask without credentials.
    let is_open = OPEN.contains(&request.path()) || gate::is_file(request.method(), request.path());
    if is_open || request.method() == Method::OPTIONS {
        return Ok(Admitted::By(None));
    }
    gateway
        .auth()
        .identify(request.headers(), request.uri())
        .map(|admission| Admitted::By(Some(admission)))
        .map_err(|error| Refusal { reason: RefusalReason::Credentials, error: HttpError::unauthorized(error) })
}
