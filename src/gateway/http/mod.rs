//! The HTTP server: its thread, its routes and its application.

mod acceptor;
mod admin;
mod answering;
mod auth_service;
mod bearer;
mod body;
mod body_buffer;
mod carrier;
mod client_socket;
mod connection;
mod connection_task;
mod cors;
mod endpoint;
mod error;
mod farewell;
mod framing;
mod legacy_sse;
mod metrics_page;
mod path;
mod resource;
mod resource_metadata;
mod responder;
mod socket_options;
mod sse;
mod stateless;
mod step_up;
mod stream_writer;
mod streamable;
mod ui;
mod write_queue;

use std::{
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
use actix_web::{
    App, HttpResponse,
    dev::AppConfig,
    guard::fn_guard,
    http::{
        Method,
        header::{self, ContentType},
    },
    web,
};
use mcproxy_ipc::control::ConnectionLimits;
use slog::Logger;
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::oneshot,
};

use self::{
    acceptor::ConnectionSet, auth_service::AuthService, client_socket::ClientSocket, farewell::Farewell,
    resource::resource,
};
use crate::gateway::{
    background,
    base::{oauth::resource::METADATA, supervisor::SupervisorHandle},
    state::Gateway,
};

/// Starts the HTTP server on one thread of its own. Tells how it ended: after a drain, or because it could not serve.
pub(super) fn serve(
    listener: TcpListener,
    supervisor: SupervisorHandle,
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

/// Runs the gateway: all state that clients touch belongs to this thread.
async fn answer(listener: TcpListener, supervisor: SupervisorHandle, log: Logger) -> io::Result<()> {
    let gateway = background::start(supervisor.clone(), log.clone());
    let connections = ConnectionSet::new(gateway.budget.clone());
    tokio::task::spawn_local(close_revoked(gateway.clone(), connections.clone()));
    let build =
        async |limits: &ConnectionLimits| http(gateway.clone(), connections.farewell(), limits.head_timeout).await;
    acceptor::serve(listener, build, connections.clone(), supervisor, log).await
}

/// Closes the connections whose credentials are no longer accepted, after each change of authentication. Runs as long as the process.
async fn close_revoked(gateway: Rc<Gateway>, connections: Rc<ConnectionSet>) {
    loop {
        gateway.auth_changed.notified().await;
        connections.recheck_admissions(&gateway.auth());
    }
}

/// The service that speaks HTTP on each connection.
async fn http(
    gateway: Rc<Gateway>,
    farewell: Farewell,
    head_timeout: Duration,
) -> io::Result<impl Service<(ClientSocket, Option<SocketAddr>), Future: 'static> + 'static> {
    let expecting = auth_service::expecting(gateway.clone(), farewell.clone());
    let last_answers = farewell.clone();
    let app = fn_factory(move || {
        let (gateway, last_answers) = (gateway.clone(), last_answers.clone());
        let app = App::new().app_data(gateway.clone()).configure(routes).default_service(web::to(not_found));
        let app = map_config(app.into_factory(), |()| AppConfig::default()).new_service(());
        async move { Ok::<_, ()>(AuthService::new(app.await?, gateway, last_answers)) }
    });
    let http = HttpService::build()
        // The acceptor closes idle connections: a timer for each request would cost every call.
        .keep_alive(KeepAlive::Os)
        // For the first request of a connection, which gets an error response; the acceptor checks later ones.
        .client_request_timeout(head_timeout)
        // A client that closed its side has disconnected. Otherwise its stream and everything that it holds would stay.
        .h1_allow_half_closed(false)
        .expect(expecting)
        .graceful_shutdown_signal(move || {
            let (farewell, last) = (farewell.clone(), farewell.last_of_next());
            // The acceptor wakes every connection at each step.
            poll_fn(move |_| if farewell.has_come(last) { Poll::Ready(()) } else { Poll::Pending })
        })
        .on_connect_ext(|client: &ClientSocket, data| {
            data.insert(client.connection().clone());
        })
        .h1(app);
    http.new_service(()).await.map_err(|()| io::Error::other("the HTTP application cannot be built"))
}

fn routes(config: &mut web::ServiceConfig) {
    for prefix in ["", "/{view:search}", "/servers/{server}", "/groups/{group}", "/groups/{group}/{view:search}"] {
        let at = |path: &str| format!("{prefix}{path}");
        config
            .service(
                resource(at("/mcp"), "GET, HEAD, POST, DELETE, OPTIONS")
                    .route(web::post().to(streamable::post))
                    .route(web::get().to(streamable::get))
                    .route(web::head().to(streamable::head))
                    .route(web::delete().to(streamable::delete)),
            )
            .service(
                resource(at("/sse"), "GET, HEAD, OPTIONS")
                    .route(web::get().to(legacy_sse::get))
                    .route(web::head().to(legacy_sse::head))
                    .route(web::post().guard(fn_guard(legacy_sse::names_session)).to(legacy_sse::post)),
            )
            .service(resource(at("/messages"), "POST, OPTIONS").route(web::post().to(legacy_sse::post)))
            // Clients that resolve the endpoint's reference by rules of their own end up here.
            .route(
                if prefix.is_empty() { "/" } else { prefix },
                web::post().guard(fn_guard(legacy_sse::names_session)).to(legacy_sse::post),
            );
    }
    ui::routes(config);
    config.service(
        resource(format!("{METADATA}{{path:.*}}"), "GET, HEAD, OPTIONS")
            .route(web::get().to(resource_metadata::get))
            .route(web::head().to(resource_metadata::get)),
    );
    let read_only = |path: &str| resource(path.to_owned(), "GET, HEAD, OPTIONS");
    config
        .service(read_only("/healthz").route(web::get().to(admin::healthz)).route(web::head().to(admin::healthz)))
        .service(read_only("/readyz").route(web::get().to(admin::readyz)).route(web::head().to(admin::readyz)))
        .service(read_only("/health").route(web::get().to(admin::health)).route(web::head().to(admin::health)))
        .service(read_only("/metrics").route(web::get().to(admin::metrics)).route(web::head().to(admin::metrics)));
}

async fn not_found(method: Method) -> HttpResponse {
    if method == Method::OPTIONS {
        // Of the server as a whole, `*` included (RFC 9110 §9.3.7).
        return HttpResponse::NoContent().insert_header((header::ALLOW, "GET, HEAD, POST, DELETE, OPTIONS")).finish();
    }
    let text = "not found; MCP is at /mcp, /sse, /servers/{name}/mcp and /groups/{name}/mcp, and a web page at /ui/\n";
    HttpResponse::NotFound().content_type(ContentType::plaintext()).body(text)
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
