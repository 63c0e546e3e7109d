//! The HTTP surface: which path is what, and what every request passes before anything else looks at it.

mod body;
mod connection;
mod connections;
mod door;
mod guarded;
mod legacy_sse;
mod observe;
mod place;
mod refusal;
mod sse;
mod stateless;
mod streamable;

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    task::Poll,
    thread,
    time::Duration,
};

use actix_http::{HttpService, KeepAlive};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory, map_config};
use actix_web::{App, HttpResponse, dev::AppConfig, http::header::ContentType, web};
use mcproxy_ipc::control::ConnectionLimits;
use slog::Logger;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::oneshot,
};

use self::{connection::Client, door::Guests, guarded::Guarded};
use super::{state::Gateway, supervisor::Supervisor};

/// Starts the HTTP server on one thread of its own. Tells how it ended: after a drain, or because it could not serve.
pub(super) fn serve(
    listener: TcpListener,
    supervisor: Supervisor,
    log: &Logger,
) -> io::Result<oneshot::Receiver<io::Result<()>>> {
    let (end, ended) = oneshot::channel();
    let log = log.clone();
    thread::Builder::new().name("http".to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let outcome = runtime.and_then(|runtime| runtime.block_on(answer(listener, supervisor, log)));
        let _ = end.send(outcome); // nobody waits when the process ends anyway
    })?;
    Ok(ended)
}

/// All that clients touch lives here, on the thread that serves.
async fn answer(listener: TcpListener, supervisor: Supervisor, log: Logger) -> io::Result<()> {
    let gateway = Gateway::start(supervisor.clone(), log.clone());
    let guests = Guests::new();
    let build = async |limits: &ConnectionLimits| http(gateway.clone(), guests.draining(), limits.head_timeout).await;
    door::serve(listener, build, guests.clone(), supervisor, log).await
}

/// What speaks HTTP on a connection.
async fn http(
    gateway: Rc<Gateway>,
    draining: Rc<Cell<bool>>,
    head_timeout: Duration,
) -> io::Result<impl Service<(Client, Option<SocketAddr>), Future: 'static>> {
    let app = fn_factory(move || {
        let gateway = gateway.clone();
        let app = App::new().app_data(gateway.clone()).configure(routes).default_service(web::to(not_found));
        let app = map_config(app.into_factory(), |()| AppConfig::default()).new_service(());
        async move { Ok::<_, ()>(Guarded::new(app.await?, gateway)) }
    });
    let http = HttpService::build()
        // How long an unused connection is kept is for the door to say: a timer for each request costs each call.
        .keep_alive(KeepAlive::Os)
        // Of the first request of a connection, which is told why; the door watches over the others.
        .client_request_timeout(head_timeout)
        // A client that closed its side has left. Otherwise its stream, and all that hangs on it, would live on.
        .h1_allow_half_closed(false)
        .graceful_shutdown_signal(move || {
            let draining = draining.clone();
            // The door wakes every connection when this has become true.
            poll_fn(move |_| if draining.get() { Poll::Ready(()) } else { Poll::Pending })
        })
        .on_connect_ext(|client: &Client, data| {
            data.insert(client.connection().clone());
        })
        .h1(app);
    http.new_service(()).await.map_err(|()| io::Error::other("the HTTP application cannot be built"))
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
    // With no other copy of it here, the last one to be closed ends the listening.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    if !rustix::net::sockopt::socket_acceptconn(&fd)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "standard input is not a listening socket"));
    }
    Ok(TcpListener::from(fd))
}
