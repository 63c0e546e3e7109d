//! Checks `Host`, `Origin` and credentials of every request before any other code sees it.

use std::{
    fmt,
    future::{Ready, ready},
    mem,
    net::SocketAddr,
    pin::Pin,
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
        Method, StatusCode, Uri, Version,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use futures_util::future::Either;
use mcproxy_mcp::ErrorCode;
use slog::warn;

use super::{
    answering::{Answering, Asked},
    bearer, body, cors,
    error::HttpError,
    farewell::Farewell,
    path,
    step_up::RequestedPath,
    ui::{answer, gate},
};
use crate::gateway::{
    base::{
        access,
        auth::{self, Admission},
        auth_error::AuthError,
        client_address::client_address,
        oauth::resource,
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
    app: Rc<S>,
    gateway: Rc<Gateway>,
    farewell: Farewell,
}

impl<S> AuthService<S> {
    pub(super) fn new(app: S, gateway: Rc<Gateway>, farewell: Farewell) -> Self {
        Self { app: Rc::new(app), gateway, farewell }
    }
}

/// An answer that is made at once, that the application makes, or that waits for a token to be verified before.
type GuardedAnswer<F> = Either<Ready<Result<Response<BoxBody>, Error>>, Either<Answering<F>, Pin<Box<Verifying>>>>;

/// The verification of a token, and the application's answer after it.
type Verifying = dyn Future<Output = Result<Response<BoxBody>, Error>>;

impl<S> Service<Request> for AuthService<S>
where
    S: Service<Request, Response = ServiceResponse, Error = Error> + 'static,
    S::Future: Unpin,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Future = GuardedAnswer<S::Future>;

    actix_service::forward_ready!(app);

    fn call(&self, mut request: Request) -> Self::Future {
        let page = page(&request, &self.gateway);
        let may_call = may_call(&request, page.as_ref());
        let asked = Asked::of(&request, page, self.farewell.clone());
        let requested = route(&mut request, &self.gateway);
        let verdict = admit(&request, requested.as_ref(), may_call, &self.gateway);
        if let Err(Refusal { is_unverified: true, .. }) = &verdict {
            let (app, gateway) = (self.app.clone(), self.gateway.clone());
            return Either::Right(Either::Right(Box::pin(verified(app, gateway, request, requested, may_call, asked))));
        }
        match proceed(&*self.app, &self.gateway, request, requested.as_ref(), verdict, asked) {
            Ok(answering) => Either::Right(Either::Left(answering)),
            Err(answer) => Either::Left(ready(Ok(answer))),
        }
    }
}

/// Has the token of a request verified, and goes on with the request after that.
async fn verified<S>(
    app: Rc<S>,
    gateway: Rc<Gateway>,
    request: Request,
    requested: Option<Uri>,
    may_call: bool,
    asked: Asked,
) -> Result<Response<BoxBody>, Error>
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
    S::Future: Unpin,
{
    let verdict = match bearer::verify(&gateway, request.headers()).await {
        Ok(()) => admit(&request, requested.as_ref(), may_call, &gateway),
        Err(error) => match gateway.auth().without_token(request.uri()) {
            Some(admission) => Ok(Admitted::By(Some(admission))),
            None => Err(Refusal::of_credentials(error, &request, requested.as_ref(), &gateway)),
        },
    };
    match proceed(&*app, &gateway, request, requested.as_ref(), verdict, asked) {
        Ok(answering) => answering.await,
        Err(answer) => Ok(answer),
    }
}

/// Hands a request that was admitted to the application; an error is the answer to one that was not.
fn proceed<S>(
    app: &S,
    gateway: &Gateway,
    request: Request,
    requested: Option<&Uri>,
    verdict: Result<Admitted, Refusal>,
    mut asked: Asked,
) -> Result<Answering<S::Future>, Response<BoxBody>>
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
{
    match verdict {
        Ok(Admitted::By(admission)) => {
            if let Some(admission) = admission {
                let principal = admission.principal();
                if let Some(hash) = admission.token_hash() {
                    gateway.token_uses.note(hash, SystemTime::now());
                }
                if let Err(refusal) = paced(&request, &principal, gateway) {
                    refusal.record(&request, gateway);
                    return Err(asked.answer(refusal.error.error_response()));
                }
                if let (Some(requested), Some(_)) = (requested, principal.scopes()) {
                    request.extensions_mut().insert(RequestedPath(requested.path().into()));
                }
                if !principal.is_anonymous() {
                    request.extensions_mut().insert(principal);
                }
                asked.admitted(admission);
            }
            Ok(Answering { asked, application: app.call(request) })
        }
        Ok(Admitted::Answered(answer)) => Err(asked.answer(answer)),
        Err(refusal) => {
            refusal.record(&request, gateway);
            Err(asked.answer(refusal.answer(&request)))
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
        let requested = route(&mut request, &gateway);
        let page = page(&request, &gateway);
        let refused = match admit(&request, requested.as_ref(), may_call(&request, page.as_ref()), &gateway) {
            // Its token is verified when the request itself comes.
            Err(Refusal { is_unverified: true, .. }) => None,
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
    /// It shows a token that has to be verified first.
    is_unverified: bool,
}

impl Refusal {
    /// 403: it is addressed to a host, or comes from a page, that the configuration does not allow.
    fn forbidden(reason: RefusalReason, message: impl fmt::Display) -> Self {
        Self::new(reason, HttpError::new(StatusCode::FORBIDDEN, ErrorCode::INVALID_REQUEST, message))
    }

    fn new(reason: RefusalReason, error: HttpError) -> Self {
        Self { reason, error, is_unverified: false }
    }

    /// Its credentials are none, or wrong. `requested`: its target, if it is served under another path.
    fn of_credentials(error: AuthError, request: &Request, requested: Option<&Uri>, gateway: &Gateway) -> Self {
        let path = requested.unwrap_or(request.uri()).path();
        let settings = gateway.settings();
        let hint = settings.oauth.as_ref().map(|oauth| resource::hint(oauth, path, &oauth.initial_scopes.join(" ")));
        let refusal = Self::new(RefusalReason::Credentials, HttpError::unauthorized(error, hint.as_deref()));
        Self { is_unverified: error == AuthError::Unverified, ..refusal }
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

/// Brings the target of a request into the form that routes and groups are looked up with. Returns what a group's further path was.
fn route(request: &mut Request, gateway: &Gateway) -> Option<Uri> {
    if let Some(target) = path::routed(request.uri()) {
        *request.uri_mut() = target;
    }
    let target = path::in_group(request.uri(), &gateway.settings().groups)?;
    Some(mem::replace(request.uri_mut(), target))
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
    admitted.map_err(|exceeded| Refusal::new(RefusalReason::Rate, HttpError::too_often(exceeded)))
}

fn admit(request: &Request, requested: Option<&Uri>, may_call: bool, gateway: &Gateway) -> Result<Admitted, Refusal> {
    if let Some(name) = doubled(request.headers()) {
        let error = HttpError::bad_request(format_args!("the request has more than one {name} header"));
        return Err(Refusal::new(RefusalReason::DoubledHeader, error));
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
    // Which methods a path has is no secret, and browsers ask without credentials. Neither is where tokens are to be had.
    let is_open = OPEN.contains(&request.path())
        || gate::is_file(request.method(), request.path())
        || (settings.oauth.is_some() && request.path().starts_with(resource::WELL_KNOWN));
    if is_open || request.method() == Method::OPTIONS {
        return Ok(Admitted::By(None));
    }
    let admission = gateway.auth().identify(request.headers(), request.uri());
    let admission = admission.and_then(|admission| {
        let path = requested.unwrap_or(request.uri()).path();
        if admission.is_for(path) { Ok(admission) } else { Err(AuthError::OtherEndpoint) }
    });
    let of_credentials = |error| Refusal::of_credentials(error, request, requested, gateway);
    admission.map(|admission| Admitted::By(Some(admission))).map_err(of_credentials)
}
