//! The HTTP surface: which path is what, and what every request passes before anything else looks at it.

mod body;
mod connections;
mod guarded;
mod legacy_sse;
mod observe;
mod place;
mod refusal;
mod server_log;
mod sse;
mod streamable;

use std::{io, net::TcpListener, rc::Rc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, http::header::ContentType, middleware::from_fn, web};
use slog::Logger;

use super::{state::Gateway, supervisor::Supervisor};

/// An idle connection is kept for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The longest `shutdownGrace`, in seconds.
const DRAIN_LIMIT: u64 = 3600;

/// Starts the HTTP server on one thread of its own.
pub(super) fn serve(listener: TcpListener, supervisor: Supervisor, log: &Logger) -> io::Result<Server> {
    let limits = supervisor.settings.borrow().connections;
    connections::inherit(&listener, &limits)?;
    let at_once = connections::at_once(&limits, log)?;
    connections::follow(listener.try_clone()?, supervisor.settings.clone(), log.clone());
    server_log::listen(log);
    let log = log.clone();
    let server = HttpServer::new(move || {
        // Called once, on the thread that serves: all state lives there.
        let gateway = Gateway::start(supervisor.clone(), log.clone());
        App::new().app_data(gateway).wrap(from_fn(guarded::guard)).configure(routes).default_service(web::to(not_found))
    })
    .workers(1)
    .max_connections(at_once)
    .client_request_timeout(limits.head_timeout)
    .keep_alive(KEEP_ALIVE)
    .tcp_nodelay(true)
    // A client that closed its side has left. Otherwise its stream, and all that hangs on it, would live on until two
    // keep-alives later.
    .h1_allow_half_closed(false)
    // The supervisor knows how long a drain may take, and ends what exceeds it.
    .shutdown_timeout(DRAIN_LIMIT)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

fn routes(config: &mut web::ServiceConfig) {
    for prefix in ["", "/servers/{server}", "/groups/{group}"] {
        let at = |path: &str| format!("{prefix}{path}");
        config
            .service(
                web::resource(at("/mcp"))
                    .route(web::post().to(streamable::post))
                    .route(web::get().to(streamable::get))
                    .route(web::delete().to(streamable::delete))
                    .default_service(web::to(|| method_not_allowed("GET, POST, DELETE"))),
            )
            .service(
                web::resource(at("/sse"))
                    .route(web::get().to(legacy_sse::get))
                    .default_service(web::to(|| method_not_allowed("GET"))),
            )
            .service(
                web::resource(at("/messages"))
                    .route(web::post().to(legacy_sse::post))
                    .default_service(web::to(|| method_not_allowed("POST"))),
            );
    }
    config
        .route("/healthz", web::get().to(observe::healthz))
        .route("/readyz", web::get().to(observe::readyz))
        .route("/health", web::get().to(observe::health))
        .route("/metrics", web::get().to(observe::metrics));
}

async fn not_found() -> HttpResponse {
    let text = "not found; MCP is at /mcp, /sse, /servers/{name}/mcp and /groups/{name}/mcp\n";
    HttpResponse::NotFound().content_type(ContentType::plaintext()).body(text)
}

async fn method_not_allowed(allow: &'static str) -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header(("Allow", allow)).finish()
}

/// The state of this thread.
struct Shared(Rc<Gateway>);

impl actix_web::FromRequest for Shared {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &actix_web::HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let gateway = request.app_data::<Rc<Gateway>>().expect("every App of ours is given its Gateway");
        std::future::ready(Ok(Self(gateway.clone())))
    }
}

/// Takes the listening socket over from standard input, where the supervisor put it (inetd style).
///
/// # Errors
/// Standard input is not a listening TCP socket: the gateway was started by hand.
pub fn listener_from_stdin() -> io::Result<TcpListener> {
    use std::os::fd::AsFd;
    let fd = io::stdin().as_fd().try_clone_to_owned()?;
    if !rustix::net::sockopt::socket_acceptconn(&fd)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "standard input is not a listening socket"));
    }
    Ok(TcpListener::from(fd))
}
